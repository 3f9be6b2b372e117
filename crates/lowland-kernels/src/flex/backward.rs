//! The operations with autodiff.

use std::fmt::Debug;

use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients as Store;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, AutodiffBackend, Backend};

use super::{Gradients, Kernels, Normalisation, SavedBatchNorm};
use crate::kernel::attention::Heads;
use crate::kernel::convolution::Geometry;

/// What a backward pass needs of the forward pass.
#[derive(Clone, Debug)]
struct Kept<const M: usize, E> {
    /// Inputs.
    inputs: [NodeId; M],
    /// What else there is.
    extra: E,
}

impl<const M: usize, E> Kept<M, E> {
    /// The inputs.
    fn inputs<B: Backend>(&self, checkpoints: &mut Checkpointer) -> [FloatTensor<B>; M] {
        self.inputs.map(|node| checkpoints.retrieve_node_output::<FloatTensor<B>>(node))
    }
}

/// Runs an operation, and where a gradient may be asked for keeps the inputs `kept` and what `run`
/// returns beside its output.
fn record<B, C, K, E, const N: usize, const M: usize>(
    backward: K,
    inputs: [FloatTensor<Autodiff<B, C>>; N],
    kept: [usize; M],
    run: impl FnOnce([FloatTensor<B>; N]) -> (FloatTensor<B>, E),
) -> (FloatTensor<Autodiff<B, C>>, E)
where
    B: Backend,
    C: CheckpointStrategy,
    K: Backward<B, N, State = Kept<M, E>>,
    E: Clone + Debug + Send + 'static,
{
    let nodes = inputs.each_ref().map(FloatTensor::<Autodiff<B, C>>::node);
    let primitives = |inputs: [FloatTensor<Autodiff<B, C>>; N]| {
        inputs.map(FloatTensor::<Autodiff<B, C>>::into_primitive)
    };
    match backward.prepare::<C>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(mut step) => {
            let nodes = kept.map(|i| step.checkpoint(&inputs[i]));
            let (output, extra) = run(primitives(inputs));
            let state = Kept { inputs: nodes, extra: extra.clone() };
            (step.finish(state, output), extra)
        }
        OpsKind::UnTracked(step) => {
            let (output, extra) = run(primitives(inputs));
            (step.finish(output), extra)
        }
    }
}

/// Gives inputs that want them their gradients.
fn give<B: Backend, const N: usize>(
    store: &mut Store,
    inputs: [Option<NodeId>; N],
    gradients: [Option<FloatTensor<B>>; N],
) {
    for (input, gradient) in inputs.into_iter().zip(gradients) {
        if let (Some(input), Some(gradient)) = (input, gradient) {
            store.register::<B>(input, gradient);
        }
    }
}

/// The nodes of inputs that want a gradient.
macro_rules! wanted {
    ($ops:ident) => {
        $ops.parents.each_ref().map(|node| node.as_ref().map(|node| node.id))
    };
}

#[derive(Debug)]
struct Convolution;

impl<B: Gradients> Backward<B, 3> for Convolution {
    type State = Kept<2, Geometry>;

    fn backward(self, ops: Ops<Self::State, 3>, store: &mut Store, checkpoints: &mut Checkpointer) {
        let g = store.consume::<B>(&ops.node);
        let ([x, w], geometry) = (ops.state.inputs::<B>(checkpoints), ops.state.extra);
        let [of_x, of_w, of_bias] = wanted!(ops);
        let found = [
            of_x.map(|_| B::convolution_input(w, g.clone(), geometry)),
            of_w.map(|_| B::convolution_weight(x, g.clone(), geometry)),
            of_bias.map(|_| B::convolution_bias(g, geometry)),
        ];
        give::<B, 3>(store, [of_x, of_w, of_bias], found);
    }
}

#[derive(Debug)]
struct Linear;

impl<B: Gradients> Backward<B, 3> for Linear {
    type State = Kept<2, ()>;

    fn backward(self, ops: Ops<Self::State, 3>, store: &mut Store, checkpoints: &mut Checkpointer) {
        let g = store.consume::<B>(&ops.node);
        let [x, w] = ops.state.inputs::<B>(checkpoints);
        let [of_x, of_w, of_bias] = wanted!(ops);
        let found = [
            of_x.map(|_| B::linear_input(w, g.clone())),
            of_w.map(|_| B::linear_weight(x, g.clone())),
            of_bias.map(|_| B::linear_bias(g)),
        ];
        give::<B, 3>(store, [of_x, of_w, of_bias], found);
    }
}

#[derive(Debug)]
struct Attention;

impl<B: Gradients> Backward<B, 4> for Attention {
    type State = Kept<4, Heads>;

    fn backward(self, ops: Ops<Self::State, 4>, store: &mut Store, checkpoints: &mut Checkpointer) {
        let g = store.consume::<B>(&ops.node);
        let [query, key, value, mask] = ops.state.inputs::<B>(checkpoints);
        let found = B::attention_gradients([query, key, value], mask, ops.state.extra, g);
        let [query, key, value] = found.map(Some);
        give::<B, 4>(store, wanted!(ops), [query, key, value, None]);
    }
}

#[derive(Debug)]
struct BatchNorm;

impl<B: Gradients> Backward<B, 4> for BatchNorm {
    /// With mean and variance.
    type State = Kept<4, (FloatTensor<B>, FloatTensor<B>, Normalisation)>;

    fn backward(self, ops: Ops<Self::State, 4>, store: &mut Store, checkpoints: &mut Checkpointer) {
        let g = store.consume::<B>(&ops.node);
        let wanted = wanted!(ops);
        let [x, other, gamma, beta] = ops.state.inputs::<B>(checkpoints);
        let (mean, variance, how) = ops.state.extra;
        let saved = SavedBatchNorm { x, other, gamma, beta, mean, variance, how };
        let found = B::batch_norm_gradients(saved, g);
        let found = [Some(found.x), found.other, Some(found.gamma), Some(found.beta)];
        give::<B, 4>(store, wanted, found);
    }
}

#[derive(Debug)]
struct Add;

impl<B: Gradients> Backward<B, 2> for Add {
    type State = Kept<0, ()>;

    fn backward(self, ops: Ops<Self::State, 2>, store: &mut Store, _: &mut Checkpointer) {
        let g = store.consume::<B>(&ops.node);
        give::<B, 2>(store, wanted!(ops), [Some(g.clone()), Some(g)]);
    }
}

#[derive(Debug)]
struct Relu;

impl<B: Gradients> Backward<B, 1> for Relu {
    /// The output.
    type State = Kept<0, FloatTensor<B>>;

    fn backward(self, ops: Ops<Self::State, 1>, store: &mut Store, _: &mut Checkpointer) {
        let g = store.consume::<B>(&ops.node);
        let wanted = wanted!(ops);
        give::<B, 1>(store, wanted, [Some(B::relu_gradient(ops.state.extra, g))]);
    }
}

#[derive(Debug)]
struct Gelu;

impl<B: Gradients> Backward<B, 1> for Gelu {
    type State = Kept<1, ()>;

    fn backward(self, ops: Ops<Self::State, 1>, store: &mut Store, checkpoints: &mut Checkpointer) {
        let g = store.consume::<B>(&ops.node);
        let [x] = ops.state.inputs::<B>(checkpoints);
        give::<B, 1>(store, wanted!(ops), [Some(B::exact_gelu_gradient(x, g))]);
    }
}

#[derive(Debug)]
struct Softmax;

impl<B: Gradients> Backward<B, 1> for Softmax {
    /// The output and the scale.
    type State = Kept<0, (FloatTensor<B>, f64)>;

    fn backward(self, ops: Ops<Self::State, 1>, store: &mut Store, _: &mut Checkpointer) {
        let g = store.consume::<B>(&ops.node);
        let wanted = wanted!(ops);
        let (y, scale) = ops.state.extra;
        give::<B, 1>(store, wanted, [Some(B::softmax_gradient(y, g, scale))]);
    }
}

#[derive(Debug)]
struct LayerNorm;

impl<B: Gradients> Backward<B, 3> for LayerNorm {
    /// With ε.
    type State = Kept<2, f64>;

    fn backward(self, ops: Ops<Self::State, 3>, store: &mut Store, checkpoints: &mut Checkpointer) {
        let g = store.consume::<B>(&ops.node);
        let [x, gamma] = ops.state.inputs::<B>(checkpoints);
        let found = B::layer_norm_gradients(x, gamma, ops.state.extra, g);
        give::<B, 3>(store, wanted!(ops), found.map(Some));
    }
}

impl<B: Kernels + Gradients, C: CheckpointStrategy> Kernels for Autodiff<B, C> {
    fn convolve(
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        geometry: Geometry,
    ) -> FloatTensor<Self> {
        let run = |[x, w, bias]: [_; 3]| (B::convolve(x, w, bias, geometry), geometry);
        record::<B, C, _, _, 3, 2>(Convolution, [x, w, bias], [0, 1], run).0
    }

    fn project(
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let run = |[x, w, bias]: [_; 3]| (B::project(x, w, bias), ());
        record::<B, C, _, _, 3, 2>(Linear, [x, w, bias], [0, 1], run).0
    }

    fn attend(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        mask: FloatTensor<Self>,
        heads: Heads,
    ) -> FloatTensor<Self> {
        let run =
            |[query, key, value, mask]: [_; 4]| (B::attend(query, key, value, mask, heads), heads);
        record::<B, C, _, _, 4, 4>(Attention, [query, key, value, mask], [0, 1, 2, 3], run).0
    }

    fn normalise_batch(
        x: FloatTensor<Self>,
        other: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        how: Normalisation,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let run = |[x, other, gamma, beta]: [_; 4]| {
            let (y, mean, variance) = B::normalise_batch(x, other, gamma, beta, how);
            (y, (mean, variance, how))
        };
        let inputs = [x, other, gamma, beta];
        let (y, (mean, variance, _)) =
            record::<B, C, _, _, 4, 4>(BatchNorm, inputs, [0, 1, 2, 3], run);
        (y, Self::from_inner(mean), Self::from_inner(variance))
    }

    fn add_same(x: FloatTensor<Self>, y: FloatTensor<Self>) -> FloatTensor<Self> {
        let run = |[x, y]: [_; 2]| (B::add_same(x, y), ());
        record::<B, C, _, _, 2, 0>(Add, [x, y], [], run).0
    }

    fn rectify(x: FloatTensor<Self>) -> FloatTensor<Self> {
        let run = |[x]: [_; 1]| {
            let y = B::rectify(x);
            (y.clone(), y)
        };
        record::<B, C, _, _, 1, 0>(Relu, [x], [], run).0
    }

    fn exact_gelu(x: FloatTensor<Self>) -> FloatTensor<Self> {
        let run = |[x]: [_; 1]| (B::exact_gelu(x), ());
        record::<B, C, _, _, 1, 1>(Gelu, [x], [0], run).0
    }

    fn softmax_of_rows(x: FloatTensor<Self>, scale: f64) -> FloatTensor<Self> {
        let run = |[x]: [_; 1]| {
            let y = B::softmax_of_rows(x, scale);
            (y.clone(), (y, scale))
        };
        record::<B, C, _, _, 1, 0>(Softmax, [x], [], run).0
    }

    fn normalise_rows(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f64,
    ) -> FloatTensor<Self> {
        let run = |[x, gamma, beta]: [_; 3]| (B::normalise_rows(x, gamma, beta, epsilon), epsilon);
        record::<B, C, _, _, 3, 2>(LayerNorm, [x, gamma, beta], [0, 1], run).0
    }
}
