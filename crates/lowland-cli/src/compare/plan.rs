//! The plan of a comparison: which runs it has, and what they share. It is written before anything is trained.

use std::path::Path;

use anyhow::{Context, Result, bail};
use lowland_tasks::config::TrainConfig;
use lowland_tasks::task::{Split, Wording};
use lowland_tasks::train::{Data, Training};
use serde::{Deserialize, Serialize};

use super::equal::Equal;
use super::keep::Keep;
use super::label::name;
use crate::failure::Usage;
use crate::files;

/// The name of the file in the folder of a comparison.
pub const PLAN: &str = "plan.toml";

/// The most seeds that one comparison may have.
const MOST_SEEDS: usize = 1000;

/// The number of the stored form.
const FORMAT: u32 = 1;

/// All that decides a comparison: every contender is trained once with every seed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The stored form.
    format: u32,
    /// Name and version of the program that began it.
    pub version: String,
    /// The commands that asked for it, the first one first.
    pub commands: Vec<String>,
    /// The heading of the report; where there is none, the names of the contenders.
    pub title: Option<String>,
    /// What the comparison asks, in one sentence; where there is none, it follows from the contenders.
    pub question: Option<String>,
    /// What else a reader must know to judge it.
    pub note: String,
    /// What every contender gets the same of.
    pub equal: Equal,
    /// Whether the sharpness is measured at the end of each run.
    pub sharpness: bool,
    /// What is kept of each run. No part of what the comparison is.
    pub keep: Keep,
    /// How many runs train at once. No part of what the comparison is.
    pub jobs: usize,
    /// The seeds.
    pub seeds: Vec<u64>,
    /// What is known of data and network.
    pub facts: Facts,
    /// The contenders; the first is the baseline.
    pub contenders: Vec<Planned>,
}

/// A contender in a plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Planned {
    /// What the names of its run folders begin with.
    pub folder: String,
    /// Its settings; each of its runs has its own seed in place of the one here.
    pub config: TrainConfig,
}

/// What only the data and the network say, for the first seed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Facts {
    /// The checksum of the training samples.
    pub train: String,
    /// The checksum of the test samples.
    pub test: String,
    /// Number of training samples.
    pub training_images: usize,
    /// Number of test samples.
    pub test_images: usize,
    /// Number of classes, or of joints.
    pub classes: usize,
    /// Training labels that label noise changed.
    pub labels_changed: usize,
    /// Trainable parameters of the network.
    pub parameters: usize,
    /// Steps in an epoch.
    pub steps_per_epoch: usize,
    /// How training samples are varied, in words; empty if they are not.
    pub augmentation: String,
    /// The nouns of the task.
    pub wording: Wording,
}

impl Facts {
    /// Those of a run's data and network.
    ///
    /// # Errors
    /// A model without trainable parameters.
    pub fn of(config: &TrainConfig, data: &Data, training: &Training) -> Result<Self> {
        let task = data.task();
        Ok(Self {
            train: task.checksum(Split::Train),
            test: task.checksum(Split::Test),
            training_images: task.count(Split::Train),
            test_images: task.count(Split::Test),
            classes: task.classes(),
            labels_changed: task.labels_changed(),
            parameters: training.parameter_count()?,
            steps_per_epoch: training.steps_per_epoch(),
            augmentation: task.variation(config),
            wording: task.wording(),
        })
    }
}

/// A run of a plan.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedRun {
    /// The place of its contender in the plan.
    pub contender: usize,
    /// Its settings, the seed among them.
    pub config: TrainConfig,
    /// The name of its folder.
    pub folder: String,
}

impl Planned {
    /// The contender's run with a seed.
    pub fn with_seed(&self, seed: u64) -> TrainConfig {
        TrainConfig { seed, ..self.config.clone() }
    }
}

/// What somebody asks for: a new comparison, or more of one that was begun.
#[derive(Debug, Clone)]
pub struct Request {
    /// See [`Plan::title`].
    pub title: Option<String>,
    /// See [`Plan::question`].
    pub question: Option<String>,
    /// See [`Plan::note`].
    pub note: String,
    /// A configuration for each contender, alike but for what goes with an algorithm's name.
    pub configs: Vec<TrainConfig>,
    /// Whether the contenders were named. Where they were not, those of a comparison that was begun stay.
    pub named: bool,
    /// See [`Plan::equal`]; `None` for that of the comparison that was begun, or epochs.
    pub equal: Option<Equal>,
    /// Whether the sharpness is not to be measured.
    pub no_sharpness: bool,
    /// The seeds; where they were not named, those of a comparison that was begun stay.
    pub seeds: Seeds,
    /// See [`Plan::keep`]; `None` for what the comparison that was begun keeps, or the default.
    pub keep: Option<Keep>,
    /// See [`Plan::jobs`]; `None` for those of the comparison that was begun, or one.
    pub jobs: Option<usize>,
}

/// Seeds that were asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seeds {
    /// By name.
    Named(Vec<u64>),
    /// The default.
    Default(Vec<u64>),
}

/// Checks how many seeds are asked for.
///
/// # Errors
/// None, or more than 1000.
pub fn check_seeds(seeds: u64) -> Result<()> {
    if !(1..=MOST_SEEDS as u64).contains(&seeds) {
        bail!(Usage(format!("--seeds must be between 1 and {MOST_SEEDS}, found {seeds}")));
    }
    Ok(())
}

/// Why a request is none for more of a comparison that was begun.
#[derive(Debug, thiserror::Error)]
#[error(
    "{folder} holds a comparison with other settings: {}; repeat the settings of the first command ({command}) or \
     name another --out", .changes.join("; ")
)]
pub struct OtherSettings {
    /// The comparison's folder.
    pub folder: String,
    /// One change each, such as `epochs was 3 and is 5`.
    pub changes: Vec<String>,
    /// The command that began the comparison.
    pub command: String,
}

impl Plan {
    /// The plan of a new comparison.
    pub fn new(request: Request, facts: Facts, version: String, command: String) -> Self {
        let mut plan = Self {
            format: FORMAT,
            version,
            commands: vec![command],
            title: request.title,
            question: request.question,
            note: request.note,
            equal: request.equal.unwrap_or_default(),
            sharpness: !request.no_sharpness,
            keep: request.keep.unwrap_or_default(),
            jobs: request.jobs.unwrap_or(1),
            seeds: request.seeds.into_seeds(),
            facts,
            contenders: Vec::new(),
        };
        for config in request.configs {
            plan.add(config);
        }
        plan
    }

    /// The plan with what a request adds to it, and whether that is anything.
    ///
    /// # Errors
    /// [`OtherSettings`] where the request differs in more than contenders, seeds, `keep` and `jobs`; too many
    /// seeds.
    pub fn extended(
        &self,
        request: Request,
        folder: &Path,
        command: String,
    ) -> Result<(Self, bool)> {
        let changes = self.changes(&request);
        if !changes.is_empty() {
            let folder = folder.display().to_string();
            bail!(OtherSettings { folder, changes, command: self.commands[0].clone() });
        }
        let mut plan = self.clone();
        if request.named {
            for config in request.configs {
                let known = |planned: &Planned| {
                    planned.config.settings_beside(&seedless(&config)).is_empty()
                };
                if !plan.contenders.iter().any(known) {
                    plan.add(config);
                }
            }
        }
        if let Seeds::Named(seeds) = request.seeds {
            let more = seeds.into_iter().filter(|seed| !self.seeds.contains(seed));
            plan.seeds.extend(more);
        }
        if plan.seeds.len() > MOST_SEEDS {
            let found = plan.seeds.len();
            bail!(Usage(format!("a comparison has at most {MOST_SEEDS} seeds, found {found}")));
        }
        let more =
            plan.contenders.len() > self.contenders.len() || plan.seeds.len() > self.seeds.len();
        if more {
            plan.commands.push(command);
        }
        plan.keep = request.keep.unwrap_or(plan.keep);
        plan.jobs = request.jobs.unwrap_or(plan.jobs);
        Ok((plan, more))
    }

    /// In what else than contenders, seeds, `keep` and `jobs` a request differs, in words.
    fn changes(&self, request: &Request) -> Vec<String> {
        // What may differ between contenders, for it can stand with an algorithm's name.
        const OWN: [&str; 5] =
            ["algorithm.", "radius.", "budget ", "time_budget ", "optimizer.learning_rate "];
        let first = &self.contenders[0].config;
        let mut changes = Vec::new();
        for config in &request.configs {
            let shared = first.changes(&seedless(config)).into_iter();
            changes.extend(shared.filter(|change| !OWN.iter().any(|own| change.starts_with(own))));
            if config.device != first.device {
                changes.push(format!("device was {:?} and is {:?}", first.device, config.device));
            }
        }
        if let Some(equal) = request.equal.filter(|equal| *equal != self.equal) {
            changes.push(format!("--equal was {} and is {}", self.equal.name(), equal.name()));
        }
        if request.no_sharpness && self.sharpness {
            changes.push("--no-sharpness was not given and is".to_owned());
        }
        changes.sort();
        changes.dedup();
        changes
    }

    fn add(&mut self, config: TrainConfig) {
        let name = name(&config);
        let twins =
            self.contenders.iter().filter(|other| self::name(&other.config) == name).count();
        let folder = if twins == 0 { name.to_owned() } else { format!("{name}-{}", twins + 1) };
        self.contenders.push(Planned { folder, config: seedless(&config) });
    }

    /// All runs, seed by seed.
    pub fn runs(&self) -> Vec<PlannedRun> {
        let with_seed = |&seed: &u64| {
            self.contenders.iter().enumerate().map(move |(contender, planned)| PlannedRun {
                contender,
                config: planned.with_seed(seed),
                folder: format!("{}-seed-{seed}", planned.folder),
            })
        };
        self.seeds.iter().flat_map(with_seed).collect()
    }

    /// The settings of all contenders.
    pub fn configs(&self) -> Vec<TrainConfig> {
        self.contenders.iter().map(|planned| planned.config.clone()).collect()
    }

    /// Reads the plan of a comparison.
    ///
    /// # Errors
    /// A file that cannot be read, or that holds no plan.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(PLAN);
        let text = std::fs::read_to_string(&path)
            .with_context(|| Usage(format!("cannot read {}", path.display())))?;
        let plan: Self = toml::from_str(&text)
            .map_err(|error| Usage(format!("{}: {}", path.display(), error.message())))?;
        let problem = plan.problem();
        match problem {
            Some(problem) => bail!(Usage(format!("{}: {problem}", path.display()))),
            None => Ok(plan),
        }
    }

    /// What is wrong with a plan that a file holds.
    fn problem(&self) -> Option<String> {
        let plain = |name: &str| {
            let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
            !name.is_empty() && name.chars().all(is_plain)
        };
        if self.format != FORMAT {
            return Some(format!(
                "has format {}, and this program reads format {FORMAT}",
                self.format
            ));
        }
        if self.contenders.is_empty() || self.seeds.is_empty() || self.commands.is_empty() {
            return Some("expected at least one contender, one seed and one command".to_owned());
        }
        if !(1..=MOST_JOBS).contains(&self.jobs) {
            return Some(format!("jobs must be between 1 and {MOST_JOBS}, found {}", self.jobs));
        }
        let mut folders: Vec<String> = self.runs().into_iter().map(|run| run.folder).collect();
        if let Some(folder) = folders.iter().find(|folder| !plain(folder)) {
            return Some(format!("folder {folder:?} must be letters, digits, - and _"));
        }
        let count = folders.len();
        folders.sort();
        folders.dedup();
        if folders.len() < count {
            return Some("two runs have the same folder".to_owned());
        }
        let bad = |planned: &Planned| planned.config.check().err();
        self.contenders.iter().find_map(bad).map(|error| error.to_string())
    }

    /// Writes the plan into the folder of the comparison, whole or not at all.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, folder: &Path) -> Result<()> {
        files::write(&folder.join(PLAN), toml::to_string(self)?.as_bytes())
    }
}

/// The most runs that may train at once.
pub const MOST_JOBS: usize = 64;

impl Seeds {
    /// The seeds.
    pub fn as_slice(&self) -> &[u64] {
        match self {
            Self::Named(seeds) | Self::Default(seeds) => seeds,
        }
    }

    fn into_seeds(self) -> Vec<u64> {
        match self {
            Self::Named(seeds) | Self::Default(seeds) => seeds,
        }
    }
}

fn seedless(config: &TrainConfig) -> TrainConfig {
    TrainConfig { seed: 0, ..config.clone() }
}

#[cfg(test)]
mod tests {
    use lowland::{Algorithm, SamConfig};

    use super::*;

    fn sam(rho: f64) -> TrainConfig {
        TrainConfig { algorithm: Algorithm::Sam(SamConfig { rho }), ..TrainConfig::default() }
    }

    fn request(configs: Vec<TrainConfig>, seeds: Vec<u64>) -> Request {
        Request {
            title: None,
            question: None,
            note: String::new(),
            configs,
            named: true,
            equal: None,
            no_sharpness: false,
            seeds: Seeds::Named(seeds),
            keep: None,
            jobs: None,
        }
    }

    fn plan() -> Plan {
        let facts = Facts {
            train: "a".into(),
            test: "b".into(),
            training_images: 10,
            test_images: 5,
            classes: 2,
            labels_changed: 0,
            parameters: 7,
            steps_per_epoch: 3,
            augmentation: String::new(),
            wording: Wording::default(),
        };
        let request = request(vec![sam(0.1), sam(0.2)], vec![0, 1]);
        Plan::new(request, facts, "lowland 1".into(), "lowland compare".into())
    }

    #[test]
    fn a_plan_survives_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let plan = plan();
        plan.write(folder.path()).unwrap();
        assert_eq!(Plan::read(folder.path()).unwrap(), plan);
        let folders: Vec<_> = plan.runs().into_iter().map(|run| run.folder).collect();
        assert_eq!(folders, ["sam-seed-0", "sam-2-seed-0", "sam-seed-1", "sam-2-seed-1"]);

        let text = std::fs::read_to_string(folder.path().join(PLAN)).unwrap();
        for (from, to, expected) in [
            ("format = 1", "format = 9", "has format 9"),
            ("\"sam-2\"", "\"../sam\"", "must be letters, digits"),
            ("\"sam-2\"", "\"sam\"", "two runs have the same folder"),
            ("jobs = 1", "jobs = 0", "jobs must be between 1 and 64, found 0"),
            ("seeds = [0, 1]", "seeds = []", "at least one contender"),
            ("rho = 0.2", "rho = -1.0", "rho must be finite and at least 0, found -1"),
            ("jobs = 1", "job = 1", "unknown field `job`"),
        ] {
            assert!(text.contains(from), "{from} is not in {text}");
            std::fs::write(folder.path().join(PLAN), text.replace(from, to)).unwrap();
            let error = Plan::read(folder.path()).unwrap_err().to_string();
            assert!(error.contains("plan.toml: ") && error.contains(expected), "{error}");
        }
    }

    #[test]
    fn what_is_there_already_is_not_added() {
        let folder = Path::new("out");
        let extend = |request| plan().extended(request, folder, "more".into());
        let (same, more) = extend(request(vec![sam(0.2)], vec![1])).unwrap();
        assert!(!more);
        assert_eq!(same, plan());
        let asked = request(vec![TrainConfig { seed: 9, ..sam(0.1) }, sam(0.3)], vec![1, 2]);
        let (longer, more) = extend(Request { jobs: Some(3), ..asked.clone() }).unwrap();
        assert!(more);
        assert_eq!((longer.seeds.as_slice(), longer.jobs), ([0, 1, 2].as_slice(), 3));
        let folders: Vec<_> = longer.contenders.iter().map(|c| c.folder.as_str()).collect();
        assert_eq!(folders, ["sam", "sam-2", "sam-3"]);
        assert_eq!(longer.commands, ["lowland compare", "more"]);
        let (unnamed, _) = extend(Request { named: false, ..asked }).unwrap();
        assert_eq!(unnamed.contenders.len(), 2);
    }

    #[test]
    fn other_settings_are_refused_by_name() {
        let mut other = sam(0.1);
        other.epochs = 3;
        other.optimizer.momentum = 0.5;
        other.device = "tch".to_owned();
        other.optimizer.learning_rate = 0.1;
        let asked = Request {
            equal: Some(Equal::Passes),
            no_sharpness: true,
            ..request(vec![other], vec![0])
        };
        let error = plan().extended(asked, Path::new("out"), String::new()).unwrap_err();
        let error = error.downcast_ref::<OtherSettings>().unwrap();
        assert_eq!(
            error.changes,
            [
                "--equal was epochs and is passes",
                "--no-sharpness was not given and is",
                "device was \"cpu\" and is \"tch\"",
                "epochs was 15 and is 3",
                "optimizer.momentum was 0.9 and is 0.5",
            ]
        );
    }
}
