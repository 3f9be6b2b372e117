//! The integers of a quantised network.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, Reparameterization};
use burn::tensor::{Int, Tensor, TensorData};

use super::attach::Lsq;
use super::quantiser::{Grid, integers, positive, range};
use crate::{Error, Result};

/// A layer of a quantised network in integers.
///
/// What the layer computes is the convolution (or product) of its integers with those of its input,
/// times both steps, up to rounding errors of floating point.
#[derive(Debug, Clone, PartialEq)]
pub struct IntegerLayer {
    /// The path of the weights, such as `stem.weight`.
    pub path: String,
    /// The shape of the weights.
    pub shape: Vec<usize>,
    /// The weights over their step; the last index of the shape runs fastest.
    pub weights: Vec<i8>,
    /// What the weights are rounded to.
    pub weight_grid: Grid,
    /// What comes into the layer is rounded to this.
    pub input_grid: Grid,
}

/// The layers of a quantised network in integers, in the order of the module.
///
/// # Errors
/// [`Error::Quantise`] where nothing is quantised, for weights that are not finite, and for those
/// of more than 8 bits, which only a record brings.
pub fn integer_layers<M: Module>(model: &M) -> Result<Vec<IntegerLayer>> {
    let mut visitor = Integers::default();
    model.visit(&mut visitor);
    if visitor.found.is_empty() {
        return Err(Error::quantise("the network", "it is not quantised yet"));
    }
    visitor.found.into_iter().collect()
}

/// `model` with its integers times their steps in the place of its float weights: what an engine
/// for integers would compute with. It rounds them no further, and gives the same numbers.
///
/// # Errors
/// As [`integer_layers`].
pub fn with_integer_weights<M: Module>(model: M) -> Result<M> {
    let layers = integer_layers(&model)?;
    let weights = layers.into_iter().map(|layer| {
        let value = |&n: &i8| f64::from(n) * layer.weight_grid.step;
        (layer.path, layer.weights.iter().map(value).collect())
    });
    Ok(model.map(&mut Placed { path: Vec::new(), weights: weights.collect() }))
}

/// Collects the parts of layers, which come in the order weights, step and range of the weights,
/// step and range of the input.
#[derive(Default)]
struct Integers {
    path: Vec<String>,
    weights: Option<(String, Vec<usize>, Tensor<1>)>,
    step: Option<Tensor<1>>,
    rounded: Option<(Vec<f32>, Grid)>,
    found: Vec<Result<IntegerLayer>>,
}

impl Integers {
    fn quantises(&self, part: &str) -> bool {
        matches!(&self.path[..], [.., lsq, of, _] if lsq == Lsq::NAME && of == part)
    }

    /// Makes a layer of its parts, once the last of them is visited.
    fn part(&mut self, range: [i64; 2]) -> Option<()> {
        let [lowest, highest] = range;
        let step = self.step.take()?;
        let grid = Grid { step: step.clone().into_scalar::<f64>(), lowest, highest };
        if self.quantises("weight") {
            let (_, _, weights) = self.weights.as_ref()?;
            let weights = integers(weights.clone(), step, range).into_data();
            self.rounded = Some((weights.iter::<f32>().collect(), grid));
        } else if self.quantises("input") {
            let ((path, shape, _), (weights, weight_grid)) =
                (self.weights.take()?, self.rounded.take()?);
            let layer = eight_bits(&weights, weight_grid).map(|weights| {
                let path = path.clone();
                IntegerLayer { path, shape, weights, weight_grid, input_grid: grid }
            });
            self.found.push(layer.map_err(|problem| Error::quantise(path, problem)));
        }
        Some(())
    }
}

fn eight_bits(integers: &[f32], grid: Grid) -> Result<Vec<i8>, &'static str> {
    if grid.lowest < i64::from(i8::MIN) || grid.highest > i64::from(i8::MAX) {
        return Err("it has more than 8 bits");
    }
    #[expect(clippy::cast_possible_truncation, reason = "within the range of the grid")]
    let integer = |&n: &f32| if n.is_nan() { Err("it is not finite") } else { Ok(n as i8) };
    integers.iter().map(integer).collect()
}

impl ModuleVisitor for Integers {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let value = param.base().without_autodiff();
        let shape = value.dims().to_vec();
        let value = value.reshape([shape.iter().product::<usize>()]);
        if self.quantises("weight") || self.quantises("input") {
            self.step = Some(positive(value));
        } else {
            self.weights = Some((self.path.join("."), shape, value));
        }
    }

    fn visit_int<const D: usize>(&mut self, param: &Param<Tensor<D, Int>>) {
        self.part(range(param.val()));
    }
}

struct Placed {
    path: Vec<String>,
    weights: BTreeMap<String, Vec<f64>>,
}

impl ModuleMapper for Placed {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(values) = self.weights.remove(&self.path.join(".")) else { return param };
        param.map(|weights| {
            let data = TensorData::new(values, weights.shape());
            let placed = Tensor::from_data(data, (&weights.device(), weights.dtype()));
            placed.set_require_grad(weights.is_require_grad())
        })
    }
}
