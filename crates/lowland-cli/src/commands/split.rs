//! `--on`: the part of the data that a command measures.

use clap::ValueEnum;
use lowland_tasks::task::Split;

/// A part of the data, as a value of `--on`.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum SplitArg {
    /// Samples of training
    Train,
    /// Samples of the validation part
    Validation,
    /// Samples of the test set
    Test,
}

impl From<SplitArg> for Split {
    fn from(split: SplitArg) -> Self {
        match split {
            SplitArg::Train => Self::Train,
            SplitArg::Validation => Self::Validation,
            SplitArg::Test => Self::Test,
        }
    }
}
