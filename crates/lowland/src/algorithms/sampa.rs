//! SAMPa: two gradients a step that do not wait for each other.

use derive_setters::Setters;
use serde::{Deserialize, Serialize};

use crate::algorithms::{AlgorithmConfig, Descriptor};
use crate::ascend::{AlongGradient, Ascend};
use crate::error::fraction;
use crate::parallel::{Half, Share};
use crate::rule::{Perturbation, Rule, Selection, Surface};
use crate::state::State;
use crate::vector::{one, read};
use crate::{Error, ParamVec, Result, Scheduled, Workers};

/// SAMPa: SAM with two gradients a step that do not depend on each other, so that two devices can take them
/// at once. Choose it where a second device is at hand; on one it costs what SAM costs.
///
/// # Update
/// ```text
/// y_t = base(x_t, g_{t−1}),        g_t = ∇L_{B_t}(y_t)
/// x̃_t = x_t + ρ·g_{t−1}/‖g_{t−1}‖,  g̃_t = ∇L_{B_{t−1}}(x̃_t)
/// ĝ = (1 − λ)·g̃_t + λ·g_t
/// ```
/// `L_B` is the mean loss of a batch; ‖·‖ runs over all trainable parameters; `base(x, g)` is the step that the
/// base optimizer would take. ĝ goes to the base optimizer, at x. At the first step both gradients are
/// taken at the first weights on the first batch.
///
/// g̃ of a step is taken as soon as x is known, at the end of the step before, while that step's batch is
/// at hand. It and the next g depend on x and the latest g alone, not on each other.
///
/// # Cost
/// Passes per step: 2, one after the other on one device; at once by two halves of the workers of a training
/// ([`Workers::with_halves`]). The last step's g̃ goes unused. Memory: two copies of
/// the parameters (g and g̃).
///
/// # Parameters
/// - `rho`: ρ, the radius, a length in parameter space, at least 0. Default 0.1 (authors' code).
/// - `lambda`: λ, the share of g, between 0 and 1. Default 0.2 (authors' code).
///
/// # Fidelity
/// SAMPa, 2024, arXiv 2410.10683, as the authors' code has it: y is predicted with the base optimizer's
/// whole step, momentum and weight decay included, and g̃ is taken on the batch that made g. Any base optimizer
/// can predict here, and λ = 0 works, which the code divides by. Running statistics move at y; the code keeps
/// those of each device and evaluates with those of x̃. Gradient clipping also acts on the prediction.
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
        source: "arXiv 2410.10683",
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
            awaited: false,
            share: None,
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
    /// Whether it is still in the hands of one half of the workers.
    awaited: bool,
    /// This worker's share of it then.
    share: Option<Share>,
}

impl Sampa {
    /// g̃ from what the half of the workers that took it has of it; none where it is not finite.
    fn meet(
        &mut self,
        mean_of: &mut dyn FnMut(Option<&Share>) -> Result<Option<ParamVec>>,
    ) -> Result<()> {
        if !std::mem::take(&mut self.awaited) {
            return Ok(());
        }
        self.sharp = mean_of(self.share.take().as_ref())?;
        if let Some(sharp) = &self.sharp
            && !read(vec![sharp.norm()])?[0].is_finite()
        {
            self.sharp = None;
        }
        Ok(())
    }
}

impl Rule for Sampa {
    fn gradient(&mut self, surface: &mut dyn Surface) -> Result<ParamVec> {
        let g = match self.predicted.take() {
            None => surface.gradient(&Selection::ALL)?,
            Some(before) => {
                let step = surface.base_step(&before);
                let e = Perturbation { scale: one(&step), direction: step.into() };
                if surface.half().is_some() {
                    // The other half is at work on g̃ meanwhile.
                    let share = surface.share_at(Half::First, &e, &Selection::ALL)?;
                    surface.mean_of(share.as_ref())?.ok_or(Error::NoEvaluation)?
                } else {
                    surface.gradient_at(&e, &Selection::ALL)?
                }
            }
        };
        self.meet(&mut |share| surface.mean_of(share))?;
        self.predicted = Some(g.clone());
        Ok(match self.sharp.take() {
            None => g,
            Some(sharp) => {
                let rest = sharp.map(|part| part.mul_scalar(1.0 - self.lambda));
                rest.plus_scaled(&g, self.lambda)
            }
        })
    }

    fn after(&mut self, surface: &mut dyn Surface) -> Result<()> {
        if let Some(g) = &self.predicted {
            let e = self.ascend.perturbation(g, surface)?;
            if surface.half().is_some() {
                self.share = surface.share_at(Half::Second, &e, &Selection::ALL)?;
                self.awaited = true;
            } else {
                self.sharp = Some(surface.gradient_at(&e, &Selection::ALL)?);
            }
        }
        Ok(())
    }

    fn settle(&mut self, workers: &Workers) -> Result<()> {
        match self.predicted.clone() {
            Some(like) => self.meet(&mut |share| workers.mean_of(share, &like)),
            None => Ok(()),
        }
    }

    fn works_in_halves(&self) -> bool {
        true
    }

    fn state(&mut self, state: &mut dyn State) -> Result<()> {
        state.vector("predicted", &mut self.predicted)?;
        state.vector("sharp", &mut self.sharp)?;
        self.ascend.state(state)
    }

    fn ascend(&mut self) -> Option<&mut Box<dyn Ascend>> {
        Some(&mut self.ascend)
    }
}
