//! Functions of one number in `f32` without branches, so that the compiler makes vectors of them.
//!
//! Each polynomial is a Chebyshev fit on its interval, rounded to `f32`.

/// A number whose addition rounds any smaller one to a whole number, held in its lowest bits.
const ROUND: f32 = 12_582_912.0; // 1.5 · 2^23

/// e^x, within 2 units in the last place. Below the smallest normal number the result is 0.
#[inline(always)]
pub(crate) fn exp_f32(x: f32) -> f32 {
    const LOWEST: f32 = -87.336_54;
    const HIGHEST: f32 = 88.722_83;
    // Comparisons rather than `max` and `min`, which would lose a NaN.
    let clamped = if x < LOWEST { LOWEST } else { x };
    let clamped = if clamped > HIGHEST { HIGHEST } else { clamped };
    let shifted = clamped.mul_add(std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    // ln 2 in two parts, so that the product with n is exact in the first.
    let r = n.mul_add(-0.693_359_4, clamped);
    let r = n.mul_add(2.121_944_4e-4, r);
    let p = 1.393_364_2e-3_f32;
    let p = p.mul_add(r, 8.369_149e-3);
    let p = p.mul_add(r, 4.166_646_7e-2);
    let p = p.mul_add(r, 1.666_650_5e-1);
    let p = p.mul_add(r, 0.5);
    let p = p.mul_add(r, 1.0);
    let p = p.mul_add(r, 1.0);
    // 2^n in two factors: n may be 128, for which there is no single one.
    let bits = shifted.to_bits().wrapping_sub(ROUND.to_bits());
    let half = bits.cast_signed() >> 1;
    let power = |n: i32| f32::from_bits(n.wrapping_add(127).cast_unsigned() << 23);
    let result = p * power(half) * power(bits.cast_signed().wrapping_sub(half));
    let result = if x < LOWEST { 0.0 } else { result };
    if x > HIGHEST { f32::INFINITY } else { result }
}

/// The error function, within 2 units in the last place.
#[inline(always)]
pub(crate) fn erf_f32(x: f32) -> f32 {
    let t = x.abs();
    let s = x * x;
    // |x| < 0.92: x + x·p(x²).
    let near = -5.977_305_7e-4_f32;
    let near = near.mul_add(s, 4.990_852e-3);
    let near = near.mul_add(s, -2.676_530_6e-2);
    let near = near.mul_add(s, 1.128_179e-1);
    let near = near.mul_add(s, -3.761_249_2e-1);
    let near = near.mul_add(s, 1.283_791_5e-1);
    let near = near.mul_add(x, x);
    // Beyond: 1 − exp(|x|·q(|x|)); from 3.92 on the result is 1.
    let t = if t > 3.92 { 3.92 } else { t };
    let far = 9.802_93e-7_f32;
    let far = far.mul_add(t, -3.329_157_7e-5);
    let far = far.mul_add(t, 4.912_382_6e-4);
    let far = far.mul_add(t, -4.275_641e-3);
    let far = far.mul_add(t, 2.507_923_5e-2);
    let far = far.mul_add(t, -1.077_812_4e-1);
    let far = far.mul_add(t, -6.341_97e-1);
    let far = far.mul_add(t, -1.128_889_7);
    let far = (1.0 - exp_f32(far * t)).copysign(x);
    if s < 0.8464 { near } else { far }
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "what is equal here is equal to the bit")]
#[allow(clippy::cast_possible_truncation, reason = "rounded on purpose")]
mod tests {
    use super::*;

    fn units(found: f32, exact: f64) -> f64 {
        let unit = f64::from((exact as f32).abs().next_up()) - f64::from((exact as f32).abs());
        (f64::from(found) - exact).abs() / unit
    }

    fn numbers(from: f32, to: f32) -> impl Iterator<Item = f32> {
        (0..200_000).map(move |i| from + (to - from) * (i as f32 / 200_000.0))
    }

    #[test]
    fn the_exponential_is_within_two_units() {
        let mut apart = numbers(-87.3, 88.7).map(|x| units(exp_f32(x), f64::from(x).exp()));
        assert!(apart.all(|units| units <= 2.0));
    }

    #[test]
    fn the_exponential_of_extremes_is_that_of_the_library() {
        assert_eq!(exp_f32(f32::NEG_INFINITY), 0.0);
        assert_eq!(exp_f32(-1.0e4), 0.0);
        assert_eq!(exp_f32(0.0), 1.0);
        assert_eq!(exp_f32(1.0e4), f32::INFINITY);
        assert!(exp_f32(f32::NAN).is_nan());
    }

    #[test]
    fn the_error_function_is_within_two_units() {
        for most in [5.0, 1e-3] {
            let mut apart =
                numbers(-most, most).map(|x| units(erf_f32(x), libm::erf(f64::from(x))));
            assert!(apart.all(|units| units <= 2.0));
        }
    }

    #[test]
    fn the_error_function_is_odd_and_bounded() {
        assert_eq!(erf_f32(f32::INFINITY), 1.0);
        assert_eq!(erf_f32(f32::NEG_INFINITY), -1.0);
        assert!(erf_f32(f32::NAN).is_nan());
        assert!(numbers(0.0, 5.0).all(|x| erf_f32(-x) == -erf_f32(x)));
    }
}
