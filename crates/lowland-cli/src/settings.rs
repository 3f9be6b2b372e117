//! From flags and files to the settings of a run.
//!
//! Settings come from four places, the later ones over the earlier: defaults (with those of a
//! program's own task), the preset of `--task`, the file of `--config`, the command line. On the
//! command line, flags, `--set` and what is given with an algorithm's name have the same rank: two
//! different values for one setting are an error that names both arguments. Only where several
//! algorithms are compared, what is given with the name of one is its own and overrides what is
//! given for all.

mod algorithm;
mod file;
mod flags;
mod merge;
mod presets;

use anyhow::{Result, bail};
use lowland_tasks::Spec;
use lowland_tasks::config::TrainConfig;
use serde::Serialize;
use toml::{Table, Value};

pub(crate) use file::{UNKNOWN, read_run};
pub(crate) use flags::{SettingFlags, count};

use crate::failure::Usage;
use crate::program;
pub(crate) use algorithm::{brings_optimizer, is_of_an_algorithm};
use algorithm::{has_radius, parse_algorithm};
use file::{parse, read};
use merge::{CommandLine, lay_over};

/// The precedence of settings, for the help of the commands that take them.
pub(crate) const PRECEDENCE: &str = "\
Precedence of settings, lowest first: defaults, --task, --config, the command line. Flags, --set and settings given \
with an algorithm's name, as in sam:rho=0.1, rank equally: two different values for one setting are an error. Where \
several algorithms are compared, a setting given with the name of one overrides, for that one, what is given for all.";

impl SettingFlags {
    /// The checked settings of one run. `algorithm` is what `--algorithm` holds, `more` are further
    /// flags of the command, which serialise as these do.
    ///
    /// # Errors
    /// A file that cannot be read or holds something unknown, a value out of range, a setting that
    /// is given two values.
    pub(crate) fn resolve(&self, algorithm: Option<&str>, more: &impl Serialize) -> Result<Spec> {
        let mut line = CommandLine::default();
        if let Some(text) = algorithm {
            line.add(&format!("--algorithm {text}"), parse_algorithm(text)?)?;
        }
        self.add_to(&mut line)?;
        flags::add(more, &mut line)?;
        let by_flag = |argument: &str| argument.starts_with("--rho ");
        let radius_by_flag = line.argument("algorithm.rho").is_some_and(by_flag);
        let given = line.flags();
        let over = line.into_table();
        let mut table = self.lower(&over)?;
        lay_over(&mut table, over);
        if radius_by_flag {
            check_radius(&table)?;
        }
        let config = parse(table)?;
        self.check_start(&config)?;
        config.try_into().map_err(|error| named(error, &given))
    }

    /// The settings of one algorithm of several. A budget or radius that is given for all of them
    /// and does not apply to this one is left out; what is given with its name must apply.
    ///
    /// # Errors
    /// As [`resolve`](Self::resolve).
    pub(crate) fn resolve_among(&self, algorithm: &str) -> Result<TrainConfig> {
        let mut line = CommandLine::default();
        self.add_to(&mut line)?;
        if line.argument("algorithm.name").is_some() {
            bail!(Usage("use --algorithms instead of --set algorithm.name".into()));
        }
        let own = parse_algorithm(algorithm)?;
        let mut over = line.into_table();
        lay_over(&mut over, own.clone());
        let mut table = self.lower(&over)?;
        lay_over(&mut table, over);
        loop {
            let config = parse(table.clone())?;
            self.check_start(&config)?;
            match Spec::try_from(config) {
                Ok(spec) => return Ok(spec.config().clone()),
                Err(lowland_tasks::Error::Algorithm(lowland::Error::Unsupported {
                    setting,
                    ..
                })) if !own.contains_key(setting) && table.remove(setting).is_some() => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// An error where a preset for weights that exist already has none to start from.
    fn check_start(&self, config: &TrainConfig) -> Result<()> {
        if self.task.is_some_and(presets::TaskKind::needs_start) && config.from.is_none() {
            bail!(Usage(
                "--task quantised starts from the weights of a finished run: add --from RUN, or leave \
                 --task out and use --bits to train quantised weights from the start"
                    .to_owned()
            ));
        }
        Ok(())
    }

    /// What lies under the command line, which gives `over`: what the program has of its own, the
    /// preset, the file.
    fn lower(&self, over: &Table) -> Result<Table> {
        let file = self.config.as_deref().map(read).transpose()?.unwrap_or_default();
        let mut given = file.clone();
        lay_over(&mut given, over.clone());
        let mut table = program::settings();
        lay_over(&mut table, self.task.map(|task| task.settings(&given)).unwrap_or_default());
        lay_over(&mut table, file);
        Ok(table)
    }
}

/// An error about a setting that a flag of another name gives, with the flag; any other as it is.
/// `given` are settings with their flags.
fn named(error: lowland_tasks::Error, given: &[(String, String)]) -> anyhow::Error {
    use lowland_tasks::Error::Setting;
    let Setting { field, .. } = &error else { return error.into() };
    let is_of_field = |key: &str| key == *field || key.rsplit('.').next() == Some(field);
    match given.iter().find(|(key, _)| is_of_field(key)) {
        Some((_, flag)) => Usage(format!("{flag}: {error}")).into(),
        None => error.into(),
    }
}

/// Checks that the algorithm of `table` has a radius that a flag can set.
fn check_radius(table: &Table) -> Result<()> {
    let mut table = table.clone();
    if let Some(Value::Table(algorithm)) = table.get_mut("algorithm") {
        algorithm.remove("rho");
    }
    let config = parse(table)?;
    if !has_radius(&config.algorithm) {
        bail!(Usage(format!("{} has no radius: leave --rho out", config.algorithm_label())));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
