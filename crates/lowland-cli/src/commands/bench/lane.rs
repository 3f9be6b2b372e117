//! What is measured: a network that is trained by one of the contenders.

use std::time::Instant;

use anyhow::{Result, bail};
use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{Device, Distribution, Int, Tensor};
use cpu_time::ProcessTime;
use lowland::{BatchInfo, Parameters, Samples, SharpnessAware, cross_entropies};
use lowland_tasks::data::{ImageBatch, TargetTensor};
use lowland_tasks::models::{Model, ModelName};
use lowland_tasks::text::{BertConfig, TextBatch, TextClassifier, TextInput};

use super::pytorch::{PyTorch, Took};

/// The network for texts that can be measured.
pub(super) const MINILM: &str = "minilm";

/// Tokens of a text.
const TOKENS: usize = 64;

/// Classes of every network.
const CLASSES: usize = 10;

/// A network under measurement.
#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant, reason = "a bench holds a handful")]
pub(super) enum Network {
    Images(Model),
    Texts(TextClassifier),
}

/// What all contenders share.
pub(super) struct Place {
    pub(super) device: Device,
    data: Data,
}

#[allow(clippy::large_enum_variant, reason = "a bench holds one")]
enum Data {
    Images(ModelName, ImageBatch),
    Texts(BertConfig, TextBatch),
}

impl Place {
    /// Random images or tokens for the network of that name.
    ///
    /// # Errors
    /// A network that is not known.
    pub(super) fn new(name: &str, batch: usize, device: Device) -> Result<Self> {
        device.seed(0);
        let below = |count: usize| Distribution::Uniform(0.0, count as f64);
        let labels = Tensor::<1>::random([batch], below(CLASSES), &device).int();
        let indices = (0..batch).collect();
        if name == MINILM {
            let shape = [batch, TOKENS];
            let input = TextInput {
                ids: Tensor::<2>::random(shape, below(900), &device).int(),
                types: Tensor::<2, Int>::zeros(shape, &device),
                padding: Tensor::<2, Int>::zeros(shape, &device).equal_elem(1),
            };
            let targets = TargetTensor::Labels(labels);
            let data = Data::Texts(minilm()?, TextBatch { input, targets, indices });
            return Ok(Self { device, data });
        }
        let model: ModelName = name.parse()?;
        let (channels, side) = if model == ModelName::SmallCnn { (1, 28) } else { (3, 32) };
        let shape = [batch, channels, side, side]; // [batch, channels, height, width]
        let images = Tensor::random(shape, Distribution::Normal(0.0, 1.0), &device);
        let data = Data::Images(model, ImageBatch { images, labels, indices, mixed: None });
        Ok(Self { device, data })
    }

    /// The network at its start.
    pub(super) fn network(&self) -> Result<Network> {
        Ok(match &self.data {
            Data::Images(name, batch) => {
                let channels = batch.images.dims()[1];
                Network::Images(name.init(CLASSES, channels, 0, &self.device)?)
            }
            Data::Texts(config, _) => {
                Network::Texts(TextClassifier::untrained(config, CLASSES, 0, &self.device)?)
            }
        })
    }

    fn indices(&self) -> &[usize] {
        match &self.data {
            Data::Images(_, batch) => &batch.indices,
            Data::Texts(_, batch) => &batch.indices,
        }
    }

    fn losses(&self, network: &Network, samples: &Samples) -> Tensor<1> {
        let (logits, labels) = match (network, &self.data) {
            (Network::Images(model), Data::Images(_, batch)) => {
                let (images, labels) = batch.select(samples);
                (model.forward(images), labels)
            }
            (Network::Texts(model), Data::Texts(_, batch)) => {
                let (input, TargetTensor::Labels(labels)) = batch.select(samples) else {
                    unreachable!("a bench classifies texts")
                };
                (model.forward(input), labels)
            }
            _ => unreachable!("a place makes networks for its own data"),
        };
        cross_entropies(logits, labels, 0.0)
    }
}

/// The sizes of `MiniLM` with six layers, and a small vocabulary.
fn minilm() -> Result<BertConfig> {
    Ok(serde_json::from_value(serde_json::json!({
        "vocab_size": 1000,
        "hidden_size": 384,
        "num_hidden_layers": 6,
        "num_attention_heads": 12,
        "intermediate_size": 1536,
        "max_position_embeddings": 512,
        "type_vocab_size": 2,
        "layer_norm_eps": 1e-12,
        "model_type": "bert",
        "hidden_act": "gelu",
    }))?)
}

/// One contender under measurement.
pub(super) struct Lane {
    pub(super) name: String,
    pub(super) step: Step,
    /// The blocks that count.
    pub(super) blocks: Vec<Took>,
}

/// Who takes the steps.
pub(super) enum Step {
    Burn(Option<Network>, burn::optim::ModuleOptimizer),
    Lowland(Option<Network>, Box<SharpnessAware>),
    PyTorch(Box<PyTorch>),
}

impl Lane {
    /// Takes steps and returns what they took.
    ///
    /// # Errors
    /// Where a step fails.
    pub(super) fn block(&mut self, place: &Place, steps: usize) -> Result<Took> {
        let info = BatchInfo::default().with_indices(place.indices());
        let passes = self.passes();
        let (started, processor) = (Instant::now(), ProcessTime::now());
        for _ in 0..steps {
            match &mut self.step {
                Step::Burn(network, optimizer) => {
                    let Some(taken) = network.take() else { bail!("a step failed") };
                    let gradients = place.losses(&taken, &Samples::All).mean().backward();
                    let gradients = GradientsParams::from_grads(gradients, &taken);
                    *network = Some(optimizer.step(1e-3, taken, gradients));
                }
                Step::Lowland(network, optimizer) => {
                    let Some(taken) = network.take() else { bail!("a step failed") };
                    let losses =
                        |network: &Network, _, samples: &Samples| place.losses(network, samples);
                    *network = Some(optimizer.step_micro_batches(1e-3, taken, &info, losses)?.0);
                }
                Step::PyTorch(process) => return process.steps(steps),
            }
        }
        place.device.sync()?;
        let each = |total: f64| total / steps as f64;
        Ok(Took {
            seconds: each(started.elapsed().as_secs_f64()),
            processor: each(processor.elapsed().as_secs_f64()),
            passes: each(self.passes() - passes),
        })
    }

    /// Passes so far; NaN where all steps take one.
    fn passes(&self) -> f64 {
        match &self.step {
            Step::Burn(..) | Step::PyTorch(_) => f64::NAN,
            Step::Lowland(_, optimizer) => optimizer.passes(),
        }
    }

    /// The bytes of the trainable parameters.
    ///
    /// # Errors
    /// Where a step has failed.
    pub(super) fn parameter_bytes(&self) -> Result<f64> {
        let (Step::Burn(Some(network), _) | Step::Lowland(Some(network), _)) = &self.step else {
            bail!("a step failed");
        };
        let parameters = Parameters::of(network)?;
        let numbers: usize = parameters.iter().map(|p| p.shape.num_elements()).sum();
        Ok((numbers * size_of::<f32>()) as f64)
    }
}
