//! ESAM: SAM with a sparse ascent and a descent on the samples it hurts most.

use burn::tensor::Distribution;
use derive_setters::Setters;
use serde::{Deserialize, Serialize};

use crate::algorithms::config::{AlgorithmConfig, Descriptor, Fidelity};
use crate::algorithms::scheduled::Scheduled;
use crate::error::{non_negative, positive_fraction};
use crate::rule::ascend::{AlongGradient, Ascend};
use crate::rule::descend::SharpGradient;
use crate::rule::schedule::EveryStep;
use crate::rule::select::{Select, largest, share};
use crate::rule::{ComposedRule, Gradient, Perturbation, Rule, Samples, Selection, Surface};
use crate::vector::read;
use crate::{Active, Result};

/// ESAM: ascends along randomly chosen weights only, and descends on the samples whose losses rise
/// most by it. Choose it where SAM's own cost is too much and per-sample losses are at hand.
///
/// # Update
/// ```text
/// mask `tensors`:       g of tensors drawn with probability β,  e = (ρ/β)·g/(‖g‖ + 1e-12)
/// mask `coordinates`:   e = (ρ/β)·m⊙g/(‖g‖ + 1e-12),  m_i ~ Bernoulli(β)
/// S = the ⌈γ·b⌉ samples with the largest rise of the loss from w to w + e
/// ĝ = ∇L_S(w + e)
/// ```
/// g = ∇L(w) is the gradient of the batch's mean loss, `L_S` the mean loss over S; ‖·‖ runs over
/// all parameters that take part. ĝ goes to the base optimizer.
///
/// # Cost
/// Passes per step: 1 − (1 − β)/3 + 1/3 + γ with masked tensors, on average and where the gradients
/// of inputs flow all the way; 4/3 + γ with masked coordinates; a third less where γ is 1. Memory:
/// none between steps. One read-back in each step where γ is below 1.
///
/// # Parameters
/// - `rho`: ρ, the radius, a length in parameter space, at least 0. Default 0.05 (authors' script
///   for ResNet-18).
/// - `beta`: β, the probability with which a weight takes part in the ascent, above 0 and at most
///   1, and `gamma`: γ, the share of the batch, in the table `select`: see [`TopRiseConfig`].
/// - `mask`: what β draws, `tensors` (authors' code) or `coordinates` (paper). Default tensors,
///   whose masked gradients are not computed.
///
/// The loss closure must give the losses of the samples it is asked for.
///
/// A budget or a late start needs `mask = "coordinates"` or `beta = 1`: a first gradient of some
/// tensors does not train the others.
///
/// # Fidelity
/// ESAM, 2021, arXiv 2110.03141. The authors' code masks whole tensors, so that the length of e is
/// always ρ/β, and adds 1e-7 to the norm; the paper masks coordinates. We keep the ⌈γ·b⌉ samples
/// that rose most, where the authors' code keeps one less, and none at all where losses tie.
/// Running statistics move in the first gradient alone; the authors' code moves them in all three
/// evaluations. β = γ = 1 gives SAM.
///
/// Authors' code: <https://github.com/dydjw9/Efficient_SAM>.
///
/// # Example
/// ```
/// use lowland::EsamConfig;
///
/// let rule = EsamConfig::default().build()?;
/// # Ok::<(), lowland::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, Setters)]
#[serde(deny_unknown_fields, default)]
#[setters(prefix = "with_", strip_option)]
#[setters(generate_delegates(ty = "Scheduled<EsamConfig>", field = "algorithm"))]
pub struct EsamConfig {
    /// ρ, the radius.
    pub rho: f64,
    /// β, the probability with which a weight takes part in the ascent, and γ, the share of the
    /// batch that the second gradient is taken on.
    pub select: TopRiseConfig,
    /// What β draws.
    pub mask: EsamMask,
}

impl Default for EsamConfig {
    fn default() -> Self {
        Self { rho: 0.05, select: TopRiseConfig::default(), mask: EsamMask::Tensors }
    }
}

impl EsamConfig {
    pub(super) const DESCRIPTOR: Descriptor = Descriptor {
        name: "esam",
        label: "ESAM",
        summary: "SAM with a sparse ascent, and a descent on the samples whose losses it lifts most",
        passes: "4/3 + gamma - (1 - beta)/3",
        memory: "0",
        below_one_pass: false,
        source: "arXiv 2110.03141",
        fidelity: Fidelity::AuthorsCode,
    };

    /// Creates the settings with this radius, ρ, and the defaults of everything else.
    pub fn new(rho: f64) -> Self {
        Self { rho, ..Self::default() }
    }
}

impl Scheduled<EsamConfig> {
    fn select(&mut self) -> &mut TopRiseConfig {
        &mut self.algorithm.select
    }
}

impl AlgorithmConfig for EsamConfig {
    fn descriptor(&self) -> Descriptor {
        Self::DESCRIPTOR
    }

    fn build(&self) -> Result<Box<dyn Rule>> {
        let rho = non_negative("rho", self.rho)?;
        let beta = positive_fraction("beta", self.select.beta)?;
        let (drawn, ascend): (f64, Box<dyn Ascend>) = match self.mask {
            EsamMask::Tensors => (beta, Box::new(AlongGradient::new(rho / beta)?)),
            EsamMask::Coordinates => (1.0, Box::new(Masked::new(rho, beta)?)),
        };
        let select = TopRise::new(TopRiseConfig { beta: drawn, ..self.select })?;
        Ok(Box::new(ComposedRule::of(
            Box::new(select),
            Box::new(EveryStep),
            ascend,
            Box::new(SharpGradient),
        )?))
    }
}

/// What ESAM's ascent masks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EsamMask {
    /// Whole parameter tensors, as in the authors' code.
    #[default]
    Tensors,
    /// Single coordinates, as in the paper.
    Coordinates,
}

/// `e = (ρ/β)·m⊙g/(‖g‖ + 1e-12)` with `m_i ~ Bernoulli(β)` drawn anew for every coordinate at each
/// step, so that the mean of e is that of SAM.
#[derive(Debug, Clone, Copy)]
pub struct Masked {
    rho: f64,
    beta: f64,
}

impl Masked {
    /// Sets the radius ρ and the probability β of a coordinate.
    ///
    /// # Errors
    /// A radius that is negative or not finite, a probability that is not above 0 or above 1.
    pub fn new(rho: f64, beta: f64) -> Result<Self> {
        Ok(Self { rho: non_negative("rho", rho)?, beta: positive_fraction("beta", beta)? })
    }
}

impl Ascend for Masked {
    fn perturbation<'a>(
        &mut self,
        g: &'a Gradient,
        surface: &mut dyn Surface,
    ) -> Result<Perturbation<'a>> {
        let g = g.ascent();
        let scale = g.inverse_norm().mul_scalar(self.rho / self.beta);
        let mask = surface.draw(g, Distribution::Bernoulli(self.beta));
        Ok(Perturbation { direction: g.clone().times_each(&mask).into(), scale })
    }
}

/// The settings of [`TopRise`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, Setters)]
#[serde(deny_unknown_fields, default)]
#[setters(prefix = "with_", strip_option)]
#[setters(generate_delegates(ty = "EsamConfig", field = "select"))]
#[setters(generate_delegates(ty = "Scheduled<EsamConfig>", method = "select"))]
pub struct TopRiseConfig {
    /// γ, the share of the batch that the second gradient is taken on, above 0 and at most 1.
    /// Default 0.5 (authors' script for ResNet-18).
    pub gamma: f64,
    /// β, the probability with which a parameter tensor takes part in the first gradient, above 0
    /// and at most 1; with 1 all do. Default 0.6 (the same).
    pub beta: f64,
}

impl Default for TopRiseConfig {
    fn default() -> Self {
        Self { gamma: 0.5, beta: 0.6 }
    }
}

/// Takes the first gradient on the whole batch with respect to parameter tensors drawn with
/// probability β each, and the second with respect to all on the `⌈γ·b⌉` samples whose losses rise
/// most from `w` to `w + e`. That takes a forward pass over the whole batch at `w + e` and one
/// read-back; none where γ is 1.
///
/// With β below 1 the first gradient is of some tensors only: every step must take the second one
/// and descend along it alone.
#[derive(Debug, Clone, Copy)]
pub struct TopRise {
    config: TopRiseConfig,
}

impl TopRise {
    /// Checks the settings.
    ///
    /// # Errors
    /// A share or probability that is not above 0 or above 1.
    pub fn new(config: TopRiseConfig) -> Result<Self> {
        positive_fraction("gamma", config.gamma)?;
        positive_fraction("beta", config.beta)?;
        Ok(Self { config })
    }
}

impl Select for TopRise {
    fn first(&mut self, surface: &mut dyn Surface) -> Result<Selection> {
        if self.config.beta >= 1.0 {
            return Ok(Selection::ALL);
        }
        let tensors = surface.parameters().len();
        let flags = (0..tensors).map(|_| surface.uniform() < self.config.beta).collect();
        Ok(Selection { samples: Samples::All, parameters: Active::Some(flags) })
    }

    fn second(
        &mut self,
        _first: Selection,
        e: &Perturbation<'_>,
        surface: &mut dyn Surface,
    ) -> Result<Selection> {
        if self.config.gamma >= 1.0 {
            return Ok(Selection::ALL);
        }
        let before = surface.latest_losses()?;
        let rise = read(vec![surface.losses(Some(e), &Samples::All)? - before])?;
        let of = rise.len();
        let positions = largest(&rise, share(self.config.gamma, of));
        Ok(Samples::Some { positions, of }.into())
    }

    fn thins_first_gradient(&self) -> bool {
        self.config.beta < 1.0
    }

    fn chooses_samples(&self) -> bool {
        self.config.gamma < 1.0
    }
}
