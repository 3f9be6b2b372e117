//! SAMPa: two gradients a step that do not wait for each other.

use derive_setters::Setters;
use serde::{Deserialize, Serialize};

use crate::algorithms::config::{AlgorithmConfig, Descriptor, Fidelity};
use crate::algorithms::scheduled::Scheduled;
use crate::error::fraction;
use crate::rule::ascend::{AlongGradient, Ascend};
use crate::rule::{Gradient, Perturbation, Rule, Selection, Surface, Update};
use crate::state::Memory;
use crate::vector::one;
use crate::{ParamVec, Result};

/// SAMPa: SAM with two gradients a step that do not depend on each other. Lowland takes them one
/// after the other, so that a step costs what SAM's costs: choose it to reproduce SAMPa.
///
/// # Update
/// ```text
/// y_t = base(x_t, g_{t−1}),        g_t = ∇L_{B_t}(y_t)
/// x̃_t = x_t + ρ·g_{t−1}/‖g_{t−1}‖,  g̃_t = ∇L_{B_{t−1}}(x̃_t)
/// ĝ = (1 − λ)·g̃_t + λ·g_t
/// ```
/// `L_B` is the mean loss of a batch; ‖·‖ runs over all trainable parameters; `base(x, g)` is the
/// step that the base optimizer would take. ĝ goes to the base optimizer, at x. At the first step
/// both gradients are taken at the first weights on the first batch.
///
/// g̃ of a step is taken as soon as x is known, at the end of the step before, while that step's
/// batch is at hand. It and the next g depend on x and the latest g alone, not on each other.
///
/// # Cost
/// Passes per step: 2, one after the other. The last step's g̃ goes unused. Memory: two copies of
/// the parameters (g and g̃).
///
/// # Parameters
/// - `rho`: ρ, the radius, a length in parameter space, at least 0. Default 0.1 (authors' code).
/// - `lambda`: λ, the share of g, between 0 and 1. Default 0.2 (authors' code).
///
/// # Fidelity
/// SAMPa, 2024, arXiv 2410.10683, as the authors' code has it: y is predicted with the base
/// optimizer's whole step, momentum and weight decay included, and g̃ is taken on the batch that
/// made g. Any base optimizer can predict here, and λ = 0 works, which the code divides by. Running
/// statistics move at y; the code keeps those of each device and evaluates with those of x̃.
/// Gradient clipping also acts on the prediction.
///
/// Authors' code: <https://github.com/LIONS-EPFL/SAMPa>.
///
/// # Example
/// ```
/// use lowland::SampaConfig;
///
/// let rule = SampaConfig::default().build()?;
/// # Ok::<(), lowland::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, Setters)]
#[serde(deny_unknown_fields, default)]
#[setters(prefix = "with_", strip_option)]
#[setters(generate_delegates(ty = "Scheduled<SampaConfig>", field = "algorithm"))]
pub struct SampaConfig {
    /// ρ, the radius.
    pub rho: f64,
    /// λ, the share of the gradient at the predicted weights.
    pub lambda: f64,
}

impl Default for SampaConfig {
    fn default() -> Self {
        Self { rho: 0.1, lambda: 0.2 }
    }
}

impl SampaConfig {
    pub(super) const DESCRIPTOR: Descriptor = Descriptor {
        name: "sampa",
        label: "SAMPa",
        summary: "SAM with two gradients that do not wait for each other",
        passes: "2",
        memory: "2",
        below_one_pass: false,
        source: "arXiv 2410.10683",
        fidelity: Fidelity::AuthorsCode,
    };

    /// Creates the settings with this radius, ρ, and the defaults of everything else.
    pub fn new(rho: f64) -> Self {
        Self { rho, ..Self::default() }
    }
}

impl AlgorithmConfig for SampaConfig {
    fn descriptor(&self) -> Descriptor {
        Self::DESCRIPTOR
    }

    fn build(&self) -> Result<Box<dyn Rule>> {
        Ok(Box::new(Sampa {
            lambda: fraction("lambda", self.lambda)?,
            ascend: Box::new(AlongGradient::new(self.rho)?),
            predicted: None,
            sharp: None,
        }))
    }
}

/// The rule of [`SampaConfig`].
#[derive(Debug, Clone)]
struct Sampa {
    lambda: f64,
    ascend: Box<dyn Ascend>,
    /// g, at the weights predicted for the latest step.
    predicted: Option<ParamVec>,
    /// g̃, for the next step.
    sharp: Option<ParamVec>,
}

impl Rule for Sampa {
    fn update(&mut self, surface: &mut dyn Surface) -> Result<Update> {
        let g = match self.predicted.take() {
            None => surface.gradient(&Selection::ALL)?.into_vec(),
            Some(before) => {
                let step = surface.base_step(&before);
                let e = Perturbation { scale: one(&step), direction: step.into() };
                surface.gradient_at(&e, &Selection::ALL)?
            }
        };
        let update = match self.sharp.take() {
            None => g.clone(),
            Some(sharp) => {
                let rest = sharp.map(|part| part.mul_scalar(1.0 - self.lambda));
                rest.plus_scaled(&g, self.lambda)
            }
        };
        // g̃ of the next step, at its weights: the batch is at hand now.
        let step = surface.base_step(&update);
        let g = Gradient::from(g);
        let e = self.ascend.perturbation(&g, surface)?;
        let direction = step.plus(&e.direction.into_owned().times(&e.scale));
        let e = Perturbation { scale: one(&direction), direction: direction.into() };
        self.sharp = Some(surface.gradient_at(&e, &Selection::ALL)?);
        self.predicted = Some(g.into_vec());
        Ok(update.into())
    }

    fn save(&self, memory: &mut Memory) -> Result<()> {
        memory.put_vector("predicted", self.predicted.as_ref());
        memory.put_vector("sharp", self.sharp.as_ref());
        self.ascend.save(memory)
    }

    fn restore(&mut self, memory: &mut Memory) -> Result<()> {
        self.predicted = memory.take_vector("predicted")?;
        self.sharp = memory.take_vector("sharp")?;
        self.ascend.restore(memory)
    }

    fn ascend(&mut self) -> Option<&mut Box<dyn Ascend>> {
        Some(&mut self.ascend)
    }

    fn needs_whole_batches(&self) -> bool {
        true
    }
}
