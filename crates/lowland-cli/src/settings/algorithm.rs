//! Algorithms as a command line names them.

use anyhow::{Result, bail};
use lowland::Algorithm;
use lowland_tasks::spelling::did_you_mean;
use toml::Table;

use super::flags::paths;
use super::merge::{CommandLine, is_key, lay_over, nested, parse_value};
use crate::failure::Usage;

/// The settings of a run, beside the tables `algorithm` and `radius`, that may be given with an
/// algorithm's name, by their paths.
const OF_A_RUN: [&str; 4] = ["optimizer.learning_rate", "budget", "time_budget", "late_start"];

/// Whether a setting, by its path, may be given with an algorithm's name, so that the contenders of
/// a comparison may differ in it.
pub(crate) fn is_of_an_algorithm(path: &str) -> bool {
    OF_A_RUN.contains(&path) || path.starts_with("algorithm.") || path.starts_with("radius.")
}

/// An algorithm as flags name it: `sam`, or with settings, `arsam:rho=0.1:controller.window=20`.
/// Gives what a file would hold: the table `algorithm`, and beside it the settings of the run that
/// may be given with the name.
///
/// # Errors
/// A name that is not known, a setting without value, or one with two.
pub(super) fn parse_algorithm(text: &str) -> Result<Table> {
    let mut parts = text.split(':');
    let name = parts.next().unwrap_or_default();
    let Some(algorithm) = Algorithm::named(name) else {
        let known: Vec<&str> = Algorithm::ALL.iter().map(|descriptor| descriptor.name).collect();
        let near = did_you_mean(name, known.iter().copied().chain(["sgd"]));
        bail!(Usage(format!(
            "unknown algorithm {name:?}, expected one of: sgd (the base optimizer alone), {}{near}",
            known.join(", ")
        )));
    };
    let mut line = CommandLine::default();
    line.add(name, nested("algorithm.name", algorithm.descriptor().name.into()))?;
    for part in parts {
        let named = part.split_once('=').filter(|(key, _)| is_key(key));
        let Some((key, value)) = named else {
            bail!(Usage(format!("algorithm setting {part:?} must look like KEY=VALUE")));
        };
        for path in own_paths(&algorithm, key) {
            line.add(part, nested(&path, parse_value(value)))?;
        }
    }
    Ok(line.into_table())
}

/// Where a setting that is given with an algorithm's name stands in a file: some are the run's, and
/// those of a part may leave the part's name out (`arsam:beta=0.9`).
fn own_paths(algorithm: &Algorithm, key: &str) -> Vec<String> {
    let of_the_run = paths(key);
    if of_the_run.iter().all(|path| OF_A_RUN.contains(&path.as_str())) {
        return of_the_run;
    }
    if key.starts_with("radius.") {
        return vec![key.to_owned()];
    }
    vec![format!("algorithm.{}", of_a_part(algorithm, key).unwrap_or_else(|| key.to_owned()))]
}

/// The path of a setting in the table of the part that has it, such as `descend.beta`; `None` where
/// the algorithm itself or no part has it.
fn of_a_part(algorithm: &Algorithm, key: &str) -> Option<String> {
    let settings = Table::try_from(algorithm).ok()?;
    // Settings that are not given stand in no table, so that each place is tried.
    let is_known = |path: &str| {
        let mut table = settings.clone();
        lay_over(&mut table, nested(path, "?".into()));
        let error = table.try_into::<Algorithm>().err();
        error.is_none_or(|error| !error.to_string().contains("unknown field"))
    };
    if key.contains('.') || is_known(key) {
        return None;
    }
    let parts = settings.iter().filter(|(_, value)| value.is_table());
    parts.map(|(part, _)| format!("{part}.{key}")).find(|path| is_known(path))
}

/// Whether an algorithm brings the optimizer below it.
pub(crate) fn brings_optimizer(algorithm: &Algorithm) -> bool {
    algorithm.base().is_ok_and(|base| base.is_some())
}

/// Whether an algorithm has a radius of its own.
pub(super) fn has_radius(algorithm: &Algorithm) -> bool {
    Table::try_from(algorithm).is_ok_and(|settings| settings.contains_key("rho"))
}
