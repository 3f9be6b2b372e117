//! The plan of a comparison: which runs it has, and what they share. It is written before anything
//! is trained.

use std::path::Path;

use anyhow::{Context, Result, bail};
use lowland_tasks::Spec;
use lowland_tasks::config::TrainConfig;
use serde::{Deserialize, Serialize};

use super::equal::Equal;
use super::keep::Keep;
use super::label::labels;
use super::terms::Terms;
use crate::failure::Usage;
use crate::files;
use crate::files::PLAN;
use crate::run::facts::Facts;

/// The most seeds that one comparison may have.
pub(crate) const MOST_SEEDS: usize = 1000;

/// The most runs that may train at once.
pub(crate) const MOST_JOBS: usize = 64;

/// The number of the stored form.
pub(super) const FORMAT: u32 = 2;

/// All that decides a comparison: every contender is trained once with every seed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Plan {
    /// The stored form.
    pub(super) format: u32,
    /// The commands that asked for it, the first one first.
    pub commands: Vec<String>,
    /// The heading of the report; where there is none, the names of the contenders.
    pub title: Option<String>,
    /// What the comparison asks, in one sentence; where there is none, it follows from the
    /// contenders.
    pub question: Option<String>,
    /// What else a reader must know to judge it.
    pub note: String,
    /// What every contender gets the same of.
    pub equal: Equal,
    /// The margin of equivalence in points, stated before anything was trained; `None` where
    /// equivalence is not tested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub margin: Option<f64>,
    /// What makes the comparison a search for settings: which contenders train with which seeds
    /// then follows from the scores, and the margin is the gain that counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tune: Option<Terms>,
    /// Whether the sharpness is measured at the end of each run.
    pub sharpness: bool,
    /// What is kept of each run. No part of what the comparison is.
    pub keep: Keep,
    /// How many runs train at once. No part of what the comparison is.
    pub jobs: usize,
    /// The seeds.
    pub seeds: Vec<u64>,
    /// What is known of data and network, for the first seed.
    pub facts: Facts,
    /// The contenders; the first is the baseline.
    pub contenders: Vec<Planned>,
    /// The names of the contenders, where they are some of another plan's: a part of a search.
    #[serde(skip)]
    pub names: Option<Vec<String>>,
}

/// A contender in a plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Planned {
    /// What the names of its run folders begin with.
    pub folder: String,
    /// Its settings; each of its runs has its own seed in place of the one here.
    pub config: TrainConfig,
}

/// A run of a plan.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PlannedRun {
    /// The place of its contender in the plan.
    pub contender: usize,
    /// Its settings, the seed among them.
    pub config: TrainConfig,
    /// The name of its folder.
    pub folder: String,
}

/// What is wrong with a margin in points.
pub(super) fn margin_problem(margin: f64) -> Option<String> {
    let is_fine = margin > 0.0 && margin < 100.0;
    (!is_fine).then(|| format!("margin must be above 0 and below 100 points, found {margin}"))
}

impl Planned {
    /// The contender's run with a seed.
    pub(crate) fn with_seed(&self, seed: u64) -> TrainConfig {
        TrainConfig { seed, ..self.config.clone() }
    }
}

impl Plan {
    /// All runs, seed by seed.
    pub(crate) fn runs(&self) -> Vec<PlannedRun> {
        let with_seed = |&seed: &u64| {
            self.contenders.iter().enumerate().map(move |(contender, planned)| PlannedRun {
                contender,
                config: planned.with_seed(seed),
                folder: format!("{}-seed-{seed}", planned.folder),
            })
        };
        self.seeds.iter().flat_map(with_seed).collect()
    }

    /// The plan of some of the contenders alone, with other seeds and no search.
    pub(crate) fn part(&self, contenders: &[usize], seeds: &[u64]) -> Self {
        let names = self.labels();
        Self {
            tune: None,
            margin: None,
            seeds: seeds.to_vec(),
            names: Some(contenders.iter().map(|&place| names[place].clone()).collect()),
            contenders: contenders.iter().map(|&place| self.contenders[place].clone()).collect(),
            ..self.clone()
        }
    }

    /// The names of all contenders.
    pub(crate) fn labels(&self) -> Vec<String> {
        self.names.clone().unwrap_or_else(|| labels(&self.configs()))
    }

    /// The settings of all contenders.
    pub(crate) fn configs(&self) -> Vec<TrainConfig> {
        self.contenders.iter().map(|planned| planned.config.clone()).collect()
    }

    /// Reads the plan of a comparison.
    ///
    /// # Errors
    /// A file that cannot be read, or that holds no plan.
    pub(crate) fn read(folder: &Path) -> Result<Self> {
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
        if let Some(problem) = self.margin.and_then(margin_problem) {
            return Some(problem);
        }
        if let Some(terms) = &self.tune {
            if self.margin.is_none() {
                return Some("a search needs a margin".to_owned());
            }
            if let Some(problem) = terms.problem(self.contenders.len()) {
                return Some(problem);
            }
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
        let bad = |planned: &Planned| Spec::try_from(&planned.config).err();
        self.contenders.iter().find_map(bad).map(|error| error.to_string())
    }

    /// Writes the plan into the folder of the comparison, whole or not at all.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn write(&self, folder: &Path) -> Result<()> {
        files::write(&folder.join(PLAN), toml::to_string(self)?.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::super::request::tests::plan;
    use super::*;

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
            ("format = 2", "format = 9", "has format 9"),
            ("\"sam-2\"", "\"../sam\"", "must be letters, digits"),
            ("\"sam-2\"", "\"sam\"", "two runs have the same folder"),
            ("jobs = 1", "jobs = 0", "jobs must be between 1 and 64, found 0"),
            ("seeds = [0, 1]", "seeds = []", "at least one contender"),
            ("rho = 0.2", "rho = -1.0", "rho must be finite and at least 0, found -1"),
            (
                "equal = \"epochs\"",
                "equal = \"epochs\"\nmargin = 0.0",
                "above 0 and below 100 points, found 0",
            ),
            ("jobs = 1", "job = 1", "unknown field `job`"),
        ] {
            assert!(text.contains(from), "{from} is not in {text}");
            std::fs::write(folder.path().join(PLAN), text.replace(from, to)).unwrap();
            let error = Plan::read(folder.path()).unwrap_err().to_string();
            assert!(error.contains("plan.toml: ") && error.contains(expected), "{error}");
        }
    }
}
