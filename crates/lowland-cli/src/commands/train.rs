//! `lowland train`: one run.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use burn::module::Module;
use burn::store::{ModuleSnapshot, SafetensorsStore};
use clap::Args;
use lowland_tasks::config::TrainConfig;
use lowland_tasks::record::{EpochRecord, StepRecord};
use lowland_tasks::train::{Data, Training};
use serde::Serialize;
use toml::{Table, Value};

use crate::failure::{Interrupted, Usage};
use crate::interrupt::Interrupt;
use crate::settings::{SettingFlags, nested};
use crate::terminal::{Progress, print};
use crate::words::{counted, no_second_gradient, percent};
use crate::{device, files};

/// Train one network and keep its weights
///
/// Writes config.toml, which repeats the run, metrics.jsonl, a line for every step and epoch, and
/// the final weights as model.bpk (Burn's record) and model.safetensors.
#[derive(Debug, Args)]
pub struct Train {
    /// The algorithm; sgd is the base optimizer alone. Settings go with the name, as in
    /// arsam:rho=0.1:controller.window=20:budget=1.2 [default: sam]
    #[arg(long, value_name = "NAME")]
    algorithm: Option<String>,
    /// The radius of the algorithm [default: the algorithm's own]
    #[arg(long, value_name = "F", allow_negative_numbers = true)]
    rho: Option<f64>,
    /// The seed of everything random [default: 0]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(0..), allow_negative_numbers = true)]
    seed: Option<i64>,
    /// The folder of the run; it must not hold another run
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Show no progress
    #[arg(long, short)]
    quiet: bool,
    #[command(flatten)]
    settings: SettingFlags,
}

/// A line of `metrics.jsonl`.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum Line<'a> {
    Step(&'a StepRecord),
    Epoch(&'a EpochRecord),
}

impl Train {
    /// Runs the training.
    ///
    /// # Errors
    /// Settings or data that make no sense, a folder that holds a run or cannot be written to, a
    /// loss that is not finite for too long, Ctrl-C.
    pub fn run(self) -> Result<()> {
        let config = self.config()?;
        let device = device::open(&config.device)?;
        let data = Data::load(&config)?;
        let training = Training::new(&config, &data, &device)?;
        let metrics = claim(&self.out, &config)?;
        train(training, &config, metrics, &self.out, self.quiet)
    }

    fn config(&self) -> Result<TrainConfig> {
        let mut over = Table::new();
        if let Some(seed) = self.seed {
            over.insert("seed".to_owned(), Value::Integer(seed));
        }
        if let Some(rho) = self.rho {
            let config = self.settings.resolve(self.algorithm.as_deref(), Table::new())?;
            let algorithm = Table::try_from(&config.algorithm)?;
            if !algorithm.contains_key("rho") {
                bail!(Usage(format!(
                    "{} has no radius: leave --rho out",
                    config.algorithm_label()
                )));
            }
            over.extend(nested("algorithm.rho", Value::Float(rho)));
        }
        self.settings.resolve(self.algorithm.as_deref(), over)
    }
}

/// Makes the folder of the run and writes `config.toml`; gives the open `metrics.jsonl`.
fn claim(folder: &Path, config: &TrainConfig) -> Result<BufWriter<File>> {
    const NAMES: [&str; 4] = ["config.toml", "metrics.jsonl", "model.bpk", "model.safetensors"];
    files::check_target(folder, &NAMES)?;
    let path = folder.join("metrics.jsonl");
    if NAMES.iter().any(|name| folder.join(name).exists()) {
        bail!(Usage(format!("{} holds a run already: name another --out", folder.display())));
    }
    files::make_folder(folder)?;
    files::write(&folder.join("config.toml"), toml::to_string(config)?.as_bytes())?;
    let file = OpenOptions::new().write(true).create_new(true).open(&path);
    let file = file.with_context(|| format!("cannot write {}", path.display()))?;
    Ok(BufWriter::new(file))
}

fn train(
    mut training: Training,
    config: &TrainConfig,
    mut metrics: BufWriter<File>,
    folder: &Path,
    quiet: bool,
) -> Result<()> {
    let interrupt = Interrupt::listen();
    let steps = training.steps_per_epoch().saturating_mul(config.epochs);
    let progress = Progress::new(steps as u64, quiet);
    let label = config.algorithm_label();
    let mut accuracy = None;
    while !training.is_done() {
        let mut written = Ok(());
        let record = training.epoch(&mut |step| {
            written = write_line(&mut metrics, &Line::Step(step));
            progress.step(|| {
                let test = accuracy.map(|a| format!("  test {}", percent(a))).unwrap_or_default();
                format!(
                    "{label}  epoch {}/{}  loss {:.3}{test}",
                    step.epoch, config.epochs, step.loss
                )
            });
            if written.is_err() { std::ops::ControlFlow::Break(()) } else { interrupt.check() }
        })?;
        written?;
        let Some(record) = record else {
            metrics.flush()?;
            let done = training.record().epochs.len();
            bail!(Interrupted(format!(
                " after {done} of {} epochs; {} holds the metrics so far and no weights",
                config.epochs,
                folder.display()
            )));
        };
        write_line(&mut metrics, &Line::Epoch(&record))?;
        metrics.flush()?;
        accuracy = record.test_accuracy;
        progress.line(&epoch_line(&record, config.epochs, training.steps_per_epoch()));
    }
    if training.lacks_second_gradients() {
        progress.line(&no_second_gradient(config.algorithm_label(), training.record().steps));
    }
    drop(progress);
    let record = training.record();
    if record.steps == record.skipped_steps
        || record.epochs.last().is_none_or(|epoch| epoch.test_loss.is_none())
    {
        bail!(
            "the run came to nothing: {} of {} steps were not finite; lower the learning rate or the \
             radius ({} holds the metrics and no weights)",
            record.skipped_steps,
            record.steps,
            folder.display()
        );
    }
    save(&training, folder)?;
    print(&result(&training, config, folder))
}

fn write_line(metrics: &mut BufWriter<File>, line: &Line<'_>) -> Result<()> {
    serde_json::to_writer(&mut *metrics, line).context("cannot write metrics.jsonl")?;
    metrics.write_all(b"\n").context("cannot write metrics.jsonl")
}

fn epoch_line(record: &EpochRecord, epochs: usize, steps: usize) -> String {
    let number = |value: Option<f64>| value.map_or("not finite".to_owned(), |v| format!("{v:.3}"));
    format!(
        "epoch {:>3}/{epochs}  training loss {}  test loss {}  test accuracy {}  {:.2} passes a step  {:.1} s",
        record.epoch,
        number(record.train_loss),
        number(record.test_loss),
        record.test_accuracy.map_or("none".to_owned(), percent),
        record.passes / steps as f64,
        record.seconds,
    )
}

/// Writes the weights, running statistics up to date.
fn save(training: &Training, folder: &Path) -> Result<()> {
    // Burn holds the last update of running statistics back until a copy is made for measuring.
    let model = training.model()?.valid();
    // One entry of metadata, the one that readers elsewhere ask for: several would come out in an
    // order that changes from run to run.
    let mut store = SafetensorsStore::from_bytes(None).clear_metadata().metadata("format", "pt");
    model.save_into(&mut store).context("cannot put the weights together")?;
    let bytes = store.get_bytes().context("cannot put the weights together")?;
    files::write(&folder.join("model.safetensors"), &bytes)?;
    let path = folder.join("model.bpk");
    let saved = model.into_record().save(&path);
    saved.with_context(|| format!("cannot write {}", path.display()))
}

fn result(training: &Training, config: &TrainConfig, folder: &Path) -> String {
    let record = training.record();
    let last = record.epochs.last().and_then(|epoch| epoch.test_accuracy);
    let seconds: f64 = record.epochs.iter().map(|epoch| epoch.seconds).sum();
    let skipped = match record.skipped_steps {
        0 => String::new(),
        steps => format!("; {steps} steps were not finite and changed nothing"),
    };
    format!(
        "{}: test accuracy {} after {}, {:.2} passes a step, {seconds:.1} s of training{skipped}\n\
         The run: {}",
        config.algorithm_label(),
        last.map_or("none".to_owned(), percent),
        counted(record.epochs.len(), "epoch"),
        record.passes / record.steps.max(1) as f64,
        folder.display(),
    )
}
