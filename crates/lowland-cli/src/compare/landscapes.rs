//! What `lowland landscape` stores: the loss along the same axes around several runs.

use lowland_tasks::data::Subset;
use lowland_tasks::flatness::EvalSettings;
use serde::{Deserialize, Serialize};

/// The number of the stored form.
pub(crate) const FORMAT: u32 = 1;

/// Landscapes that can be compared: of the same images, along the same axes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Landscapes {
    /// The stored form, [`FORMAT`] when written by this version.
    pub format: u32,
    /// The command that repeats it.
    pub command: String,
    /// Where the loss was measured.
    #[serde(rename = "ground")]
    pub eval: EvalSettings,
    /// How many images there were.
    pub images: usize,
    /// How these were drawn; `None` where they are all of their split.
    #[serde(default)]
    pub subset: Option<Subset>,
    /// What the share of right answers is called, or what is measured in its place.
    #[serde(default = "accuracy")]
    pub measure: String,
    /// Which weights of the runs these are, in words; empty where an older version wrote it.
    #[serde(default)]
    pub weights: String,
    /// How the data is not that which the runs learned, in words; empty where it is the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub data_differences: Vec<String>,
    /// Along what.
    pub along: Along,
    /// One for each run, or for each pair of neighbours along a line.
    pub views: Vec<View>,
}

/// What labelled samples are measured by.
fn accuracy() -> String {
    "accuracy".to_owned()
}

/// What the axes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Along {
    /// Two random directions, each filter as long as the first run's: a plane around each run
    Random,
    /// The eigenvectors of the two largest eigenvalues of the first run's Hessian: a plane around
    /// each run
    Eigenvectors,
    /// The straight line from the first run to each of the others
    Line,
}

/// One landscape.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct View {
    /// The run, or the two runs that a line joins.
    pub label: String,
    /// Its points, row by row.
    pub points: Vec<Sample>,
    /// Eigenvalues along the axes, where these are eigenvectors of this very run.
    #[serde(default)]
    pub eigenvalues: Vec<f64>,
}

/// The loss at a point; JSON has no word for what is not a number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sample {
    /// Its coordinates.
    pub at: Vec<f64>,
    /// The mean loss, if it is finite.
    pub loss: Option<f64>,
    /// The share of right answers, 0 to 1, or what is measured in its place, where it was measured.
    pub accuracy: Option<f64>,
}
