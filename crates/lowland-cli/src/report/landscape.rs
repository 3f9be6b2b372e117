//! Landscapes: planes as maps of the loss, lines as curves.

use super::chart::{ACROSS, Area, Chart, UPWARD};
use super::figure::{Entry, Figure};
use super::scale::Scale;
use crate::compare::landscapes::{Along, Landscapes, Sample, View};
use crate::words;

/// How many shades a map has.
const SHADES: usize = 12;

/// One figure for each plane, all with the same shades, or one for all lines.
pub(super) fn figures(landscapes: &Landscapes) -> Vec<Figure> {
    match landscapes.along {
        Along::Line => vec![lines(landscapes, false), lines(landscapes, true)],
        Along::Random | Along::Eigenvectors => {
            let shades = Shades::of(landscapes);
            landscapes.views.iter().map(|view| plane(view, landscapes.along, &shades)).collect()
        }
    }
}

/// The loss as one of some shades, by its logarithm.
struct Shades {
    low: f64,
    high: f64,
}

impl Shades {
    fn of(landscapes: &Landscapes) -> Self {
        let losses =
            || landscapes.views.iter().flat_map(|view| &view.points).filter_map(|p| p.loss);
        let positive = || losses().filter(|loss| *loss > 0.0);
        let low = positive().reduce(f64::min).unwrap_or(1.0);
        let high = positive().reduce(f64::max).unwrap_or(1.0).max(low * (1.0 + 1e-9));
        Self { low, high }
    }

    /// The shade of a loss; what is not finite has the last one.
    fn shade(&self, loss: Option<f64>) -> usize {
        let Some(loss) = loss else { return SHADES - 1 };
        let share = (loss.max(self.low) / self.low).ln() / (self.high / self.low).ln();
        // Small numbers: the loop is the rounding down.
        (1..SHADES).rev().find(|shade| share >= *shade as f64 / SHADES as f64).unwrap_or(0)
    }
}

fn plane(view: &View, along: Along, shades: &Shades) -> Figure {
    let coordinates = |axis: usize| -> Vec<f64> {
        let mut all: Vec<f64> =
            view.points.iter().filter_map(|point| point.at.get(axis).copied()).collect();
        all.sort_by(f64::total_cmp);
        all.dedup();
        all
    };
    let (xs, ys) = (coordinates(0), coordinates(1));
    let mut chart =
        Chart::new(Scale::around(&xs, ACROSS, 5.0), Scale::around(&ys, UPWARD, 5.0)).x_ticks();
    let names = match along {
        Along::Eigenvectors => ("along the first eigenvector", "along the second"),
        _ => ("along the first direction", "along the second"),
    };
    let (half_x, half_y) = (half_step(&xs), half_step(&ys));
    for Sample { at, loss, .. } in &view.points {
        let [x, y] = at[..] else { continue };
        let (left, right) = (chart.x_at(x - half_x), chart.x_at(x + half_x));
        let (bottom, top) = (chart.y_at(y - half_y), chart.y_at(y + half_y));
        let area =
            Area { x: left, y: top, width: right - left, height: bottom - top, at: chart.x_at(x) };
        let labelled = loss.map_or("loss not finite".into(), |loss| {
            format!("loss {}", words::significant(loss, 4))
        });
        let place = format!("{}, {}", words::number(x, 2), words::number(y, 2));
        chart.cell(area, shades.shade(*loss), &[place, labelled]);
    }
    let losses = || view.points.iter().filter_map(|point| point.loss);
    let least = losses().reduce(f64::min);
    let chart = chart.axis_names(names.0, names.1);
    let words_of = |loss: Option<f64>| {
        loss.map_or_else(|| words::MISSING.into(), |l| words::significant(l, 3))
    };
    let title = format!("The loss around {}", view.label);
    let picture = chart.finish(&title, "A map: the more colour, the higher the loss.");
    let eigenvalues = match &view.eigenvalues[..] {
        [] => String::new(),
        values => {
            let values: Vec<String> = values.iter().map(|v| words::significant(*v, 3)).collect();
            format!(" The eigenvalues along the axes are {}.", values.join(" and "))
        }
    };
    Figure {
        caption: format!(
            "The run is in the middle. The loss goes from {} to {} here. The more colour, the higher; shades stand for equal \
             factors, from {} to {}, the same in all maps beside this one.{eigenvalues}",
            words_of(least),
            words_of(losses().reduce(f64::max)),
            words::significant(shades.low, 3),
            words::significant(shades.high, 3),
        ),
        legend: Vec::new(),
        title,
        picture,
    }
}

fn half_step(values: &[f64]) -> f64 {
    match values {
        [first, second, ..] => (second - first) / 2.0,
        _ => 0.5,
    }
}

/// All lines in one figure: the loss, or the accuracy.
fn lines(landscapes: &Landscapes, accuracy: bool) -> Figure {
    let value = |point: &Sample| {
        let value = if accuracy { point.accuracy.map(|share| 100.0 * share) } else { point.loss };
        Some((*point.at.first()?, value?))
    };
    let series: Vec<Vec<(f64, f64)>> = landscapes
        .views
        .iter()
        .map(|view| view.points.iter().filter_map(value).collect())
        .collect();
    let all = || series.iter().flatten();
    let xs: Vec<f64> = all().map(|(x, _)| *x).collect();
    let ys: Vec<f64> = all().map(|(_, y)| *y).collect();
    let (title, axis) = if accuracy {
        ("The accuracy on straight lines between runs", "accuracy, %")
    } else {
        ("The loss on straight lines between runs", "loss")
    };
    let mut chart = Chart::new(Scale::around(&xs, ACROSS, 5.0), Scale::around(&ys, UPWARD, 5.0))
        .x_ticks()
        .axis_names("0: the first run, 1: the other", axis);
    let mut legend = Vec::new();
    let labelled = |value: f64| {
        if accuracy { words::percent(value / 100.0) } else { words::significant(value, 4) }
    };
    for (i, (points, view)) in series.iter().zip(&landscapes.views).enumerate() {
        chart.line(i, "line", points);
        for &(x, y) in points {
            let area = Area::around(chart.x_at(x), chart.y_at(y));
            chart.marker(i, x, y);
            chart.readout(
                area,
                &[i],
                &[format!("at {}", words::number(x, 2)), format!("{} {}", view.label, labelled(y))],
            );
        }
        let highest =
            points.iter().map(|(_, y)| *y).reduce(if accuracy { f64::min } else { f64::max });
        let what = if accuracy { "lowest" } else { "highest" };
        let value =
            highest.map_or_else(|| words::MISSING.into(), |y| format!("{what} {}", labelled(y)));
        legend.push(Entry { series: i, label: view.label.clone(), value });
    }
    let caption = "Weights and running statistics are mixed along the straight line. A hill between two runs says that \
                   they lie in different valleys.";
    let picture = chart.finish(title, "One line for each pair of runs.");
    Figure { title: title.into(), caption: caption.into(), legend, picture }
}
