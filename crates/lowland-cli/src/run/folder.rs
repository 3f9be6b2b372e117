//! The folder of a run: one program at a time, and what it writes there.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use burn::module::Module;
use lowland_tasks::checkpoint::{Checkpoints, Found, Snapshot};
use lowland_tasks::config::TrainConfig;
use lowland_tasks::models::Model;
use lowland_tasks::task::Picture;
use lowland_tasks::train::{Data, Training};
use lowland_tasks::weights::Export;

use crate::failure::{InUse, Usage};
use crate::files::{
    AVERAGE, CHECKPOINTS, CONFIG, EVENTS, FACTS, LANDSCAPE, LAST, METRICS, MODEL, MODEL_CONFIG,
    PLAN, SAFETENSORS, SHARPNESS, TOKENIZER, cannot_write,
};
use crate::run::journal::Journal;
use crate::terminal::resume_command;
use crate::{files, settings};

/// The name of the file with pictures of test samples.
const PICTURES: &str = "pictures.json";
const LOCK: &str = ".lock";

/// The folder of a run, in which no other living program works.
#[derive(Debug)]
pub(crate) struct RunFolder {
    path: PathBuf,
    /// Held for as long as the program lives; the system lets go of it, however the program ends.
    _lock: File,
}

impl RunFolder {
    /// Makes the folder of a new run and writes `config.toml`.
    ///
    /// # Errors
    /// A folder that holds a run, that another program works in, or that cannot be written to;
    /// nothing in it is touched then.
    pub(crate) fn create(path: &Path, config: &TrainConfig) -> Result<Self> {
        const NAMES: [&str; 8] =
            [CONFIG, FACTS, METRICS, EVENTS, MODEL, LAST, AVERAGE, SAFETENSORS];
        files::check_target(path, &NAMES)?;
        let taken = || {
            let mut names = NAMES.iter().chain([&CHECKPOINTS]);
            if names.any(|name| path.join(name).exists()) {
                bail!(Usage(format!(
                    "{} holds a run already: name another --out, or resume it: {}",
                    path.display(),
                    resume_command(path)
                )));
            }
            Ok(())
        };
        // What a run writes beside its weights would take the place of a model's own files.
        if [MODEL_CONFIG, TOKENIZER].iter().any(|name| path.join(name).exists()) {
            bail!(Usage(format!("{} holds a model: name another --out", path.display())));
        }
        if path.join(PLAN).exists() {
            bail!(Usage(format!("{} holds a comparison: name another --out", path.display())));
        }
        taken()?;
        files::make_folder(path)?;
        let folder = Self { path: path.to_owned(), _lock: lock(path)? };
        // Once more: another program may have begun, and ended, a run in between.
        taken()?;
        files::write(&path.join(CONFIG), toml::to_string(config)?.as_bytes())?;
        Ok(folder)
    }

    /// Opens the folder of a run that was begun, and reads its settings.
    ///
    /// # Errors
    /// A folder without a run, or that another program works in; settings that cannot be read.
    pub(crate) fn open(path: &Path) -> Result<(Self, TrainConfig)> {
        if !path.join(CONFIG).is_file() {
            bail!(Usage(format!("{} holds no run: there is no {CONFIG} in it", path.display())));
        }
        let folder = Self { path: path.to_owned(), _lock: lock(path)? };
        files::clear_parts(path)?;
        let config = settings::read_run(&path.join(CONFIG))?;
        Ok((folder, config))
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The run's checkpoints.
    pub(crate) fn checkpoints(&self) -> Checkpoints {
        Checkpoints::new(self.path.join(CHECKPOINTS))
    }

    /// The latest checkpoint that is whole, once what was never finished is cleared away; `None`
    /// where there is no checkpoint at all. Damaged ones are named in warnings.
    ///
    /// # Errors
    /// Checkpoints that are all damaged: `otherwise` says what can be done then.
    pub(crate) fn latest_checkpoint(&self, otherwise: &str) -> Result<Option<(Found, Snapshot)>> {
        self.checkpoints().clear_unfinished()?;
        let mut damaged = 0;
        let found = self.checkpoints().latest(&mut |found, error| {
            damaged += 1;
            tracing::warn!("the checkpoint of step {} is not used: {error}", found.step);
        })?;
        if found.is_none() && damaged > 0 {
            let path = self.path.display();
            bail!(Usage(format!("none of the checkpoints of {path} is whole: {otherwise}")));
        }
        Ok(found)
    }

    /// The journal of the run, its files cut to the lengths that they had at a checkpoint.
    ///
    /// # Errors
    /// A file cannot be written to.
    pub(crate) fn journal(
        &self,
        lengths: &BTreeMap<String, u64>,
        config: &TrainConfig,
        data: &Data,
    ) -> Result<Journal> {
        Journal::open(&self.path, lengths, config, data.task().wording().measure)
    }

    /// Writes pictures of test samples, where there are any.
    ///
    /// # Errors
    /// A file cannot be written.
    pub(crate) fn save_pictures(&self, pictures: &[Picture]) -> Result<()> {
        if pictures.is_empty() {
            return Ok(());
        }
        files::write(&self.path.join(PICTURES), &serde_json::to_vec(pictures)?)
    }

    /// Writes the weights that the run is judged by, running statistics up to date, with what goes
    /// with them for readers elsewhere: those that were best on validation, where there is such a
    /// part, and then those at the end too.
    ///
    /// # Errors
    /// A file cannot be written.
    pub(crate) fn save_model(&self, training: &Training, export: &Export) -> Result<()> {
        // Burn holds the last update of running statistics back until a copy is made for measuring.
        let last = training.model()?.valid();
        let chosen = training.record().test.as_ref().is_some_and(|test| test.chosen_on_validation);
        let model = if chosen { training.chosen()?.1 } else { last.clone() };
        let bytes = model.clone().to_safetensors(export)?;
        let path = self.path.join(SAFETENSORS);
        if std::fs::read(&path).is_ok_and(|earlier| earlier != bytes) {
            // What was measured of an earlier end is none of this one.
            for name in [SHARPNESS, LANDSCAPE] {
                files::remove_if_there(&self.path.join(name))?;
            }
        }
        files::write(&path, &bytes)?;
        for (name, contents) in &export.files {
            files::write(&self.path.join(name), contents)?;
        }
        self.save_record(MODEL, model)?;
        if chosen {
            self.save_record(LAST, last)?;
        }
        if let Some(average) = training.average() {
            self.save_record(AVERAGE, average.clone())?;
        }
        Ok(())
    }

    fn save_record(&self, name: &str, model: Model) -> Result<()> {
        let record = model.into_record().into_bytes().context("cannot put the weights together")?;
        files::write(&self.path.join(name), &record)
    }
}

/// The pictures that a run left behind; none where there are none.
///
/// # Errors
/// A file that cannot be read or is none of pictures.
pub(crate) fn pictures(folder: &Path) -> Result<Vec<Picture>> {
    Ok(files::read_json(&folder.join(PICTURES))?.unwrap_or_default())
}

/// Takes the lock of a folder, or says who has it.
///
/// # Errors
/// [`InUse`], or a folder that cannot be written to.
pub(crate) fn lock(folder: &Path) -> Result<File> {
    let path = folder.join(LOCK);
    let open = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path);
    let mut file = open.map_err(|error| cannot_write(&path, error))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            // Whoever it is, the lock is taken: the number only helps to find out.
            let _ = file.read_to_string(&mut holder);
            let holder = match holder.trim() {
                "" => String::new(),
                number => format!(" (process {number})"),
            };
            bail!(InUse { folder: folder.to_owned(), holder });
        }
        Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => {
            tracing::warn!(
                "{} cannot be locked: take care that only one run uses it",
                folder.display()
            );
        }
        Err(TryLockError::Error(error)) => return Err(cannot_write(&path, error)),
    }
    let write = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
    write.map_err(|error| cannot_write(&path, error))?;
    Ok(file)
}
