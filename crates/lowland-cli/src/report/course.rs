//! The values of one algorithm over time, as a line with a band.

use std::collections::BTreeMap;

use super::chart::{ACROSS, Area, Chart};
use super::figure::{Data, Entry, cell};
use super::scale::Scale;
use crate::compare::statistics::mean;
use crate::words;

/// About how many markers a line carries; one at every point would hide the line.
const MARKERS: usize = 7;

/// One algorithm's values over time, all its finished runs together.
#[derive(Debug)]
pub(super) struct Course<'summary> {
    series: usize,
    /// Its name.
    pub(super) label: &'summary str,
    /// Its values at each time.
    pub(super) moments: BTreeMap<usize, Moment>,
    /// The mean of the runs' last values, which need not be of the same time.
    last: Option<f64>,
    /// Whether runs end at different times.
    pub(super) is_ragged: bool,
}

/// The runs' values at one time.
#[derive(Debug)]
pub(super) struct Moment {
    mean: f64,
    /// The lowest run's value.
    pub(super) low: f64,
    /// The highest run's value.
    pub(super) high: f64,
    /// How many runs have a value.
    pub(super) runs: usize,
}

impl<'summary> Course<'summary> {
    /// Gathers the runs' lines, each of times and values.
    pub(super) fn of(series: usize, label: &'summary str, lines: &[Vec<(usize, f64)>]) -> Self {
        let mut values: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
        for &(time, value) in lines.iter().flatten() {
            if value.is_finite() {
                values.entry(time).or_default().push(value);
            }
        }
        let moment = |values: &[f64]| {
            Some(Moment {
                mean: mean(values).filter(|mean| mean.is_finite())?,
                low: values.iter().copied().reduce(f64::min)?,
                high: values.iter().copied().reduce(f64::max)?,
                runs: values.len(),
            })
        };
        let moments = values
            .into_iter()
            .filter_map(|(time, values)| Some((time, moment(&values)?)))
            .collect();
        let ends = || lines.iter().filter_map(|line| line.last());
        let lasts: Vec<f64> = ends().map(|end| end.1).filter(|last| last.is_finite()).collect();
        let last = mean(&lasts).filter(|mean| mean.is_finite());
        let is_ragged = ends().any(|end| Some(end.0) != ends().next().map(|first| first.0));
        Self { series, label, moments, last, is_ragged }
    }

    /// The first and the last time.
    pub(super) fn ends(&self) -> impl Iterator<Item = usize> {
        let first = self.moments.keys().next();
        let last = self.moments.keys().next_back();
        first.into_iter().chain(last).copied()
    }

    /// Shades from the lowest to the highest run.
    pub(super) fn draw_band(&self, chart: &mut Chart) {
        let edges: Vec<(f64, f64, f64)> = self
            .moments
            .iter()
            .filter(|(_, moment)| moment.runs > 1)
            .map(|(time, moment)| (*time as f64, moment.low, moment.high))
            .collect();
        chart.band(self.series, &edges);
    }

    /// Draws the means and some markers on them.
    pub(super) fn draw_line(&self, chart: &mut Chart) {
        let means: Vec<(f64, f64)> =
            self.moments.iter().map(|(time, moment)| (*time as f64, moment.mean)).collect();
        chart.line(self.series, "line", &means);
        let apart = means.len().div_ceil(MARKERS).max(1);
        // Counted from the end, so that the last point always has one.
        for (time, mean) in means.iter().rev().step_by(apart) {
            chart.marker(self.series, *time, *mean);
        }
    }

    /// The legend's line, with the mean of the last values.
    pub(super) fn entry(&self, words: fn(f64) -> String) -> Entry {
        let value = self.last.map_or_else(|| "diverged".into(), words);
        Entry { series: self.series, label: self.label.into(), value }
    }
}

/// The scale of the times of all courses; `from_zero` where the first point ends a stretch.
pub(super) fn time_scale(courses: &[Course<'_>], from_zero: bool) -> Scale {
    let times = || courses.iter().flat_map(Course::ends);
    let first = if from_zero { 0 } else { times().min().unwrap_or(1) };
    Scale::counting(first, times().max().unwrap_or(1), ACROSS, 7.0)
}

/// The values of all courses as a table.
pub(super) fn data(courses: &[Course<'_>], time: &str, value: &str) -> Data {
    let mut data = Data::new(&[time, "algorithm", value, "lowest", "highest", "runs"]);
    for course in courses {
        for (at, moment) in &course.moments {
            data.push(vec![
                at.to_string(),
                course.label.to_owned(),
                cell(Some(moment.mean)),
                cell(Some(moment.low)),
                cell(Some(moment.high)),
                moment.runs.to_string(),
            ]);
        }
    }
    data
}

/// A column for each time that shows the values of all courses there.
pub(super) fn readouts(
    chart: &mut Chart,
    courses: &[Course<'_>],
    time: &str,
    words: fn(f64) -> String,
) {
    let mut times: Vec<usize> =
        courses.iter().flat_map(|course| course.moments.keys().copied()).collect();
    times.sort_unstable();
    times.dedup();
    for (index, &at) in times.iter().enumerate() {
        let place = chart.x_at(at as f64);
        let before = index.checked_sub(1).map_or(place, |before| chart.x_at(times[before] as f64));
        let after = times.get(index + 1).map_or(place, |after| chart.x_at(*after as f64));
        let present: Vec<(&Course<'_>, &Moment)> =
            courses.iter().filter_map(|course| Some((course, course.moments.get(&at)?))).collect();
        let heading = format!("{time} {}", words::count(at));
        let values = present.iter().map(|(course, moment)| {
            let mean = format!("{} {}", course.label, words(moment.mean));
            let range = format!(" ({} to {})", words(moment.low), words(moment.high));
            if moment.runs > 1 { mean + &range } else { mean }
        });
        let lines: Vec<String> = std::iter::once(heading).chain(values).collect();
        let looks: Vec<usize> = present.iter().map(|(course, _)| course.series).collect();
        chart.readout(Area::column(before, place, after), &looks, &lines);
    }
}
