//! How flat the places are where runs ended.

use lowland_tasks::flatness::{Eigenvalue, Flatness};

use super::answer;
use super::chart::{ACROSS, Area, Chart, UPWARD};
use super::course::{Course, readouts, time_scale};
use super::figure::{Entry, Figure};
use super::scale::Scale;
use crate::compare::summary::{AlgorithmSummary, Run, Summary};
use crate::words;

/// The largest eigenvalues of the Hessian, of all algorithms where they were measured.
pub(super) fn eigenvalues(summary: &Summary) -> Option<Figure> {
    let courses: Vec<Course<'_>> = summary
        .algorithms
        .iter()
        .enumerate()
        .map(|(series, algorithm)| {
            let line = |found: &Flatness| {
                let pair = |(i, eigenvalue): (usize, &Eigenvalue)| (i + 1, eigenvalue.value);
                found.eigenvalues.iter().enumerate().map(pair).collect()
            };
            let lines: Vec<_> = measured(algorithm).map(line).collect();
            Course::of(series, &algorithm.label, &lines)
        })
        .filter(|course| !course.moments.is_empty())
        .collect();
    if courses.is_empty() {
        return None;
    }
    let edges = courses.iter().flat_map(|course| course.moments.values());
    let edges: Vec<f64> = edges.flat_map(|moment| [0.0, moment.low, moment.high]).collect();
    let y = Scale::around(&edges, UPWARD, 5.0);
    let mut chart =
        Chart::new(time_scale(&courses, false), y).x_ticks().axis_names("place", "eigenvalue");
    for course in &courses {
        course.draw_band(&mut chart);
    }
    for course in courses.iter().rev() {
        course.draw_line(&mut chart);
    }
    let words = |value| words::significant(value, 3);
    readouts(&mut chart, &courses, "eigenvalue", words);
    let entry = |(series, algorithm): (usize, &AlgorithmSummary)| {
        algorithm.largest_eigenvalue?;
        let value = format!("largest {}", answer::eigenvalue(algorithm));
        Some(Entry { series, label: algorithm.label.clone(), value })
    };
    let title = "The largest eigenvalues of the Hessian";
    Some(Figure {
        title: title.into(),
        caption: "The curvature of the loss in the directions in which it curves most, at the end of training: the \
                  lower, the flatter. Line: mean of the runs; band: from the lowest to the highest."
            .into(),
        legend: summary.algorithms.iter().enumerate().filter_map(entry).collect(),
        picture: chart.finish(title, "Eigenvalues by their place."),
    })
}

/// Every which point of a density's curve shows its value.
const TOLD_EVERY: usize = 10;

/// The density of the Hessian's eigenvalues, one line a run where it was measured.
pub(super) fn density(summary: &Summary) -> Option<Figure> {
    // Peaks are ten thousand times as high as what lies between them.
    let log = |(value, density): &(f64, f64)| (*density > 1e-6).then(|| (*value, density.log10()));
    let mut lines = Vec::new();
    for (series, algorithm) in summary.algorithms.iter().enumerate() {
        for found in measured(algorithm).filter(|found| !found.density.is_empty()) {
            lines.push((series, found.density.iter().filter_map(log).collect::<Vec<_>>()));
        }
    }
    if lines.is_empty() {
        return None;
    }
    let all = || lines.iter().flat_map(|(_, line)| line);
    let xs: Vec<f64> = all().map(|(x, _)| *x).collect();
    let ys: Vec<f64> = all().map(|(_, y)| *y).collect();
    let mut chart = Chart::new(Scale::around(&xs, ACROSS, 6.0), Scale::around(&ys, UPWARD, 5.0))
        .x_ticks()
        .axis_names("eigenvalue", "density, power of ten");
    for (series, line) in &lines {
        chart.line(*series, "line", line);
    }
    for (series, line) in &lines {
        let label = &summary.algorithms[*series].label;
        for &(value, power) in line.iter().step_by(TOLD_EVERY) {
            let near = format!("eigenvalues near {}", words::significant(value, 3));
            let density = words::significant(10_f64.powf(power), 2);
            let area = Area::around(chart.x_at(value), chart.y_at(power));
            chart.readout(area, &[*series], &[near, format!("{label} {density}")]);
        }
    }
    let title = "The spectrum of the Hessian";
    let entry = |(series, algorithm): (usize, &AlgorithmSummary)| {
        let drawn = lines.iter().filter(|(s, _)| *s == series).count();
        let value = words::counted(drawn, "run");
        (drawn > 0).then(|| Entry { series, label: algorithm.label.clone(), value })
    };
    Some(Figure {
        title: title.into(),
        caption: "How densely eigenvalues lie, by stochastic Lanczos quadrature. Nearly all lie close to 0; what \
                  reaches far to the right is sharp."
            .into(),
        legend: summary.algorithms.iter().enumerate().filter_map(entry).collect(),
        picture: chart.finish(title, "Density over eigenvalues."),
    })
}

fn measured(algorithm: &AlgorithmSummary) -> impl Iterator<Item = &Flatness> {
    algorithm.finished().filter_map(|run: &Run| run.flatness.as_ref())
}
