//! Kernels over slices of numbers, without Burn: here the numbers that they compute with and vectors
//! of them.

mod aligned;
pub(crate) mod attention;
pub(crate) mod batch_norm;
pub(crate) mod convolution;
pub(crate) mod elementwise;
mod function;
pub(crate) mod product;
pub(crate) mod rows;
mod sum;

use std::fmt::Debug;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Div, Mul, Neg, Sub};

use bytemuck::Pod;
use pulp::{Simd, WithSimd};

/// `f32` or `f64`.
pub(crate) trait Real:
    Pod
    + Debug
    + Default
    + PartialOrd
    + Send
    + Sync
    + Add<Output = Self>
    + AddAssign
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + Sum
{
    /// 0.
    const ZERO: Self;
    /// 1.
    const ONE: Self;
    /// Below every other number.
    const LOWEST: Self;

    /// A vector register of `S`.
    type Vector<S: Simd>: Pod + Send + Sync;

    /// The nearest number of this type.
    fn from_f64(value: f64) -> Self;
    /// `self · b + c`, rounded once.
    fn mul_add(self, b: Self, c: Self) -> Self;
    /// The square root.
    fn sqrt(self) -> Self;
    /// e to the power of this number.
    fn exp(self) -> Self;
    /// The error function.
    fn erf(self) -> Self;

    /// A vector of equal numbers.
    fn splat<S: Simd>(simd: S, value: Self) -> Self::Vector<S>;
    /// `a · b + c` in each place.
    fn fused<S: Simd>(
        simd: S,
        a: Self::Vector<S>,
        b: Self::Vector<S>,
        c: Self::Vector<S>,
    ) -> Self::Vector<S>;
}

/// Numbers in a vector of `S`.
#[inline(always)]
pub(crate) fn lanes<T: Real, S: Simd>() -> usize {
    size_of::<T::Vector<S>>() / size_of::<T>()
}

macro_rules! real {
    ($type:ident, $vectors:ident, $splat:ident, $fused:ident, $exp:path, $erf:path) => {
        impl Real for $type {
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;
            const LOWEST: Self = Self::NEG_INFINITY;

            type Vector<S: Simd> = S::$vectors;

            #[inline(always)]
            #[allow(clippy::cast_possible_truncation, reason = "rounding is what is asked for")]
            fn from_f64(value: f64) -> Self {
                value as Self
            }

            #[inline(always)]
            fn mul_add(self, b: Self, c: Self) -> Self {
                self.mul_add(b, c)
            }

            #[inline(always)]
            fn sqrt(self) -> Self {
                self.sqrt()
            }

            #[inline(always)]
            fn exp(self) -> Self {
                $exp(self)
            }

            #[inline(always)]
            fn erf(self) -> Self {
                $erf(self)
            }

            #[inline(always)]
            fn splat<S: Simd>(simd: S, value: Self) -> S::$vectors {
                simd.$splat(value)
            }

            #[inline(always)]
            fn fused<S: Simd>(
                simd: S,
                a: S::$vectors,
                b: S::$vectors,
                c: S::$vectors,
            ) -> S::$vectors {
                simd.$fused(a, b, c)
            }
        }
    };
}

real!(f32, f32s, splat_f32s, mul_add_e_f32s, function::exp_f32, function::erf_f32);
real!(f64, f64s, splat_f64s, mul_add_e_f64s, f64::exp, libm::erf);

/// Runs an operation with the widest vectors that this processor has.
///
/// The operation is compiled once for each width, and so is everything in it that is inlined.
#[inline]
pub(crate) fn vectorised<O: WithSimd>(operation: O) -> O::Output {
    #[cfg(target_arch = "x86_64")]
    {
        if let Some(simd) = pulp::x86::V4::try_new() {
            return Simd::vectorize(simd, operation);
        }
        if let Some(simd) = pulp::x86::V3::try_new() {
            return Simd::vectorize(simd, operation);
        }
    }
    pulp::Arch::new().dispatch(operation)
}

/// As [`vectorised`], for a closure, which should be inlined as well.
#[inline]
pub(crate) fn vectorised_closure<F: FnMut() -> R, R>(closure: F) -> R {
    vectorised(Closure(closure))
}

struct Closure<F>(F);

impl<F: FnMut() -> R, R> WithSimd for Closure<F> {
    type Output = R;

    // Called by reference: the call that consumes a closure goes through a function that is not
    // inlined, in which the wide vectors would be lost.
    #[inline(always)]
    fn with_simd<S: Simd>(mut self, _simd: S) -> R {
        (self.0)()
    }
}
