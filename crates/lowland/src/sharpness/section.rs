//! Lines and planes through the space of weights.

use burn::module::Module;
use burn::tensor::Tensor;
use nalgebra::{DMatrix, DVector};

use crate::module::untrained;
use crate::vector::read;
use crate::{Error, ParamVec, Parameters, Result};

/// A place in the space of weights, with the values that are not trained there, such as running
/// statistics.
#[derive(Debug, Clone)]
pub struct Position {
    pub(super) weights: ParamVec,
    /// In visit order.
    pub(super) others: Vec<Tensor<1>>,
}

impl Position {
    /// Where a module is. Applies updates of running statistics that Burn still holds back.
    ///
    /// # Errors
    /// [`Error::Untracked`] for a module that is not on an autodiff device, or its
    /// [`valid`](Module::valid) copy; [`Error::NoParameters`] where no parameter is trainable.
    pub fn of<M: Module>(module: &M) -> Result<Self> {
        let parameters = Parameters::tracked(module)?;
        let weights = parameters.weights(module);
        Ok(Self::around(&parameters, weights, &module.valid()))
    }

    /// At `weights`, with what is not trained from a [`Module::valid`] copy.
    pub(super) fn around<M: Module>(parameters: &Parameters, weights: ParamVec, valid: &M) -> Self {
        Self {
            weights,
            others: untrained(parameters, valid).into_iter().map(|(_, value)| value).collect(),
        }
    }

    /// The weights.
    pub fn weights(&self) -> &ParamVec {
        &self.weights
    }

    /// Whether `other` is a place in the same space.
    pub(super) fn check_fits(&self, what: &'static str, other: &Self) -> Result<()> {
        let kind = |part: &Tensor<1>| (part.shape().num_elements(), part.dtype());
        let shapes = |position: &Self| {
            let weights = position.weights.parts().iter().map(|part| part.as_ref().map(kind));
            (weights.collect::<Vec<_>>(), position.others.iter().map(kind).collect::<Vec<_>>())
        };
        let (expected, found) = (shapes(self), shapes(other));
        if expected == found {
            return Ok(());
        }
        let text = |position: &Self| {
            let (weights, others) = shapes(position);
            let trained: usize = weights.iter().flatten().map(|(count, _)| count).sum();
            let untrained: usize = others.iter().map(|(count, _)| count).sum();
            let dtype = weights.iter().flatten().next().map(|(_, dtype)| dtype.name());
            let (tensors, dtype) = (weights.len(), dtype.unwrap_or("no type"));
            format!(
                "{trained} weights in {tensors} tensors of {dtype} and {untrained} other values"
            )
        };
        Err(Error::Mismatch { what, expected: text(self), found: text(other) })
    }
}

/// A part of the space of weights that `D` coordinates run over.
pub trait Section<const D: usize> {
    /// The place with these coordinates.
    fn at(&self, coordinates: [f64; D]) -> Position;
}

/// The straight line through two places, such as the ends of two runs:
///
/// ```text
/// w(t) = (1 − t)·from + t·to
/// ```
///
/// Values that are not trained go the same way, so that t = 0 and t = 1 reproduce the two runs'
/// functions bit for bit. Between them, running statistics so mixed are in general not those
/// that the weights there would have: a barrier may lie in them alone. With
/// [`Normalisation::Batch`](super::Normalisation::Batch) they do not count.
#[derive(Debug, Clone)]
pub struct Line {
    from: Position,
    to: Position,
}

impl Line {
    /// From one place, which is at 0, to another, which is at 1.
    ///
    /// # Errors
    /// Places in different spaces.
    pub fn between(from: Position, to: Position) -> Result<Self> {
        from.check_fits("the far end of a line", &to)?;
        Ok(Self { from, to })
    }
}

impl Section<1> for Line {
    fn at(&self, [t]: [f64; 1]) -> Position {
        // At the ends one place alone: 0·∞ is no number, and −0 + 0 loses its sign.
        if t == 0.0 {
            return self.from.clone();
        }
        if 1.0 - t == 0.0 {
            return self.to.clone();
        }
        let mix = |a: Tensor<1>, b: Tensor<1>| a.mul_scalar(1.0 - t) + b.mul_scalar(t);
        let weights = self.from.weights.clone().map(|part| part.mul_scalar(1.0 - t));
        let others = self.from.others.iter().zip(&self.to.others);
        Position {
            weights: weights.plus_scaled(&self.to.weights, t),
            others: others.map(|(a, b)| mix(a.clone(), b.clone())).collect(),
        }
    }
}

/// What `D` directions span around a place:
///
/// ```text
/// w(c) = origin + Σ_i c_i·direction_i
/// ```
///
/// Values that are not trained stay those of the origin. Directions that were made of one run serve
/// for others as well: the same directions around the end of each run show them in the same units,
/// and [`coordinates`](Self::coordinates) says where in the section of one run another one lies.
#[derive(Debug, Clone)]
pub struct Span<const D: usize> {
    origin: Position,
    directions: [ParamVec; D],
}

impl<const D: usize> Span<D> {
    /// Around a place, along directions such as those of
    /// [`filter_normalised`](super::filter_normalised) or the eigenvectors of the Hessian.
    ///
    /// # Errors
    /// A direction in another space.
    pub fn around(origin: Position, directions: [ParamVec; D]) -> Result<Self> {
        for direction in &directions {
            // An absent part is a zero one.
            let parts = origin.weights.parts();
            let whole = direction.parts().iter().zip(parts).map(|(d, w)| d.clone().or(w.clone()));
            let whole = Position {
                weights: ParamVec::new(
                    whole.chain(direction.parts().iter().skip(parts.len()).cloned()).collect(),
                ),
                others: origin.others.clone(),
            };
            origin.check_fits("a direction", &whole)?;
        }
        Ok(Self { origin, directions })
    }

    /// The coordinates of the point of the section that is nearest to `position`, and its distance
    /// from there in the space of weights.
    ///
    /// # Errors
    /// A place in another space, directions that are not independent.
    pub fn coordinates(&self, position: &Position) -> Result<([f64; D], f64)> {
        self.origin.check_fits("a position", position)?;
        let away = position.weights.clone().minus(&self.origin.weights);
        let directions = &self.directions;
        let products = directions.iter().flat_map(|a| directions.iter().map(|b| a.dot(b)));
        let onto = directions.iter().map(|a| a.dot(&away));
        let numbers = read(products.chain(onto).collect())?;
        let gram = DMatrix::from_row_slice(D, D, &numbers[..D * D]);
        let solved = gram.lu().solve(&DVector::from_column_slice(&numbers[D * D..]));
        let dependent = Error::Combination("the directions of a section must be independent");
        let solved = solved.filter(|c| c.iter().all(|c| c.is_finite())).ok_or(dependent)?;
        let coordinates = std::array::from_fn(|i| solved[i]);
        let at = self.at(coordinates).weights;
        let distance = read(vec![position.weights.clone().minus(&at).norm()])?[0];
        Ok((coordinates, distance))
    }
}

impl<const D: usize> Section<D> for Span<D> {
    fn at(&self, coordinates: [f64; D]) -> Position {
        let steps = self.directions.iter().zip(coordinates);
        let weights = steps
            .fold(self.origin.weights.clone(), |w, (direction, c)| w.plus_scaled(direction, c));
        Position { weights, others: self.origin.others.clone() }
    }
}
