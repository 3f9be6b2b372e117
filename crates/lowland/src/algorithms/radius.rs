//! A radius that changes over training and from parameter to parameter.

use burn::module::{ParamGroup, ParamId};
use derive_setters::Setters;
use regex::RegexBuilder;
use serde::{Deserialize, Serialize};

use crate::error::{fraction, non_negative};
use crate::rule::ascend::Ascend;
use crate::rule::schedule::{Course, Warmup, done};
use crate::rule::{Gradient, Perturbation, Surface};
use crate::state::Memory;
use crate::{Error, ParamVec, Parameter, Parameters, Result};

/// The settings of [`Radius`].
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, Setters)]
#[serde(deny_unknown_fields, default)]
#[setters(prefix = "with_")]
pub struct RadiusConfig {
    /// How the radius changes over training. Default: it does not.
    pub schedule: RadiusSchedule,
    /// How long the radius rises from 0 to its own, in equal steps from the first perturbation on:
    /// with a late start, from there. Default 0 steps.
    pub warmup: Warmup,
    /// Which parameters are perturbed at all. Default all.
    pub perturb: Perturb,
    /// Factors on the radius of parameters by their paths, at most 64. The last that matches
    /// counts. One that matches no parameter of the module, trainable or frozen, is an error at the
    /// first perturbation.
    pub groups: Vec<RadiusGroup>,
}

/// How a radius changes over training, as a factor on it.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum RadiusSchedule {
    /// It does not.
    #[default]
    Constant,
    /// In equal steps from 1 to `to` at the last step; the optimizer must know the number of steps.
    Linear {
        /// The factor at the end.
        to: f64,
    },
    /// Along half a cosine from 1 to `to` at the last step.
    Cosine {
        /// The factor at the end.
        to: f64,
    },
    /// `to + (1 − to)·lr/lr_max`, where `lr_max` is the largest learning rate so far (GSAM's rule).
    LearningRate {
        /// The factor at a learning rate of 0, between 0 and 1.
        to: f64,
    },
}

/// Which parameters are perturbed, by the last part of their paths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Perturb {
    /// All.
    #[default]
    All,
    /// All but biases (`bias`) and the scale and shift of normalisation layers (`gamma`, `beta`).
    Weights,
    /// Only the scale and shift of normalisation layers (`gamma`, `beta`).
    Norms,
}

impl Perturb {
    fn covers(self, name: &str) -> bool {
        let norm = name == "gamma" || name == "beta";
        match self {
            Self::All => true,
            Self::Weights => !norm && name != "bias",
            Self::Norms => norm,
        }
    }
}

/// A factor on the radius of some parameters.
///
/// # Example
/// ```
/// use lowland::{RadiusConfig, RadiusGroup, SamConfig};
///
/// let groups = vec![RadiusGroup::new("^fc", 0.5), RadiusGroup::new("bias$", 0.0)];
/// let rule = SamConfig::new(0.05).with_radius(RadiusConfig::default().with_groups(groups)).build()?;
/// # let _ = rule;
/// # Ok::<(), lowland::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RadiusGroup {
    /// A regular expression on the path of a parameter, such as `^fc` or `bias$`. It must stay
    /// within 256 KiB when it is compiled, which only large repetitions do not.
    pub path: String,
    /// The factor on the radius, at least 0; with 0 they are not perturbed.
    pub factor: f64,
}

impl RadiusGroup {
    /// Creates the factor on the radius of the parameters whose path the expression matches.
    pub fn new(path: impl Into<String>, factor: f64) -> Self {
        Self { path: path.into(), factor }
    }
}

/// A few letters of a regular expression can stand for megabytes: its compiled size is bounded, in
/// bytes.
const MOST_PATTERN: usize = 1 << 18;

/// And so is the number of expressions.
const MOST_GROUPS: usize = 64;

/// A schedule of the radius and its factors by parameter.
#[derive(Debug, Clone)]
pub struct Radius {
    schedule: RadiusSchedule,
    warmup: Warmup,
    perturb: Perturb,
    groups: Vec<Group>,
}

/// A factor on the radius of a group of parameters.
#[derive(Debug, Clone)]
struct Group {
    /// The expression that the group was made of, where it was.
    path: Option<String>,
    parameters: ParamGroup,
    factor: f64,
}

impl Radius {
    /// Checks the settings.
    ///
    /// # Errors
    /// A factor that is negative or not finite, too many groups, a path that is no regular
    /// expression or a very large one.
    pub fn new(config: &RadiusConfig) -> Result<Self> {
        match config.schedule {
            RadiusSchedule::Constant => {}
            RadiusSchedule::Linear { to } | RadiusSchedule::Cosine { to } => {
                non_negative("to", to)?;
            }
            RadiusSchedule::LearningRate { to } => {
                fraction("to", to)?;
            }
        }
        let mut radius = Self {
            schedule: config.schedule,
            warmup: config.warmup,
            perturb: config.perturb,
            groups: Vec::new(),
        };
        if config.groups.len() > MOST_GROUPS {
            return Err(Error::config("groups", &config.groups.len(), "at most 64"));
        }
        for RadiusGroup { path, factor } in &config.groups {
            radius.push(Some(path.clone()), group(path)?, *factor)?;
        }
        Ok(radius)
    }

    /// Sets a factor on the radius of a group of Burn's; the last group that matches counts.
    ///
    /// # Errors
    /// A factor that is negative or not finite.
    pub fn with_group(mut self, group: ParamGroup, factor: f64) -> Result<Self> {
        self.push(None, group, factor)?;
        Ok(self)
    }

    fn push(&mut self, path: Option<String>, parameters: ParamGroup, factor: f64) -> Result<()> {
        self.groups.push(Group { path, parameters, factor: non_negative("factor", factor)? });
        Ok(())
    }

    /// The factor on the radius of one parameter.
    fn factor(&self, parameter: &Parameter) -> f64 {
        if !self.perturb.covers(parameter.name()) {
            return 0.0;
        }
        let last = self.groups.iter().rev().find(|group| matches(&group.parameters, parameter));
        last.map_or(1.0, |group| group.factor)
    }

    /// The factors on the radii of all trainable parameters.
    ///
    /// # Errors
    /// A choice or an expression that no parameter of the module, trainable or frozen, belongs to:
    /// a slip of the pen.
    fn factors(&self, parameters: &Parameters) -> Result<Vec<(ParamId, f64)>> {
        let any = |belongs: &dyn Fn(&Parameter) -> bool| parameters.with_frozen().any(belongs);
        if !any(&|parameter| self.perturb.covers(parameter.name())) {
            let allowed = "a choice that covers at least one parameter of the module";
            let found = format!("{:?}", self.perturb).to_lowercase();
            return Err(Error::config("perturb", &found, allowed));
        }
        for Group { path, parameters, .. } in &self.groups {
            if let Some(path) = path
                && !any(&|parameter| matches(parameters, parameter))
            {
                let allowed =
                    "an expression that matches the path of at least one parameter of the module";
                return Err(Error::config("path", path, allowed));
            }
        }
        Ok(parameters.iter().map(|parameter| (parameter.id, self.factor(parameter))).collect())
    }
}

fn matches(group: &ParamGroup, parameter: &Parameter) -> bool {
    group.matches(&parameter.id, Some(&parameter.path))
}

/// The group of a regular expression. Burn compiles it without a bound on its size, so it is
/// compiled with one before.
fn group(path: &String) -> Result<ParamGroup> {
    let refused = |allowed| Error::config("path", path, allowed);
    match RegexBuilder::new(path).size_limit(MOST_PATTERN).build() {
        Err(regex::Error::CompiledTooBig(_)) => {
            return Err(refused("a regular expression of at most 256 KiB when compiled"));
        }
        Err(_) => return Err(refused("a regular expression")),
        Ok(_) => {}
    }
    ParamGroup::from_regex(path).map_err(|_| refused("a regular expression"))
}

/// Another ascent at a radius that is scheduled:
///
/// ```text
/// e_l = factor(t)·factor_l·e'_l
/// ```
///
/// where e' is what the other ascent gives for the gradient of the parameters whose factor is not
/// 0: they alone are perturbed, and norms run over them.
#[derive(Debug, Clone)]
pub struct ScaledRadius {
    inner: Box<dyn Ascend>,
    radius: Radius,
    /// The largest learning rate so far.
    largest: f64,
    /// The step of the first perturbation, once there was one.
    began: Option<u64>,
    /// One a trainable parameter; filled at the first perturbation.
    factors: Vec<(ParamId, f64)>,
}

impl ScaledRadius {
    /// Puts a schedule over an ascent.
    pub fn new(inner: Box<dyn Ascend>, radius: Radius) -> Self {
        Self { inner, radius, largest: 0.0, began: None, factors: Vec::new() }
    }

    fn factor(&mut self, surface: &dyn Surface) -> Result<f64> {
        let lr = surface.learning_rate();
        self.largest = self.largest.max(lr);
        let factor = match self.radius.schedule {
            RadiusSchedule::Constant => 1.0,
            RadiusSchedule::Linear { to } => Course::Linear.at(done(surface)?, 1.0, to),
            RadiusSchedule::Cosine { to } => Course::Cosine.at(done(surface)?, 1.0, to),
            RadiusSchedule::LearningRate { .. } if self.largest <= 0.0 => 1.0,
            RadiusSchedule::LearningRate { to } => to + (1.0 - to) * lr / self.largest,
        };
        let warmup = self.radius.warmup.steps(surface)?;
        let step = surface.step();
        // A record may say anything.
        let done = step.saturating_sub(*self.began.get_or_insert(step));
        let risen = if warmup == 0 { 1.0 } else { done as f64 / warmup as f64 };
        Ok(factor * risen.min(1.0))
    }
}

impl Ascend for ScaledRadius {
    fn perturbation<'a>(
        &mut self,
        g: &'a Gradient,
        surface: &mut dyn Surface,
    ) -> Result<Perturbation<'a>> {
        let factor = self.factor(surface)?;
        let known = self.factors.iter().map(|(id, _)| *id);
        if self.factors.is_empty() || !known.eq(surface.parameters().iter().map(|p| p.id)) {
            self.factors = self.radius.factors(surface.parameters())?;
        }
        let factors = || self.factors.iter().map(|(_, factor)| *factor);
        if factors().all(|factor| factor.to_bits() == 1.0_f64.to_bits()) {
            let Perturbation { direction, scale } = self.inner.perturbation(g, surface)?;
            return Ok(Perturbation { direction, scale: scale.mul_scalar(factor) });
        }
        let keep: Vec<bool> = factors().map(|factor| factor > 0.0).collect();
        let perturbed = g.only(&keep);
        let Perturbation { direction, scale } = self.inner.perturbation(&perturbed, surface)?;
        let parts = direction.into_owned().into_parts().into_iter().zip(factors());
        let direction = parts.map(|(part, factor)| part.map(|part| part.mul_scalar(factor)));
        let direction = ParamVec::new(direction.collect()).into();
        Ok(Perturbation { direction, scale: scale.mul_scalar(factor) })
    }

    fn save(&self, memory: &mut Memory) -> Result<()> {
        memory.put_number("largest_learning_rate", self.largest);
        // The number of the step and 1; 0 before the first.
        memory.put_count("began", self.began.map_or(0, |step| step + 1));
        self.inner.save(memory)
    }

    fn restore(&mut self, memory: &mut Memory) -> Result<()> {
        self.factors.clear();
        self.largest = memory.take_number("largest_learning_rate")?;
        self.began = memory.take_count("began")?.checked_sub(1);
        self.inner.restore(memory)
    }
}
