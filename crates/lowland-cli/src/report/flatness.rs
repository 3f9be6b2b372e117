//! How flat the places are where runs ended.

use lowland_tasks::flatness::{Eigenvalue, Flatness, Measured};

use super::answer;
use super::chart::{ACROSS, Area, Chart, UPWARD};
use super::course::{Course, data, readouts, time_scale};
use super::figure::{Data, Entry, Figure, cell};
use super::numbers::{details, row};
use super::scale::Scale;
use crate::compare::summary::{AlgorithmSummary, Run, Summary, Uncertain};
use crate::{program, words};

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
        data: data(&courses, "place", "eigenvalue"),
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
        data: density_data(summary, &lines),
    })
}

fn density_data(summary: &Summary, lines: &[(usize, Vec<(f64, f64)>)]) -> Data {
    let mut data = Data::new(&["algorithm", "run", "eigenvalue", "density"]);
    for (run, (series, line)) in lines.iter().enumerate() {
        for &(value, power) in line {
            let label = summary.algorithms[*series].label.clone();
            let density = cell(Some(10_f64.powf(power)));
            data.push(vec![label, (run + 1).to_string(), cell(Some(value)), density]);
        }
    }
    data
}

/// The residual beyond which an eigenvalue is not to be relied on, as a share of its size.
const DOUBTFUL: f64 = 0.1;

/// What is not to be relied on, by what was measured, in words without a full stop: runs whose
/// largest eigenvalue has a residual above a tenth of it, and runs that are left out since they were
/// measured in another way.
pub(super) fn warnings(summary: &Summary) -> Vec<String> {
    let of = |algorithm: &AlgorithmSummary| {
        let doubtful = algorithm.finished().filter_map(|run| {
            let first = run.flatness.as_ref()?.eigenvalues.first()?;
            let share = first.residual / first.value.abs();
            // A share that is no number is of an eigenvalue of 0, which nothing is known of.
            let is_doubtful = share.is_nan() || share > DOUBTFUL;
            is_doubtful.then_some((run.seed, first.value, first.residual))
        });
        let doubtful: Vec<String> = doubtful
            .map(|(seed, value, residual)| {
                let (value, residual) =
                    (words::significant(value, 3), words::significant(residual, 2));
                format!("seed {seed} ({value} ± {residual})")
            })
            .collect();
        (!doubtful.is_empty()).then(|| {
            format!(
                "the largest eigenvalue of {} is known to no better than a tenth of it: {}; lowland \
                 sharpness measures a run more closely",
                algorithm.label,
                doubtful.join(", ")
            )
        })
    };
    let mut warnings: Vec<String> = summary.algorithms.iter().filter_map(of).collect();
    if !summary.measured_otherwise.is_empty() {
        let runs = summary.measured_otherwise.iter();
        let runs: Vec<String> = runs.map(|(label, seed)| format!("{label}, seed {seed}")).collect();
        warnings.push(format!(
            "the sharpness of some runs was measured on other samples or with other settings than \
             that of most and is left out: {}; {} with the same flags measures all alike",
            runs.join("; "),
            program::command("sharpness")
        ));
    }
    warnings
}

/// All that was measured, run by run, each number with its error; nothing where nothing was.
pub(super) fn numbers(summary: &Summary) -> String {
    let with_error = |value: f64, error: Option<f64>| {
        let value = words::significant(value, 3);
        match error {
            Some(error) => format!("{value} ± {}", words::significant(error, 2)),
            None => value,
        }
    };
    let or_missing = |text: Option<String>| text.unwrap_or_else(|| words::MISSING.into());
    let mean = |value: Measured| with_error(value.mean, value.standard_error);
    let mut rows = String::new();
    for algorithm in &summary.algorithms {
        let mut runs = 0;
        for run in algorithm.finished() {
            let Some(found) = &run.flatness else { continue };
            runs += 1;
            let eigenvalues: Vec<String> = found
                .eigenvalues
                .iter()
                .map(|one| with_error(one.value, Some(one.residual)))
                .collect();
            let cells = [
                run.seed.to_string(),
                or_missing((!eigenvalues.is_empty()).then(|| eigenvalues.join(", "))),
                or_missing(found.trace.map(mean)),
                or_missing(found.largest_rise.map(|rise| format!("≥ {}", mean(rise)))),
                or_missing(found.average_rise.map(mean)),
            ];
            rows.push_str(&row(&algorithm.label, &cells));
        }
        if runs > 1 {
            let uncertain = |one: Uncertain| with_error(one.mean, one.uncertainty);
            let cells = [
                format!("all {runs}"),
                format!("largest {}", answer::eigenvalue(algorithm)),
                or_missing(algorithm.trace.map(uncertain)),
                or_missing(algorithm.largest_rise.map(uncertain)),
                or_missing(algorithm.average_rise.map(uncertain)),
            ];
            rows.push_str(&row(&algorithm.label, &cells));
        }
    }
    if rows.is_empty() {
        return String::new();
    }
    let heads = [
        "algorithm",
        "seed",
        "eigenvalues of the Hessian (± residual)",
        "its trace (± standard error)",
        "largest rise found (a lower bound, ± standard error over the samples)",
        "average rise (± standard error over the directions)",
    ];
    let title = "Flatness in numbers (of all seeds: ± errors and deviation together)";
    details(title, &heads.map(str::to_owned), &rows)
}

fn measured(algorithm: &AlgorithmSummary) -> impl Iterator<Item = &Flatness> {
    algorithm.finished().filter_map(|run: &Run| run.flatness.as_ref())
}

#[cfg(test)]
mod tests {
    use lowland_tasks::flatness::{EvalSettings, FlatnessConfig};

    use super::*;
    use crate::compare::summary::fixture;

    fn found(value: f64, residual: f64) -> Flatness {
        Flatness {
            eval: EvalSettings::quick(),
            images: 500,
            subset: None,
            config: FlatnessConfig::quick(),
            loss: 0.5,
            eigenvalues: vec![Eigenvalue { value, residual }],
            converged: true,
            difference: None,
            trace: Some(Measured { mean: 40.0, standard_error: Some(2.0) }),
            layers: Vec::new(),
            density: Vec::new(),
            largest_rise: Some(Measured { mean: 0.31, standard_error: Some(0.04) }),
            average_rise: Some(Measured { mean: 0.02, standard_error: None }),
            adaptive_largest_rise: None,
            adaptive_average_rise: None,
            passes: 1.0,
            seconds: 1.0,
        }
    }

    #[test]
    fn a_run_that_was_measured_in_another_way_is_left_out_and_named() {
        let mut contenders = fixture::contenders(2, 4);
        for run in contenders.iter_mut().flat_map(|contender| &mut contender.runs) {
            run.flatness = Some(found(12.0, 0.1));
        }
        let closer = Flatness { config: FlatnessConfig::default(), ..found(50.0, 0.1) };
        contenders[1].runs[1].flatness = Some(closer);
        let summary = Summary::new(fixture::heading(), fixture::setting(), contenders);
        assert_eq!(summary.measured_otherwise, [("SAM".to_owned(), 1)]);
        let eigenvalue = summary.algorithms[1].largest_eigenvalue.unwrap();
        assert!((eigenvalue.mean - 12.0).abs() < 1e-12, "{eigenvalue:?}");
        let warnings = warnings(&summary);
        assert!(warnings.len() == 1 && warnings[0].contains("SAM, seed 1;"), "{warnings:?}");
    }

    #[test]
    fn every_number_has_its_error_and_large_residuals_are_named() {
        let mut contenders = fixture::contenders(2, 4);
        for (run, residual) in contenders[1].runs.iter_mut().zip([0.5, 2.0]) {
            run.flatness = Some(found(12.0, residual));
        }
        let summary = Summary::new(fixture::heading(), fixture::setting(), contenders);
        let warnings = warnings(&summary);
        assert_eq!(warnings.len(), 1);
        assert!(warnings[0].contains("of SAM is") && warnings[0].contains("seed 1 (12.0 ± 2.0)"));
        let page = numbers(&summary);
        for text in
            ["12.0\u{a0}±\u{a0}0.50", "40.0\u{a0}±\u{a0}2.0", "≥ 0.310\u{a0}±\u{a0}0.040", "all 2"]
        {
            assert!(page.contains(text), "{text} is not in {page}");
        }
        assert_eq!(numbers(&fixture::summary(2, 2)), "");
    }
}
