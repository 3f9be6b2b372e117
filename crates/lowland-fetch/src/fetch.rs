//! A data set from the net into a folder.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::archive::unpack;
use crate::download::download;
use crate::inventory::Inventory;
use crate::part::sha256_of;
use crate::{Contents, DataSet, Error, Event, Options, RemoteFile, Result, Watch};

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All files were there, as they were published.
    AlreadyThere,
    /// All files are there now.
    Fetched {
        /// How many bytes came over the net.
        received: u64,
    },
}

/// Makes `folder` hold the files of `set`, as they were published.
///
/// What is there and good is left alone. A file has another name, with `.part` at its end, until
/// all of it is on disk and its sum is the published one; a later call resumes it. An archive is
/// unpacked and removed; `fetched.json` keeps the sums of what came out of it.
///
/// # Errors
/// [`Error::Transfer`], [`Error::Checksum`] or [`Error::Everywhere`] where a file is unavailable,
/// [`Error::Archive`] where an archive is not what it should be, [`Error::Read`], [`Error::Write`]
/// or [`Error::InUse`] where the disk refuses, [`Error::Address`] for a mirror without address, and
/// [`Error::Interrupted`] where `watch` breaks. No file has its own name then but those that are
/// whole.
pub fn fetch(
    set: &DataSet<'_>,
    folder: &Path,
    options: &Options<'_>,
    watch: &mut Watch<'_>,
) -> Result<Outcome> {
    options.addresses(set)?;
    fs::create_dir_all(folder)
        .map_err(|source| Error::Write { path: folder.to_owned(), source })?;
    let (mut received, mut nothing_to_do) = (0, true);
    for file in set.files {
        if watch(&Event::Checking { file: file.name }).is_break() {
            return Err(Error::Interrupted);
        }
        if is_there(folder, file)? {
            continue;
        }
        nothing_to_do = false;
        let target = folder.join(file.name);
        let (mut part, more) = download(set, file, &target, options, watch)?;
        received += more;
        match file.contents {
            Contents::Kept => part.finish(&target)?,
            Contents::TarGz(members) => {
                let sums = unpack(&mut part, file.name, members, folder, watch)?;
                record(folder, file, sums)?;
                part.remove()?;
            }
        }
    }
    Ok(if nothing_to_do { Outcome::AlreadyThere } else { Outcome::Fetched { received } })
}

/// Whether what comes of a file is there as it was published.
fn is_there(folder: &Path, file: &RemoteFile<'_>) -> Result<bool> {
    match file.contents {
        Contents::Kept => {
            let found = sha256_of(&folder.join(file.name), file.length)?;
            Ok(found.is_some_and(|found| found == file.sha256))
        }
        Contents::TarGz(members) => Inventory::read(folder).holds(folder, file, members),
    }
}

fn record(folder: &Path, file: &RemoteFile<'_>, sums: BTreeMap<String, String>) -> Result<()> {
    let mut inventory = Inventory::read(folder);
    inventory.insert(file, sums);
    inventory.write(folder)
}

impl Options<'_> {
    /// The folders on the net, without a slash at the end.
    pub(crate) fn addresses<'b>(&'b self, set: &'b DataSet<'_>) -> Result<Vec<&'b str>> {
        let mirror = self.mirror.as_ref().map(std::slice::from_ref);
        let folder = |address: &&'b str| {
            let scheme = ["http://", "https://"].iter().find(|s| address.starts_with(**s));
            let is_one = scheme.is_some_and(|scheme| {
                address.len() > scheme.len() && address.parse::<ureq::http::Uri>().is_ok()
            });
            if is_one {
                return Ok(address.trim_end_matches('/'));
            }
            Err(Error::Address { address: (*address).to_owned() })
        };
        mirror.unwrap_or(set.addresses).iter().map(folder).collect()
    }
}
