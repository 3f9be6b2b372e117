//! The seam: a rule, the view of the loss surface that it is given, and the four stages that most
//! rules are composed of.

use std::fmt::Debug;

use dyn_clone::DynClone;

use crate::Result;
use crate::state::Memory;

pub(crate) mod ascend;
pub(crate) mod compose;
pub(crate) mod descend;
mod gradient;
pub(crate) mod schedule;
pub(crate) mod select;
mod surface;
mod values;

use ascend::Ascend;
pub use compose::ComposedRule;
pub(crate) use gradient::Exchange;
pub use gradient::{Gradient, Pair, Update};
use schedule::Schedule;
pub(crate) use surface::RADIUS;
pub use surface::{Cost, Note, PSF_NORM, Surface};
pub use values::{Perturbation, Samples, Selection};

/// A rule turns what it sees of the loss surface into an update: `w ← base(w, rule(surface))`.
///
/// A rule knows no module, device, file, clock or global generator, so it can be written outside
/// this crate and read like its paper. Cloning it copies all that it remembers; the optimizer
/// keeps the clone of before the step where a step turns out not to be finite.
pub trait Rule: Debug + DynClone + Send {
    /// The update of this step: the gradient that goes to the base optimizer
    /// (`Ok(gradient.into())`), and a displacement after its step where the rule has one.
    ///
    /// # Errors
    /// Whatever the evaluations of `surface` give, and settings that do not fit the run.
    fn update(&mut self, surface: &mut dyn Surface) -> Result<Update>;

    /// Writes all that the rule carries from step to step. A rule that remembers nothing has
    /// nothing to write.
    ///
    /// # Errors
    /// The device fails.
    fn save(&self, _memory: &mut Memory) -> Result<()> {
        Ok(())
    }

    /// Reads all that [`save`](Self::save) wrote. Also called where layers were frozen or unfrozen,
    /// with vectors over the parameters that are trained from now on.
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

    /// The part that says at which steps a second gradient is taken, where the rule has one, so
    /// that a budget can take its place.
    fn schedule(&mut self) -> Option<&mut Box<dyn Schedule>> {
        None
    }

    /// Whether the rule asks for some samples of a batch or for their losses, which not every
    /// training loop can give.
    fn chooses_samples(&self) -> bool {
        false
    }

    /// Whether the first gradient of a step can leave parameters out that are trained in the step.
    /// Steps without a second gradient would not train these, so that no other
    /// [`schedule`](Self::schedule) can take the place of the rule's own.
    fn thins_first_gradient(&self) -> bool {
        false
    }

    /// Whether the rule cannot take the micro-batches of a step one by one
    /// ([`Accumulate::EachMicroBatch`](crate::Accumulate)), since it needs one update for each step
    /// of the weights: it follows the weights from step to step (MSAM), predicts the base
    /// optimizer's step (SAMPa) or keeps moments of its own (bSAM).
    fn needs_whole_batches(&self) -> bool {
        false
    }
}

dyn_clone::clone_trait_object!(Rule);

impl<R: Rule + 'static> From<R> for Box<dyn Rule> {
    fn from(rule: R) -> Self {
        Box::new(rule)
    }
}
