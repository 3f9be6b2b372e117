//! The seam: a rule, and the view of the loss surface that it is given.

use std::borrow::Cow;
use std::fmt::Debug;

use burn::tensor::Tensor;
use burn::tensor::kind::Basic;
use dyn_clone::DynClone;

use crate::ascend::Ascend;
use crate::schedule::Schedule;
use crate::state::Memory;
use crate::vector::Scalar;
use crate::{Active, ParamVec, Parameters, Result};

/// A rule turns what it sees of the loss surface into the gradient that goes to the base
/// optimizer: `w ← base(w, rule(surface))`.
///
/// A rule knows no module, device, file, clock or global generator, so it can be written outside
/// this crate and read like its paper. Cloning it copies all that it remembers; the optimizer
/// keeps the clone of before the step where a step turns out not to be finite.
pub trait Rule: Debug + DynClone + Send {
    /// The gradient that goes to the base optimizer.
    ///
    /// # Errors
    /// Whatever the evaluations of `surface` give, and settings that do not fit the run.
    fn gradient(&mut self, surface: &mut dyn Surface) -> Result<ParamVec>;

    /// Called once the base optimizer has stepped, with the surface of the same batch at the new
    /// weights. Does nothing unless the rule says otherwise.
    ///
    /// # Errors
    /// Whatever the evaluations of `surface` give.
    fn after(&mut self, _surface: &mut dyn Surface) -> Result<()> {
        Ok(())
    }

    /// Writes all that the rule carries from step to step. A rule that remembers nothing has nothing to
    /// write.
    ///
    /// # Errors
    /// The device fails.
    fn save(&self, _memory: &mut Memory) -> Result<()> {
        Ok(())
    }

    /// Reads all that [`save`](Self::save) wrote. Also called where layers were frozen or unfrozen, with
    /// vectors over the parameters that are trained from now on.
    ///
    /// # Errors
    /// What `memory` holds does not fit the rule.
    fn restore(&mut self, _memory: &mut Memory) -> Result<()> {
        Ok(())
    }

    /// The part that says in which direction and how far the perturbed weights lie, where the rule
    /// has one, so that its radius can be scheduled.
    fn ascend(&mut self) -> Option<&mut Box<dyn Ascend>> {
        None
    }

    /// The part that says at which steps a second gradient is taken, where the rule has one, so that
    /// a budget can take its place.
    fn schedule(&mut self) -> Option<&mut Box<dyn Schedule>> {
        None
    }

    /// Whether the rule asks for some samples of a batch or for their losses, which not every training
    /// loop can tell.
    fn chooses_samples(&self) -> bool {
        false
    }
}

dyn_clone::clone_trait_object!(Rule);

impl<R: Rule + 'static> From<R> for Box<dyn Rule> {
    fn from(rule: R) -> Self {
        Box::new(rule)
    }
}

/// The loss on this step's batch, as a function of the weights.
///
/// Where [`Workers`](crate::Workers) train together, the batch is that of all of them: gradients, losses, indices and
/// positions are over it, and every worker's rule must ask the same in the same order.
///
/// Every evaluation is counted, in fractions of a batch: a forward pass is a third of a gradient, the
/// gradients of the weights another, those of the layers' inputs the last.
pub trait Surface {
    /// `∇L(w)`, the gradient of the mean loss over a selection at the weights.
    ///
    /// The first evaluation of a step is the one that moves running statistics such as those of
    /// BatchNorm, and its loss is the one that is reported.
    ///
    /// # Errors
    /// What the loss closure gave is not usable.
    fn gradient(&mut self, of: &Selection) -> Result<ParamVec>;

    /// `∇L(w + e)`: as [`gradient`](Self::gradient), on a perturbed copy of the weights.
    /// Running statistics stay as they are, unless this is the first evaluation of the step; dropout
    /// draws the masks of the first evaluation.
    ///
    /// # Errors
    /// What the loss closure gave is not usable.
    fn gradient_at(&mut self, e: &Perturbation<'_>, of: &Selection) -> Result<ParamVec>;

    /// As [`gradient`](Self::gradient), of the samples of those workers alone that ascend together: what the
    /// perturbation of this worker is made of. The same as that, unless workers ascend apart.
    ///
    /// # Errors
    /// What the loss closure gave is not usable.
    fn ascent_gradient(&mut self, of: &Selection) -> Result<ParamVec> {
        self.gradient(of)
    }

    /// What the latest [`ascent_gradient`](Self::ascent_gradient), or a vector made of it, is over the
    /// samples of all workers; `None` where it is that already.
    ///
    /// # Errors
    /// Another worker is gone.
    fn mean(&mut self, _own: &ParamVec) -> Result<Option<ParamVec>> {
        Ok(None)
    }

    /// One decision for all workers: worker 0's.
    ///
    /// # Errors
    /// Another worker is gone.
    fn agree(&self, own: bool) -> Result<bool> {
        Ok(own)
    }

    /// The losses of `samples` at `w`, `[samples]`, by a forward pass alone, which moves running
    /// statistics where it is the first evaluation of the step.
    ///
    /// # Errors
    /// What the loss closure gave is not usable, or is one mean loss.
    fn losses(&mut self, samples: &Samples) -> Result<Tensor<1>>;

    /// The losses of `samples` at `w + e`, `[samples]`, by a forward pass alone.
    ///
    /// # Errors
    /// As [`losses`](Self::losses).
    fn losses_at(&mut self, e: &Perturbation<'_>, samples: &Samples) -> Result<Tensor<1>>;

    /// The losses of the samples of the latest evaluation, `[samples]`.
    ///
    /// # Errors
    /// There was none, or the loss closure gave one mean loss.
    fn latest_losses(&self) -> Result<Tensor<1>>;

    /// The step `base(w, g) − w` that the base optimizer would take with the gradient `g`; takes no
    /// step.
    fn base_step(&self, g: &ParamVec) -> ParamVec;

    /// The weights `w`. Shares memory with the module: drop it before the step ends, or it costs a
    /// copy.
    fn weights(&self) -> ParamVec;

    /// The parameters that every vector of this step runs over.
    fn parameters(&self) -> &Parameters;

    /// The numbers of this batch's samples in the data set, where they were given (`BatchInfo::with_indices`).
    fn indices(&self) -> Option<&[usize]>;

    /// A number drawn uniformly from `[0, 1)`, from the optimizer's seeded generator.
    fn uniform(&mut self) -> f64;

    /// A vector of the shape of `like` that is 1 with `probability` and 0 otherwise, drawn anew for each
    /// coordinate on its device, seeded from the optimizer's generator.
    fn mask(&mut self, like: &ParamVec, probability: f64) -> ParamVec;

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

    /// Puts a number under a name into this step's report. Numbers that lie on the device are
    /// read back with the rest of the report, or never.
    fn note(&mut self, name: &'static str, value: Note);

    /// Whether the report is to hold the PSF's norm, so that a rule need not compute it in vain.
    fn wants_psf(&self) -> bool;
}

/// What a training has cost so far. Seconds are measured around whole steps of the optimizer, data
/// loading left out, and the first three after a start, which are slow; on a device that works in the background they mean what they say only where
/// each step reads something back.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Cost {
    /// The cost of all evaluations, in gradient evaluations of a whole batch.
    pub passes: f64,
    /// That of the step that is under way.
    pub step_passes: f64,
    /// Timed steps that are over and took no gradient at perturbed weights.
    pub single_steps: u64,
    /// Their seconds.
    pub single_seconds: f64,
    /// Timed steps that are over and took one.
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

/// Samples of a batch: what a loss closure is asked for.
///
/// Algorithms that choose samples (K-SAM, ESAM, AUSAM) ask for the losses of some of them; the
/// closure picks these with [`select`](Self::select) from every tensor of the batch whose first
/// dimension is the samples, and returns the loss of each, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Samples {
    /// All of them.
    All,
    /// Some of them.
    Some {
        /// Their positions in the batch.
        positions: Vec<usize>,
        /// The size of the batch that they are chosen from.
        of: usize,
    },
}

impl Samples {
    /// The rows of `tensor`, `[batch, ...]`, that belong to these samples, in their order.
    ///
    /// # Panics
    /// A position beyond the tensor's first dimension, as in Burn's own `select`.
    pub fn select<const D: usize, K: Basic>(&self, tensor: Tensor<D, K>) -> Tensor<D, K> {
        let Self::Some { positions, .. } = self else { return tensor };
        #[expect(clippy::cast_possible_wrap, reason = "positions in a batch")]
        let data: Vec<i64> = positions.iter().map(|&position| position as i64).collect();
        let device = tensor.device();
        tensor.select(0, Tensor::from_ints(data.as_slice(), &device))
    }

    /// The share of a batch's cost that evaluating these samples takes, between 0 and 1.
    pub fn fraction(&self) -> f64 {
        match self {
            Self::All => 1.0,
            Self::Some { positions, of } => positions.len() as f64 / (*of).max(1) as f64,
        }
    }
}

/// What a gradient is taken of: which samples, with respect to which parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// The samples whose mean loss it is.
    pub samples: Samples,
    /// The parameters. Gradients of the others are not computed, and are absent in the result.
    pub parameters: Active,
}

impl Selection {
    /// The whole batch, all parameters.
    pub const ALL: Self = Self { samples: Samples::All, parameters: Active::All };
}

impl From<Samples> for Selection {
    fn from(samples: Samples) -> Self {
        Self { samples, parameters: Active::All }
    }
}

/// A perturbation `e = scale · direction` of the weights, not yet multiplied out.
#[derive(Debug, Clone)]
pub struct Perturbation<'a> {
    /// Where to.
    pub direction: Cow<'a, ParamVec>,
    /// How far, on the device, of shape `[1]`.
    pub scale: Scalar,
}

impl<'a> Perturbation<'a> {
    /// `e = radius · direction / (‖direction‖ + 1e-12)`; zero for a zero direction.
    pub fn along(direction: impl Into<Cow<'a, ParamVec>>, radius: f64) -> Self {
        let direction = direction.into();
        let scale = direction.inverse_norm().mul_scalar(radius);
        Self { direction, scale }
    }
}

impl<'a> From<&'a ParamVec> for Cow<'a, ParamVec> {
    fn from(vector: &'a ParamVec) -> Self {
        Cow::Borrowed(vector)
    }
}

impl From<ParamVec> for Cow<'_, ParamVec> {
    fn from(vector: ParamVec) -> Self {
        Cow::Owned(vector)
    }
}

/// The two gradients of a sharpness-aware step.
#[derive(Debug)]
pub struct Pair {
    g: ParamVec,
    g_s: ParamVec,
    psf: std::cell::OnceCell<ParamVec>,
}

impl Pair {
    /// Pairs `g = ∇L(w)` with `g_s = ∇L(w + e)`.
    pub fn new(g: ParamVec, g_s: ParamVec) -> Self {
        Self { g, g_s, psf: std::cell::OnceCell::new() }
    }

    /// `g = ∇L(w)`
    pub fn g(&self) -> &ParamVec {
        &self.g
    }

    /// `g_s = ∇L(w + e)`
    pub fn g_s(&self) -> &ParamVec {
        &self.g_s
    }

    /// `psf = g_s − g`, the projection of the second-order gradient onto the first-order one;
    /// computed once.
    pub fn psf(&self) -> &ParamVec {
        self.psf.get_or_init(|| self.g_s.clone().minus(&self.g))
    }

    /// `g_s` alone.
    pub fn into_g_s(self) -> ParamVec {
        self.g_s
    }

    /// `(g_s, psf)`
    pub fn into_g_s_and_psf(self) -> (ParamVec, ParamVec) {
        let Self { g, g_s, psf } = self;
        let psf = psf.into_inner().unwrap_or_else(|| g_s.clone().minus(&g));
        (g_s, psf)
    }

    /// `(g, g_s)`
    pub fn into_both(self) -> (ParamVec, ParamVec) {
        (self.g, self.g_s)
    }
}
