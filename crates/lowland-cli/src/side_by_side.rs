//! Trains the runs of a comparison side by side: an epoch of each in turn, a few at a time. Where all
//! get what the baseline used, it goes first.

use std::ops::ControlFlow;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use anyhow::{Result, anyhow};
use burn::tensor::Device;
use lowland_tasks::config::TrainConfig;
use lowland_tasks::flatness::{Flatness, FlatnessConfig, Ground, Held, flatness};
use lowland_tasks::record::{RunRecord, StepRecord};
use lowland_tasks::train::{Data, Training};

use crate::equal::{Equal, Used};
use crate::failure::Interrupted;

/// A run that came to its end.
#[derive(Debug)]
pub struct Finished {
    /// Its place among the configurations.
    pub index: usize,
    /// What it did.
    pub record: RunRecord,
    /// Whether it ended because its loss or gradient was not finite for too long.
    pub diverged: bool,
    /// Whether it was to take second gradients and took none.
    pub lacks_second_gradients: bool,
    /// What it used.
    pub used: Used,
    /// The share of its limit on passes or seconds that it used up, 0 to 1; `None` where there was none.
    pub share_used: Option<f64>,
    /// How flat the place is where it ended, where that was asked for and the loss is finite there.
    pub flatness: Option<Flatness>,
}

/// Who is told what goes on. Called from several threads at once.
pub trait Watch: Sync {
    /// A step of the run at `index`; breaks, with an exit code, to end the comparison.
    fn step(&self, index: usize, step: &StepRecord) -> ControlFlow<u8>;

    /// Steps of the run at `index` that will not come, since it diverged or used up what it got.
    fn lost(&self, index: usize, steps: u64);

    /// Breaks, with an exit code, to end the comparison while something is measured.
    fn check(&self) -> ControlFlow<u8>;

    /// A run came to its end.
    fn finished(&self, run: &Finished);
}

/// How the runs of a comparison are trained.
#[derive(Debug, Clone, Copy)]
pub struct Manner {
    /// What all get the same of.
    pub equal: Equal,
    /// How many train at once.
    pub jobs: usize,
    /// Whether the sharpness is measured where each ends, its seconds apart from those of training.
    pub sharpness: bool,
}

/// Trains all configurations, a few at a time, on `data`, which is the first one's, and gives their runs in the
/// order of the configurations.
///
/// Runs of the same seed take turns, an epoch each, so that whatever slows the machine down for a
/// while slows all of them, and their times can be compared. Seeds follow one another: data and
/// models of a seed are made when its first run starts. Where the manner asks for the same passes or
/// time, a seed's first run goes to its end before the others begin, which get what it used.
///
/// # Errors
/// Data that cannot be read, a run that fails other than by diverging, [`Watch::step`] breaking.
pub fn train(
    configs: &[TrainConfig],
    data: Data,
    device: &Device,
    manner: Manner,
    watch: &dyn Watch,
) -> Result<Vec<Finished>> {
    let shared = Shared {
        configs,
        manner,
        device,
        watch,
        state: Mutex::new(State::new(configs, data)),
        freed: Condvar::new(),
    };
    std::thread::scope(|scope| {
        for _ in 0..manner.jobs.max(1) {
            scope.spawn(|| shared.work());
        }
    });
    let state = shared.state.into_inner().unwrap_or_else(PoisonError::into_inner);
    match state.error {
        Some(error) => Err(error),
        None => Ok(state.slots.into_iter().filter_map(|slot| slot.finished).collect()),
    }
}

struct Shared<'a> {
    configs: &'a [TrainConfig],
    manner: Manner,
    device: &'a Device,
    watch: &'a dyn Watch,
    state: Mutex<State>,
    /// Told whenever a run comes back.
    freed: Condvar,
}

struct State {
    slots: Vec<Slot>,
    /// The data of the seed that was begun last, and of those before that are not done.
    data: Vec<(u64, Data)>,
    error: Option<anyhow::Error>,
}

/// The place of one run.
struct Slot {
    seed: u64,
    epochs: usize,
    /// Away while it trains, and before its first epoch.
    training: Option<Box<Training>>,
    busy: bool,
    finished: Option<Finished>,
}

impl State {
    fn new(configs: &[TrainConfig], data: Data) -> Self {
        let slot = |config: &TrainConfig| Slot {
            seed: config.seed,
            epochs: 0,
            training: None,
            busy: false,
            finished: None,
        };
        let data = configs.first().map(|first| (first.seed, data)).into_iter().collect();
        Self { slots: configs.iter().map(slot).collect(), data, error: None }
    }

    /// The run whose turn it is: of the first seed that has a free one, the one that is furthest
    /// behind.
    fn next(&self, equal: Equal) -> Option<usize> {
        let first = |seed: u64| self.slots.iter().position(|slot| slot.seed == seed);
        let waits = |index: usize, slot: &Slot| {
            let baseline = first(slot.seed).filter(|first| *first != index);
            equal != Equal::Epochs && baseline.is_some_and(|b| self.slots[b].finished.is_none())
        };
        let free = self.slots.iter().enumerate().filter(|(_, s)| !s.busy && s.finished.is_none());
        free.filter(|(index, slot)| !waits(*index, slot))
            .min_by_key(|(index, slot)| (first(slot.seed), slot.epochs, *index))
            .map(|(index, _)| index)
    }

    /// What the first run of a seed used, once it is done.
    fn baseline(&self, seed: u64) -> Option<Used> {
        let first = self.slots.iter().find(|slot| slot.seed == seed)?;
        first.finished.as_ref().map(|finished| finished.used)
    }

    fn is_over(&self) -> bool {
        self.error.is_some() || self.slots.iter().all(|slot| slot.finished.is_some())
    }

    /// The data of a configuration's seed, loaded where it is not there yet.
    fn data(&mut self, config: &TrainConfig) -> Result<&Data> {
        if !self.data.iter().any(|(seed, _)| *seed == config.seed) {
            self.data.push((config.seed, Data::load(config)?));
        }
        let found = self.data.iter().find(|(seed, _)| *seed == config.seed);
        found
            .map(|(_, data)| data)
            .ok_or_else(|| anyhow!("the data of seed {} is gone", config.seed))
    }

    /// Lets go of the data of seeds whose runs are all done.
    fn drop_data(&mut self) {
        let slots = &self.slots;
        self.data.retain(|(seed, _)| slots.iter().any(|s| s.seed == *seed && s.finished.is_none()));
    }
}

impl Shared<'_> {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        let _alarm = Alarm(self);
        loop {
            let mut state = self.lock();
            let index = loop {
                if state.is_over() {
                    return;
                }
                match state.next(self.manner.equal) {
                    Some(index) => break index,
                    None => state = self.freed.wait(state).unwrap_or_else(PoisonError::into_inner),
                }
            };
            let result = self.turn(index, state);
            let mut state = self.lock();
            if let Err(error) = result {
                state.error.get_or_insert(error);
            }
            state.drop_data();
            drop(state);
            self.freed.notify_all();
        }
    }

    fn begin(&self, config: &TrainConfig, state: &mut State) -> Result<Training> {
        let beside = |used| self.manner.equal.beside(config, used);
        // A baseline begins before anything is known of its seed.
        let config = state.baseline(config.seed).map_or_else(|| config.clone(), beside);
        Ok(Training::new(&config, state.data(&config)?, self.device)?)
    }

    /// One epoch of the run at `index`.
    fn turn(&self, index: usize, mut state: MutexGuard<'_, State>) -> Result<()> {
        let config = &self.configs[index];
        let mut training = match state.slots[index].training.take() {
            Some(training) => training,
            None => Box::new(self.begin(config, &mut state)?),
        };
        state.slots[index].busy = true;
        drop(state);

        let mut code = 0;
        let result = training.epoch(&mut |step| match self.watch.step(index, step) {
            ControlFlow::Continue(()) => ControlFlow::Continue(()),
            ControlFlow::Break(asked) => {
                code = asked;
                ControlFlow::Break(())
            }
        });
        let diverged = match result {
            Ok(Some(_)) => false,
            Ok(None) => {
                let told = "; nothing was written".to_owned();
                return Err(Interrupted { told, code }.into());
            }
            Err(lowland_tasks::Error::Algorithm(lowland::Error::NonFinite { .. })) => true,
            Err(error) => return Err(error.into()),
        };

        let over = diverged || training.is_done();
        let measured = self.manner.sharpness && over && !diverged;
        let flatness = if measured { self.measure(config.seed, &training)? } else { None };
        let mut state = self.lock();
        let slot = &mut state.slots[index];
        slot.busy = false;
        slot.epochs += 1;
        if over {
            let whole = config.epochs.saturating_mul(training.steps_per_epoch()) as u64;
            let steps = training.steps();
            let used = Used {
                steps,
                whole: if diverged { whole } else { steps },
                passes: training.passes(),
                seconds: training.seconds(),
            };
            let finished = Finished {
                index,
                record: training.record().clone(),
                diverged,
                lacks_second_gradients: training.lacks_second_gradients() && !diverged,
                used,
                share_used: training.share_used(),
                flatness,
            };
            self.watch.lost(index, whole.saturating_sub(steps));
            self.watch.finished(&finished);
            slot.finished = Some(finished);
        } else {
            slot.training = Some(training);
        }
        Ok(())
    }
}

impl Shared<'_> {
    /// The sharpness where a run ended; `None` where the loss is not finite there.
    fn measure(&self, seed: u64, training: &Training) -> Result<Option<Flatness>> {
        let data = self.lock().data.iter().find(|(s, _)| *s == seed).map(|(_, data)| data.clone());
        let data = data.ok_or_else(|| anyhow!("the data of seed {seed} is gone"))?;
        let ground = Ground::quick();
        let held = Held::new(&data, &ground, training.device())?;
        let mut code = None;
        let go_on = &mut |_: &'static str, _, _| match self.watch.check() {
            ControlFlow::Continue(()) => ControlFlow::Continue(()),
            ControlFlow::Break(asked) => {
                code = Some(asked);
                ControlFlow::Break(())
            }
        };
        match flatness(training.model()?, &held, &ground, &FlatnessConfig::quick(), go_on) {
            Err(lowland_tasks::Error::Algorithm(lowland::Error::NotFinite(_))) => Ok(None),
            Ok(None) => {
                let told = "; nothing was written".to_owned();
                Err(Interrupted { told, code: code.unwrap_or_default() }.into())
            }
            found => Ok(found?),
        }
    }
}

/// Ends the comparison where a thread panics, so that the others do not wait for its run.
struct Alarm<'a, 'b>(&'a Shared<'b>);

impl Drop for Alarm<'_, '_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.lock().error.get_or_insert_with(|| anyhow!("a run panicked"));
            self.0.freed.notify_all();
        }
    }
}
