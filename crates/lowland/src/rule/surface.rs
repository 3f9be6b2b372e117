//! The view of the loss surface that a rule is given.

use burn::tensor::{Distribution, Tensor};

use super::gradient::Gradient;
use super::values::{Perturbation, Samples, Selection};
use crate::vector::Scalar;
use crate::{ParamVec, Parameters, Result};

/// The loss on this step's batch, as a function of the weights.
///
/// Gradients, losses, indices and positions are over the whole batch, in however many places it
/// is evaluated; a rule and a wrapper around a surface need not know.
///
/// Every evaluation is counted, in fractions of a batch: a forward pass is a third of a gradient,
/// the gradients of the weights another, those of the layers' inputs the last.
pub trait Surface {
    /// `∇L(w)`, the gradient of the mean loss over a selection at the weights.
    ///
    /// The first evaluation of a step is the one that moves running statistics such as those of
    /// BatchNorm, and its loss is the one that is reported.
    ///
    /// # Errors
    /// What the loss closure gave is not usable.
    fn gradient(&mut self, of: &Selection) -> Result<Gradient>;

    /// `∇L(w + e)`: as [`gradient`](Self::gradient), on a perturbed copy of the weights. Running
    /// statistics stay as they are, unless this is the first evaluation of the step; dropout draws
    /// the masks of the first evaluation.
    ///
    /// # Errors
    /// What the loss closure gave is not usable.
    fn gradient_at(&mut self, e: &Perturbation<'_>, of: &Selection) -> Result<ParamVec>;

    /// The losses of `samples`, `[samples]`, at `w` or at `w + e`, by a forward pass alone, which
    /// moves running statistics where it is the first evaluation of the step.
    ///
    /// # Errors
    /// What the loss closure gave is not usable, or is one mean loss.
    fn losses(&mut self, at: Option<&Perturbation<'_>>, samples: &Samples) -> Result<Tensor<1>>;

    /// The losses of the samples of the latest evaluation, `[samples]`.
    ///
    /// # Errors
    /// There was none, or the loss closure gave one mean loss.
    fn latest_losses(&self) -> Result<Tensor<1>>;

    /// The step `base(w, g) − w` that the base optimizer would take with the gradient `g`; takes no
    /// step. A rule that looks ahead has no other way to the base optimizer: SAMPa predicts weights
    /// by it, and so would any extragradient method.
    fn base_step(&self, g: &ParamVec) -> ParamVec;

    /// The weights `w`. Shares memory with the module: drop it before the step ends, or it costs a
    /// copy.
    fn weights(&self) -> ParamVec;

    /// The parameters that every vector of this step runs over.
    fn parameters(&self) -> &Parameters;

    /// The numbers of this batch's samples in the data set, where they were given
    /// (`BatchInfo::with_indices`); among several workers for a rule that chooses samples alone
    /// ([`Rule::chooses_samples`](crate::Rule)), since they cost an exchange. A rule that remembers
    /// something of each sample has no other way to know one again: AUSAM its scores, a method with
    /// a memory of past outputs its targets.
    fn indices(&self) -> Option<&[usize]>;

    /// A number drawn uniformly from `[0, 1)`, from the optimizer's seeded generator.
    fn uniform(&mut self) -> f64;

    /// A vector of the shape of `like`, each coordinate drawn anew on its device, seeded from the
    /// optimizer's generator.
    fn draw(&mut self, like: &ParamVec, distribution: Distribution) -> ParamVec;

    /// Reads numbers back from the device, all in one transfer. What a rule decides by a number of
    /// the device it reads here: then it is the same wherever the batch is evaluated.
    ///
    /// # Errors
    /// [`Error::ReadBack`](crate::Error::ReadBack) where the device fails.
    fn read(&mut self, numbers: Vec<Scalar>) -> Result<Vec<f64>>;

    /// The number of this step, counted from 0.
    fn step(&self) -> u64;

    /// The number of steps in an epoch, where it was given (`with_steps_per_epoch`).
    fn steps_per_epoch(&self) -> Option<u64>;

    /// The number of steps of the whole training, where it was given (`with_total_steps`).
    fn total_steps(&self) -> Option<u64>;

    /// The learning rate of this step.
    fn learning_rate(&self) -> f64;

    /// What the training has cost so far, this step included.
    fn spent(&self) -> Cost;

    /// The share of the step's batch that the rule is given: 1, unless it takes the micro-batches
    /// of a step one by one ([`Accumulate::EachMicroBatch`](crate::Accumulate)).
    fn share(&self) -> f64;

    /// Puts a number under a name into this step's report. Numbers that lie on the device are
    /// read back with the rest of the report, or never.
    fn note(&mut self, name: &'static str, value: Note);

    /// Whether the report is to hold the PSF's norm, so that a rule need not compute it in vain.
    fn wants_psf(&self) -> bool;
}

/// What a training has cost so far. Seconds are measured around whole steps of the optimizer,
/// without data loading and the first three steps after a start, which are slow. On asynchronous
/// devices they are meaningful only if every step synchronises.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Cost {
    /// The cost of all evaluations, in gradient evaluations of a whole batch.
    pub passes: f64,
    /// That of the step that is under way; where the rule takes micro-batches one by one, that of
    /// the micro-batch.
    pub step_passes: f64,
    /// Timed steps that are over and took no second gradient.
    pub single_steps: u64,
    /// Their seconds.
    pub single_seconds: f64,
    /// Timed steps that are over and took a second gradient.
    pub double_steps: u64,
    /// Their seconds.
    pub double_seconds: f64,
}

/// The name under which a rule notes `‖psf‖`, where `psf = g_s − g`.
pub const PSF_NORM: &str = "psf_norm";

/// The name under which the length of a step's perturbation is noted.
pub(crate) const RADIUS: &str = "radius";

/// A number for the report.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "a step notes a handful")]
pub enum Note {
    /// A number at hand.
    Value(f64),
    /// A number on the device, of shape `[1]`.
    Device(Scalar),
}
