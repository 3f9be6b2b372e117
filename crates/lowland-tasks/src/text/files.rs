//! The files of a folder with texts.

use std::path::{Path, PathBuf};

use super::table::ENDINGS;

/// Which files are the parts of a data set: of each list, the first that is there. What is taken
/// with another file is in one list with it.
pub(super) struct Layout {
    pub(super) train: &'static [&'static [&'static str]],
    pub(super) validation: &'static [&'static [&'static str]],
    pub(super) test: &'static [&'static [&'static str]],
}

impl Layout {
    /// Whether the first choice for the training part is in a folder.
    pub(super) fn is_in(&self, folder: &Path) -> bool {
        let first = self.train.first().copied().unwrap_or_default();
        !first.is_empty() && first.iter().all(|base| find(folder, base).is_some())
    }
}

/// The file of a name with any of the endings, the first that is there.
pub(super) fn find(folder: &Path, base: &str) -> Option<PathBuf> {
    let paths = ENDINGS.iter().map(|ending| folder.join(format!("{base}.{ending}")));
    paths.into_iter().find(|path| path.is_file())
}

/// The usual names of the parts.
pub(super) const USUAL: Layout = Layout {
    train: &[&["train"], &["training"]],
    validation: &[&["dev"], &["val"], &["valid"], &["validation"]],
    test: &[&["test"], &["testing"]],
};
