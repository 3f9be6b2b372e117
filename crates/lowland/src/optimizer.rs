//! The optimizer: a rule over a base.

use burn::module::Module;
use burn::optim::ModuleOptimizer;
use burn::optim::lr_scheduler::module_lr_scheduler::ModuleLearningRate;
use burn::tensor::{Device, Tensor};

use crate::batch::Batch;
use crate::driver::{Driver, Rated};
use crate::evaluation::Losses;
use crate::record::SharpnessAwareRecord;
use crate::report::StepReport;
use crate::rule::{Rule, Samples, Spent};
use crate::{Error, Parameters, Result, Workers};

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
    driver: Driver,
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
        f.debug_struct("SharpnessAware").field("driver", &self.driver).finish_non_exhaustive()
    }
}

impl SharpnessAware {
    /// Puts a rule over a base optimizer. Mind that Burn's momentum has a dampening of 0.1 unless it is
    /// set to 0, as every published recipe has it. Seed 0, no clipping, at most 10 non-finite steps in a
    /// row, [`Measure::All`].
    pub fn new(base: impl Into<ModuleOptimizer>, rule: Box<dyn Rule>) -> Self {
        Self { base: base.into(), driver: Driver::new(rule) }
    }

    /// Sets the seed of everything random: the rule's draws, and dropout, for which the device is
    /// seeded before each evaluation, the same for all evaluations of a step.
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.driver.settings.seed = seed;
        self
    }

    /// Tells how many steps an epoch has, for rules whose settings are in epochs.
    #[must_use]
    pub fn with_steps_per_epoch(mut self, steps: u64) -> Self {
        self.driver.settings.steps_per_epoch = Some(steps);
        self
    }

    /// Tells how many steps the whole training has, for rules that change on the way.
    #[must_use]
    pub fn with_total_steps(mut self, steps: u64) -> Self {
        self.driver.settings.total_steps = Some(steps);
        self
    }

    /// As [`with_total_steps`](Self::with_total_steps), for a training whose length becomes clear only as it
    /// goes on.
    pub fn set_total_steps(&mut self, steps: u64) {
        self.driver.settings.total_steps = Some(steps);
    }

    /// Scales the final gradient down to this norm where it is longer, over all parameters.
    ///
    /// # Errors
    /// A norm that is not positive and finite.
    pub fn with_clip_norm(mut self, norm: f64) -> Result<Self> {
        self.driver.settings.set_clip_norm(norm)?;
        Ok(self)
    }

    /// Sets how many non-finite steps in a row are borne; the next one is an error.
    #[must_use]
    pub fn with_non_finite_limit(mut self, steps: u32) -> Self {
        self.driver.settings.non_finite_limit = steps;
        self
    }

    /// Sets how much a step measures.
    #[must_use]
    pub fn with_measure(mut self, measure: Measure) -> Self {
        self.driver.settings.measure = measure;
        self
    }

    /// Trains together with other workers. Batches must then say how many samples they have, and come to
    /// [`step_batch`](Self::step_batch).
    #[must_use]
    pub fn with_workers(mut self, workers: Workers) -> Self {
        self.driver.settings.workers = workers;
        self
    }

    /// Whether the rule can have two halves of the workers take its two gradients at once
    /// ([`Workers::with_halves`]).
    pub fn works_in_halves(&self) -> bool {
        self.driver.works_in_halves()
    }

    /// The workers that train together.
    pub fn workers(&self) -> &Workers {
        &self.driver.settings.workers
    }

    /// The number of steps so far, those that were not finite included.
    pub fn steps(&self) -> u64 {
        self.driver.state.step
    }

    /// The cost of all evaluations so far, in gradient evaluations of a whole batch.
    pub fn passes(&self) -> f64 {
        self.driver.state.spent.passes
    }

    /// The number of gradients so far, of however many samples each.
    pub fn evaluations(&self) -> u64 {
        self.driver.state.evaluations
    }

    /// What the training has cost so far.
    pub fn spent(&self) -> Spent {
        self.driver.state.spent
    }

    /// The number of steps so far that took a second gradient.
    pub fn second_gradients(&self) -> u64 {
        self.driver.state.second_gradients
    }

    /// The number of steps so far that were not finite and changed nothing.
    pub fn non_finite_steps(&self) -> u64 {
        self.driver.state.non_finite
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
        let mut base = Rated { optimizer: &mut self.base, lr: lr.into() };
        self.driver.step(&mut base, module, batch, &mut Losses(&mut losses))
    }

    /// All that the optimizer, its rule and its base carry from step to step. There is no generator to
    /// save: seed and step give all draws.
    ///
    /// # Errors
    /// The device fails.
    pub fn to_record(&self) -> Result<SharpnessAwareRecord> {
        Ok(SharpnessAwareRecord { base: self.base.to_record(), own: self.driver.fields()? })
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
        self.driver.load(own, device)?;
        Ok(self)
    }

    /// Checks that the state of rule and base is over the parameters of `module`.
    ///
    /// # Errors
    /// [`Error::Record`] where a record of another module was loaded, [`Error::NoParameters`] for a
    /// module that has none.
    pub fn check<M: Module>(&mut self, module: &M) -> Result<()> {
        self.driver.fit(&Parameters::of(module)?)
    }
}
