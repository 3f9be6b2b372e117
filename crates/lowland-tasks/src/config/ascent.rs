//! Along whose gradient the perturbation of a step is taken.

use std::num::NonZeroUsize;
use std::str::FromStr;

use lowland::Accumulate;
use serde::{Deserialize, Serialize};

use crate::Error;

/// Over which samples the gradient of the ascent, the first of a step, is the mean. The gradient
/// that goes to the base optimizer is the mean over the whole batch in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AscentScope {
    /// Those of the whole batch, in however many micro-batches and on however many workers.
    #[default]
    Global,
    /// Those of the workers of a group: so many with neighbouring numbers.
    Group(NonZeroUsize),
    /// Those of one worker: each ascends along the gradient of its own part, as in m-sharpness.
    Local,
    /// Those of one micro-batch: each is taken along its own gradient, as in m-sharpness.
    MicroBatch,
}

impl AscentScope {
    /// How many of `workers` ascend together.
    pub fn group(self, workers: usize) -> usize {
        match self {
            Self::Global => workers,
            Self::Group(size) => size.get(),
            Self::Local | Self::MicroBatch => 1,
        }
    }

    /// What the gradients of a step are where its batch comes in micro-batches.
    pub(crate) fn accumulate(self) -> Accumulate {
        match self {
            Self::MicroBatch => Accumulate::EachMicroBatch,
            _ => Accumulate::WholeBatch,
        }
    }
}

impl FromStr for AscentScope {
    type Err = Error;

    /// Reads `global`, `local`, `micro-batch`, or the number of workers of a group.
    fn from_str(text: &str) -> Result<Self, Error> {
        match (text, text.parse()) {
            ("global", _) => Ok(Self::Global),
            ("local", _) => Ok(Self::Local),
            ("micro-batch", _) => Ok(Self::MicroBatch),
            (_, Ok(size)) => Ok(Self::Group(size)),
            _ => Err(Error::Setting {
                field: "ascent_scope",
                found: text.to_owned(),
                allowed: "global, local, micro-batch or a number of workers above 0",
            }),
        }
    }
}
