//! What was measured, as rows and as a table.

use super::lane::{Lane, Step};
use super::pytorch::Took;
use crate::compare::statistics::{median, quantile};
use crate::layout::Grid;
use crate::words::counted;

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

    /// The rows as a table in lines of at most `width` characters.
    pub(super) fn table(&self, rows: &[Row], width: usize) -> String {
        let note = [
            counted(self.threads, "thread"),
            format!("{} in a step", self.batch),
            self.pytorch.as_ref().map_or(String::new(), |version| format!("PyTorch {version}")),
        ];
        let note: Vec<&str> =
            note.iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
        format!("{}\n{}", grid(rows).within(width), note.join(", "))
    }
}

fn grid(rows: &[Row]) -> Grid {
    let mut grid = Grid::new().words("algorithm");
    for head in [
        "ms per\nstep",
        "per\nsecond",
        "passes",
        "time\nratio",
        "quartiles",
        "above the\npasses",
        "processor\nms",
        "processor\nratio",
        "memory\nkept",
        "memory\nat most",
    ] {
        grid = grid.numbers(head);
    }
    for row in rows {
        let [low, high] = row.time_ratio_quartiles;
        grid.push([
            row.algorithm.clone(),
            format!("{:.2}", row.milliseconds_per_step),
            format!("{:.0}", row.images_per_second),
            row.passes_per_step.map_or(NONE.to_owned(), |passes| format!("{passes:.2}")),
            format!("{:.3}", row.time_ratio),
            format!("{low:.2} to {high:.2}"),
            row.overhead.map_or(NONE.to_owned(), |of| format!("{:+.1} %", of * 100.0)),
            format!("{:.2}", row.processor_milliseconds_per_step),
            format!("{:.3}", row.processor_time_ratio),
            copies(row.memory.map(|memory| memory.kept_copies)),
            copies(row.memory.map(|memory| memory.peak_copies)),
        ]);
    }
    grid
}

/// Where there is no figure.
const NONE: &str = "–";

/// Copies of the parameters, in a cell.
fn copies(copies: Option<f64>) -> String {
    // A small negative number would round to -0.0.
    copies.map_or(NONE.to_owned(), |copies| format!("{:+.1}", (copies * 10.0).round() / 10.0 + 0.0))
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    fn row(algorithm: &str, passes: Option<f64>) -> Row {
        let cost = passes.unwrap_or(2.0);
        Row {
            algorithm: algorithm.to_owned(),
            milliseconds_per_step: 123.456 * cost,
            processor_milliseconds_per_step: 240.1 * cost,
            images_per_second: 518.4 / cost,
            threads: 2,
            passes_per_step: passes,
            time_ratio: 1.013 * cost,
            time_ratio_quartiles: [0.98 * cost, 1.05 * cost],
            processor_time_ratio: 1.02 * cost,
            overhead: passes.map(|_| 0.013),
            memory: passes.map(|passes| Memory { kept_copies: 1.0, peak_copies: passes }),
        }
    }

    #[test]
    fn the_table_fits_80_columns_and_is_whole_on_wide_terminals() {
        let rows = [row("PyTorch's step, SAM", None), row("Burn's own step", Some(1.0))];
        assert_snapshot!(grid(&rows).within(80), @r"
        ───────────────────────────────────────────────────────────────────────────────
         algorithm         ms per      per   passes    time      quartiles   above the
                             step   second            ratio                     passes
        ═══════════════════════════════════════════════════════════════════════════════
         PyTorch's step,   246.91      259        –   2.026   1.96 to 2.10           –
         SAM
        ───────────────────────────────────────────────────────────────────────────────
         Burn's own step   123.46      518     1.00   1.013   0.98 to 1.05      +1.3 %
        ───────────────────────────────────────────────────────────────────────────────

        ────────────────────────────────────────────────────────────────
         algorithm             processor   processor   memory    memory
                                      ms       ratio     kept   at most
        ════════════════════════════════════════════════════════════════
         PyTorch's step, SAM      480.20       2.040        –         –
         Burn's own step          240.10       1.020     +1.0      +1.0
        ────────────────────────────────────────────────────────────────
        ");
        let wide = grid(&rows).within(140);
        assert_eq!(wide.matches("algorithm").count(), 1, "{wide}");
    }
}
