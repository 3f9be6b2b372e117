//! The named algorithms, one file each, and the one list that registers them.

use burn::optim::ModuleOptimizer;
use serde::{Deserialize, Serialize};

use crate::rule::Rule;
use crate::rule::schedule::Warmup;
use crate::{Error, Result};

mod budget;
mod config;
mod controller;
mod drift;
mod radius;
mod scheduled;

pub use budget::{Budget, BudgetConfig, Unit};
pub use config::{AlgorithmConfig, Descriptor, Fidelity};
pub use controller::{Controller, ControllerConfig, SAMPLES_PER_WINDOW};
pub use radius::{Perturb, Radius, RadiusConfig, RadiusGroup, RadiusSchedule, ScaledRadius};
pub use scheduled::Scheduled;

/// What every algorithm's settings have: builders for a budget and a radius that changes, and the
/// way to a rule.
macro_rules! front_door {
    ($config:ident) => {
        impl $config {
            /// Limits what a step may cost on average, in passes; see [`Scheduled::with_budget`].
            #[must_use]
            pub fn with_budget(self, passes: f64) -> Scheduled<Self> {
                Scheduled::from(self).with_budget(passes)
            }

            /// Limits what a step may cost on average, in time; see
            /// [`Scheduled::with_time_budget`].
            #[must_use]
            pub fn with_time_budget(self, limit: f64) -> Scheduled<Self> {
                Scheduled::from(self).with_time_budget(limit)
            }

            /// Limits what a step may cost on average; see [`Scheduled::with_budget_of`].
            #[must_use]
            pub fn with_budget_of(self, budget: BudgetConfig) -> Scheduled<Self> {
                Scheduled::from(self).with_budget_of(budget)
            }

            /// Takes no second gradient before this share of training; see
            /// [`Scheduled::with_late_start`].
            #[must_use]
            pub fn with_late_start(self, start: f64) -> Scheduled<Self> {
                Scheduled::from(self).with_late_start(start)
            }

            /// Sets how the radius changes over training and from parameter to parameter.
            #[must_use]
            pub fn with_radius(self, radius: RadiusConfig) -> Scheduled<Self> {
                Scheduled::from(self).with_radius(radius)
            }

            /// Sets how the radius changes over training.
            #[must_use]
            pub fn with_radius_schedule(self, schedule: RadiusSchedule) -> Scheduled<Self> {
                Scheduled::from(self).with_radius_schedule(schedule)
            }

            /// Sets how long the radius rises from 0 to its own; see
            /// [`Scheduled::with_radius_warmup`].
            #[must_use]
            pub fn with_radius_warmup(self, warmup: Warmup) -> Scheduled<Self> {
                Scheduled::from(self).with_radius_warmup(warmup)
            }

            /// Checks the settings and makes the rule.
            ///
            /// # Errors
            /// A value outside its allowed range, named.
            pub fn build(&self) -> Result<Box<dyn Rule>> {
                AlgorithmConfig::build(self)
            }
        }

        impl TryFrom<$config> for Box<dyn Rule> {
            type Error = Error;

            fn try_from(settings: $config) -> Result<Self> {
                settings.build()
            }
        }
    };
}

macro_rules! register {
    ($($module:ident::$config:ident as $variant:ident = $name:literal $(| $alias:literal)*),* $(,)?) => {
        $(mod $module;)*
        $(pub use $module::*;)*
        $(front_door!($config);)*
        front_door!(Algorithm);

        /// The configuration of any algorithm; in a file, a table with the key `name`.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "name")]
        pub enum Algorithm {
            $(
                #[doc = concat!("See [`", stringify!($config), "`].")]
                #[serde(rename = $name $(, alias = $alias)*)]
                $variant($config),
            )*
        }

        impl Algorithm {
            /// The names and descriptions of all algorithms.
            pub const ALL: &'static [Descriptor] = &[$($config::DESCRIPTOR),*];

            /// The algorithm of that name with its defaults, if there is one.
            pub fn named(name: &str) -> Option<Self> {
                match name {
                    $($name $(| $alias)* => Some(Self::$variant($config::default())),)*
                    _ => None,
                }
            }
        }

        impl AlgorithmConfig for Algorithm {
            fn descriptor(&self) -> Descriptor {
                match self { $(Self::$variant(_) => $config::DESCRIPTOR,)* }
            }

            fn build(&self) -> Result<Box<dyn Rule>> {
                match self { $(Self::$variant(config) => config.build(),)* }
            }

            fn base(&self) -> Result<Option<ModuleOptimizer>> {
                match self { $(Self::$variant(config) => config.base(),)* }
            }

            fn with_sample_count(self, count: u64) -> Self {
                match self {
                    $(Self::$variant(config) => Self::$variant(config.with_sample_count(count)),)*
                }
            }

            fn controller(&self) -> Option<&ControllerConfig> {
                match self { $(Self::$variant(config) => config.controller(),)* }
            }
        }

        impl Algorithm {
            /// What there is to say about this algorithm.
            pub fn descriptor(&self) -> Descriptor {
                AlgorithmConfig::descriptor(self)
            }

            /// The base optimizer that belongs under the rule, for algorithms that bring their own.
            ///
            /// # Errors
            /// A value outside its allowed range, named.
            pub fn base(&self) -> Result<Option<ModuleOptimizer>> {
                AlgorithmConfig::base(self)
            }

            /// The algorithm for a training set of so many samples, where it needs the size (bSAM)
            /// and was not given it.
            #[must_use]
            pub fn with_sample_count(self, count: u64) -> Self {
                AlgorithmConfig::with_sample_count(self, count)
            }
        }

        $(
            impl From<$config> for Algorithm {
                fn from(settings: $config) -> Self {
                    Self::$variant(settings)
                }
            }
        )*
    };
}

// An algorithm is its file and its line here.
register! {
    base::BaseConfig as Base = "base" | "sgd",
    sam::SamConfig as Sam = "sam",
    asam::AsamConfig as Asam = "asam",
    arsam::ArsamConfig as Arsam = "arsam" | "vsam",
    looksam::LookSamConfig as LookSam = "looksam",
    aesam::AesamConfig as Aesam = "aesam",
    fsam::FsamConfig as Fsam = "fsam",
    ssam::StableSamConfig as StableSam = "ssam",
    gsam::GsamConfig as Gsam = "gsam",
    periodic::PeriodicSamConfig as PeriodicSam = "periodic-sam",
    sssam::StochasticSamConfig as StochasticSam = "ss-sam",
    esam::EsamConfig as Esam = "esam",
    ksam::KsamConfig as Ksam = "ksam",
    ausam::AusamConfig as Ausam = "ausam",
    adasam::AdaSamConfig as AdaSam = "adasam",
    sampa::SampaConfig as Sampa = "sampa",
    msam::MsamConfig as Msam = "msam",
    slsam::SparseLayerSamConfig as SparseLayerSam = "slsam",
    late::LateSamConfig as LateSam = "late",
    wsam::WsamConfig as Wsam = "wsam",
    gcsam::GcsamConfig as Gcsam = "gcsam",
    bsam::BsamConfig as Bsam = "bsam",
    composed::ComposedConfig as Composed = "composed",
}
