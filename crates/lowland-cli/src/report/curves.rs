//! Figures by epoch: accuracy and loss on validation or test samples, accuracy and loss of
//! training.

use super::chart::{Chart, UPWARD};
use super::course::{Course, data, readouts, time_scale};
use super::figure::Figure;
use super::markup::sentence;
use super::scale::Scale;
use crate::compare::summary::{AlgorithmSummary, EpochRecord, Run, Summary};
use crate::words;

/// Something measured once an epoch.
struct Quantity {
    /// With `PART` for the samples that are measured after each epoch, and `MEASURE` for the name
    /// of the share of right answers.
    axis: &'static str,
    caption: &'static str,
    value: fn(&EpochRecord) -> Option<f64>,
    words: fn(f64) -> String,
}

const ACCURACY: Quantity = Quantity {
    axis: "PART MEASURE, %",
    caption: "MEASURE on the PART samples after each epoch.",
    value: |record| Some(100.0 * record.measured_accuracy()?),
    words: |percent| words::percent(percent / 100.0),
};

const TRAINING_ACCURACY: Quantity = Quantity {
    axis: "training MEASURE, %",
    caption: "MEASURE after each epoch on at most 1,000 of the training samples, as they are \
              and with the labels that the network learned.",
    value: |record| Some(100.0 * record.train_accuracy?),
    words: |percent| words::percent(percent / 100.0),
};

const TRAINING_LOSS: Quantity = Quantity {
    axis: "training loss",
    caption: "Mean loss of each epoch's training steps, at the weights before the step.",
    value: |record| record.train_loss,
    words: |loss| words::number(loss, 3),
};

const TEST_LOSS: Quantity = Quantity {
    axis: "PART loss",
    caption: "Loss on the PART samples after each epoch. Where it rises while the training loss \
              falls, the network learns its training samples by heart.",
    value: |record| record.measured_loss(),
    words: |loss| words::number(loss, 3),
};

const LEARNING_RATE: Quantity = Quantity {
    axis: "learning rate",
    caption: "The learning rate of the last step of each epoch.",
    value: |record| Some(record.learning_rate),
    words: |rate| words::significant(rate, 3),
};

/// The learning rate by epoch; nothing where no epoch is done.
pub(super) fn learning_rate(summary: &Summary) -> Option<Figure> {
    let mut runs = summary.algorithms.iter().flat_map(AlgorithmSummary::finished);
    runs.any(|run| !run.epochs.is_empty()).then(|| by_epoch(summary, &LEARNING_RATE))
}

/// Accuracy by epoch, on validation or else on the test samples.
pub(super) fn accuracy(summary: &Summary) -> Figure {
    by_epoch(summary, &ACCURACY)
}

/// Accuracy on training samples by epoch; nothing where it was not measured.
pub(super) fn training_accuracy(summary: &Summary) -> Option<Figure> {
    let mut runs = summary.algorithms.iter().flat_map(|algorithm| &algorithm.runs);
    let is_known = runs.any(|run| run.epochs.iter().any(|epoch| epoch.train_accuracy.is_some()));
    is_known.then(|| by_epoch(summary, &TRAINING_ACCURACY))
}

/// Training loss by epoch.
pub(super) fn training_loss(summary: &Summary) -> Figure {
    by_epoch(summary, &TRAINING_LOSS)
}

/// Loss by epoch, on validation or else on the test samples.
pub(super) fn measured_loss(summary: &Summary) -> Figure {
    by_epoch(summary, &TEST_LOSS)
}

fn by_epoch(summary: &Summary, quantity: &Quantity) -> Figure {
    let setting = &summary.setting;
    let filled =
        |text: &str| text.replace("PART", setting.part()).replace("MEASURE", setting.measure());
    let axis = filled(quantity.axis);
    let title = sentence(&format!("{} by epoch", axis.trim_end_matches(", %")));
    let courses: Vec<Course<'_>> = summary
        .algorithms
        .iter()
        .enumerate()
        .map(|(series, algorithm)| {
            let line = |run: &Run| -> Vec<(usize, f64)> {
                let value = |record| Some((record, (quantity.value)(record)?));
                let values = run.epochs.iter().filter_map(value);
                values.map(|(record, value)| (record.epoch, value)).collect()
            };
            let lines: Vec<_> = algorithm.finished().map(line).collect();
            Course::of(series, &algorithm.label, &lines)
        })
        .collect();
    let edges: Vec<f64> = courses
        .iter()
        .flat_map(|course| course.moments.values().flat_map(|moment| [moment.low, moment.high]))
        .collect();
    let y = Scale::fitting(&edges, UPWARD, 5.0);
    let logarithmic = if y.is_logarithmic() { " The scale is logarithmic." } else { "" };
    let mut chart = Chart::new(time_scale(&courses, false), y).x_ticks().axis_names("epoch", &axis);
    for course in &courses {
        course.draw_band(&mut chart);
    }
    // Later lines are dashed and lie on top, so that both are seen where two coincide.
    for course in &courses {
        course.draw_line(&mut chart);
    }
    readouts(&mut chart, &courses, "epoch", quantity.words);
    let legend = courses.iter().map(|course| course.entry(quantity.words)).collect();
    let seeds = courses.iter().flat_map(|course| course.moments.values()).map(|at| at.runs).max();
    let band = if seeds.unwrap_or(0) > 1 {
        " Line: mean of the seeds; band: from the lowest to the highest seed."
    } else {
        ""
    };
    let left_out = if summary.algorithms.iter().any(|algorithm| algorithm.diverged() > 0) {
        " Diverged runs are left out."
    } else {
        ""
    };
    let ragged = if courses.iter().any(|course| course.is_ragged) {
        " Where seeds end after different numbers of epochs, the end of a line is the mean of those that \
         got so far; the number beside the name is the mean of all."
    } else {
        ""
    };
    let caption =
        format!("{}{logarithmic}{band}{ragged}{left_out}", sentence(&filled(quantity.caption)));
    let data = data(&courses, "epoch", &axis);
    let picture = chart.finish(&title, "One line for each algorithm.");
    Figure { title, caption, legend, picture, data }
}
