//! The driver: one step. The only place where weights change.

use std::sync::Arc;
use std::time::Instant;

use burn::module::{Module, ParamId};
use burn::tensor::{DType, Device, Distribution, Shape, Tensor};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::agreement::agree;
use super::base::Base;
use super::batch::BatchInfo;
use super::generators;
use super::report::StepReport;
use super::settings::{Diagnostics, Settings, State};
use super::source::Source;
use super::surface::{Setting, StepSurface};
use crate::error::non_negative;
use crate::module::{displaced, into_gradients, restore_running_state, retied};
use crate::parallel::mean_running_state;
use crate::rule::{Note, Rule, Update};
use crate::state::{Fields, Memory};
use crate::vector::read;
use crate::{Error, Parameter, Parameters, Result};

/// A rule under way: all of an optimizer but its base.
#[derive(Debug, Clone)]
pub(crate) struct Driver {
    rule: Box<dyn Rule>,
    pub(crate) settings: Settings,
    /// Those of the latest step, over which all that the rule remembers runs.
    parameters: Option<Arc<Parameters>>,
    pub(crate) state: State,
}

/// The name under which the norm of a displacement is noted.
const DISPLACEMENT: &str = "displacement_norm";

/// Steps that are not timed at the start: caches and kernels are made in them.
const UNTIMED: u64 = 3;

impl Driver {
    pub(crate) fn new(rule: Box<dyn Rule>) -> Self {
        let settings = Settings::default();
        Self { rule, settings, parameters: None, state: State::default() }
    }

    /// Whether the rule asks for the losses of single samples.
    pub(crate) fn chooses_samples(&self) -> bool {
        self.rule.chooses_samples()
    }

    /// One step on a batch whose gradients `source` takes, with the update of `base`.
    pub(crate) fn step<M: Module>(
        &mut self,
        base: &mut dyn Base<M>,
        module: M,
        batch: &BatchInfo<'_>,
        source: &mut dyn Source<M>,
    ) -> Result<(M, StepReport)> {
        let started = Instant::now();
        let before = (self.rule.clone(), self.parameters.clone());
        let attempt = self.attempt(base, module, batch, source);
        if !attempt.as_ref().is_ok_and(|(_, report)| !report.skipped) {
            // What a step that failed or is not finite did to the rule is undone.
            (self.rule, self.parameters) = before;
        }
        let (module, report) = attempt?;
        self.count(&report, started.elapsed().as_secs_f64());
        self.leave_seeded(&module);
        if self.settings.workers.is_check_due(self.state.step, self.state.here) {
            self.settings.workers.compare(&module, report.step)?;
        }
        Ok((module, report))
    }

    /// The module after the step, or as it was where the step is not finite. The rule may be
    /// halfway through the step where this fails.
    fn attempt<M: Module>(
        &mut self,
        base: &mut dyn Base<M>,
        module: M,
        batch: &BatchInfo<'_>,
        source: &mut dyn Source<M>,
    ) -> Result<(M, StepReport)> {
        batch.check()?;
        let parameters = self.parameters(&*base, &module)?;
        let guarded = self.settings.diagnostics != Diagnostics::Nothing;
        let seconds = [self.state.spent.single_seconds, self.state.spent.double_seconds];
        let wants_indices = self.rule.chooses_samples();
        let agreement =
            agree(&self.settings.workers, batch, self.state.step, seconds, wants_indices)?;
        if let Some(agreement) = &agreement {
            // Decisions by the clock are the same for all.
            let spent = &mut self.state.spent;
            [spent.single_seconds, spent.double_seconds] = agreement.seconds;
        }
        self.draw(&module)?;
        let running = (guarded || agreement.is_some()).then(|| module.valid());

        let weights = || parameters.weights(&module);
        let setting = Setting {
            module: &module,
            parameters: &parameters,
            base: &*base,
            batch,
            settings: &self.settings,
            state: &self.state,
            agreement: agreement.as_ref(),
            weights: &weights,
        };
        let surface = StepSurface::new(setting, source);
        let outcome = evaluated(surface, &mut *self.rule, guarded);
        let outcome = outcome.and_then(|outcome| outcome.checked(base.lets_go()));
        let Outcome { update, report, moving } = match outcome {
            Ok(outcome) if !outcome.report.skipped => outcome,
            failed => {
                // Clones of the module share its running statistics: they go back first.
                let module = match running {
                    Some(running) => restore_running_state(&parameters, module, &running),
                    None => module,
                };
                let report = failed?.report;
                self.count_non_finite(report.step)?;
                return Ok((module, report));
            }
        };
        self.state.non_finite_in_a_row = 0;
        let Update { gradient, displacement } = update;
        let gradient = self.settings.clipped(gradient);
        let gradients = into_gradients(&parameters, gradient, &module);
        let module = match &running {
            Some(running) if agreement.is_some() => {
                let workers = &self.settings.workers;
                let shared = module.clone();
                let mean = mean_running_state(workers, &parameters, module, running, moving);
                if mean.is_err() {
                    drop(restore_running_state(&parameters, shared, running));
                }
                mean?
            }
            _ => module,
        };
        let module = base.step(module, gradients);
        let module = match displacement {
            Some(direction) => displaced(&parameters, module, &direction, &|parameter| {
                base.learning_rate_of(parameter)
            }),
            None => module,
        };
        Ok((retied(&parameters, module), report))
    }

    /// The trainable parameters of `module`. Where they are not those of the step before (layers
    /// were frozen or unfrozen), what the rule remembers is carried over.
    fn parameters<M: Module>(&mut self, base: &dyn Base<M>, module: &M) -> Result<Arc<Parameters>> {
        let parameters = match &self.parameters {
            Some(parameters) if parameters.fit(module) => Arc::clone(parameters),
            known => {
                let parameters = Arc::new(Parameters::tracked(module)?);
                if let Some(known) = known {
                    let mut memory = Memory::default();
                    self.rule.save(&mut memory)?;
                    memory.carry(known, &parameters)?;
                    self.rule.restore(&mut memory)?;
                }
                self.parameters = Some(Arc::clone(&parameters));
                parameters
            }
        };
        if let ([[first, second], ..], false) = (parameters.ties(), base.lets_go()) {
            let (first, second) = (first.clone(), second.clone());
            return Err(Error::Tied { first, second });
        }
        non_negative("the learning rate", base.learning_rate())?;
        for parameter in parameters.iter() {
            non_negative("the learning rate", base.learning_rate_of(parameter))?;
        }
        Ok(parameters)
    }

    /// Draws the optimizer's own number, before its first step: what is drawn on the device
    /// afterwards depends on it, and so on the seed that the user gave the device. One for all
    /// workers.
    fn draw<M: Module>(&mut self, module: &M) -> Result<()> {
        if self.state.drawn > 0 {
            return Ok(());
        }
        let device = plain_device(module);
        let halves = Tensor::<1>::random([2], Distribution::Default, (&device, DType::F32));
        let halves = read(vec![halves])?;
        // Numbers in [0, 1) have 24 random bits in f32.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "below 2^24")]
        let drawn = halves.iter().fold(0, |bits, half| bits << 24 | (half * 16_777_216.0) as u64);
        let first = self.settings.workers.broadcast(drawn.to_le_bytes().to_vec())?;
        let first = first.try_into().map_err(|_| Error::Collective("a seed was cut off".into()))?;
        self.state.drawn = u64::from_le_bytes(first) + 1;
        Ok(())
    }

    /// Leaves the module's devices in a state that depends on this optimizer and the step, not on
    /// how the step seeded them: what is drawn between steps is new at every step, differs between
    /// optimizers, and is the same after a resume. Workers draw apart.
    fn leave_seeded<M: Module>(&self, module: &M) {
        let mut generator = ChaCha8Rng::seed_from_u64(self.state.drawn);
        // A stream that no step draws from.
        generator.set_stream(!self.state.step);
        let seed = generator.next_u64().wrapping_add(self.settings.workers.rank() as u64);
        generators::seed(&module.devices(), seed);
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
        let mut memory = Memory::default();
        memory.within("optimizer", |memory| {
            self.state.save(memory);
            Ok(())
        })?;
        memory.within("rule", |memory| self.rule.save(memory))?;
        let mut fields = memory.into_fields()?;
        let list = self.parameters.iter().flat_map(|parameters| parameters.iter());
        fields.parameters =
            list.map(|p| (p.id.val(), p.shape.num_elements(), p.path.clone())).collect();
        Ok(fields)
    }

    /// Puts back what [`fields`](Self::fields) gave, for the parameters of `module`, and returns
    /// these.
    pub(crate) fn load<M: Module>(
        &mut self,
        mut fields: Fields,
        module: &M,
    ) -> Result<&Parameters> {
        let parameters = Parameters::tracked(module)?;
        let known = known(std::mem::take(&mut fields.parameters));
        let device = plain_device(module);
        for parameter in &known {
            counterpart(&parameters, parameter)?;
        }
        let mut memory = Memory::from_fields(fields, &device)?;
        memory.carry(&Parameters::of_list(known), &parameters)?;
        self.state = memory.within("optimizer", State::restored)?;
        memory.within("rule", |memory| self.rule.restore(memory))?;
        memory.finish()?;
        if self.state.step > 0 {
            self.leave_seeded(module);
        }
        Ok(self.parameters.insert(Arc::new(parameters)))
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

/// The device of a module, without autodiff.
fn plain_device<M: Module>(module: &M) -> Device {
    module.devices().into_iter().next().unwrap_or_default().inner()
}

/// The parameters that a record describes.
pub(crate) fn known(described: Vec<(u64, usize, String)>) -> Vec<Parameter> {
    let parameter = |(id, elements, path): (u64, usize, String)| Parameter {
        path,
        shape: Shape::from([elements]),
        outputs: 0,
        id: ParamId::from(id),
    };
    described.into_iter().map(parameter).collect()
}

/// What in the module is the parameter that a record describes.
///
/// # Errors
/// [`Error::Record`] where there is none, or one of another size.
pub(crate) fn counterpart<'a>(
    parameters: &'a Parameters,
    known: &Parameter,
) -> Result<&'a Parameter> {
    let Some(own) = parameters.named(known.id, &known.path) else {
        let problem = "is a parameter of the record and not of the module; load the record beside \
                       the weights it was saved with";
        return Err(Error::record(&known.path, problem));
    };
    let (found, expected) = (known.shape.num_elements(), own.shape.num_elements());
    if found != expected {
        let problem = format!("has {expected} values in the module and {found} in the record");
        return Err(Error::record(&known.path, problem));
    }
    Ok(own)
}

/// What the evaluations of a step gave.
struct Outcome {
    update: Update,
    report: StepReport,
    /// The samples of this process that moved running statistics.
    moving: usize,
}

impl Outcome {
    /// An error where the weights are to move past the base optimizer and cannot.
    fn checked(self, lets_go: bool) -> Result<Self> {
        if self.update.displacement.is_some() && !lets_go {
            return Err(Error::Displacement);
        }
        Ok(self)
    }
}

/// Takes a step's evaluations. `guarded` says whether a step that is not finite is marked as
/// skipped.
fn evaluated<M: Module>(
    mut surface: StepSurface<'_, M>,
    rule: &mut dyn Rule,
    guarded: bool,
) -> Result<Outcome> {
    let update = surface.run(rule)?;
    let moving = surface.moving_samples();
    let mut report = surface.into_report(guarded.then(|| update.gradient.norm()))?;
    if let Some(direction) = update.displacement.as_ref().filter(|_| guarded) {
        report.notes.push((DISPLACEMENT, Note::Device(direction.norm())));
    }
    report.skipped = guarded && !is_finite(&report)?;
    Ok(Outcome { update, report, moving })
}

fn is_finite(report: &StepReport) -> Result<bool> {
    let values = report.values()?;
    Ok((report.loss.is_none() || values.loss.is_finite())
        && values.update_norm.is_none_or(f64::is_finite)
        && values.notes.get(DISPLACEMENT).is_none_or(|norm| norm.is_finite()))
}
