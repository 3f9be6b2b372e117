//! The key table: what each algorithm reached and what it cost.

use super::answer;
use super::chart;
use super::figure::swatch;
use super::flatness;
use super::markup::{escaped, joined, prose, sentence};
use super::numbers::divergence;
use crate::compare::statistics::median;
use crate::compare::summary::{
    AlgorithmSummary, Difference, Equivalence, Interval, Summary, Uncertain, Verdict,
};
use crate::words;

/// Width and height of the picture of an interval, in its own units.
const INTERVAL: (f64, f64) = (150.0, 22.0);

/// The same numbers as the terminal's table, with every seed in small print.
pub(super) fn table(summary: &Summary) -> String {
    let baseline = summary.baseline().map_or("the baseline", |baseline| &baseline.label);
    let reach = reach(summary);
    let mut heads = vec![
        "algorithm".into(),
        format!("final test {}", summary.setting.measure()),
        format!("difference to {baseline}, in points"),
        "passes per step".into(),
        format!("{}, {baseline} = 1", answer::time_of(&summary.setting)),
    ];
    let sharpness = summary.algorithms.iter().any(|a| a.largest_eigenvalue.is_some());
    if sharpness {
        heads.push("sharpness: largest eigenvalue (± residual and deviation), and rise".into());
    }
    let head = joined(
        heads
            .iter()
            .map(|head| format!(r#"<th scope="col" role="columnheader">{}</th>"#, prose(head))),
    );
    let rows = summary.algorithms.iter().enumerate().map(|(series, algorithm)| {
        let mut cells = vec![
            accuracy_cell(algorithm),
            difference_cell(series, algorithm, reach),
            passes_cell(algorithm),
            time_cell(algorithm),
        ];
        cells.extend(sharpness.then(|| sharpness_cell(algorithm)));
        let cells = cells.iter().zip(&heads[1..]).map(|(cell, head)| {
            format!(r#"<td role="cell" data-head="{}">{cell}</td>"#, prose(head))
        });
        format!(
            "<tr role=\"row\"><th scope=\"row\" role=\"rowheader\"><div class=\"named\">{}<span>{}</span></div>{}</th>{}</tr>\n",
            swatch(series),
            escaped(&algorithm.label),
            settings(algorithm),
            joined(cells)
        )
    });
    // The roles are those the elements have anyway; a browser drops them once a narrow page lays
    // the rows out as cards.
    format!(
        "<table class=\"key\" role=\"table\"><caption>{}</caption><thead role=\"rowgroup\"><tr role=\"row\">{head}</tr></thead>\
         <tbody role=\"rowgroup\">\n{}</tbody></table>\n{}{}",
        caption(summary),
        joined(rows),
        missing_note(summary),
        diverged_note(summary) + &doubt_note(summary)
    )
}

fn caption(summary: &Summary) -> String {
    let caption = if summary.algorithms.iter().any(|algorithm| algorithm.runs.len() > 1) {
        "Mean ± standard deviation over the seeds"
    } else {
        "One run of each algorithm"
    };
    let equal = summary.setting.held_equal();
    format!("{caption}{}", equal.map(|equal| format!(", with {equal}")).unwrap_or_default())
}

fn settings(algorithm: &AlgorithmSummary) -> String {
    if algorithm.settings.is_empty() {
        return String::new();
    }
    // A setting and its value stay on one line.
    let settings = algorithm.settings.iter().map(|(key, value)| format!("{key}\u{a0}{value}"));
    format!("<small>{}</small>", prose(&settings.collect::<Vec<_>>().join(", ")))
}

fn accuracy_cell(algorithm: &AlgorithmSummary) -> String {
    let mean =
        algorithm.accuracy.as_ref().map_or_else(|| words::MISSING.into(), answer::percent_spread);
    let runs: Vec<String> = algorithm
        .runs
        .iter()
        .map(|run| match run.final_accuracy {
            Some(share) => words::number(100.0 * share, 1),
            None => "diverged".into(),
        })
        .collect();
    let runs = if runs.is_empty() { words::MISSING.into() } else { runs.join(" · ") };
    format!("<b>{}</b><small>{}</small>", prose(&mean), prose(&runs))
}

fn difference_cell(series: usize, algorithm: &AlgorithmSummary, reach: f64) -> String {
    let Some(difference) = &algorithm.difference else {
        let why = if series == 0 { "the baseline" } else { "no finished pair of runs" };
        return format!("<span class=\"verdict\">{why}</span>");
    };
    let mean = words::points(difference.mean);
    let test = match (answer::interval(difference), difference.p_value) {
        (Some(interval), Some(p)) => {
            format!("95 %: {interval}, {}{}", words::p_value(p), corrected(difference))
        }
        _ => answer::untested(difference).into(),
    };
    let tone = match difference.verdict {
        Verdict::Superior => "better",
        Verdict::Inferior => "worse",
        Verdict::Equivalent => "same",
        Verdict::Undecided | Verdict::NotTested => "none",
    };
    let notes = [difference.equivalence.map(equivalence), answer::further_seeds(difference)];
    let notes = notes.into_iter().flatten().map(|note| format!("<small>{}</small>", prose(&note)));
    format!(
        "<b>{}</b> <span class=\"verdict {tone}\">{}</span>{}<small>{}</small>{}",
        prose(&mean),
        difference.verdict.words(),
        interval_picture(series, difference, reach),
        prose(&test),
        joined(notes)
    )
}

/// The p-value after Holm's correction, where that is another.
fn corrected(difference: &Difference) -> String {
    let changed = |&adjusted: &f64| difference.p_value.is_some_and(|p| adjusted > p);
    let adjusted = difference.adjusted_p_value.filter(changed);
    adjusted.map(|p| format!(", corrected {}", words::p_value(p))).unwrap_or_default()
}

/// The test of equivalence in words.
fn equivalence(found: Equivalence) -> String {
    let Interval { low, high } = found.interval;
    format!(
        "within {}: 90 % {} to {}, {}",
        answer::margin_points(found.margin),
        words::points(low),
        words::points(high),
        words::p_value(found.adjusted_p_value)
    )
}

fn sharpness_cell(algorithm: &AlgorithmSummary) -> String {
    let number = |found: Option<Uncertain>| {
        let Some(Uncertain { mean, uncertainty, .. }) = found else { return words::MISSING.into() };
        let mean = words::significant(mean, 3);
        match uncertainty {
            Some(error) => format!("{mean} ± {}", words::significant(error, 2)),
            None => mean,
        }
    };
    let rise = format!("rise {}", number(algorithm.largest_rise));
    format!("<b>{}</b><small>{}</small>", prose(&answer::eigenvalue(algorithm)), prose(&rise))
}

fn passes_cell(algorithm: &AlgorithmSummary) -> String {
    let passes =
        algorithm.passes_per_step.as_ref().map_or_else(|| words::MISSING.into(), answer::spread);
    format!("<b>{}</b>", prose(&passes))
}

fn time_cell(algorithm: &AlgorithmSummary) -> String {
    let ratio = algorithm.time_ratio.as_ref().map_or_else(|| words::MISSING.into(), answer::spread);
    let seconds: Vec<f64> = algorithm.finished().map(|run| run.training_seconds).collect();
    let training = median(&seconds)
        .map(|median| {
            // A number and its unit stay on a line.
            let median = words::duration(median).replace(' ', "\u{a0}");
            format!("<small>median run {}</small>", prose(&median))
        })
        .unwrap_or_default();
    format!("<b>{}</b>{training}", prose(&ratio))
}

/// How far from zero the intervals of all rows reach, so that they share a scale.
fn reach(summary: &Summary) -> f64 {
    let ends = summary.algorithms.iter().filter_map(|algorithm| algorithm.difference.as_ref());
    let ends = ends.flat_map(|difference| {
        let interval = difference.interval.map(|interval| [interval.low, interval.high]);
        interval.unwrap_or([difference.mean; 2])
    });
    ends.map(f64::abs).filter(|end| end.is_finite()).reduce(f64::max).unwrap_or(0.0)
}

/// The interval as a bar around its mean, with a line at zero.
fn interval_picture(series: usize, difference: &Difference, reach: f64) -> String {
    let (width, height) = INTERVAL;
    let half = width / 2.0;
    let at = |value: f64| half + if reach > 0.0 { value / reach * (half - 8.0) } else { 0.0 };
    let middle = height / 2.0;
    let class = chart::class(series);
    let bar = difference.interval.map(|interval| {
        let (left, right) = (at(interval.low), at(interval.high));
        format!(
            "<line class=\"whisker {class}\" x1=\"{left:.1}\" x2=\"{right:.1}\" y1=\"{middle}\" \
             y2=\"{middle}\"/>"
        )
    });
    format!(
        "<svg class=\"interval\" viewBox=\"0 0 {width} {height}\" aria-hidden=\"true\">\
         <line class=\"zero\" x1=\"{half}\" x2=\"{half}\" y1=\"0\" y2=\"{height}\"/>{}{}</svg>",
        bar.unwrap_or_default(),
        chart::marker(series, at(difference.mean), middle, 4.5)
    )
}

/// Which runs are not done; nothing if all are.
fn missing_note(summary: &Summary) -> String {
    answer::missing(summary).map_or_else(String::new, |missing| {
        format!("<p class=\"warning\"><b>Not done.</b> {}</p>\n", prose(&missing))
    })
}

/// Which measurements are not to be relied on; nothing if all are.
fn doubt_note(summary: &Summary) -> String {
    let warnings = flatness::warnings(summary).into_iter();
    joined(warnings.map(|warning| {
        format!("<p class=\"warning\"><b>Uncertain.</b> {}.</p>\n", prose(&sentence(&warning)))
    }))
}

/// What is known of the runs that diverged; nothing if none did.
fn diverged_note(summary: &Summary) -> String {
    let clauses: Vec<String> = summary
        .algorithms
        .iter()
        .filter_map(|algorithm| {
            let runs: Vec<String> = algorithm
                .runs
                .iter()
                .filter(|run| run.diverged())
                .map(|run| format!("seed {} {}", run.seed, divergence(run)))
                .collect();
            Some(format!("{}: {}", answer::diverged(algorithm)?, runs.join(", ")))
        })
        .collect();
    if clauses.is_empty() {
        return String::new();
    }
    let clauses = prose(&clauses.join(". "));
    format!(
        "<p class=\"warning\"><b>Diverged.</b> {clauses}. Their numbers stopped being finite, so \
         they have no accuracy; means, spreads and tests are over the other runs and flatter the \
         algorithm.</p>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::summary::{Missing, fixture};

    #[test]
    fn every_seed_is_in_the_key_table() {
        let summary = fixture::summary(3, 4);
        let html = table(&summary);
        for run in summary.algorithms.iter().flat_map(|algorithm| &algorithm.runs) {
            assert!(html.contains(&words::number(100.0 * run.final_accuracy.unwrap(), 1)));
        }
        assert!(!html.contains("Diverged."));
    }

    #[test]
    fn missing_runs_are_named() {
        let mut summary = fixture::summary(2, 2);
        summary.missing = vec![Missing { label: "SAM".into(), seed: 2, epochs: 0 }];
        let html = table(&summary);
        assert!(html.contains("<b>Not done.</b> 1 of 7 runs is missing: SAM seed 2."), "{html}");
    }

    #[test]
    fn a_diverged_run_is_named_with_its_epoch() {
        let mut contenders = fixture::contenders(3, 4);
        contenders[1].runs[2].epochs[1].train_loss = None;
        contenders[1].runs[2].final_accuracy = None;
        let summary = Summary::new(fixture::heading(), fixture::setting(), contenders);
        assert!(table(&summary).contains("1 of 3 SAM runs diverged: seed 2 diverged in epoch 2."));
    }
}
