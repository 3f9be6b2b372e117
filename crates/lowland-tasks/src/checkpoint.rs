//! Checkpoints: all that a run needs to resume, in a folder that is complete or absent.

mod manifest;
mod snapshot;

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use manifest::Manifest;
pub(crate) use manifest::sha256;
pub use snapshot::{About, Snapshot};

use crate::record::best_on_validation;
use crate::{Error, Result};
use manifest::{Entry, MANIFEST};

/// How often a run is saved, and how many checkpoints are kept. One is written at the end of each
/// epoch in any case.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CheckpointConfig {
    /// Also after so many steps, at least 1. Default: no.
    pub every_steps: Option<u64>,
    /// Also once so many minutes have passed since the last one, above 0. Default 10.
    pub every_minutes: Option<f64>,
    /// How many of the latest ones are kept, at least 1, beside the one that is best
    /// on validation. Default 3.
    pub keep: usize,
}

impl Default for CheckpointConfig {
    fn default() -> Self {
        Self { every_steps: None, every_minutes: Some(10.0), keep: 3 }
    }
}

/// The checkpoints of a run, in a folder of their own.
///
/// Each is a folder `epoch-E-step-N`, after the epochs and steps that were done. Its files are
/// written and synced first; its manifest, with the length and checksum of each, comes last, by
/// rename. So whatever ends the program leaves either a whole checkpoint or one without a manifest,
/// which is never loaded.
#[derive(Debug, Clone)]
pub struct Checkpoints {
    folder: PathBuf,
}

/// A checkpoint that was found, whole or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its folder.
    pub path: PathBuf,
    /// The steps that were taken before it, as its name has it.
    pub step: u64,
    /// The epochs that were done before it, as its name has it.
    pub epoch: usize,
}

impl Found {
    /// Whether it was written to its end: one that was not has no manifest.
    pub fn is_finished(&self) -> bool {
        self.path.join(MANIFEST).exists()
    }
}

impl Checkpoints {
    /// The checkpoints in `folder`, which need not be there yet.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// All that there are, the latest first, those that were never finished included.
    ///
    /// # Errors
    /// [`Error::File`] where the folder is there and cannot be read.
    pub fn list(&self) -> Result<Vec<Found>> {
        let failed = |source| Error::File { path: self.folder.clone(), source };
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(error)),
        };
        let mut found = Vec::new();
        for entry in entries {
            let path = entry.map_err(failed)?.path();
            let name = path.file_name().and_then(|name| name.to_str());
            let numbers = name.and_then(|name| name.strip_prefix("epoch-")?.split_once("-step-"));
            if let Some((epoch, step)) = numbers
                && let (Ok(epoch), Ok(step)) = (epoch.parse(), step.parse())
            {
                found.push(Found { path, step, epoch });
            }
        }
        found.sort_by_key(|found| std::cmp::Reverse((found.step, found.epoch)));
        Ok(found)
    }

    /// Writes a checkpoint, then removes those that are not kept. One of the same place that is
    /// there and whole stays as it is.
    ///
    /// # Errors
    /// [`Error::Write`]; what was there before is still there then.
    pub fn save(&self, snapshot: &Snapshot, keep: usize) -> Result<PathBuf> {
        let About { step, epoch, .. } = snapshot.about;
        // As many digits as sort well in a listing; more are no harm.
        let path = self.folder.join(format!("epoch-{epoch:04}-step-{step:08}"));
        if Self::load(&path).is_ok() {
            return Ok(path);
        }
        remove(&path)?;
        let written = write(&self.folder, &path, snapshot);
        if written.is_err() {
            // What was written of it is of no use; if it cannot be removed, it has no manifest.
            let _ = remove(&path);
        }
        written?;
        self.prune(step, keep)?;
        Ok(path)
    }

    /// The latest checkpoint that is whole. Each that is not is passed to `damaged` first; those
    /// that were never finished are passed over in silence.
    ///
    /// # Errors
    /// [`Error::File`] where the folder cannot be read.
    pub fn latest(
        &self,
        damaged: &mut dyn FnMut(&Found, &Error),
    ) -> Result<Option<(Found, Snapshot)>> {
        for found in self.list()?.into_iter().filter(Found::is_finished) {
            match Self::load(&found.path) {
                Ok(snapshot) => return Ok(Some((found, snapshot))),
                Err(error) => damaged(&found, &error),
            }
        }
        Ok(None)
    }

    /// Reads a checkpoint and checks every byte of it.
    ///
    /// # Errors
    /// [`Error::Damaged`] that names the file that is not as it was written.
    pub fn load(path: &Path) -> Result<Snapshot> {
        let manifest = read_manifest(path)?;
        let read = |entry: &Entry| {
            let contents = read_file(&path.join(&entry.name), entry.length)?;
            if sha256([&contents[..]]) == entry.sha256 {
                Ok((entry.name.clone(), contents))
            } else {
                Err(Error::damaged(path.join(&entry.name), "does not match its checksum"))
            }
        };
        let files = manifest.files.iter().map(read).collect::<Result<_>>()?;
        Ok(Snapshot { about: manifest.about, files })
    }

    /// Removes what was never finished: a checkpoint that was being written, or removed, when the
    /// program was killed.
    ///
    /// # Errors
    /// [`Error::Write`] where one cannot be removed, [`Error::File`] where the folder cannot be
    /// read.
    pub fn clear_unfinished(&self) -> Result<()> {
        for found in self.list()?.into_iter().filter(|found| !found.is_finished()) {
            remove(&found.path)?;
        }
        Ok(())
    }

    /// Removes what was never finished and all but the latest `keep` and the best, as
    /// [`best_epoch`](crate::record::best_epoch) chooses it. Damaged ones are kept and not counted:
    /// their owner decides what becomes of them. `written` is the step of the checkpoint that has
    /// just been written. Later ones are of a run that was resumed before them, perhaps because
    /// they are damaged, so that every byte of them is checked.
    fn prune(&self, written: u64, keep: usize) -> Result<()> {
        self.clear_unfinished()?;
        let mut whole = Vec::new();
        for found in self.list()? {
            let about = if found.step > written {
                Self::load(&found.path).map(|snapshot| snapshot.about)
            } else {
                read_manifest(&found.path).map(|manifest| manifest.about)
            };
            whole.extend(about.ok().map(|about| (found, about)));
        }
        // From the first: of equal ones it is the best.
        let best =
            best_on_validation(whole.iter().rev().map(|(found, about)| {
                (&found.path, about.validation_accuracy, about.validation_loss)
            }));
        for (found, _) in whole.iter().skip(keep.max(1)) {
            if best != Some(&found.path) {
                remove(&found.path)?;
            }
        }
        Ok(())
    }
}

fn write(folder: &Path, path: &Path, snapshot: &Snapshot) -> Result<()> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| Error::Write { path, source }
    };
    fs::create_dir_all(path).map_err(failed(path))?;
    let mut entries = Vec::new();
    for (name, contents) in &snapshot.files {
        write_synced(&path.join(name), contents).map_err(failed(&path.join(name)))?;
        let (length, sha256) = (contents.len() as u64, sha256([&contents[..]]));
        entries.push(Entry { name: name.clone(), length, sha256 });
    }
    let manifest = Manifest { about: snapshot.about.clone(), files: entries };
    let (draft, last) = (path.join("manifest.draft"), path.join(MANIFEST));
    write_synced(&draft, manifest.to_text()?.as_bytes()).map_err(failed(&draft))?;
    fs::rename(&draft, &last).map_err(failed(&last))?;
    sync_folder(path).map_err(failed(path))?;
    sync_folder(folder).map_err(failed(folder))
}

fn write_synced(path: &Path, contents: &[u8]) -> std::io::Result<()> {
    let mut file = File::create_new(path)?;
    file.write_all(contents)?;
    file.sync_all()
}

/// Makes names in a folder survive a loss of power. Systems other than Unix open no folders and
/// need none of this.
fn sync_folder(folder: &Path) -> std::io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

/// Removes a checkpoint, its manifest first: what is left of it where that stops halfway is
/// unfinished.
fn remove(path: &Path) -> Result<()> {
    let gone = |result: std::io::Result<()>| match result {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::Write { path: path.to_owned(), source: error })
        }
        _ => Ok(()),
    };
    gone(fs::remove_file(path.join(MANIFEST)))?;
    gone(fs::remove_dir_all(path))
}

fn read_manifest(path: &Path) -> Result<Manifest> {
    let path = path.join(MANIFEST);
    let contents = read_at_most(&path, Manifest::MOST_BYTES)?;
    Manifest::from_bytes(&contents).map_err(|problem| Error::damaged(path, problem))
}

fn check_length(path: &Path, expected: u64) -> Result<()> {
    let about = fs::metadata(path).map_err(|error| Error::damaged(path, error))?;
    if about.len() == expected {
        return Ok(());
    }
    let problem = format!("has {} bytes instead of {expected}", about.len());
    Err(Error::damaged(path, problem))
}

/// A file of a length that is known: nothing is read where it has another.
fn read_file(path: &Path, length: u64) -> Result<Vec<u8>> {
    check_length(path, length)?;
    fs::read(path).map_err(|error| Error::damaged(path, error))
}

/// A file of at most `most` bytes.
fn read_at_most(path: &Path, most: u64) -> Result<Vec<u8>> {
    let mut contents = Vec::new();
    let read = File::open(path).and_then(|file| file.take(most + 1).read_to_end(&mut contents));
    read.map_err(|error| Error::damaged(path, error))?;
    if contents.len() as u64 > most {
        return Err(Error::damaged(path, format!("has more than {most} bytes")));
    }
    Ok(contents)
}
