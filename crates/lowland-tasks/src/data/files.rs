//! Reading whole files with errors that name them.

use std::fs;
use std::path::Path;

use crate::{Error, Result};

/// The bytes of a file.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|source| Error::File { path: path.to_owned(), source })
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
