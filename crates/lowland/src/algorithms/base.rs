//! The base optimizer alone: what everything else is compared with.

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::algorithms::config::{AlgorithmConfig, Descriptor, Fidelity};
use crate::rule::ascend::AlongGradient;
use crate::rule::descend::SharpGradient;
use crate::rule::schedule::Never;
use crate::rule::select::AllSamples;
use crate::rule::{ComposedRule, Rule};

/// The base optimizer alone, with nothing added: SGD where the base is SGD. The baseline of every
/// comparison.
///
/// # Update
/// ```text
/// ĝ = g
/// ```
/// g = ∇L(w) is the gradient of the batch's mean loss. ĝ goes to the base optimizer.
///
/// # Cost
/// Passes per step: 1. Memory: none.
///
/// # Parameters
/// None.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BaseConfig {}

impl BaseConfig {
    pub(super) const DESCRIPTOR: Descriptor = Descriptor {
        name: "base",
        label: "base optimizer",
        summary: "the base optimizer alone; also named sgd",
        passes: "1",
        memory: "0",
        below_one_pass: false,
        source: "-",
        fidelity: Fidelity::Equations,
    };

    /// Creates the settings with their defaults.
    pub fn new() -> Self {
        Self::default()
    }
}

impl AlgorithmConfig for BaseConfig {
    fn descriptor(&self) -> Descriptor {
        Self::DESCRIPTOR
    }

    fn build(&self) -> Result<Box<dyn Rule>> {
        Ok(Box::new(ComposedRule::new(AllSamples, Never, AlongGradient::new(0.0)?, SharpGradient)?))
    }
}
