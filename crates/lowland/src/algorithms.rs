//! The named algorithms, one file each, and the one list that registers them.

use burn::optim::ModuleOptimizer;
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::rule::Rule;

/// What there is to say about an algorithm in a line or a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Descriptor {
    /// Its name in configuration and on the command line.
    pub name: &'static str,
    /// Its name in text.
    pub label: &'static str,
    /// One sentence on what it does.
    pub summary: &'static str,
    /// Gradient evaluations a step, as a formula.
    pub passes: &'static str,
    /// Memory kept between steps beyond the base optimizer's, in copies of the parameters.
    pub memory: &'static str,
    /// Where it comes from.
    pub source: &'static str,
}

/// The configuration of an algorithm: plain values that are checked by [`build`](Self::build).
pub trait Config {
    /// What there is to say about the algorithm.
    const DESCRIPTOR: Descriptor;

    /// Checks the values and makes the rule.
    ///
    /// # Errors
    /// A value outside its allowed range, named.
    fn build(&self) -> Result<Box<dyn Rule>>;

    /// The base optimizer that belongs under the rule, for algorithms that bring their own.
    ///
    /// # Errors
    /// A value outside its allowed range, named.
    fn base(&self) -> Result<Option<ModuleOptimizer>> {
        Ok(None)
    }
}

macro_rules! register {
    ($($module:ident::$config:ident as $variant:ident = $name:literal $(| $alias:literal)*),* $(,)?) => {
        $(mod $module;)*
        $(pub use $module::*;)*

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

            /// What there is to say about this algorithm.
            pub fn descriptor(&self) -> Descriptor {
                match self { $(Self::$variant(_) => $config::DESCRIPTOR,)* }
            }

            /// Checks the values and makes the rule.
            ///
            /// # Errors
            /// A value outside its allowed range, named.
            pub fn build(&self) -> Result<Box<dyn Rule>> {
                match self { $(Self::$variant(config) => config.build(),)* }
            }

            /// The base optimizer that belongs under the rule, for algorithms that bring their own.
            ///
            /// # Errors
            /// A value outside its allowed range, named.
            pub fn base(&self) -> Result<Option<ModuleOptimizer>> {
                match self { $(Self::$variant(config) => config.base(),)* }
            }
        }
    };
}

// An algorithm is its file and its line here.
register! {
    base::BaseConfig as Base = "base" | "sgd",
    sam::SamConfig as Sam = "sam",
    asam::AsamConfig as Asam = "asam",
    arsam::ArsamConfig as Arsam = "arsam" | "vsam",
    looksam::LookSamConfig as LookSam = "looksam",
    aesam::AeSamConfig as AeSam = "aesam",
    fsam::FSamConfig as FSam = "fsam",
    ssam::SSamConfig as SSam = "ssam",
    gsam::GSamConfig as GSam = "gsam",
    periodic::PeriodicSamConfig as PeriodicSam = "periodic-sam",
    sssam::SsSamConfig as SsSam = "ss-sam",
    esam::EsamConfig as Esam = "esam",
    ksam::KSamConfig as KSam = "ksam",
    ausam::AusamConfig as Ausam = "ausam",
    adasam::AdaSamConfig as AdaSam = "adasam",
    sampa::SampaConfig as Sampa = "sampa",
    msam::MsamConfig as Msam = "msam",
    slsam::SlSamConfig as SlSam = "slsam",
    composed::ComposedConfig as Composed = "composed",
}
