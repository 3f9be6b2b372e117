//! The view of the loss surface that one step's rule gets.

use std::cell::OnceCell;

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{Distribution, Tensor, TensorData};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::Active;
use crate::batch::{Accumulate, BatchInfo};
use crate::driver::{Base, Settings, State};
use crate::module::{into_gradients, perturbed};
use crate::parallel::{AscentScope, Bucket, Roll, Shard, Workers, gathered};
use crate::report::StepReport;
use crate::rule::{Cost, Note, Perturbation, RADIUS, Rule, Samples, Selection, Surface};
use crate::vector::{Scalar, read, wide};
use crate::{Diagnostics, Error, ParamVec, Parameters, Result};

/// Where a step's losses or gradients come from, a micro-batch at a time.
pub(crate) trait Source<M> {
    /// Evaluates samples of a micro-batch at the weights of `module`; `first` in the first evaluation of
    /// a step.
    fn evaluate(
        &mut self,
        module: &M,
        micro_batch: usize,
        samples: &Samples,
        first: bool,
    ) -> Result<Evaluated>;

    /// Whether it gives losses, which can be those of some samples.
    fn gives_losses(&self) -> bool;
}

/// What a [`Source`] gives.
#[expect(clippy::large_enum_variant, reason = "it is taken apart at once")]
pub(crate) enum Evaluated {
    /// The losses of the samples, `[samples]`, or their mean, `[1]`, with their gradient graph.
    Losses(Tensor<1>),
    /// The gradients of the loss of the whole micro-batch, which are summed over micro-batches. The loss
    /// itself is not known.
    #[cfg_attr(not(feature = "train"), allow(dead_code, reason = "Burn's `Learner` gives it"))]
    Gradients(GradientsParams),
}

/// The loss closure of [`SharpnessAware::step_micro_batches`](crate::SharpnessAware::step_micro_batches).
pub(crate) struct Losses<'a, F>(pub(crate) &'a mut F);

impl<M, F> Source<M> for Losses<'_, F>
where
    F: FnMut(&M, usize, &Samples) -> Tensor<1>,
{
    fn evaluate(
        &mut self,
        module: &M,
        micro_batch: usize,
        samples: &Samples,
        _first: bool,
    ) -> Result<Evaluated> {
        Ok(Evaluated::Losses((self.0)(module, micro_batch, samples)))
    }

    fn gives_losses(&self) -> bool {
        true
    }
}

/// What a step's evaluations need of the optimizer.
pub(crate) struct Setting<'a, M> {
    pub(crate) parameters: &'a Parameters,
    pub(crate) base: &'a dyn Base<M>,
    pub(crate) batch: &'a BatchInfo<'a>,
    pub(crate) settings: &'a Settings,
    pub(crate) state: &'a State,
    /// What the workers of this training told one another; `None` for one alone.
    pub(crate) roll: Option<&'a Roll>,
}

/// The loss surface of one step, on the module.
pub(crate) struct Evaluation<'a, M> {
    setting: Setting<'a, M>,
    module: &'a M,
    source: &'a mut dyn Source<M>,
    /// The only micro-batch to evaluate, where the rule takes them one by one.
    only: Option<usize>,
    /// Whether the first evaluation is over, which moves running statistics.
    moved: bool,
    /// The samples of this worker that it was taken on.
    moving_samples: usize,
    /// The module after the first evaluation, with running statistics of its own.
    synced: Option<M>,
    generator: ChaCha8Rng,
    device_seed: u64,
    passes: f64,
    evaluations: u32,
    loss: Option<Scalar>,
    latest: Vec<Tensor<1>>,
    /// Where those stand among the losses of all workers, and how many these are.
    latest_place: Option<(usize, usize)>,
    /// Whether one of those is the mean of several.
    latest_is_mean: bool,
    /// What the latest gradient of the ascent is the mean over, where workers ascend apart.
    ascended: Option<Ascended>,
    measure: Diagnostics,
    gradient_norm: Option<Scalar>,
    perturbed_norm: Option<Scalar>,
    /// Gradients at perturbed weights after the first evaluation.
    second_gradients: u32,
    notes: Vec<(&'static str, Note)>,
}

/// What a worker's gradient is the mean over.
#[derive(Debug, Clone)]
struct Ascended {
    samples: f64,
    parameters: Active,
}

/// Over whose samples a gradient is the mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    /// Those of all workers.
    All,
    /// Those of the workers that ascend together.
    Ascent,
}

/// What a worker found on its own samples.
#[derive(Debug, Default)]
struct Own {
    /// Absent where it has none of the samples.
    gradient: Option<ParamVec>,
    loss: Option<Scalar>,
}

/// A part of the batch that is evaluated in one piece.
struct Part {
    micro_batch: usize,
    samples: Samples,
    /// Its share of the samples asked for, or 1 where gradients are summed.
    weight: f64,
}

impl<'a, M: Module> Evaluation<'a, M> {
    pub(crate) fn new(
        setting: Setting<'a, M>,
        module: &'a M,
        source: &'a mut dyn Source<M>,
    ) -> Self {
        // Seed and step give all that is random in a step: there is no generator state to save.
        let seed = setting.settings.seed.unwrap_or(setting.state.drawn());
        let mut generator = ChaCha8Rng::seed_from_u64(seed);
        generator.set_stream(setting.state.step);
        let device_seed = generator.next_u64();
        let measure = setting.settings.measure;
        Self {
            setting,
            module,
            source,
            only: None,
            moved: false,
            moving_samples: 0,
            synced: None,
            generator,
            device_seed,
            passes: 0.0,
            evaluations: 0,
            loss: None,
            latest: Vec::new(),
            latest_place: None,
            ascended: None,
            latest_is_mean: false,
            measure,
            gradient_norm: None,
            perturbed_norm: None,
            second_gradients: 0,
            notes: Vec::new(),
        }
    }

    /// The surface of the same batch once the base optimizer has stepped to `module`.
    pub(crate) fn after(
        setting: Setting<'a, M>,
        module: &'a M,
        source: &'a mut dyn Source<M>,
    ) -> Self {
        // What is not finite here would only show in the next step: norms are looked at whatever is
        // measured otherwise.
        let measure = match setting.settings.measure {
            Diagnostics::Nothing => Diagnostics::Nothing,
            Diagnostics::Finite | Diagnostics::All => Diagnostics::All,
        };
        Self { moved: true, measure, ..Self::new(setting, module, source) }
    }

    /// The rule's gradient, or the mean of what it gives for each micro-batch.
    pub(crate) fn run(&mut self, rule: &mut dyn Rule) -> Result<ParamVec> {
        let BatchInfo { micro_batches, accumulate, .. } = *self.setting.batch;
        let count = match self.setting.roll {
            Some(roll) => roll.pieces(),
            None if accumulate == Accumulate::WholeBatch => 0,
            None => micro_batches.len(),
        };
        if count == 0 {
            return rule.gradient(self);
        }
        let mut mean: Option<ParamVec> = None;
        for i in 0..count {
            self.only = Some(i);
            self.moved = false;
            self.synced = None;
            let gradient = rule.gradient(self)?;
            let weight = self.share();
            mean = Some(match mean {
                None => gradient.map(|part| part.mul_scalar(weight)),
                Some(mean) => mean.plus_scaled(&gradient, weight),
            });
        }
        self.only = None;
        mean.ok_or(Error::NoEvaluation)
    }

    /// The rule's work after the update, and its report added to that of the step. Gives the rule
    /// as it was where what it computed is not finite.
    pub(crate) fn finish(
        mut self,
        mut rule: Box<dyn Rule>,
        report: &mut StepReport,
    ) -> Result<Box<dyn Rule>> {
        let before = rule.clone();
        rule.after(&mut self)?;
        if self.passes == 0.0 {
            return Ok(rule);
        }
        report.passes += self.passes;
        report.evaluations += self.evaluations;
        report.second_gradient |= self.second_gradients > 0;
        let norms: Vec<Scalar> =
            self.gradient_norm.into_iter().chain(self.perturbed_norm.clone()).collect();
        if !read(norms)?.iter().all(|norm| norm.is_finite()) {
            rule = before;
        }
        if self.setting.settings.measure == Diagnostics::All {
            report.perturbed_norm = self.perturbed_norm.or(report.perturbed_norm.take());
        }
        report.notes.extend(self.notes);
        report.values = OnceCell::new();
        Ok(rule)
    }

    fn workers(&self) -> &'a Workers {
        &self.setting.settings.workers
    }

    /// The part of this worker in the batch that the rule sees; `None` for a worker alone.
    fn shard(&self) -> Option<Shard> {
        self.setting.roll.map(|roll| roll.shard(self.only))
    }

    /// Those of `samples`, which are among those of all workers, that this worker has, and their number; where
    /// they stand among all is noted.
    fn own(&mut self, samples: &Samples) -> (Samples, usize) {
        let Some(shard) = self.shard() else { return (samples.clone(), 1) };
        match samples {
            Samples::All => {
                self.latest_place = Some((shard.before, shard.all));
                (Samples::All, shard.own)
            }
            Samples::Some { positions, .. } => {
                let (own, before) = shard.part(positions);
                self.latest_place = Some((before, positions.len()));
                let count = own.len();
                (Samples::Some { positions: own, of: shard.own }, count)
            }
        }
    }

    /// The parts of the batch that hold `samples` of this worker's.
    fn parts(&self, samples: &Samples) -> Vec<Part> {
        let sizes = self.setting.batch.micro_batches;
        if sizes.is_empty() {
            return vec![Part { micro_batch: 0, samples: samples.clone(), weight: 1.0 }];
        }
        let micro_batches = match self.only {
            Some(i) => i..i + 1,
            None => 0..sizes.len(),
        };
        let asked = match samples {
            Samples::All => sizes[micro_batches.clone()].iter().sum(),
            Samples::Some { positions, .. } => positions.len(),
        };
        let mut start = 0;
        let mut parts = Vec::new();
        for i in micro_batches {
            let size = sizes[i];
            let (count, samples) = match samples {
                Samples::All => (size, Samples::All),
                Samples::Some { positions, .. } => {
                    let within = positions.iter().filter(|&&p| (start..start + size).contains(&p));
                    let positions: Vec<usize> = within.map(|p| p - start).collect();
                    (positions.len(), Samples::Some { positions, of: size })
                }
            };
            start += size;
            if count > 0 {
                let share = count as f64 / asked.max(1) as f64;
                let weight = if self.source.gives_losses() { share } else { 1.0 };
                parts.push(Part { micro_batch: i, samples, weight });
            }
        }
        parts
    }

    /// The share of the batch that the evaluations run over.
    fn share(&self) -> f64 {
        let sizes = self.setting.batch.micro_batches;
        match (self.only, self.setting.roll) {
            (Some(i), Some(roll)) => roll.shard(Some(i)).all as f64 / roll.samples() as f64,
            (Some(i), None) => sizes[i] as f64 / sizes.iter().sum::<usize>() as f64,
            (None, _) => 1.0,
        }
    }

    /// Evaluates one part at the weights of `module`.
    fn evaluate(&mut self, module: &M, part: &Part) -> Result<Evaluated> {
        if !self.source.gives_losses() && part.samples != Samples::All {
            return Err(Error::WholeBatches);
        }
        // Each micro-batch of each worker has its own masks.
        let place = ((self.workers().rank() as u64) << 32).wrapping_add(part.micro_batch as u64);
        for device in module.devices() {
            device.seed(self.device_seed.wrapping_add(place));
        }
        let evaluated =
            self.source.evaluate(module, part.micro_batch, &part.samples, !self.moved)?;
        if let Evaluated::Losses(losses) = &evaluated {
            let [found] = losses.dims();
            self.check_losses(found, part)?;
        }
        Ok(evaluated)
    }

    /// Checks that as many losses were given as were asked for, or one for all.
    fn check_losses(&mut self, found: usize, part: &Part) -> Result<()> {
        let size = self.setting.batch.micro_batches.get(part.micro_batch).copied();
        let size = size.or(self.setting.batch.len());
        let expected = match &part.samples {
            Samples::Some { positions, .. } => Some(positions.len()),
            Samples::All if found == 1 => {
                // A mean, unless the batch is known to be of one sample.
                self.latest_is_mean |= size != Some(1);
                None
            }
            Samples::All => size,
        };
        match expected {
            Some(expected) if found != expected => Err(Error::Losses { expected, found }),
            _ => Ok(()),
        }
    }

    /// The gradient of the loss of one part at the weights of `module`, where only active parameters
    /// are leaves, and that loss where it is known.
    fn part_gradient(
        &mut self,
        module: &M,
        part: &Part,
        active: &Active,
    ) -> Result<(ParamVec, Option<Scalar>)> {
        let parameters = self.setting.parameters;
        let losses = match self.evaluate(module, part)? {
            Evaluated::Gradients(gradients) => {
                return Ok((parameters.registered(module, gradients, active), None));
            }
            Evaluated::Losses(losses) => losses,
        };
        self.latest.push(losses.clone().inner());
        let tracked = losses.is_tracked();
        // Of some parameters only, the loss may depend on none.
        if *active == Active::All && !tracked {
            return Err(Error::Untracked { what: "the loss".into() });
        }
        let loss = losses.mean();
        let gradient = if tracked {
            parameters.gradients(module, loss.backward())
        } else {
            ParamVec::new(vec![None; parameters.len()])
        };
        Ok((gradient, Some(loss.inner())))
    }

    /// The gradient of the loss of a selection at the weights of `module`, where only active parameters
    /// are leaves.
    fn differentiate(&mut self, module: &M, of: &Selection, whose: Whose) -> Result<ParamVec> {
        let (own, count) = self.on_own_samples(module, of)?;
        let own = self.exchange(own, count as f64, of, whose)?;
        self.add_loss(own.loss);
        self.count(of);
        own.gradient.ok_or(Error::NoEvaluation)
    }

    /// Counts a gradient of a selection.
    fn count(&mut self, of: &Selection) {
        self.moved = true;
        self.evaluations += 1;
        let cost = self.setting.parameters.cost(&of.parameters);
        self.passes += self.share() * of.samples.fraction() * cost;
    }

    /// What this worker finds at the weights of `module` on those of a selection's samples that it has, and
    /// how many these are.
    fn on_own_samples(&mut self, module: &M, of: &Selection) -> Result<(Own, usize)> {
        self.latest.clear();
        self.latest_is_mean = false;
        let (samples, count) = self.own(&of.samples);
        let mut own = Own::default();
        if !self.moved {
            self.moving_samples += count;
        }
        if count > 0 {
            for part in self.parts(&samples) {
                let (gradient, loss) = self.part_gradient(module, &part, &of.parameters)?;
                own.gradient = Some(match own.gradient {
                    None if part.weight >= 1.0 => gradient,
                    None => gradient.map(|g| g.mul_scalar(part.weight)),
                    Some(sum) => sum.plus_scaled(&gradient, part.weight),
                });
                own.loss = sum_of(own.loss, loss, part.weight);
            }
        }
        Ok((own, count))
    }

    /// The mean over workers of what each found on `samples` of its own.
    fn exchange(&mut self, own: Own, samples: f64, of: &Selection, whose: Whose) -> Result<Own> {
        let workers = self.workers();
        let Some(all) = workers.others() else { return Ok(own) };
        let bucket = Bucket::new(&self.weights(), &of.parameters)?;
        let scope = match whose {
            Whose::Ascent if workers.ascends_apart() => &workers.ascent,
            _ => &AscentScope::Global,
        };
        if matches!(scope, AscentScope::Global) {
            let wanted = own.loss.as_ref().filter(|_| !self.moved);
            let mean = bucket.mean(&**all, own.gradient.as_ref(), wanted, samples)?;
            if mean.samples == 0.0 {
                return Err(Error::NoEvaluation);
            }
            return Ok(Own { gradient: Some(mean.gradient), loss: Some(mean.loss) });
        }
        let loss = self.mean_loss(own.loss, samples)?;
        self.ascended = Some(Ascended { samples, parameters: of.parameters.clone() });
        let gradient = match scope {
            AscentScope::Group(group) => {
                let mean = bucket.mean(&**group, own.gradient.as_ref(), None, samples)?;
                Some(mean.gradient).filter(|_| mean.samples > 0.0)
            }
            AscentScope::Local | AscentScope::Global => own.gradient,
        };
        // Who has no sample has no direction of its own, and takes part in all that follows.
        Ok(Own { gradient: Some(gradient.unwrap_or_else(|| bucket.zeros())), loss })
    }

    /// The mean loss over the samples of all workers, of which each knows that over `samples` of its own,
    /// in the first evaluation of a step.
    fn mean_loss(&self, own: Option<Scalar>, samples: f64) -> Result<Option<Scalar>> {
        if self.moved || self.workers().others().is_none() {
            return Ok(own);
        }
        let own = match own {
            Some(loss) => read(vec![loss])?[0] * samples,
            None => 0.0,
        };
        let sums = self.workers().sums(vec![own, samples])?;
        Ok(Some(self.scalars(&[sums[0] / sums[1]])?))
    }

    /// Numbers on the device of the weights.
    fn scalars(&self, numbers: &[f64]) -> Result<Tensor<1>> {
        let weights = self.weights();
        let first = weights.parts().iter().flatten().next().ok_or(Error::NoParameters)?;
        let data = TensorData::new(numbers.to_vec(), [numbers.len()]);
        Ok(Tensor::from_data(data, (&first.device(), wide(first.dtype()))))
    }

    /// The losses of samples at the weights of `module`, by a forward pass.
    fn forward(&mut self, module: &M, samples: &Samples) -> Result<Tensor<1>> {
        self.latest.clear();
        self.latest_is_mean = false;
        let (own, count) = self.own(samples);
        if !self.moved {
            self.moving_samples += count;
        }
        let mut loss = None;
        if count > 0 {
            for part in self.parts(&own) {
                if let Evaluated::Losses(losses) = self.evaluate(module, &part)? {
                    let losses = losses.inner();
                    loss = sum_of(loss, Some(losses.clone().mean()), part.weight);
                    self.latest.push(losses);
                }
            }
        }
        let loss = self.mean_loss(loss, count as f64)?;
        self.add_loss(loss);
        self.moved = true;
        self.passes += self.share() * samples.fraction() / 3.0;
        self.latest_losses()
    }

    /// Adds to the reported loss, which is that of the first evaluation.
    fn add_loss(&mut self, loss: Option<Scalar>) {
        if !self.moved {
            self.loss = sum_of(self.loss.take(), loss, self.share());
        }
    }

    /// The gradient at the weights.
    fn gradient_of(&mut self, of: &Selection, whose: Whose) -> Result<ParamVec> {
        let first = !self.moved;
        let g = if first && of.parameters == Active::All {
            let module = self.module;
            self.differentiate(module, of, whose)?
        } else {
            let copy = self.copy(None, self.leaves(&of.parameters));
            self.differentiate(&copy, of, whose)?
        };
        if first {
            self.sync();
        }
        let is_mean = whose == Whose::All || !self.workers().ascends_apart();
        if is_mean && self.measure == Diagnostics::All {
            self.gradient_norm.get_or_insert_with(|| g.norm());
        }
        Ok(g)
    }

    /// A copy of the module at `w + e` for the next evaluation. A clone shares its running statistics
    /// with the live module: the first evaluation moves them, wherever it is taken. The copy that
    /// later ones get has its own.
    fn copy(&mut self, e: Option<&Perturbation<'_>>, active: &Active) -> M {
        let copy = if self.moved { self.sync().clone().train() } else { self.module.clone() };
        perturbed(self.setting.parameters, copy, e.map(|e| (&*e.direction, &e.scale)), active)
    }

    /// The parameters that are leaves of an evaluation with respect to `active`: all where there is none, for
    /// what gives gradients alone fails without a gradient graph.
    fn leaves<'b>(&self, active: &'b Active) -> &'b Active {
        let none = matches!(active, Active::Some(flags) if !flags.contains(&true));
        if none && !self.source.gives_losses() { &ALL } else { active }
    }

    /// Applies the first evaluation's updates of running statistics and keeps the copy that this
    /// makes. Burn holds such updates back until the next one; a record made meanwhile lacks them.
    fn sync(&mut self) -> &M {
        self.synced.get_or_insert_with(|| self.module.valid())
    }

    /// Fails where the source knows no losses.
    fn losses_wanted(&self) -> Result<()> {
        if self.source.gives_losses() { Ok(()) } else { Err(Error::WholeBatches) }
    }

    /// The samples of this worker that moved running statistics.
    pub(crate) fn moving_samples(&self) -> usize {
        self.moving_samples
    }

    pub(crate) fn into_report(self, update_norm: Option<Scalar>) -> Result<StepReport> {
        if !self.moved {
            return Err(Error::NoEvaluation);
        }
        Ok(StepReport {
            step: self.setting.state.step,
            passes: self.passes,
            evaluations: self.evaluations,
            second_gradient: self.second_gradients > 0,
            skipped: false,
            loss: self.loss,
            gradient_norm: self.gradient_norm,
            perturbed_norm: self.perturbed_norm,
            update_norm,
            notes: self.notes,
            values: OnceCell::new(),
        })
    }
}

/// `sum + weight * loss`, of what is there of the two.
fn sum_of(sum: Option<Scalar>, loss: Option<Scalar>, weight: f64) -> Option<Scalar> {
    let Some(loss) = loss else { return sum };
    let loss = if weight >= 1.0 { loss } else { loss.mul_scalar(weight) };
    Some(match sum {
        Some(sum) => sum + loss,
        None => loss,
    })
}

/// All parameters.
static ALL: Active = Active::All;

/// No parameter: an evaluation that keeps no gradient graph.
const NONE: Active = Active::Some(Vec::new());

impl<M: Module> Surface for Evaluation<'_, M> {
    fn gradient(&mut self, of: &Selection) -> Result<ParamVec> {
        self.gradient_of(of, Whose::All)
    }

    fn ascent_gradient(&mut self, of: &Selection) -> Result<ParamVec> {
        self.gradient_of(of, Whose::Ascent)
    }

    fn mean(&mut self, own: &ParamVec) -> Result<Option<ParamVec>> {
        let Some(Ascended { samples, parameters }) = &self.ascended else { return Ok(None) };
        let Some(all) = self.workers().others() else { return Ok(None) };
        let bucket = Bucket::new(&self.weights(), parameters)?;
        let mean = bucket.mean(&**all, Some(own), None, *samples)?.gradient;
        if self.measure == Diagnostics::All {
            self.gradient_norm.get_or_insert_with(|| mean.norm());
        }
        Ok(Some(mean))
    }

    fn agree(&self, own: bool) -> Result<bool> {
        self.workers().agree(own)
    }

    fn gradient_at(&mut self, e: &Perturbation<'_>, of: &Selection) -> Result<ParamVec> {
        let first = !self.moved;
        let copy = self.copy(Some(e), self.leaves(&of.parameters));
        let g_s = self.differentiate(&copy, of, Whose::All)?;
        if first {
            self.sync();
        } else {
            self.second_gradients += 1;
        }
        if self.measure == Diagnostics::All {
            self.perturbed_norm = Some(g_s.norm());
            self.notes.push((RADIUS, Note::Device(e.direction.norm() * e.scale.clone())));
        }
        Ok(g_s)
    }

    fn losses(&mut self, samples: &Samples) -> Result<Tensor<1>> {
        self.losses_wanted()?;
        let first = !self.moved;
        let copy = self.copy(None, &NONE);
        let losses = self.forward(&copy, samples)?;
        if first {
            self.sync();
        }
        Ok(losses)
    }

    fn losses_at(&mut self, e: &Perturbation<'_>, samples: &Samples) -> Result<Tensor<1>> {
        self.losses_wanted()?;
        let first = !self.moved;
        let copy = self.copy(Some(e), &NONE);
        let losses = self.forward(&copy, samples)?;
        if first {
            self.sync();
        }
        Ok(losses)
    }

    fn latest_losses(&self) -> Result<Tensor<1>> {
        self.losses_wanted()?;
        if self.latest.is_empty() && self.latest_place.is_none() {
            return Err(Error::NoEvaluation);
        }
        if self.latest_is_mean {
            return Err(Error::PerSample);
        }
        let Some((before, all)) = self.latest_place else {
            return Ok(Tensor::cat(self.latest.clone(), 0));
        };
        let own = read(self.latest.clone())?;
        self.scalars(&gathered(self.workers(), &own, before, all)?)
    }

    fn base_step(&self, g: &ParamVec) -> ParamVec {
        let Setting { parameters, base, settings, .. } = self.setting;
        let gradients = into_gradients(parameters, settings.clipped(g.clone()), self.module);
        let next = base.preview(self.module, gradients);
        parameters.weights(&next).minus(&self.weights())
    }

    fn weights(&self) -> ParamVec {
        self.setting.parameters.weights(self.module)
    }

    fn parameters(&self) -> &Parameters {
        self.setting.parameters
    }

    fn indices(&self) -> Option<&[usize]> {
        if let Some(roll) = self.setting.roll {
            return roll.indices(self.only);
        }
        let indices = self.setting.batch.indices?;
        let sizes = self.setting.batch.micro_batches;
        Some(match self.only {
            Some(i) => {
                let start = sizes[..i].iter().sum::<usize>();
                &indices[start..start + sizes[i]]
            }
            None => indices,
        })
    }

    fn uniform(&mut self) -> f64 {
        // 53 bits: all that the mantissa holds.
        (self.generator.next_u64() >> 11) as f64 * 2.0_f64.powi(-53)
    }

    fn mask(&mut self, like: &ParamVec, probability: f64) -> ParamVec {
        for device in self.module.devices() {
            device.seed(self.generator.next_u64());
        }
        like.clone().map(|part| {
            let distribution = Distribution::Bernoulli(probability);
            Tensor::random(part.shape(), distribution, (&part.device(), part.dtype()))
        })
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
        Cost { passes: spent.passes + self.passes, step_passes: self.passes, ..spent }
    }

    fn note(&mut self, name: &'static str, value: Note) {
        self.notes.push((name, value));
    }

    fn wants_psf(&self) -> bool {
        self.setting.settings.measure == Diagnostics::All
    }
}
