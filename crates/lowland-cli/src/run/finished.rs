//! A run that is looked at: its settings, its data and the network that came out of it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use burn::tensor::Device;
use clap::Args;
use lowland_tasks::checkpoint::{Checkpoints, Snapshot};
use lowland_tasks::config::TrainConfig;
use lowland_tasks::models::Model;
use lowland_tasks::train::{Data, check_finite};

use crate::failure::Usage;
use crate::files::{AVERAGE, BEST, CHECKPOINTS, CONFIG, FACTS, LAST, MODEL, RESULT};
use crate::run::facts::Facts;
use crate::run::metrics::Metrics;
use crate::terminal::resume_command;
use crate::{device, program, settings};

/// How a run is opened: with which weights, and where its data is.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct OpenFlags {
    /// Which weights: best (on validation), last, average (of --ema), or a checkpoint of the run by
    /// its name, such as epoch-0003-step-00000120 [default: best where the run has a validation
    /// part, else last]
    #[arg(long, value_name = "NAME")]
    checkpoint: Option<String>,
    /// Other weights for the network of this run: the folder of another run or a file, as --from
    /// takes them
    #[arg(long, value_name = "FROM", conflicts_with = "checkpoint")]
    pub weights: Option<PathBuf>,
    /// The folder of the data, where it moved or where other data is looked at, which must have the
    /// same classes [default: that of the run]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Leave out damaged files or lines, as in training
    #[arg(long)]
    pub skip_damaged: bool,
}

impl OpenFlags {
    /// Whether the weights are those that the run is judged by.
    pub(crate) fn is_default(&self) -> bool {
        self.checkpoint.is_none() && self.weights.is_none()
    }
}

/// A run and its network.
#[derive(Debug)]
pub(crate) struct FinishedRun {
    /// Its folder.
    pub path: PathBuf,
    /// Its settings.
    pub config: TrainConfig,
    /// Its data, labels corrupted as they were.
    pub data: Data,
    /// Where it trained.
    pub device: Device,
    /// The network with the weights that are looked at.
    pub model: Model,
    /// Which weights these are, in words.
    pub weights: String,
    /// How its data is not that which it learned, in words; none where it is the same.
    pub differences: Vec<String>,
    /// Whether it was trained to its end.
    pub is_finished: bool,
}

/// The weights of a run as a record, and which they are, in words.
struct Weights {
    record: Vec<u8>,
    words: String,
}

/// How far a run is, and what it is judged by.
#[derive(Debug, Clone, Copy)]
struct Stage {
    /// Whether it was trained to its end.
    is_finished: bool,
    /// Whether it has a validation part, whose best epoch's weights it is judged by.
    has_validation: bool,
}

impl FinishedRun {
    /// Opens a run that was trained to its end or at least to a checkpoint. Where its data is not
    /// that which it learned, says so in a warning.
    ///
    /// # Errors
    /// A folder without a run or without these weights, data or a device that is not there, data
    /// with other classes.
    pub(crate) fn open(path: &Path, flags: &OpenFlags) -> Result<Self> {
        let mut config = read_config(path)?;
        move_data(path, &mut config, flags.data_dir.as_deref())?;
        config.data.skip_damaged |= flags.skip_damaged;
        let facts = Facts::read(path)?;
        if let Some(facts) = facts.as_ref().filter(|facts| !facts.pixel_statistics.is_empty()) {
            // Those of then, whatever images are there now: the network learned pixels normalised so.
            config.data.pixel_statistics = Some(facts.pixel_statistics.clone());
        }
        let is_finished = is_finished(path, &config);
        let device = device::open(&config.device)?;
        let data = program::load(&config)?;
        let differences = differences(path, facts.as_ref(), &data)?;
        let (model, weights) = if let Some(from) = &flags.weights {
            let model = data.model_from(&config, from, &device)?;
            if let Some(how) = others(from, &data) {
                tracing::warn!(
                    "{} learned other classes than {}: {how}",
                    from.display(),
                    path.display()
                );
            }
            (model, format!("the weights of {}", from.display()))
        } else {
            let stage = Stage {
                is_finished,
                has_validation: facts.as_ref().map_or_else(
                    || path.join(LAST).is_file(),
                    |facts| facts.data.validation.samples > 0,
                ),
            };
            let Weights { record, words } = weights(path, stage, flags.checkpoint.as_deref())?;
            let model = data.model(&config, record, &device);
            let unusable = || Usage(format!("{}: {words} cannot be used", path.display()));
            let model = model.with_context(unusable)?;
            check_finite(&model).with_context(unusable)?;
            (model, words)
        };
        let path = path.to_owned();
        Ok(Self { path, config, data, device, model, weights, differences, is_finished })
    }
}

/// How the classes that another run learned are not those of the data, in words.
fn others(from: &Path, data: &Data) -> Option<String> {
    let facts = Facts::read(from).ok()??;
    facts.data.renamed(data.fingerprint())
}

/// Has the settings of a run name the folder that its data moved to, where there is one.
///
/// # Errors
/// Data that is in no folder.
pub(crate) fn move_data(
    path: &Path,
    config: &mut TrainConfig,
    data_dir: Option<&Path>,
) -> Result<()> {
    let Some(data_dir) = data_dir else { return Ok(()) };
    if config.data.name.is_embedded() {
        bail!(Usage(format!(
            "{} learned the embedded data, which is in no folder: leave --data-dir out",
            path.display()
        )));
    }
    config.data.dir = Some(data_dir.to_owned());
    Ok(())
}

/// How the data is not that which a run learned, in words.
///
/// # Errors
/// Other classes: what the network answers would get the names of others.
fn differences(path: &Path, facts: Option<&Facts>, data: &Data) -> Result<Vec<String>> {
    let Some(facts) = facts else {
        tracing::warn!(
            "{} has no {FACTS}: cannot check that this is the training data",
            path.display()
        );
        return Ok(Vec::new());
    };
    if let Some(how) = facts.data.renamed(data.fingerprint()) {
        bail!(Usage(format!(
            "the {} of the data are not those that {} learned: {how}; name a folder that has them \
             with --data-dir",
            facts.wording.classes,
            path.display()
        )));
    }
    if let Some(how) = facts.data.reformed(data.fingerprint()) {
        bail!(Usage(format!(
            "the {} of the data are not of the form that {} learned: {how}; name a folder that has \
             such with --data-dir",
            facts.wording.samples,
            path.display()
        )));
    }
    let differences = facts.data.differences(data.fingerprint());
    if !differences.is_empty() {
        tracing::warn!(
            "the data is not that which {} learned: {}",
            path.display(),
            differences.join("; ")
        );
    }
    Ok(differences)
}

/// The settings of a run.
///
/// # Errors
/// A folder without a run, settings that cannot be read.
pub(crate) fn read_config(path: &Path) -> Result<TrainConfig> {
    let config = path.join(CONFIG);
    if !config.is_file() {
        bail!(Usage(format!("{} holds no run: there is no {CONFIG} in it", path.display())));
    }
    settings::read_run(&config)
}

/// Whether a run was trained to its end, and not resumed since for longer. What has no metrics that
/// can be read is taken to be.
fn is_finished(path: &Path, config: &TrainConfig) -> bool {
    if path.join(RESULT).is_file() {
        return true;
    }
    let epochs = Metrics::epochs(path).ok().flatten();
    path.join(MODEL).is_file() && epochs.is_none_or(|epochs| config.is_over(&epochs))
}

/// The weights of a run: those that are asked for, or those that it is judged by. Files of weights
/// in the folder of one that is not finished are of an earlier end.
fn weights(path: &Path, stage: Stage, asked: Option<&str>) -> Result<Weights> {
    let is_of_comparison = path.join(RESULT).is_file();
    if is_of_comparison && !path.join(MODEL).is_file() && latest(path)?.is_none() {
        bail!(Usage(format!(
            "{} has no weights: its comparison was to keep none (--keep weights keeps them)",
            path.display()
        )));
    }
    match asked {
        None => best(path, stage)?.map_or_else(|| last(path, stage), Ok),
        Some("last") => last(path, stage),
        Some("best") => best(path, stage)?.with_context(|| {
            Usage(format!(
                "{} has no best weights: it has no validation part, or no epoch is done yet; use \
                 --checkpoint last",
                path.display()
            ))
        }),
        Some("average") => average(path, stage),
        Some(name) => named(path, name),
    }
}

fn last(path: &Path, stage: Stage) -> Result<Weights> {
    let Stage { is_finished, has_validation } = stage;
    let name = if has_validation { LAST } else { MODEL };
    if is_finished && path.join(name).is_file() {
        let words = "the final weights".to_owned();
        return Ok(Weights { record: read(&path.join(name))?, words });
    }
    let Some((step, snapshot)) = latest(path)? else {
        let (path, resume) = (path.display(), resume_command(path));
        if is_finished {
            bail!(Usage(format!(
                "{path} has neither {name} nor a checkpoint: its final weights are gone"
            )));
        }
        bail!(Usage(format!("{path} holds no weights yet: {resume} trains it")))
    };
    if !is_finished {
        warn_unfinished(path, step);
    }
    let words = format!("the weights of step {step}");
    Ok(Weights { record: of(snapshot, MODEL).unwrap_or_default(), words })
}

/// The weights that were best on validation; `None` where the run has no validation part, and
/// before its first epoch is done.
fn best(path: &Path, stage: Stage) -> Result<Option<Weights>> {
    let Stage { is_finished, has_validation } = stage;
    if !has_validation {
        return Ok(None);
    }
    let words = "the weights that were best on validation".to_owned();
    if is_finished && path.join(MODEL).is_file() {
        return Ok(Some(Weights { record: read(&path.join(MODEL))?, words }));
    }
    let Some((step, snapshot)) = latest(path)? else { return Ok(None) };
    let found = of(snapshot, BEST).map(|record| Weights { record, words });
    if found.is_some() && !is_finished {
        warn_unfinished(path, step);
    }
    Ok(found)
}

fn warn_unfinished(path: &Path, step: u64) {
    tracing::warn!("{} is not finished: its checkpoint of step {step} is used", path.display());
}

fn average(path: &Path, Stage { is_finished, .. }: Stage) -> Result<Weights> {
    let found = if is_finished && path.join(AVERAGE).is_file() {
        Some(read(&path.join(AVERAGE))?)
    } else {
        latest(path)?.and_then(|(_, snapshot)| of(snapshot, AVERAGE))
    };
    match found {
        Some(record) => Ok(Weights { record, words: "the average of the weights".to_owned() }),
        None => bail!(Usage(format!(
            "{} has no average of the weights: it was trained without --ema",
            path.display()
        ))),
    }
}

fn named(path: &Path, name: &str) -> Result<Weights> {
    let found = Checkpoints::new(path.join(CHECKPOINTS)).list()?;
    let label = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
    let names: Vec<String> = found.iter().filter_map(|found| label(&found.path)).collect();
    let wanted = found.iter().find(|found| label(&found.path).as_deref() == Some(name));
    let Some(wanted) = wanted else {
        bail!(Usage(format!(
            "{} has no checkpoint {name:?}: use best, last, average{}{}",
            path.display(),
            if names.is_empty() { "" } else { ", or one of: " },
            names.join(", ")
        )))
    };
    let snapshot = Checkpoints::load(&wanted.path)?;
    let words = format!("the weights of checkpoint {name}");
    Ok(Weights { record: of(snapshot, MODEL).unwrap_or_default(), words })
}

/// The latest checkpoint that is whole, and its step.
fn latest(path: &Path) -> Result<Option<(u64, Snapshot)>> {
    let checkpoints = Checkpoints::new(path.join(CHECKPOINTS));
    let found = checkpoints.latest(&mut |found, error| {
        tracing::warn!("the checkpoint of step {} is not used: {error}", found.step);
    })?;
    Ok(found.map(|(found, snapshot)| (found.step, snapshot)))
}

/// A file of a checkpoint.
fn of(snapshot: Snapshot, wanted: &str) -> Option<Vec<u8>> {
    let mut files = snapshot.files.into_iter();
    files.find(|(name, _)| name == wanted).map(|(_, contents)| contents)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| Usage(format!("cannot read {}", path.display())))
}
