//! The figure of how often an algorithm that chooses took the second gradient.

use super::chart::{Chart, UPWARD};
use super::course::{Course, data, readouts, time_scale};
use super::figure::{Entry, Figure};
use super::scale::Scale;
use crate::compare::statistics::mean;
use crate::compare::summary::{AlgorithmSummary, Run, SamplingPoint, Summary};
use crate::words;

/// The share of steps with a second gradient over time; `None` if no algorithm chooses.
pub(super) fn figure(summary: &Summary) -> Option<Figure> {
    let choosers: Vec<(usize, &AlgorithmSummary)> = summary
        .algorithms
        .iter()
        .enumerate()
        .filter(|(_, algorithm)| algorithm.runs.iter().any(chooses))
        .collect();
    let lines = |algorithm: &AlgorithmSummary| -> Vec<Vec<(usize, f64)>> {
        let points =
            |run: &Run| run.sampling.iter().map(|at| (at.step, 100.0 * at.share)).collect();
        algorithm.finished().map(points).collect()
    };
    let courses: Vec<Course<'_>> = choosers
        .iter()
        .map(|&(series, algorithm)| Course::of(series, &algorithm.label, &lines(algorithm)))
        .collect();
    if choosers.is_empty() {
        return None;
    }
    let y = Scale::around(&[0.0, 100.0], UPWARD, 5.0);
    let mut chart = Chart::new(time_scale(&courses, true), y)
        .x_ticks()
        .axis_names("step", "steps with a second gradient, %");
    let mut legend = Vec::new();
    for (course, &(series, algorithm)) in courses.iter().zip(&choosers) {
        for line in lines(algorithm) {
            let points: Vec<(f64, f64)> =
                line.into_iter().map(|(step, share)| (step as f64, share)).collect();
            chart.line(series, "thin", &points);
        }
        let shares: Vec<f64> = algorithm.finished().filter_map(average_share).collect();
        let average = mean(&shares);
        if let Some(average) = average {
            let level: Vec<(f64, f64)> =
                course.ends().map(|step| (step as f64, 100.0 * average)).collect();
            chart.line(series, "level", &level);
        }
        course.draw_line(&mut chart);
        let value = average.map_or_else(
            || words::MISSING.into(),
            |average| format!("{} of the steps on average", words::percent(average)),
        );
        legend.push(Entry { series, label: algorithm.label.clone(), value });
    }
    readouts(&mut chart, &courses, "up to step", |percent| words::percent(percent / 100.0));
    let title = match &courses[..] {
        [only] => format!("How often {} took the second gradient", only.label),
        _ => "How often the second gradient was taken".into(),
    };
    let caption = "Each point is the share among the steps since the point before. Strong line: \
                   mean of the seeds; thin lines: single seeds; level line: the average over the \
                   whole training, the warm-up included, in which ARSAM takes one at every step. SAM \
                   would be at 100 % all the time, SGD at 0 %.";
    let picture =
        chart.finish(&title, "Share of steps with a second gradient over training steps.");
    let data = data(&courses, "up to step", "steps with a second gradient, %");
    Some(Figure { title, caption: caption.into(), legend, picture, data })
}

/// Whether a run took the second gradient at some steps and not at others.
fn chooses(run: &Run) -> bool {
    let mut shares = run.sampling.iter().map(|point| point.share);
    let some = run.sampling.iter().any(|point| point.share > 0.0);
    some && shares.any(|share| share < 1.0)
}

/// A norm over time.
struct Norm {
    title: &'static str,
    axis: &'static str,
    caption: &'static str,
    value: fn(&SamplingPoint) -> Option<f64>,
}

/// The norm of the PSF over time, of all algorithms that take it at some steps; `None` if none
/// does.
pub(super) fn psf(summary: &Summary) -> Option<Figure> {
    let algorithms = || summary.algorithms.iter();
    let chooses = algorithms().any(|algorithm| algorithm.runs.iter().any(chooses));
    let norm = Norm {
        title: "The norm of the PSF",
        axis: "‖PSF‖",
        caption: "The PSF is what SAM's gradient has beyond the plain one; each point is the mean over the steps \
                  that took it since the point before.",
        value: |point| point.psf_norm,
    };
    chooses.then(|| over_steps(summary, &norm)).flatten()
}

/// The norm of the gradient over time; `None` where it was not measured.
pub(super) fn gradient_norm(summary: &Summary) -> Option<Figure> {
    let norm = Norm {
        title: "The norm of the gradient",
        axis: "‖g‖",
        caption: "Each point is the mean over the steps since the point before, at the weights before the step.",
        value: |point| point.gradient_norm,
    };
    over_steps(summary, &norm)
}

/// The length of the perturbation over time; `None` where no step perturbed its weights.
pub(super) fn radius(summary: &Summary) -> Option<Figure> {
    let norm = Norm {
        title: "The radius",
        axis: "‖e‖",
        caption: "The length of the perturbation: each point is the mean over the steps since the point before \
                  that took a gradient at perturbed weights.",
        value: |point| point.radius,
    };
    over_steps(summary, &norm)
}

fn over_steps(summary: &Summary, norm: &Norm) -> Option<Figure> {
    let courses: Vec<Course<'_>> = summary
        .algorithms
        .iter()
        .enumerate()
        .map(|(series, algorithm)| {
            let points = |run: &Run| {
                let point = |at: &SamplingPoint| Some((at.step, (norm.value)(at)?));
                run.sampling.iter().filter_map(point).collect()
            };
            let lines: Vec<_> = algorithm.finished().map(points).collect();
            Course::of(series, &algorithm.label, &lines)
        })
        .filter(|course| !course.moments.is_empty())
        .collect();
    if courses.is_empty() {
        return None;
    }
    let edges = courses.iter().flat_map(|course| course.moments.values());
    let edges: Vec<f64> = edges.flat_map(|moment| [moment.low, moment.high]).collect();
    let fitting = Scale::fitting(&edges, UPWARD, 5.0);
    let (y, logarithmic) = if fitting.is_logarithmic() {
        (fitting, " The scale is logarithmic.")
    } else {
        (Scale::around(&[&edges[..], &[0.0]].concat(), UPWARD, 5.0), "")
    };
    let mut chart =
        Chart::new(time_scale(&courses, true), y).x_ticks().axis_names("step", norm.axis);
    for course in &courses {
        course.draw_band(&mut chart);
    }
    for course in courses.iter().rev() {
        course.draw_line(&mut chart);
    }
    let words = |norm| words::significant(norm, 3);
    readouts(&mut chart, &courses, "up to step", words);
    let title = norm.title;
    Some(Figure {
        title: title.into(),
        caption: format!(
            "{}{logarithmic} Line: mean of the seeds; band: from the lowest to the highest.",
            norm.caption
        ),
        legend: courses.iter().map(|course| course.entry(words)).collect(),
        picture: chart.finish(title, "The norm over training steps."),
        data: data(&courses, "up to step", norm.axis),
    })
}

/// The share of all steps of a run that took a second gradient.
fn average_share(run: &Run) -> Option<f64> {
    let last = run.sampling.last()?.step;
    let starts = std::iter::once(0).chain(run.sampling.iter().map(|point| point.step));
    let taken: f64 = run
        .sampling
        .iter()
        .zip(starts)
        .map(|(SamplingPoint { step, share, .. }, start)| share * step.saturating_sub(start) as f64)
        .sum();
    Some(taken / last as f64).filter(|share| share.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::summary::fixture;

    #[test]
    fn the_average_share_weighs_stretches_by_their_steps() {
        let mut run = fixture::contenders(1, 1).remove(0).runs.remove(0);
        assert_eq!(average_share(&run), None);
        run.sampling = [(10, 1.0), (40, 0.2)]
            .map(|(step, share)| SamplingPoint {
                step,
                share,
                psf_norm: None,
                gradient_norm: None,
                radius: None,
            })
            .to_vec();
        assert!((average_share(&run).unwrap() - 0.4).abs() < 1e-12);
    }

    #[test]
    fn only_algorithms_that_choose_are_in_the_sampling_figure() {
        let summary = fixture::summary(3, 4);
        let found = figure(&summary).unwrap();
        assert_eq!(found.legend.len(), 1);
        assert_eq!(found.legend[0].label, "ARSAM");
        let contenders = fixture::contenders(3, 4).into_iter().take(2).collect();
        let without = Summary::new(fixture::heading(), fixture::setting(), contenders);
        assert!(figure(&without).is_none());
    }
}
