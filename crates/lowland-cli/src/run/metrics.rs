//! `metrics.jsonl`: what a run did, one line of JSON for each step, epoch and test.

use std::borrow::Cow;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::Result;
use lowland_tasks::record::{EpochRecord, StepRecord, TestRecord};
use serde::{Deserialize, Serialize};

use crate::failure::Usage;
use crate::files::METRICS;

/// A line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub(super) enum Line<'a> {
    Step(Cow<'a, StepRecord>),
    Epoch(Cow<'a, EpochRecord>),
    Test(Cow<'a, TestRecord>),
    Sharpness {
        step: u64,
        largest_eigenvalue: Option<f64>,
        /// How uncertain the eigenvalue is.
        residual: Option<f64>,
        largest_rise: Option<f64>,
        /// `None` where it was not finite.
        loss: Option<f64>,
    },
    Changed {
        step: u64,
        changes: Cow<'a, [String]>,
    },
    #[serde(other)]
    Other,
}

/// The lines of a run.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    /// Its steps.
    pub steps: Vec<StepRecord>,
    /// Its epochs.
    pub epochs: Vec<EpochRecord>,
    /// The test of its weights, once it is made.
    pub test: Option<TestRecord>,
    /// Settings that were changed on the way, in words.
    pub changed: Vec<String>,
}

impl Metrics {
    /// Reads the metrics in the folder of a run; `None` where it has none.
    ///
    /// # Errors
    /// A file that cannot be read, a line that is none of them.
    pub(crate) fn read(run: &Path) -> Result<Option<Self>> {
        Self::of(run, |_| true)
    }

    /// The epochs of a run alone: of its steps, which can be many, nothing is parsed.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub(crate) fn epochs(run: &Path) -> Result<Option<Vec<EpochRecord>>> {
        let metrics = Self::of(run, |line| line.contains(r#""kind":"epoch""#))?;
        Ok(metrics.map(|metrics| metrics.epochs))
    }

    /// The lines of a run that are `wanted`.
    fn of(run: &Path, wanted: impl Fn(&str) -> bool) -> Result<Option<Self>> {
        let path = run.join(METRICS);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(Usage(format!("cannot read {}: {error}", path.display())).into());
            }
        };
        let mut metrics = Self::default();
        // The last line of a run that trains now, or was killed, may be half of one.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        for (i, line) in whole.lines().enumerate().filter(|(_, line)| wanted(line)) {
            let line: Line<'_> = serde_json::from_str(line)
                .map_err(|error| Usage(format!("{} line {}: {error}", path.display(), i + 1)))?;
            match line {
                Line::Step(step) => metrics.steps.push(step.into_owned()),
                Line::Epoch(epoch) => metrics.epochs.push(epoch.into_owned()),
                Line::Test(test) => metrics.test = Some(test.into_owned()),
                Line::Changed { step, changes } => {
                    metrics.changed.push(format!("at step {step}: {}", changes.join(", ")));
                }
                Line::Sharpness { .. } | Line::Other => {}
            }
        }
        Ok(Some(metrics))
    }
}
