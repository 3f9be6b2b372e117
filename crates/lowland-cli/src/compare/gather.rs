//! From the runs that are there to a summary.

use std::path::Path;

use anyhow::Result;
use lowland_tasks::checkpoint::{Checkpoints, Found};
use lowland_tasks::config::TrainConfig;
use lowland_tasks::data::DataName;
use lowland_tasks::flatness::Flatness;

use super::equal::Equal;
use super::finished::Finished;
use super::label::{name, settings};
use super::plan::{Plan, PlannedRun};
use super::summary::{Contender, Gallery, Heading, Missing, Run, Setting, Summary};
use crate::compare::landscapes::Landscapes;
use crate::files::{LANDSCAPE, RUNS, SHARPNESS};
use crate::run::facts::Facts;
use crate::run::folder::pictures;
use crate::{device, files};

/// What a comparison says beside the numbers of its runs.
#[derive(Debug)]
pub(crate) struct Outline<'a> {
    /// The heading; where there is none, the names of the contenders.
    pub title: Option<&'a str>,
    /// What the comparison asks; where there is nothing, it follows from the contenders.
    pub question: Option<&'a str>,
    /// What else a reader must know.
    pub note: &'a str,
    /// What every contender gets the same of.
    pub equal: Equal,
    /// The margin of equivalence, in points.
    pub margin: Option<f64>,
    /// The seeds.
    pub seeds: &'a [u64],
    /// What is known of data and network.
    pub facts: &'a Facts,
    /// The settings of the contenders; the first is the baseline.
    pub configs: &'a [TrainConfig],
    /// Their names.
    pub labels: &'a [String],
    /// The commands that repeat it.
    pub command: String,
    /// Where the runs trained, in words.
    pub hardware: String,
}

impl Outline<'_> {
    /// The summary of the runs of each contender.
    pub(crate) fn summary(&self, runs: Vec<Vec<Run>>) -> Summary {
        let labels = self.labels;
        let heading = Heading {
            title: self.title.map_or_else(|| labels.join(", "), str::to_owned),
            question: self.question.map_or_else(|| question(labels, self.equal), str::to_owned),
            command: self.command.clone(),
            version: self.facts.version.clone(),
            hardware: self.hardware.clone(),
        };
        let contenders =
            self.configs.iter().zip(labels).zip(runs).map(|((config, label), runs)| {
                let (label, settings) = (label.clone(), settings(config, &self.configs[0]));
                Contender { name: name(config).to_owned(), label, settings, runs }
            });
        Summary::new(heading, self.setting(), contenders.collect())
    }

    /// What the contenders share.
    pub(crate) fn setting(&self) -> Setting {
        let (config, facts) = (&self.configs[0], self.facts);
        let limits = (config.max_passes, config.max_seconds);
        let is_shared = self.configs.iter().all(|c| (c.max_passes, c.max_seconds) == limits);
        let (equal, limit) = match limits {
            (Some(passes), _) if is_shared => (Equal::Passes, Some(passes)),
            (None, Some(seconds)) if is_shared => (Equal::Time, Some(seconds)),
            _ => (self.equal, None),
        };
        Setting {
            data: data_in_words(config),
            wording: facts.wording.clone(),
            training_images: facts.data.train.samples,
            validation_images: facts.data.validation.samples,
            test_images: facts.data.test.samples,
            data_notes: facts.notes.clone(),
            classes: facts.classes,
            label_noise: config.data.label_noise,
            labels_changed: facts.labels_changed,
            model: model_in_words(config),
            parameters: facts.parameters,
            batch_size: config.batch_size,
            epochs: config.epochs,
            steps_per_epoch: facts.steps_per_epoch,
            optimizer: config.optimizer.name.label().to_owned(),
            learning_rate: config.optimizer.learning_rate,
            schedule: config.optimizer.schedule.in_words(),
            momentum: if config.optimizer.name.has_momentum() {
                config.optimizer.momentum
            } else {
                0.0
            },
            weight_decay: config.optimizer.weight_decay,
            label_smoothing: config.label_smoothing,
            augmentation: facts.augmentation.clone(),
            equal,
            limit,
            seeds: self.seeds.to_vec(),
            margin: self.margin.map(|points| points / 100.0),
            note: self.note.to_owned(),
        }
    }
}

/// What a comparison asks.
fn question(labels: &[String], equal: Equal) -> String {
    let verb = if labels.len() == 2 { "does" } else { "do" };
    match labels {
        [baseline, others @ ..] if (1..=3).contains(&others.len()) => format!(
            "How {verb} {} compare with {baseline} here, {}?",
            others.join(" and "),
            match equal {
                Equal::Epochs => "and at what cost",
                Equal::Passes => "for the same number of passes",
                Equal::Time => "for the same training time",
            }
        ),
        [one] => format!("How accurate does {one} get here, and at what cost?"),
        _ => "How accurate does each get here, and at what cost?".to_owned(),
    }
}

/// Where a planned run stands.
#[derive(Debug)]
pub(crate) struct Standing {
    /// The run.
    pub run: PlannedRun,
    /// Its result, where it is done.
    pub finished: Option<Finished>,
}

/// Where all runs of a plan stand.
///
/// # Errors
/// A result that cannot be read.
pub(crate) fn standings(folder: &Path, plan: &Plan) -> Result<Vec<Standing>> {
    let standing = |run: PlannedRun| {
        let finished = Finished::read(&folder.join(RUNS).join(&run.folder))?;
        Ok(Standing { run, finished })
    };
    plan.runs().into_iter().map(standing).collect()
}

/// Whether any run is left to train.
pub(crate) fn any_is_missing(standings: &[Standing]) -> bool {
    standings.iter().any(|standing| standing.finished.is_none())
}

/// Removes what is not kept of the runs that are done: a program may have been killed between a
/// result and that.
///
/// # Errors
/// A file that cannot be removed.
pub(crate) fn prune_finished(folder: &Path, standings: &[Standing]) -> Result<()> {
    for Standing { run, finished } in standings {
        if let Some(finished) = finished {
            finished.keep.prune(&folder.join(RUNS).join(&run.folder))?;
        }
    }
    Ok(())
}

/// The summary of what is there: the runs that are done, and what is missing.
///
/// # Errors
/// A file of a run that cannot be read.
pub(crate) fn summary(folder: &Path, plan: &Plan) -> Result<Summary> {
    let configs = plan.configs();
    let labels = plan.labels();
    let mut runs = vec![Vec::new(); configs.len()];
    let (mut missing, mut hardware, mut galleries) = (Vec::new(), Vec::new(), Vec::new());
    let mut most_jobs = 0;
    let mut landscapes: Vec<Landscapes> = Vec::new();
    landscapes.extend(files::read_json::<Landscapes>(&folder.join(LANDSCAPE))?);
    for Standing { run, finished } in standings(folder, plan)? {
        let (path, label) = (folder.join(RUNS).join(&run.folder), labels[run.contender].clone());
        let seed = run.config.seed;
        let Some(finished) = finished else {
            let (label, epochs) = (label, epochs_done(&path));
            missing.push(Missing { label, seed, epochs });
            continue;
        };
        most_jobs = most_jobs.max(finished.jobs);
        hardware.push(finished.hardware);
        let flatness = files::read_json::<Flatness>(&path.join(SHARPNESS))?;
        runs[run.contender].push(Run { flatness, ..finished.run });
        landscapes.extend(files::read_json::<Landscapes>(&path.join(LANDSCAPE))?);
        // Pictures of every seed would be too many for a page.
        if seed == plan.seeds[0] {
            let (label, pictures) = (format!("{label}, seed {seed}"), pictures(&path)?);
            galleries.extend((!pictures.is_empty()).then_some(Gallery { label, pictures }));
        }
    }
    if hardware.is_empty() {
        hardware.push(device::hardware(&configs[0].device, plan.jobs));
    }
    let note = note(plan, most_jobs);
    let outline = Outline {
        title: plan.title.as_deref(),
        question: plan.question.as_deref(),
        note: &note,
        equal: plan.equal,
        margin: plan.margin,
        seeds: &plan.seeds,
        facts: &plan.facts,
        configs: &configs,
        labels: &labels,
        command: plan.commands.join("\n"),
        hardware: distinct("; ", hardware.iter().map(String::as_str)),
    };
    Ok(Summary { landscapes, galleries, missing, ..outline.summary(runs) })
}

/// Each of some words once, in the order in which they come.
pub(crate) fn distinct<'a>(between: &str, all: impl Iterator<Item = &'a str>) -> String {
    let mut seen = Vec::new();
    for one in all {
        if !seen.contains(&one) {
            seen.push(one);
        }
    }
    seen.join(between)
}

/// The epochs of a run that is not done, as its latest checkpoint has them.
fn epochs_done(run: &Path) -> usize {
    let found = Checkpoints::new(run.join(files::CHECKPOINTS)).list().unwrap_or_default();
    found.into_iter().find(Found::is_finished).map_or(0, |found| found.epoch)
}

/// The plan's note, and how seconds were measured where they are what is equal.
fn note(plan: &Plan, jobs: usize) -> String {
    let config = &plan.contenders[0].config;
    let by_time = plan.equal == Equal::Time || config.max_seconds.is_some();
    let measured = (by_time && jobs > 1).then(|| {
        format!(
            "Training times were measured with {jobs} concurrent runs, which slow each other down, and are \
             not comparable to those of single runs; --jobs 1 trains one at a time."
        )
    });
    let notes = [Some(plan.note.clone()).filter(|note| !note.is_empty()), measured];
    notes.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

fn data_in_words(config: &TrainConfig) -> String {
    let name = config.data.name;
    match name {
        DataName::FashionMnistSmall => "Fashion-MNIST, the embedded subset".to_owned(),
        DataName::FashionMnist => "Fashion-MNIST".to_owned(),
        DataName::Mnist => "MNIST".to_owned(),
        DataName::Cifar10 => "CIFAR-10".to_owned(),
        DataName::Cifar100 => "CIFAR-100".to_owned(),
        DataName::Sst2 => "SST-2".to_owned(),
        DataName::Mrpc => "MRPC".to_owned(),
        DataName::Cola => "CoLA".to_owned(),
        DataName::Stsb => "STS-B".to_owned(),
        DataName::Qqp | DataName::Mnli | DataName::Qnli | DataName::Rte | DataName::Wnli => {
            name.name().to_uppercase()
        }
        DataName::Text => "texts from a folder".to_owned(),
        DataName::Pose => "people from a folder (COCO keypoints)".to_owned(),
        DataName::ImageFolder => "images from a folder".to_owned(),
        DataName::Own => format!("that of {}", config.program.as_deref().unwrap_or_default()),
    }
}

fn model_in_words(config: &TrainConfig) -> String {
    let quantised = config.quantise.as_ref().map(|bits| {
        format!("; weights in {} bits, activations in {}", bits.weights, bits.activations)
    });
    let quantised = quantised.unwrap_or_default();
    format!("{}: {}{quantised}", config.model, config.model.description())
}
