//! A rule of parts that no paper need have combined.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use derive_setters::Setters;
use serde::de::value::{MapAccessDeserializer, MapDeserializer, StrDeserializer};
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::Result;
use crate::algorithms::aesam::{NormTest, NormTestConfig};
use crate::algorithms::arsam::{ReusePsf, ReusePsfConfig};
use crate::algorithms::asam::{Adaptive, AsamConfig};
use crate::algorithms::ausam::{PastChange, PastChangeConfig};
use crate::algorithms::budget::{Budget, BudgetConfig};
use crate::algorithms::config::{AlgorithmConfig, Descriptor, Fidelity};
use crate::algorithms::controller::{Controller, ControllerConfig};
use crate::algorithms::esam::{Masked, TopRise, TopRiseConfig};
use crate::algorithms::fsam::{FsamConfig, LessAverage};
use crate::algorithms::gcsam::{Centred, GcsamConfig};
use crate::algorithms::gsam::{SurrogateGap, SurrogateGapConfig};
use crate::algorithms::ksam::{TopLoss, TopLossConfig};
use crate::algorithms::looksam::{PerTensor, ReuseOrthogonal, ReuseOrthogonalConfig, TensorRadius};
use crate::algorithms::scheduled::Scheduled;
use crate::algorithms::slsam::{SampledLayers, SampledLayersConfig};
use crate::algorithms::ssam::{RawGradient, Rescaled};
use crate::algorithms::sssam::{AtRandom, AtRandomConfig};
use crate::algorithms::wsam::{Weighted, WeightedConfig};
use crate::rule::ascend::{AlongGradient, Ascend};
use crate::rule::descend::{Descend, SharpGradient};
use crate::rule::schedule::{EveryStep, Never, Periodic, PeriodicConfig, Schedule};
use crate::rule::select::{AllSamples, Select};
use crate::rule::{ComposedRule, Rule};

/// Any combination of four parts. The default is SAM.
///
/// # Update
/// ```text
/// select ──> gradient at w ──> schedule ──> ascend ──> gradient at w + e ──> descend
/// ```
/// What descend gives goes to the base optimizer.
///
/// # Cost
/// What its parts cost.
///
/// # Parameters
/// - `select`: which samples, see [`SelectConfig`]. Default all.
/// - `schedule`: at which steps a second gradient, see [`ScheduleConfig`]. Default every step.
/// - `ascend`: in which direction and how far, see [`AscendConfig`]. Default the gradient, ρ =
///   0.05.
/// - `descend`: which gradient the base optimizer gets, see [`DescendConfig`]. Default the one at
///   `w + e`.
///
/// A combination that makes no sense, such as a descent that reuses what every step takes anew, is
/// refused, with the reason. In a file a part is its name, with its settings where it has any that
/// are not at their defaults: `schedule = "controller"`,
/// `schedule = { controller = { window = 20 } }`.
///
/// # Fidelity
/// Not from a paper.
///
/// # Example
/// ARSAM's schedule and descent, on the samples that K-SAM selects:
/// ```
/// use lowland::descend::{DescendConfig, ReusePsfConfig};
/// use lowland::schedule::ScheduleConfig;
/// use lowland::select::{SelectConfig, TopLossConfig};
/// use lowland::{ComposedConfig, ControllerConfig};
///
/// let rule = ComposedConfig {
///     select: SelectConfig::TopLoss(TopLossConfig { fraction: 0.5 }),
///     schedule: ScheduleConfig::Controller(ControllerConfig::default()),
///     descend: DescendConfig::ReusePsf(ReusePsfConfig::default()),
///     ..ComposedConfig::default()
/// }
/// .build()?;
/// # Ok::<(), lowland::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, Setters)]
#[serde(deny_unknown_fields, default)]
#[setters(prefix = "with_", strip_option)]
#[setters(generate_delegates(ty = "Scheduled<ComposedConfig>", field = "algorithm"))]
pub struct ComposedConfig {
    /// Which samples each gradient is taken on.
    #[serde(deserialize_with = "part")]
    pub select: SelectConfig,
    /// At which steps a second gradient is due.
    #[serde(deserialize_with = "part")]
    pub schedule: ScheduleConfig,
    /// In which direction and how far the perturbed weights lie.
    #[serde(deserialize_with = "part")]
    pub ascend: AscendConfig,
    /// Which gradient goes to the base optimizer.
    #[serde(deserialize_with = "part")]
    pub descend: DescendConfig,
}

impl ComposedConfig {
    pub(super) const DESCRIPTOR: Descriptor = Descriptor {
        name: "composed",
        label: "Composed",
        summary: "any four parts: select, schedule, ascend, descend",
        passes: "that of its parts",
        memory: "that of its parts",
        below_one_pass: true,
        source: "-",
        fidelity: Fidelity::Laws,
    };

    /// Creates the settings with their defaults.
    pub fn new() -> Self {
        Self::default()
    }
}

impl AlgorithmConfig for ComposedConfig {
    fn descriptor(&self) -> Descriptor {
        Self::DESCRIPTOR
    }

    fn controller(&self) -> Option<&ControllerConfig> {
        match &self.schedule {
            ScheduleConfig::Controller(controller) => Some(controller),
            ScheduleConfig::Budget(budget) => budget.controller.as_ref(),
            _ => None,
        }
    }

    fn build(&self) -> Result<Box<dyn Rule>> {
        Ok(Box::new(ComposedRule::of(
            self.select.build()?,
            self.schedule.build()?,
            self.ascend.build()?,
            self.descend.build()?,
        )?))
    }
}

/// A part by its name alone, or as a table from its name to its settings.
fn part<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<T, D::Error> {
    from.deserialize_any(PartVisitor(PhantomData))
}

struct PartVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for PartVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a part, or a table from its name to its settings")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<T, E> {
        if let Ok(part) = T::deserialize(StrDeserializer::<E>::new(name)) {
            return Ok(part);
        }
        // A part that has settings, all at their defaults.
        let settings = BTreeMap::<&str, &str>::new();
        let table = MapDeserializer::new(std::iter::once((name, settings)));
        T::deserialize(MapAccessDeserializer::new(table))
    }

    fn visit_map<A: MapAccess<'de>>(self, table: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(table))
    }
}

/// The first stage in configuration.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SelectConfig {
    /// See [`AllSamples`].
    #[default]
    All,
    /// See [`TopLoss`].
    TopLoss(TopLossConfig),
    /// See [`TopRise`].
    TopRise(TopRiseConfig),
    /// See [`PastChange`].
    PastChange(PastChangeConfig),
    /// See [`SampledLayers`].
    SampledLayers(SampledLayersConfig),
}

impl SelectConfig {
    /// Checks the values and makes the part.
    ///
    /// # Errors
    /// A value outside its allowed range, named.
    pub fn build(&self) -> Result<Box<dyn Select>> {
        Ok(match self {
            Self::All => Box::new(AllSamples),
            Self::TopLoss(config) => Box::new(TopLoss::new(*config)?),
            Self::TopRise(config) => Box::new(TopRise::new(*config)?),
            Self::PastChange(config) => Box::new(PastChange::new(*config)?),
            Self::SampledLayers(config) => Box::new(SampledLayers::new(*config)?),
        })
    }
}

/// The second stage in configuration.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ScheduleConfig {
    /// See [`EveryStep`].
    #[default]
    EveryStep,
    /// See [`Never`].
    Never,
    /// See [`Periodic`].
    Periodic(PeriodicConfig),
    /// See [`AtRandom`].
    AtRandom(AtRandomConfig),
    /// See [`NormTest`].
    NormTest(NormTestConfig),
    /// See [`Controller`].
    Controller(ControllerConfig),
    /// See [`Budget`].
    Budget(BudgetConfig),
}

impl ScheduleConfig {
    /// Checks the values and makes the part.
    ///
    /// # Errors
    /// A value outside its allowed range, named.
    pub fn build(&self) -> Result<Box<dyn Schedule>> {
        Ok(match self {
            Self::EveryStep => Box::new(EveryStep),
            Self::Never => Box::new(Never),
            Self::Periodic(config) => Box::new(Periodic::new(*config)?),
            Self::AtRandom(config) => Box::new(AtRandom::new(*config)?),
            Self::NormTest(config) => Box::new(NormTest::new(*config)?),
            Self::Controller(config) => Box::new(Controller::new(config.clone())?),
            Self::Budget(config) => Box::new(Budget::new(config.clone())?),
        })
    }
}

/// The third stage in configuration.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum AscendConfig {
    /// See [`AlongGradient`].
    Gradient {
        /// ρ, the radius.
        rho: f64,
    },
    /// See [`Adaptive`].
    Adaptive(AsamConfig),
    /// See [`RawGradient`].
    RawGradient {
        /// ρ, a factor on the gradient.
        rho: f64,
    },
    /// See [`LessAverage`].
    LessAverage(FsamConfig),
    /// See [`Centred`].
    Centred(GcsamConfig),
    /// See [`Masked`].
    Masked {
        /// ρ, the radius.
        rho: f64,
        /// β, the probability of a coordinate. Default that of ESAM.
        #[serde(default = "beta")]
        beta: f64,
    },
    /// See [`PerTensor`].
    PerTensor {
        /// ρ, the radius.
        rho: f64,
        /// What the radius of one tensor is. Default ρ.
        #[serde(default)]
        radius: TensorRadius,
    },
}

fn beta() -> f64 {
    TopRiseConfig::default().beta
}

impl Default for AscendConfig {
    fn default() -> Self {
        Self::Gradient { rho: 0.05 }
    }
}

impl AscendConfig {
    /// Checks the values and makes the part.
    ///
    /// # Errors
    /// A value outside its allowed range, named.
    pub fn build(&self) -> Result<Box<dyn Ascend>> {
        Ok(match *self {
            Self::Gradient { rho } => Box::new(AlongGradient::new(rho)?),
            Self::Adaptive(config) => Box::new(Adaptive::new(config)?),
            Self::RawGradient { rho } => Box::new(RawGradient::new(rho)?),
            Self::LessAverage(config) => Box::new(LessAverage::new(config)?),
            Self::Centred(config) => Box::new(Centred::new(config)?),
            Self::Masked { rho, beta } => Box::new(Masked::new(rho, beta)?),
            Self::PerTensor { rho, radius } => Box::new(PerTensor::new(rho, radius)?),
        })
    }
}

/// The fourth stage in configuration.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum DescendConfig {
    /// See [`SharpGradient`].
    #[default]
    Sharp,
    /// See [`ReusePsf`].
    ReusePsf(ReusePsfConfig),
    /// See [`ReuseOrthogonal`].
    ReuseOrthogonal(ReuseOrthogonalConfig),
    /// See [`Rescaled`].
    Rescaled,
    /// See [`SurrogateGap`].
    SurrogateGap(SurrogateGapConfig),
    /// See [`Weighted`].
    Weighted(WeightedConfig),
}

impl DescendConfig {
    /// Checks the values and makes the part.
    ///
    /// # Errors
    /// A value outside its allowed range, named.
    pub fn build(&self) -> Result<Box<dyn Descend>> {
        Ok(match *self {
            Self::Sharp => Box::new(SharpGradient),
            Self::ReusePsf(config) => Box::new(ReusePsf::new(config)?),
            Self::ReuseOrthogonal(config) => Box::new(ReuseOrthogonal::new(config)?),
            Self::Rescaled => Box::new(Rescaled),
            Self::SurrogateGap(config) => Box::new(SurrogateGap::new(config)?),
            Self::Weighted(config) => Box::new(Weighted::new(config)?),
        })
    }
}
