//! The view of the loss surface that one step's rule gets, and what it costs.

use std::cell::OnceCell;
use std::rc::Rc;

use burn::module::Module;
use burn::tensor::{Distribution, Tensor};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::agreement::Agreement;
use super::among::Among;
use super::base::Base;
use super::batch::BatchInfo;
use super::evaluate::{Evaluate, sum_of};
use super::generators::hold;
use super::local::Local;
use super::micro_batches::MicroBatches;
use super::report::StepReport;
use super::settings::{Diagnostics, Settings, State};
use super::source::Source;
use crate::module::into_gradients;
use crate::rule::{
    Cost, Gradient, Note, PSF_NORM, Perturbation, RADIUS, Rule, Samples, Selection, Surface, Update,
};
use crate::vector::Scalar;
use crate::{Error, ParamVec, Parameters, Result};

/// What a step's surface needs of the optimizer.
pub(super) struct Setting<'a, M> {
    pub(super) module: &'a M,
    pub(super) parameters: &'a Parameters,
    pub(super) base: &'a dyn Base<M>,
    pub(super) batch: &'a BatchInfo<'a>,
    pub(super) settings: &'a Settings,
    pub(super) state: &'a State,
    /// What the workers of this training know of one another; `None` for one alone.
    pub(super) agreement: Option<&'a Agreement>,
    /// The weights of the module.
    pub(super) weights: &'a dyn Fn() -> ParamVec,
}

/// The loss surface of one step.
pub(super) struct StepSurface<'a, M> {
    setting: Setting<'a, M>,
    evaluate: Box<dyn Evaluate + 'a>,
    generator: ChaCha8Rng,
    passes: f64,
    /// The passes before the micro-batch that the rule takes now.
    passes_before: f64,
    evaluations: u32,
    /// Gradients at perturbed weights after the first evaluation.
    second_gradients: u32,
    loss: Option<Scalar>,
    gradient_norm: Option<Scalar>,
    /// Where that norm will be once a mean is read.
    late_norm: Option<Rc<OnceCell<Scalar>>>,
    perturbed_norm: Option<Scalar>,
    notes: Vec<(&'static str, Note)>,
}

impl<'a, M: Module> StepSurface<'a, M> {
    pub(super) fn new(setting: Setting<'a, M>, source: &'a mut dyn Source<M>) -> Self {
        let Setting { module, parameters, batch, settings, state, agreement, weights, .. } =
            setting;
        // Seed and step give all that is random in a step: there is no generator state to save.
        let mut generator =
            ChaCha8Rng::seed_from_u64(settings.seed.unwrap_or_else(|| state.drawn()));
        generator.set_stream(state.step);
        // Each micro-batch of each worker has its own masks.
        let seed = generator.next_u64().wrapping_add((settings.workers.rank() as u64) << 32);
        let own = MicroBatches::new(Local::new(parameters, module, source, seed), batch);
        let evaluate: Box<dyn Evaluate + 'a> = match agreement {
            Some(agreement) => Box::new(Among::new(own, &settings.workers, agreement, weights)),
            None => Box::new(own),
        };
        Self {
            setting,
            evaluate,
            generator,
            passes: 0.0,
            passes_before: 0.0,
            evaluations: 0,
            second_gradients: 0,
            loss: None,
            gradient_norm: None,
            late_norm: None,
            perturbed_norm: None,
            notes: Vec::new(),
        }
    }

    /// The rule's update, or the mean of what it gives for each micro-batch.
    pub(super) fn run(&mut self, rule: &mut dyn Rule) -> Result<Update> {
        let pieces = self.evaluate.pieces();
        if pieces == 0 {
            let update = rule.update(self)?;
            self.evaluate.failure()?;
            return Ok(update);
        }
        if pieces > 1 && rule.needs_whole_batches() {
            return Err(Error::EachMicroBatch);
        }
        let mut mean: Option<Update> = None;
        for i in 0..pieces {
            self.turn_to(i);
            let update = rule.update(self)?;
            self.evaluate.failure()?;
            mean = Some(weighted(mean, update, self.evaluate.share()));
        }
        mean.ok_or(Error::NoEvaluation)
    }

    /// Goes over to a micro-batch that the rule takes as a batch of its own. Norms and their notes
    /// begin anew: those of two micro-batches do not belong together.
    fn turn_to(&mut self, piece: usize) {
        self.evaluate.turn_to(Some(piece));
        self.passes_before = self.passes;
        self.gradient_norm = None;
        self.late_norm = None;
        self.perturbed_norm = None;
        self.notes.retain(|(name, _)| *name != PSF_NORM && *name != RADIUS);
    }

    fn measures_all(&self) -> bool {
        self.setting.settings.diagnostics == Diagnostics::All
    }

    /// Counts a gradient of a selection.
    fn count(&mut self, of: &Selection) {
        self.evaluations += 1;
        let cost = self.setting.parameters.cost(&of.parameters);
        self.passes += self.evaluate.share() * of.samples.fraction() * cost;
    }

    /// Adds to the reported loss, which is that of the first evaluation.
    fn add_loss(&mut self, first: bool, loss: Option<Scalar>) {
        if first {
            self.loss = sum_of(self.loss.take(), loss, self.evaluate.share());
        }
    }

    /// The samples of this process that moved running statistics.
    pub(super) fn moving_samples(&self) -> usize {
        self.evaluate.moving_samples()
    }

    pub(super) fn into_report(self, update_norm: Option<Scalar>) -> Result<StepReport> {
        if self.evaluate.is_first() {
            return Err(Error::NoEvaluation);
        }
        let late = self.late_norm.and_then(|norm| norm.get().cloned());
        Ok(StepReport {
            step: self.setting.state.step,
            passes: self.passes,
            evaluations: self.evaluations,
            second_gradient: self.second_gradients > 0,
            skipped: false,
            loss: self.loss,
            gradient_norm: self.gradient_norm.or(late),
            perturbed_norm: self.perturbed_norm,
            update_norm,
            notes: self.notes,
            values: OnceCell::new(),
        })
    }
}

/// `mean + weight * update`
fn weighted(mean: Option<Update>, update: Update, weight: f64) -> Update {
    let add = |mean: Option<ParamVec>, vector: ParamVec| match mean {
        None => vector.map(|part| part.mul_scalar(weight)),
        Some(mean) => mean.plus_scaled(&vector, weight),
    };
    let (gradient, displacement) = match mean {
        None => (None, None),
        Some(mean) => (Some(mean.gradient), mean.displacement),
    };
    Update {
        gradient: add(gradient, update.gradient),
        displacement: match update.displacement {
            Some(vector) => Some(add(displacement, vector)),
            None => displacement,
        },
    }
}

impl<M: Module> Surface for StepSurface<'_, M> {
    fn gradient(&mut self, of: &Selection) -> Result<Gradient> {
        let first = self.evaluate.is_first();
        let found = self.evaluate.gradient(None, of)?;
        self.add_loss(first, found.loss);
        self.count(of);
        let g = found.gradient.ok_or(Error::NoEvaluation)?;
        if self.measures_all() && self.gradient_norm.is_none() {
            match found.norm {
                None => self.gradient_norm = Some(g.norm()),
                Some(late) => {
                    self.late_norm.get_or_insert(late);
                }
            }
        }
        Ok(g)
    }

    fn gradient_at(&mut self, e: &Perturbation<'_>, of: &Selection) -> Result<ParamVec> {
        let first = self.evaluate.is_first();
        let found = self.evaluate.gradient(Some(e), of)?;
        self.add_loss(first, found.loss);
        self.count(of);
        let g_s = found.gradient.ok_or(Error::NoEvaluation)?.into_vec();
        if !first {
            self.second_gradients += 1;
        }
        if self.measures_all() {
            self.perturbed_norm = Some(g_s.norm());
            self.notes.push((RADIUS, Note::Device(e.direction.norm() * e.scale.clone())));
        }
        Ok(g_s)
    }

    fn losses(&mut self, at: Option<&Perturbation<'_>>, samples: &Samples) -> Result<Tensor<1>> {
        let first = self.evaluate.is_first();
        let loss = self.evaluate.forward(at, samples)?;
        self.add_loss(first, loss);
        self.passes += self.evaluate.share() * samples.fraction() / 3.0;
        self.evaluate.latest_losses()
    }

    fn latest_losses(&self) -> Result<Tensor<1>> {
        self.evaluate.latest_losses()
    }

    fn base_step(&self, g: &ParamVec) -> ParamVec {
        let Setting { module, parameters, base, settings, .. } = self.setting;
        let gradients = into_gradients(parameters, settings.clipped(g.clone()), module);
        let next = base.preview(module, gradients);
        parameters.weights(&next).minus(&self.weights())
    }

    fn weights(&self) -> ParamVec {
        (self.setting.weights)()
    }

    fn parameters(&self) -> &Parameters {
        self.setting.parameters
    }

    fn indices(&self) -> Option<&[usize]> {
        self.evaluate.indices()
    }

    fn uniform(&mut self) -> f64 {
        // 53 bits: all that the mantissa holds.
        (self.generator.next_u64() >> 11) as f64 * 2.0_f64.powi(-53)
    }

    fn draw(&mut self, like: &ParamVec, distribution: Distribution) -> ParamVec {
        let _held = hold();
        for device in self.setting.module.devices() {
            device.seed(self.generator.next_u64());
        }
        like.clone()
            .map(|part| Tensor::random(part.shape(), distribution, (&part.device(), part.dtype())))
    }

    fn read(&mut self, numbers: Vec<Scalar>) -> Result<Vec<f64>> {
        self.evaluate.read(numbers)
    }

    fn step(&self) -> u64 {
        self.setting.state.step
    }

    fn steps_per_epoch(&self) -> Option<u64> {
        self.setting.settings.steps_per_epoch
    }

    fn total_steps(&self) -> Option<u64> {
        self.setting.settings.total_steps
    }

    fn learning_rate(&self) -> f64 {
        self.setting.base.learning_rate()
    }

    fn spent(&self) -> Cost {
        let spent = self.setting.state.spent;
        let step_passes = self.passes - self.passes_before;
        Cost { passes: spent.passes + self.passes, step_passes, ..spent }
    }

    fn share(&self) -> f64 {
        self.evaluate.share()
    }

    fn note(&mut self, name: &'static str, value: Note) {
        self.notes.push((name, value));
    }

    fn wants_psf(&self) -> bool {
        self.measures_all()
    }
}
