//! The gradient at the perturbed weights, as it is.

use crate::ParamVec;
use crate::descend::Descend;
use crate::rule::Pair;

/// `g_s` where there is one, `g` otherwise. Remembers nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct SharpGradient;

impl Descend for SharpGradient {
    fn double(&mut self, pair: Pair) -> ParamVec {
        pair.into_g_s()
    }

    fn single(&mut self, g: ParamVec) -> ParamVec {
        g
    }

    fn looks_at_gradient(&self) -> bool {
        false
    }
}
