//! Settings that a file holds.

use std::path::Path;

use anyhow::Result;
use lowland::{Algorithm, ComposedConfig};
use lowland_tasks::config::TrainConfig;
use lowland_tasks::spelling::did_you_mean;
use toml::{Table, Value};

use super::flags::path_of_flag;
use super::merge::{PARTS, leaves, make_absolute, nested};
use crate::failure::Usage;

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
        Usage(format!("{} line {line}: {}", path.display(), in_words(error.message())))
    })?;
    // Alone, before flags are laid over it, so that an error names the file.
    parse(table.clone()).map_err(|error| Usage(format!("{}: {error}", path.display())))?;
    name_algorithm(&mut table);
    // As the file means them, wherever the command is typed.
    make_absolute(&mut table, path.parent().unwrap_or(Path::new("")))?;
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
    if let Some(path) = list_for_table(&table) {
        return Err(Usage(format!("{path}: expected a table, found a list")).into());
    }
    let config = deserialized(table.clone());
    config.map(TrainConfig::with_task_tables).map_err(|Fault { path, message }| {
        let path = culprit(&table, &message).filter(|_| path == "algorithm").unwrap_or(path);
        // An unknown field is its own path.
        let is_outermost = message.starts_with(FIELD) && !path.contains('.') && path != "algorithm";
        let path = if is_outermost { String::new() } else { format!("{path}: ") };
        Usage(format!("{path}{}{}", in_words(&message), meant(&message))).into()
    })
}

/// What is wrong with a table, and where.
struct Fault {
    path: String,
    message: String,
}

fn deserialized(table: Table) -> Result<TrainConfig, Fault> {
    let config = serde_path_to_error::deserialize(Value::Table(table));
    config.map_err(|error: serde_path_to_error::Error<toml::de::Error>| Fault {
        path: error.path().to_string(),
        message: error.inner().message().to_owned(),
    })
}

/// The first setting, or entry of a list, that is given a list and takes a table, which Serde fills
/// from a list by the order of its fields.
fn list_for_table(table: &Table) -> Option<String> {
    let mut settings = Vec::new();
    leaves("", table, &mut settings);
    let name = table.get("algorithm").and_then(|algorithm| algorithm.get("name"));
    // Alone, so that no other mistake is in the way.
    let takes = |path: &str, value: Value| {
        let mut alone = nested(path, value);
        if let (Some(Value::Table(algorithm)), Some(name)) = (alone.get_mut("algorithm"), name) {
            algorithm.insert("name".to_owned(), name.clone());
        }
        name_algorithm(&mut alone);
        deserialized(alone).err().is_none_or(|fault| fault.message.starts_with(MISSING))
    };
    let empty = || Value::Table(Table::new());
    settings.into_iter().find_map(|(path, value)| {
        let entries = value.as_array()?;
        if takes(&path, empty()) {
            return Some(path);
        }
        let place = entries.iter().position(Value::is_array)?;
        takes(&path, Value::Array(vec![empty()])).then(|| format!("{path}[{place}]"))
    })
}

/// The table that holds the setting of a path, and its name there.
fn around<'a>(table: &'a mut Table, path: &'a str) -> Option<(&'a mut Table, &'a str)> {
    let (tables, name) = path.rsplit_once('.').unwrap_or(("", path));
    let mut tables = tables.split('.').filter(|part| !part.is_empty());
    let inner = tables.try_fold(table, |table, part| table.get_mut(part)?.as_table_mut())?;
    Some((inner, name))
}

/// The setting of an algorithm that a message is about, which does not name it: the one without
/// which the message is another.
fn culprit(table: &Table, message: &str) -> Option<String> {
    if message.starts_with("unknown ") {
        return None;
    }
    let algorithm = table.get("algorithm")?.as_table()?;
    let mut settings = Vec::new();
    leaves("algorithm.", algorithm, &mut settings);
    // Without its name it is another algorithm: last.
    settings.sort_by_key(|(path, _)| path == "algorithm.name");
    settings.into_iter().map(|(path, _)| path).find(|path| {
        let mut without = table.clone();
        around(&mut without, path).and_then(|(table, name)| table.remove(name)).is_some()
            && deserialized(without).err().is_none_or(|fault| fault.message != message)
    })
}

/// How a message begins that is about a setting which there is not.
pub(crate) const UNKNOWN: &str = "unknown setting";

/// The same in the words of Serde.
const FIELD: &str = "unknown field";

/// How a message of Serde begins that is about a setting which must be given.
const MISSING: &str = "missing field";

/// A message of Serde in the words of others.
fn in_words(message: &str) -> String {
    for start in ["invalid type: ", "invalid value: "] {
        let said = message.strip_prefix(start).and_then(|rest| rest.rsplit_once(", expected "));
        if let Some((found, expected)) = said {
            let expected = kind_in_words(expected);
            if expected.starts_with("a whole number") && is_beyond_whole_numbers(found) {
                return format!("the number is too large: at most {}", i64::MAX);
            }
            return format!("expected {expected}{}", found_in_words(found));
        }
    }
    let words =
        [(FIELD, UNKNOWN), ("unknown variant", "unknown name"), (MISSING, "missing setting")];
    for (serde, ours) in words {
        if let Some(rest) = message.strip_prefix(serde) {
            return format!("{ours}{rest}");
        }
    }
    match message {
        _ if message.contains("value was too large") => "the number is too large".to_owned(),
        _ if message.starts_with("wanted exactly 1 element") => {
            "expected a table of exactly one name".to_owned()
        }
        "expected table, found boolean" => "expected a table, found true or false".to_owned(),
        "expected empty table" => "takes no settings of its own".to_owned(),
        message => message.to_owned(),
    }
}

/// Whether Serde found a whole number that is larger than those of TOML.
fn is_beyond_whole_numbers(found: &str) -> bool {
    let digits = found.strip_prefix("string \"").and_then(|rest| rest.strip_suffix('"'));
    let digits = digits.filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    let float = found.strip_prefix("floating point `").and_then(|rest| rest.strip_suffix('`'));
    let number = digits.or(float).and_then(|text| text.parse::<f64>().ok());
    number.is_some_and(|number| number >= i64::MAX as f64 && number.is_finite())
}

/// What Serde expected.
fn kind_in_words(expected: &str) -> &str {
    match expected {
        "usize" | "u64" => "a whole number, at least 0",
        "u32" => "a whole number from 0 to 4294967295",
        "u8" => "a whole number from 0 to 255",
        "a nonzero usize" => "a whole number, at least 1",
        "i64" => "a whole number",
        "f64" | "f32" => "a number",
        "any valid TOML value" => "a smaller number",
        "a boolean" => "true or false",
        "a string" => "text",
        "path string" => "a path",
        "variant identifier" | "string only" => "a name",
        "a sequence" => "a list",
        "a map" | "map" | "empty table" | "newtype variant" | "struct variant" => "a table",
        "string or map" => "a name or a table",
        _ if expected.starts_with("struct ") || expected.contains("tagged enum ") => "a table",
        other => other,
    }
}

/// What Serde found, as the end of a message; empty where it says nothing of it.
fn found_in_words(found: &str) -> String {
    let (kind, value) = found.split_once('`').unwrap_or((found, ""));
    let found = match kind.trim() {
        "map" => "a table",
        "sequence" => "a list",
        "unit variant" | "newtype variant" | "tuple variant" | "struct variant" | "enum" => {
            return String::new();
        }
        _ if value.is_empty() => found.strip_prefix("string ").unwrap_or(found),
        _ => value.split('`').next().unwrap_or_default(),
    };
    format!(", found {found}")
}

/// What was probably meant by an unknown name, as the end of a message: the nearest of the names
/// that the message lists, or a setting of this name in one of the tables.
fn meant(message: &str) -> String {
    // "unknown field `a`, expected one of `b`, `c`"
    let mut names = message.split('`').skip(1).step_by(2);
    let (true, Some(name)) = (message.starts_with("unknown "), names.next()) else {
        return String::new();
    };
    let known: Vec<&str> = names.collect();
    let elsewhere = || {
        let mut tables = known.iter().filter(|table| **table != "algorithm");
        let path = tables.find_map(|table| place(table, name))?;
        Some(format!("; did you mean {path:?}?"))
    };
    if let Some(path) = path_of_flag(name) {
        return format!("; did you mean {path:?}?");
    }
    let near = did_you_mean(name, known.iter().copied());
    if near.is_empty() { elsewhere().unwrap_or_default() } else { near }
}

/// The path of a setting in a table of the settings of a run, or in one within; `None` where there
/// is none. A setting that is not given is in no table, so that each place is tried.
fn place(table: &str, name: &str) -> Option<String> {
    let path = format!("{table}.{name}");
    let Err(Fault { path: at, message }) = deserialized(nested(&path, Value::Array(Vec::new())))
    else {
        return Some(path);
    };
    if at != path {
        return None;
    }
    if !message.starts_with("unknown ") {
        return Some(path);
    }
    let within = message.split('`').skip(3).step_by(2).filter(|_| message.starts_with(FIELD));
    within.into_iter().find_map(|inner| place(&format!("{table}.{inner}"), name))
}
