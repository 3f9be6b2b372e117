//! A rule of parts that no paper need have combined.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use derive_setters::Setters;
use serde::de::value::{MapAccessDeserializer, MapDeserializer, StrDeserializer};
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::algorithms::{AlgorithmConfig, Descriptor};
use crate::ascend::AscendConfig;
use crate::compose::ComposedRule;
use crate::descend::DescendConfig;
use crate::rule::Rule;
use crate::schedule::ScheduleConfig;
use crate::select::SelectConfig;
use crate::{Result, Scheduled};

/// Any four parts, each chosen by itself: what no paper has combined, and all that papers have where one part is
/// to be another. As it stands it is SAM.
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
/// - `ascend`: in which direction and how far, see [`AscendConfig`]. Default the gradient, ρ = 0.05.
/// - `descend`: which gradient goes on, see [`DescendConfig`]. Default the one at `w + e`.
///
/// A combination that makes no sense, such as a descent that reuses what every step takes anew, is
/// refused, with the reason. In a file a part is its name, with its settings where it has any that are
/// not at their defaults: `schedule = "controller"`, `schedule = { controller = { window = 20 } }`.
///
/// # Fidelity
/// There is no paper to be true to.
///
/// # Example
/// ARSAM's schedule and descent, on the samples that K-SAM selects:
/// ```
/// use lowland::descend::DescendConfig;
/// use lowland::schedule::ScheduleConfig;
/// use lowland::select::{SelectConfig, TopLossConfig};
/// use lowland::{ComposedConfig, ControllerConfig};
///
/// let rule = ComposedConfig {
///     select: SelectConfig::TopLoss(TopLossConfig { fraction: 0.5 }),
///     schedule: ScheduleConfig::Controller(ControllerConfig::default()),
///     descend: DescendConfig::ReusePsf { beta: 0.7, max_reuse: 6 },
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
        source: "-",
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

    fn visit_str<E: Error>(self, name: &str) -> Result<T, E> {
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
