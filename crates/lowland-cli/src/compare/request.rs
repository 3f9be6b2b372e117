//! What somebody asks of a comparison: a new one, or more of one that was begun.

use std::path::Path;

use anyhow::{Result, bail};
use lowland_tasks::config::TrainConfig;

use super::equal::Equal;
use super::keep::Keep;
use super::label::name;
use super::plan::{FORMAT, MOST_SEEDS, Plan, Planned, margin_problem};
use super::terms::Terms;
use crate::failure::{OtherSettings, Usage};
use crate::run::facts::Facts;
use crate::settings::is_of_an_algorithm;

/// What somebody asks for: a new comparison, or more of one that was begun.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// See [`Plan::title`].
    pub title: Option<String>,
    /// See [`Plan::question`].
    pub question: Option<String>,
    /// See [`Plan::note`].
    pub note: String,
    /// A configuration for each contender, alike but for what goes with an algorithm's name.
    pub configs: Vec<TrainConfig>,
    /// Whether the contenders were named. Where they were not, those of a comparison that was begun
    /// stay.
    pub named: bool,
    /// See [`Plan::equal`]; `None` for that of the comparison that was begun, or epochs.
    pub equal: Option<Equal>,
    /// See [`Plan::margin`]; `None` for that of the comparison that was begun, or none.
    pub margin: Option<f64>,
    /// See [`Plan::tune`].
    pub tune: Option<Terms>,
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
pub(crate) enum Seeds {
    /// By name.
    Named(Vec<u64>),
    /// The default.
    Default(Vec<u64>),
}

/// Checks a margin in points that is asked for.
///
/// # Errors
/// One that is not above 0 and below 100.
pub(crate) fn check_margin(margin: Option<f64>) -> Result<()> {
    match margin.and_then(margin_problem) {
        Some(problem) => bail!(Usage(format!("--{problem}"))),
        None => Ok(()),
    }
}

/// Checks how many seeds are asked for.
///
/// # Errors
/// None, or more than 1000.
pub(crate) fn check_seeds(seeds: u64) -> Result<()> {
    if !(1..=MOST_SEEDS as u64).contains(&seeds) {
        bail!(Usage(format!("--seeds must be between 1 and {MOST_SEEDS}, found {seeds}")));
    }
    Ok(())
}

impl Plan {
    /// The plan of a new comparison.
    pub(crate) fn new(request: Request, facts: Facts, command: String) -> Self {
        let mut plan = Self {
            format: FORMAT,
            commands: vec![command],
            title: request.title,
            question: request.question,
            note: request.note,
            equal: request.equal.unwrap_or_default(),
            margin: request.margin,
            sharpness: !request.no_sharpness,
            keep: request.keep.unwrap_or_default(),
            jobs: request.jobs.unwrap_or(1),
            seeds: request.seeds.into_seeds(),
            facts,
            contenders: Vec::new(),
            tune: request.tune,
            names: None,
        };
        for config in request.configs {
            plan.add(&config);
        }
        plan
    }

    /// The plan with what a request adds to it, and whether that is anything.
    ///
    /// # Errors
    /// [`OtherSettings`] where the request differs in more than contenders, seeds, `keep` and
    /// `jobs`; too many seeds.
    pub(crate) fn extended(
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
                    plan.add(&config);
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
        let first = &self.contenders[0].config;
        let mut changes = Vec::new();
        for config in &request.configs {
            let other = seedless(config);
            let named = first.settings_beside(&other).into_iter().zip(first.changes(&other));
            let shared = named.filter(|(name, _)| !is_of_an_algorithm(name));
            changes.extend(shared.map(|(_, change)| change));
            if config.device != first.device {
                changes.push(format!("device was {:?} and is {:?}", first.device, config.device));
            }
        }
        if let Some(equal) = request.equal.filter(|equal| *equal != self.equal) {
            changes.push(format!("--equal was {} and is {}", self.equal.name(), equal.name()));
        }
        if let Some(margin) = request.margin
            && self.margin.is_none_or(|own| own.total_cmp(&margin).is_ne())
        {
            let own = self.margin.map_or_else(|| "not given".to_owned(), |own| own.to_string());
            changes.push(format!("--margin was {own} and is {margin}"));
        }
        if request.no_sharpness && self.sharpness {
            changes.push("--no-sharpness was not given and is".to_owned());
        }
        changes.sort();
        changes.dedup();
        changes
    }

    fn add(&mut self, config: &TrainConfig) {
        let name = name(config);
        let twins =
            self.contenders.iter().filter(|other| self::name(&other.config) == name).count();
        let folder = if twins == 0 { name.to_owned() } else { format!("{name}-{}", twins + 1) };
        self.contenders.push(Planned { folder, config: seedless(config) });
    }
}

impl Seeds {
    /// The seeds.
    pub(crate) fn as_slice(&self) -> &[u64] {
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
pub(crate) mod tests {
    use lowland::{Algorithm, SamConfig};
    use lowland_tasks::task::Wording;
    use lowland_tasks::train::{Fingerprint, PartPrint};

    use super::*;

    pub(crate) fn sam(rho: f64) -> TrainConfig {
        TrainConfig { algorithm: Algorithm::Sam(SamConfig { rho }), ..TrainConfig::default() }
    }

    pub(crate) fn request(configs: Vec<TrainConfig>, seeds: Vec<u64>) -> Request {
        Request {
            title: None,
            question: None,
            note: String::new(),
            configs,
            named: true,
            equal: None,
            margin: None,
            tune: None,
            no_sharpness: false,
            seeds: Seeds::Named(seeds),
            keep: None,
            jobs: None,
        }
    }

    pub(crate) fn plan() -> Plan {
        let facts = Facts {
            classes: 2,
            labels_changed: 0,
            parameters: 7,
            steps_per_epoch: 3,
            augmentation: String::new(),
            notes: Vec::new(),
            wording: Wording::default(),
            pixel_statistics: Vec::new(),
            data: Fingerprint {
                train: PartPrint { samples: 10, sha256: "a".into() },
                test: PartPrint { samples: 5, sha256: "b".into() },
                ..Fingerprint::default()
            },
            version: "lowland 1".into(),
            hardware: String::new(),
        };
        let request = request(vec![sam(0.1), sam(0.2)], vec![0, 1]);
        Plan::new(request, facts, "lowland compare".into())
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
            margin: Some(0.5),
            no_sharpness: true,
            ..request(vec![other], vec![0])
        };
        let error = plan().extended(asked, Path::new("out"), String::new()).unwrap_err();
        let error = error.downcast_ref::<OtherSettings>().unwrap();
        assert_eq!(
            error.changes,
            [
                "--equal was epochs and is passes",
                "--margin was not given and is 0.5",
                "--no-sharpness was not given and is",
                "device was \"cpu\" and is \"tch\"",
                "epochs was 15 and is 3",
                "optimizer.momentum was 0.9 and is 0.5",
            ]
        );
    }
}
