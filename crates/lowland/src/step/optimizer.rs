//! The optimizer: a rule over a base.

use std::path::Path;

use burn::module::{Module, ParamId};
use burn::optim::ModuleOptimizer;
use burn::optim::lr_scheduler::module_lr_scheduler::ModuleLearningRate;
use burn::tensor::{Bytes, Tensor};

use super::base::Rated;
use super::batch::BatchInfo;
use super::driver::{Driver, counterpart, known};
use super::record::{SharpnessAwareRecord, renamed};
use super::report::StepReport;
use super::settings::Diagnostics;
use super::source::Losses;
use crate::algorithms::AlgorithmConfig;
use crate::parallel::Workers;
use crate::rule::{Cost, Rule, Samples};
use crate::{Error, Result};

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
/// use lowland::{SamConfig, SharpnessAware};
///
/// let device = Device::flex().autodiff();
/// let mut model: Linear = LinearConfig::new(3, 1).init(&device);
/// let x = Tensor::<2>::random([8, 3], Distribution::Default, &device); // [batch, features]
///
/// let mut optimizer = SharpnessAware::new(SgdConfig::new().init(), SamConfig::new(0.05))?;
/// for _ in 0..10 {
///     let loss = |model: &Linear| model.forward(x.clone()).square().mean();
///     let (next, report) = optimizer.step(0.1, model, loss)?;
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

impl std::fmt::Debug for SharpnessAware {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SharpnessAware").field("driver", &self.driver).finish_non_exhaustive()
    }
}

impl SharpnessAware {
    /// Puts an algorithm over a base optimizer: the settings of a named one
    /// (`ArsamConfig::new(0.05)`), the same with a [budget or radius schedule](crate::Scheduled),
    /// an [`Algorithm`](crate::Algorithm) from a file, or a [`Rule`] of your own. AdaSAM and bSAM
    /// belong over the base optimizer that they bring, which [`over_own_base`](Self::over_own_base)
    /// gives them; over another base AdaSAM is SAM.
    ///
    /// Burn's momentum has a default dampening of 0.1; published recipes use 0, so set
    /// `dampening: 0.0`. The defaults: a seed drawn from the device, no clipping, at most 10
    /// non-finite steps in a row, [`Diagnostics::All`].
    ///
    /// # Errors
    /// A setting outside its allowed range, named; [`Error::Unsupported`] for a budget or radius
    /// schedule that does not apply to the algorithm.
    pub fn new<R>(base: impl Into<ModuleOptimizer>, rule: R) -> Result<Self>
    where
        R: TryInto<Box<dyn Rule>, Error: Into<Error>>,
    {
        Ok(Self { base: base.into(), driver: Driver::new(rule.try_into().map_err(Into::into)?) })
    }

    /// Puts an algorithm over the base optimizer that it brings, as AdaSAM and bSAM do. All else
    /// is as in [`new`](Self::new).
    ///
    /// # Errors
    /// [`Error::Unsupported`] for an algorithm that goes over any base, and those of
    /// [`new`](Self::new).
    ///
    /// # Example
    /// ```
    /// use lowland::{AdaSamConfig, SamConfig, SharpnessAware};
    ///
    /// let optimizer = SharpnessAware::over_own_base(AdaSamConfig::new(0.05))?;
    /// # let _ = optimizer;
    /// assert!(SharpnessAware::over_own_base(SamConfig::new(0.05)).is_err());
    /// # Ok::<(), lowland::Error>(())
    /// ```
    #[expect(clippy::needless_pass_by_value, reason = "it takes what `new` takes")]
    pub fn over_own_base<C: AlgorithmConfig>(algorithm: C) -> Result<Self> {
        let base = algorithm.base()?.ok_or(Error::Unsupported {
            setting: "over_own_base",
            algorithm: algorithm.descriptor().label,
            reason: "it brings no base optimizer; give `SharpnessAware::new` one",
        })?;
        Ok(Self { base, driver: Driver::new(algorithm.build()?) })
    }

    /// Sets the seed of everything random in a step: the rule's draws, and dropout, for which the
    /// device is seeded before each evaluation, the same for all evaluations of a step. Default: a
    /// number that is drawn from the module's device at the first step, so that `Device::seed`
    /// decides.
    ///
    /// What is drawn on the device between steps differs from step to step and between
    /// optimizers; it follows from the device's seed before the first step.
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.driver.settings.seed = Some(seed);
        self
    }

    /// Sets the number of steps in an epoch, for algorithms whose settings are in epochs.
    #[must_use]
    pub fn with_steps_per_epoch(mut self, steps: u64) -> Self {
        self.driver.settings.steps_per_epoch = Some(steps);
        self
    }

    /// Sets the number of steps in the whole training, for algorithms that change over it.
    #[must_use]
    pub fn with_total_steps(mut self, steps: u64) -> Self {
        self.driver.settings.total_steps = Some(steps);
        self
    }

    /// As [`with_total_steps`](Self::with_total_steps), for a training whose length becomes clear
    /// only during it.
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

    /// Sets the maximum number of consecutive non-finite steps before a step returns
    /// [`Error::NonFinite`].
    #[must_use]
    pub fn with_non_finite_limit(mut self, steps: u32) -> Self {
        self.driver.settings.non_finite_limit = steps;
        self
    }

    /// Sets how much a step measures.
    #[must_use]
    pub fn with_diagnostics(mut self, diagnostics: Diagnostics) -> Self {
        self.driver.settings.diagnostics = diagnostics;
        self
    }

    /// Trains together with other workers. Each batch must state its number of samples, so use
    /// [`step_samples`](Self::step_samples) or [`step_micro_batches`](Self::step_micro_batches).
    #[must_use]
    pub fn with_workers(mut self, workers: Workers) -> Self {
        self.driver.settings.workers = workers;
        self
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
    pub fn spent(&self) -> Cost {
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

    /// Takes one step on the mean loss of a batch; returns the module after it and a report.
    ///
    /// `loss` returns the mean loss of the batch, `[1]`. It is called once for every gradient, with
    /// the module at the weights or at perturbed ones, and must use the same batch each time. `lr`
    /// is a learning rate or Burn's [`ModuleLearningRate`], which has one for each group of
    /// parameters.
    ///
    /// # Errors
    /// [`Error::PerSample`] for algorithms that choose samples, which need
    /// [`step_samples`](Self::step_samples); [`Error::Untracked`] for a module that is not on an
    /// autodiff device; [`Error::Missing`] where the algorithm needs to know more of the training;
    /// a learning rate that is negative or not finite; more non-finite steps in a row than allowed;
    /// a device that fails. The module is gone then; clone it before, which is cheap, where it is
    /// still needed. The optimizer is as it was before the step, but for its count of non-finite
    /// steps, and can train such a clone further. The running statistics that the clone shares with
    /// the module are put back, too, unless [`Diagnostics::Nothing`] is set and there are no other
    /// [`Workers`].
    pub fn step<M, F>(
        &mut self,
        lr: impl Into<ModuleLearningRate>,
        module: M,
        mut loss: F,
    ) -> Result<(M, StepReport)>
    where
        M: Module,
        F: FnMut(&M) -> Tensor<1>,
    {
        if self.driver.chooses_samples() {
            return Err(Error::PerSample);
        }
        let batch = BatchInfo::default();
        self.step_micro_batches(lr, module, &batch, |module, _, _| loss(module))
    }

    /// Takes one step of an algorithm that chooses samples, or on a batch of which more is said:
    /// the positions of its samples in the data set, or their number.
    ///
    /// `losses` returns the losses of the samples it is asked for, `[samples]`, in their order
    /// ([`Samples::select`] picks them from a tensor of the batch); algorithms that never choose
    /// samples take their mean, `[1]`, as well. State the size ([`BatchInfo::with_size`]) where a
    /// batch may hold a single sample: `[1]` is otherwise taken for a mean. All else is as in
    /// [`step`](Self::step).
    ///
    /// # Errors
    /// As [`step`](Self::step), losses of another number than was asked for, and a batch whose
    /// description contradicts itself.
    ///
    /// # Example
    /// K-SAM, on the half of each batch with the largest losses:
    /// ```
    /// use burn::nn::{Linear, LinearConfig};
    /// use burn::optim::SgdConfig;
    /// use burn::tensor::{Device, Distribution, Int, Tensor};
    /// use lowland::{BatchInfo, CrossEntropyConfig, KsamConfig, SharpnessAware};
    ///
    /// let device = Device::flex().autodiff();
    /// let model: Linear = LinearConfig::new(3, 2).init(&device);
    /// let x = Tensor::<2>::random([8, 3], Distribution::Default, &device); // [batch, features]
    /// let y = Tensor::<1, Int>::from_ints([0, 1, 0, 1, 1, 0, 0, 1], &device); // [batch]
    /// let loss = CrossEntropyConfig::new().init(&device)?;
    ///
    /// let mut optimizer = SharpnessAware::new(SgdConfig::new().init(), KsamConfig::new(0.05))?;
    /// let batch = BatchInfo::default().with_size(8);
    /// let (model, report) = optimizer.step_samples(0.1, model, &batch, |model, samples| {
    ///     loss.forward(model.forward(samples.select(x.clone())), samples.select(y.clone()))
    /// })?;
    /// # let _ = (model, report);
    /// # Ok::<(), lowland::Error>(())
    /// ```
    pub fn step_samples<M, F>(
        &mut self,
        lr: impl Into<ModuleLearningRate>,
        module: M,
        batch: &BatchInfo<'_>,
        mut losses: F,
    ) -> Result<(M, StepReport)>
    where
        M: Module,
        F: FnMut(&M, &Samples) -> Tensor<1>,
    {
        self.step_micro_batches(lr, module, batch, |module, _, samples| losses(module, samples))
    }

    /// Takes one step on a batch that comes in micro-batches, because it is too large for the
    /// device.
    ///
    /// `losses` is also given the number of the micro-batch, counted from 0, and positions within
    /// it; it is called for each micro-batch in turn. All else is as in
    /// [`step_samples`](Self::step_samples).
    ///
    /// # Errors
    /// As [`step_samples`](Self::step_samples); [`Error::EachMicroBatch`] for algorithms that
    /// cannot take micro-batches one by one.
    pub fn step_micro_batches<M, F>(
        &mut self,
        lr: impl Into<ModuleLearningRate>,
        module: M,
        batch: &BatchInfo<'_>,
        mut losses: F,
    ) -> Result<(M, StepReport)>
    where
        M: Module,
        F: FnMut(&M, usize, &Samples) -> Tensor<1>,
    {
        let mut base = Rated { optimizer: &mut self.base, lr: lr.into() };
        self.driver.step(&mut base, module, batch, &mut Losses(&mut losses))
    }

    /// All that the optimizer, its rule and its base carry from step to step.
    ///
    /// # Errors
    /// The device fails.
    pub fn to_record(&self) -> Result<SharpnessAwareRecord> {
        Ok(SharpnessAwareRecord { base: self.base.to_record(), own: self.driver.fields()? })
    }

    /// Puts back what [`to_record`](Self::to_record) gave, for the module whose weights were saved
    /// at the same time. The optimizer must have been made with the same base, algorithm and
    /// settings; training then continues as if it had never stopped.
    ///
    /// Parameters are known by the identifiers that Burn saves with a module and, where these are
    /// others (weights from SafeTensors have none), by their paths.
    ///
    /// # Errors
    /// [`Error::Record`] where the record is of another base, algorithm or module, with the first
    /// thing that does not fit.
    pub fn load_record<M: Module>(
        mut self,
        record: SharpnessAwareRecord,
        module: &M,
    ) -> Result<Self> {
        let SharpnessAwareRecord { base, own } = record;
        let described = known(own.parameters.clone());
        let parameters = self.driver.load(own, module)?;
        let base = renamed(base, &|id, path| {
            let path = path.unwrap_or_default().to_owned();
            let id = ParamId::from(id);
            let described = described.iter().find(|known| known.id == id);
            let found = match described {
                Some(known) => counterpart(parameters, known)?,
                None => parameters.named(id, &path).ok_or_else(|| {
                    let problem = format!("has a state for `{path}`, which the module lacks");
                    Error::record("base", problem)
                })?,
            };
            Ok(found.id.val())
        })?;
        let tensors = base.len();
        self.base = self.base.load_record(base);
        let loaded = self.base.to_record().len();
        if loaded != tensors {
            // Burn leaves out what it cannot place.
            let problem =
                format!("has {tensors} tensors, of which {loaded} fit the base optimizer");
            return Err(Error::record("base", problem));
        }
        Ok(self)
    }

    /// Saves the [record](Self::to_record) to a file, in Burn's burnpack format. The file takes its
    /// name once it is whole. Save the module beside it.
    ///
    /// # Errors
    /// [`Error::File`] where it cannot be written.
    ///
    /// # Example
    /// ```
    /// # use burn::nn::{Linear, LinearConfig};
    /// # use burn::optim::AdamWConfig;
    /// # use burn::tensor::Device;
    /// # let directory = tempfile::tempdir().unwrap();
    /// # let path = directory.path().join("optimizer.bpk");
    /// use lowland::{ArsamConfig, SharpnessAware};
    ///
    /// let model: Linear = LinearConfig::new(3, 1).init(&Device::flex().autodiff());
    /// let optimizer = || SharpnessAware::new(AdamWConfig::new().init(), ArsamConfig::new(0.05));
    /// optimizer()?.save(&path)?;
    /// let optimizer = optimizer()?.load(&path, &model)?;
    /// # let _ = optimizer;
    /// # Ok::<(), lowland::Error>(())
    /// ```
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let mut part = path.as_os_str().to_owned();
        part.push(".part");
        let bytes = self.to_record()?.into_bytes()?;
        let written = std::fs::write(&part, &*bytes).and_then(|()| std::fs::rename(&part, path));
        written.map_err(|error| Error::file("write", path, error))
    }

    /// Puts back what [`save`](Self::save) wrote; see [`load_record`](Self::load_record).
    ///
    /// # Errors
    /// [`Error::File`] where the file cannot be read, and those of
    /// [`load_record`](Self::load_record).
    pub fn load<M: Module>(self, path: impl AsRef<Path>, module: &M) -> Result<Self> {
        let path = path.as_ref();
        let bytes = std::fs::read(path).map_err(|error| Error::file("read", path, error))?;
        let bytes = Bytes::from_bytes_vec(bytes);
        let record = SharpnessAwareRecord::from_bytes(bytes).map_err(|error| match error {
            Error::Record { problem, .. } => Error::record(&path.display().to_string(), problem),
            other => other,
        })?;
        self.load_record(record, module)
    }
}
