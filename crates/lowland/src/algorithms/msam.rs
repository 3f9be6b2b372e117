//! MSAM: one gradient a step, at weights perturbed along the momentum.

use derive_setters::Setters;
use serde::{Deserialize, Serialize};

use crate::algorithms::config::{AlgorithmConfig, Descriptor, Fidelity};
use crate::algorithms::scheduled::Scheduled;
use crate::rule::ascend::{AlongGradient, Ascend};
use crate::rule::{Gradient, Rule, Selection, Surface, Update};
use crate::state::Memory;
use crate::{ParamVec, Result};

/// MSAM (momentum SAM): takes its only gradient at weights perturbed along the latest update.
/// Choose it for something of SAM's effect at the cost of the base optimizer.
///
/// # Update
/// ```text
/// d = w_t − w_{t−1},   e = ρ·d/(‖d‖ + 1e-12),   ĝ = ∇L(w_t + e)
/// ```
/// L is the batch's mean loss; ‖·‖ runs over all trainable parameters. ĝ goes to the base
/// optimizer. The first step has no d, and e = 0. The base optimizer's last step d points along its
/// momentum buffer v, `d = −lr·v` for SGD with momentum, so that `e = −ρ·v/‖v‖`.
///
/// # Cost
/// Passes per step: 1. Memory: one copy of the parameters (the weights of before).
///
/// # Parameters
/// - `rho`: ρ, the radius, a length in parameter space, at least 0; the paper's are about ten times
///   SAM's. Default 0.3 (authors' setting for ResNet-50 on ImageNet; 3 on CIFAR-100).
///
/// # Fidelity
/// Momentum-SAM, 2024, arXiv 2401.12033. The authors' code keeps perturbed weights in the model and
/// must take the perturbation off before evaluation; here the module always holds the clean ones.
/// Weight decay acts on the clean weights (the code: on the perturbed ones). Over AdamW the authors
/// perturb along the mean gradient; here it is along the step that AdamW made of it. Running
/// statistics move at the perturbed weights, the only ones evaluated; the authors estimate them
/// anew before the test.
///
/// Authors' code: <https://github.com/MarlonBecker/MSAM>.
///
/// # Example
/// ```
/// use lowland::MsamConfig;
///
/// let rule = MsamConfig::default().build()?;
/// # Ok::<(), lowland::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, Setters)]
#[serde(deny_unknown_fields, default)]
#[setters(prefix = "with_", strip_option)]
#[setters(generate_delegates(ty = "Scheduled<MsamConfig>", field = "algorithm"))]
pub struct MsamConfig {
    /// ρ, the radius.
    pub rho: f64,
}

impl Default for MsamConfig {
    fn default() -> Self {
        Self { rho: 0.3 }
    }
}

impl MsamConfig {
    pub(super) const DESCRIPTOR: Descriptor = Descriptor {
        name: "msam",
        label: "MSAM",
        summary: "one gradient per step, at weights perturbed along the momentum",
        passes: "1",
        memory: "1",
        below_one_pass: false,
        source: "arXiv 2401.12033",
        fidelity: Fidelity::Equations,
    };

    /// Creates the settings with this radius, ρ.
    pub fn new(rho: f64) -> Self {
        Self { rho }
    }
}

impl AlgorithmConfig for MsamConfig {
    fn descriptor(&self) -> Descriptor {
        Self::DESCRIPTOR
    }

    fn build(&self) -> Result<Box<dyn Rule>> {
        Ok(Box::new(Msam { ascend: Box::new(AlongGradient::new(self.rho)?), before: None }))
    }
}

/// The rule of [`MsamConfig`].
#[derive(Debug, Clone)]
struct Msam {
    ascend: Box<dyn Ascend>,
    /// The weights of the step before.
    before: Option<ParamVec>,
}

impl Rule for Msam {
    fn update(&mut self, surface: &mut dyn Surface) -> Result<Update> {
        let weights = surface.weights();
        let Some(before) = self.before.replace(weights.clone()) else {
            return Ok(surface.gradient(&Selection::ALL)?.into());
        };
        // A parameter that is new to the training has not moved yet.
        let before = before.or(&weights);
        let way = weights.minus(&before);
        drop(before);
        let way = Gradient::from(way);
        let e = self.ascend.perturbation(&way, surface)?;
        Ok(surface.gradient_at(&e, &Selection::ALL)?.into())
    }

    fn save(&self, memory: &mut Memory) -> Result<()> {
        memory.put_vector("before", self.before.as_ref());
        self.ascend.save(memory)
    }

    fn restore(&mut self, memory: &mut Memory) -> Result<()> {
        self.before = memory.take_vector("before")?;
        self.ascend.restore(memory)
    }

    fn ascend(&mut self) -> Option<&mut Box<dyn Ascend>> {
        Some(&mut self.ascend)
    }

    fn needs_whole_batches(&self) -> bool {
        true
    }
}
