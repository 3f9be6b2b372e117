//! Which run of a comparison is next.

use lowland_tasks::config::TrainConfig;

use super::equal::{Equal, Used};

/// Where the runs stand.
#[derive(Debug)]
pub(super) struct Queue {
    pub(super) equal: Equal,
    /// How many contenders there are: the first run of a seed, and so each of this many, is a
    /// baseline's.
    pub(super) contenders: usize,
    pub(super) states: Vec<State>,
}

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum State {
    Missing,
    Training,
    /// It has a worker, which waits for its next turn after so many epochs.
    Waiting(usize),
    Done(Used),
    Failed,
}

impl Queue {
    /// The run whose turn it is: of the first seed that has one, the run that is furthest behind,
    /// among those that are missing, if new ones may begin, and those that wait for their turn.
    /// Where all get what the baseline used, it goes first.
    pub(super) fn next(&self, may_begin: bool) -> Option<usize> {
        let awaits_baseline = |index: usize| {
            let baseline = self.baseline(index);
            let is_known = matches!(self.states[baseline], State::Done(_));
            self.equal != Equal::Epochs && index != baseline && !is_known
        };
        let free = |(index, state): (usize, &State)| match state {
            State::Missing if may_begin && !awaits_baseline(index) => Some((index, 0)),
            State::Waiting(epochs) => Some((index, *epochs)),
            _ => None,
        };
        let free = self.states.iter().enumerate().filter_map(free);
        let next = free.min_by_key(|&(index, epochs)| (self.baseline(index), epochs, index));
        next.map(|(index, _)| index)
    }

    /// How many runs train.
    pub(super) fn training(&self) -> usize {
        self.states.iter().filter(|state| **state == State::Training).count()
    }

    fn baseline(&self, index: usize) -> usize {
        index - index % self.contenders.max(1)
    }

    /// The settings of a run, with the limit that follows from its baseline.
    pub(super) fn config(&self, index: usize, config: &TrainConfig) -> TrainConfig {
        match (self.equal, self.states[self.baseline(index)]) {
            (Equal::Passes | Equal::Time, State::Done(used)) if index != self.baseline(index) => {
                self.equal.beside(config, used)
            }
            _ => config.clone(),
        }
    }

    pub(super) fn done(&self) -> usize {
        self.states.iter().filter(|state| matches!(state, State::Done(_))).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USED: Used = Used { steps: 10, whole: 10, passes: 20.0, seconds: 1.0 };

    fn queue(equal: Equal, states: [State; 6]) -> Queue {
        Queue { equal, contenders: 3, states: states.to_vec() }
    }

    #[test]
    fn runs_begin_seed_by_seed() {
        use State::{Done, Failed, Missing, Training};
        let next = |states| queue(Equal::Epochs, states).next(true);
        assert_eq!(next([Missing; 6]), Some(0));
        assert_eq!(next([Training, Done(USED), Failed, Missing, Missing, Missing]), Some(3));
        assert_eq!(next([Training, Done(USED), Missing, Missing, Missing, Missing]), Some(2));
        assert_eq!(next([Failed; 6]), None);
    }

    #[test]
    fn the_run_that_is_furthest_behind_has_the_next_turn() {
        use State::{Missing, Training, Waiting};
        let next = |may_begin, states| queue(Equal::Epochs, states).next(may_begin);
        let states = [Waiting(1), Training, Missing, Missing, Missing, Missing];
        assert_eq!((next(true, states), next(false, states)), (Some(2), Some(0)));
        let states = [Waiting(2), Waiting(1), Waiting(1), Missing, Missing, Missing];
        assert_eq!(next(true, states), Some(1));
        let states = [Training, Training, Training, Waiting(3), Missing, Missing];
        assert_eq!((next(true, states), next(false, states)), (Some(4), Some(3)));
    }

    #[test]
    fn runs_that_get_what_the_baseline_used_wait_for_it() {
        use State::{Done, Failed, Missing, Training};
        let queue = |states| queue(Equal::Passes, states);
        let after = [Training, Missing, Missing, Missing, Missing, Missing];
        assert_eq!(queue(after).next(true), Some(3), "the baseline of the next seed");
        let after = [Done(USED), Missing, Missing, Training, Missing, Missing];
        assert_eq!(queue(after).next(true), Some(1));
        let after = [Failed, Missing, Missing, Done(USED), Done(USED), Training];
        assert_eq!(queue(after).next(true), None, "there is nothing to go by");

        let config = TrainConfig { epochs: 3, ..TrainConfig::default() };
        let known = queue([Done(USED), Missing, Missing, Missing, Missing, Missing]);
        assert_eq!(known.config(0, &config), config);
        assert_eq!(known.config(2, &config).max_passes, Some(20.0));
    }
}
