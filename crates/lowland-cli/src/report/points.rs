//! Figures of final numbers: accuracy against time, and every seed's accuracy.

use super::answer;
use super::chart::{ACROSS, Area, Chart, UPWARD};
use super::figure::{Data, Entry, Figure, cell};
use super::markup::sentence;
use super::scale::Scale;
use crate::compare::summary::{AlgorithmSummary, Run, Spread, Summary};
use crate::words;

/// About the width and the height of a label's letters: capitals of a wide font, as large as on a
/// phone.
const LETTER: (f64, f64) = (12.5, 17.0);

/// An algorithm's place between cost and accuracy.
struct Place<'summary> {
    series: usize,
    algorithm: &'summary AlgorithmSummary,
    time: Spread,
    percent: Spread,
}

/// Accuracy against time a step, both as means with their spread.
pub(super) fn cost(summary: &Summary) -> Figure {
    let places: Vec<Place<'_>> = summary.algorithms.iter().enumerate().filter_map(place).collect();
    let low_high =
        |spread: &Spread| [spread.mean - spread.deviation, spread.mean + spread.deviation];
    let times: Vec<f64> =
        places.iter().flat_map(|place| low_high(&place.time)).chain([1.0]).collect();
    let percents: Vec<f64> = places.iter().flat_map(|place| low_high(&place.percent)).collect();
    let baseline = summary.baseline().map_or("the baseline", |baseline| &baseline.label);
    let axis = format!("time of a step, {baseline} = 1");
    // A tick's room on both sides keeps points off the edges.
    let across = (ACROSS.0 + 14.0, ACROSS.1 - 14.0);
    let x = Scale::around(&times, across, 6.0);
    let mut chart = Chart::new(x, Scale::around(&percents, UPWARD, 5.0))
        .x_ticks()
        .axis_names(&axis, &format!("final test {}, %", summary.setting.measure()));
    chart.line(0, "frontier", &frontier(&places));
    for place in &places {
        let [left, right] = low_high(&place.time);
        let [low, high] = low_high(&place.percent);
        chart.line(
            place.series,
            "whisker",
            &[(left, place.percent.mean), (right, place.percent.mean)],
        );
        chart.line(place.series, "whisker", &[(place.time.mean, low), (place.time.mean, high)]);
        chart.marker(place.series, place.time.mean, place.percent.mean);
    }
    label_places(&mut chart, &places);
    for place in &places {
        let at = (chart.x_at(place.time.mean), chart.y_at(place.percent.mean));
        let lines = place.lines(baseline, answer::time_of(&summary.setting));
        chart.readout(Area::around(at.0, at.1), &[place.series], &lines);
    }
    let title = &sentence(&format!("{} against time", summary.setting.measure()));
    let legend = summary.algorithms.iter().enumerate().map(|(series, algorithm)| {
        let time = algorithm.time_ratio.map(|time| format!("{} ×", words::number(time.mean, 2)));
        let value = match (algorithm.accuracy, time) {
            (None, _) => "diverged".into(),
            (_, time) => time.unwrap_or_else(|| words::MISSING.into()),
        };
        Entry { series, label: algorithm.label.clone(), value }
    });
    let caption = "Up is better, left is faster. Bars: one standard deviation over the \
                   seeds to either side. Dotted line: the frontier, those for which no other was \
                   both as fast and better on average.";
    Figure {
        title: title.clone(),
        caption: caption.into(),
        legend: legend.collect(),
        picture: chart.finish(title, "One point for each algorithm."),
        data: cost_data(summary.setting.measure(), &places, baseline),
    }
}

/// The final accuracy of every run, joined by seed.
pub(super) fn seeds(summary: &Summary) -> Figure {
    let algorithms = &summary.algorithms;
    let percent = |run: &Run| run.final_accuracy.map(|share| 100.0 * share);
    let percents: Vec<f64> =
        algorithms.iter().flat_map(|algorithm| algorithm.finished().filter_map(percent)).collect();
    let half = (ACROSS.1 - ACROSS.0) / (2.0 * algorithms.len().max(1) as f64);
    // A single algorithm stands in the middle of the whole field.
    let inset = if algorithms.len() > 1 { half } else { 0.0 };
    let last = algorithms.len().saturating_sub(1);
    let x = Scale::counting(0, last, (ACROSS.0 + inset, ACROSS.1 - inset), 6.0);
    let mut chart = Chart::new(x, Scale::around(&percents, UPWARD, 5.0))
        .axis_names("", &format!("final test {}, %", summary.setting.measure()));
    for line in seed_lines(algorithms) {
        chart.line(0, "seed", &line);
    }
    for (series, algorithm) in algorithms.iter().enumerate() {
        draw_column(&mut chart, series, algorithm, algorithms.len());
    }
    let legend = algorithms.iter().enumerate().map(|(series, algorithm)| {
        let accuracy = algorithm.accuracy.as_ref();
        let value = accuracy.map_or_else(|| "diverged".into(), answer::percent_spread);
        Entry { series, label: algorithm.label.clone(), value }
    });
    let title = &format!("Final {}, seed by seed", summary.setting.measure());
    let caption = "Each mark is a run; grey lines join the runs of the same seed, which share \
                   start, data order and corrupted labels. Bar: the mean. An algorithm that helps \
                   lifts most lines, not only the mean.";
    Figure {
        title: title.clone(),
        caption: caption.into(),
        legend: legend.collect(),
        picture: chart.finish(title, "One mark for each run, in a column for each algorithm."),
        data: seeds_data(algorithms, summary.setting.measure()),
    }
}

fn cost_data(measure: &str, places: &[Place<'_>], baseline: &str) -> Data {
    let time = format!("time of a step, {baseline} = 1");
    let measure = format!("{measure}, %");
    let heads = ["algorithm", &time, "its deviation", &measure, "its deviation, points"];
    let mut data = Data::new(&heads);
    for Place { algorithm, time, percent, .. } in places {
        let numbers = [time.mean, time.deviation, percent.mean, percent.deviation];
        let numbers = numbers.map(|number| cell(Some(number)));
        data.push([std::slice::from_ref(&algorithm.label), &numbers[..]].concat());
    }
    data
}

fn seeds_data(algorithms: &[AlgorithmSummary], measure: &str) -> Data {
    let mut data = Data::new(&["algorithm", "seed", &format!("{measure}, %")]);
    for algorithm in algorithms {
        for run in &algorithm.runs {
            let percent = run.final_accuracy.map(|share| 100.0 * share);
            data.push(vec![algorithm.label.clone(), run.seed.to_string(), cell(percent)]);
        }
    }
    data
}

fn place((series, algorithm): (usize, &AlgorithmSummary)) -> Option<Place<'_>> {
    let (time, share) = (algorithm.time_ratio?, algorithm.accuracy?);
    let percent = Spread { mean: 100.0 * share.mean, deviation: 100.0 * share.deviation, ..share };
    Some(Place { series, algorithm, time, percent })
}

impl Place<'_> {
    fn lines(&self, baseline: &str, of: &str) -> [String; 3] {
        let accuracy = self.algorithm.accuracy.as_ref().map(answer::percent_spread);
        let accuracy = accuracy.unwrap_or_else(|| words::MISSING.into());
        let passes = self.algorithm.passes_per_step.as_ref().map(answer::spread);
        let passes = passes.unwrap_or_else(|| words::MISSING.into());
        let time = answer::spread(&self.time);
        [
            format!("{passes} passes per step"),
            format!("{} {accuracy}", self.algorithm.label),
            format!("{time} times {baseline}'s {of}"),
        ]
    }
}

/// The stair through all places that none beats in both time and accuracy.
fn frontier(places: &[Place<'_>]) -> Vec<(f64, f64)> {
    let mut means: Vec<(f64, f64)> =
        places.iter().map(|place| (place.time.mean, place.percent.mean)).collect();
    means.sort_by(|one, other| one.0.total_cmp(&other.0).then(other.1.total_cmp(&one.1)));
    let mut stair: Vec<(f64, f64)> = Vec::new();
    for (time, percent) in means {
        match stair.last() {
            Some(&(_, best)) if percent <= best => {}
            Some(&(_, best)) => stair.extend([(time, best), (time, percent)]),
            None => stair.push((time, percent)),
        }
    }
    stair
}

/// Writes each name beside its point where it meets no other name or point. A name without such a
/// place is left to the legend.
fn label_places(chart: &mut Chart, places: &[Place<'_>]) {
    let pixels = |place: &Place<'_>| (chart.x_at(place.time.mean), chart.y_at(place.percent.mean));
    let mut taken: Vec<Area> = places
        .iter()
        .map(|place| {
            let (x, y) = pixels(place);
            Area { x: x - 6.0, y: y - 6.0, width: 12.0, height: 12.0, at: x }
        })
        .collect();
    let field = Area { x: 0.0, y: 0.0, width: ACROSS.1 + 16.0, height: UPWARD.0, at: 0.0 };
    let mut labels = Vec::new();
    for place in places {
        let (x, y) = pixels(place);
        let width = LETTER.0 * place.algorithm.label.chars().count() as f64;
        let corners = [(9.0, -9.0), (-9.0 - width, -9.0), (9.0, 20.0), (-9.0 - width, 20.0)];
        let free = corners.into_iter().find_map(|(right, down)| {
            let area = Area { x: x + right, y: y + down - 13.0, width, height: LETTER.1, at: x };
            let inside = area.x > ACROSS.0
                && area.x + width < field.width
                && area.y > UPWARD.1 - 16.0
                && area.y + LETTER.1 < field.height;
            (inside && !taken.iter().any(|other| area.meets(other))).then_some((area, right > 0.0))
        });
        if let Some((area, to_the_right)) = free {
            let (anchor, edge) =
                if to_the_right { ("start", area.x) } else { ("end", area.x + width) };
            labels.push((edge, area.y + 13.0, anchor, &place.algorithm.label));
            taken.push(area);
        }
    }
    for (x, y, anchor, label) in labels {
        chart.text("label", (x, y), anchor, label);
    }
}

/// The lines that join a seed's runs, broken where a run diverged or is missing.
fn seed_lines(algorithms: &[AlgorithmSummary]) -> Vec<Vec<(f64, f64)>> {
    let Some(baseline) = algorithms.first() else { return Vec::new() };
    let seeds = baseline.runs.iter().map(|run| run.seed);
    let points = |seed: u64| -> Vec<Option<(f64, f64)>> {
        let of = |(column, algorithm): (usize, &AlgorithmSummary)| {
            let run = algorithm.runs.iter().find(|run| run.seed == seed)?;
            Some((column as f64, 100.0 * run.final_accuracy?))
        };
        algorithms.iter().enumerate().map(of).collect()
    };
    let pieces = |points: Vec<Option<(f64, f64)>>| -> Vec<Vec<(f64, f64)>> {
        points
            .split(Option::is_none)
            .map(|piece| piece.iter().flatten().copied().collect())
            .collect()
    };
    seeds.map(points).flat_map(pieces).collect()
}

/// One algorithm's runs, its mean and its name underneath.
fn draw_column(chart: &mut Chart, series: usize, algorithm: &AlgorithmSummary, columns: usize) {
    let column = series as f64;
    let place = chart.x_at(column);
    if let Some(accuracy) = algorithm.accuracy {
        let y = chart.y_at(100.0 * accuracy.mean);
        chart.level_bar(series, (place - 17.0, place + 17.0), y);
    }
    for run in &algorithm.runs {
        let Some(share) = run.final_accuracy else { continue };
        chart.marker(series, column, 100.0 * share);
        let heading = format!("seed {}", run.seed);
        let value = format!("{} {}", algorithm.label, words::percent(share));
        let area = Area::around(place, chart.y_at(100.0 * share));
        chart.readout(area, &[series], &[heading, value]);
    }
    let bottom = UPWARD.0;
    if algorithm.diverged() > 0 {
        let text = format!("{} diverged", algorithm.diverged());
        chart.text("tick", (place, bottom - 6.0), "middle", &text);
    }
    // Many names take turns on two lines.
    let down = if columns > 4 && series % 2 == 1 { 40.0 } else { 22.0 };
    chart.text("label", (place, bottom + down), "middle", &algorithm.label);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::summary::fixture;

    #[test]
    fn the_frontier_leaves_out_what_is_slower_and_not_better() {
        let summary = fixture::summary(3, 4);
        let mut places: Vec<Place<'_>> =
            summary.algorithms.iter().enumerate().filter_map(place).collect();
        for (place, (time, percent)) in
            places.iter_mut().zip([(1.0, 79.0), (2.0, 81.0), (1.5, 78.0)])
        {
            (place.time.mean, place.percent.mean) = (time, percent);
        }
        assert_eq!(frontier(&places), [(1.0, 79.0), (2.0, 79.0), (2.0, 81.0)]);
    }

    #[test]
    fn a_diverged_run_breaks_its_seed_line() {
        let mut summary = fixture::summary(2, 4);
        summary.algorithms[1].runs[0].final_accuracy = None;
        let lengths: Vec<usize> = seed_lines(&summary.algorithms).iter().map(Vec::len).collect();
        assert_eq!(lengths, [1, 1, 3]);
    }
}
