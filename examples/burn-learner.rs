//! ARSAM by Burn's `Learner`, with its dashboard, metrics, checkpoints and early stopping.
//!
//! ```sh
//! cargo run --release -p lowland-examples --example burn-learner
//! ```
//!
//! Writes its logs and checkpoints to `runs/burn-learner`.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;

use burn::data::dataloader::DataLoaderBuilder;
use burn::data::dataloader::batcher::Batcher;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::optim::AdamWConfig;
use burn::prelude::*;
use burn::train::checkpoint::FileCheckpointer;
use burn::train::metric::store::{Aggregate, Direction, Split};
use burn::train::metric::{AccuracyMetric, LossMetric};
use burn::train::{
    ClassificationOutput, InferenceStep, Learner, MetricEarlyStoppingStrategy, StoppingCondition,
    SupervisedTraining, TrainOutput, TrainStep,
};
use lowland::ArsamConfig;
use lowland::learner::{Quantity, SharpnessAwareStrategy};
use lowland_tasks::data::{ImageItem, Normalisation, embedded};
use lowland_tasks::models::{SmallCnn, SmallCnnConfig};

const DIRECTORY: &str = "runs/burn-learner";
const CHECKPOINTS: &str = "runs/burn-learner/checkpoint";

/// A network and its loss, as Burn's `Learner` wants it.
#[derive(Module, Debug)]
struct Classifier {
    network: SmallCnn,
}

/// `Clone` is all that Lowland asks of it: a step may need the batch twice.
#[derive(Debug, Clone)]
struct Images {
    images: Tensor<4>,      // [batch, 1, 28, 28]
    labels: Tensor<1, Int>, // [batch]
}

impl Classifier {
    fn outcome(&self, batch: Images) -> ClassificationOutput {
        let logits = self.network.forward(batch.images); // [batch, classes]
        let loss = CrossEntropyLossConfig::new().init(&logits.device());
        let loss = loss.forward(logits.clone(), batch.labels.clone());
        ClassificationOutput::new(loss, logits, batch.labels)
    }
}

impl TrainStep for Classifier {
    type Input = Images;
    type Output = ClassificationOutput;

    fn step(&self, batch: Images) -> TrainOutput<ClassificationOutput> {
        let outcome = self.outcome(batch);
        TrainOutput::new(self, outcome.loss.backward(), outcome)
    }
}

impl InferenceStep for Classifier {
    type Input = Images;
    type Output = ClassificationOutput;

    fn step(&self, batch: Images) -> ClassificationOutput {
        self.outcome(batch)
    }
}

/// Makes a batch of images.
#[derive(Clone)]
struct ToTensors(Normalisation);

impl Batcher<ImageItem, Images> for ToTensors {
    fn batch(&self, items: Vec<ImageItem>, device: &Device) -> Images {
        let mut pixels = vec![0.0; items.len() * 28 * 28];
        for (item, image) in items.iter().zip(pixels.chunks_exact_mut(28 * 28)) {
            self.0.apply(&item.pixels, image);
        }
        let images = TensorData::new(pixels, [items.len(), 1, 28, 28]);
        let labels: Vec<i32> = items.iter().map(|item| i32::from(item.label)).collect();
        Images {
            images: Tensor::from_data(images, device),
            labels: Tensor::from_ints(labels.as_slice(), device),
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let device = Device::flex().autodiff();
    let data = embedded::load()?;
    let batcher = ToTensors(Normalisation::of(&data.train));
    let train = DataLoaderBuilder::new(batcher.clone()).batch_size(64).shuffle(0).build(data.train);
    let test = DataLoaderBuilder::new(batcher).batch_size(500).build(data.test);
    let model = Classifier { network: SmallCnnConfig::default().init(10, 1, 0, &device)? };

    let strategy = SharpnessAwareStrategy::new(ArsamConfig::default())?;
    let no_better = MetricEarlyStoppingStrategy::new(
        &LossMetric::new(),
        Aggregate::Mean,
        Direction::Lowest,
        Split::Valid,
        StoppingCondition::NoImprovementSince { n_epochs: 3 },
    );
    let training = SupervisedTraining::new(DIRECTORY, train, test)
        .num_epochs(8)
        .metrics((AccuracyMetric::new(), LossMetric::new()))
        .metric_train_numeric(strategy.metric(Quantity::Passes))
        .metric_train_numeric(strategy.metric(Quantity::PsfNorm))
        .metric_train_numeric(strategy.metric(Quantity::SecondGradients))
        // With `.checkpoint(4)`, a second run resumes after the fourth epoch. Burn's loader then
        // starts its shuffling anew: the fifth epoch has the order of the first.
        .with_custom_checkpointers(
            FileCheckpointer::new(CHECKPOINTS, "model"),
            strategy.checkpointer(CHECKPOINTS),
            FileCheckpointer::new(CHECKPOINTS, "scheduler"),
        )
        .early_stopping(no_better)
        .summary();
    let result = strategy.launch(training, Learner::new(model, AdamWConfig::new().init(), 1e-3))?;
    if let Some(error) = result.error {
        return Err(error.into());
    }
    println!("{} passes in all", strategy.spent().passes);
    Ok(())
}
