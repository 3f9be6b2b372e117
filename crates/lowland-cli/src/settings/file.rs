//! Settings that a file holds.

use std::path::Path;

use anyhow::{Result, bail};
use lowland::{Algorithm, ComposedConfig};
use lowland_tasks::config::TrainConfig;
use toml::{Table, Value};

use super::merge::PARTS;
use crate::failure::Usage;
use crate::words::did_you_mean;

/// The settings of a run, as its folder has them.
///
/// # Errors
/// A file that cannot be read or holds something unknown, a value out of range.
pub(crate) fn read_run(path: &Path) -> Result<TrainConfig> {
    let config = parse(read(path)?)?;
    config.check()?;
    Ok(config)
}

/// The settings of a file, with absolute paths and a named algorithm.
///
/// # Errors
/// A file that cannot be read or holds something unknown.
pub(super) fn read(path: &Path) -> Result<Table> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Usage(format!("cannot read {}: {error}", path.display())))?;
    let mut table: Table = toml::from_str(&text).map_err(|error: toml::de::Error| {
        let line = error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
        Usage(format!("{} line {line}: {}", path.display(), error.message()))
    })?;
    // Alone, before flags are laid over it, so that an error names the file.
    parse(table.clone()).map_err(|error| Usage(format!("{}: {error}", path.display())))?;
    name_algorithm(&mut table);
    // As the file means them, wherever the command is typed.
    let base = path.parent().unwrap_or(Path::new(""));
    if let Some(Value::Table(data)) = table.get_mut("data")
        && let Some(Value::String(folder)) = data.get_mut("dir")
    {
        *folder = absolute(&base.join(&*folder))?;
    }
    if let Some(Value::String(from)) = table.get_mut("from") {
        *from = absolute(&base.join(&*from))?;
    }
    Ok(table)
}

/// An algorithm that is given without a name is composed where it names parts, and else the
/// default.
fn name_algorithm(table: &mut Table) {
    if let Some(Value::Table(algorithm)) = table.get_mut("algorithm")
        && !algorithm.contains_key("name")
    {
        let composed = PARTS.iter().any(|part| algorithm.contains_key(*part));
        let config = if composed {
            Algorithm::Composed(ComposedConfig::default())
        } else {
            TrainConfig::default().algorithm
        };
        let name = config.descriptor().name.to_owned();
        algorithm.insert("name".to_owned(), Value::String(name));
    }
}

/// The settings of a table, unchecked, with the tables of their task.
///
/// # Errors
/// An unknown setting, a value of another type.
pub(super) fn parse(mut table: Table) -> Result<TrainConfig> {
    name_algorithm(&mut table);
    let config: Result<TrainConfig, _> = serde_path_to_error::deserialize(Value::Table(table));
    config.map(TrainConfig::with_task_tables).map_err(|error| {
        let path = error.path().to_string();
        let message = error.inner().message();
        // An unknown field is its own path.
        let path =
            if message.starts_with("unknown field") && !path.contains('.') && path != "algorithm" {
                String::new()
            } else {
                format!("{path}: ")
            };
        Usage(format!("{path}{message}{}", meant(message))).into()
    })
}

/// The nearest of the names that a message about an unknown one lists, as its end.
fn meant(message: &str) -> String {
    let unknown = message.starts_with("unknown ");
    // "unknown field `a`, expected one of `b`, `c`"
    let mut names = message.split('`').skip(1).step_by(2);
    match (unknown, names.next()) {
        (true, Some(name)) => did_you_mean(name, names),
        _ => String::new(),
    }
}

/// A path as it holds wherever the program works.
///
/// # Errors
/// A path that is empty or not Unicode.
pub(super) fn absolute(path: &Path) -> Result<String> {
    let absolute = std::path::absolute(path)
        .map_err(|error| Usage(format!("{:?} is no path: {error}", path.display().to_string())))?;
    match absolute.into_os_string().into_string() {
        Ok(path) => Ok(path),
        Err(path) => bail!(Usage(format!("{} is not Unicode", path.display()))),
    }
}
