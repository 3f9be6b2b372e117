//! Training by Burn's `Learner` against the plain loop, bit for bit, and what of Burn's goes with
//! it. In one file, since all cases train the same learner.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::float_cmp, reason = "what is equal here is equal to the bit")]

mod common;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use burn::data::dataloader::batcher::Batcher;
use burn::data::dataloader::{DataLoader, DataLoaderBuilder};
use burn::data::dataset::InMemDataset;
use burn::module::Module;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::{BatchNorm, BatchNormConfig, Dropout, DropoutConfig, Linear, LinearConfig};
use burn::optim::{AdamWConfig, ModuleOptimizer};
use burn::tensor::{Device, Int, Tensor, TensorData};
use burn::train::checkpoint::{FileCheckpointer, KeepLastNCheckpoints};
use burn::train::logger::{
    EvaluationProgressLogger, InMemoryMetricLogger, MetricLogger, TrainingProgressLogger,
};
use burn::train::metric::store::{Aggregate, Direction, EpochSummary, MetricsUpdate, Split};
use burn::train::metric::{LossMetric, MetricDefinition, NumericEntry};
use burn::train::renderer::{
    EvaluationName, MetricState, MetricsRenderer, MetricsRendererEvaluation,
    MetricsRendererTraining,
};
use burn::train::{
    ClassificationOutput, InferenceStep, Interrupter, Learner, LearningResult,
    MetricEarlyStoppingStrategy, StoppingCondition, SupervisedTraining, TrainOutput, TrainStep,
    TrainingError,
};
use common::{Values, sgd};
use lowland::learner::{Quantity, SharpnessAwareStrategy};
use lowland::{
    Algorithm, ArsamConfig, BaseConfig, BatchInfo, ControllerConfig, Error, EsamConfig,
    LookSamConfig, PeriodicSamConfig, RadiusSchedule, SamConfig, SampaConfig, SharpnessAware,
    StepReport, Warmup,
};

/// Linear - BatchNorm - Dropout - Linear, of Burn's own layers.
#[derive(Module, Debug)]
struct Small {
    input: Linear,
    norm: BatchNorm,
    dropout: Dropout,
    output: Linear,
}

impl Small {
    fn new(dropout: f64) -> Self {
        let device = device();
        device.seed(7);
        let small = Self {
            input: LinearConfig::new(4, 6).init(&device),
            norm: BatchNormConfig::new(6).init(&device),
            dropout: DropoutConfig::new(dropout).init(),
            output: LinearConfig::new(6, 3).init(&device),
        };
        drop(Values::of(&small)); // Burn makes values when they are first used.
        small
    }

    fn outcome(&self, samples: Labelled) -> ClassificationOutput {
        let x = self.norm.forward(self.input.forward(samples.x));
        let logits = self.output.forward(self.dropout.forward(x)); // [batch, classes]
        let loss = CrossEntropyLossConfig::new().init(&logits.device());
        let loss = loss.forward(logits.clone(), samples.y.clone());
        ClassificationOutput::new(loss, logits, samples.y)
    }
}

impl TrainStep for Small {
    type Input = Labelled;
    type Output = ClassificationOutput;

    fn step(&self, samples: Labelled) -> TrainOutput<ClassificationOutput> {
        let outcome = self.outcome(samples);
        TrainOutput::new(self, outcome.loss.backward(), outcome)
    }
}

impl InferenceStep for Small {
    type Input = Labelled;
    type Output = ClassificationOutput;

    fn step(&self, samples: Labelled) -> ClassificationOutput {
        self.outcome(samples)
    }
}

#[derive(Debug, Clone)]
struct Labelled {
    x: Tensor<2>,
    y: Tensor<1, Int>,
}

struct Join;

impl Batcher<([f32; 4], i64), Labelled> for Join {
    fn batch(&self, items: Vec<([f32; 4], i64)>, device: &Device) -> Labelled {
        let (x, y): (Vec<_>, Vec<_>) = items.into_iter().unzip();
        let shape = [x.len(), 4];
        let x = Tensor::from_data(TensorData::new(x.concat(), shape), device);
        Labelled { x, y: Tensor::from_ints(y.as_slice(), device) }
    }
}

const BATCH: usize = 8;
const BATCHES: usize = 5;
/// The last batch is smaller.
const SAMPLES: usize = BATCH * BATCHES - 3;

fn device() -> Device {
    Device::flex().autodiff()
}

/// A number from -1 to 1 that follows from a place.
fn number(place: usize) -> f32 {
    (place as f32 * 12.9898).sin()
}

fn samples() -> Vec<([f32; 4], i64)> {
    let sample = |i: usize| {
        let x = [0, 1, 2, 3].map(|j| number(4 * i + j));
        (x, i64::from(x[0] + x[1] > 0.0) + i64::from(x[2] > 0.3))
    };
    (0..SAMPLES).map(sample).collect()
}

/// The same batches in the same order in each epoch.
fn loader(samples: Vec<([f32; 4], i64)>) -> Arc<dyn DataLoader<Labelled>> {
    DataLoaderBuilder::new(Join)
        .set_device(device())
        .batch_size(BATCH)
        .build(InMemDataset::new(samples))
}

/// All algorithms with their defaults, the warm-up in steps.
fn all() -> impl Iterator<Item = Algorithm> {
    Algorithm::ALL.iter().map(|descriptor| match common::named(descriptor.name) {
        Algorithm::Arsam(config) => Algorithm::Arsam(ArsamConfig {
            controller: ControllerConfig {
                warmup: Warmup::Steps(4),
                window: 10,
                blocks: 2,
                ..config.controller
            },
            ..config
        }),
        Algorithm::Aesam(config) => Algorithm::Aesam(config.with_total_steps(30)),
        // Decoupled, it is refused.
        Algorithm::Wsam(config) => Algorithm::Wsam(config.with_decoupled(false)),
        other => other,
    })
}

/// Those that a `Learner` can train with: ESAM too, where it chooses parameters alone.
fn full_batch() -> impl Iterator<Item = Algorithm> {
    let esam = EsamConfig::default().with_gamma(1.0).with_beta(0.3);
    all()
        .filter(|algorithm| !algorithm.build().unwrap().chooses_samples())
        .chain([Algorithm::Esam(esam)])
}

fn bases() -> [ModuleOptimizer; 2] {
    [sgd(0.9, 1e-2), AdamWConfig::new().init()]
}

const LR: f64 = 0.05;

/// The plain loop.
fn plain(mut optimizer: SharpnessAware, epochs: usize) -> (Values, Vec<StepReport>) {
    let mut model = Small::new(0.2);
    let mut reports = Vec::new();
    for _ in 0..epochs {
        for batch in loader(samples()).iter() {
            let batch = batch.unwrap();
            let losses = |model: &Small, _: &_| model.outcome(batch.clone()).loss;
            let (next, report) =
                optimizer.step_samples(LR, model, &BatchInfo::default(), losses).unwrap();
            model = next;
            reports.push(report);
        }
    }
    (Values::of(&model.valid()), reports)
}

/// A training that shows nothing and writes no logs.
fn training(directory: &Path, epochs: usize) -> SupervisedTraining<Small> {
    training_on(directory, epochs, samples())
}

fn training_on(
    directory: &Path,
    epochs: usize,
    data: Vec<([f32; 4], i64)>,
) -> SupervisedTraining<Small> {
    SupervisedTraining::new(directory, loader(data), loader(samples()))
        .num_epochs(epochs)
        .renderer(Box::new(Quiet))
        .with_application_logger(None)
        .with_metric_logger(InMemoryMetricLogger::new())
}

fn launch(training: SupervisedTraining<Small>, base: ModuleOptimizer) -> LearningResult<Small> {
    training.launch(Learner::new(Small::new(0.2), base, LR))
}

fn strategy(algorithm: &Algorithm) -> SharpnessAwareStrategy {
    let strategy = SharpnessAwareStrategy::new(algorithm.build().unwrap()).unwrap();
    strategy.with_seed(3).with_steps_per_epoch(BATCHES as u64)
}

#[test]
fn the_learner_gives_the_weights_of_the_plain_loop_bit_for_bit() {
    let _alone = common::alone();
    let directory = tempfile::tempdir().unwrap();
    for algorithm in full_batch() {
        for base in bases() {
            let optimizer = SharpnessAware::new(base.clone(), algorithm.build().unwrap())
                .unwrap()
                .with_seed(3)
                .with_steps_per_epoch(BATCHES as u64)
                .with_total_steps(4 * BATCHES as u64);
            let (expected, reports) = plain(optimizer, 4);

            let strategy = strategy(&algorithm);
            let training = training(directory.path(), 4);
            let result = launch(training.with_training_strategy(strategy.clone().into()), base);
            assert_eq!(strategy.error(), None, "{algorithm:?}");
            assert!(result.error.is_none(), "{algorithm:?}");
            assert_eq!(Values::of(&result.model), expected, "{algorithm:?}");
            let passes: f64 = reports.iter().map(|report| report.passes).sum();
            assert_eq!(strategy.spent().passes, passes, "{algorithm:?}");
        }
    }
}

#[test]
fn base_alone_is_burns_own_training_accumulation_included() {
    let _alone = common::alone();
    let directory = tempfile::tempdir().unwrap();
    for accumulation in [1, 2, 3] {
        let [burns, ours] = [false, true].map(|ours| {
            let training = training(directory.path(), 3).grads_accumulation(accumulation);
            let training = if ours {
                training.with_training_strategy(strategy(&Algorithm::Base(BaseConfig {})).into())
            } else {
                training
            };
            let base = sgd(0.9, 1e-2);
            // Burn does not seed the device.
            let result = training.launch(Learner::new(Small::new(0.0), base, LR));
            Values::of(&result.model)
        });
        assert_eq!(ours, burns, "{accumulation} batches a step");
    }
}

#[test]
fn accumulated_batches_are_one_batch_to_the_rule() {
    let _alone = common::alone();
    let directory = tempfile::tempdir().unwrap();
    let strategy = strategy(&Algorithm::Sam(SamConfig::default()));
    let training = training(directory.path(), 2).grads_accumulation(2);
    let result = launch(training.with_training_strategy(strategy.clone().into()), sgd(0.9, 0.0));

    let rule = SamConfig::default().build().unwrap();
    let mut optimizer = SharpnessAware::new(sgd(0.9, 0.0), rule).unwrap().with_seed(3);
    let mut model = Small::new(0.2);
    for _ in 0..2 {
        let batches: Vec<Labelled> = loader(samples()).iter().map(Result::unwrap).collect();
        for group in batches.chunks(2) {
            let sizes = vec![1; group.len()];
            let batch =
                BatchInfo::default().with_micro_batches(&sizes, lowland::Accumulate::WholeBatch);
            // The sum of the batches' losses is their mean, so many times.
            let losses = |model: &Small, i: usize, _: &_| {
                model.outcome(group[i].clone()).loss.mul_scalar(group.len() as f64)
            };
            model = optimizer.step_micro_batches(LR, model, &batch, losses).unwrap().0;
        }
    }
    assert_eq!(strategy.spent().passes, 2.0 * 2.0 * 3.0, "three steps an epoch");
    let (found, expected) = (Values::of(&result.model), Values::of(&model.valid()));
    assert_eq!(found, expected);
}

/// A directory's file names, sorted.
fn files(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn with_checkpoints(
    training: SupervisedTraining<Small>,
    strategy: &SharpnessAwareStrategy,
    directory: &Path,
) -> SupervisedTraining<Small> {
    training
        .with_custom_checkpointers(
            FileCheckpointer::new(directory, "model"),
            strategy.checkpointer(directory),
            FileCheckpointer::new(directory, "scheduler"),
        )
        .with_training_strategy(strategy.clone().into())
}

#[test]
fn a_training_that_resumes_from_burns_checkpoint_is_as_if_it_had_not_stopped() {
    let _alone = common::alone();
    for algorithm in full_batch() {
        for base in bases() {
            let directory = tempfile::tempdir().unwrap();
            let directory = directory.path();
            let through = strategy(&algorithm);
            let training = || training(directory, 4);
            let whole =
                launch(training().with_training_strategy(through.clone().into()), base.clone());

            // Stopped after two epochs, with the length of the whole training known.
            let interrupter = Interrupter::new();
            let first = strategy(&algorithm);
            let stopped = with_checkpoints(training(), &first, directory)
                .with_checkpointing_strategy(KeepLastNCheckpoints::new(1))
                .with_interrupter(interrupter.clone())
                .with_progress_logger(StopAfter { epoch: 2, interrupter });
            assert!(launch(stopped, base.clone()).interrupted.is_some());

            let second = strategy(&algorithm);
            let resumed = with_checkpoints(training(), &second, directory).checkpoint(2);
            let result = launch(resumed, base.clone());
            assert_eq!(second.error(), None, "{algorithm:?}");
            assert_eq!(Values::of(&result.model), Values::of(&whole.model), "{algorithm:?}");
            assert_eq!(second.spent().passes, through.spent().passes, "{algorithm:?}");
        }
    }
}

/// What is logged while `run` runs on this thread, as text.
fn logged(run: impl FnOnce()) -> String {
    let file = tempfile::NamedTempFile::new().unwrap();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(file.reopen().unwrap())
        .with_max_level(tracing::Level::WARN)
        .with_ansi(false)
        .without_time()
        .finish();
    tracing::subscriber::with_default(subscriber, run);
    std::fs::read_to_string(file.path()).unwrap()
}

#[test]
fn a_resume_warns_that_the_shuffling_starts_anew() {
    let _alone = common::alone();
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let strategy = strategy(&Algorithm::Sam(SamConfig::default()));
    let train = |from: Option<usize>, epochs| {
        let training = with_checkpoints(training(directory, epochs), &strategy, directory);
        let training = match from {
            Some(epoch) => training.checkpoint(epoch),
            None => training,
        };
        logged(|| drop(launch(training, sgd(0.9, 0.0))))
    };
    let log = train(None, 2);
    assert!(!log.contains("shuffles"), "nothing is resumed: {log}");
    let log = train(Some(2), 3);
    let warnings: Vec<&str> = log.lines().filter(|line| line.contains("shuffles")).collect();
    let [warning] = warnings.as_slice() else { panic!("one warning: {log}") };
    assert!(warning.contains("WARN") && warning.contains("epoch=2"), "{warning}");
    assert!(
        warning.contains("the order of the data after this resume is that of the first epochs"),
        "{warning}"
    );
    assert_eq!(strategy.error(), None);
}

#[test]
fn the_rules_state_comes_and_goes_with_burns_checkpoints() {
    let _alone = common::alone();
    let directory = tempfile::tempdir().unwrap();
    let strategy = strategy(&Algorithm::LookSam(LookSamConfig::default()));
    let training = with_checkpoints(training(directory.path(), 3), &strategy, directory.path())
        .with_checkpointing_strategy(KeepLastNCheckpoints::new(2));
    launch(training, sgd(0.9, 0.0));
    let names = ["model", "optim", "rule", "scheduler"];
    let expected: Vec<String> =
        names.iter().flat_map(|name| [2, 3].map(|epoch| format!("{name}-{epoch}.bpk"))).collect();
    assert_eq!(files(directory.path()), expected);
}

#[test]
fn a_checkpoint_without_a_fitting_state_of_the_rule_is_an_error() {
    let _alone = common::alone();
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let looksam = Algorithm::LookSam(LookSamConfig::default());
    let saving = strategy(&looksam);
    launch(with_checkpoints(training(directory, 1), &saving, directory), sgd(0.9, 0.0));

    let resume = |algorithm: &Algorithm| {
        let strategy = strategy(algorithm);
        let training = with_checkpoints(training(directory, 2), &strategy, directory).checkpoint(1);
        let result = launch(training, sgd(0.9, 0.0));
        assert!(matches!(result.error.as_deref(), Some(TrainingError::Checkpoint(_)) | None));
        assert_eq!(result.error.is_some(), strategy.error().is_some());
        (strategy.error(), strategy.spent().passes)
    };
    assert_eq!(resume(&looksam).0, None);

    let (error, passes) = resume(&Algorithm::Sam(SamConfig::default()));
    assert!(matches!(error, Some(Error::Record { .. })), "{error:?}");
    assert_eq!(passes, 0.0, "nothing was trained");

    let file = directory.join("rule-1.bpk");
    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
    let (error, _) = resume(&looksam);
    assert!(matches!(error, Some(Error::Record { .. })), "{error:?}");

    std::fs::remove_file(&file).unwrap();
    let (error, _) = resume(&looksam);
    let message = error.unwrap().to_string();
    assert!(message.contains("rule-1.bpk cannot be read"), "{message}");
}

#[test]
fn checkpoints_that_would_lack_the_rules_state_are_refused() {
    let _alone = common::alone();
    let directory = tempfile::tempdir().unwrap();
    let strategy = strategy(&Algorithm::Sam(SamConfig::default()));
    let training = training(directory.path(), 1)
        .with_default_checkpointers()
        .with_training_strategy(strategy.clone().into());
    let result = launch(training, sgd(0.9, 0.0));
    assert_eq!(strategy.error(), Some(Error::Checkpoints));
    assert!(result.error.is_some());
    assert_eq!(strategy.spent().passes, 0.0);
}

#[test]
fn early_stopping_ends_the_training() {
    let _alone = common::alone();
    let directory = tempfile::tempdir().unwrap();
    let strategy = strategy(&Algorithm::Sam(SamConfig::default()));
    let stop = MetricEarlyStoppingStrategy::new(
        &LossMetric::new(),
        Aggregate::Mean,
        Direction::Highest,
        Split::Valid,
        StoppingCondition::NoImprovementSince { n_epochs: 2 },
    );
    let training = training(directory.path(), 10)
        .metrics((LossMetric::new(),))
        .early_stopping(stop)
        .with_training_strategy(strategy.clone().into());
    // The loss falls, and so the first epoch stays the best by this odd measure.
    launch(training, sgd(0.0, 0.0));
    assert_eq!(strategy.spent().passes, 2.0 * 3.0 * BATCHES as f64, "three epochs");
}

#[test]
fn an_interruption_ends_the_training() {
    let _alone = common::alone();
    let directory = tempfile::tempdir().unwrap();
    let strategy = strategy(&Algorithm::Sam(SamConfig::default()));
    let interrupter = Interrupter::new();
    let training = training(directory.path(), 10)
        .with_interrupter(interrupter.clone())
        .with_progress_logger(StopAfter { epoch: 1, interrupter })
        .with_training_strategy(strategy.clone().into());
    let result = launch(training, sgd(0.9, 0.0));
    assert_eq!(result.interrupted.unwrap().reason.as_deref(), Some("enough"));
    assert!(strategy.spent().passes <= 2.0 * 2.0 * BATCHES as f64);
    assert_eq!(strategy.error(), None);
}

#[test]
fn metrics_show_what_the_steps_report() {
    let _alone = common::alone();
    let directory = tempfile::tempdir().unwrap();
    let every = |n| PeriodicSamConfig { interval: n, ..PeriodicSamConfig::default() };
    let strategy = strategy(&Algorithm::PeriodicSam(every(3)));
    let log = Log::default();
    let training = training(directory.path(), 2)
        .with_metric_logger(log.clone())
        .metric_train_numeric(strategy.metric(Quantity::Passes))
        .metric_train_numeric(strategy.metric(Quantity::PsfNorm))
        .metric_train_numeric(strategy.metric(Quantity::SecondGradients))
        .with_training_strategy(strategy.clone().into());
    launch(training, sgd(0.9, 0.0));

    let rule = every(3).build().unwrap();
    let (_, reports) = plain(SharpnessAware::new(sgd(0.9, 0.0), rule).unwrap().with_seed(3), 2);
    let values: Vec<_> = reports.iter().map(|report| report.values().unwrap()).collect();
    let shown = |name: &str| log.0.lock().unwrap()[name].clone();
    let passes: Vec<f64> = reports.iter().map(|report| report.passes).collect();
    assert_eq!(shown("Passes"), passes);
    let seconds: Vec<f64> =
        reports.iter().map(|report| f64::from(u8::from(report.second_gradient))).collect();
    assert_eq!(shown("Second Gradients"), seconds);
    let psf: Vec<f64> = values.iter().filter_map(|values| values.psf_norm).collect();
    assert!(!psf.is_empty() && psf.len() < reports.len());
    assert_eq!(shown("PSF Norm"), psf);
    // The means of the epochs.
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let finals: Vec<f64> = passes.chunks(BATCHES).map(mean).collect();
    assert_eq!(shown("Passes, final"), finals);
}

#[test]
fn rules_that_choose_samples_are_refused() {
    let refused: Vec<&str> = all()
        .filter(|algorithm| {
            let strategy = SharpnessAwareStrategy::new(algorithm.build().unwrap());
            strategy.is_err_and(|error| error == Error::WholeBatches)
        })
        .map(|algorithm| algorithm.descriptor().name)
        .collect();
    assert_eq!(refused, ["esam", "ksam", "ausam"]);
}

#[test]
fn a_displacement_ends_the_training_where_the_model_cannot_be_set() {
    let _alone = common::alone();
    let directory = tempfile::tempdir().unwrap();
    let strategy = SharpnessAwareStrategy::new(lowland::WsamConfig::default()).unwrap();
    let training = training(directory.path(), 1);
    let training = training.with_training_strategy(strategy.clone().into());
    let result = launch(training, sgd(0.9, 0.0));
    assert_eq!(strategy.error(), Some(Error::Displacement));
    assert!(result.error.unwrap().to_string().contains("decoupled"));
}

#[test]
fn a_rule_that_asks_for_losses_unannounced_ends_the_training() {
    use lowland::{Rule, Samples, Selection, Surface, Update};

    #[derive(Debug, Clone)]
    struct Sly;

    impl Rule for Sly {
        fn update(&mut self, surface: &mut dyn Surface) -> lowland::Result<Update> {
            let samples = Samples::Some { positions: vec![0], of: BATCH };
            Ok(surface.gradient(&Selection::from(samples))?.into())
        }
    }

    let _alone = common::alone();
    let directory = tempfile::tempdir().unwrap();
    let strategy = SharpnessAwareStrategy::new(Sly).unwrap();
    let training = training(directory.path(), 1);
    let training = training.with_training_strategy(strategy.clone().into());
    let result = launch(training, sgd(0.9, 0.0));
    assert_eq!(strategy.error(), Some(Error::WholeBatches));
    assert!(result.error.unwrap().to_string().contains("chooses samples"));
}

#[test]
fn steps_that_are_not_finite_change_nothing_and_too_many_end_the_training() {
    let _alone = common::alone();
    let directory = tempfile::tempdir().unwrap();
    for algorithm in
        [Algorithm::Sam(SamConfig::default()), Algorithm::Sampa(SampaConfig::default())]
    {
        let mut broken = samples();
        broken[BATCH + 1].0[2] = f32::NAN;
        let kept: Vec<_> = [&broken[..BATCH], &broken[2 * BATCH..]].concat();

        let tolerant = strategy(&algorithm);
        let training = training_on(directory.path(), 1, broken.clone())
            .with_training_strategy(tolerant.clone().into());
        let result = training.launch(Learner::new(Small::new(0.0), sgd(0.9, 0.0), LR));
        assert!(result.error.is_none());
        let with = Values::of(&result.model);

        // The same without the batch, but for the number of the step.
        let training = training_on(directory.path(), 1, kept)
            .with_training_strategy(strategy(&algorithm).into());
        let result = training.launch(Learner::new(Small::new(0.0), sgd(0.9, 0.0), LR));
        assert_eq!(with, Values::of(&result.model), "{algorithm:?}");

        let strict = strategy(&algorithm).with_non_finite_limit(0);
        let training =
            training_on(directory.path(), 1, broken).with_training_strategy(strict.clone().into());
        let result = launch(training, sgd(0.9, 0.0));
        assert_eq!(strict.error(), Some(Error::NonFinite { step: 1, in_a_row: 1 }));
        assert!(result.error.unwrap().to_string().contains("not finite at step 1"));
    }
}

#[test]
fn arsam_trains_with_its_defaults_and_finds_the_length_of_an_epoch() {
    let _alone = common::alone();
    let directory = tempfile::tempdir().unwrap();
    for (accumulation, steps) in [(1, BATCHES), (2, BATCHES.div_ceil(2))] {
        let strategy = SharpnessAwareStrategy::new(ArsamConfig::default()).unwrap();
        let training = training(directory.path(), 5).grads_accumulation(accumulation);
        let learner = Learner::new(Small::new(0.2), sgd(0.9, 1e-2), LR);
        let result = strategy.launch(training, learner).unwrap();
        assert!(result.error.is_none());
        let values = Values::of(&result.model).trainable.concat();
        assert!(values.iter().all(|value| value.is_finite()));
        // Three epochs of warm-up at two passes; the first window after it has none.
        let passes = strategy.spent().passes;
        assert_eq!(passes, (steps * (3 * 2 + 2)) as f64, "{accumulation} batches a step");
    }
}

#[test]
fn what_ends_a_training_reaches_the_caller() {
    let _alone = common::alone();
    let directory = tempfile::tempdir().unwrap();
    let mut broken = samples();
    broken[1].0[0] = f32::NAN;
    let strategy = SharpnessAwareStrategy::new(ArsamConfig::default()).unwrap();
    let strategy = strategy.with_non_finite_limit(0);
    let learner = Learner::new(Small::new(0.2), sgd(0.9, 1e-2), LR);
    let error = strategy.launch(training_on(directory.path(), 1, broken), learner).err().unwrap();
    assert_eq!(error, Error::NonFinite { step: 0, in_a_row: 1 });

    let in_epochs = SamConfig::new(0.1).with_radius_schedule(RadiusSchedule::Linear { to: 0.0 });
    let strategy = SharpnessAwareStrategy::new(in_epochs).unwrap();
    let learner = Learner::new(Small::new(0.2), sgd(0.9, 1e-2), LR);
    // The loader knows the length of the training.
    assert!(strategy.launch(training(directory.path(), 1), learner).unwrap().error.is_none());
}

/// One matrix in two places.
#[derive(Module, Debug)]
struct Tied {
    first: Linear,
    second: Linear,
}

impl TrainStep for Tied {
    type Input = Labelled;
    type Output = ClassificationOutput;

    fn step(&self, samples: Labelled) -> TrainOutput<ClassificationOutput> {
        let outcome = InferenceStep::step(self, samples);
        TrainOutput::new(self, outcome.loss.backward(), outcome)
    }
}

impl InferenceStep for Tied {
    type Input = Labelled;
    type Output = ClassificationOutput;

    fn step(&self, samples: Labelled) -> ClassificationOutput {
        let logits = self.second.forward(self.first.forward(samples.x));
        let loss = CrossEntropyLossConfig::new().init(&logits.device());
        let loss = loss.forward(logits.clone(), samples.y.clone());
        ClassificationOutput::new(loss, logits, samples.y)
    }
}

#[test]
fn a_tensor_in_two_places_is_refused() {
    let _alone = common::alone();
    let directory = tempfile::tempdir().unwrap();
    let first = LinearConfig::new(4, 4).init(&device());
    drop(Values::of(&first));
    let model = Tied { second: first.clone(), first };
    let training = SupervisedTraining::new(directory.path(), loader(samples()), loader(samples()))
        .num_epochs(1)
        .renderer(Box::new(Quiet))
        .with_application_logger(None)
        .with_metric_logger(InMemoryMetricLogger::new());
    let strategy = SharpnessAwareStrategy::new(SamConfig::new(0.1)).unwrap();
    let error = strategy.launch(training, Learner::new(model, sgd(0.0, 0.0), LR)).err().unwrap();
    let (first, second) = ("first.weight".to_owned(), "second.weight".to_owned());
    assert_eq!(error, Error::Tied { first, second });
}

/// Shows nothing.
struct Quiet;

impl MetricsRendererTraining for Quiet {
    fn update_train(&mut self, _state: MetricState) {}
    fn update_valid(&mut self, _state: MetricState) {}
}

impl MetricsRendererEvaluation for Quiet {
    fn update_test(&mut self, _name: EvaluationName, _state: MetricState) {}
}

impl TrainingProgressLogger for Quiet {
    fn start(&mut self, _: usize, _: usize, _: Option<usize>, _: Option<&str>) {}
    fn update_epoch(&mut self, _epoch: usize) {}
    fn start_split(&mut self, _split: &str, _total_items: usize) {}
    fn update_split(&mut self, _items_processed: usize) {}
    fn end_split(&mut self) {}
    fn end(&mut self) {}
    fn log_event_training(&mut self, _event: String) {}
}

impl EvaluationProgressLogger for Quiet {
    fn start_global_progress(&mut self, _total_tests: usize) {}
    fn start_test(&mut self, _name: &str, _total_items: usize) {}
    fn update_test_progress(&mut self, _items_processed: usize) {}
    fn end_test(&mut self) {}
    fn end_global_progress(&mut self) {}
    fn log_event_evaluation(&mut self, _event: String) {}
}

impl MetricsRenderer for Quiet {
    fn manual_close(&mut self) {}
    fn register_metric(&mut self, _definition: MetricDefinition) {}
}

/// Interrupts a training once an epoch is over.
struct StopAfter {
    epoch: usize,
    interrupter: Interrupter,
}

impl TrainingProgressLogger for StopAfter {
    fn start(&mut self, _: usize, _: usize, _: Option<usize>, _: Option<&str>) {}

    fn update_epoch(&mut self, _epoch: usize) {}

    fn start_split(&mut self, split: &str, _total_items: usize) {
        // In the epoch after it: the epoch's checkpoint is to be saved.
        if split == "train" {
            if self.epoch == 0 {
                self.interrupter.stop(Some("enough"));
            }
            self.epoch = self.epoch.saturating_sub(1);
        }
    }

    fn update_split(&mut self, _items_processed: usize) {}
    fn end_split(&mut self) {}
    fn end(&mut self) {}
    fn log_event_training(&mut self, _event: String) {}
}

/// All values of the training metrics, in order.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<BTreeMap<String, Vec<f64>>>>);

impl MetricLogger for Log {
    fn log(&mut self, update: MetricsUpdate, _epoch: usize, split: &Split) {
        if *split != Split::Train {
            return;
        }
        for update in update.entries_numeric {
            let name = format!("{:?}", update.entry.metric_id);
            let name = name.split('"').nth(1).unwrap().to_owned();
            let mut values = self.0.lock().unwrap();
            match update.numeric_entry {
                Some(NumericEntry::Final(value)) => {
                    values.entry(format!("{name}, final")).or_default().push(value);
                }
                Some(entry) => values.entry(name).or_default().push(entry.current()),
                None => {}
            }
        }
    }

    fn read_numeric(
        &mut self,
        _name: &str,
        _epoch: usize,
        _split: &Split,
    ) -> Result<Vec<NumericEntry>, String> {
        Err("only written".to_owned())
    }

    fn log_metric_definition(&mut self, _definition: MetricDefinition) {}

    fn log_epoch_summary(&mut self, _summary: EpochSummary) {}
}
