//! What every algorithm's settings have in common.

use burn::optim::ModuleOptimizer;

use crate::Result;
use crate::algorithms::controller::ControllerConfig;
use crate::rule::Rule;

/// What there is to say about an algorithm in a line or a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Descriptor {
    /// Its name in configuration and on the command line.
    pub name: &'static str,
    /// Its name in text.
    pub label: &'static str,
    /// One sentence on what it does.
    pub summary: &'static str,
    /// Gradient evaluations a step, as a formula.
    pub passes: &'static str,
    /// Memory kept between steps beyond the base optimizer's, in copies of the parameters.
    pub memory: &'static str,
    /// Whether a step can cost less than one pass, since samples or parameters are left out of all
    /// its gradients.
    pub below_one_pass: bool,
    /// Where it comes from.
    pub source: &'static str,
    /// How it is known to be what its source describes.
    pub fidelity: Fidelity,
}

/// How an algorithm is known to be what its source describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fidelity {
    /// By golden traces of its authors' code, or of code that follows it line by line.
    AuthorsCode,
    /// By golden traces of its equations, as published or as a public implementation has them; the
    /// algorithm's page says which.
    Equations,
    /// By worked numbers and laws alone.
    Laws,
}

impl std::fmt::Display for Fidelity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::AuthorsCode => "traces of the authors' code",
            Self::Equations => "traces of the equations",
            Self::Laws => "laws",
        })
    }
}

/// The settings of an algorithm: plain values that are checked once, where the rule is made.
pub trait AlgorithmConfig {
    /// What there is to say about the algorithm.
    fn descriptor(&self) -> Descriptor;

    /// Checks the values and makes the rule.
    ///
    /// # Errors
    /// A value outside its allowed range, named.
    fn build(&self) -> Result<Box<dyn Rule>>;

    /// The base optimizer that belongs under the rule, for algorithms that bring their own
    /// ([`SharpnessAware::over_own_base`](crate::SharpnessAware::over_own_base)).
    ///
    /// # Errors
    /// A value outside its allowed range, named.
    fn base(&self) -> Result<Option<ModuleOptimizer>> {
        Ok(None)
    }

    /// The settings for a training set of so many samples, for algorithms that need its size and
    /// were not given it.
    #[must_use]
    fn with_sample_count(self, _count: u64) -> Self
    where
        Self: Sized,
    {
        self
    }

    /// The settings of the controller that a budget in place of the algorithm's own schedule keeps.
    fn controller(&self) -> Option<&ControllerConfig> {
        None
    }
}
