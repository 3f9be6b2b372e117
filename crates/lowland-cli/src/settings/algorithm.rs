//! Algorithms as a command line names them.

use anyhow::{Result, bail};
use lowland::Algorithm;
use toml::Table;

use super::flags::paths;
use super::merge::{is_key, lay_over, nested, parse_value};
use crate::failure::Usage;

/// An algorithm as flags name it: `sam`, or with settings, `arsam:rho=0.1:controller.window=20`.
/// Gives what a file would hold: the table `algorithm`, and beside it the settings of the run that
/// may be given with the name.
///
/// # Errors
/// A name that is not known, or a setting without value.
pub(super) fn parse_algorithm(text: &str) -> Result<Table> {
    let mut parts = text.split(':');
    let name = parts.next().unwrap_or_default();
    let Some(algorithm) = Algorithm::named(name) else {
        let known: Vec<&str> = Algorithm::ALL.iter().map(|descriptor| descriptor.name).collect();
        bail!(Usage(format!(
            "unknown algorithm {name:?}, expected one of: sgd (the base optimizer alone), {}",
            known.join(", ")
        )));
    };
    let mut table = nested("algorithm.name", algorithm.descriptor().name.into());
    for part in parts {
        let named = part.split_once('=').filter(|(key, _)| is_key(key));
        let Some((key, value)) = named else {
            bail!(Usage(format!("algorithm setting {part:?} must look like KEY=VALUE")));
        };
        for path in own_paths(key) {
            lay_over(&mut table, nested(&path, parse_value(value)));
        }
    }
    Ok(table)
}

/// Where a setting that is given with an algorithm's name stands in a file: some are the run's.
fn own_paths(key: &str) -> Vec<String> {
    match key {
        "lr" | "budget" | "time_budget" => paths(key),
        key if key.starts_with("radius.") => vec![key.to_owned()],
        key => vec![format!("algorithm.{key}")],
    }
}

/// Whether an algorithm has a radius of its own.
pub(super) fn has_radius(algorithm: &Algorithm) -> bool {
    Table::try_from(algorithm).is_ok_and(|settings| settings.contains_key("rho"))
}
