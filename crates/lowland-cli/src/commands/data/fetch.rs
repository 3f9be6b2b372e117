//! `lowland data fetch`: a data set from its publisher.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use indicatif::DecimalBytes;
use lowland_fetch::{DataSet, Error, Event, Options, Outcome, RemoteFile, part_path, published};

use crate::failure::{Ended, Interrupted, Usage};
use crate::files;
use crate::program;
use crate::run::interrupt::Interrupt;
use crate::terminal::{Bytes, say};

/// Download a data set from its publisher
///
/// It is written to DIR/NAME, where `--data-dir DIR` of every other command finds it. Files are
/// renamed into place once their lengths and SHA-256 match the published ones; archives are
/// unpacked and removed. Interrupted downloads resume, and complete files are kept.
#[derive(Debug, Args)]
pub(super) struct Fetch {
    /// The data set
    #[arg(value_name = "NAME", value_parser = known())]
    set: DataSet<'static>,
    /// The folder in which the data set gets a folder of its own
    #[arg(long, value_name = "DIR", default_value = "data")]
    data_dir: PathBuf,
    /// Fetch the same files from this address, in place of the publisher's; checksums hold all the
    /// same
    #[arg(long, value_name = "URL")]
    mirror: Option<String>,
    /// Show no progress
    #[arg(long, short)]
    quiet: bool,
}

fn known() -> impl TypedValueParser<Value = DataSet<'static>> {
    PossibleValuesParser::new(published::ALL.map(|set| set.name))
        .try_map(|name| published::named(&name).ok_or("no such data set"))
}

impl Fetch {
    /// Downloads, and says where the data set is.
    ///
    /// # Errors
    /// A folder that cannot be written to, no network, a server without the file, wrong bytes,
    /// Ctrl-C.
    pub(super) fn run(self) -> Result<()> {
        let Self { set, data_dir, mirror, quiet } = self;
        let folder = data_dir.join(set.name);
        if !folder.is_dir() {
            files::check_target(&folder, &[])?;
        }
        let interrupt = Interrupt::listen();
        let options = Options { mirror: mirror.as_deref(), ..Options::default() };
        let bytes = Bytes::new(quiet);
        let result = lowland_fetch::fetch(&set, &folder, &options, &mut |event| {
            show(event, &bytes);
            interrupt.flow()
        });
        drop(bytes);
        let outcome = result.map_err(|error| failure(error, way_on(&set, &folder), &interrupt))?;
        let (name, place) = (set.name, folder.display());
        let how = match outcome {
            Outcome::AlreadyThere => "already, as it was published".to_owned(),
            Outcome::Fetched { received } => {
                format!("now: {} fetched, and all of it checked", DecimalBytes(received))
            }
        };
        say(&format!("{name} is in {place} {how}"))?;
        let check = program::command("data check");
        say(&format!("Inspect it: {check} {name} --data-dir {}", data_dir.display()))
    }
}

fn show(event: &Event<'_>, bytes: &Bytes) {
    match *event {
        Event::Begins { file, address, done, length } => {
            let rest = length.saturating_sub(done);
            bytes.line(&format!("{} from {address}", DecimalBytes(rest)));
            bytes.begin(file, done, length);
        }
        Event::Received { file, done, length } => bytes.show(file, done, length),
        Event::Failed { error, .. } => bytes.line(&error.to_string()),
        Event::Unpacked { done, length, .. } => bytes.show("unpacked", done, length),
        _ => {}
    }
}

/// What is kept of files that are not whole, and that nothing of it is lost.
fn way_on(set: &DataSet<'_>, folder: &Path) -> Option<String> {
    let part = |file: &RemoteFile<'_>| part_path(&folder.join(file.name));
    let length = |path: PathBuf| path.metadata().map_or(0, |found| found.len());
    let kept: u64 = set.files.iter().map(part).map(length).sum();
    (kept > 0).then(|| {
        format!("{} are kept, and the same command resumes the download", DecimalBytes(kept))
    })
}

fn failure(error: Error, way_on: Option<String>, interrupt: &Interrupt) -> anyhow::Error {
    match (error, way_on) {
        (Error::Interrupted, way_on) => {
            let progress = way_on.map(|way_on| format!("; {way_on}")).unwrap_or_default();
            Interrupted { progress, code: interrupt.code() }.into()
        }
        (error, _) if error.is_input() => Usage(error.to_string()).into(),
        (error, None) => error.into(),
        (error, Some(way_on)) => Ended { error: error.into(), way_on }.into(),
    }
}
