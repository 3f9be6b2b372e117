//! The exponential moving average of a run's weights.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::Tensor;

use crate::models::Model;

/// The average of the weights over steps, running statistics among them:
/// `a ← d·a + (1 − d)·w`, with `d = min(decay, (1 + t) / (10 + t))` after `t` steps, so that the
/// first weights are soon forgotten (as in TensorFlow's `ExponentialMovingAverage`).
///
/// It depends on the weights and on the number of steps alone.
#[derive(Debug)]
pub(super) struct Average {
    decay: f64,
    model: Model,
}

impl Average {
    /// Begins with `model`, which is in evaluation.
    pub(super) fn new(decay: f64, model: Model) -> Self {
        Self { decay, model }
    }

    /// The averaged network, in evaluation.
    pub(super) fn model(&self) -> &Model {
        &self.model
    }

    /// Takes in the weights after step `step`, counted from 1, of a network in evaluation.
    pub(super) fn add(self, model: &Model, step: u64) -> Self {
        let step = step as f64;
        let decay = self.decay.min((1.0 + step) / (10.0 + step));
        let mut weights = Weights::default();
        model.visit(&mut weights);
        let model = self.model.map(&mut Mix { decay, weights: weights.0.into_iter() });
        Self { model, ..self }
    }
}

/// The weights of a network, flattened, in the order of a visit: identifiers are others once a
/// network was loaded.
#[derive(Default)]
struct Weights(Vec<Tensor<1>>);

impl ModuleVisitor for Weights {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let value = param.val();
        let count = value.shape().num_elements();
        self.0.push(value.reshape([count]));
    }
}

/// Mixes other weights into those of a network.
struct Mix {
    decay: f64,
    weights: std::vec::IntoIter<Tensor<1>>,
}

impl ModuleMapper for Mix {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, average, mapper) = param.consume();
        let average = match self.weights.next() {
            Some(weights) => {
                let weights = weights.reshape(average.shape());
                average * self.decay + weights * (1.0 - self.decay)
            }
            None => average,
        };
        Param::from_mapped_value(id, average, mapper)
    }
}
