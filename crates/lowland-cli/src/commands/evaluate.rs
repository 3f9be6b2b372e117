//! `lowland evaluate`: what a run's network makes of the data, class by class.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use lowland_tasks::evaluation::{Evaluation, evaluate};
use lowland_tasks::quantise::rounded;
use serde::Serialize;

use super::split::SplitArg;
use crate::layout::{self, Grid, WIDTH, wrapped_with_paths};
use crate::run::finished::{FinishedRun, OpenFlags};
use crate::terminal::print;
use crate::words::{MISSING, count, counted, number, percent, score};

/// The most classes whose confusions are printed as a matrix; of more, the largest confusions are.
const MATRIX: usize = 20;

/// How many confusions are named where there is no matrix.
const LARGEST: usize = 20;

/// Measure a run's network on its test samples, class by class
///
/// Loss and accuracy, precision, recall and F1 of each class, the confusion matrix and the expected
/// calibration error; for poses, how often each joint is found. With --on train and label noise,
/// the corrupted labels are used.
#[derive(Debug, Args)]
pub(crate) struct Evaluate {
    /// The folder of the run
    #[arg(value_name = "RUN")]
    run: PathBuf,
    #[command(flatten)]
    open: OpenFlags,
    /// Data split
    #[arg(long, value_name = "WHICH", default_value = "test")]
    on: SplitArg,
    /// Round the weights to so many bits first, 2 to 8, as they are: nothing is trained, and
    /// activations, biases and normalisation stay
    #[arg(long, value_name = "BITS", value_parser = clap::value_parser!(u8).range(2..=8))]
    round: Option<u8>,
    /// Print JSON instead of tables
    #[arg(long)]
    json: bool,
}

/// An evaluation as it is printed in JSON.
#[derive(Debug, Serialize)]
struct Json<'a> {
    #[serde(flatten)]
    found: &'a Evaluation,
    /// Which weights were measured, in words.
    weights: &'a str,
    /// How the data is not that which the run learned, in words.
    #[serde(rename = "data_differences", skip_serializing_if = "<[String]>::is_empty")]
    differences: &'a [String],
}

impl Evaluate {
    /// Measures and prints.
    ///
    /// # Errors
    /// A folder without a run, weights or data that are not there.
    pub(crate) fn run(self) -> Result<()> {
        let run = FinishedRun::open(&self.run, &self.open)?;
        let model = match self.round {
            Some(bits) => rounded(run.model, bits)?,
            None => run.model,
        };
        let weights = match self.round {
            Some(bits) => format!("{} rounded to {bits} bits", run.weights),
            None => run.weights,
        };
        let found = evaluate(&run.data, self.on.into(), &model, &run.device)?;
        if self.json {
            let json = Json { found: &found, weights: &weights, differences: &run.differences };
            return print(&serde_json::to_string_pretty(&json)?);
        }
        print(&in_words(&found, &weights, layout::width()))
    }
}

fn in_words(found: &Evaluation, weights: &str, width: usize) -> String {
    let mut parts = vec![format!("{} {}", found.measure, percent(found.accuracy))];
    parts.push(format!("loss {}", number(found.loss, 4)));
    let in_words = |(name, found): (&String, &f64)| format!("{name} {}", score(name, *found));
    parts.extend(found.scores.iter().map(in_words));
    if let Some(error) = found.calibration_error {
        parts.push(format!("expected calibration error {}", percent(error)));
    }
    let samples = counted(found.samples, &format!("{} sample", found.on.name()));
    let text = format!("On {samples}, with {weights}: {}", parts.join(", "));
    let mut text = wrapped_with_paths(&text, width.min(WIDTH));
    let mut tables = Vec::new();
    if !found.classes.is_empty() {
        tables.extend([classes(found).within(width), confusion(found, width)]);
    }
    if !found.joints.is_empty() {
        tables.push(joints(found).within(width));
    }
    for table in tables {
        text.push_str("\n\n");
        text.push_str(&table);
    }
    text
}

fn classes(found: &Evaluation) -> Grid {
    let share = |value: Option<f64>| value.map_or_else(|| MISSING.to_owned(), percent);
    let mut grid = Grid::new().words("class").numbers("samples");
    for head in ["precision", "recall", "F1"] {
        grid = grid.numbers(head);
    }
    for class in &found.classes {
        let shares = [class.precision, class.recall, class.f1].map(share);
        grid.push([class.class.clone(), count(class.samples)].into_iter().chain(shares));
    }
    grid
}

fn joints(found: &Evaluation) -> Grid {
    let mut grid = Grid::new().words("joint").numbers("people").numbers("PCK@0.2");
    for joint in &found.joints {
        grid.push([joint.joint.clone(), count(joint.samples), percent(joint.pck)]);
    }
    grid
}

/// The confusion matrix, or the largest confusions where there are many classes.
fn confusion(found: &Evaluation, width: usize) -> String {
    if found.classes.len() <= MATRIX {
        // Names above the columns make them wide: where the table would be parted, they have
        // numbers.
        let named = matrix(found, |_, name| [name.to_owned(), name.to_owned()]);
        let numbered =
            || matrix(found, |place, name| [format!("{place} {name}"), place.to_string()]);
        return named.in_one(width).unwrap_or_else(|| numbered().within(width));
    }
    let mut confusions: Vec<(usize, usize, usize)> = Vec::new();
    for (is, row) in found.confusion.iter().enumerate() {
        let others = row.iter().enumerate().filter(|(answer, n)| *answer != is && **n > 0);
        confusions.extend(others.map(|(answer, n)| (*n, is, answer)));
    }
    // Of equal ones in the order of the classes: the sort is stable.
    confusions.sort_by_key(|(samples, ..)| std::cmp::Reverse(*samples));
    let name = |class: usize| found.classes[class].class.clone();
    let mut grid = Grid::new().words("true").words("predicted").numbers("samples");
    for (n, is, answer) in confusions.iter().take(LARGEST) {
        grid.push([name(*is), name(*answer), count(*n)]);
    }
    format!("The largest confusions; --json has all:\n{}", grid.within(width))
}

/// The confusion matrix with the classes as `named`: at the left, and above.
fn matrix(found: &Evaluation, named: impl Fn(usize, &str) -> [String; 2]) -> Grid {
    let names = found.classes.iter().enumerate().map(|(place, class)| named(place, &class.class));
    let names: Vec<[String; 2]> = names.collect();
    let mut grid = Grid::new().words("true \\ predicted");
    for [_, above] in &names {
        grid = grid.numbers(above.clone());
    }
    for ([left, _], row) in names.into_iter().zip(&found.confusion) {
        grid.push(std::iter::once(left).chain(row.iter().map(|samples| count(*samples))));
    }
    grid
}

#[cfg(test)]
mod tests {
    use lowland_tasks::evaluation::ClassFigures;
    use lowland_tasks::task::Split;

    use super::*;

    /// An evaluation of so many classes with long names.
    fn evaluation(classes: usize) -> Evaluation {
        let class = |place: usize| ClassFigures {
            class: format!("a class with a name of many words, the one of number {place}"),
            samples: 1000,
            precision: Some(0.5),
            recall: None,
            f1: Some(1.0),
        };
        Evaluation {
            on: Split::Test,
            samples: 1000 * classes,
            measure: "accuracy".to_owned(),
            accuracy: 0.5,
            loss: 1.25,
            scores: std::collections::BTreeMap::new(),
            calibration_error: Some(0.01),
            classes: (0..classes).map(class).collect(),
            confusion: vec![vec![1000; classes]; classes],
            joints: Vec::new(),
        }
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        for classes in [2, 10, 20, 21] {
            for width in [40, 80, 120] {
                let text = in_words(&evaluation(classes), "the weights of epoch 3", width);
                let longest = text.lines().map(|line| line.chars().count()).max().unwrap();
                assert!(longest <= width, "{classes} classes, {width} columns:\n{text}");
                assert!(text.contains("1,000"), "{text}");
            }
        }
    }
}
