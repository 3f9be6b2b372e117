//! A training by Burn's `Learner` whose events are read back.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::float_cmp, reason = "what is equal here is equal to the bit")]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use burn::data::dataloader::batcher::Batcher;
use burn::data::dataloader::{DataLoader, DataLoaderBuilder};
use burn::data::dataset::InMemDataset;
use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::optim::SgdConfig;
use burn::tensor::{Device, Tensor, TensorData};
use burn::train::logger::{InMemoryMetricLogger, MetricLogger};
use burn::train::metric::store::{Aggregate, Direction, EpochSummary, MetricsUpdate, Split};
use burn::train::metric::{LossMetric, MetricDefinition, NumericEntry};
use burn::train::renderer::CliMetricsRenderer;
use burn::train::{
    InferenceStep, Learner, MetricEarlyStoppingStrategy, RegressionOutput, StoppingCondition,
    SupervisedTraining, TrainOutput, TrainStep,
};
use common::{hparams, scalars, settings};
use lowland_tensorboard::{TensorBoardLogger, Value};

#[derive(Module, Debug)]
struct Model {
    linear: Linear,
}

impl Model {
    fn new(device: &Device) -> Self {
        device.seed(3);
        Self { linear: LinearConfig::new(3, 1).init(device) }
    }

    fn outcome(&self, x: Tensor<2>) -> RegressionOutput {
        let y = self.linear.forward(x.clone());
        let target = x.sum_dim(1);
        let loss = (y.clone() - target.clone()).square().mean();
        RegressionOutput::new(loss, y, target)
    }
}

impl TrainStep for Model {
    type Input = Tensor<2>;
    type Output = RegressionOutput;

    fn step(&self, x: Tensor<2>) -> TrainOutput<RegressionOutput> {
        let outcome = self.outcome(x);
        TrainOutput::new(self, outcome.loss.backward(), outcome)
    }
}

impl InferenceStep for Model {
    type Input = Tensor<2>;
    type Output = RegressionOutput;

    fn step(&self, x: Tensor<2>) -> RegressionOutput {
        self.outcome(x)
    }
}

#[derive(Clone)]
struct Stack;

impl Batcher<[f32; 3], Tensor<2>> for Stack {
    fn batch(&self, rows: Vec<[f32; 3]>, device: &Device) -> Tensor<2> {
        let count = rows.len();
        Tensor::from_data(TensorData::new(rows.concat(), [count, 3]), device)
    }
}

/// Rows in batches of eight, in the same order each time.
fn loader(count: usize, device: &Device) -> Arc<dyn DataLoader<Tensor<2>>> {
    let number = |i: usize| (i as f32 * 12.9898).sin();
    let rows = (0..count).map(|i| [0, 1, 2].map(|j| number(3 * i + j))).collect();
    let dataset = InMemDataset::new(rows);
    DataLoaderBuilder::new(Stack).set_device(device.clone()).batch_size(8).build(dataset)
}

const BATCHES: usize = 5;

/// A training over two epochs of five batches.
fn training(directory: &Path) -> (SupervisedTraining<Model>, Learner<Model>) {
    let device = Device::flex().autodiff();
    let (train, valid) = (loader(40, &device), loader(16, &device));
    let training = SupervisedTraining::new(directory, train, valid)
        .num_epochs(2)
        .metrics((LossMetric::new(),))
        .with_application_logger(None)
        .renderer(Box::new(CliMetricsRenderer::new()));
    (training, Learner::new(Model::new(&device), SgdConfig::new().init(), 0.05))
}

/// Step and value of all scalars with a tag in a folder.
fn of_tag(folder: &Path, tag: &str) -> Vec<(u64, f32)> {
    let mut files: Vec<_> =
        fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    let read = files.iter().flat_map(|file| scalars(&fs::read(file).unwrap()));
    read.filter(|(_, found, _)| found == tag).map(|(step, _, value)| (step, value)).collect()
}

#[test]
fn a_training_of_two_epochs_is_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("run");
    let chosen = BTreeMap::from([("learning rate".to_owned(), Value::from(0.05))]);
    let logger = TensorBoardLogger::new(&directory).unwrap().with_settings(&chosen).unwrap();
    let (with_events, learner) = training(folder.path());
    with_events.with_metric_logger(logger).launch(learner);

    let batches = of_tag(&directory.join("train"), "iteration/Loss");
    let steps: Vec<u64> = batches.iter().map(|(step, _)| *step).collect();
    assert_eq!(steps, (1..=2 * BATCHES as u64).collect::<Vec<_>>());
    let epochs = of_tag(&directory.join("train"), "epoch/Loss");
    assert_eq!(epochs.iter().map(|(step, _)| *step).collect::<Vec<_>>(), [1, 2]);
    for (epoch, batches) in epochs.iter().zip(batches.chunks(BATCHES)) {
        let losses = batches.iter().map(|(_, loss)| f64::from(*loss));
        let mean = losses.sum::<f64>() / BATCHES as f64;
        // Each number is rounded to f32, half a unit in its last place at most.
        let bound = 2.0 * f64::from(f32::EPSILON) * mean;
        assert!((f64::from(epoch.1) - mean).abs() <= bound, "{epoch:?}, {mean}");
    }
    assert!(epochs[1].1 < epochs[0].1, "it learns");
    let valid = of_tag(&directory.join("valid"), "epoch/Loss");
    assert_eq!(valid.iter().map(|(step, _)| *step).collect::<Vec<_>>(), [1, 2]);
    assert!(of_tag(&directory.join("valid"), "iteration/Loss").is_empty());

    let files = fs::read_dir(&directory).unwrap().map(|file| file.unwrap().path());
    let own: Vec<_> = files.filter(|path| path.is_file()).collect();
    let session = hparams(&fs::read(&own[0]).unwrap());
    assert_eq!(settings(&session[0].1), [("learning rate".to_owned(), "0.05".to_owned())]);
}

/// It answers Burn's questions as Burn's own logger does.
struct Both {
    ours: TensorBoardLogger,
    burn: InMemoryMetricLogger,
}

impl MetricLogger for Both {
    fn log(&mut self, update: MetricsUpdate, epoch: usize, split: &Split) {
        self.burn.log(update.clone(), epoch, split);
        self.ours.log(update, epoch, split);
    }

    fn read_numeric(
        &mut self,
        name: &str,
        epoch: usize,
        split: &Split,
    ) -> Result<Vec<NumericEntry>, String> {
        let (ours, burn) = (
            self.ours.read_numeric(name, epoch, split)?,
            self.burn.read_numeric(name, epoch, split)?,
        );
        let last = |entries: &[NumericEntry]| entries.last().map(NumericEntry::serialize);
        assert_eq!(last(&ours), last(&burn), "{name} in epoch {epoch}");
        Ok(ours)
    }

    fn log_metric_definition(&mut self, definition: MetricDefinition) {
        self.burn.log_metric_definition(definition.clone());
        self.ours.log_metric_definition(definition);
    }

    fn log_epoch_summary(&mut self, summary: EpochSummary) {
        self.burn.log_epoch_summary(summary.clone());
        self.ours.log_epoch_summary(summary);
    }
}

#[test]
fn early_stopping_reads_what_was_logged() {
    let folder = tempfile::tempdir().unwrap();
    let ours = TensorBoardLogger::new(folder.path().join("run")).unwrap();
    let both = Both { ours, burn: InMemoryMetricLogger::new() };
    let (training, learner) = training(folder.path());
    let rising = MetricEarlyStoppingStrategy::new(
        &LossMetric::new(),
        Aggregate::Mean,
        Direction::Highest,
        Split::Valid,
        StoppingCondition::NoImprovementSince { n_epochs: 1 },
    );
    let training = training.num_epochs(20).early_stopping(rising);
    training.with_metric_logger(both).launch(learner);
    let epochs = of_tag(&folder.path().join("run/valid"), "epoch/Loss");
    assert_eq!(epochs.len(), 2, "the loss falls from the first epoch on");
}

/// What was logged before a resume is known after it, but not where a training begins anew.
#[test]
fn a_training_that_resumes_knows_the_epochs_before() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("run");
    let (with_events, learner) = training(folder.path());
    with_events.with_metric_logger(TensorBoardLogger::new(&directory).unwrap()).launch(learner);
    let logged = of_tag(&directory.join("valid"), "epoch/Loss");
    // A file that a crash cut off.
    let file = fs::read_dir(directory.join("valid")).unwrap().next().unwrap().unwrap().path();
    let mut bytes = fs::read(&file).unwrap();
    bytes.extend(100_u64.to_le_bytes());
    fs::write(&file, bytes).unwrap();
    // Burn's own logger may write beside it.
    fs::create_dir(directory.join("valid/epoch-1")).unwrap();

    let known_from = |first: usize, before: u64, epoch: usize| {
        let mut logger = TensorBoardLogger::new(&directory).unwrap().resuming_after(before);
        logger.log(MetricsUpdate::new(Vec::new(), Vec::new()), first, &Split::Valid);
        let entries = logger.read_numeric("Loss", epoch, &Split::Valid).unwrap();
        entries.iter().map(NumericEntry::current).collect::<Vec<_>>()
    };
    for (epoch, (step, value)) in (1..).zip(&logged) {
        assert_eq!(*step, epoch as u64);
        assert_eq!(known_from(3, 10, epoch), [f64::from(*value)]);
        assert!(known_from(3, 0, epoch).is_empty(), "a training that begins anew");
    }
    assert_eq!(logged.len(), 2);
    // What is trained again is not known yet.
    assert_eq!(known_from(2, 5, 1), [f64::from(logged[0].1)]);
    assert!(known_from(2, 5, 2).is_empty());
}

#[test]
fn a_training_that_resumes_counts_on_in_a_further_file() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("run");
    for before in [0, 2 * BATCHES] {
        let logger = TensorBoardLogger::new(&directory).unwrap().resuming_after(before as u64);
        let (training, learner) = training(folder.path());
        training.with_metric_logger(logger).launch(learner);
    }
    let steps: Vec<u64> =
        of_tag(&directory.join("train"), "iteration/Loss").iter().map(|(step, _)| *step).collect();
    assert_eq!(steps, (1..=4 * BATCHES as u64).collect::<Vec<_>>());
    assert_eq!(fs::read_dir(directory.join("train")).unwrap().count(), 2);
}
