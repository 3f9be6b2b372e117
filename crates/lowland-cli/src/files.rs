//! The files of runs and comparisons: their names, and writing them whole or not at all.

use std::io::Write;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::de::DeserializeOwned;
use tempfile::NamedTempFile;

use crate::failure::Usage;

/// The name of the file with a run's settings.
pub(crate) const CONFIG: &str = "config.toml";
/// The name of the file with weights: those that a run is judged by, in its folder, and those of
/// the step, in a checkpoint.
pub(crate) const MODEL: &str = lowland_tasks::task::MODEL_RECORD;
/// The moving average of a run's weights.
pub(crate) const AVERAGE: &str = "average.bpk";
/// The weights of the last epoch of a run that is judged by those that were best on validation.
pub(crate) const LAST: &str = "last.bpk";
/// The weights that were best on validation so far, in a checkpoint.
pub(crate) const BEST: &str = "best.bpk";
/// The name of the file with the weights that a run is judged by, for readers elsewhere.
pub(crate) const SAFETENSORS: &str = "model.safetensors";
/// The name of the file with the sizes of a transformer, for readers elsewhere.
pub(crate) const MODEL_CONFIG: &str = "config.json";
/// The name of the file with its tokenizer.
pub(crate) const TOKENIZER: &str = "tokenizer.json";
/// The name of the file with what a run knows of its data and its network.
pub(crate) const FACTS: &str = "facts.json";
/// The name of the file with a line of JSON for each step and epoch.
pub(crate) const METRICS: &str = "metrics.jsonl";
/// The name of the file of events; TensorBoard goes by the word in its middle.
pub(crate) const EVENTS: &str = "events.out.tfevents.lowland";
/// The name of the folder with a run's checkpoints.
pub(crate) const CHECKPOINTS: &str = "checkpoints";
/// The name of the file with what `lowland sharpness` measured of a run.
pub(crate) const SHARPNESS: &str = "sharpness.json";
/// The name of the file with the classes that a run's network takes for one another.
pub(crate) const CONFUSION: &str = "confusion.json";
/// The name of the file with what `lowland landscape` measured.
pub(crate) const LANDSCAPE: &str = "landscape.json";
/// The name of the file with a comparison's plan.
pub(crate) const PLAN: &str = "plan.toml";
/// The name of the file with the time that a search for settings has used.
pub(crate) const CLOCK: &str = "clock.json";
/// The name of the folder with the runs of a comparison.
pub(crate) const RUNS: &str = "runs";
/// The name of the file with the result of a comparison's run. It is written last: a run that has
/// it is never trained again.
pub(crate) const RESULT: &str = "result.json";
/// The name of the file with a comparison's summary.
pub(crate) const SUMMARY: &str = "summary.json";
/// The name of the file with a comparison's page.
pub(crate) const PAGE: &str = "report.html";

/// Makes a folder, those above it included, where it is not there yet.
///
/// # Errors
/// The folder cannot be made.
pub(crate) fn make_folder(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))
}

/// Checks that a folder can be made and written to and that none of `names` in it is a folder.
/// Leaves nothing behind.
///
/// # Errors
/// What is in the way, as wrong usage.
pub(crate) fn check_target(folder: &Path, names: &[&str]) -> Result<()> {
    let missing = folder.ancestors().take_while(|path| !path.is_dir());
    if let Some(path) = missing.into_iter().find(|path| path.exists()) {
        bail!(Usage(format!("{} is not a folder", path.display())));
    }
    for name in names {
        let path = folder.join(name);
        if path.is_dir() {
            bail!(Usage(format!("cannot write {}: a folder of that name exists", path.display())));
        }
    }
    // The nearest folder above that is there already shows whether the rest can be made.
    let there = folder.ancestors().find(|path| path.is_dir()).filter(|p| !p.as_os_str().is_empty());
    let there = there.unwrap_or(Path::new("."));
    let made = tempfile::Builder::new().prefix(".lowland").tempdir_in(there);
    let missing = folder.strip_prefix(there).unwrap_or(folder);
    let tried = made.and_then(|probe| {
        std::fs::create_dir_all(probe.path().join(missing))?;
        NamedTempFile::new_in(probe.path().join(missing)).map(drop)
    });
    tried.map_err(|error| Usage(format!("cannot write to {}: {error}", folder.display())).into())
}

/// What the name of a file begins with that is not whole yet.
const PART: &str = ".lowland-part-";

/// Removes files that were being written when a program was killed, from a folder in which no other
/// program works.
///
/// # Errors
/// The folder cannot be read, or a file not removed.
pub(crate) fn clear_parts(folder: &Path) -> Result<()> {
    let clear = || -> std::io::Result<()> {
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(PART) {
                std::fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    };
    clear().with_context(|| format!("cannot clear {}", folder.display()))
}

/// Writes a file under another name, then gives it its own: a reader never sees half of it. What a
/// link leads to is written; what is no file, such as a pipe or a device, is written into.
///
/// # Errors
/// The file cannot be written.
pub(crate) fn write(path: &Path, contents: &[u8]) -> Result<()> {
    let is_link = path.is_symlink();
    let there = std::fs::metadata(path).ok();
    let is_stream = there.as_ref().is_some_and(|found| !found.is_file() && !found.is_dir())
        || ["/dev/stdout", "/dev/stderr", "/dev/fd", "/proc"].iter().any(|at| path.starts_with(at));
    // A link to nothing yet is followed by the system alone.
    if is_stream || (is_link && there.is_none()) {
        let write = || -> std::io::Result<()> {
            let mut file =
                std::fs::OpenOptions::new().append(true).create(!is_stream).open(path)?;
            file.write_all(contents)
        };
        return write().with_context(|| format!("cannot write {}", path.display()));
    }
    let target = if is_link { std::fs::canonicalize(path)? } else { path.to_owned() };
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    if !folder.is_dir() {
        bail!("cannot write {}: there is no folder {}", path.display(), folder.display());
    }
    let write = || -> std::io::Result<()> {
        let mut file = tempfile::Builder::new().prefix(PART).tempfile_in(folder)?;
        file.write_all(contents)?;
        file.as_file().sync_all()?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let permissions = there.as_ref().map(std::fs::Metadata::permissions);
            let usual = || std::fs::Permissions::from_mode(0o644);
            file.as_file().set_permissions(permissions.unwrap_or_else(usual))?;
        }
        file.persist(&target)?;
        Ok(())
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

/// What a file of JSON holds; `None` where there is none.
///
/// # Errors
/// A file that cannot be read or holds something else.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    if !path.is_file() {
        return Ok(None);
    }
    let bytes =
        std::fs::read(path).with_context(|| Usage(format!("cannot read {}", path.display())))?;
    let found = serde_json::from_slice(&bytes);
    Ok(Some(found.map_err(|error| Usage(format!("{}: {error}", path.display())))?))
}

/// Removes a file, where it is there.
///
/// # Errors
/// A file that cannot be removed.
pub(crate) fn remove_if_there(path: &Path) -> Result<()> {
    gone(path, std::fs::remove_file(path))
}

/// An error where something could not be removed; what is not there need not be.
///
/// # Errors
/// What cannot be removed.
pub(crate) fn gone(path: &Path, removed: std::io::Result<()>) -> Result<()> {
    match removed {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(cannot_write(path, error))
        }
        _ => Ok(()),
    }
}

/// The error for a file that the system will not write.
pub(crate) fn cannot_write(path: &Path, error: std::io::Error) -> anyhow::Error {
    lowland_tasks::Error::Write { path: path.to_owned(), source: error }.into()
}

/// A path as it holds wherever the program works.
///
/// # Errors
/// A path that is empty or not Unicode.
pub(crate) fn absolute(path: &Path) -> Result<String> {
    let absolute = std::path::absolute(path)
        .map_err(|error| Usage(format!("{:?} is no path: {error}", path.display().to_string())))?;
    // One path for one place, by which comparisons know their settings again: no slash at the end,
    // and no `..` where there is such a place.
    let absolute: PathBuf = absolute.components().collect();
    let leads_up = absolute.components().any(|part| part == Component::ParentDir);
    let absolute = match absolute.canonicalize() {
        Ok(found) if leads_up => found,
        _ => absolute,
    };
    match absolute.into_os_string().into_string() {
        Ok(path) => Ok(path),
        Err(path) => bail!(Usage(format!("{} is not Unicode", path.display()))),
    }
}
