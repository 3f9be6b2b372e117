//! How much the loss rises within a radius: sharpness as sharpness-aware minimisation means it.

use std::ops::ControlFlow;

use burn::module::Module;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::draw::{gaussian, generator, uniform, unit};
use super::map::dimension;
use super::{Estimate, LossSurface, Progress};
use crate::algorithms::{Adaptive, AsamConfig, Scaling};
use crate::error::{at_least_one, non_negative, positive};
use crate::vector::read;
use crate::{ParamVec, Result};

/// What a length within the radius is measured in.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Scale {
    /// In weights: `‖e‖ ≤ ρ`, as SAM has it.
    #[default]
    Plain,
    /// In shares of each weight: `‖T⁻¹e‖ ≤ ρ` with `T = |w| + η`, as ASAM has it, so that weights
    /// that differ in scale alone are equally sharp. ASAM's ρ is about ten times that of SAM.
    Adaptive {
        /// η, added to `|w|`. At least 0.
        eta: f64,
        /// On which parameters `T` is so; it is 1 on the others.
        scaling: Scaling,
    },
}

impl Scale {
    /// `T`, absent where it is 1.
    fn factors<M, F>(self, surface: &LossSurface<M, F>, rho: f64) -> Result<ParamVec>
    where
        M: Module,
        F: FnMut(&M, usize) -> Tensor<1>,
    {
        let weights = surface.weights().clone();
        match self {
            Self::Plain => Ok(ParamVec::new(vec![None; weights.len()])),
            Self::Adaptive { eta, scaling } => Ok(Adaptive::new(AsamConfig { rho, eta, scaling })?
                .scales(weights, surface.parameters())),
        }
    }
}

/// The settings of [`largest_rise`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LargestRiseConfig {
    /// ρ, the radius. At least 0, default 0.05, which is SAM's.
    pub rho: f64,
    /// What it is measured in. Default plain.
    pub scale: Scale,
    /// The steps of the ascent. At least 1, default 10. With 1 it ends at SAM's or ASAM's own
    /// perturbation.
    pub steps: usize,
    /// The length of all steps but the first, as a share of ρ. Above 0, default 0.5. The first has
    /// the length ρ.
    pub step: f64,
}

impl Default for LargestRiseConfig {
    fn default() -> Self {
        Self { rho: 0.05, scale: Scale::Plain, steps: 10, step: 0.5 }
    }
}

/// What [`largest_rise`] found.
#[derive(Debug, Clone)]
pub struct LargestRise {
    /// The largest rise found, at least 0: the weights themselves lie within the radius.
    pub rise: f64,
    /// The standard error of the rise over the samples: `s/√n` with the sample standard deviation
    /// `s` of the rises of the n samples' own losses at the perturbation that was found. The
    /// samples are taken for independent draws, and the perturbation for given: that it was found
    /// on the same samples makes the rise too large for others, by what is not in the error. `None`
    /// of one sample, where the surface has the mean loss of a batch alone, and where no rise was
    /// found.
    pub standard_error: Option<f64>,
    /// The loss at the weights.
    pub loss: f64,
    /// The rise after each step of the ascent. The first is that at SAM's (or ASAM's) perturbation.
    pub rises: Vec<f64>,
}

/// The largest rise of the loss within a radius, from below.
///
/// ```text
/// max over ‖T⁻¹e‖ ≤ ρ of L(w + e) − L(w)
///
/// z_1     = ρ·T∇L(w)/‖T∇L(w)‖
/// z_{k+1} = P(z_k + step·ρ·T∇L(w + T·z_k)/‖T∇L(w + T·z_k)‖)
/// ```
///
/// `T·z_1` is what SAM or ASAM adds to the weights; P shortens what is longer than ρ to ρ.
///
/// The ascent finds a place where the loss is high, not the highest: what is returned is the
/// largest rise along its way, a lower bound of the true maximum. `L` is the mean over all batches
/// of the surface; a surface over a single batch gives the rise that SAM sees in one of its steps.
/// Where the gradient is zero there is no way up, and the rise found is 0.
///
/// Ends early when `progress` breaks off; it is called after each step.
///
/// # Cost
/// A gradient a step, and a forward pass; two more forward passes for the standard error.
///
/// # Source
/// Foret, Kleiner, Mobahi, Neyshabur (2021), arXiv:2010.01412; adaptive: Kwon, Kim, Park, Choi
/// (2021), arXiv:2102.11600. Keskar et al. (2017), arXiv:1609.04836, measure sharpness by a largest
/// rise within a box.
///
/// # Errors
/// A setting out of range, losses that are not finite, and what the surface itself gives.
pub fn largest_rise<M, F>(
    surface: &mut LossSurface<M, F>,
    config: &LargestRiseConfig,
    mut progress: impl FnMut(Progress) -> ControlFlow<()>,
) -> Result<LargestRise>
where
    M: Module,
    F: FnMut(&M, usize) -> Tensor<1>,
{
    let rho = non_negative("rho", config.rho)?;
    let total = at_least_one("steps", config.steps)?;
    let step = positive("step", config.step)?;
    let t = config.scale.factors(surface, rho)?;

    let zero = surface.weights().clone().map(|part| part.zeros_like());
    let (loss, mut g) = surface.gradient_at(&zero)?;
    let mut z = zero.clone();
    let mut rises = Vec::new();
    let (mut rise, mut highest) = (0.0, None);
    for done in 1..=total {
        let length = if done == 1 { rho } else { step * rho };
        let up = unit(g.times_where(&t));
        z = within(z.plus_scaled(&up, length), rho)?;
        let e = z.clone().times_where(&t);
        let (reached, next) = if done < total {
            surface.gradient_at(&e)?
        } else {
            (surface.loss_at(&e)?, ParamVec::default())
        };
        rises.push(reached - loss);
        if reached - loss > rise {
            (rise, highest) = (reached - loss, Some(e));
        }
        g = next;
        if progress(Progress { done, total }).is_break() {
            break;
        }
    }
    let standard_error = match highest {
        Some(e) => error_over_samples(surface, &zero, &e)?,
        None => None,
    };
    Ok(LargestRise { rise, standard_error, loss, rises })
}

/// The standard error over the samples of the rise from one perturbation to another.
fn error_over_samples<M, F>(
    surface: &mut LossSurface<M, F>,
    from: &ParamVec,
    to: &ParamVec,
) -> Result<Option<f64>>
where
    M: Module,
    F: FnMut(&M, usize) -> Tensor<1>,
{
    let Some(before) = surface.sample_losses_at(from)? else { return Ok(None) };
    let Some(after) = surface.sample_losses_at(to)? else { return Ok(None) };
    let rises: Vec<f64> = after.iter().zip(before).map(|(after, before)| after - before).collect();
    Ok(Estimate::of(&rises).standard_error)
}

/// `z`, shortened to `radius` where it is longer.
fn within(z: ParamVec, radius: f64) -> Result<ParamVec> {
    let length = read(vec![z.norm()])?[0];
    Ok(if length > radius { z.map(|part| part.mul_scalar(radius / length)) } else { z })
}

/// How perturbations are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Draw {
    /// Uniformly from the ball: `‖z‖ ≤ ρ`.
    #[default]
    Ball,
    /// Uniformly from its surface: `‖z‖ = ρ`. With many weights the two are the same but for a
    /// factor close to 1.
    Sphere,
    /// From the normal distribution of deviation ρ in each weight, so that `‖z‖` is about `ρ·√n`.
    Gaussian,
}

/// The settings of [`average_rise`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AverageRiseConfig {
    /// ρ, the radius. At least 0, default 0.05.
    pub rho: f64,
    /// What it is measured in. Default plain.
    pub scale: Scale,
    /// How perturbations are drawn. Default uniformly from the ball.
    pub draw: Draw,
    /// How many directions are drawn. At least 1, default 50.
    pub directions: usize,
    /// The seed of the directions. Default 0.
    pub seed: u64,
}

impl Default for AverageRiseConfig {
    fn default() -> Self {
        let (scale, draw) = (Scale::Plain, Draw::Ball);
        Self { rho: 0.05, scale, draw, directions: 50, seed: 0 }
    }
}

/// What [`average_rise`] found.
#[derive(Debug, Clone)]
pub struct AverageRise {
    /// The average rise, and how far the mean over the draws may be off. May be negative.
    pub rise: Estimate,
    /// The loss at the weights.
    pub loss: f64,
    /// The rise of each draw.
    pub draws: Vec<f64>,
}

/// The average rise of the loss within a radius.
///
/// ```text
/// E[L(w + T·z) − L(w)]     z drawn as Draw says
/// ```
///
/// Each draw is the mean of the rises at `z` and at `−z`, which are equally likely: the slope of
/// the loss, which averages to zero, then is out of the way of its curvature. For small ρ the
/// average from the sphere is `ρ²·tr(THT)/(2n)`.
///
/// Ends early when `progress` breaks off; it is called after each direction.
///
/// # Cost
/// Two forward passes a direction, and one.
///
/// # Source
/// With [`Draw::Gaussian`] and [`Scale::Adaptive`] with η = 0 on all parameters, the average-case
/// adaptive sharpness of Andriushchenko, Croce, Müller, Hein, Flammarion (2023), arXiv:2302.07011,
/// for the batches of the surface as one.
///
/// # Errors
/// A setting out of range, losses that are not finite, and what the surface itself gives.
pub fn average_rise<M, F>(
    surface: &mut LossSurface<M, F>,
    config: &AverageRiseConfig,
    mut progress: impl FnMut(Progress) -> ControlFlow<()>,
) -> Result<AverageRise>
where
    M: Module,
    F: FnMut(&M, usize) -> Tensor<1>,
{
    let rho = non_negative("rho", config.rho)?;
    let total = at_least_one("directions", config.directions)?;
    let t = config.scale.factors(surface, rho)?;

    let loss = surface.loss()?;
    let mut draws = Vec::new();
    for probe in 0..total {
        let e = drawn(surface.weights(), config, probe).times_where(&t);
        let ahead = surface.loss_at(&e)?;
        let behind = surface.loss_at(&e.map(Tensor::neg))?;
        draws.push(0.5 * (ahead - loss) + 0.5 * (behind - loss));
        if progress(Progress { done: probe + 1, total }).is_break() {
            break;
        }
    }
    Ok(AverageRise { rise: Estimate::of(&draws), loss, draws })
}

/// The perturbation of one probe, in units of `T`.
fn drawn(like: &ParamVec, config: &AverageRiseConfig, probe: usize) -> ParamVec {
    let mut generator = generator(config.seed, probe);
    let z = gaussian(like, &mut generator);
    let (z, length) = match config.draw {
        Draw::Gaussian => (z, config.rho),
        Draw::Sphere => (unit(z), config.rho),
        // The share of the ball within r is (r/ρ)ⁿ.
        Draw::Ball => {
            let share = uniform(&mut generator).powf(1.0 / dimension(like).max(1) as f64);
            (unit(z), config.rho * share)
        }
    };
    z.map(|part| part.mul_scalar(length))
}
