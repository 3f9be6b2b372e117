//! The fourth stage: which gradient goes to the base optimizer.

use std::fmt::Debug;

use dyn_clone::DynClone;

use super::gradient::{Pair, Update};
use crate::state::Memory;
use crate::{ParamVec, Result};

/// Turns the gradients of a step into its update.
pub trait Descend: Debug + DynClone + Send {
    /// The update of a step with both `g` and `g_s`.
    fn double(&mut self, pair: Pair) -> Update;

    /// The update of a step with `g` alone.
    fn single(&mut self, g: ParamVec) -> Update;

    /// Writes what it carries from step to step.
    ///
    /// # Errors
    /// The device fails.
    fn save(&self, _memory: &mut Memory) -> Result<()> {
        Ok(())
    }

    /// Reads what [`save`](Self::save) wrote.
    ///
    /// # Errors
    /// What `memory` holds does not fit.
    fn restore(&mut self, _memory: &mut Memory) -> Result<()> {
        Ok(())
    }

    /// Whether it keeps something of a second gradient for steps without one.
    fn reuses(&self) -> bool {
        false
    }

    /// Whether `g` enters the update of a step with both gradients.
    fn needs_first_gradient(&self) -> bool {
        true
    }
}

dyn_clone::clone_trait_object!(Descend);

/// `g_s` where there is one, `g` otherwise. Remembers nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct SharpGradient;

impl Descend for SharpGradient {
    fn double(&mut self, pair: Pair) -> Update {
        pair.into_g_s().into()
    }

    fn single(&mut self, g: ParamVec) -> Update {
        g.into()
    }

    fn needs_first_gradient(&self) -> bool {
        false
    }
}
