//! What is kept of each run of a comparison once it is done, and how much disk that takes.

use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Result, bail};
use clap::ValueEnum;
use indicatif::DecimalBytes;
use lowland::Algorithm;
use lowland_tasks::config::{OptimizerName, TrainConfig};
use serde::{Deserialize, Serialize};

use super::plan::Plan;
use crate::failure::Usage;
use crate::journal::{EVENTS, METRICS};
use crate::run_folder::{CHECKPOINTS, MODEL, SAFETENSORS, cannot_write};

/// Files of a run that can be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kept {
    /// The final weights: model.bpk and model.safetensors
    Weights,
    /// A line for each step and epoch: metrics.jsonl and TensorBoard events
    Metrics,
    /// The latest checkpoints
    Checkpoints,
    /// Only settings and results
    Nothing,
}

/// What is kept of a run once it is done. Its settings and its result always are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Keep(Vec<Kept>);

impl Default for Keep {
    /// Weights and metrics.
    fn default() -> Self {
        Self(vec![Kept::Weights, Kept::Metrics])
    }
}

impl Keep {
    /// What a list of flags asks for.
    ///
    /// # Errors
    /// `nothing` beside something else.
    pub fn of(flags: &[Kept]) -> Result<Self> {
        let mut kept = flags.to_vec();
        kept.sort_unstable();
        kept.dedup();
        if kept.contains(&Kept::Nothing) && kept.len() > 1 {
            bail!(Usage("--keep nothing excludes everything else: leave one of them out".into()));
        }
        kept.retain(|kept| *kept != Kept::Nothing);
        Ok(Self(kept))
    }

    /// Whether files of this kind are kept.
    pub fn has(&self, kept: Kept) -> bool {
        self.0.contains(&kept)
    }

    /// Removes everything else from the folder of a run that is done.
    ///
    /// # Errors
    /// A file that cannot be removed.
    pub fn prune(&self, run: &Path) -> Result<()> {
        if !self.has(Kept::Checkpoints) {
            let folder = run.join(CHECKPOINTS);
            gone(&folder, std::fs::remove_dir_all(&folder))?;
        }
        let files = [(Kept::Metrics, [METRICS, EVENTS]), (Kept::Weights, [MODEL, SAFETENSORS])];
        for (kept, names) in files {
            for path in names.map(|name| run.join(name)) {
                if !self.has(kept) {
                    gone(&path, std::fs::remove_file(&path))?;
                }
            }
        }
        Ok(())
    }

    /// The list in words: "weights and metrics".
    pub fn in_words(&self) -> String {
        let name = |kept: &Kept| match kept {
            Kept::Weights => "weights",
            Kept::Metrics => "metrics",
            Kept::Checkpoints => "checkpoints",
            Kept::Nothing => "nothing",
        };
        match self.0.iter().map(name).collect::<Vec<_>>().as_slice() {
            [] => "settings and results alone".to_owned(),
            [one] => (*one).to_owned(),
            [front @ .., last] => format!("{} and {last}", front.join(", ")),
        }
    }

    /// The disk that the runs of a plan take, in words: all of them together once they are done, and what the
    /// checkpoints of those that train take on top.
    pub fn disk(&self, plan: &Plan, jobs: usize) -> String {
        let (mut done, mut training) = (0.0, Vec::new());
        for run in plan.runs() {
            let size = Sizes::of(&run.config, plan);
            done += self.0.iter().map(|kept| size.of_kind(*kept)).sum::<f64>() + SMALL_FILES;
            training.push(size.checkpoints + size.checkpoint);
        }
        training.sort_by(|a, b| f64::total_cmp(b, a));
        let training: f64 = training.into_iter().take(jobs).sum();
        let (kept, done, training) = (self.in_words(), bytes(done), bytes(training));
        format!(
            "keeps {kept} of each run: about {done} of disk once all are done, and up to {training} \
             more for checkpoints while runs train"
        )
    }
}

/// Bytes of a step in `metrics.jsonl` and in the file of events, measured.
const BYTES_PER_STEP: f64 = 600.0;

/// Settings, result and sharpness.
const SMALL_FILES: f64 = 20_000.0;

/// The bytes of a run's files, as far as they can be known beforehand.
struct Sizes {
    weights: f64,
    metrics: f64,
    /// One checkpoint.
    checkpoint: f64,
    /// All that a run keeps while it trains.
    checkpoints: f64,
}

impl Sizes {
    fn of(config: &TrainConfig, plan: &Plan) -> Self {
        let copy = 4.0 * plan.facts.parameters as f64;
        let base = match (&config.algorithm, config.optimizer.name) {
            (Algorithm::AdaSam(_), _) => 3.0,
            (_, OptimizerName::AdamW) => 2.0,
            (_, OptimizerName::Sgd) => 1.0,
        };
        // Weights, the base optimizer, and at most two vectors that the algorithm remembers.
        let checkpoint = copy * (1.0 + base + 2.0);
        let steps = plan.facts.steps_per_epoch as f64 * config.epochs as f64;
        Self {
            weights: 2.0 * copy,
            metrics: BYTES_PER_STEP * steps,
            checkpoint,
            // The latest ones and the best.
            checkpoints: checkpoint * (config.checkpoints.keep + 1) as f64,
        }
    }

    fn of_kind(&self, kept: Kept) -> f64 {
        match kept {
            Kept::Weights => self.weights,
            Kept::Metrics => self.metrics,
            Kept::Checkpoints => self.checkpoints,
            Kept::Nothing => 0.0,
        }
    }
}

fn bytes(count: f64) -> DecimalBytes {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a conversion from floating point saturates"
    )]
    let count = count as u64;
    DecimalBytes(count)
}

/// What is not there need not be removed.
fn gone(path: &Path, removed: std::io::Result<()>) -> Result<()> {
    match removed {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(cannot_write(path, error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_kept_is_removed() {
        let all = [METRICS, EVENTS, MODEL, SAFETENSORS];
        for (flags, words, left) in [
            (vec![Kept::Nothing], "settings and results alone", vec![]),
            (vec![Kept::Metrics, Kept::Weights], "weights and metrics", all.to_vec()),
            (vec![Kept::Metrics], "metrics", vec![METRICS, EVENTS]),
            (
                vec![Kept::Checkpoints, Kept::Weights, Kept::Weights],
                "weights and checkpoints",
                vec![CHECKPOINTS, MODEL, SAFETENSORS],
            ),
        ] {
            let folder = tempfile::tempdir().unwrap();
            for name in all.iter().chain(&["config.toml"]) {
                std::fs::write(folder.path().join(name), "").unwrap();
            }
            std::fs::create_dir_all(folder.path().join(CHECKPOINTS).join("one")).unwrap();
            let keep = Keep::of(&flags).unwrap();
            assert_eq!(keep.in_words(), words);
            keep.prune(folder.path()).unwrap();
            // What is gone already is no error.
            keep.prune(folder.path()).unwrap();
            let mut found: Vec<_> = std::fs::read_dir(folder.path())
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            found.sort();
            let mut left: Vec<_> = left.iter().chain(&["config.toml"]).copied().collect();
            left.sort_unstable();
            assert_eq!(found, left);
        }
        assert!(Keep::of(&[Kept::Nothing, Kept::Weights]).is_err());
    }
}
