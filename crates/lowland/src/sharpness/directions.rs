//! Directions to look along.

use burn::tensor::Tensor;

use super::draw::{gaussian, generator};
use crate::vector::ratio;
use crate::{Error, ParamVec, Parameter, Parameters, Result};

/// A random direction in which every filter is as long as the filter of the weights in the same
/// place.
///
/// ```text
/// d_f ← d_f·‖w_f‖/‖d_f‖      for each filter f, d drawn from the standard normal distribution
/// ```
///
/// A step along it changes each filter by the same share of its length, so that networks whose
/// weights differ in scale alone (as BatchNorm and ReLU allow) show the same landscape.
///
/// `axis` says along which axis of a parameter its filters are counted, and `None` keeps the
/// parameter where it is; [`filter_axis`] is the usual choice. The same seed gives the same `d` for
/// all modules with the same shapes. Weights are those of [`Parameters::weights`] or
/// [`Position`](super::Position).
///
/// # Source
/// Li, Xu, Taylor, Studer, Goldstein (2018), "Visualizing the Loss Landscape of Neural Nets",
/// arXiv:1712.09913, section 4.
///
/// # Errors
/// Weights that are not those of `parameters`, an axis that a parameter does not have.
pub fn filter_normalised(
    parameters: &Parameters,
    weights: &ParamVec,
    seed: u64,
    axis: impl Fn(&Parameter) -> Option<usize>,
) -> Result<ParamVec> {
    let sizes = |vector: &ParamVec| {
        let size = |part: &Option<Tensor<1>>| part.as_ref().map(|part| part.shape().num_elements());
        vector.parts().iter().map(size).collect::<Vec<_>>()
    };
    let expected: Vec<_> = parameters.iter().map(|p| Some(p.shape.num_elements())).collect();
    let found = sizes(weights);
    if found != expected {
        let (expected, found) = (format!("{expected:?}"), format!("{found:?}"));
        return Err(Error::Mismatch { what: "a vector of weights", expected, found });
    }
    let random = gaussian(weights, &mut generator(seed, 0));
    let parts = parameters.iter().zip(random.into_parts()).zip(weights.parts());
    let direction = parts.map(|((parameter, d), w)| {
        let (Some(axis), Some(d), Some(w)) = (axis(parameter), d, w) else { return Ok(None) };
        let dims: Vec<usize> = parameter.shape.iter().copied().collect();
        if axis >= dims.len() {
            let (found, axes) = (axis.to_string(), format!("an axis of {}", parameter.path));
            return Err(Error::Mismatch { what: "a filter axis", expected: axes, found });
        }
        // [before, filters, after], in the order in which the elements lie in memory.
        let (before, after) = (&dims[..axis], &dims[axis + 1..]);
        let shape = [before.iter().product(), dims[axis], after.iter().product()];
        Ok(Some(normalised(d, w.clone(), shape)))
    });
    Ok(ParamVec::new(direction.collect::<Result<_>>()?))
}

/// The axis of a parameter along which its filters are counted, by its rank alone, for layers are
/// not known by name:
///
/// | rank | taken for | shape | filters |
/// | --- | --- | --- | --- |
/// | 0, 1 | a bias, or a parameter of a normalisation layer | | none: it is kept |
/// | 2 | the weight of a linear layer | `[in, out]` | along axis 1, a unit each |
/// | 3 and more | the weight of a convolution | `[out, in/groups, …]` | along axis 0 |
///
/// Embeddings, `[words, units]`, are so taken for linear layers, and the weights of transposed
/// convolutions, `[in, out/groups, …]`, for those of plain ones; your own function can look
/// at their paths.
pub fn filter_axis(parameter: &Parameter) -> Option<usize> {
    match parameter.shape.num_dims() {
        0 | 1 => None,
        2 => Some(1),
        _ => Some(0),
    }
}

/// `d` with each filter at the length of that of `w`; `shape` has the filters along axis 1.
fn normalised(d: Tensor<1>, w: Tensor<1>, shape: [usize; 3]) -> Tensor<1> {
    let elements = d.shape();
    let (d, w) = (d.reshape::<3, _>(shape), w.reshape::<3, _>(shape));
    let length = |t: Tensor<3>| (t.clone() * t).sum_dim(2).sum_dim(0).sqrt();
    let filters = shape[1];
    let factors = ratio(length(w).reshape([filters]), length(d.clone()).reshape([filters]));
    (d * factors.reshape::<3, _>([1, filters, 1])).reshape::<1, _>(elements)
}
