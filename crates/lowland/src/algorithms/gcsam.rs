//! GCSAM: SAM that perturbs along a centralised gradient.

use derive_setters::Setters;
use serde::{Deserialize, Serialize};

use crate::algorithms::config::{AlgorithmConfig, Descriptor, Fidelity};
use crate::algorithms::scheduled::Scheduled;
use crate::error::non_negative;
use crate::rule::ascend::Ascend;
use crate::rule::descend::SharpGradient;
use crate::rule::schedule::EveryStep;
use crate::rule::select::AllSamples;
use crate::rule::{ComposedRule, Gradient, Perturbation, Rule, Surface};
use crate::{ParamVec, Result};

/// GCSAM: SAM that perturbs along the centralised gradient: each output's gradient minus its mean
/// over the inputs. Choose it beside SAM where gradient centralisation helps the base optimizer.
///
/// # Update
/// ```text
/// c = g less, in tensors of two or more axes, its mean over all axes but that of the outputs
/// e = ρ·c/(‖g‖ + 1e-12),   ĝ = ∇L(w + e)
/// ```
/// g = ∇L(w) is the gradient of the batch's mean loss; ‖·‖ runs over all trainable parameters: the
/// norm is that of g before it is centred, so that `‖e‖ ≤ ρ`. ĝ goes to the base optimizer as it
/// is.
///
/// # Cost
/// Passes per step: 2. Memory: none between steps.
///
/// # Parameters
/// - `rho`: ρ, the radius, a length in parameter space, at least 0. Default 0.05.
///
/// # Fidelity
/// GCSAM, 2025, arXiv 2501.11584, in the form of `SAM(use_gc=True)` of `pytorch_optimizer`, whose
/// equations the golden traces follow; the authors' code is not known to us. The outputs are the
/// first axis, but the second of a weight that a `Linear` layer keeps as `[in, out]`.
///
/// # Example
/// ```
/// use lowland::GcsamConfig;
///
/// let rule = GcsamConfig::new(0.1).build()?;
/// # Ok::<(), lowland::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, Setters)]
#[serde(deny_unknown_fields, default)]
#[setters(prefix = "with_", strip_option)]
#[setters(generate_delegates(ty = "Scheduled<GcsamConfig>", field = "algorithm"))]
pub struct GcsamConfig {
    /// ρ, the radius.
    pub rho: f64,
}

impl Default for GcsamConfig {
    fn default() -> Self {
        Self { rho: 0.05 }
    }
}

impl GcsamConfig {
    pub(super) const DESCRIPTOR: Descriptor = Descriptor {
        name: "gcsam",
        label: "GCSAM",
        summary: "SAM that perturbs along a centralised gradient",
        passes: "2",
        memory: "0",
        below_one_pass: false,
        source: "arXiv 2501.11584",
        fidelity: Fidelity::Equations,
    };

    /// Creates the settings with this radius, ρ.
    pub fn new(rho: f64) -> Self {
        Self { rho }
    }
}

impl AlgorithmConfig for GcsamConfig {
    fn descriptor(&self) -> Descriptor {
        Self::DESCRIPTOR
    }

    fn build(&self) -> Result<Box<dyn Rule>> {
        Ok(Box::new(ComposedRule::new(AllSamples, EveryStep, Centred::new(*self)?, SharpGradient)?))
    }
}

/// `e = ρ·c/(‖g‖ + 1e-12)`, where c is g with the mean over the inputs of each output taken off.
#[derive(Debug, Clone, Copy)]
pub struct Centred {
    rho: f64,
}

impl Centred {
    /// Checks the settings of GCSAM.
    ///
    /// # Errors
    /// A radius that is negative or not finite.
    pub fn new(config: GcsamConfig) -> Result<Self> {
        Ok(Self { rho: non_negative("rho", config.rho)? })
    }
}

impl Ascend for Centred {
    fn perturbation<'a>(
        &mut self,
        g: &'a Gradient,
        surface: &mut dyn Surface,
    ) -> Result<Perturbation<'a>> {
        let g = g.ascent();
        let scale = g.inverse_norm().mul_scalar(self.rho);
        let parts = g.parts().iter().zip(surface.parameters().iter());
        let centred = parts.map(|(part, parameter)| {
            let part = part.clone()?;
            let shape = &parameter.shape;
            if shape.num_dims() < 2 {
                return Some(part);
            }
            let elements = shape.num_elements();
            // The outputs are the first axis, or the second of two.
            let (rows, inputs) = match parameter.outputs {
                0 => (shape[0], 1),
                _ => (shape[0], 0),
            };
            let table = part.reshape([rows, elements / rows.max(1)]);
            let mean = table.clone().mean_dim(inputs);
            Some((table - mean).reshape([elements]))
        });
        let direction = ParamVec::new(centred.collect());
        Ok(Perturbation { direction: direction.into(), scale })
    }
}
