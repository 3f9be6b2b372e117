//! Which classes were taken for which.

use super::chart::{ACROSS, Area, Chart, SHADES, UPWARD};
use super::figure::{Data, Figure};
use super::scale::Scale;
use crate::compare::summary::{AlgorithmSummary, Confusion, Summary};
use crate::words::{self, counted, percent};

/// One figure for each algorithm, over all its runs.
pub(super) fn figures(summary: &Summary) -> Vec<Figure> {
    let of = |algorithm: &AlgorithmSummary| Some(figure(algorithm, &sum(algorithm)?, summary));
    summary.algorithms.iter().filter_map(of).collect()
}

/// The confusions of all runs of an algorithm; `None` where there are none.
fn sum(algorithm: &AlgorithmSummary) -> Option<Confusion> {
    let mut found = algorithm.finished().filter_map(|run| run.confusion.as_ref());
    let mut all = found.next()?.clone();
    for other in found.filter(|other| other.classes == all.classes) {
        for (row, more) in all.counts.iter_mut().zip(&other.counts) {
            row.iter_mut().zip(more).for_each(|(count, more)| *count += more);
        }
    }
    // Counts that a file holds may be of any shape.
    let side = all.classes.len();
    let is_square = all.counts.len() == side && all.counts.iter().all(|row| row.len() == side);
    (side > 1 && is_square).then_some(all)
}

fn figure(algorithm: &AlgorithmSummary, found: &Confusion, summary: &Summary) -> Figure {
    let side = found.classes.len();
    let half = |(low, high): (f64, f64)| (high - low) / (2.0 * side as f64);
    let inside = |ends: (f64, f64)| (ends.0 + half(ends), ends.1 - half(ends));
    // The first class on top.
    let x = Scale::counting(0, side - 1, inside(ACROSS), 20.0);
    let y = Scale::counting(0, side - 1, inside((UPWARD.1, UPWARD.0)), 20.0);
    let mut chart = Chart::new(x, y).x_ticks();
    let (width, height) = (2.0 * half(ACROSS), 2.0 * half((UPWARD.1, UPWARD.0)));
    let mut data = Data::new(&["true class", "predicted class", "samples"]);
    let mut worst: Option<(f64, usize, usize)> = None;
    for (row, counts) in found.counts.iter().enumerate() {
        let all: usize = counts.iter().sum();
        for (column, &count) in counts.iter().enumerate() {
            let share = if all > 0 { count as f64 / all as f64 } else { 0.0 };
            let (at, up) = (chart.x_at(column as f64), chart.y_at(row as f64));
            let area = Area { x: at - width / 2.0, y: up - height / 2.0, width, height, at };
            let (class, predicted) = (&found.classes[row], &found.classes[column]);
            let lines = [
                format!("{class} predicted as {predicted}"),
                format!("{}, {} of them", counted(count, "sample"), percent(share)),
            ];
            chart.cell(area, shade(share), &lines);
            if side <= 10 && count > 0 {
                let text = words::number(100.0 * share, 0);
                chart.text("inside", (at, up + 4.5), "middle", &text);
            }
            data.push(vec![class.clone(), predicted.clone(), count.to_string()]);
            if row != column && worst.is_none_or(|(most, ..)| share > most) {
                worst = Some((share, row, column));
            }
        }
    }
    let chart = chart.axis_names("predicted class", "true class");
    let classes: Vec<String> =
        found.classes.iter().enumerate().map(|(place, name)| format!("{place} {name}")).collect();
    let worst = worst.filter(|(share, ..)| *share > 0.0).map(|(share, row, column)| {
        format!(
            " Most often, {} of {} is predicted as {}.",
            percent(share),
            found.classes[row],
            found.classes[column]
        )
    });
    let title = format!("Confusion matrix of {}", algorithm.label);
    Figure {
        caption: format!(
            "The test {} of each true class by the class that they are predicted as, in percent of the \
             true class, over all runs.{} Classes: {}.",
            summary.setting.wording.samples,
            worst.unwrap_or_default(),
            classes.join(", ")
        ),
        legend: Vec::new(),
        picture: chart.finish(&title, "A square for each pair of classes."),
        title,
        data,
    }
}

/// The shade of a share. Squares that are seldom filled show, too.
fn shade(share: f64) -> usize {
    let level = share.clamp(0.0, 1.0).sqrt();
    (1..SHADES).rev().find(|shade| level >= *shade as f64 / SHADES as f64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::summary::fixture;

    #[test]
    fn confusions_of_all_runs_are_added() {
        let mut contenders = fixture::contenders(2, 2);
        let classes = ["shirt", "coat"].map(str::to_owned).to_vec();
        for run in &mut contenders[1].runs {
            let counts = vec![vec![8, 2], vec![1, 9]];
            run.confusion = Some(Confusion { classes: classes.clone(), counts });
        }
        contenders[2].runs[0].confusion = Some(Confusion { classes, counts: vec![vec![1]] });
        let summary = Summary::new(fixture::heading(), fixture::setting(), contenders);
        assert_eq!(sum(&summary.algorithms[1]).unwrap().counts, [[16, 4], [2, 18]]);
        let figures = figures(&summary);
        assert_eq!(figures.len(), 1, "one that is no square is left out");
        let html = figures[0].html();
        for text in ["20.0\u{a0}% of shirt is predicted as coat", "0 shirt, 1 coat", "shirt,coat,4"]
        {
            assert!(html.contains(text), "{text} is not in {html}");
        }
    }
}
