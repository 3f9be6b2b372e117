//! What is wrong with a keypoint file, or an entry of it.

use std::path::Path;

use crate::Error;
use crate::data::files::format_error;

/// An image or annotation that is not as the format has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DamagedEntry {
    /// What it is called: `annotation 100` or `image 3` after its id, or `annotations[2]` after its
    /// place, counted from 0, where it has no id.
    pub name: String,
    /// What is allowed.
    pub expected: String,
    /// What it holds.
    pub found: String,
}

impl DamagedEntry {
    /// The error that names it. `path` is what this calls the file.
    pub fn error(&self, path: &Path) -> Error {
        let Self { name, expected, found } = self;
        format_error(path, expected.clone(), format!("{found} in {name}"))
    }

    pub(super) fn new(name: String, Mistake { expected, found }: Mistake) -> Self {
        Self { name, expected, found }
    }
}

/// What is wrong, before it is said where.
#[derive(Debug)]
pub(super) struct Mistake {
    pub(super) expected: String,
    pub(super) found: String,
}

pub(super) fn mistake(expected: &str, found: String) -> Mistake {
    Mistake { expected: expected.to_owned(), found }
}
