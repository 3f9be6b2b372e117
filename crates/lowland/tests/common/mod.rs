//! The two networks of the golden traces, in any float type, and how to set and read them. In one
//! file, since each is set and read the same way.

#![allow(dead_code, reason = "each test binary uses a part")]

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, RunningState};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{Initializer, Linear, LinearConfig, PaddingConfig2d};
use burn::optim::decay::WeightDecayConfig;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{ModuleOptimizer, SgdConfig};
use burn::tensor::activation::{log_softmax, tanh};
use burn::tensor::{
    Bytes, DType, Device, FloatDType, GradientCheckpointingStrategy, Int, Tensor, TensorData,
};
#[allow(unused_imports, reason = "each test binary uses a part")]
pub(crate) use in_f64::in_f64;
use lowland::{Algorithm, Samples};
use lowland_kernels::calls::{Kernel, calls};
use lowland_kernels::{batch_norm_train, conv2d, relu};

mod in_f64;
pub(crate) mod pair;

/// The fields of a record in Burn's burnpack format, by their names.
pub(crate) fn fields(bytes: Bytes) -> BTreeMap<String, Vec<u8>> {
    let reader = burn_pack::Reader::from_bytes(bytes).unwrap();
    let scalars = reader.scalars().clone().into_iter();
    let scalars = scalars.map(|(name, value)| (name, format!("{value:?}").into_bytes()));
    let mut fields: BTreeMap<String, Vec<u8>> = scalars.collect();
    for tensor in reader.into_tensors().unwrap() {
        let (name, _, _, _, bytes) = tensor.into_parts().unwrap();
        fields.insert(name, bytes.to_vec());
    }
    fields
}

/// The algorithm of that name with its defaults, and what it cannot do without.
pub(crate) fn named(name: &str) -> Algorithm {
    match Algorithm::named(name).unwrap() {
        Algorithm::Bsam(config) => {
            Algorithm::Bsam(config.with_data_size(100).with_weight_decay(0.0))
        }
        Algorithm::LateSam(config) => Algorithm::LateSam(config.with_start(0.5)),
        other => other,
    }
}

/// Linear layers with tanh between.
#[derive(Module, Debug)]
pub(crate) struct Mlp {
    layers: Vec<Linear>,
}

/// conv - BatchNorm - ReLU, twice, then the mean over height and width and a linear layer.
#[derive(Module, Debug)]
pub(crate) struct ConvBn {
    conv1: Conv2d,
    bn1: Normalisation,
    conv2: Conv2d,
    bn2: Normalisation,
    fc: Linear,
}

/// BatchNorm as PyTorch has it: the running variance takes the unbiased variance of the batch,
/// where Burn's own layer takes the biased one. A layer that this library cannot know by name.
#[derive(Module, Debug)]
pub(crate) struct Normalisation {
    gamma: Param<Tensor<1>>,
    beta: Param<Tensor<1>>,
    running_mean: RunningState<Tensor<1>>,
    running_var: RunningState<Tensor<1>>,
}

impl Normalisation {
    fn new(channels: usize, device: &Device) -> Self {
        Self {
            gamma: Initializer::Ones.init([channels], device),
            beta: Initializer::Zeros.init([channels], device),
            running_mean: RunningState::new(Tensor::zeros([channels], device)),
            running_var: RunningState::new(Tensor::ones([channels], device)),
        }
    }

    /// `[n, channels, height, width]`, normalised with the statistics of the batch.
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let [n, _, height, width] = x.dims();
        let count = (n * height * width) as f64;
        let result = batch_norm_train(x, self.gamma.val(), self.beta.val(), 1e-5);
        let average = |state: &RunningState<Tensor<1>>, value: Tensor<1>| {
            let value = value.detach().mul_scalar(0.1);
            state.update((state.value_sync().mul_scalar(0.9) + value).detach());
        };
        average(&self.running_mean, result.mean);
        average(&self.running_var, result.variance.mul_scalar(count / (count - 1.0)));
        result.output
    }
}

/// One of the two.
#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant, reason = "a test holds a few of them")]
pub(crate) enum Net {
    /// Without BatchNorm.
    Mlp(Mlp),
    /// With BatchNorm.
    ConvBn(ConvBn),
}

impl Net {
    pub(crate) fn mlp(sizes: &[usize], device: &Device) -> Self {
        let layer = |pair: &[usize]| LinearConfig::new(pair[0], pair[1]).init(device);
        Self::Mlp(Mlp { layers: sizes.windows(2).map(layer).collect() })
    }

    pub(crate) fn conv_bn(
        inputs: usize,
        [a, b]: [usize; 2],
        classes: usize,
        device: &Device,
    ) -> Self {
        let conv = |channels, stride| {
            Conv2dConfig::new(channels, [3, 3])
                .with_stride([stride, stride])
                .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
                .with_bias(false)
                .init(device)
        };
        Self::ConvBn(ConvBn {
            conv1: conv([inputs, a], 1),
            bn1: Normalisation::new(a, device),
            conv2: conv([a, b], 2),
            bn2: Normalisation::new(b, device),
            fc: LinearConfig::new(b, classes).init(device),
        })
    }

    /// Logits `[n, classes]` of inputs flattened to `[n, values]`.
    pub(crate) fn forward(&self, x: Tensor<2>, shape: &[usize]) -> Tensor<2> {
        match self {
            Self::Mlp(net) => {
                let (last, hidden) = net.layers.split_last().unwrap();
                let x = hidden.iter().fold(x, |x, layer| tanh(layer.forward(x)));
                last.forward(x)
            }
            Self::ConvBn(net) => {
                let [n, _] = x.dims();
                let x = x.reshape([n, shape[1], shape[2], shape[3]]);
                let before = calls(Kernel::Convolution);
                let x = relu(net.bn1.forward(conv2d(&net.conv1, x)));
                let x = relu(net.bn2.forward(conv2d(&net.conv2, x)));
                assert!(calls(Kernel::Convolution) >= before + 2, "the kernels did not run");
                let x = x.mean_dim(3).mean_dim(2).flatten::<2>(1, 3);
                net.fc.forward(x)
            }
        }
    }

    /// The parameters with the layout of the traces: linear weights are `[out, in]`.
    fn linears(&self) -> Vec<&Linear> {
        match self {
            Self::Mlp(net) => net.layers.iter().collect(),
            Self::ConvBn(net) => vec![&net.fc],
        }
    }

    /// Whether the i-th trainable parameter is a linear weight, which the traces hold transposed.
    fn is_transposed(&self, i: usize) -> bool {
        match self {
            Self::Mlp(_) => i.is_multiple_of(2),
            Self::ConvBn(_) => i == 6,
        }
    }

    /// Sets all trainable parameters and gives everything the float type `dtype`.
    pub(crate) fn with_values(self, values: &[Vec<f64>], dtype: FloatDType) -> Self {
        let transposed = (0..values.len()).map(|i| self.is_transposed(i)).collect();
        self.map(&mut Load { values, transposed, next: 0, dtype })
    }

    /// All trainable parameters, as the traces hold them.
    pub(crate) fn values(&self) -> Vec<Vec<f64>> {
        let mut reader = Read::default();
        self.visit(&mut reader);
        let transpose = |(i, (shape, data)): (usize, (Vec<usize>, Vec<f64>))| {
            if self.is_transposed(i) { transposed(&data, shape[0], shape[1]) } else { data }
        };
        reader.trainable.into_iter().enumerate().map(transpose).collect()
    }

    /// The running statistics, by the names of the traces, pending updates included.
    pub(crate) fn running(&self) -> BTreeMap<String, Vec<f64>> {
        let Self::ConvBn(net) = self else { return BTreeMap::new() };
        let read = |tensor: Tensor<1>| numbers(tensor);
        let of = |name: &str, bn: &Normalisation| {
            [
                (format!("{name}.running_mean"), read(bn.running_mean.value_sync())),
                (format!("{name}.running_var"), read(bn.running_var.value_sync())),
            ]
        };
        of("bn1", &net.bn1).into_iter().chain(of("bn2", &net.bn2)).collect()
    }
}

/// The gradient-checkpointing strategies of a module's trainable tensors, each once.
pub(crate) fn strategies<M: Module>(module: &M) -> Vec<Option<GradientCheckpointingStrategy>> {
    struct Strategies(Vec<Option<GradientCheckpointingStrategy>>);
    impl ModuleVisitor for Strategies {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let strategy = param.val().gradient_checkpointing_strategy();
            if param.is_require_grad() && !self.0.contains(&strategy) {
                self.0.push(strategy);
            }
        }
    }
    let mut found = Strategies(Vec::new());
    module.visit(&mut found);
    found.0
}

/// All float values of a module.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Values {
    /// Trainable parameters, in visit order.
    pub(crate) trainable: Vec<Vec<f64>>,
    /// Everything else: running statistics and frozen parameters.
    pub(crate) running: Vec<Vec<f64>>,
}

impl Values {
    pub(crate) fn of<M: Module>(module: &M) -> Self {
        let mut values = Self::default();
        module.visit(&mut values);
        values
    }
}

impl ModuleVisitor for Values {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let values = numbers(param.val().inner());
        if param.is_require_grad() {
            self.trainable.push(values);
        } else {
            self.running.push(values);
        }
    }
}

/// Holds the device's random generator, which all threads share, for one test.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static GENERATOR: Mutex<()> = Mutex::new(());
    GENERATOR.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The values of a tensor, in `f64`.
pub(crate) fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.try_into_vec_as::<f64>().unwrap()
}

fn transposed(data: &[f64], rows: usize, columns: usize) -> Vec<f64> {
    (0..columns).flat_map(|c| (0..rows).map(move |r| data[r * columns + c])).collect()
}

struct Load<'a> {
    values: &'a [Vec<f64>],
    transposed: Vec<bool>,
    next: usize,
    dtype: FloatDType,
}

impl ModuleMapper for Load<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let trainable = param.is_require_grad();
        let (i, dtype) = (self.next, self.dtype);
        self.next += usize::from(trainable);
        param.map(|tensor| {
            let (shape, device) = (tensor.shape(), tensor.device());
            if !trainable {
                return Tensor::from_inner(tensor.inner().cast(dtype));
            }
            let data = if self.transposed[i] {
                transposed(&self.values[i], shape[1], shape[0])
            } else {
                self.values[i].clone()
            };
            let data = TensorData::new(data, shape);
            Tensor::from_data(data, (&device, DType::from(dtype))).require_grad()
        })
    }
}

#[derive(Default)]
struct Read {
    trainable: Vec<(Vec<usize>, Vec<f64>)>,
}

impl ModuleVisitor for Read {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if param.is_require_grad() {
            let tensor = param.val().inner();
            self.trainable.push((tensor.dims().to_vec(), numbers(tensor)));
        }
    }
}

/// Cross entropy of each sample, `[n]`.
pub(crate) fn cross_entropies(logits: Tensor<2>, y: Tensor<1, Int>) -> Tensor<1> {
    let [n] = y.dims();
    log_softmax(logits, 1).gather(1, y.reshape([n, 1])).neg().reshape([n])
}

/// The rows of a batch that are asked for.
pub(crate) fn chosen(
    x: &Tensor<2>,
    y: &Tensor<1, Int>,
    samples: &Samples,
) -> (Tensor<2>, Tensor<1, Int>) {
    match samples {
        Samples::All => (x.clone(), y.clone()),
        Samples::Some { positions, .. } => {
            let positions: Vec<i64> =
                positions.iter().map(|&p| i64::try_from(p).unwrap()).collect();
            let positions = Tensor::<1, Int>::from_ints(positions.as_slice(), &x.device());
            (x.clone().select(0, positions.clone()), y.clone().select(0, positions))
        }
    }
}

/// SGD as PyTorch has it: no dampening.
pub(crate) fn sgd(momentum: f64, weight_decay: f64) -> ModuleOptimizer {
    let momentum =
        (momentum > 0.0).then_some(MomentumConfig { momentum, dampening: 0.0, nesterov: false });
    #[expect(clippy::cast_possible_truncation, reason = "Burn keeps it in f32")]
    let decay = (weight_decay > 0.0).then_some(WeightDecayConfig { penalty: weight_decay as f32 });
    SgdConfig::new().with_momentum(momentum).with_weight_decay(decay).init()
}

/// What a surface around another one, in its field `surface`, passes on as it is.
#[allow(unused_macros, reason = "each test binary uses a part")]
macro_rules! forward_surface {
    () => {
        fn losses(
            &mut self,
            at: Option<&Perturbation<'_>>,
            samples: &Samples,
        ) -> lowland::Result<Tensor<1>> {
            self.surface.losses(at, samples)
        }

        fn base_step(&self, g: &ParamVec) -> ParamVec {
            self.surface.base_step(g)
        }

        fn weights(&self) -> ParamVec {
            self.surface.weights()
        }

        fn parameters(&self) -> &Parameters {
            self.surface.parameters()
        }

        fn indices(&self) -> Option<&[usize]> {
            self.surface.indices()
        }

        fn step(&self) -> u64 {
            self.surface.step()
        }

        fn steps_per_epoch(&self) -> Option<u64> {
            self.surface.steps_per_epoch()
        }

        fn total_steps(&self) -> Option<u64> {
            self.surface.total_steps()
        }

        fn learning_rate(&self) -> f64 {
            self.surface.learning_rate()
        }

        fn spent(&self) -> Cost {
            self.surface.spent()
        }

        fn share(&self) -> f64 {
            self.surface.share()
        }

        fn note(&mut self, name: &'static str, value: Note) {
            self.surface.note(name, value);
        }

        fn read(&mut self, numbers: Vec<Tensor<1>>) -> lowland::Result<Vec<f64>> {
            self.surface.read(numbers)
        }

        fn wants_psf(&self) -> bool {
            self.surface.wants_psf()
        }
    };
}
#[allow(unused_imports, reason = "each test binary uses a part")]
pub(crate) use forward_surface;

pub(crate) mod spy;
