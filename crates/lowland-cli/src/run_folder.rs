//! The folder of a run: one program at a time, and what it writes there.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{BufWriter, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use burn::module::Module;
use burn::store::{ModuleSnapshot, SafetensorsStore};
use lowland_tasks::checkpoint::Checkpoints;
use lowland_tasks::config::TrainConfig;
use lowland_tasks::record::{EpochRecord, StepRecord};
use lowland_tasks::train::Training;
use serde::Serialize;

use crate::failure::Usage;
use crate::{files, settings};

const CONFIG: &str = "config.toml";
const METRICS: &str = "metrics.jsonl";
const MODEL: &str = "model.bpk";
const SAFETENSORS: &str = "model.safetensors";
const CHECKPOINTS: &str = "checkpoints";
const LOCK: &str = ".lock";

/// A line of `metrics.jsonl`.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Line<'a> {
    /// A step.
    Step(&'a StepRecord),
    /// The measurement at the end of an epoch.
    Epoch(&'a EpochRecord),
    /// From here on the run has other settings, one change each.
    Changed {
        /// The step before which they came into force.
        step: u64,
        /// Such as `epochs was 3 and is 5`.
        changes: &'a [String],
    },
}

/// The folder of a run, in which no other living program works.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    /// Held for as long as the program lives; the system lets go of it, however the program ends.
    _lock: File,
}

impl RunFolder {
    /// Makes the folder of a new run and writes `config.toml`.
    ///
    /// # Errors
    /// A folder that holds a run, that another program works in, or that cannot be written to; nothing in
    /// it is touched then.
    pub fn create(path: &Path, config: &TrainConfig) -> Result<Self> {
        const NAMES: [&str; 4] = [CONFIG, METRICS, MODEL, SAFETENSORS];
        files::check_target(path, &NAMES)?;
        let taken = || {
            let mut names = NAMES.iter().chain([&CHECKPOINTS]);
            if names.any(|name| path.join(name).exists()) {
                let path = path.display();
                bail!(Usage(format!(
                    "{path} holds a run already: name another --out, or go on with it: lowland resume {path}"
                )));
            }
            Ok(())
        };
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
    pub fn open(path: &Path) -> Result<(Self, TrainConfig)> {
        if !path.join(CONFIG).is_file() {
            bail!(Usage(format!("{} holds no run: there is no {CONFIG} in it", path.display())));
        }
        let folder = Self { path: path.to_owned(), _lock: lock(path)? };
        let config = settings::read_run(&path.join(CONFIG))?;
        Ok((folder, config))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The run's checkpoints.
    pub fn checkpoints(&self) -> Checkpoints {
        Checkpoints::new(self.path.join(CHECKPOINTS))
    }

    /// The run's metrics, cut to their first `length` bytes, to be written on.
    ///
    /// # Errors
    /// The file cannot be written to.
    pub fn metrics(&self, length: u64) -> Result<Metrics> {
        let path = self.path.join(METRICS);
        let open = || {
            let mut file =
                OpenOptions::new().create(true).truncate(false).write(true).open(&path)?;
            let found = file.metadata()?.len();
            if found < length {
                tracing::warn!(
                    "{} is shorter than it was at the checkpoint: lines are missing",
                    path.display()
                );
            }
            let length = length.min(found);
            file.set_len(length)?;
            file.seek(SeekFrom::Start(length))?;
            Ok(Metrics { file: BufWriter::new(file), length, path: path.clone() })
        };
        open().map_err(|error: std::io::Error| cannot_write(&path, error))
    }

    /// Writes the weights, running statistics up to date.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn save_model(&self, training: &Training) -> Result<()> {
        // Burn holds the last update of running statistics back until a copy is made for measuring.
        let model = training.model()?.valid();
        // One entry of metadata, the one that readers elsewhere ask for: several would come out in an
        // order that changes from run to run.
        let mut store =
            SafetensorsStore::from_bytes(None).clear_metadata().metadata("format", "pt");
        model.save_into(&mut store).context("cannot put the weights together")?;
        let bytes = store.get_bytes().context("cannot put the weights together")?;
        files::write(&self.path.join(SAFETENSORS), &bytes)?;
        let record = model.into_record().into_bytes().context("cannot put the weights together")?;
        files::write(&self.path.join(MODEL), &record)
    }
}

/// Takes the lock of a folder, or says who has it.
fn lock(folder: &Path) -> Result<File> {
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
            bail!(Usage(format!(
                "{} is in use: another lowland works in it{holder}",
                folder.display()
            )));
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

fn cannot_write(path: &Path, error: std::io::Error) -> anyhow::Error {
    lowland_tasks::Error::Write { path: path.to_owned(), source: error }.into()
}

/// The metrics of a run, a line of JSON each.
#[derive(Debug)]
pub struct Metrics {
    file: BufWriter<File>,
    length: u64,
    path: PathBuf,
}

impl Metrics {
    /// Adds a line.
    ///
    /// # Errors
    /// The file cannot be written to.
    pub fn write(&mut self, line: &Line<'_>) -> Result<()> {
        let mut bytes = serde_json::to_vec(line)?;
        bytes.push(b'\n');
        self.length += bytes.len() as u64;
        self.file.write_all(&bytes).map_err(|error| cannot_write(&self.path, error))
    }

    /// Hands all lines so far to the system.
    ///
    /// # Errors
    /// The file cannot be written to.
    pub fn flush(&mut self) -> Result<()> {
        self.file.flush().map_err(|error| cannot_write(&self.path, error))
    }

    /// Puts all lines so far on the disk, and gives their length in bytes.
    ///
    /// # Errors
    /// The file cannot be written to.
    pub fn sync(&mut self) -> Result<u64> {
        self.flush()?;
        self.file.get_ref().sync_data().map_err(|error| cannot_write(&self.path, error))?;
        Ok(self.length)
    }
}
