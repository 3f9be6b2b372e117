//! The tables that hold every number behind the figures.

use std::collections::BTreeSet;

use super::markup::{escaped, joined, prose};
use crate::compare::statistics::mean;
use crate::compare::summary::{AlgorithmSummary, EpochRecord, Run, Summary};
use crate::words;

/// Every run in numbers.
pub(super) fn runs(summary: &Summary) -> String {
    let all = summary.algorithms.iter().flat_map(|algorithm| &algorithm.runs);
    // What a task is measured by beside accuracy.
    let scores: BTreeSet<&String> = all.flat_map(|run| run.scores.keys()).collect();
    let rows = summary.algorithms.iter().flat_map(|algorithm| {
        algorithm.runs.iter().map(|run| {
            let accuracy = run.final_accuracy.map_or_else(|| divergence(run), words::percent);
            let mut cells = vec![run.seed.to_string(), accuracy];
            if summary.setting.validation_images > 0 {
                cells.push(best(run));
            }
            cells.extend(scores.iter().map(|name| {
                let score = run.scores.get(*name).map(|&score| words::score(name, score));
                score.unwrap_or_else(|| words::MISSING.into())
            }));
            cells.extend([
                words::number(run.passes(), 0),
                words::number(run.passes_per_step, 3),
                words::duration(run.seconds_per_step),
                words::duration(run.training_seconds),
            ]);
            row(&algorithm.label, &cells)
        })
    });
    let setting = &summary.setting;
    let mut heads = vec!["algorithm".into(), "seed".into(), format!("final {}", setting.measure())];
    if setting.validation_images > 0 {
        heads.push(format!("best validation {} (epoch)", setting.measure()));
    }
    heads.extend(scores.iter().map(|name| format!("final {name}")));
    heads.extend(["passes", "passes per step", "time per step", "training"].map(String::from));
    details("Every run in numbers", &heads, &joined(rows))
}

/// Every epoch in numbers, as means over the seeds.
pub(super) fn epochs(summary: &Summary) -> String {
    type Column = (String, fn(&EpochRecord) -> Option<f64>, fn(f64) -> String);
    let runs = || summary.algorithms.iter().flat_map(|algorithm| &algorithm.runs);
    let last = runs().flat_map(|run| &run.epochs).map(|record| record.epoch).max().unwrap_or(0);
    let shares_rate = (1..=last).all(|epoch| {
        let mut rates = runs().filter_map(|run| Some(at(run, epoch)?.learning_rate.to_bits()));
        rates.next().is_none_or(|first| rates.all(|rate| rate == first))
    });
    let (part, measure) = (summary.setting.part(), summary.setting.measure());
    let loss = |loss| words::number(loss, 3);
    let mut columns: Vec<Column> = vec![
        ("learning rate".into(), |record| Some(record.learning_rate), brief),
        (format!("{part} {measure}"), EpochRecord::measured_accuracy, words::percent),
        (format!("training {measure}"), |record| record.train_accuracy, words::percent),
        ("training loss".into(), |record| record.train_loss, loss),
        (format!("{part} loss"), EpochRecord::measured_loss, loss),
    ];
    if runs().flat_map(|run| &run.epochs).all(|record| record.train_accuracy.is_none()) {
        columns.remove(2);
    }
    // Where it is the same for all, it is said once.
    let (mut heads, columns) = if shares_rate {
        (vec!["epoch".to_string(), "learning rate".into()], &columns[1..])
    } else {
        (vec!["epoch".to_string()], &columns[..])
    };
    for (name, ..) in columns {
        let named = |algorithm: &AlgorithmSummary| format!("{name}, {}", algorithm.label);
        heads.extend(summary.algorithms.iter().map(named));
    }
    let rows = (1..=last).map(|epoch| {
        let rate = runs().find_map(|run| at(run, epoch)).map(|record| brief(record.learning_rate));
        let rate = rate.unwrap_or_else(|| words::MISSING.into());
        let mut cells = if shares_rate { vec![rate] } else { Vec::new() };
        for (_, value, words) in columns {
            cells.extend(summary.algorithms.iter().map(|algorithm| {
                let values: Vec<f64> =
                    algorithm.finished().filter_map(|run| value(at(run, epoch)?)).collect();
                mean(&values).map_or_else(|| words::MISSING.into(), words)
            }));
        }
        row(&epoch.to_string(), &cells)
    });
    details("Every epoch in numbers (means over the seeds)", &heads, &joined(rows))
}

fn at(run: &Run, epoch: usize) -> Option<&EpochRecord> {
    run.epochs.iter().find(|record| record.epoch == epoch)
}

/// A small positive number with three digits that count.
pub(super) fn brief(value: f64) -> String {
    if value == 0.0 {
        return "0".into();
    }
    let digits = (2.0 - value.abs().log10().floor()).clamp(0.0, 8.0);
    let decimals = (0..=8).rev().find(|decimals| f64::from(*decimals) <= digits).unwrap_or(0);
    let text = words::number(value, usize::try_from(decimals).unwrap_or(0));
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').into() } else { text }
}

/// A table that is opened when it is wanted.
pub(super) fn details(title: &str, heads: &[String], rows: &str) -> String {
    let head = joined(heads.iter().map(|head| format!("<th scope=\"col\">{}</th>", prose(head))));
    let title = prose(title);
    format!(
        "<details><summary>{title}</summary><div class=\"wide\" tabindex=\"0\" role=\"region\" \
         aria-label=\"{title}\"><table class=\"numbers\"><thead><tr>{head}</tr></thead>\
         <tbody>\n{rows}</tbody></table></div></details>\n"
    )
}

/// A row of it, with the name of an algorithm.
pub(super) fn row(head: &str, cells: &[String]) -> String {
    let cells = joined(cells.iter().map(|cell| format!("<td>{}</td>", prose(cell))));
    format!("<tr><th scope=\"row\">{}</th>{cells}</tr>\n", escaped(head))
}

/// The highest accuracy on validation, and the epoch whose weights were tested for it.
fn best(run: &Run) -> String {
    match (run.best_accuracy, run.best_epoch) {
        (Some(accuracy), Some(epoch)) => format!("{} ({epoch})", words::percent(accuracy)),
        _ => words::MISSING.into(),
    }
}

/// What a run that diverged has instead of an accuracy.
pub(super) fn divergence(run: &Run) -> String {
    run.diverged_in_epoch()
        .map_or_else(|| "diverged".into(), |epoch| format!("diverged in epoch {epoch}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_numbers_are_brief() {
        assert_eq!(
            [0.0, 0.05, 0.0005, 0.048_907, 1.0, 128.0].map(brief),
            ["0", "0.05", "0.0005", "0.0489", "1", "128"]
        );
    }
}
