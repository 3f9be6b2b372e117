//! The gradient at the perturbed weights, at the length of the one at the weights.

use crate::ParamVec;
use crate::descend::Descend;
use crate::rule::Pair;
use crate::vector::ratio;

/// `g_s·‖g‖/‖g_s‖` where there is a second gradient, g otherwise; zero where `g_s` is zero. Remembers
/// nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rescaled;

impl Descend for Rescaled {
    fn double(&mut self, pair: Pair) -> ParamVec {
        // A quotient, not a product with an inverse: exactly 1 where the two are equal.
        let scale = ratio(pair.g().norm(), pair.g_s().norm());
        pair.into_g_s().times(&scale)
    }

    fn single(&mut self, g: ParamVec) -> ParamVec {
        g
    }
}
