//! How a loss surface is measured.

use burn::module::{Flag, Module, ModuleMapper, Param};
use serde::{Deserialize, Serialize};

use super::difference::Difference;

/// How layers that know training from evaluation behave while the loss is measured.
///
/// Running statistics are never moved, whichever it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Normalisation {
    /// As in evaluation: BatchNorm normalises with its running statistics, dropout drops nothing.
    /// This is the function that is deployed, and it does not depend on how samples are put into
    /// batches.
    ///
    /// It is brought about through Burn's training flags, which Burn's own layers heed. A layer of
    /// your own that has no such flag and looks at the device alone behaves as in training.
    #[default]
    Evaluation,
    /// As in training: BatchNorm normalises with the statistics of each batch, which
    /// makes the loss depend on the batches, and dropout draws the same masks for a batch at each
    /// evaluation. A layer whose flag was off before stays off.
    Batch,
}

/// The settings of a [`LossSurface`](super::LossSurface).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SurfaceConfig {
    /// How BatchNorm and dropout behave. Default as in evaluation.
    pub normalisation: Normalisation,
    /// How far from the weights the two gradients of a Hessian product are taken. Default chosen
    /// from the loss.
    pub difference: Difference,
    /// The seed given to the device before each batch, for dropout. Default 0.
    pub seed: u64,
}

impl Normalisation {
    /// A module whose layers behave so.
    pub(super) fn apply<M: Module>(self, module: M) -> M {
        match self {
            Self::Evaluation => module.map(&mut FlagsOff),
            Self::Batch => module,
        }
    }
}

struct FlagsOff;

impl ModuleMapper for FlagsOff {
    fn map_flag(&mut self, flag: Param<Flag>) -> Param<Flag> {
        flag.with_value(false)
    }
}
