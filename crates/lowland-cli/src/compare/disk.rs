//! How much disk the runs of a comparison take, before they do.

use indicatif::DecimalBytes;
use lowland::Algorithm;
use lowland_tasks::config::{OptimizerName, TrainConfig};

use super::keep::Kept;
use super::plan::Plan;
use super::scheduler::most_workers;

/// The disk that the runs of a plan take, in words: all of them together once they are done, and
/// what the checkpoints of those that train take on top.
pub(crate) fn disk(plan: &Plan, jobs: usize) -> String {
    let (mut done, mut training) = (0.0, Vec::new());
    for run in plan.runs() {
        let size = Sizes::of(&run.config, plan);
        done += plan.keep.kinds().map(|kept| size.of_kind(kept)).sum::<f64>() + SMALL_FILES;
        training.push(size.checkpoints + size.checkpoint);
    }
    training.sort_by(|a, b| f64::total_cmp(b, a));
    let at_once = most_workers(&plan.contenders[0].config.device, jobs);
    let training: f64 = training.into_iter().take(at_once).sum();
    let (kept, done, training) = (plan.keep.in_words(), bytes(done), bytes(training));
    format!(
        "keeps {kept} of each run: about {done} of disk once all are done, and up to {training} \
         more for checkpoints while runs train"
    )
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
            (_, OptimizerName::Sgd | OptimizerName::AdaGrad) => 1.0,
            // Two averages, or one and a momentum.
            (_, OptimizerName::Adam | OptimizerName::AdamW | OptimizerName::RmsProp) => 2.0,
        };
        // The weights that were best on validation (or the last ones beside them), and an average.
        let has_validation = plan.facts.data.validation.samples > 0;
        let more = f64::from(u8::from(has_validation) + u8::from(config.ema.is_some()));
        // Weights, the base optimizer, and at most two vectors that the algorithm remembers.
        let checkpoint = copy * (1.0 + base + 2.0 + more);
        let steps = plan.facts.steps_per_epoch as f64 * config.epochs as f64;
        Self {
            weights: (2.0 + more) * copy,
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
