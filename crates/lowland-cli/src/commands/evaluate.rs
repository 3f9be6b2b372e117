//! `lowland evaluate`: what a run's network makes of the data, class by class.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, ValueEnum};
use comfy_table::{CellAlignment, Table};
use lowland_tasks::evaluation::{Evaluation, evaluate};
use lowland_tasks::quantise::rounded;
use lowland_tasks::task::Split;

use crate::run::finished::{FinishedRun, WeightFlags};
use crate::terminal::print;
use crate::words::{MISSING, count, number, percent};

/// The most classes whose confusions are printed as a matrix; of more, the largest confusions are.
const MATRIX: usize = 20;

/// How many confusions are named where there is no matrix.
const LARGEST: usize = 20;

/// Measure a run's network class by class
///
/// Loss and accuracy, precision, recall and F1 of each class, the confusion matrix and the expected
/// calibration error; for poses, how often each joint is found. Labels that were corrupted in
/// training are corrupted where the training part is measured.
#[derive(Debug, Args)]
pub(crate) struct Evaluate {
    /// The folder of the run
    #[arg(value_name = "RUN")]
    run: PathBuf,
    #[command(flatten)]
    weights: WeightFlags,
    /// Which samples
    #[arg(long, value_name = "WHICH", default_value = "test")]
    on: On,
    /// Round the weights to so many bits first, 2 to 8, as they are: nothing is trained, and
    /// activations, biases and normalisation stay
    #[arg(long, value_name = "BITS", value_parser = clap::value_parser!(u8).range(2..=8))]
    round: Option<u8>,
    /// Print JSON instead of tables
    #[arg(long)]
    json: bool,
}

/// A part of the data.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum On {
    /// Samples of training
    Train,
    /// Samples of the validation part
    Validation,
    /// Samples of the test set
    Test,
}

impl Evaluate {
    /// Measures and prints.
    ///
    /// # Errors
    /// A folder without a run, weights or data that are not there.
    pub(crate) fn run(self) -> Result<()> {
        let run = FinishedRun::open(&self.run, &self.weights)?;
        let split = match self.on {
            On::Train => Split::Train,
            On::Validation => Split::Validation,
            On::Test => Split::Test,
        };
        let model = match self.round {
            Some(bits) => rounded(run.model, bits)?,
            None => run.model,
        };
        let weights = match self.round {
            Some(bits) => format!("{} rounded to {bits} bits", run.weights),
            None => run.weights,
        };
        let found = evaluate(&run.data, split, &model, &run.device)?;
        if self.json {
            return print(&serde_json::to_string_pretty(&found)?);
        }
        print(&in_words(&found, &weights))
    }
}

fn in_words(found: &Evaluation, weights: &str) -> String {
    let part = match found.on {
        Split::Train => "training",
        Split::Validation => "validation",
        Split::Test => "test",
    };
    let mut parts = vec![format!("{} {}", found.measure, percent(found.accuracy))];
    parts.push(format!("loss {}", number(found.loss, 4)));
    parts.extend(found.scores.iter().map(|(name, score)| format!("{name} {}", number(*score, 3))));
    if let Some(error) = found.calibration_error {
        parts.push(format!("expected calibration error {}", percent(error)));
    }
    let mut text =
        format!("On {} {part} samples, with {weights}: {}", count(found.samples), parts.join(", "));
    let mut tables = Vec::new();
    if !found.classes.is_empty() {
        tables.extend([classes(found), confusion(found)]);
    }
    if !found.joints.is_empty() {
        tables.push(joints(found));
    }
    for table in tables {
        text.push_str("\n\n");
        text.push_str(&table);
    }
    text
}

/// A table whose numbers are at the right.
fn table(head: Vec<String>, rows: Vec<Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::UTF8_HORIZONTAL_ONLY);
    let columns = head.len();
    table.set_header(head);
    for row in rows {
        table.add_row(row);
    }
    for column in 1..columns {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.to_string()
}

fn classes(found: &Evaluation) -> String {
    let share = |value: Option<f64>| value.map_or_else(|| MISSING.to_owned(), percent);
    let row = |class: &lowland_tasks::evaluation::ClassFigures| {
        vec![
            class.class.clone(),
            count(class.samples),
            share(class.precision),
            share(class.recall),
            share(class.f1),
        ]
    };
    let head = ["class", "samples", "precision", "recall", "F1"].map(str::to_owned).to_vec();
    table(head, found.classes.iter().map(row).collect())
}

fn joints(found: &Evaluation) -> String {
    let row = |joint: &lowland_tasks::evaluation::JointFigures| {
        vec![joint.joint.clone(), count(joint.samples), percent(joint.pck)]
    };
    let head = ["joint", "people", "PCK@0.2"].map(str::to_owned).to_vec();
    table(head, found.joints.iter().map(row).collect())
}

/// The confusion matrix, or the largest confusions where there are many classes.
fn confusion(found: &Evaluation) -> String {
    let names = || found.classes.iter().map(|class| class.class.clone());
    if found.classes.len() <= MATRIX {
        let head = std::iter::once("is \\ answered".to_owned()).chain(names()).collect();
        let rows = names().zip(&found.confusion).map(|(name, row)| {
            std::iter::once(name).chain(row.iter().map(|samples| count(*samples))).collect()
        });
        return table(head, rows.collect());
    }
    let mut confusions: Vec<(usize, usize, usize)> = Vec::new();
    for (is, row) in found.confusion.iter().enumerate() {
        let others = row.iter().enumerate().filter(|(answer, n)| *answer != is && **n > 0);
        confusions.extend(others.map(|(answer, n)| (*n, is, answer)));
    }
    // Of equal ones in the order of the classes: the sort is stable.
    confusions.sort_by_key(|(samples, ..)| std::cmp::Reverse(*samples));
    let name = |class: usize| found.classes[class].class.clone();
    let rows = confusions.iter().take(LARGEST);
    let rows = rows.map(|(n, is, answer)| vec![name(*is), name(*answer), count(*n)]).collect();
    let head = ["is", "answered", "samples"].map(str::to_owned).to_vec();
    format!("The largest confusions; --json has all:\n{}", table(head, rows))
}
