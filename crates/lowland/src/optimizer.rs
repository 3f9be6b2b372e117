//! The driver: one step. The only place where weights change.

use std::cell::OnceCell;

use burn::module::Module;
use burn::optim::ModuleOptimizer;
use burn::optim::lr_scheduler::module_lr_scheduler::ModuleLearningRate;
use burn::tensor::Tensor;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::parameters::{into_gradients, perturbed, restore_running_state};
use crate::report::StepReport;
use crate::rule::{Note, Perturbation, Rule, Samples, Surface};
use crate::vector::Scalar;
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
}

#[derive(Debug, Clone)]
struct Settings {
    seed: u64,
    steps_per_epoch: Option<u64>,
    total_steps: Option<u64>,
    clip_norm: Option<f64>,
    non_finite_limit: u32,
    measure: Measure,
}

/// What the optimizer itself carries from step to step.
#[derive(Debug, Clone, Default)]
struct State {
    step: u64,
    passes: f64,
    second_gradients: u64,
    non_finite: u64,
    non_finite_in_a_row: u32,
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
        Self { base: base.into(), rule, settings, parameters: None, state: State::default() }
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

    /// The gradient evaluations so far, in batches.
    pub fn passes(&self) -> f64 {
        self.state.passes
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
        losses: F,
    ) -> Result<(M, StepReport)>
    where
        M: Module,
        F: FnMut(&M, &Samples) -> Tensor<1>,
    {
        let parameters = match self.parameters.take() {
            Some(parameters) if parameters.fit(&module) => parameters,
            _ => Parameters::of(&module)?,
        };
        let guarded = self.settings.measure != Measure::Nothing;
        let before = guarded.then(|| (module.valid(), self.rule.clone()));

        let mut evaluation = Evaluation::new(self, &parameters, &module, losses);
        let gradient = self.rule.gradient(&mut evaluation)?;
        let mut report = evaluation.into_report(guarded.then(|| gradient.norm()))?;

        self.state.step += 1;
        self.state.passes += report.passes;
        self.state.second_gradients += u64::from(report.second_gradient);

        let module = match before {
            Some((before, rule)) if !is_finite(&report)? => {
                report.skipped = true;
                self.rule = rule;
                self.count_non_finite(report.step)?;
                restore_running_state(&parameters, module, &before)
            }
            _ => {
                self.state.non_finite_in_a_row = 0;
                let gradient = self.clipped(gradient);
                let gradients = into_gradients(&parameters, gradient, &module);
                self.base.step(lr, module, gradients)
            }
        };
        self.parameters = Some(parameters);
        Ok((module, report))
    }

    fn clipped(&self, gradient: ParamVec) -> ParamVec {
        let Some(most) = self.settings.clip_norm else { return gradient };
        let factor = gradient.inverse_norm().mul_scalar(most).clamp_max(1.0);
        gradient.times(&factor)
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
        if in_a_row > self.settings.non_finite_limit {
            return Err(Error::NonFinite { step, in_a_row });
        }
        Ok(())
    }
}

fn is_finite(report: &StepReport) -> Result<bool> {
    let values = report.values()?;
    Ok(values.loss.is_finite() && values.update_norm.is_none_or(f64::is_finite))
}

/// The view of the loss surface that one step's rule gets.
struct Evaluation<'a, M, F> {
    parameters: &'a Parameters,
    module: &'a M,
    losses: F,
    /// The module after the first evaluation, with running statistics of its own.
    synced: Option<M>,
    step: u64,
    steps_per_epoch: Option<u64>,
    total_steps: Option<u64>,
    measure: Measure,
    generator: ChaCha8Rng,
    device_seed: u64,
    passes: f64,
    loss: Option<Scalar>,
    gradient_norm: Option<Scalar>,
    perturbed_norm: Option<Scalar>,
    second_gradient: bool,
    notes: Vec<(&'static str, Note)>,
}

impl<'a, M: Module, F: FnMut(&M, &Samples) -> Tensor<1>> Evaluation<'a, M, F> {
    fn new(
        optimizer: &SharpnessAware,
        parameters: &'a Parameters,
        module: &'a M,
        losses: F,
    ) -> Self {
        // Seed and step give all that is random in a step: there is no generator state to save.
        let mut generator = ChaCha8Rng::seed_from_u64(optimizer.settings.seed);
        generator.set_stream(optimizer.state.step);
        let device_seed = generator.next_u64();
        Self {
            parameters,
            module,
            losses,
            synced: None,
            step: optimizer.state.step,
            steps_per_epoch: optimizer.settings.steps_per_epoch,
            total_steps: optimizer.settings.total_steps,
            measure: optimizer.settings.measure,
            generator,
            device_seed,
            passes: 0.0,
            loss: None,
            gradient_norm: None,
            perturbed_norm: None,
            second_gradient: false,
            notes: Vec::new(),
        }
    }

    /// The gradient of the mean loss at the weights of `module`.
    fn evaluate(&mut self, module: &M, samples: &Samples) -> Result<ParamVec> {
        for device in module.devices() {
            device.seed(self.device_seed);
        }
        let losses = (self.losses)(module, samples);
        if let Samples::Some { positions, .. } = samples {
            let [found] = losses.dims();
            if found != positions.len() {
                return Err(Error::Losses { expected: positions.len(), found });
            }
        }
        if !losses.is_tracked() {
            return Err(Error::Untracked);
        }
        let loss = losses.mean();
        let gradients = loss.backward();
        self.loss.get_or_insert(loss.inner());
        self.passes += samples.fraction();
        Ok(self.parameters.gradients(module, gradients))
    }

    fn into_report(self, update_norm: Option<Scalar>) -> Result<StepReport> {
        Ok(StepReport {
            step: self.step,
            passes: self.passes,
            second_gradient: self.second_gradient,
            skipped: false,
            loss: self.loss.ok_or(Error::NoEvaluation)?,
            gradient_norm: self.gradient_norm,
            perturbed_norm: self.perturbed_norm,
            update_norm,
            notes: self.notes,
            values: OnceCell::new(),
        })
    }

    /// Applies the first evaluation's updates of running statistics and keeps the copy that this
    /// makes. Burn holds such updates back until the next one; a record made meanwhile lacks them.
    fn sync(&mut self) -> &M {
        self.synced.get_or_insert_with(|| self.module.valid())
    }
}

impl<M: Module, F: FnMut(&M, &Samples) -> Tensor<1>> Surface for Evaluation<'_, M, F> {
    fn gradient(&mut self, samples: &Samples) -> Result<ParamVec> {
        let g = if self.loss.is_none() {
            let g = self.evaluate(self.module, samples)?;
            self.sync();
            g
        } else {
            let copy = perturbed(self.parameters, self.sync().clone().train(), None);
            self.evaluate(&copy, samples)?
        };
        if self.measure == Measure::All {
            self.gradient_norm.get_or_insert_with(|| g.norm());
        }
        Ok(g)
    }

    fn gradient_at(&mut self, e: &Perturbation<'_>, samples: &Samples) -> Result<ParamVec> {
        let first = self.loss.is_none();
        // A clone shares its running statistics with the live module: the first evaluation moves
        // them, wherever it is taken. The copy that later ones get has its own.
        let copy = if first { self.module.clone() } else { self.sync().clone().train() };
        let g_s = self.evaluate(&perturbed(self.parameters, copy, Some(e)), samples)?;
        if first {
            self.sync();
        } else {
            self.second_gradient = true;
        }
        if self.measure == Measure::All {
            self.perturbed_norm = Some(g_s.norm());
        }
        Ok(g_s)
    }

    fn weights(&self) -> ParamVec {
        self.parameters.weights(self.module)
    }

    fn parameters(&self) -> &Parameters {
        self.parameters
    }

    fn uniform(&mut self) -> f64 {
        // 53 bits: all that the mantissa holds.
        (self.generator.next_u64() >> 11) as f64 * 2.0_f64.powi(-53)
    }

    fn step(&self) -> u64 {
        self.step
    }

    fn steps_per_epoch(&self) -> Option<u64> {
        self.steps_per_epoch
    }

    fn total_steps(&self) -> Option<u64> {
        self.total_steps
    }

    fn note(&mut self, name: &'static str, value: Note) {
        self.notes.push((name, value));
    }

    fn wants_psf(&self) -> bool {
        self.measure == Measure::All
    }
}
