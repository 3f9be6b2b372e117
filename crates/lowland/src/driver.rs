//! The driver: one step. The only place where weights change.

use std::time::Instant;

use burn::module::Module;
use burn::optim::lr_scheduler::module_lr_scheduler::ModuleLearningRate;
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::Device;

use crate::batch::Batch;
use crate::evaluation::{Evaluation, Setting, Source};
use crate::parallel::{Workers, mean_running_state, roll_call};
use crate::parameters::{into_gradients, restore_running_state};
use crate::report::StepReport;
use crate::rule::{Rule, Spent};
use crate::state::{Fields, Fit, Load, Save, Within};
use crate::{Error, Measure, ParamVec, Parameters, Result};

/// What takes the step, once a rule has given the gradient.
pub(crate) trait Base<M> {
    /// The module after the step with these gradients.
    fn step(&mut self, module: M, gradients: GradientsParams) -> M;

    /// The module that [`step`](Self::step) would give; takes no step.
    fn preview(&self, module: &M, gradients: GradientsParams) -> M;

    /// The learning rate of this step.
    fn learning_rate(&self) -> f64;
}

/// A Burn optimizer and the rate of its next step.
pub(crate) struct Rated<'a> {
    pub(crate) optimizer: &'a mut ModuleOptimizer,
    pub(crate) lr: ModuleLearningRate,
}

impl<M: Module> Base<M> for Rated<'_> {
    fn step(&mut self, module: M, gradients: GradientsParams) -> M {
        self.optimizer.step(self.lr.clone(), module, gradients)
    }

    fn preview(&self, module: &M, gradients: GradientsParams) -> M {
        self.optimizer.clone().step(self.lr.clone(), module.clone(), gradients)
    }

    fn learning_rate(&self) -> f64 {
        self.lr.base()
    }
}

/// A rule under way: all of an optimizer but its base.
#[derive(Debug, Clone)]
pub(crate) struct Driver {
    rule: Box<dyn Rule>,
    pub(crate) settings: Settings,
    parameters: Option<Parameters>,
    pub(crate) state: State,
    /// A record was loaded and not yet checked against the module.
    unchecked: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) seed: u64,
    pub(crate) steps_per_epoch: Option<u64>,
    pub(crate) total_steps: Option<u64>,
    pub(crate) clip_norm: Option<f64>,
    pub(crate) non_finite_limit: u32,
    pub(crate) measure: Measure,
    pub(crate) workers: Workers,
}

/// What the optimizer itself carries from step to step.
#[derive(Debug, Clone, Default)]
pub(crate) struct State {
    pub(crate) step: u64,
    pub(crate) spent: Spent,
    pub(crate) evaluations: u64,
    pub(crate) second_gradients: u64,
    pub(crate) non_finite: u64,
    non_finite_in_a_row: u64,
    /// Steps since this optimizer was made or loaded.
    here: u64,
}

/// Steps that are not timed at the start: caches and kernels are made in them.
const UNTIMED: u64 = 3;

impl State {
    fn fields(&mut self, state: &mut dyn crate::state::State) -> Result<()> {
        state.count("step", &mut self.step)?;
        state.count("evaluations", &mut self.evaluations)?;
        state.count("second_gradients", &mut self.second_gradients)?;
        state.count("non_finite", &mut self.non_finite)?;
        state.count("non_finite_in_a_row", &mut self.non_finite_in_a_row)?;
        let Spent { passes, single_steps, single_seconds, double_steps, double_seconds, .. } =
            &mut self.spent;
        state.number("passes", passes)?;
        state.count("single_steps", single_steps)?;
        state.number("single_seconds", single_seconds)?;
        state.count("double_steps", double_steps)?;
        state.number("double_seconds", double_seconds)
    }
}

impl Driver {
    pub(crate) fn new(rule: Box<dyn Rule>) -> Self {
        let settings = Settings {
            seed: 0,
            steps_per_epoch: None,
            total_steps: None,
            clip_norm: None,
            non_finite_limit: 10,
            measure: Measure::All,
            workers: Workers::alone(),
        };
        Self { rule, settings, parameters: None, state: State::default(), unchecked: false }
    }

    pub(crate) fn works_in_halves(&self) -> bool {
        self.rule.works_in_halves()
    }

    /// One step on a batch whose gradients `source` takes, with the update of `base`.
    pub(crate) fn step<M: Module>(
        &mut self,
        base: &mut dyn Base<M>,
        module: M,
        batch: &Batch<'_>,
        source: &mut dyn Source<M>,
    ) -> Result<(M, StepReport)> {
        let started = Instant::now();
        batch.check()?;
        let parameters = match self.parameters.take() {
            Some(parameters) if parameters.fit(&module) => parameters,
            _ => Parameters::of(&module)?,
        };
        if self.unchecked {
            self.fit(&parameters)?;
        }
        let guarded = self.settings.measure != Measure::Nothing;
        let seconds = [self.state.spent.single_seconds, self.state.spent.double_seconds];
        let workers = &self.settings.workers;
        if workers.half().is_some() && !self.rule.works_in_halves() {
            return Err(Error::Combination(
                "workers in two halves take two gradients at once, and those of this rule wait for each \
                 other; leave the workers whole",
            ));
        }
        let wants_indices = self.rule.chooses_samples();
        let roll = roll_call(workers, batch, self.state.step, seconds, wants_indices)?;
        if let Some(roll) = &roll {
            // Decisions by the clock are the same for all.
            let spent = &mut self.state.spent;
            [spent.single_seconds, spent.double_seconds] = roll.seconds;
        }
        let running = (guarded || roll.is_some()).then(|| module.valid());
        let before = guarded.then(|| self.rule.clone());

        let setting = Setting {
            parameters: &parameters,
            base: &*base,
            batch,
            settings: &self.settings,
            state: &self.state,
            roll: roll.as_ref(),
        };
        let mut evaluation = Evaluation::new(setting, &module, source);
        let gradient = evaluation.run(&mut *self.rule)?;
        let moving = evaluation.moving_samples();
        let mut report = evaluation.into_report(guarded.then(|| gradient.norm()))?;

        let module = match before {
            Some(rule) if !is_finite(&report)? => {
                report.skipped = true;
                self.rule = rule;
                self.count_non_finite(report.step)?;
                match running {
                    Some(running) => restore_running_state(&parameters, module, &running),
                    None => module,
                }
            }
            _ => {
                self.state.non_finite_in_a_row = 0;
                let gradient = self.settings.clipped(gradient);
                let gradients = into_gradients(&parameters, gradient, &module);
                let module = match &running {
                    Some(running) if roll.is_some() => {
                        let workers = &self.settings.workers;
                        mean_running_state(workers, &parameters, module, running, moving)?
                    }
                    _ => module,
                };
                let module = base.step(module, gradients);
                let setting = Setting {
                    parameters: &parameters,
                    base: &*base,
                    batch,
                    settings: &self.settings,
                    state: &self.state,
                    roll: roll.as_ref(),
                };
                let evaluation = Evaluation::after(setting, &module, source);
                let rule = evaluation.finish(self.rule.clone(), &mut report)?;
                self.rule = rule;
                module
            }
        };
        self.parameters = Some(parameters);
        self.count(&report, started.elapsed().as_secs_f64());
        if self.settings.workers.is_check_due(self.state.step) {
            self.settings.workers.compare(&module, report.step)?;
        }
        Ok((module, report))
    }

    fn count(&mut self, report: &StepReport, seconds: f64) {
        self.state.step += 1;
        self.state.evaluations += u64::from(report.evaluations);
        self.state.second_gradients += u64::from(report.second_gradient);
        let spent = &mut self.state.spent;
        spent.passes += report.passes;
        let (steps, sum) = if report.second_gradient {
            (&mut spent.double_steps, &mut spent.double_seconds)
        } else {
            (&mut spent.single_steps, &mut spent.single_seconds)
        };
        if self.state.here >= UNTIMED {
            *steps += 1;
            *sum += seconds;
        }
        self.state.here += 1;
    }

    /// All that the driver and its rule carry from step to step.
    pub(crate) fn fields(&self) -> Result<Fields> {
        let mut save = Save::default();
        let mut copy = self.clone();
        copy.rule.settle(&self.settings.workers)?;
        copy.show(&mut save)?;
        Ok(save.fields)
    }

    /// Puts back what [`fields`](Self::fields) gave, with vectors on `device`.
    pub(crate) fn load(&mut self, fields: Fields, device: &Device) -> Result<()> {
        let mut load = Load { fields, device: device.clone().inner() };
        self.show(&mut load)?;
        load.finish()?;
        self.unchecked = true;
        Ok(())
    }

    /// Checks that the state of the rule is over these parameters.
    pub(crate) fn fit(&mut self, parameters: &Parameters) -> Result<()> {
        self.rule.state(&mut Fit(parameters))?;
        self.unchecked = false;
        Ok(())
    }

    fn show(&mut self, state: &mut dyn crate::state::State) -> Result<()> {
        self.state.fields(&mut Within { part: "optimizer", state })?;
        self.rule.state(&mut Within { part: "rule", state })
    }

    fn count_non_finite(&mut self, step: u64) -> Result<()> {
        self.state.non_finite += 1;
        self.state.non_finite_in_a_row += 1;
        let in_a_row = self.state.non_finite_in_a_row;
        tracing::warn!(
            step,
            in_a_row,
            "the loss or gradient is not finite: the step changes nothing"
        );
        if in_a_row > u64::from(self.settings.non_finite_limit) {
            return Err(Error::NonFinite { step, in_a_row });
        }
        Ok(())
    }
}

impl Settings {
    pub(crate) fn set_clip_norm(&mut self, norm: f64) -> Result<()> {
        if !(norm.is_finite() && norm > 0.0) {
            return Err(Error::config("clip_norm", &norm, "finite and above 0"));
        }
        self.clip_norm = Some(norm);
        Ok(())
    }

    pub(crate) fn clipped(&self, gradient: ParamVec) -> ParamVec {
        let Some(most) = self.clip_norm else { return gradient };
        let factor = gradient.inverse_norm().mul_scalar(most).clamp_max(1.0);
        gradient.times(&factor)
    }
}

fn is_finite(report: &StepReport) -> Result<bool> {
    let values = report.values()?;
    Ok((report.loss.is_none() || values.loss.is_finite())
        && values.update_norm.is_none_or(f64::is_finite))
}
