//! Trains several algorithms from the same starts on the same data in the same order.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;

use anyhow::{Result, bail};
use burn::tensor::Device;
use lowland::{Algorithm, RadiusConfig};
use lowland_tasks::config::{OptimizerName, TrainConfig};
use lowland_tasks::data::DataName;
use lowland_tasks::record::{RunRecord, StepRecord};
use lowland_tasks::task::Split;
use lowland_tasks::train::{Data, Training};
use serde::Serialize;
use toml::{Table, Value};

use crate::equal::Equal;
use crate::failure::Usage;
use crate::interrupt::Interrupt;
use crate::side_by_side::{self, Finished, Manner, Watch};
use crate::summary::{Contender, Heading, Run, Setting, Summary};
use crate::terminal::{Output, Progress, print};
use crate::words::{counted, held_equal, limit_left, no_second_gradient, percent};
use crate::{device, files, report, table};

/// The most seeds that one comparison may have.
const MOST_SEEDS: u64 = 1000;

/// Checks how many seeds are asked for.
///
/// # Errors
/// None, or more than 1000.
pub fn check_seeds(seeds: u64) -> Result<()> {
    if !(1..=MOST_SEEDS).contains(&seeds) {
        bail!(Usage(format!("--seeds must be between 1 and {MOST_SEEDS}, found {seeds}")));
    }
    Ok(())
}

/// A comparison that is asked for.
#[derive(Debug)]
pub struct Comparison {
    /// The heading of the report.
    pub title: String,
    /// What it asks, in one sentence.
    pub question: String,
    /// A configuration for each algorithm, alike but for the algorithm; the first is the baseline.
    pub configs: Vec<TrainConfig>,
    /// What every algorithm gets the same of; anything but epochs has no place beside a limit in the
    /// configurations.
    pub equal: Equal,
    /// The seeds.
    pub seeds: Vec<u64>,
    /// What else a reader must know to judge it.
    pub note: String,
    /// How many runs train at once.
    pub jobs: usize,
    /// Whether the sharpness is measured where each run ends.
    pub sharpness: bool,
    /// What is shown; as JSON it is what `summary.json` holds.
    pub output: Output,
}

impl Comparison {
    /// Trains, prints the table and writes `report.html` and `summary.json` into `folder`.
    ///
    /// # Errors
    /// Data that cannot be read, a device that is not there, a folder that cannot be written to,
    /// Ctrl-C. Nothing is written then.
    pub fn run(&self, folder: &Path) -> Result<()> {
        let device = device::open(&self.configs[0].device)?;
        let Some(&seed) = self.seeds.first() else {
            bail!(Usage("at least one seed is needed".to_owned()));
        };
        let data = Data::load(&TrainConfig { seed, ..self.configs[0].clone() })?;
        files::check_target(folder, &["summary.json", "report.html"])?;
        let summary = self.train(data, &device)?;
        files::make_folder(folder)?;
        let page = folder.join("report.html");
        files::write(&folder.join("summary.json"), &serde_json::to_vec_pretty(&summary)?)?;
        files::write(&page, report::html(&summary).as_bytes())?;
        if self.output.json {
            return print(&serde_json::to_string_pretty(&summary)?);
        }
        print(&table::table(&summary))?;
        print(&format!("\nThe report with curves: {}", page.display()))
    }

    fn train(&self, data: Data, device: &Device) -> Result<Summary> {
        let first = &self.configs[0];
        let training =
            Training::new(&TrainConfig { seed: self.seeds[0], ..first.clone() }, &data, device)?;
        let setting = self.setting(&data, &training)?;
        let with_seed =
            |seed| self.configs.iter().map(move |config| TrainConfig { seed, ..config.clone() });
        let all: Vec<TrainConfig> = self.seeds.iter().copied().flat_map(with_seed).collect();
        let steps =
            training.steps_per_epoch().saturating_mul(first.epochs).saturating_mul(all.len());
        drop(training); // It was needed for its sizes.
        let watch = Watcher {
            comparison: self,
            configs: &all,
            interrupt: Interrupt::listen(),
            progress: Progress::new(steps as u64, self.output.quiet),
        };
        watch.progress.line(&self.announcement(&setting));
        let (equal, jobs, sharpness) = (self.equal, self.jobs, self.sharpness);
        let manner = Manner { equal, jobs, sharpness };
        let finished = side_by_side::train(&all, data, device, manner, &watch)?;
        drop(watch);

        let mut runs = vec![Vec::new(); self.configs.len()];
        for finished in &finished {
            runs[finished.index % self.configs.len()].push(run(&all[finished.index], finished));
        }
        Ok(self.summary(setting, runs))
    }

    /// What the runs of the algorithms, in their order, come to.
    pub fn summary(&self, setting: Setting, runs: Vec<Vec<Run>>) -> Summary {
        let heading = Heading {
            title: self.title.clone(),
            question: self.question.clone(),
            command: command(),
            version: format!("lowland {}", env!("CARGO_PKG_VERSION")),
            hardware: hardware(&self.configs[0].device, self.jobs),
        };
        let contenders = self.configs.iter().zip(runs).map(|(config, runs)| Contender {
            name: name(config),
            label: self.label(config),
            settings: self.settings(config),
            runs,
        });
        Summary::new(heading, setting, contenders.collect())
    }

    /// What is about to happen, in one line.
    fn announcement(&self, setting: &Setting) -> String {
        let labels: Vec<String> = self.configs.iter().map(|config| self.label(config)).collect();
        let noise = match setting.label_noise {
            0.0 => String::new(),
            share => format!(", {} of the labels redrawn", percent(share)),
        };
        format!(
            "{}: {}, {} training {}{noise}, {}{} epochs{}, {} seeds",
            labels.join(", "),
            setting.data,
            setting.training_images,
            setting.wording.samples,
            if setting.limit.is_some() { "at most " } else { "" },
            setting.epochs,
            held_equal(setting).map(|equal| format!(", {equal}")).unwrap_or_default(),
            setting.seeds.len(),
        )
    }

    /// What the algorithms share.
    ///
    /// # Errors
    /// A model without trainable parameters.
    pub fn setting(&self, data: &Data, training: &Training) -> Result<Setting> {
        let config = &self.configs[0];
        let noise = config.data.label_noise;
        let limits = (config.max_passes, config.max_seconds);
        let is_shared = self.configs.iter().all(|c| (c.max_passes, c.max_seconds) == limits);
        let (equal, limit) = match limits {
            (Some(passes), _) if is_shared => (Equal::Passes, Some(passes)),
            (None, Some(seconds)) if is_shared => (Equal::Time, Some(seconds)),
            _ => (self.equal, None),
        };
        let measured = (equal == Equal::Time && self.jobs > 1).then(|| measured(self.jobs));
        let notes = [Some(self.note.as_str()).filter(|note| !note.is_empty()), measured.as_deref()];
        Ok(Setting {
            data: data_in_words(config.data.name),
            wording: data.task().wording(),
            training_images: data.task().count(Split::Train),
            test_images: data.task().count(Split::Test),
            classes: data.task().classes(),
            label_noise: noise,
            labels_changed: data.task().labels_changed(),
            model: model_in_words(config),
            parameters: training.parameter_count()?,
            batch_size: config.batch_size,
            epochs: config.epochs,
            steps_per_epoch: training.steps_per_epoch(),
            optimizer: config.optimizer.name.label().to_owned(),
            learning_rate: config.optimizer.learning_rate,
            momentum: match config.optimizer.name {
                OptimizerName::Sgd => config.optimizer.momentum,
                OptimizerName::AdamW => 0.0,
            },
            weight_decay: config.optimizer.weight_decay,
            label_smoothing: config.label_smoothing,
            augmentation: data.task().variation(config),
            equal,
            limit,
            seeds: self.seeds.clone(),
            note: notes.into_iter().flatten().collect::<Vec<_>>().join(" "),
        })
    }

    /// The algorithm's name in text, with its settings where another contender has the same name.
    fn label(&self, config: &TrainConfig) -> String {
        let label = config.algorithm_label();
        let twins = self.configs.iter().filter(|other| other.algorithm_label() == label).count();
        if twins < 2 {
            return label.to_owned();
        }
        let settings = self.settings(config);
        let settings: Vec<_> =
            settings.iter().map(|(key, value)| format!("{key} {value}")).collect();
        if settings.is_empty() {
            format!("{label} (defaults)")
        } else {
            format!("{label} ({})", settings.join(", "))
        }
    }

    /// The algorithm's settings that a reader wants to see, and those of its run that the others need
    /// not share.
    fn settings(&self, config: &TrainConfig) -> BTreeMap<String, String> {
        let mut settings = settings(&config.algorithm);
        let mut put = |key: &str, value: Value| settings.insert(key.to_owned(), in_words(&value));
        for (key, limit) in [("budget", config.budget), ("time budget", config.time_budget)] {
            if let Some(limit) = limit {
                put(key, Value::Float(limit));
            }
        }
        let learning_rate = config.optimizer.learning_rate;
        if learning_rate.to_bits() != self.configs[0].optimizer.learning_rate.to_bits() {
            put("learning rate", Value::Float(learning_rate));
        }
        if config.algorithm.base().is_ok_and(|base| base.is_some()) {
            put("base", Value::String("its own".to_owned()));
        }
        let default = entries("radius.", &RadiusConfig::default());
        for (key, value) in entries("radius.", &config.radius) {
            if !default.contains(&(key.clone(), value.clone())) {
                put(&key, value);
            }
        }
        settings
    }
}

/// Shows what goes on.
struct Watcher<'a> {
    comparison: &'a Comparison,
    configs: &'a [TrainConfig],
    interrupt: Interrupt,
    progress: Progress,
}

impl Watch for Watcher<'_> {
    fn step(&self, index: usize, step: &StepRecord) -> ControlFlow<u8> {
        self.progress.step(|| {
            let config = &self.configs[index];
            let (seed, label) = (config.seed, self.comparison.label(config));
            let epochs = match self.comparison.equal {
                Equal::Epochs if !config.is_limited() => format!("/{}", config.epochs),
                _ => String::new(),
            };
            format!("seed {seed}  {label}  epoch {}{epochs}  loss {:.3}", step.epoch, step.loss)
        });
        self.interrupt.check()
    }

    fn lost(&self, _index: usize, steps: u64) {
        self.progress.skip(steps);
    }

    fn check(&self) -> ControlFlow<u8> {
        self.interrupt.check()
    }

    fn finished(&self, finished: &Finished) {
        let config = &self.configs[finished.index];
        self.progress.line(&line(config, &run(config, finished)));
        if finished.lacks_second_gradients {
            let label = self.comparison.label(config);
            self.progress.line(&no_second_gradient(&label, finished.record.steps));
        }
        if let Some(share) = finished.share_used.filter(|share| *share < 1.0 && !finished.diverged)
        {
            self.progress.line(&limit_left(&self.comparison.label(config), share));
        }
    }
}

fn name(config: &TrainConfig) -> String {
    match config.algorithm {
        Algorithm::Base(_) => config.optimizer.name.name().to_owned(),
        _ => config.algorithm.descriptor().name.to_owned(),
    }
}

fn run(config: &TrainConfig, finished: &Finished) -> Run {
    let flatness = finished.flatness.clone();
    Run { flatness, ..run_of(config, &finished.record, finished.diverged) }
}

/// A run in the summary.
pub fn run_of(config: &TrainConfig, record: &RunRecord, diverged: bool) -> Run {
    let seconds: f64 = record.epochs.iter().map(|epoch| epoch.seconds).sum();
    let steps = record.steps.max(1) as f64;
    let accuracies = record.epochs.iter().filter_map(|epoch| epoch.test_accuracy);
    let last = record.epochs.last().and_then(|epoch| epoch.test_accuracy);
    let shares = record.sampling.iter().map(|point| point.share);
    let chooses =
        shares.clone().any(|share| share > 0.0) && shares.clone().any(|share| share < 1.0);
    Run {
        seed: config.seed,
        final_accuracy: last.filter(|_| !diverged),
        best_accuracy: accuracies.max_by(f64::total_cmp),
        passes_per_step: record.passes / steps,
        seconds_per_step: seconds / steps,
        training_seconds: seconds,
        epochs: record.epochs.clone(),
        sampling: if chooses { record.sampling.clone() } else { Vec::new() },
        flatness: None,
    }
}

fn line(config: &TrainConfig, run: &Run) -> String {
    let accuracy = run.final_accuracy.map_or_else(|| "diverged".to_owned(), percent);
    format!(
        "seed {}  {:8} {accuracy:>9}  {:.2} passes a step  {:.1} s",
        config.seed,
        config.algorithm_label(),
        run.passes_per_step,
        run.training_seconds,
    )
}

/// The algorithm's settings that a reader wants to see: its radius, and whatever is not as its
/// defaults have it.
fn settings(algorithm: &Algorithm) -> BTreeMap<String, String> {
    let default = Algorithm::named(algorithm.descriptor().name).map(|a| entries("", &a));
    let default = default.unwrap_or_default();
    let shown = |(key, value): &(String, Value)| {
        key != "name" && (key == "rho" || default.iter().all(|(k, v)| k != key || v != value))
    };
    let mine = entries("", algorithm).into_iter().filter(shown);
    mine.map(|(key, value)| (key.replace("controller.", ""), in_words(&value))).collect()
}

/// Settings as a file holds them, one by one.
fn entries(prefix: &str, settings: &impl Serialize) -> Vec<(String, Value)> {
    flat(prefix, Table::try_from(settings).unwrap_or_default())
}

fn in_words(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Float(number) if *number != 0.0 && !(1e-4..1e6).contains(&number.abs()) => {
            format!("{number:e}")
        }
        value => value.to_string(),
    }
}

fn flat(prefix: &str, table: Table) -> Vec<(String, Value)> {
    let entry = |(key, value)| match value {
        Value::Table(inner) => flat(&format!("{prefix}{key}."), inner),
        value => vec![(format!("{prefix}{key}"), value)],
    };
    table.into_iter().flat_map(entry).collect()
}

fn data_in_words(name: DataName) -> String {
    match name {
        DataName::FashionMnistSmall => "Fashion-MNIST, the part inside the program".to_owned(),
        DataName::FashionMnist => "Fashion-MNIST".to_owned(),
        DataName::Mnist => "MNIST".to_owned(),
        DataName::Cifar10 => "CIFAR-10".to_owned(),
        DataName::Cifar100 => "CIFAR-100".to_owned(),
        DataName::Sst2 => "SST-2".to_owned(),
        DataName::Mrpc => "MRPC".to_owned(),
        DataName::Cola => "CoLA".to_owned(),
        DataName::Pose => "people from a folder (COCO keypoints)".to_owned(),
        DataName::ImageFolder => "images from a folder".to_owned(),
    }
}

fn model_in_words(config: &TrainConfig) -> String {
    let quantised = config.quantise.as_ref().map(|bits| {
        format!("; weights in {} bits, activations in {}", bits.weights, bits.activations)
    });
    let quantised = quantised.unwrap_or_default();
    format!("{}: {}{quantised}", config.model, config.model.description())
}

/// The command line as it was typed, with what a shell needs quoted.
pub fn command() -> String {
    let quoted = |argument: String| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=,:".contains(c);
        if !argument.is_empty() && argument.chars().all(plain) {
            argument
        } else {
            format!("'{}'", argument.replace('\'', r"'\''"))
        }
    };
    std::iter::once("lowland".to_owned())
        .chain(std::env::args().skip(1).map(quoted))
        .collect::<Vec<_>>()
        .join(" ")
}

/// How the seconds of training were measured, where they are what is equal and runs share the machine.
fn measured(jobs: usize) -> String {
    format!(
        "The seconds of training are those of {jobs} runs at a time, which disturb each other: a second buys \
         fewer steps than to a run alone, and not as many fewer to each run. With --jobs 1 they would not."
    )
}

fn hardware(device: &str, jobs: usize) -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let (arch, os) = (std::env::consts::ARCH, std::env::consts::OS);
    let at_once = match jobs {
        0 | 1 => "one run at a time".to_owned(),
        jobs => format!("{jobs} runs at a time, so that each is slower than alone"),
    };
    let cores = counted(cores, "processor core");
    format!("{cores}, {arch} {os}, device {device}, {at_once}")
}
