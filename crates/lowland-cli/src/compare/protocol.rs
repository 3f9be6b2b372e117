//! What a comparison and its workers say to each other.

use lowland_tasks::config::TrainConfig;
use serde::{Deserialize, Serialize};

use super::keep::Keep;

/// What a worker is to do; it reads this as one line of JSON from its standard input, which then
/// stays open for as long as the run is wanted. Each further line gives it another turn, where runs
/// take turns.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Job {
    /// The settings of the run.
    pub config: TrainConfig,
    /// Whether the sharpness is measured at its end.
    pub sharpness: bool,
    /// What is kept of it.
    pub keep: Keep,
    /// How many runs train at once.
    pub jobs: usize,
    /// Whether it waits for another turn after each epoch.
    pub turns: bool,
}

/// What a worker says, as a line of JSON on its standard output.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub(crate) enum Message {
    /// How far the run is.
    Steps {
        /// Steps that were taken.
        done: u64,
        /// Steps that there will be, as far as is known.
        expected: u64,
        /// The epoch under way; the first is 1.
        epoch: usize,
        /// The loss of the latest step, if it is finite.
        loss: Option<f64>,
    },
    /// The run waits for its next turn.
    Waits {
        /// Its epochs that are done.
        epochs: usize,
    },
    /// Which share of the measurement of sharpness is done, 0 to 1.
    Sharpness {
        /// The share.
        share: f64,
    },
    /// Something to show.
    Line {
        /// The line.
        text: String,
    },
    /// The run is done, and its result is in its folder.
    Done,
    /// The run ended early.
    Failed {
        /// Why, in words.
        error: String,
        /// What kind of failure it is.
        failure: Failure,
    },
}

/// How a run fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Failure {
    /// It was asked to end.
    Interrupted,
    /// Its folder cannot be written to: other runs have no better chance.
    Write,
    /// Anything else.
    Other,
}
