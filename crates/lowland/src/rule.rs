//! The seam: a rule, and the view of the loss surface that it is given.

use std::borrow::Cow;
use std::fmt::Debug;

use dyn_clone::DynClone;

use crate::vector::Scalar;
use crate::{ParamVec, Parameters, Result};

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
}

dyn_clone::clone_trait_object!(Rule);

/// The loss on this step's batch, as a function of the weights.
///
/// Every evaluation is counted, in fractions of a batch.
pub trait Surface {
    /// `∇L(w)`, the gradient of the mean loss over `samples` at the weights.
    ///
    /// The first evaluation of a step is the one that moves running statistics such as those of
    /// BatchNorm, and its loss is the one that is reported.
    ///
    /// # Errors
    /// What the loss closure gave is not usable.
    fn gradient(&mut self, samples: &Samples) -> Result<ParamVec>;

    /// `∇L(w + e)`: as [`gradient`](Self::gradient), on a perturbed copy of the weights.
    /// Running statistics stay as they are, unless this is the first evaluation of the step; dropout
    /// draws the masks of the first evaluation.
    ///
    /// # Errors
    /// What the loss closure gave is not usable.
    fn gradient_at(&mut self, e: &Perturbation<'_>, samples: &Samples) -> Result<ParamVec>;

    /// The weights `w`. Shares memory with the module: drop it before the step ends.
    fn weights(&self) -> ParamVec;

    /// The parameters that every vector of this step runs over.
    fn parameters(&self) -> &Parameters;

    /// A number drawn uniformly from `[0, 1)`, from the optimizer's seeded generator.
    fn uniform(&mut self) -> f64;

    /// The number of this step, counted from 0.
    fn step(&self) -> u64;

    /// The number of steps in an epoch, where the optimizer was told.
    fn steps_per_epoch(&self) -> Option<u64>;

    /// The number of steps of the whole training, where the optimizer was told.
    fn total_steps(&self) -> Option<u64>;

    /// Puts a number under a name into this step's report. Numbers that lie on the device are
    /// read back with the rest of the report, or never.
    fn note(&mut self, name: &'static str, value: Note);

    /// Whether the report is to hold the PSF's norm, so that a rule need not compute it in vain.
    fn wants_psf(&self) -> bool;
}

/// The name under which a rule notes `‖psf‖`, where `psf = g_s − g`.
pub const PSF_NORM: &str = "psf_norm";

/// A number for the report.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "a step notes a handful")]
pub enum Note {
    /// A number at hand.
    Value(f64),
    /// A number on the device, of shape `[1]`.
    Device(Scalar),
}

/// Samples of a batch.
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
    /// The share of a batch's cost that evaluating these samples takes, between 0 and 1.
    pub fn fraction(&self) -> f64 {
        match self {
            Self::All => 1.0,
            Self::Some { positions, of } => positions.len() as f64 / (*of).max(1) as f64,
        }
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
