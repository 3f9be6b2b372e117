//! The operations with autodiff.

use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients as Store;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, AutodiffBackend};

use super::{Gradients, Kernels, Normalisation, SavedBatchNorm};
use crate::kernel::convolution::Geometry;

#[derive(Debug)]
struct Convolution;

impl<B: Gradients> Backward<B, 2> for Convolution {
    type State = (NodeId, NodeId, Geometry);

    fn backward(self, ops: Ops<Self::State, 2>, store: &mut Store, checkpoints: &mut Checkpointer) {
        let [x_node, w_node] = ops.parents;
        let g = store.consume::<B>(&ops.node);
        let (x, w, geometry) = ops.state;
        let x = checkpoints.retrieve_node_output::<FloatTensor<B>>(x);
        let w = checkpoints.retrieve_node_output::<FloatTensor<B>>(w);
        if let Some(node) = x_node {
            store.register::<B>(node.id, B::convolution_input(w, g.clone(), geometry));
        }
        if let Some(node) = w_node {
            store.register::<B>(node.id, B::convolution_weight(x, g, geometry));
        }
    }
}

#[derive(Debug)]
struct ConvolutionWithBias;

impl<B: Gradients> Backward<B, 3> for ConvolutionWithBias {
    type State = (NodeId, NodeId, Geometry);

    fn backward(self, ops: Ops<Self::State, 3>, store: &mut Store, checkpoints: &mut Checkpointer) {
        let [x_node, w_node, bias_node] = ops.parents;
        let g = store.consume::<B>(&ops.node);
        let (x, w, geometry) = ops.state;
        let x = checkpoints.retrieve_node_output::<FloatTensor<B>>(x);
        let w = checkpoints.retrieve_node_output::<FloatTensor<B>>(w);
        if let Some(node) = x_node {
            store.register::<B>(node.id, B::convolution_input(w, g.clone(), geometry));
        }
        if let Some(node) = w_node {
            store.register::<B>(node.id, B::convolution_weight(x, g.clone(), geometry));
        }
        if let Some(node) = bias_node {
            store.register::<B>(node.id, B::convolution_bias(g, geometry));
        }
    }
}

/// Nodes of x, γ and β, the mean, the variance, and the settings.
type BatchNormState<B> = (NodeId, NodeId, NodeId, FloatTensor<B>, FloatTensor<B>, Normalisation);

#[derive(Debug)]
struct BatchNorm;

impl<B: Gradients> Backward<B, 3> for BatchNorm {
    type State = BatchNormState<B>;

    fn backward(self, ops: Ops<Self::State, 3>, store: &mut Store, checkpoints: &mut Checkpointer) {
        let g = store.consume::<B>(&ops.node);
        let saved = restore::<B>(ops.state, None, checkpoints);
        let gradients = B::batch_norm_gradients(saved, g);
        let found = [gradients.x, gradients.gamma, gradients.beta];
        for (node, gradient) in ops.parents.into_iter().zip(found) {
            if let Some(node) = node {
                store.register::<B>(node.id, gradient);
            }
        }
    }
}

fn restore<B: Gradients>(
    state: BatchNormState<B>,
    other: Option<NodeId>,
    checkpoints: &mut Checkpointer,
) -> SavedBatchNorm<B> {
    let (x, gamma, beta, mean, variance, how) = state;
    let mut get = |node| checkpoints.retrieve_node_output::<FloatTensor<B>>(node);
    let (x, gamma, beta, other) = (get(x), get(gamma), get(beta), other.map(get));
    SavedBatchNorm { x, other, gamma, beta, mean, variance, how }
}

#[derive(Debug)]
struct BatchNormAdd;

impl<B: Gradients> Backward<B, 4> for BatchNormAdd {
    type State = (BatchNormState<B>, NodeId);

    fn backward(self, ops: Ops<Self::State, 4>, store: &mut Store, checkpoints: &mut Checkpointer) {
        let [x, other, gamma, beta] = ops.parents;
        let g = store.consume::<B>(&ops.node);
        let saved = restore::<B>(ops.state.0, Some(ops.state.1), checkpoints);
        let gradients = B::batch_norm_gradients(saved, g);
        let found = [
            (x, Some(gradients.x)),
            (other, gradients.other),
            (gamma, Some(gradients.gamma)),
            (beta, Some(gradients.beta)),
        ];
        for (node, gradient) in found {
            if let (Some(node), Some(gradient)) = (node, gradient) {
                store.register::<B>(node.id, gradient);
            }
        }
    }
}

#[derive(Debug)]
struct Add;

impl<B: Gradients> Backward<B, 2> for Add {
    type State = ();

    fn backward(self, ops: Ops<(), 2>, store: &mut Store, _checkpoints: &mut Checkpointer) {
        let g = store.consume::<B>(&ops.node);
        for node in ops.parents.into_iter().flatten() {
            store.register::<B>(node.id, g.clone());
        }
    }
}

#[derive(Debug)]
struct Relu;

impl<B: Gradients> Backward<B, 1> for Relu {
    /// The output.
    type State = FloatTensor<B>;

    fn backward(
        self,
        ops: Ops<Self::State, 1>,
        store: &mut Store,
        _checkpoints: &mut Checkpointer,
    ) {
        let g = store.consume::<B>(&ops.node);
        if let [Some(node)] = ops.parents {
            store.register::<B>(node.id, B::relu_gradient(ops.state, g));
        }
    }
}

#[derive(Debug)]
struct Gelu;

impl<B: Gradients> Backward<B, 1> for Gelu {
    type State = NodeId;

    fn backward(self, ops: Ops<Self::State, 1>, store: &mut Store, checkpoints: &mut Checkpointer) {
        let g = store.consume::<B>(&ops.node);
        let x = checkpoints.retrieve_node_output::<FloatTensor<B>>(ops.state);
        if let [Some(node)] = ops.parents {
            store.register::<B>(node.id, B::exact_gelu_gradient(x, g));
        }
    }
}

#[derive(Debug)]
struct Softmax;

impl<B: Gradients> Backward<B, 1> for Softmax {
    /// The output and the scale.
    type State = (FloatTensor<B>, f64);

    fn backward(
        self,
        ops: Ops<Self::State, 1>,
        store: &mut Store,
        _checkpoints: &mut Checkpointer,
    ) {
        let g = store.consume::<B>(&ops.node);
        let (y, scale) = ops.state;
        if let [Some(node)] = ops.parents {
            store.register::<B>(node.id, B::softmax_gradient(y, g, scale));
        }
    }
}

#[derive(Debug)]
struct LayerNorm;

impl<B: Gradients> Backward<B, 3> for LayerNorm {
    type State = (NodeId, NodeId, f64);

    fn backward(self, ops: Ops<Self::State, 3>, store: &mut Store, checkpoints: &mut Checkpointer) {
        let g = store.consume::<B>(&ops.node);
        let (x, gamma, epsilon) = ops.state;
        let x = checkpoints.retrieve_node_output::<FloatTensor<B>>(x);
        let gamma = checkpoints.retrieve_node_output::<FloatTensor<B>>(gamma);
        let found = B::layer_norm_gradients(x, gamma, epsilon, g);
        for (node, gradient) in ops.parents.into_iter().zip(found) {
            if let Some(node) = node {
                store.register::<B>(node.id, gradient);
            }
        }
    }
}

impl<B: Kernels + Gradients, C: CheckpointStrategy> Kernels for Autodiff<B, C> {
    fn convolve(
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        geometry: Geometry,
    ) -> FloatTensor<Self> {
        let step = Backward::<B, 2>::prepare::<C>(Convolution, [x.node(), w.node()]);
        match step.compute_bound().stateful() {
            OpsKind::Tracked(mut step) => {
                let state = (step.checkpoint(&x), step.checkpoint(&w), geometry);
                step.finish(state, B::convolve(x.into_primitive(), w.into_primitive(), geometry))
            }
            OpsKind::UnTracked(step) => {
                step.finish(B::convolve(x.into_primitive(), w.into_primitive(), geometry))
            }
        }
    }

    fn convolve_with_bias(
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        geometry: Geometry,
    ) -> FloatTensor<Self> {
        let nodes = [x.node(), w.node(), bias.node()];
        let run = |x: FloatTensor<Self>, w: FloatTensor<Self>, bias: FloatTensor<Self>| {
            let (x, w) = (x.into_primitive(), w.into_primitive());
            B::convolve_with_bias(x, w, bias.into_primitive(), geometry)
        };
        let step = Backward::<B, 3>::prepare::<C>(ConvolutionWithBias, nodes);
        match step.compute_bound().stateful() {
            OpsKind::Tracked(mut step) => {
                let state = (step.checkpoint(&x), step.checkpoint(&w), geometry);
                step.finish(state, run(x, w, bias))
            }
            OpsKind::UnTracked(step) => step.finish(run(x, w, bias)),
        }
    }

    fn normalise_batch(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        how: Normalisation,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let nodes = [x.node(), gamma.node(), beta.node()];
        let run = |x: FloatTensor<Self>, gamma: FloatTensor<Self>, beta: FloatTensor<Self>| {
            let (x, gamma) = (x.into_primitive(), gamma.into_primitive());
            B::normalise_batch(x, gamma, beta.into_primitive(), how)
        };
        let step = Backward::<B, 3>::prepare::<C>(BatchNorm, nodes);
        let (y, mean, variance) = match step.compute_bound().stateful() {
            OpsKind::Tracked(mut step) => {
                let [x_id, gamma_id, beta_id] =
                    [&x, &gamma, &beta].map(|tensor| step.checkpoint(tensor));
                let (y, mean, variance) = run(x, gamma, beta);
                let state = (x_id, gamma_id, beta_id, mean.clone(), variance.clone(), how);
                (step.finish(state, y), mean, variance)
            }
            OpsKind::UnTracked(step) => {
                let (y, mean, variance) = run(x, gamma, beta);
                (step.finish(y), mean, variance)
            }
        };
        (y, Self::from_inner(mean), Self::from_inner(variance))
    }

    fn normalise_batch_add(
        x: FloatTensor<Self>,
        other: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        how: Normalisation,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let tensors = [x, other, gamma, beta];
        let run = |tensors: [FloatTensor<Self>; 4]| {
            let [x, other, gamma, beta] = tensors.map(FloatTensor::<Self>::into_primitive);
            B::normalise_batch_add(x, other, gamma, beta, how)
        };
        let nodes = tensors.each_ref().map(FloatTensor::<Self>::node);
        let step = Backward::<B, 4>::prepare::<C>(BatchNormAdd, nodes);
        let (y, mean, variance) = match step.compute_bound().stateful() {
            OpsKind::Tracked(mut step) => {
                let [x, other, gamma, beta] =
                    tensors.each_ref().map(|tensor| step.checkpoint(tensor));
                let (y, mean, variance) = run(tensors);
                let state = (x, gamma, beta, mean.clone(), variance.clone(), how);
                (step.finish((state, other), y), mean, variance)
            }
            OpsKind::UnTracked(step) => {
                let (y, mean, variance) = run(tensors);
                (step.finish(y), mean, variance)
            }
        };
        (y, Self::from_inner(mean), Self::from_inner(variance))
    }

    fn add_same(x: FloatTensor<Self>, y: FloatTensor<Self>) -> FloatTensor<Self> {
        let step = Backward::<B, 2>::prepare::<C>(Add, [x.node(), y.node()]);
        step.compute_bound().stateless(B::add_same(x.into_primitive(), y.into_primitive()))
    }

    fn rectify(x: FloatTensor<Self>) -> FloatTensor<Self> {
        let step = Backward::<B, 1>::prepare::<C>(Relu, [x.node()]);
        match step.compute_bound().stateful() {
            OpsKind::Tracked(step) => {
                let y = B::rectify(x.into_primitive());
                step.finish(y.clone(), y)
            }
            OpsKind::UnTracked(step) => step.finish(B::rectify(x.into_primitive())),
        }
    }

    fn exact_gelu(x: FloatTensor<Self>) -> FloatTensor<Self> {
        let step = Backward::<B, 1>::prepare::<C>(Gelu, [x.node()]);
        match step.compute_bound().stateful() {
            OpsKind::Tracked(mut step) => {
                let state = step.checkpoint(&x);
                step.finish(state, B::exact_gelu(x.into_primitive()))
            }
            OpsKind::UnTracked(step) => step.finish(B::exact_gelu(x.into_primitive())),
        }
    }

    fn softmax_of_rows(x: FloatTensor<Self>, scale: f64) -> FloatTensor<Self> {
        let step = Backward::<B, 1>::prepare::<C>(Softmax, [x.node()]);
        match step.compute_bound().stateful() {
            OpsKind::Tracked(step) => {
                let y = B::softmax_of_rows(x.into_primitive(), scale);
                step.finish((y.clone(), scale), y)
            }
            OpsKind::UnTracked(step) => step.finish(B::softmax_of_rows(x.into_primitive(), scale)),
        }
    }

    fn normalise_rows(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f64,
    ) -> FloatTensor<Self> {
        let nodes = [x.node(), gamma.node(), beta.node()];
        let run = |x: FloatTensor<Self>, gamma: FloatTensor<Self>, beta: FloatTensor<Self>| {
            let (x, gamma) = (x.into_primitive(), gamma.into_primitive());
            B::normalise_rows(x, gamma, beta.into_primitive(), epsilon)
        };
        let step = Backward::<B, 3>::prepare::<C>(LayerNorm, nodes);
        match step.compute_bound().stateful() {
            OpsKind::Tracked(mut step) => {
                let state = (step.checkpoint(&x), step.checkpoint(&gamma), epsilon);
                step.finish(state, run(x, gamma, beta))
            }
            OpsKind::UnTracked(step) => step.finish(run(x, gamma, beta)),
        }
    }
}
