//! Landscapes: planes as maps of the loss, lines as curves.

use super::chart::{ACROSS, Area, Chart, SHADES, UPWARD};
use super::figure::{Data, Entry, Figure, cell};
use super::markup::sentence;
use super::scale::Scale;
use crate::compare::landscapes::{Along, Landscapes, Sample, View};
use crate::words;

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

    /// The loss at which a shade begins; beyond the last, the highest loss.
    fn start(&self, shade: usize) -> f64 {
        self.low * (self.high / self.low).powf(shade as f64 / SHADES as f64)
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
    for line in contours(&xs, &ys, &view.points, shades) {
        chart.line(0, "contour", &line);
    }
    let mut chart = chart.axis_names(names.0, names.1);
    colour_bar(&mut chart, shades);
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
             factors, the same in all maps beside this one, and lines part them.{eigenvalues}",
            words_of(least),
            words_of(losses().reduce(f64::max)),
        ),
        legend: Vec::new(),
        title,
        picture,
        data: plane_data(view),
    }
}

fn plane_data(view: &View) -> Data {
    let mut data = Data::new(&["first direction", "second direction", "loss"]);
    for Sample { at, loss, .. } in &view.points {
        if let [x, y] = at[..] {
            data.push(vec![cell(Some(x)), cell(Some(y)), cell(*loss)]);
        }
    }
    data
}

/// Where the bar of shades stands, across and upward.
const BAR: (f64, f64) = (ACROSS.1 - 190.0, ACROSS.1);

/// The shades with the losses that they begin and end at, above the map.
fn colour_bar(chart: &mut Chart, shades: &Shades) {
    let width = (BAR.1 - BAR.0) / SHADES as f64;
    let range = |shade: usize| {
        let end = |place: usize| words::significant(shades.start(place), 3);
        format!("loss {} to {}", end(shade), end(shade + 1))
    };
    for shade in 0..SHADES {
        let x = BAR.0 + width * shade as f64;
        let area = Area { x, y: 18.0, width, height: 9.0, at: x };
        chart.cell(area, shade, &[range(shade)]);
    }
    for (place, anchor) in [(0, "start"), (SHADES / 2, "middle"), (SHADES, "end")] {
        let x = BAR.0 + width * place as f64;
        chart.text("tick", (x, 14.0), anchor, &words::significant(shades.start(place), 2));
    }
}

/// The lines between shades: marching squares over the logarithms of the losses, in each square of
/// four points the piece of each line. A square with a loss that is not finite has none.
fn contours(xs: &[f64], ys: &[f64], points: &[Sample], shades: &Shades) -> Vec<Vec<(f64, f64)>> {
    let log = |loss: f64| loss.max(shades.low).ln();
    let loss_at = |x: f64, y: f64| {
        let here = |point: &&Sample| matches!(point.at[..], [a, b] if a.total_cmp(&x).is_eq() && b.total_cmp(&y).is_eq());
        points.iter().find(here).and_then(|point| point.loss).map(log)
    };
    let grid: Vec<Vec<Option<f64>>> =
        ys.iter().map(|&y| xs.iter().map(|&x| loss_at(x, y)).collect()).collect();
    let mut lines = Vec::new();
    for (row, pair) in ys.windows(2).enumerate() {
        for (column, sides) in xs.windows(2).enumerate() {
            let ([bottom, top], [left, right]) = ([pair[0], pair[1]], [sides[0], sides[1]]);
            let corners =
                [(row, column), (row, column + 1), (row + 1, column + 1), (row + 1, column)];
            let values = corners.map(|(row, column)| grid[row][column]);
            let [Some(a), Some(b), Some(c), Some(d)] = values else { continue };
            let places = [(left, bottom, a), (right, bottom, b), (right, top, c), (left, top, d)];
            for level in (1..SHADES).map(|shade| shades.start(shade).ln()) {
                let crossings: Vec<(f64, f64)> = (0..4)
                    .filter_map(|side| crossing(places[side], places[(side + 1) % 4], level))
                    .collect();
                // Of a saddle both pieces, in the order of the sides.
                lines.extend(crossings.chunks_exact(2).map(<[(f64, f64)]>::to_vec));
            }
        }
    }
    lines
}

/// Where a level lies between two corners, if it does.
fn crossing(from: (f64, f64, f64), to: (f64, f64, f64), level: f64) -> Option<(f64, f64)> {
    if (from.2 < level) == (to.2 < level) {
        return None;
    }
    let share = (level - from.2) / (to.2 - from.2);
    Some((from.0 + share * (to.0 - from.0), from.1 + share * (to.1 - from.1)))
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
    let measure = &landscapes.measure;
    let (title, axis) = if accuracy {
        (sentence(&format!("{measure} on straight lines between runs")), format!("{measure}, %"))
    } else {
        ("The loss on straight lines between runs".to_owned(), "loss".to_owned())
    };
    let y = if accuracy { Scale::around } else { Scale::fitting };
    let mut chart = Chart::new(Scale::around(&xs, ACROSS, 5.0), y(&ys, UPWARD, 5.0))
        .x_ticks()
        .axis_names("0: the first run, 1: the other", &axis);
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
    let picture = chart.finish(&title, "One line for each pair of runs.");
    let mut data = Data::new(&["runs", "place", &axis]);
    for (points, view) in series.iter().zip(&landscapes.views) {
        for &(x, y) in points {
            data.push(vec![view.label.clone(), cell(Some(x)), cell(Some(y))]);
        }
    }
    Figure { title, caption: caption.into(), legend, picture, data }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contours_lie_where_the_loss_crosses_a_shade() {
        let shades = Shades { low: 1.0, high: 1.0_f64.exp().powi(12) };
        // The logarithm of the loss is the square of the distance from the middle.
        let axis: Vec<f64> = (-10..=10).map(|place| f64::from(place) / 10.0).collect();
        let mut points = Vec::new();
        for &y in &axis {
            for &x in &axis {
                let loss = Some((2.0 * (x * x + y * y)).exp());
                points.push(Sample { at: vec![x, y], loss, accuracy: None });
            }
        }
        let lines = contours(&axis, &axis, &points, &shades);
        assert!(lines.len() > 40, "{}", lines.len());
        for &(x, y) in lines.iter().flatten() {
            let level = 2.0 * (x * x + y * y);
            // Interpolated between points a tenth apart.
            assert!((level - level.round()).abs() < 0.03 && level > 0.9, "{x} {y}: {level}");
        }
        points[0].loss = None;
        assert!(contours(&axis, &axis, &points, &shades).len() < lines.len());
        assert!((shades.start(SHADES) - shades.high).abs() < 1e-6 * shades.high);
    }
}
