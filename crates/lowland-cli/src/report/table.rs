//! The comparison as a table on the terminal.

use super::{answer, flatness, searched};
use crate::compare::summary::{AlgorithmSummary, Equivalence, Summary, Verdict};
use crate::layout::{Grid, WIDTH, wrapped};
use crate::words;

/// What the last column shows.
const SHARPNESS_NOTE: &str = "Sharpness: the largest eigenvalue of the Hessian, lower is flatter; \
                              ± is its measured residual together with the deviation over seeds.";

/// The comparison as a table of lines of at most `width` characters, and under it the answer in one
/// sentence.
pub(crate) fn table(summary: &Summary, width: usize) -> String {
    let Some(found) = &summary.searched else { return of_comparison(summary, width) };
    let search = searched::table(found, summary.setting.measure(), width);
    let answer = wrapped(&searched::answer(found, summary), width.min(WIDTH));
    let tested = match found.outcome {
        Some(_) if !found.gains.is_empty() => {
            format!("\nThe test samples, measured once:\n{}", of_comparison(summary, width))
        }
        _ => String::new(),
    };
    format!("{search}\n\n{answer}\n{tested}")
}

fn of_comparison(summary: &Summary, width: usize) -> String {
    let sentence = |text: &str| format!("\n{}\n", wrapped(text, width.min(WIDTH)));
    let table = grid(summary).within(width);
    let note = if has_sharpness(summary) { sentence(SHARPNESS_NOTE) } else { String::new() };
    let warnings = flatness::warnings(summary).into_iter();
    let warnings: String =
        warnings.map(|warning| sentence(&format!("Warning: {warning}."))).collect();
    let missing = answer::missing(summary).map(|missing| sentence(&missing)).unwrap_or_default();
    let margin = margin(summary).map(|margin| sentence(&margin)).unwrap_or_default();
    format!("{table}\n{note}{margin}{warnings}{missing}{}", sentence(&answer::answer(summary)))
}

/// What the tests of equivalence found; `None` where no margin was stated, and where none could be
/// made.
fn margin(summary: &Summary) -> Option<String> {
    let baseline = &summary.baseline()?.label;
    let tested = summary.algorithms.iter().filter_map(|algorithm| {
        let difference = algorithm.difference.as_ref()?;
        Some((&algorithm.label, difference.is_within_margin(), difference.equivalence?))
    });
    let found: Vec<String> = tested
        .map(|(label, is_within, Equivalence { interval, margin, .. })| {
            let [low, high] = [interval.low, interval.high].map(words::points);
            let shown = if is_within { "shown" } else { "not shown" };
            let by_itself = !is_within && interval.low > -margin && interval.high < margin;
            let corrected = if by_itself { ", not after Holm's correction" } else { "" };
            format!("{label} {shown} (90 % interval {low} to {high}{corrected})")
        })
        .collect();
    let margin = answer::margin_points(summary.setting.margin?);
    (!found.is_empty())
        .then(|| format!("Equivalent to {baseline} within {margin}: {}.", found.join("; ")))
}

fn has_sharpness(summary: &Summary) -> bool {
    summary.algorithms.iter().any(|algorithm| algorithm.largest_eigenvalue.is_some())
}

/// An entry for each algorithm.
fn grid(summary: &Summary) -> Grid {
    let baseline = summary.baseline().map_or("baseline", |baseline| &baseline.label);
    let measure = summary.setting.measure();
    let time = answer::time_of(&summary.setting);
    let mut grid = Grid::new()
        .words("algorithm")
        .words(format!("test\n{measure}"))
        .words(format!("difference to {baseline}\nin points (95 %)"))
        .called("difference to the first, in points (95 %)")
        .numbers("passes\n/ step")
        .called("passes per step")
        .numbers(format!("{time},\n{baseline} = 1"))
        .called(format!("{time}, the first = 1"));
    if has_sharpness(summary) {
        grid = grid.numbers("sharp-\nness").called("sharpness");
    }
    let or_missing = |text: Option<String>| text.unwrap_or_else(|| words::MISSING.into());
    for algorithm in &summary.algorithms {
        let mut cells = vec![
            algorithm.label.clone(),
            accuracy(algorithm),
            difference(algorithm),
            or_missing(algorithm.passes_per_step.as_ref().map(answer::spread)),
            or_missing(algorithm.time_ratio.as_ref().map(answer::spread)),
        ];
        if has_sharpness(summary) {
            cells.push(answer::eigenvalue(algorithm).replacen(' ', "\n", 1));
        }
        grid.push(cells);
    }
    grid
}

fn accuracy(algorithm: &AlgorithmSummary) -> String {
    let mean = algorithm.accuracy.as_ref().map(answer::percent_spread);
    let diverged = match algorithm.diverged() {
        0 => None,
        diverged => Some(format!("{diverged} of {} diverged", algorithm.runs.len())),
    };
    let lines: Vec<String> = mean.into_iter().chain(diverged).collect();
    if lines.is_empty() { words::MISSING.into() } else { lines.join("\n") }
}

fn difference(algorithm: &AlgorithmSummary) -> String {
    let Some(difference) = &algorithm.difference else { return words::MISSING.into() };
    let mean = words::points(difference.mean);
    let verdict = match difference.verdict {
        verdict @ (Verdict::Superior | Verdict::Inferior) if difference.is_within_margin() => {
            format!("{}, within margin", verdict.words())
        }
        verdict => verdict.words().to_owned(),
    };
    match answer::interval(difference) {
        Some(interval) => format!("{mean} ({interval})\n{verdict}"),
        None => format!("{mean}\n{verdict}"),
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::compare::summary::{Missing, Setting, Spread, fixture};

    #[test]
    fn tests_of_equivalence_are_named_whatever_they_found() {
        let with_margin = |margin| {
            let setting = Setting { margin, ..fixture::setting() };
            Summary::new(fixture::heading(), setting, fixture::contenders(3, 4))
        };
        assert_eq!(margin(&with_margin(None)), None);
        let wide = margin(&with_margin(Some(0.5))).unwrap();
        let narrow = margin(&with_margin(Some(0.001))).unwrap();
        assert!(wide.starts_with("Equivalent to SGD within 50 points: SAM shown (90 %"), "{wide}");
        assert!(narrow.contains("0.1 points: SAM not shown (90 % interval "), "{narrow}");
    }

    #[test]
    fn three_algorithms_over_three_seeds() {
        let mut summary = fixture::summary(3, 15);
        for (algorithm, mean) in summary.algorithms.iter_mut().zip([12.34, 6.0]) {
            algorithm.largest_eigenvalue = Some(Spread { mean, deviation: 0.5, count: 3 });
        }
        assert_snapshot!(table(&summary, WIDTH), @r"
        ────────────────────────────────────────────────────────────────────────────
         algorithm   test           difference to SGD     passes     time,   sharp-
                     accuracy       in points (95 %)      / step   SGD = 1     ness
        ════════════════════════════════════════════════════════════════════════════
         SGD         79.2 % ± 1.0   –                       1.00      1.00     12.3
                                                                             ± 0.50
        ────────────────────────────────────────────────────────────────────────────
         SAM         81.4 % ± 0.8   +2.2 (+1.3 to +3.1)     2.00      2.03     6.00
                                    superior                                 ± 0.50
        ────────────────────────────────────────────────────────────────────────────
         ARSAM       80.6 % ± 1.0   +1.4 (−1.0 to +3.8)     1.52      1.57        –
                                    undecided
        ────────────────────────────────────────────────────────────────────────────

        Sharpness: the largest eigenvalue of the Hessian, lower is flatter; ± is its
        measured residual together with the deviation over seeds.

        SAM reached 81.4 %, 2.2 points above SGD's 79.2 % (95 % interval +1.3 to +3.1, 3
        seeds), at 2.00 passes per step and 2.03 times SGD's time; ARSAM reached 80.6 %
        beside SGD's 79.2 %, undecided with 3 seeds (+1.4 points, 95 % interval −1.0 to
        +3.8; about 5 more seeds would probably decide), at 1.52 passes per step and
        1.57 times SGD's time.
        ");
    }

    #[test]
    fn deviations_move_below_their_means_before_the_table_changes_its_shape() {
        let mut summary = fixture::summary(3, 15);
        for algorithm in &mut summary.algorithms {
            let wide = Some(Spread { mean: 10.25, deviation: 0.5, count: 3 });
            (algorithm.time_ratio, algorithm.passes_per_step) = (wide, wide);
            algorithm.largest_eigenvalue = wide;
        }
        let table = table(&summary, WIDTH);
        assert!(table.lines().all(|line| line.chars().count() <= WIDTH), "{table}");
        assert!(table.contains(" algorithm ") && !table.contains("10.25 ± 0.50"), "{table}");
    }

    #[test]
    fn long_names_change_the_shape_of_the_table() {
        let mut summary = fixture::summary(3, 15);
        for algorithm in &mut summary.algorithms {
            algorithm.label = format!(
                "{} controller.warmup.steps=5 lr=0.1 schedule.periodic.k=3",
                algorithm.label
            );
            algorithm.largest_eigenvalue = Some(Spread { mean: 6.0, deviation: 0.5, count: 3 });
        }
        let table = table(&summary, WIDTH);
        assert!(table.lines().all(|line| line.chars().count() <= WIDTH), "{table}");
        assert_snapshot!(table, @r"
        ────────────────────────────────────────────────────────────────────────────────
        SGD controller.warmup.steps=5 lr=0.1 schedule.periodic.k=3
          test accuracy: 79.2 % ± 1.0
          difference to the first, in points (95 %): –
          passes per step: 1.00
          time, the first = 1: 1.00
          sharpness: 6.00 ± 0.50
        ────────────────────────────────────────────────────────────────────────────────
        SAM controller.warmup.steps=5 lr=0.1 schedule.periodic.k=3
          test accuracy: 81.4 % ± 0.8
          difference to the first, in points (95 %): +2.2 (+1.3 to +3.1), superior
          passes per step: 2.00
          time, the first = 1: 2.03
          sharpness: 6.00 ± 0.50
        ────────────────────────────────────────────────────────────────────────────────
        ARSAM controller.warmup.steps=5 lr=0.1 schedule.periodic.k=3
          test accuracy: 80.6 % ± 1.0
          difference to the first, in points (95 %): +1.4 (−1.0 to +3.8), undecided
          passes per step: 1.52
          time, the first = 1: 1.57
          sharpness: 6.00 ± 0.50
        ────────────────────────────────────────────────────────────────────────────────

        Sharpness: the largest eigenvalue of the Hessian, lower is flatter; ± is its
        measured residual together with the deviation over seeds.

        SAM controller.warmup.steps=5 lr=0.1 schedule.periodic.k=3 reached 81.4 %, 2.2
        points above SGD controller.warmup.steps=5 lr=0.1 schedule.periodic.k=3's 79.2 %
        (95 % interval +1.3 to +3.1, 3 seeds), at 2.00 passes per step and 2.03 times
        SGD controller.warmup.steps=5 lr=0.1 schedule.periodic.k=3's time; ARSAM
        controller.warmup.steps=5 lr=0.1 schedule.periodic.k=3 reached 80.6 % beside SGD
        controller.warmup.steps=5 lr=0.1 schedule.periodic.k=3's 79.2 %, undecided with
        3 seeds (+1.4 points, 95 % interval −1.0 to +3.8; about 5 more seeds would
        probably decide), at 1.52 passes per step and 1.57 times SGD
        controller.warmup.steps=5 lr=0.1 schedule.periodic.k=3's time.
        ");
        summary.algorithms[0].label = "x".repeat(200);
        let table = super::table(&summary, WIDTH);
        assert!(table.lines().all(|line| line.chars().count() <= WIDTH), "{table}");
    }

    #[test]
    fn one_seed_and_a_diverged_algorithm() {
        let mut contenders = fixture::contenders(1, 2);
        contenders[2].runs[0].final_accuracy = None;
        let mut summary = Summary::new(fixture::heading(), fixture::setting(), contenders);
        summary.missing = vec![Missing { label: "SAM".into(), seed: 1, epochs: 2 }];
        assert_snapshot!(table(&summary, WIDTH), @r"
        ────────────────────────────────────────────────────────────────────
         algorithm   test              difference to SGD   passes     time,
                     accuracy          in points (95 %)    / step   SGD = 1
        ════════════════════════════════════════════════════════════════════
         SGD         67.5 %            –                     1.00      1.00
        ────────────────────────────────────────────────────────────────────
         SAM         69.8 %            +2.2                  2.00      2.03
                                       not tested
        ────────────────────────────────────────────────────────────────────
         ARSAM       1 of 1 diverged   –                        –         –
        ────────────────────────────────────────────────────────────────────

        1 of 4 runs is missing: SAM seed 1 (2 epochs done). lowland resume trains what
        is missing.

        SAM reached 69.8 % beside SGD's 67.5 %, not tested (+2.2 points; one seed allows
        no test), at 2.00 passes per step and 2.03 times SGD's time; ARSAM diverged on
        every seed.
        ");
    }
}
