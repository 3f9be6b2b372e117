//! What every algorithm of a comparison gets the same of.

use clap::ValueEnum;
use lowland_tasks::config::{MOST_EPOCHS, TrainConfig};
use serde::{Deserialize, Serialize};

/// How many times the baseline's epochs an algorithm may have that is cheaper than the baseline: no
/// step costs less than a forward pass, and few more than two gradients.
const MORE_EPOCHS: usize = 8;

/// What every algorithm of a comparison gets the same of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Equal {
    /// Epochs, and so steps
    #[default]
    Epochs,
    /// Gradient evaluations of a whole batch: those that the baseline's run of the same seed used
    Passes,
    /// Seconds of training steps: those that the baseline's run of the same seed used
    Time,
}

/// What a run used.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Used {
    /// Steps that it took.
    pub steps: u64,
    /// Steps that were planned: more than it took if it diverged.
    pub whole: u64,
    /// Gradient evaluations of a whole batch.
    pub passes: f64,
    /// Seconds of training steps.
    pub seconds: f64,
}

impl Equal {
    /// Its name on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Epochs => "epochs",
            Self::Passes => "passes",
            Self::Time => "time",
        }
    }

    /// The configuration of a run beside the baseline's run of the same seed. A baseline that
    /// diverged counts as if it had continued at the same cost.
    pub(crate) fn beside(self, config: &TrainConfig, baseline: Used) -> TrainConfig {
        let Used { steps, whole, passes, seconds } = baseline;
        // Of a baseline that took no step, nothing is known.
        let in_full = |used: f64| match steps {
            0 => None,
            // To the bit: no rounding error of a ratio that is 1.
            _ if steps == whole => Some(used),
            _ => Some(used * whole as f64 / steps as f64),
        };
        let (max_passes, max_seconds) = match self {
            Self::Epochs => return config.clone(),
            Self::Passes => (in_full(passes), None),
            Self::Time => (None, in_full(seconds)),
        };
        let more = if steps > 0 { MORE_EPOCHS } else { 1 };
        let epochs = config.epochs.saturating_mul(more).min(MOST_EPOCHS);
        TrainConfig { max_passes, max_seconds, epochs, ..config.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_baseline_that_diverged_counts_in_full() {
        let config = TrainConfig { epochs: 3, ..TrainConfig::default() };
        let used = Used { steps: 10, whole: 30, passes: 20.0, seconds: 1.5 };
        let passes = Equal::Passes.beside(&config, used);
        assert_eq!((passes.max_passes, passes.max_seconds, passes.epochs), (Some(60.0), None, 24));
        let time = Equal::Time.beside(&config, Used { whole: 10, ..used });
        assert_eq!((time.max_passes, time.max_seconds, time.epochs), (None, Some(1.5), 24));
        assert_eq!(Equal::Epochs.beside(&config, used), config);
        assert_eq!(Equal::Passes.beside(&config, Used { steps: 0, ..used }), config);
    }
}
