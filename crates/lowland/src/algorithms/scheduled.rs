//! What can be set over any algorithm: a budget, a late start, and how its radius changes.

use burn::optim::ModuleOptimizer;
use serde::{Deserialize, Serialize};

use crate::algorithms::budget::{Budget, BudgetConfig, Unit};
use crate::algorithms::config::{AlgorithmConfig, Descriptor};
use crate::algorithms::controller::ControllerConfig;
use crate::algorithms::radius::{Radius, RadiusConfig, RadiusSchedule, ScaledRadius};
use crate::error::{fraction, positive};
use crate::rule::Rule;
use crate::rule::schedule::{Frequency, LateStart, Warmup};
use crate::{Error, Result};

/// An algorithm with a budget, a late start, a radius that changes, or several of these. Every
/// algorithm's settings have the same builders (`with_budget`, `with_radius_schedule`, …) and give
/// this; the builders of the algorithm's own settings are here too, so that their order does not
/// matter.
///
/// What does not apply to the algorithm is refused with [`Error::Unsupported`] where the rule is
/// made.
///
/// # Example
/// ```
/// use lowland::{ArsamConfig, MsamConfig, RadiusSchedule};
///
/// let arsam = ArsamConfig::new(0.05)
///     .with_budget(1.2)
///     .with_radius_schedule(RadiusSchedule::Cosine { to: 0.1 })
///     .with_beta(0.9);
/// assert!(arsam.build().is_ok());
///
/// let error = MsamConfig::new(0.3).with_budget(1.2).build().unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "`budget` does not apply to MSAM: every step computes the same gradients"
/// );
/// ```
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scheduled<C> {
    /// The algorithm.
    pub algorithm: C,
    /// What a step may cost on average. Default: what the algorithm's own schedule costs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<BudgetConfig>,
    /// The share of training before which no second gradient is taken. Default: from the start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub late_start: Option<f64>,
    /// How the radius changes over training and from parameter to parameter. Default: it does not.
    #[serde(default)]
    pub radius: RadiusConfig,
}

impl<C> From<C> for Scheduled<C> {
    fn from(algorithm: C) -> Self {
        Self { algorithm, budget: None, late_start: None, radius: RadiusConfig::default() }
    }
}

impl<C> Scheduled<C> {
    /// Limits what a step may cost on average, in passes: second gradients are taken as often as
    /// the limit allows, by [`Budget`] in place of the algorithm's own schedule, whose settings
    /// (a period, a probability, a threshold) then have no effect; late SAM keeps its start, from
    /// which the budget counts. K-SAM and AUSAM train on their part of the batch in the other steps
    /// too. At least 1, but for algorithms that leave samples or parameters out of all gradients of
    /// a step ([`Descriptor::below_one_pass`](crate::Descriptor)).
    #[must_use]
    pub fn with_budget(self, passes: f64) -> Self {
        self.with_budget_of(BudgetConfig::default().with_limit(passes))
    }

    /// Limits what a step may cost on average, in measured time, where a step without a second
    /// gradient takes 1, the least. Which steps take one then depends on the clock.
    #[must_use]
    pub fn with_time_budget(self, limit: f64) -> Self {
        self.with_budget_of(BudgetConfig::default().with_limit(limit).with_unit(Unit::Time))
    }

    /// Limits what a step may cost on average; see [`with_budget`](Self::with_budget).
    #[must_use]
    pub fn with_budget_of(mut self, budget: BudgetConfig) -> Self {
        self.budget = Some(budget);
        self
    }

    /// Takes no second gradient in the first part of training, up to this share of its steps; then
    /// the algorithm's own schedule or the budget begins (late SAM, arXiv 2410.10373), as
    /// [`LateStart`] says. The optimizer must know the number of steps of the training.
    ///
    /// It works with a learning rate that has not yet decayed to nothing in the last part. Under a
    /// cosine to 0 the last quarter of the steps has 2.5 % of the sum of all rates: choose rates
    /// that fall in steps, or that end above 0.
    #[must_use]
    pub fn with_late_start(mut self, start: f64) -> Self {
        self.late_start = Some(start);
        self
    }

    /// Sets how the radius changes over training and from parameter to parameter, in place of all
    /// that was set of it before.
    #[must_use]
    pub fn with_radius(mut self, radius: RadiusConfig) -> Self {
        self.radius = radius;
        self
    }

    /// Sets how the radius changes over training.
    #[must_use]
    pub fn with_radius_schedule(mut self, schedule: RadiusSchedule) -> Self {
        self.radius.schedule = schedule;
        self
    }

    /// Sets how long the radius rises from 0 to its own, from the first perturbation on.
    #[must_use]
    pub fn with_radius_warmup(mut self, warmup: Warmup) -> Self {
        self.radius.warmup = warmup;
        self
    }
}

/// Why a rule cannot do without its own schedule.
const THIN: &str = "its first gradient leaves tensors out, which a step without a second one would \
                    not train; set `mask = \"coordinates\"` (ESAM) or `beta = 1`";

/// What a budget may be where a step without a second gradient costs 1.
const ONE_STEP: &str = "at least 1, the cost of a step without a second gradient";

impl<C: AlgorithmConfig> Scheduled<C> {
    /// Puts budget and radius over the algorithm's rule.
    fn over(&self, mut rule: Box<dyn Rule>) -> Result<Box<dyn Rule>> {
        let of = self.algorithm.descriptor();
        let unsupported =
            |setting, reason| Error::Unsupported { setting, algorithm: of.label, reason };
        // Before a budget takes the place of the schedule.
        let never = rule.schedule().is_some_and(|own| own.frequency() == Frequency::Never);
        if self.radius != RadiusConfig::default() {
            let radius = Radius::new(&self.radius)?;
            if never {
                return Err(unsupported("radius", "it never perturbs the weights"));
            }
            let Some(ascend) = rule.ascend() else {
                return Err(unsupported("radius", "it has no radius that can change"));
            };
            *ascend = Box::new(ScaledRadius::new(ascend.clone(), radius));
        }
        if let Some(budget) = &self.budget {
            if never {
                return Err(unsupported("budget", "it never takes a second gradient"));
            }
            if rule.thins_first_gradient() {
                return Err(unsupported("budget", THIN));
            }
            let Some(schedule) = rule.schedule() else {
                return Err(unsupported("budget", "every step computes the same gradients"));
            };
            positive("budget", budget.limit)?;
            if budget.limit < 1.0 && (budget.unit == Unit::Time || !of.below_one_pass) {
                return Err(Error::config("budget", &budget.limit, ONE_STEP));
            }
            // What starts late still does.
            let schedule = match schedule.begun_late() {
                Some(begun) => begun,
                None => schedule,
            };
            let own = || self.algorithm.controller().cloned();
            let controller = budget.controller.clone().or_else(own);
            *schedule = Box::new(Budget::new(BudgetConfig { controller, ..budget.clone() })?);
        }
        if let Some(start) = self.late_start {
            if never {
                return Err(unsupported("late_start", "it never takes a second gradient"));
            }
            if rule.thins_first_gradient() {
                return Err(unsupported("late_start", THIN));
            }
            let Some(schedule) = rule.schedule() else {
                return Err(unsupported("late_start", "every step computes the same gradients"));
            };
            let start = fraction("late_start", start)?;
            *schedule = Box::new(LateStart::new(schedule.clone(), start)?);
        }
        Ok(rule)
    }

    /// Checks the settings and makes the rule.
    ///
    /// # Errors
    /// A value outside its allowed range, and [`Error::Unsupported`] for a budget or radius that
    /// does not apply to the algorithm.
    pub fn build(&self) -> Result<Box<dyn Rule>> {
        AlgorithmConfig::build(self)
    }
}

impl<C: AlgorithmConfig> AlgorithmConfig for Scheduled<C> {
    fn descriptor(&self) -> Descriptor {
        self.algorithm.descriptor()
    }

    fn build(&self) -> Result<Box<dyn Rule>> {
        self.over(self.algorithm.build()?)
    }

    fn base(&self) -> Result<Option<ModuleOptimizer>> {
        self.algorithm.base()
    }

    fn with_sample_count(self, count: u64) -> Self {
        Self { algorithm: self.algorithm.with_sample_count(count), ..self }
    }

    fn controller(&self) -> Option<&ControllerConfig> {
        self.algorithm.controller()
    }
}

impl<C: AlgorithmConfig> TryFrom<Scheduled<C>> for Box<dyn Rule> {
    type Error = Error;

    fn try_from(settings: Scheduled<C>) -> Result<Self> {
        settings.build()
    }
}
