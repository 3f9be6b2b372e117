//! What was measured, as rows and as a table.

use comfy_table::{CellAlignment, Table};

use super::lane::{Lane, Step};
use super::pytorch::Took;
use crate::compare::statistics::{median, quantile};

/// What was measured of one contender.
#[derive(Debug, serde::Serialize)]
pub(super) struct Row {
    algorithm: String,
    milliseconds_per_step: f64,
    /// Of all threads together.
    processor_milliseconds_per_step: f64,
    images_per_second: f64,
    threads: usize,
    /// Of the blocks that were timed. Not counted in PyTorch.
    passes_per_step: Option<f64>,
    /// To the first contender: Burn's own step, or PyTorch's.
    time_ratio: f64,
    /// The quartiles of the ratio over the blocks.
    time_ratio_quartiles: [f64; 2],
    /// The same ratio of processor time.
    processor_time_ratio: f64,
    /// What the ratio to Burn's own step, divided by the passes of each block, has above 1.
    overhead: Option<f64>,
    #[serde(flatten)]
    memory: Option<Memory>,
}

/// What a contender holds beyond Burn's own step, in copies of the parameters.
#[derive(Debug, Clone, Copy, serde::Serialize)]
pub(super) struct Memory {
    /// Between steps.
    pub(super) kept_copies: f64,
    /// At most during a step.
    pub(super) peak_copies: f64,
}

/// All that was measured.
pub(super) struct Measured<'a> {
    pub(super) lanes: &'a [Lane],
    /// The lane of Burn's own step.
    pub(super) burn: usize,
    /// Of each lane, where it was measured.
    pub(super) memory: Option<&'a [Option<Memory>]>,
    pub(super) batch: usize,
    pub(super) threads: usize,
    /// The version of PyTorch.
    pub(super) pytorch: Option<String>,
}

fn middle(values: impl Iterator<Item = f64>) -> f64 {
    median(&values.collect::<Vec<_>>()).unwrap_or(f64::NAN)
}

/// The ratio of something of each block of one lane to that of another.
fn ratios(lane: &Lane, other: &Lane, of: impl Fn(&Took) -> f64) -> Vec<f64> {
    lane.blocks.iter().zip(&other.blocks).map(|(mine, other)| of(mine) / of(other)).collect()
}

impl Measured<'_> {
    pub(super) fn rows(&self) -> Vec<Row> {
        self.lanes.iter().enumerate().map(|(i, lane)| self.row(i, lane)).collect()
    }

    fn row(&self, i: usize, lane: &Lane) -> Row {
        let base = &self.lanes[0];
        let times = ratios(lane, base, |took| took.seconds);
        let passes = |took: &Took| match lane.step {
            Step::Burn(..) => Some(1.0),
            Step::Lowland(..) => Some(took.passes),
            Step::PyTorch(_) => None,
        };
        let counted: Option<Vec<f64>> = lane.blocks.iter().map(passes).collect();
        let to_burn = ratios(lane, &self.lanes[self.burn], |took| took.seconds);
        let overhead = counted.as_ref().map(|passes| {
            middle(to_burn.iter().zip(passes).map(|(ratio, passes)| ratio / passes - 1.0))
        });
        let seconds = middle(lane.blocks.iter().map(|took| took.seconds));
        Row {
            algorithm: lane.name.clone(),
            milliseconds_per_step: seconds * 1e3,
            processor_milliseconds_per_step: middle(lane.blocks.iter().map(|took| took.processor))
                * 1e3,
            images_per_second: self.batch as f64 / seconds,
            threads: self.threads,
            passes_per_step: counted
                .map(|passes| passes.iter().sum::<f64>() / passes.len().max(1) as f64),
            time_ratio: middle(times.iter().copied()),
            time_ratio_quartiles: [quantile(&times, 0.25), quantile(&times, 0.75)],
            processor_time_ratio: middle(ratios(lane, base, |took| took.processor).into_iter()),
            overhead,
            memory: self.memory.and_then(|memory| memory[i]),
        }
    }

    pub(super) fn table(&self, rows: &[Row]) -> String {
        let mut table = Table::new();
        table.load_style(comfy_table::presets::UTF8_HORIZONTAL_ONLY);
        table.set_header([
            "algorithm",
            "ms per step",
            "processor ms",
            "per second",
            "passes",
            "time ratio (quartiles)",
            "processor ratio",
            "above the passes",
            "memory kept",
            "peak",
        ]);
        for row in rows {
            let [low, high] = row.time_ratio_quartiles;
            table.add_row([
                row.algorithm.clone(),
                format!("{:.2}", row.milliseconds_per_step),
                format!("{:.2}", row.processor_milliseconds_per_step),
                format!("{:.0}", row.images_per_second),
                row.passes_per_step.map_or(NONE.to_owned(), |passes| format!("{passes:.2}")),
                format!("{:.3} ({low:.2} to {high:.2})", row.time_ratio),
                format!("{:.3}", row.processor_time_ratio),
                row.overhead.map_or(NONE.to_owned(), |of| format!("{:+.1} %", of * 100.0)),
                copies(row.memory.map(|memory| memory.kept_copies)),
                copies(row.memory.map(|memory| memory.peak_copies)),
            ]);
        }
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        let threads = match self.threads {
            1 => "1 thread".to_owned(),
            threads => format!("{threads} threads"),
        };
        let pytorch =
            self.pytorch.as_ref().map_or(String::new(), |version| format!("; PyTorch {version}"));
        format!("{table}\n{threads}, {} in a step{pytorch}", self.batch)
    }
}

/// Where there is no figure.
const NONE: &str = "–";

/// Copies of the parameters, in a cell.
fn copies(copies: Option<f64>) -> String {
    // A small negative number would round to -0.0.
    copies.map_or(NONE.to_owned(), |copies| format!("{:+.1}", (copies * 10.0).round() / 10.0 + 0.0))
}
