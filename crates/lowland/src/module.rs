//! The module side of a step: which parameters there are, and how vectors go in and out of them.
//!
//! Everything here goes through the module with Burn's visitors and mappers; no layer is known by name.

mod parameters;
mod values;
mod visit;

pub use parameters::{Active, Parameter, Parameters};
pub(crate) use values::{
    float_bytes, into_gradients, perturbed, placed, restore_running_state, restored, retied,
    untrained, with_float_bytes,
};
