//! Reading whole files with errors that name them.

use std::fs;
use std::path::{Path, PathBuf};

use super::remarks::{left_out, left_out_lines};
use crate::{Error, Result};

/// The bytes of a file.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|source| Error::File { path: path.to_owned(), source })
}

/// What is read of each of some files, and what cannot be used.
#[derive(Debug)]
pub(crate) struct Each<T> {
    pub(crate) read: Vec<(PathBuf, T)>,
    /// The files that cannot be used, and why.
    unusable: Vec<(PathBuf, Error)>,
}

impl<T> Each<T> {
    /// Reads each of some files.
    pub(crate) fn of(paths: &[PathBuf], mut read: impl FnMut(&Path) -> Result<T>) -> Self {
        let mut each = Self { read: Vec::new(), unusable: Vec::new() };
        for path in paths {
            let found = if path.is_dir() {
                Err(format_error(path, "a file".to_owned(), FOLDER.to_owned()))
            } else {
                read(path)
            };
            match found {
                Ok(found) => each.read.push((path.clone(), found)),
                Err(error) => each.unusable.push((path.clone(), error)),
            }
        }
        each
    }

    /// What was read, and lines on what was left out, which is possible where something was read.
    /// `damaged` is what cannot be used in files that can.
    ///
    /// # Errors
    /// All that cannot be used, together, unless it is to be skipped.
    pub(crate) fn or_left_out(self, damaged: Vec<Error>, skip: bool) -> Result<Left<T>> {
        let (paths, mut errors): (Vec<PathBuf>, Vec<Error>) = self.unusable.into_iter().unzip();
        let what = match (paths.is_empty(), damaged.is_empty()) {
            (_, true) => UNUSABLE[1],
            (true, false) => "damaged lines",
            (false, false) => "files and lines that cannot be used",
        };
        if self.read.is_empty() || !skip {
            errors.extend(damaged);
            let error = if self.read.is_empty() {
                Error::several_needed(what, errors)
            } else {
                Error::several(what, errors)
            };
            return error.map_or_else(|| Ok((self.read, Vec::new())), Err);
        }
        let names: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
        let lines = left_out_lines(&damaged, |path| path.display().to_string());
        Ok((self.read, left_out(UNUSABLE, &names).into_iter().chain(lines).collect()))
    }
}

/// What was read of files, and lines on what was left out.
pub(crate) type Left<T> = (Vec<(PathBuf, T)>, Vec<String>);

const UNUSABLE: [&str; 2] = ["file that cannot be used", "files that cannot be used"];

const FOLDER: &str = "a folder: name the files in it";

/// An error unless `folder` is one.
pub(crate) fn require_folder(folder: &Path, expected: &str) -> Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let expected = format!("a folder with {expected}");
    Err(Error::Missing { path: folder.to_owned(), kind: "folder", expected })
}

/// An [`Error::Format`] for `path`.
pub(crate) fn format_error(path: &Path, expected: String, found: String) -> Error {
    Error::Format { path: path.to_owned(), expected, found }
}
