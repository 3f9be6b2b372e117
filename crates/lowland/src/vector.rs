//! Gradients as one rank-free vector, so that `dot`, `norm` and the like are written once.

use std::sync::OnceLock;

use burn::tensor::{DType, Device, Tensor};

use crate::{Error, Result};

/// A vector over all trainable parameters of a module: one flattened tensor a parameter, in the
/// order in which the module is visited.
///
/// A parameter that got no gradient is absent, which counts as zero in every sum and stays
/// absent in the result where both operands lack it: the base optimizer then leaves that
/// parameter alone, weight decay and momentum included.
///
/// All values stay on the device. Norms and inner products run over all parameters and are
/// summed in `f32` or wider.
#[derive(Debug, Clone, Default)]
pub struct ParamVec {
    parts: Vec<Option<Tensor<1>>>,
    squares: OnceLock<Tensor<1>>,
}

/// A number on the device, of shape `[1]`, in `f32` or wider.
pub type Scalar = Tensor<1>;

/// Keeps a quotient by a norm finite where the norm is zero.
pub(crate) const STABILISER: f64 = 1e-12;

impl ParamVec {
    /// Makes a vector of its parts, one `[n]` tensor a parameter, without gradient graph.
    pub fn new(parts: Vec<Option<Tensor<1>>>) -> Self {
        Self { parts, squares: OnceLock::new() }
    }

    /// The parts, in visit order.
    pub fn parts(&self) -> &[Option<Tensor<1>>] {
        &self.parts
    }

    /// Takes the parts out, in visit order.
    pub fn into_parts(self) -> Vec<Option<Tensor<1>>> {
        self.parts
    }

    /// The number of parts, absent ones included.
    pub fn len(&self) -> usize {
        self.parts.len()
    }

    /// Whether the vector has no part at all.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Applies `f` to every part that is there.
    #[must_use]
    pub fn map(self, mut f: impl FnMut(Tensor<1>) -> Tensor<1>) -> Self {
        Self::new(self.parts.into_iter().map(|part| part.map(&mut f)).collect())
    }

    /// Joins two vectors part by part; `right` says what an absent left part gives.
    fn zip(
        self,
        other: &Self,
        both: impl Fn(Tensor<1>, Tensor<1>) -> Tensor<1>,
        right: impl Fn(Tensor<1>) -> Tensor<1>,
    ) -> Self {
        self.check_fits(other);
        let join = |(a, b): (Option<Tensor<1>>, &Option<Tensor<1>>)| match (a, b) {
            (Some(a), Some(b)) => Some(both(a, b.clone())),
            (Some(a), None) => Some(a),
            (None, Some(b)) => Some(right(b.clone())),
            (None, None) => None,
        };
        Self::new(self.parts.into_iter().zip(&other.parts).map(join).collect())
    }

    /// Vectors over different parameters have no sum or product: a bug of the caller.
    fn check_fits(&self, other: &Self) {
        assert_eq!(self.len(), other.len(), "vectors over the same parameters");
    }

    /// `self + other`
    #[must_use]
    pub fn plus(self, other: &Self) -> Self {
        self.zip(other, Tensor::add, |b| b)
    }

    /// `self - other`
    #[must_use]
    pub fn minus(self, other: &Self) -> Self {
        self.zip(other, Tensor::sub, Tensor::neg)
    }

    /// `self`, with the parts of `other` where it has none.
    #[must_use]
    pub fn or(self, other: &Self) -> Self {
        self.check_fits(other);
        let parts = self.parts.into_iter().zip(&other.parts);
        Self::new(parts.map(|(own, other)| own.or_else(|| other.clone())).collect())
    }

    /// `self + factor * other`
    #[must_use]
    pub fn plus_scaled(self, other: &Self, factor: f64) -> Self {
        self.zip(other, |a, b| a + b.mul_scalar(factor), |b| b.mul_scalar(factor))
    }

    /// `factor * self`, the factor on the device.
    #[must_use]
    pub fn times(self, factor: &Scalar) -> Self {
        self.map(|part| scaled(part, factor))
    }

    /// The element-wise product; a part absent in either is absent in the result.
    #[must_use]
    pub fn times_each(self, other: &Self) -> Self {
        self.check_fits(other);
        let pairs = self.parts.into_iter().zip(&other.parts);
        Self::new(pairs.map(|(a, b)| Some(a? * b.clone()?)).collect())
    }

    /// The element-wise product where `other` has the part; elsewhere the part as it is.
    #[must_use]
    pub fn times_where(self, other: &Self) -> Self {
        self.check_fits(other);
        let times = |(a, b): (Option<Tensor<1>>, &Option<Tensor<1>>)| match b {
            Some(b) => a.map(|a| a * b.clone()),
            None => a,
        };
        Self::new(self.parts.into_iter().zip(&other.parts).map(times).collect())
    }

    /// The sum of squares of every part, of shape `[len]`, 0 for an absent one; computed once.
    pub fn squares(&self) -> &Tensor<1> {
        self.squares.get_or_init(|| sums(&self.parts, |part| part.clone() * part))
    }

    /// `‖self‖²` over all parameters.
    pub fn norm_squared(&self) -> Scalar {
        self.squares().clone().sum()
    }

    /// `‖self‖`, the Euclidean norm over all parameters; the sums over its elements are computed
    /// once.
    pub fn norm(&self) -> Scalar {
        self.norm_squared().sqrt()
    }

    /// The Euclidean norm over the last `count` parameters in visit order (over all of them where
    /// there are fewer). Costs nothing beyond [`norm`](Self::norm).
    pub fn norm_of_last(&self, count: usize) -> Scalar {
        let start = self.len().saturating_sub(count);
        self.squares().clone().narrow(0, start, self.len() - start).sum().sqrt()
    }

    /// The inner product `⟨self, other⟩` over all parameters.
    pub fn dot(&self, other: &Self) -> Scalar {
        sums(&self.clone().times_each(other).parts, |part| part).sum()
    }

    /// `self` less its projection on `other`: `self − (⟨self, other⟩/‖other‖²)·other`. Exact where
    /// `other` is zero, and zero where the two are equal.
    #[must_use]
    pub fn without(self, other: &Self) -> Self {
        let along = ratio(self.dot(other), other.norm_squared());
        let part = other.clone().times(&along);
        self.minus(&part)
    }

    /// `1 / (‖self‖ + 1e-12)`, the factor that makes the vector one of unit length and leaves a
    /// zero vector at zero.
    pub fn inverse_norm(&self) -> Scalar {
        self.norm().add_scalar(STABILISER).recip()
    }
}

/// The sum of `f(part)` for every part, stacked into `[len]`; an absent part gives 0.
fn sums(parts: &[Option<Tensor<1>>], f: impl Fn(Tensor<1>) -> Tensor<1>) -> Tensor<1> {
    let Some(first) = parts.iter().flatten().next() else {
        return Tensor::zeros([parts.len().max(1)], &Device::default());
    };
    let zero = || Tensor::zeros([1], (&first.device(), wide(first.dtype())));
    let sum = |part: &Tensor<1>| {
        let dtype = wide(part.dtype());
        let part = part.clone();
        f(if part.dtype() == dtype { part } else { part.cast(dtype) }).sum()
    };
    let sums = parts.iter().map(|part| part.as_ref().map_or_else(zero, sum)).collect();
    Tensor::cat(sums, 0)
}

/// The inner product of each part of two vectors, 0 where either lacks it, in one transfer.
pub(crate) fn part_dots(a: &ParamVec, b: &ParamVec) -> Result<Vec<f64>> {
    let dots = sums(&a.clone().times_each(b).parts, |part| part);
    let mut dots = read(vec![dots])?;
    dots.resize(a.len(), 0.0);
    Ok(dots)
}

/// The norm of one part, in `f32` or wider.
pub(crate) fn wide_norm(part: &Tensor<1>) -> Scalar {
    let part = part.clone().cast(wide(part.dtype()));
    (part.clone() * part).sum().sqrt()
}

/// The type that sums over values of type `dtype` are taken in.
pub(crate) fn wide(dtype: DType) -> DType {
    match dtype {
        DType::F64 => DType::F64,
        _ => DType::F32,
    }
}

/// `tensor` in another type.
pub(crate) fn cast(tensor: Tensor<1>, dtype: DType) -> Tensor<1> {
    if tensor.dtype() == dtype { tensor } else { tensor.cast(dtype) }
}

/// `part * factor` in the type of `part`.
pub(crate) fn scaled(part: Tensor<1>, factor: &Scalar) -> Tensor<1> {
    let dtype = part.dtype();
    let factor = factor.clone();
    part * if factor.dtype() == dtype { factor } else { factor.cast(dtype) }
}

/// `a / b`, or 0 where b is exactly 0.
pub(crate) fn ratio(a: Scalar, b: Scalar) -> Scalar {
    let zero = b.clone().equal_scalar(0.0);
    (a / b.mask_fill(zero.clone(), 1.0)).mask_fill(zero, 0.0)
}

/// The number 1 on the device of `vector`, in the type that its norm has.
pub(crate) fn one(vector: &ParamVec) -> Scalar {
    match vector.parts.iter().flatten().next() {
        Some(part) => Tensor::ones([1], (&part.device(), wide(part.dtype()))),
        None => Tensor::ones([1], &Device::default()),
    }
}

/// Reads scalars back from the device, all in one transfer.
///
/// # Errors
/// [`Error::ReadBack`] where the device fails.
pub fn read(scalars: Vec<Scalar>) -> Result<Vec<f64>> {
    if scalars.is_empty() {
        return Ok(Vec::new());
    }
    let widest =
        if scalars.iter().any(|s| s.dtype() == DType::F64) { DType::F64 } else { DType::F32 };
    let cast = |s: Scalar| if s.dtype() == widest { s } else { s.cast(widest) };
    Tensor::cat(scalars.into_iter().map(cast).collect(), 0)
        .try_into_vec_as::<f64>()
        .map_err(|error| Error::ReadBack(error.to_string()))
}
