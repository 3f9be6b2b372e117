//! What may be said of a batch.

use crate::{Error, Result};

/// What the caller states about a batch; everything is optional.
///
/// # Example
/// ```
/// use lowland::{Accumulate, BatchInfo};
///
/// // 20 samples in three micro-batches, with one perturbation for all of them.
/// let batch = BatchInfo::default().with_micro_batches(&[8, 8, 4], Accumulate::WholeBatch);
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct BatchInfo<'a> {
    size: Option<usize>,
    pub(crate) indices: Option<&'a [usize]>,
    pub(crate) micro_batches: &'a [usize],
    pub(crate) accumulate: Accumulate,
}

/// What the gradients of a step are when its batch comes in micro-batches. What goes to the base
/// optimizer, once a step, is always a mean over micro-batches, each with the weight of its share
/// of the batch's samples. Running statistics move once for each micro-batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Accumulate {
    /// Each gradient is the mean over the micro-batches before the rule sees it: ascent over the
    /// whole batch, as if it had been taken in one piece.
    #[default]
    WholeBatch,
    /// The rule takes each micro-batch for a batch of its own, and what it gives for each is
    /// averaged: ascent along the micro-batch's own gradient (m-sharpness). A rule that counts
    /// steps counts micro-batches; what it keeps is that of the latest. Norms in the report are
    /// those of the last micro-batch.
    ///
    /// Of several micro-batches, MSAM, SAMPa and bSAM refuse it with
    /// [`Error::EachMicroBatch`]: they need one update for each step.
    EachMicroBatch,
}

impl<'a> BatchInfo<'a> {
    /// Says which samples of the data set these are, in the order of the batch.
    #[must_use]
    pub fn with_indices(mut self, indices: &'a [usize]) -> Self {
        self.indices = Some(indices);
        self
    }

    /// Sets the number of samples. Required with [`Workers`](crate::Workers) unless indices or
    /// micro-batches are given. A worker without samples in a step sets 0, and its loss is not
    /// asked for.
    #[must_use]
    pub fn with_size(mut self, samples: usize) -> Self {
        self.size = Some(samples);
        self
    }

    /// Says that the batch comes in micro-batches of these sizes, in samples, and what that means.
    #[must_use]
    pub fn with_micro_batches(mut self, sizes: &'a [usize], accumulate: Accumulate) -> Self {
        self.micro_batches = sizes;
        self.accumulate = accumulate;
        self
    }

    pub(crate) fn check(&self) -> Result<()> {
        if let Some(&size) = self.micro_batches.iter().find(|&&size| size == 0) {
            let expected = self.micro_batches.iter().sum();
            return Err(Error::Batch { what: "samples in a micro-batch", expected, found: size });
        }
        let fits = |what, found: Option<usize>| match (self.len(), found) {
            (Some(expected), Some(found)) if found != expected => {
                Err(Error::Batch { what, expected, found })
            }
            _ => Ok(()),
        };
        fits("indices", self.indices.map(<[usize]>::len))?;
        fits("samples", self.size)
    }

    /// The number of samples, where it was said.
    pub(crate) fn len(&self) -> Option<usize> {
        if self.micro_batches.is_empty() {
            self.indices.map(<[usize]>::len).or(self.size)
        } else {
            Some(self.micro_batches.iter().sum())
        }
    }
}
