//! The samples that a training measures on.

use crate::Result;
use crate::data::{BatchConfig, Loader};
use crate::record::TRAINING_MEASURED;
use crate::task::{AnySource, Split, Task};

/// Samples in a batch when measuring.
const EVALUATION_BATCH: usize = 500;

/// The samples that a training measures on.
#[derive(Debug)]
pub(super) struct Measured {
    /// Some of those that it learns from.
    pub(super) train: Loader<AnySource>,
    pub(super) validation: Option<Loader<AnySource>>,
    pub(super) test: Loader<AnySource>,
}

impl Measured {
    pub(super) fn new(task: &dyn Task, batches: BatchConfig) -> Result<Self> {
        let config = BatchConfig { batch_size: EVALUATION_BATCH, drop_last: false, ..batches };
        let loader = |split, at_most| Loader::to_measure(task.to_measure(split, at_most)?, config);
        Ok(Self {
            train: loader(Split::Train, TRAINING_MEASURED)?,
            validation: if task.validates() {
                Some(loader(Split::Validation, usize::MAX)?)
            } else {
                None
            },
            test: loader(Split::Test, usize::MAX)?,
        })
    }
}
