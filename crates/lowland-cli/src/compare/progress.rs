//! How far a comparison is, counted in steps.

use std::time::{Duration, Instant};

use lowland_tasks::flatness::EvalSettings;

use super::plan::Plan;
use crate::terminal::Progress;
use crate::words::counted;

/// The gradients that measuring the sharpness at the end of a run takes, over the samples that it
/// is measured on.
const SHARPNESS_PASSES: usize = 26;

/// How often a line says how far the comparison is, where there is no bar.
const PAUSE: Duration = Duration::from_mins(1);

/// How far the runs are, and how long the rest will take.
#[derive(Debug)]
pub(crate) struct Board {
    progress: Progress,
    runs: Vec<Units>,
    /// What measuring the sharpness of a run counts, in steps; 0 where it is not measured.
    sharpness: u64,
    spoken: Instant,
}

/// The steps of a run, and what measuring its sharpness counts.
#[derive(Debug, Clone, Copy)]
struct Units {
    done: u64,
    total: u64,
    is_done: bool,
}

impl Board {
    /// A board over the runs of a plan, of which nothing is done yet.
    pub(crate) fn new(plan: &Plan, quiet: bool) -> Self {
        let samples = EvalSettings::quick().images.min(plan.facts.data.train.samples);
        let runs = plan.runs();
        let steps = |samples: usize| samples.div_ceil(runs[0].config.batch_size.max(1)) as u64;
        let sharpness = if plan.sharpness { steps(SHARPNESS_PASSES * samples) } else { 0 };
        let per_epoch = plan.facts.steps_per_epoch;
        let steps = runs.iter().map(|run| run.config.epochs.saturating_mul(per_epoch) as u64);
        Self::over(steps, sharpness, quiet)
    }

    /// A board over runs of so many steps each, and what measuring the sharpness of one counts.
    fn over(steps: impl Iterator<Item = u64>, sharpness: u64, quiet: bool) -> Self {
        let units = |steps: u64| {
            let total = steps.saturating_add(sharpness);
            Units { done: 0, total, is_done: false }
        };
        let runs: Vec<Units> = steps.map(units).collect();
        let total = runs.iter().map(|units| units.total).sum();
        Self { progress: Progress::new(total, quiet), runs, sharpness, spoken: Instant::now() }
    }

    /// The run at `index` was done before.
    pub(crate) fn was_done(&mut self, index: usize) {
        self.progress.was_done(self.runs[index].total);
        self.end(index);
    }

    /// A worker has taken the run at `index` up where it was left, after so many steps.
    pub(crate) fn resumed(&mut self, index: usize, steps: u64) {
        self.progress.was_done(steps);
        self.runs[index].done = steps;
    }

    /// How far the run at `index` is, in steps of those that there will be.
    pub(crate) fn steps(&mut self, index: usize, done: u64, expected: u64, message: &str) {
        let total = expected.saturating_add(self.sharpness).max(done);
        self.runs[index] = Units { done, total, is_done: false };
        self.show(message);
    }

    /// Which share of the sharpness of the run at `index` is measured.
    pub(crate) fn sharpness(&mut self, index: usize, share: f64, message: &str) {
        let units = &mut self.runs[index];
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a conversion from floating point saturates"
        )]
        let left = ((1.0 - share) * self.sharpness as f64) as u64;
        units.done = units.total.saturating_sub(left);
        self.show(message);
    }

    /// The run at `index` is over: no more steps come.
    pub(crate) fn end(&mut self, index: usize) {
        let units = &mut self.runs[index];
        *units = Units { done: units.total, is_done: true, ..*units };
        self.place();
    }

    /// Writes a line that stays.
    pub(crate) fn line(&self, line: &str) {
        self.progress.line(line);
    }

    /// A line that stays, of the run that has just ended; where there is no bar, with how much is
    /// left.
    pub(crate) fn ended_line(&mut self, line: &str) {
        if self.progress.is_bar() {
            self.progress.line(line);
            return;
        }
        self.spoken = Instant::now();
        self.progress.line(&format!("{line}  ({})", self.standing()));
    }

    /// "3 of 9 runs done, about 2 min 10 s left".
    fn standing(&self) -> String {
        let done = self.runs.iter().filter(|units| units.is_done).count();
        let left = self.progress.left().map_or_else(String::new, |left| format!(", {left}"));
        format!("{done} of {} done{left}", counted(self.runs.len(), "run"))
    }

    fn done(&self) -> u64 {
        self.runs.iter().map(|units| units.done).sum()
    }

    fn show(&mut self, message: &str) {
        self.place();
        self.progress.message(message);
        if !self.progress.is_bar() && self.spoken.elapsed() >= PAUSE {
            self.spoken = Instant::now();
            self.progress.line(&format!("{message}  ({})", self.standing()));
        }
    }

    fn place(&self) {
        let total = self.runs.iter().map(|units| units.total).sum();
        self.progress.place(self.done(), total);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn total(board: &Board) -> u64 {
        board.runs.iter().map(|units| units.total).sum()
    }

    #[test]
    fn sharpness_is_counted_in_the_progress() {
        let mut board = Board::over([100, 60].into_iter(), 20, true);
        assert_eq!((board.done(), total(&board)), (0, 200));
        board.steps(0, 100, 100, "");
        assert_eq!(board.done(), 100, "all steps are taken, and the sharpness is to come");
        assert!(board.standing().starts_with("0 of 2 runs done, about "), "{}", board.standing());
        for (share, done) in [(0.0, 100), (0.25, 105), (1.0, 120)] {
            board.sharpness(0, share, "");
            assert_eq!((board.done(), total(&board)), (done, 200), "{share}");
        }
        board.end(0);
        assert_eq!(board.done(), 120, "it is not counted twice");

        // A limit ends the training before its epochs are over.
        board.steps(1, 30, 40, "");
        assert_eq!((board.done(), total(&board)), (150, 180));
        board.end(1);
        assert_eq!(board.done(), 180, "a run whose sharpness cannot be measured counts in full");
        assert_eq!(board.standing(), "2 of 2 runs done");
    }

    #[test]
    fn what_was_done_before_counts_and_has_no_pace() {
        let mut board = Board::over([100, 100].into_iter(), 0, true);
        board.was_done(0);
        board.resumed(1, 40);
        assert_eq!(board.done(), 140);
        assert_eq!(board.standing(), "1 of 2 runs done");
        board.sharpness(1, 0.0, "");
        assert_eq!(board.done(), 200, "sharpness that is not measured takes nothing");
    }
}
