//! The loss over stated batches as a function of the weights. In one file, since making a surface,
//! moving on it and measuring it share its fields.

use burn::module::Module;
use burn::tensor::Tensor;

use super::difference::{Difference, by_type, chosen, disagreement};
use super::draw::{gaussian, generator, unit};
use super::map::SymmetricMap;
use super::section::Position;
use super::settings::SurfaceConfig;
use crate::error::positive;
use crate::module::placed;
use crate::vector::{Scalar, read};
use crate::{Active, Error, ParamVec, Parameters, Result};

/// The mean loss over stated batches, as a function of a module's weights:
///
/// ```text
/// L(w) = Σ_i n_i·L_i(w) / Σ_i n_i          n_i samples in batch i, of mean loss L_i
/// ```
///
/// Loss here is what the closure gives; weight decay, which lives in the optimizer, is no part of
/// it.
///
/// The surface holds a copy of the module that shares nothing with it that an evaluation could
/// change. Making it applies updates of running statistics that Burn still holds back, and nothing
/// else, to the module. The devices are seeded anew before each batch.
pub struct LossSurface<M, F> {
    /// The module as from [`Module::valid`], with running statistics of its own.
    base: M,
    parameters: Parameters,
    /// The weights of all parameters.
    all_weights: ParamVec,
    /// Those of the active ones.
    weights: ParamVec,
    active: Active,
    batches: Vec<usize>,
    losses: F,
    difference: Difference,
    /// What was chosen, where that is done.
    length: Option<f64>,
    seed: u64,
    passes: f64,
}

impl<M: std::fmt::Debug, F> std::fmt::Debug for LossSurface<M, F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { base, active, batches, length, seed, passes, .. } = self;
        f.debug_struct("LossSurface")
            .field("module", base)
            .field("active", active)
            .field("batches", batches)
            .field("difference", length)
            .field("seed", seed)
            .field("passes", passes)
            .finish_non_exhaustive()
    }
}

impl<M, F> LossSurface<M, F>
where
    M: Module,
    F: FnMut(&M, usize) -> Tensor<1>,
{
    /// The surface around the weights of `module`, over batches of the sizes `batches`: all of a
    /// data set, or the first few batches of it.
    ///
    /// `losses` gives the losses `[n]` of the samples of the i-th batch, or their mean `[1]`. A
    /// product with the Hessian calls it twice in a row for each batch, so that a loader has to
    /// produce it only once.
    ///
    /// # Errors
    /// No batch, an empty one, a difference that is not above 0; [`Error::Untracked`] for a module
    /// that is not on an autodiff device, or its [`valid`](Module::valid) copy, which has no
    /// trainable parameter; [`Error::NoParameters`] where all are frozen.
    pub fn new(module: &M, batches: &[usize], config: &SurfaceConfig, losses: F) -> Result<Self> {
        if batches.is_empty() || batches.contains(&0) {
            let found = format!("{batches:?}");
            return Err(Error::config("batches", &found, "at least one size, none of them 0"));
        }
        let parameters = Parameters::tracked(module)?;
        let weights = parameters.weights(module);
        if let Difference::Length(length) = config.difference {
            positive("difference", length)?;
        }
        let base = module.valid();
        let base = config.normalisation.apply(base);
        Ok(Self {
            base,
            parameters,
            all_weights: weights.clone(),
            weights,
            active: Active::All,
            batches: batches.to_vec(),
            losses,
            difference: config.difference,
            length: None,
            seed: config.seed,
            passes: 0.0,
        })
    }

    /// Restricts the surface to some parameters, such as those of a [`Layer`](super::Layer): from
    /// now on the others stay where they are, gradients and the Hessian are those with respect to
    /// the active ones, and random vectors have no other elements. A length that
    /// [`Difference::Auto`] chose is chosen anew. [`Active::All`] takes the restriction back.
    ///
    /// # Errors
    /// Flags that are not one for each parameter, or none that is set.
    pub fn restrict(&mut self, active: Active) -> Result<()> {
        if let Active::Some(flags) = &active
            && (flags.len() != self.parameters.len() || !flags.contains(&true))
        {
            return Err(Error::Mismatch {
                what: "a restriction",
                expected: format!("{} flags, not all false,", self.parameters.len()),
                found: format!("{flags:?}"),
            });
        }
        self.active = active;
        self.weights = self.masked(&self.all_weights);
        self.length = None;
        Ok(())
    }

    /// The trainable parameters, which all vectors run over.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// The weights that the surface lies around, without those that are not active.
    pub fn weights(&self) -> &ParamVec {
        &self.weights
    }

    /// The sizes of the batches.
    pub fn batches(&self) -> &[usize] {
        &self.batches
    }

    /// `h`, the length that [`Difference`] says. [`Difference::Auto`] chooses it now, unless an
    /// earlier product did.
    ///
    /// # Errors
    /// As [`gradient_at`](Self::gradient_at), where products are taken to choose it.
    pub fn difference(&mut self) -> Result<f64> {
        if let Some(length) = self.length {
            return Ok(length);
        }
        let length = match self.difference {
            Difference::Auto => self.chosen()?,
            Difference::ByType => by_type(&self.weights),
            Difference::Length(length) => length,
        };
        self.length = Some(length);
        Ok(length)
    }

    /// By products with a vector that two steps of power iteration turn to where the loss curves
    /// most.
    fn chosen(&mut self) -> Result<f64> {
        let by_type = by_type(&self.weights);
        let mut v = unit(gaussian(&self.weights, &mut generator(self.seed, 0)));
        for _ in 0..2 {
            v = unit(self.product(&v, by_type.max(POWER))?);
        }
        chosen(by_type, |length| self.product(&v, length))
    }

    /// What all evaluations have cost so far, in gradients over all batches; a forward pass is a
    /// third of one.
    pub fn passes(&self) -> f64 {
        self.passes
    }

    /// `L(w)`.
    ///
    /// # Errors
    /// A loss that is not finite, the wrong number of losses, a device that fails.
    pub fn loss(&mut self) -> Result<f64> {
        self.loss_of(&self.all_weights.clone())
    }

    /// `L(w + e)`, by forward passes alone. Parts of `e` that are absent count as zero; so do those
    /// that are not active.
    ///
    /// # Panics
    /// `e` is a vector over other parameters.
    ///
    /// # Errors
    /// As [`loss`](Self::loss).
    pub fn loss_at(&mut self, e: &ParamVec) -> Result<f64> {
        self.loss_of(&self.moved(e, 1.0))
    }

    /// The loss of each sample at `w + e`, in the order of the batches, by forward passes alone;
    /// `None` where the closure gives the mean loss of a batch in place of its samples' losses.
    ///
    /// # Panics
    /// `e` is a vector over other parameters.
    ///
    /// # Errors
    /// The wrong number of losses, a device that fails.
    pub fn sample_losses_at(&mut self, e: &ParamVec) -> Result<Option<Vec<f64>>> {
        let copy = self.copy(&self.moved(e, 1.0), None, &NONE);
        let mut all = Vec::new();
        for i in 0..self.batches.len() {
            let losses = self.batch_losses(&copy, i)?.inner();
            self.passes += self.share(i) / 3.0;
            if losses.dims()[0] != self.batches[i] {
                return Ok(None);
            }
            let losses = losses.try_into_vec_as::<f64>();
            all.extend(losses.map_err(|error| Error::ReadBack(error.to_string()))?);
        }
        Ok(Some(all))
    }

    /// `L(w + e)` and `∇L(w + e)` with respect to the active parameters.
    ///
    /// # Panics
    /// `e` is a vector over other parameters.
    ///
    /// # Errors
    /// As [`loss`](Self::loss), and a loss without a gradient graph.
    pub fn gradient_at(&mut self, e: &ParamVec) -> Result<(f64, ParamVec)> {
        let copy = self.copy(&self.moved(e, 1.0), None, &self.active.clone());
        let mut losses = Vec::new();
        let mut sum: Option<ParamVec> = None;
        for i in 0..self.batches.len() {
            let (loss, gradient) = self.differentiate(&copy, i)?;
            losses.push(loss);
            let share = self.share(i);
            sum = Some(match sum {
                None => gradient.map(|part| part.mul_scalar(share)),
                Some(sum) => sum.plus_scaled(&gradient, share),
            });
        }
        let loss = finite(self.mean(losses)?)?;
        Ok((loss, sum.ok_or(Error::NoEvaluation)?))
    }

    /// `H·v`, where `H` is the Hessian of the loss at `w` with respect to the active parameters.
    ///
    /// Burn differentiates once, so the product is a central difference of gradients:
    ///
    /// ```text
    /// H·v ≈ ‖v‖·(∇L(w + h·u) − ∇L(w − h·u))/(2h),      u = v/‖v‖
    /// ```
    ///
    /// The series of `∇L` leaves an error that grows as `h²`, rounding of gradients one that falls
    /// as `1/h`. Where the loss changes over a length ℓ, they are about `(h/ℓ)²/6` and `ε·ℓ/h` of
    /// the product; the sum is least near `h = ε^(1/3)·ℓ`, and about `ε^(2/3)` there. ℓ is not
    /// known. [`Difference::ByType`] takes 1 for it, whatever the length of the weights: ℓ is
    /// nearer to the radius of SAM than to `‖w‖`. With an ℓ of 0.1, the product is off by 4e-4 in
    /// `f32`.
    ///
    /// A gradient that jumps, as behind ReLU or a maximum, has no such series. The Hessian proper
    /// leaves the jumps out; a difference has in it the jumps between its two ends, divided by
    /// `2h`. With a small `h` few are met and each counts for much. That makes products noisy, and
    /// Lanczos converges to the noise: it can report an eigenvalue that is larger than any
    /// curvature of the loss by an order of magnitude
    /// (`eigenvalues_made_of_jumps_have_a_large_measured_residual` in `tests/sharpness.rs` shows
    /// one). A greater `h` averages over jumps and gives the curvature over a distance, which is
    /// what a step of SAM meets. [`Difference::Auto`] finds such a length.
    /// [`product_error`](Self::product_error) and
    /// [`Eigenpair::measured_residual`](super::Eigenpair::measured_residual) report what is left.
    ///
    /// # Panics
    /// `v` is a vector over other parameters.
    ///
    /// # Errors
    /// As [`gradient_at`](Self::gradient_at).
    pub fn hessian_times(&mut self, v: &ParamVec) -> Result<ParamVec> {
        let length = self.difference()?;
        self.product(v, length)
    }

    /// How far [`hessian_times`](Self::hessian_times) is off for `v`, estimated from a product at
    /// twice the distance: the length of their difference as a share of the product's. Where the
    /// series is at fault, this is three times the true error; where rounding is, about as large.
    /// Costs two products.
    ///
    /// # Panics
    /// `v` is a vector over other parameters.
    ///
    /// # Errors
    /// As [`gradient_at`](Self::gradient_at).
    pub fn product_error(&mut self, v: &ParamVec) -> Result<f64> {
        let length = self.difference()?;
        let far = self.product(v, 2.0 * length)?;
        disagreement(&far, &self.product(v, length)?)
    }

    fn product(&mut self, v: &ParamVec, h: f64) -> Result<ParamVec> {
        let v = self.masked(v);
        let u = unit(v.clone());
        let active = self.active.clone();
        let ahead = self.copy(&self.moved(&u, h), None, &active);
        let behind = self.copy(&self.moved(&u, -h), None, &active);
        let mut losses = Vec::new();
        let mut sum: Option<ParamVec> = None;
        for i in 0..self.batches.len() {
            let (loss_ahead, gradient_ahead) = self.differentiate(&ahead, i)?;
            let (loss_behind, gradient_behind) = self.differentiate(&behind, i)?;
            losses.push(loss_ahead + loss_behind);
            // The difference of each batch first: it is small, and summing it loses less.
            let difference = gradient_ahead.minus(&gradient_behind);
            let share = self.share(i) / (2.0 * h);
            sum = Some(match sum {
                None => difference.map(|part| part.mul_scalar(share)),
                Some(sum) => sum.plus_scaled(&difference, share),
            });
        }
        finite(self.mean(losses)?)?;
        Ok(sum.ok_or(Error::NoEvaluation)?.times(&v.norm()))
    }

    /// A copy of the module at `position`, for forward passes.
    pub(super) fn at(&self, position: &Position) -> M {
        self.copy(&position.weights, Some(&position.others), &NONE)
    }

    /// The mean loss at the weights of a copy, whether finite or not.
    pub(super) fn loss_on(&mut self, copy: &M) -> Result<f64> {
        let mut losses = Vec::new();
        for i in 0..self.batches.len() {
            losses.push(self.batch_losses(copy, i)?.inner().mean());
            self.passes += self.share(i) / 3.0;
        }
        self.mean(losses)
    }

    /// Where the module is, without graph.
    pub(super) fn position(&self) -> Position {
        Position::around(&self.parameters, self.all_weights.clone(), &self.base)
    }

    fn loss_of(&mut self, weights: &ParamVec) -> Result<f64> {
        let copy = self.copy(weights, None, &NONE);
        finite(self.loss_on(&copy)?)
    }

    /// `w + factor·e` over all parameters.
    fn moved(&self, e: &ParamVec, factor: f64) -> ParamVec {
        self.all_weights.clone().plus_scaled(&self.masked(e), factor)
    }

    /// `v` without what is not active.
    fn masked(&self, v: &ParamVec) -> ParamVec {
        let parts = v.parts().iter().enumerate();
        let active = |(i, part): (usize, &Option<Tensor<1>>)| {
            part.clone().filter(|_| self.active.contains(i))
        };
        ParamVec::new(parts.map(active).collect())
    }

    /// A copy at `weights` that shares no running statistics with any other.
    fn copy(&self, weights: &ParamVec, others: Option<&[Tensor<1>]>, active: &Active) -> M {
        placed(&self.parameters, self.base.clone().train(), weights, others, active)
    }

    /// The share of batch `i` in the mean.
    fn share(&self, i: usize) -> f64 {
        self.batches[i] as f64 / self.batches.iter().sum::<usize>() as f64
    }

    /// The mean over all batches of their mean losses.
    fn mean(&self, losses: Vec<Scalar>) -> Result<f64> {
        let losses = read(losses)?;
        Ok(losses.iter().enumerate().map(|(i, loss)| self.share(i) * loss).sum())
    }

    /// The losses of one batch at the weights of a copy.
    fn batch_losses(&mut self, copy: &M, i: usize) -> Result<Tensor<1>> {
        for device in copy.devices() {
            device.seed(self.seed.wrapping_add(i as u64));
        }
        let losses = (self.losses)(copy, i);
        let ([found], expected) = (losses.dims(), self.batches[i]);
        let fits = found == 1 || found == expected;
        if fits { Ok(losses) } else { Err(Error::Losses { expected, found }) }
    }

    /// The mean loss of one batch, and its gradient.
    fn differentiate(&mut self, copy: &M, i: usize) -> Result<(Scalar, ParamVec)> {
        let loss = self.batch_losses(copy, i)?.mean();
        self.passes += self.share(i) * self.parameters.cost(&self.active);
        let value = loss.clone().inner();
        if loss.is_tracked() {
            Ok((value, self.parameters.gradients(copy, loss.backward())))
        } else if self.active == Active::All {
            Err(Error::Untracked { what: "the loss".into() })
        } else {
            // Of some parameters only, the loss may depend on none.
            Ok((value, ParamVec::new(vec![None; self.parameters.len()])))
        }
    }
}

impl<M, F> SymmetricMap for LossSurface<M, F>
where
    M: Module,
    F: FnMut(&M, usize) -> Tensor<1>,
{
    fn times(&mut self, v: &ParamVec) -> Result<ParamVec> {
        self.hessian_times(v)
    }

    fn like(&self) -> &ParamVec {
        self.weights()
    }
}

/// The least length of the differences that turn a random vector to where the loss curves most:
/// long enough to average over jumps.
const POWER: f64 = 0.02;

/// No parameter: a copy that keeps no gradient graph.
const NONE: Active = Active::Some(Vec::new());

fn finite(loss: f64) -> Result<f64> {
    if loss.is_finite() { Ok(loss) } else { Err(Error::NotFinite("the loss")) }
}
