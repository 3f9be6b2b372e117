//! What a checkpoint holds.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Where a run stood when it was saved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct About {
    /// Steps that were taken.
    pub step: u64,
    /// Epochs that were done.
    pub epoch: usize,
    /// What epochs are chosen by on validation, the share of right answers or another score, at the
    /// end of the last epoch, where the checkpoint was taken there, there is a validation part, and
    /// the network's outputs were finite.
    pub validation_accuracy: Option<f64>,
    /// The mean loss on validation then: of equal epochs the one with the lowest is the best.
    pub validation_loss: Option<f64>,
    /// How long the files were that the run adds to, in bytes, by name.
    #[serde(default)]
    pub lengths: BTreeMap<String, u64>,
}

/// What a checkpoint holds: files by name, and what is said of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// Where the run stood.
    pub about: About,
    /// Names, which are those of [`Snapshot::FILES`], then some of [`Snapshot::MORE_FILES`], and
    /// contents.
    pub files: Vec<(String, Vec<u8>)>,
}

impl Snapshot {
    /// The files of a checkpoint.
    pub const FILES: [&str; 3] = ["model.bpk", "optimizer.bpk", "state.json"];

    /// Those that it has where the run has them: the weights that were best on validation, and the
    /// average of the weights.
    pub const MORE_FILES: [&str; 2] = ["best.bpk", "average.bpk"];

    /// The contents of a file that need not be there.
    pub(crate) fn take_if_there(&mut self, name: &str) -> Option<Vec<u8>> {
        let found = self.files.iter_mut().find(|(n, _)| n == name);
        found.map(|(_, contents)| std::mem::take(contents))
    }

    /// The contents of a file.
    ///
    /// # Errors
    /// [`Error::Snapshot`] where there is none of that name.
    pub(crate) fn take(&mut self, name: &'static str) -> Result<Vec<u8>> {
        let found = self.files.iter_mut().find(|(n, _)| n == name);
        let contents = found.map(|(_, contents)| std::mem::take(contents));
        contents.ok_or_else(|| Error::snapshot(name, "is missing"))
    }
}
