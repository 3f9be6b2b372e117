//! How far apart the two gradients lie whose difference is a product with the Hessian.

use burn::tensor::{DType, Tensor};
use serde::{Deserialize, Serialize};

use super::lanczos::epsilon;
use crate::vector::read;
use crate::{Error, ParamVec, Result};

/// How far from the weights the two gradients lie whose difference gives a product with the
/// Hessian; see [`LossSurface::hessian_times`](super::LossSurface::hessian_times).
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Difference {
    /// Chosen from products of the loss itself, before the first one that is asked for: the length
    /// at which a product changes least when the length is doubled.
    ///
    /// Where products at [`ByType`](Self::ByType)'s length and at twice that agree to a thousandth,
    /// as for smooth losses, that length is taken. Elsewhere lengths up to about 0.15 are tried,
    /// each twice the one before: behind ReLU or a maximum, gradients jump, and what a product owes
    /// to single jumps falls with the length until the curvature itself changes over it. Where no
    /// longer one is better, shorter ones are tried. Costs 4 products where the loss is smooth,
    /// about 10 elsewhere.
    #[default]
    Auto,
    /// `h = ε^(1/3)`, where ε is the distance from 1 to the next larger number of the weights'
    /// type: 6.1e-6 in `f64`, 4.9e-3 in `f32`. For losses whose gradient is smooth.
    ByType,
    /// `h` itself, a length in parameter space. Above 0.
    Length(f64),
}

/// The disagreement up to which the length by the type is kept.
const AGREEMENT: f64 = 1e-3;

/// The first of the longer lengths, where that by the type is shorter.
const FIRST: f64 = 0.004;

/// How often it is doubled: the last product is at 64 times the first length.
const DOUBLINGS: i32 = 6;

/// How often that by the type is halved at most, for a loss that curves more sharply.
const HALVINGS: usize = 8;

/// The length of [`Difference::Auto`]. `product` is the product with one vector, which should not
/// be unlike those that matter, at a length.
pub(super) fn chosen(
    by_type: f64,
    mut product: impl FnMut(f64) -> Result<ParamVec>,
) -> Result<f64> {
    let (near, far) = (product(by_type)?, product(2.0 * by_type)?);
    let mut best = (disagreement(&near, &far)?, by_type);
    if best.0 <= AGREEMENT {
        return Ok(by_type);
    }
    let (first, mut at, known) =
        if by_type < FIRST { (FIRST, product(FIRST)?, 0) } else { (by_type, far, 1) };
    for doubling in known + 1..=DOUBLINGS {
        let length = first * 2.0_f64.powi(doubling);
        let far = match product(length) {
            // So far away there may be no finite loss.
            Err(Error::NotFinite(_)) => break,
            far => far?,
        };
        let found = (disagreement(&at, &far)?, 0.5 * length);
        if found.0 < best.0 {
            best = found;
        }
        at = far;
    }
    // Where nothing is gained by going up, the loss curves more sharply than over such a length.
    let mut at = near;
    for _ in 0..HALVINGS {
        if best.1 > by_type {
            break;
        }
        let near = product(0.5 * best.1)?;
        let found = (disagreement(&near, &at)?, 0.5 * best.1);
        if found.0 >= best.0 {
            break;
        }
        (best, at) = (found, near);
    }
    Ok(best.1)
}

/// How far two products are apart, as a share of the second.
pub(super) fn disagreement(near: &ParamVec, far: &ParamVec) -> Result<f64> {
    let lengths = read(vec![far.norm(), far.clone().minus(near).norm()])?;
    let share = if lengths[1] == 0.0 { 0.0 } else { lengths[1] / lengths[0] };
    Ok(if share.is_nan() { f64::INFINITY } else { share })
}

/// `ε^(1/3)` for the coarsest type among the weights.
pub(super) fn by_type(weights: &ParamVec) -> f64 {
    let types = weights.parts().iter().flatten().map(Tensor::dtype);
    types.map(epsilon).fold(epsilon(DType::F64), f64::max).cbrt()
}

#[cfg(test)]
mod tests {
    use burn::tensor::{DType, Device, Tensor};

    use super::*;

    fn vector(values: [f64; 2]) -> ParamVec {
        ParamVec::new(vec![Some(Tensor::from_data(values, (&Device::flex(), DType::F64)))])
    }

    /// The length for a product whose second element is off by `error(h)`, and the products taken.
    fn length(by_type: f64, error: impl Fn(f64) -> f64) -> (f64, usize) {
        let mut taken = 0;
        let length = chosen(by_type, |h| {
            taken += 1;
            Ok(vector([1.0, error(h)]))
        });
        (length.unwrap(), taken)
    }

    #[test]
    fn a_smooth_loss_keeps_the_length_by_its_type() {
        // Curvature that changes over a length of 1.
        assert_eq!(length(4.9e-3, |h| h * h / 6.0), (4.9e-3, 2));
        assert_eq!(length(6.1e-6, |h| h * h / 6.0), (6.1e-6, 2));
        assert_eq!(length(4.9e-3, |_| 0.0), (4.9e-3, 2));
    }

    #[test]
    fn jumps_ask_for_more_and_sharp_curvature_for_less() {
        // Jumps that average out with the length, and curvature that changes over half of 1.
        let jumps = |h: f64| 0.02 / h.sqrt() + (h / 0.5).powi(2) / 6.0;
        for by_type in [4.9e-3, 6.1e-6] {
            let (length, taken) = length(by_type, jumps);
            assert!((0.04..=0.1).contains(&length) && taken <= 9, "{length}, {taken} products");
        }
        // Curvature that changes over a hundredth, with the rounding of f32.
        let (length, _) = length(4.9e-3, |h| (h / 0.01).powi(2) / 6.0 + 1.2e-9 / h);
        assert!((1e-5..1e-4).contains(&length), "{length}");
    }

    #[test]
    fn lengths_without_a_finite_loss_are_not_taken() {
        let found = chosen(4.9e-3, |h| {
            if h > 0.03 { Err(Error::NotFinite("the loss")) } else { Ok(vector([1.0, 0.1 / h])) }
        });
        let length = found.unwrap();
        assert!((0.004..0.03).contains(&length), "{length}");
    }
}
