//! The driver: one step. The only place where weights change.

use std::time::Instant;

use burn::module::Module;
use burn::optim::ModuleOptimizer;
use burn::optim::lr_scheduler::module_lr_scheduler::ModuleLearningRate;
use burn::tensor::{Device, Tensor};

use crate::batch::Batch;
use crate::evaluation::{Evaluation, Setting};
use crate::parameters::{into_gradients, restore_running_state};
use crate::record::SharpnessAwareRecord;
use crate::report::StepReport;
use crate::rule::{Rule, Samples, Spent};
use crate::state::{Fit, Load, Save, Within};
use crate::{Error, ParamVec, Parameters, Result};

/// A sharpness-aware optimizer: a rule over any Burn optimizer.
///
/// ```text
/// w ← base(w, rule(surface))
/// ```
///
/// The live weights are never written: a gradient at `w + e` is taken on a perturbed copy. Running
/// statistics such as those of BatchNorm move in the first evaluation of a step and in no other.
/// A step whose loss or gradient is not finite changes nothing.
///
/// # Example
/// ```
/// # use burn::module::Module;
/// # use burn::nn::{Linear, LinearConfig};
/// # use burn::optim::SgdConfig;
/// # use burn::tensor::{Device, Distribution, Tensor};
/// use lowland::{Config, SamConfig, SharpnessAware};
///
/// let device = Device::flex().autodiff();
/// let mut model: Linear = LinearConfig::new(3, 1).init(&device);
/// let x = Tensor::<2>::random([8, 3], Distribution::Default, &device); // [batch, features]
///
/// let mut optimizer = SharpnessAware::new(SgdConfig::new().init(), SamConfig::default().build()?);
/// for _ in 0..10 {
///     let losses = |model: &Linear, _: &_| model.forward(x.clone()).square().mean();
///     let (next, report) = optimizer.step(0.1, model, losses)?;
///     model = next;
///     assert_eq!(report.passes, 2.0);
/// }
/// # Ok::<(), lowland::Error>(())
/// ```
#[derive(Clone)]
pub struct SharpnessAware {
    base: ModuleOptimizer,
    rule: Box<dyn Rule>,
    settings: Settings,
    parameters: Option<Parameters>,
    state: State,
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
}

/// What the optimizer itself carries from step to step.
#[derive(Debug, Clone, Default)]
pub(crate) struct State {
    pub(crate) step: u64,
    pub(crate) spent: Spent,
    evaluations: u64,
    second_gradients: u64,
    non_finite: u64,
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

/// How much a step measures beside what its rule needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Measure {
    /// Norms of all gradients and of the PSF, and whether they are finite: a step that is not
    /// changes nothing. One read-back a step, beside what the rule reads itself.
    #[default]
    All,
    /// Whether the loss and the final gradient are finite: a step that is not changes nothing. One
    /// read-back a step.
    Finite,
    /// Nothing: no read-back but the rule's own, and a loss that is not finite goes into the weights.
    Nothing,
}

impl std::fmt::Debug for SharpnessAware {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SharpnessAware")
            .field("rule", &self.rule)
            .field("settings", &self.settings)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

impl SharpnessAware {
    /// Puts a rule over a base optimizer. Mind that Burn's momentum has a dampening of 0.1 unless it is
    /// set to 0, as every published recipe has it. Seed 0, no clipping, at most 10 non-finite steps in a
    /// row, [`Measure::All`].
    pub fn new(base: impl Into<ModuleOptimizer>, rule: Box<dyn Rule>) -> Self {
        let settings = Settings {
            seed: 0,
            steps_per_epoch: None,
            total_steps: None,
            clip_norm: None,
            non_finite_limit: 10,
            measure: Measure::All,
        };
        Self {
            base: base.into(),
            rule,
            settings,
            parameters: None,
            state: State::default(),
            unchecked: false,
        }
    }

    /// Sets the seed of everything random: the rule's draws, and dropout, for which the device is
    /// seeded before each evaluation, the same for all evaluations of a step.
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.settings.seed = seed;
        self
    }

    /// Tells how many steps an epoch has, for rules whose settings are in epochs.
    #[must_use]
    pub fn with_steps_per_epoch(mut self, steps: u64) -> Self {
        self.settings.steps_per_epoch = Some(steps);
        self
    }

    /// Tells how many steps the whole training has, for rules that change on the way.
    #[must_use]
    pub fn with_total_steps(mut self, steps: u64) -> Self {
        self.settings.total_steps = Some(steps);
        self
    }

    /// As [`with_total_steps`](Self::with_total_steps), for a training whose length becomes clear only as it
    /// goes on.
    pub fn set_total_steps(&mut self, steps: u64) {
        self.settings.total_steps = Some(steps);
    }

    /// Scales the final gradient down to this norm where it is longer, over all parameters.
    ///
    /// # Errors
    /// A norm that is not positive and finite.
    pub fn with_clip_norm(mut self, norm: f64) -> Result<Self> {
        if !(norm.is_finite() && norm > 0.0) {
            return Err(Error::config("clip_norm", &norm, "finite and above 0"));
        }
        self.settings.clip_norm = Some(norm);
        Ok(self)
    }

    /// Sets how many non-finite steps in a row are borne; the next one is an error.
    #[must_use]
    pub fn with_non_finite_limit(mut self, steps: u32) -> Self {
        self.settings.non_finite_limit = steps;
        self
    }

    /// Sets how much a step measures.
    #[must_use]
    pub fn with_measure(mut self, measure: Measure) -> Self {
        self.settings.measure = measure;
        self
    }

    /// The number of steps so far, those that were not finite included.
    pub fn steps(&self) -> u64 {
        self.state.step
    }

    /// The cost of all evaluations so far, in gradient evaluations of a whole batch.
    pub fn passes(&self) -> f64 {
        self.state.spent.passes
    }

    /// The number of gradients so far, of however many samples each.
    pub fn evaluations(&self) -> u64 {
        self.state.evaluations
    }

    /// What the training has cost so far.
    pub fn spent(&self) -> Spent {
        self.state.spent
    }

    /// The number of steps so far that took a second gradient.
    pub fn second_gradients(&self) -> u64 {
        self.state.second_gradients
    }

    /// The number of steps so far that were not finite and changed nothing.
    pub fn non_finite_steps(&self) -> u64 {
        self.state.non_finite
    }

    /// One step: gives the module after it, and a report.
    ///
    /// `losses` gives the losses of the samples it is asked for, `[samples]`, or, for rules that
    /// never choose samples, their mean, `[1]`. It is called once for every evaluation and must
    /// give the loss on the same batch each time. `lr` is a learning rate or Burn's
    /// [`ModuleLearningRate`].
    ///
    /// # Errors
    /// The closure's losses cannot be used, the module has no trainable parameter, the device
    /// fails, or more steps in a row than allowed were not finite. The module is gone then; clone
    /// it before, which is cheap, where it is still needed.
    pub fn step<M, F>(
        &mut self,
        lr: impl Into<ModuleLearningRate>,
        module: M,
        mut losses: F,
    ) -> Result<(M, StepReport)>
    where
        M: Module,
        F: FnMut(&M, &Samples) -> Tensor<1>,
    {
        self.step_batch(lr, module, &Batch::default(), |module, _, samples| losses(module, samples))
    }

    /// One step on a batch of which more is said: the numbers of its samples in the data set, which some
    /// rules need, or the micro-batches that it comes in, where it is too large for the device.
    ///
    /// `losses` is also given the number of the micro-batch, counted from 0, and positions within
    /// it; it is called for each micro-batch in turn. All else is as in [`step`](Self::step).
    ///
    /// # Errors
    /// As [`step`](Self::step), and a batch whose description contradicts itself.
    pub fn step_batch<M, F>(
        &mut self,
        lr: impl Into<ModuleLearningRate>,
        module: M,
        batch: &Batch<'_>,
        mut losses: F,
    ) -> Result<(M, StepReport)>
    where
        M: Module,
        F: FnMut(&M, usize, &Samples) -> Tensor<1>,
    {
        let started = Instant::now();
        let lr = lr.into();
        batch.check()?;
        let parameters = match self.parameters.take() {
            Some(parameters) if parameters.fit(&module) => parameters,
            _ => Parameters::of(&module)?,
        };
        if self.unchecked {
            self.fit(&parameters)?;
        }
        let guarded = self.settings.measure != Measure::Nothing;
        let before = guarded.then(|| (module.valid(), self.rule.clone()));

        let setting = Setting {
            parameters: &parameters,
            base: &self.base,
            lr: &lr,
            batch,
            settings: &self.settings,
            state: &self.state,
        };
        let mut evaluation = Evaluation::new(setting, &module, &mut losses);
        let gradient = evaluation.run(&mut *self.rule)?;
        let mut report = evaluation.into_report(guarded.then(|| gradient.norm()))?;

        let module = match before {
            Some((before, rule)) if !is_finite(&report)? => {
                report.skipped = true;
                self.rule = rule;
                self.count_non_finite(report.step)?;
                restore_running_state(&parameters, module, &before)
            }
            _ => {
                self.state.non_finite_in_a_row = 0;
                let gradient = self.settings.clipped(gradient);
                let gradients = into_gradients(&parameters, gradient, &module);
                let module = self.base.step(lr.clone(), module, gradients);
                let setting = Setting {
                    parameters: &parameters,
                    base: &self.base,
                    lr: &lr,
                    batch,
                    settings: &self.settings,
                    state: &self.state,
                };
                let evaluation = Evaluation::after(setting, &module, &mut losses);
                let rule = evaluation.finish(self.rule.clone(), &mut report)?;
                self.rule = rule;
                module
            }
        };
        self.parameters = Some(parameters);
        self.count(&report, started.elapsed().as_secs_f64());
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

    /// All that the optimizer, its rule and its base carry from step to step. There is no generator to
    /// save: seed and step give all draws.
    ///
    /// # Errors
    /// The device fails.
    pub fn to_record(&self) -> Result<SharpnessAwareRecord> {
        let mut save = Save::default();
        let mut copy = self.clone();
        copy.fields(&mut save)?;
        Ok(SharpnessAwareRecord { base: self.base.to_record(), own: save.fields })
    }

    /// Puts back what [`to_record`](Self::to_record) gave, with vectors on `device`. The optimizer must
    /// have been made with the same base, rule and settings; training then goes on as if it had
    /// never stopped, with the module whose record was saved at the same time.
    ///
    /// # Errors
    /// The record is of another base or rule. Whether it is of another module, [`check`](Self::check)
    /// or the next step tells.
    pub fn load_record(mut self, record: SharpnessAwareRecord, device: &Device) -> Result<Self> {
        let SharpnessAwareRecord { base, own } = record;
        let tensors = base.len();
        self.base = self.base.load_record(base);
        let loaded = self.base.to_record().len();
        if loaded != tensors {
            // Burn leaves out what it cannot place.
            let problem = format!("has {tensors} tensors, of which {loaded} fit the base");
            return Err(Error::record("base", problem));
        }
        let device = device.clone().inner();
        let mut load = Load { fields: own, device };
        self.fields(&mut load)?;
        load.finish()?;
        self.unchecked = true;
        Ok(self)
    }

    /// Checks that the state of rule and base is over the parameters of `module`.
    ///
    /// # Errors
    /// [`Error::Record`] where a record of another module was loaded, [`Error::NoParameters`] for a
    /// module that has none.
    pub fn check<M: Module>(&mut self, module: &M) -> Result<()> {
        self.fit(&Parameters::of(module)?)
    }

    fn fit(&mut self, parameters: &Parameters) -> Result<()> {
        self.rule.state(&mut Fit(parameters))?;
        self.unchecked = false;
        Ok(())
    }

    fn fields(&mut self, state: &mut dyn crate::state::State) -> Result<()> {
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
    pub(crate) fn clipped(&self, gradient: ParamVec) -> ParamVec {
        let Some(most) = self.clip_norm else { return gradient };
        let factor = gradient.inverse_norm().mul_scalar(most).clamp_max(1.0);
        gradient.times(&factor)
    }
}

fn is_finite(report: &StepReport) -> Result<bool> {
    let values = report.values()?;
    Ok(values.loss.is_finite() && values.update_norm.is_none_or(f64::is_finite))
}
