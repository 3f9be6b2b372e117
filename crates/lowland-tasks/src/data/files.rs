//! Reading whole files with errors that name them.

use std::fs;
use std::path::{Path, PathBuf};

use super::remarks::left_out;
use crate::{Error, Result};

/// The bytes of a file.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|source| Error::File { path: path.to_owned(), source })
}

/// What is read of each of some files, with a line on those that were left out.
pub(crate) type Each<T> = (Vec<(PathBuf, T)>, Option<String>);

/// Reads each of some files. Those that cannot be used are left out where they are to be skipped
/// and others remain.
///
/// # Errors
/// All files that cannot be used, together.
pub(crate) fn read_each<T>(
    paths: &[PathBuf],
    skip: bool,
    mut read: impl FnMut(&Path) -> Result<T>,
) -> Result<Each<T>> {
    let (mut found, mut unusable, mut errors) = (Vec::new(), Vec::new(), Vec::new());
    for path in paths {
        match read(path) {
            Ok(read) => found.push((path.clone(), read)),
            Err(error) => {
                unusable.push(path.display().to_string());
                errors.push(error);
            }
        }
    }
    let what = ["file that cannot be used", "files that cannot be used"];
    let refused = match (found.is_empty(), skip) {
        (true, _) => Error::several_needed(what[1], errors),
        (false, false) => Error::several(what[1], errors),
        (false, true) => None,
    };
    refused.map_or_else(|| Ok((found, left_out(what, &unusable))), Err)
}

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
