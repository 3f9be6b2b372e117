//! A second gradient as often as a budget allows, where it matters most.

use derive_setters::Setters;
use serde::{Deserialize, Serialize};

use crate::algorithms::controller::{Controller, ControllerConfig, SAMPLES_PER_WINDOW};
use crate::error::positive;
use crate::rule::schedule::Schedule;
use crate::rule::{Cost, Gradient, Note, Pair, Surface};
use crate::state::Memory;
use crate::{Error, Result};

/// What a budget is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// Gradient evaluations of a whole batch, a step.
    #[default]
    Passes,
    /// Measured time, where a step without a second gradient takes 1.
    Time,
}

/// The settings of [`Budget`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Setters)]
#[serde(deny_unknown_fields, default)]
#[setters(prefix = "with_", strip_option)]
pub struct BudgetConfig {
    /// What a step may cost on average, above 0. Default 1.2. At 1 or less no step of a method that
    /// takes its first gradient on the whole batch has a second one; at 2 every step has.
    pub limit: f64,
    /// What it is counted in. Default passes.
    pub unit: Unit,
    /// How the drift of the PSF moves second gradients from one stretch of training to another.
    /// Default: the controller's settings of the schedule that the budget replaces, or its
    /// defaults. `warmup` has no effect. `max_fraction` caps s, and so how far second gradients can
    /// be moved.
    pub controller: Option<ControllerConfig>,
}

impl Default for BudgetConfig {
    fn default() -> Self {
        Self { limit: 1.2, unit: Unit::Passes, controller: None }
    }
}

/// Takes second gradients at random with the rate that the budget allows, more of them where
/// ARSAM's controller asks for more than it did on average, and never lets the account stray far:
///
/// ```text
/// account = limit·(t + 1) − spent,    slack = 0.005·limit·max(t + 1, 500)
/// due if      account > slack                          too much is left
/// not due if  account − cost < −slack                  too much would be spent
/// due if      first + cost ≤ limit                     every step can have one
/// otherwise   U < (limit − first)/cost · s/mean(s)      s as in Controller
/// ```
///
/// cost is that of the latest second gradient, first what this step has cost before it. So the
/// average over any run of 500 steps or more, from its start, is within 1 % of the limit wherever
/// that limit can be met at all. Where the rule takes the micro-batches of a step one by one, each
/// is decided on by itself, with its share of the limit. With [`Unit::Time`] the same is counted in
/// seconds, in which a step without a second gradient is the mean of those measured so far, and one
/// step in 20 is one of those; the decisions then depend on the clock, and a run is not repeatable
/// step by step.
#[derive(Debug, Clone)]
pub struct Budget {
    config: BudgetConfig,
    controller: Controller,
    state: BudgetState,
}

/// What [`Budget`] remembers beside its controller.
#[derive(Debug, Clone)]
struct BudgetState {
    /// Steps since the controller last judged.
    position: u64,
    /// A slow average of s.
    usual: f64,
    /// What the latest second gradient cost, in passes of a whole batch.
    cost: f64,
    /// What had been spent when it was decided to take it; negative where none is open.
    open: f64,
    /// The share of its batch that it is over.
    open_share: f64,
    /// The latest step with a decision, and the share of its batch that was decided on. Each step
    /// begins anew, so that a record need not hold it.
    decided: Option<(u64, f64)>,
    /// The steps and what had been spent before the first decision: 0 unless the start is late.
    origin: Option<Origin>,
}

/// What a budget does not count.
#[derive(Debug, Clone, Copy)]
struct Origin {
    steps: u64,
    spent: Cost,
}

/// How far the average may stray, as a share of the limit; half of what is promised.
const TOLERANCE: f64 = 0.005;
/// The shortest run for which it is promised, in steps.
const SHORTEST: f64 = 500.0;
/// Steps without a second gradient to be timed before time is weighed.
const TIMED: u64 = 5;
/// With a budget of time, one step in so many has no second gradient in any case.
const STAND_STILL: u64 = 20;

/// Where a budget stands, in its own unit.
struct Account {
    left: f64,
    /// What a step may cost.
    allowed: f64,
    /// What is decided on has cost so far.
    first: f64,
    /// What its second gradient costs.
    cost: f64,
    /// The share of `allowed` that there is for both.
    share: f64,
}

impl Origin {
    /// That of a first decision in a step, given what has been spent by then.
    fn before(steps: u64, spent: Cost) -> Self {
        let passes = spent.passes - spent.step_passes;
        Self { steps, spent: Cost { passes, step_passes: 0.0, ..spent } }
    }

    fn since(&self, now: Cost) -> Cost {
        let before = self.spent;
        Cost {
            passes: now.passes - before.passes,
            step_passes: now.step_passes,
            single_steps: now.single_steps.saturating_sub(before.single_steps),
            single_seconds: now.single_seconds - before.single_seconds,
            double_steps: now.double_steps.saturating_sub(before.double_steps),
            double_seconds: now.double_seconds - before.double_seconds,
        }
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "counts below 2^53"
    )]
    fn restored(numbers: &[f64]) -> Result<Option<Self>> {
        let &[steps, passes, single_steps, single_seconds, double_steps, double_seconds] = numbers
        else {
            let is_none = numbers.is_empty();
            return if is_none { Ok(None) } else { Err(Error::record("origin", "is cut off")) };
        };
        let spent = Cost {
            passes,
            step_passes: 0.0,
            single_steps: single_steps as u64,
            single_seconds,
            double_steps: double_steps as u64,
            double_seconds,
        };
        Ok(Some(Self { steps: steps as u64, spent }))
    }
}

impl Budget {
    /// Checks the settings.
    ///
    /// # Errors
    /// A limit that is not finite and above 0; settings that the controller refuses.
    pub fn new(config: BudgetConfig) -> Result<Self> {
        positive("limit", config.limit)?;
        let controller = Controller::new(config.controller.clone().unwrap_or_default())?;
        let state = BudgetState {
            position: 0,
            usual: 1.0,
            cost: 1.0,
            open: -1.0,
            open_share: 1.0,
            decided: None,
            origin: None,
        };
        Ok(Self { config, controller, state })
    }

    /// The steps since `origin`, the part of this one included that is or was decided on.
    fn steps(&mut self, surface: &dyn Surface, origin: Origin) -> f64 {
        let now = surface.step();
        let before = match self.state.decided {
            Some((step, share)) if step == now => share,
            _ => 0.0,
        };
        let decided = before + surface.share();
        self.state.decided = Some((now, decided));
        now.saturating_sub(origin.steps) as f64 + decided
    }

    fn passes(&mut self, spent: Cost, steps: f64, share: f64) -> Account {
        let before = spent.passes - spent.step_passes;
        if self.state.open >= 0.0 {
            self.state.cost = ((before - self.state.open) / self.state.open_share).max(1e-3);
            self.state.open = -1.0;
        }
        let limit = self.config.limit;
        let left = limit * steps - spent.passes;
        let cost = self.state.cost * share;
        Account { left, allowed: limit, first: spent.step_passes, cost, share }
    }

    fn time(&self, spent: Cost) -> Option<Account> {
        let Cost { single_steps, single_seconds, double_steps, double_seconds, .. } = spent;
        if single_steps < TIMED {
            return None;
        }
        let single = single_seconds / single_steps as f64;
        let double = double_seconds / double_steps.max(1) as f64;
        let cost = if double_steps == 0 { single } else { (double - single).max(single * 1e-3) };
        let allowed = self.config.limit * single;
        let steps = (single_steps + double_steps + 1) as f64;
        let left = allowed * steps - (single_seconds + double_seconds + single);
        Some(Account { left, allowed, first: single, cost, share: 1.0 })
    }

    /// How much more the controller asks for than it usually does.
    fn urgency(&mut self, surface: &mut dyn Surface) -> Result<f64> {
        self.state.position += 1;
        if self.state.position >= self.controller.window() as u64 {
            self.state.position = 0;
            self.controller.adapt(surface)?;
            let s = self.controller.samples_per_window();
            self.state.usual = 0.9 * self.state.usual + 0.1 * s;
        }
        Ok(self.controller.samples_per_window() / self.state.usual)
    }
}

impl Schedule for Budget {
    fn due(&mut self, _g: &Gradient, surface: &mut dyn Surface) -> Result<bool> {
        let now = surface.spent();
        let origin = *self.state.origin.get_or_insert_with(|| Origin::before(surface.step(), now));
        let spent = origin.since(now);
        let (steps, share) = (self.steps(surface, origin), surface.share());
        let urgency = self.urgency(surface)?;
        surface.note(SAMPLES_PER_WINDOW, Note::Value(self.controller.samples_per_window()));
        let account = match self.config.unit {
            Unit::Passes => Some(self.passes(spent, steps, share)),
            Unit::Time => self.time(spent),
        };
        let Some(account) = account else { return Ok(false) };
        let Account { left, allowed, first, cost, share } = account;
        // Drawn in any case, so that one decision does not move the draws of others.
        let drawn = surface.uniform();
        let rate = (allowed * share - first) / cost;
        // Time is weighed against steps without a second gradient: there must always be some.
        if self.config.unit == Unit::Time && surface.step().is_multiple_of(STAND_STILL) {
            return Ok(false);
        }
        let slack = TOLERANCE * allowed * steps.max(SHORTEST);
        let due = if left > slack {
            true
        } else if rate <= 0.0 || left - cost < -slack {
            false
        } else {
            rate >= 1.0 || drawn < rate * urgency
        };
        if due && self.config.unit == Unit::Passes {
            (self.state.open, self.state.open_share) = (spent.passes, share);
        }
        Ok(due)
    }

    fn observe(&mut self, pair: &Pair) {
        self.controller.observe(pair);
    }

    fn save(&self, memory: &mut Memory) -> Result<()> {
        self.controller.save(memory)?;
        let BudgetState { position, usual, cost, open, open_share, origin, .. } = self.state;
        memory.put_count("budget_position", position);
        memory.put_number("usual", usual);
        memory.put_number("cost", cost);
        memory.put_number("open", open);
        memory.put_number("open_share", open_share);
        if let Some(Origin { steps, spent }) = origin {
            memory.put_numbers(
                "origin",
                vec![
                    steps as f64,
                    spent.passes,
                    spent.single_steps as f64,
                    spent.single_seconds,
                    spent.double_steps as f64,
                    spent.double_seconds,
                ],
            );
        } else {
            memory.put_numbers("origin", Vec::new());
        }
        Ok(())
    }

    fn restore(&mut self, memory: &mut Memory) -> Result<()> {
        self.controller.restore(memory)?;
        self.state = BudgetState {
            position: memory.take_count("budget_position")?,
            usual: memory.take_number("usual")?,
            cost: memory.take_number("cost")?,
            open: memory.take_number("open")?,
            open_share: memory.take_number("open_share")?,
            decided: None,
            origin: Origin::restored(&memory.take_numbers("origin")?)?,
        };
        Ok(())
    }
}
