//! Tables of settings laid over one another, and what one command line sets.

use std::path::Path;

use anyhow::{Result, bail};
use lowland_tasks::data::DataName;
use toml::{Table, Value};

use crate::failure::Usage;
use crate::files::absolute;

/// The parts of a composed algorithm.
pub(super) const PARTS: [&str; 4] = ["select", "schedule", "ascend", "descend"];

/// Settings of which only one may be given: one that is laid over another of its pair replaces it.
const EXCLUSIVE: [[&str; 2]; 2] = [["budget", "time_budget"], ["max_passes", "max_seconds"]];

/// `a.b` and a value as the table that a file with `a.b = value` gives.
pub(super) fn nested(key: &str, value: Value) -> Table {
    let mut parts = key.rsplit('.');
    let last = parts.next().unwrap_or_default().to_owned();
    let innermost = Table::from_iter([(last, value)]);
    parts.fold(innermost, |inner, part| Table::from_iter([(part.to_owned(), Value::Table(inner))]))
}

/// Whether a key such as `a.b` names a setting.
pub(super) fn is_key(key: &str) -> bool {
    !key.split('.').any(str::is_empty)
}

/// A value as it would stand in a file; a bare word is a string, and a whole number that is larger
/// than those of TOML a number all the same.
pub(super) fn parse_value(text: &str) -> Value {
    let document = toml::from_str::<Table>(&format!("value = {text}"));
    let one = document.ok().filter(|table| table.len() == 1);
    let parsed = one.and_then(|mut table| table.remove("value"));
    let digits = || text.bytes().all(|byte| byte.is_ascii_digit());
    let large = || text.parse().ok().filter(|_| digits()).map(Value::Float);
    parsed.or_else(large).unwrap_or_else(|| Value::String(text.to_owned()))
}

/// Lays one table over another, deep. Two tables that say in a word which of several things they
/// are, an algorithm by its name, a part of one by its only key and a warm-up by its unit, do not
/// mix: the upper one stays. So does the upper one of two budgets or limits of different units. The
/// folder of data in the lower one goes where the upper one asks for the embedded data.
pub(super) fn lay_over(lower: &mut Table, upper: Table) {
    for pair in EXCLUSIVE {
        if pair.iter().any(|setting| upper.contains_key(*setting)) {
            for setting in pair {
                lower.remove(setting);
            }
        }
    }
    leave_folder(lower, &upper);
    lay_deep("", lower, upper);
}

/// Drops the folder of another data set where the embedded one is asked for, which has none.
fn leave_folder(lower: &mut Table, upper: &Table) {
    let name = |table: &Table| {
        let name = table.get("data")?.as_table()?.get("name")?.as_str()?;
        name.parse::<DataName>().ok()
    };
    if name(upper).is_some_and(DataName::is_embedded)
        && name(lower).is_some_and(|name| !name.is_embedded())
        && let Some(Value::Table(data)) = lower.get_mut("data")
    {
        data.remove("dir");
    }
}

/// Lays the table `within` over another.
fn lay_deep(within: &str, lower: &mut Table, upper: Table) {
    for (key, value) in upper {
        match (lower.get_mut(&key), value) {
            (Some(Value::Table(below)), Value::Table(above))
                if !replaces(within, &key, below, &above) =>
            {
                lay_deep(&key, below, above);
            }
            (_, value) => {
                lower.insert(key, value);
            }
        }
    }
}

fn replaces(within: &str, key: &str, below: &Table, above: &Table) -> bool {
    let another_name = || match (below.get("name"), above.get("name")) {
        (Some(below), Some(above)) => below != above,
        _ => false,
    };
    // A part that says which it is holds a table under that name; settings of a part that an
    // algorithm has anyway are values.
    let another_part =
        || above.iter().all(|(part, settings)| settings.is_table() && !below.contains_key(part));
    match key {
        "warmup" => true,
        "algorithm" => another_name(),
        // The schedule of the learning rate is none of an algorithm.
        _ if within == "algorithm" && PARTS.contains(&key) => another_part(),
        _ => false,
    }
}

/// The settings of one command line, wherever on it they stand.
#[derive(Debug, Default)]
pub(super) struct CommandLine {
    table: Table,
    given: Vec<Given>,
}

/// A setting, and the argument that gives it.
#[derive(Debug)]
struct Given {
    key: String,
    value: Value,
    argument: String,
}

impl CommandLine {
    /// Adds what `argument` gives.
    ///
    /// # Errors
    /// A setting that another argument gives another value.
    pub(super) fn add(&mut self, argument: &str, table: Table) -> Result<()> {
        let mut settings = Vec::new();
        leaves("", &table, &mut settings);
        for (key, value) in settings {
            if let Some(other) = self.given.iter().find(|given| given.contradicts(&key, &value)) {
                bail!(Usage(format!(
                    "{} and {argument} give {key} different values: leave one of them out",
                    other.argument
                )));
            }
            self.given.push(Given { key, value, argument: argument.to_owned() });
        }
        mix(&mut self.table, table);
        Ok(())
    }

    /// The argument that gives a setting, if one does.
    pub(super) fn argument(&self, key: &str) -> Option<&str> {
        self.given.iter().find(|given| given.key == key).map(|given| given.argument.as_str())
    }

    /// The settings that flags of another name give, each with its flag.
    pub(super) fn flags(&self) -> Vec<(String, String)> {
        let is_other = |given: &&Given| {
            let flag = given.argument.strip_prefix("--").and_then(|flag| flag.split(' ').next());
            let name = given.key.rsplit('.').next().unwrap_or_default();
            flag.is_some_and(|flag| {
                flag != "set" && flag != "algorithm" && flag.replace('-', "_") != name
            })
        };
        let others = self.given.iter().filter(is_other);
        others.map(|given| (given.key.clone(), given.argument.clone())).collect()
    }

    /// All settings.
    pub(super) fn into_table(self) -> Table {
        self.table
    }
}

impl Given {
    /// Whether another value for the same setting is given, or one for a part of it.
    fn contradicts(&self, key: &str, value: &Value) -> bool {
        let within = |inner: &str, outer: &str| {
            inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with('.'))
        };
        let same_setting = self.key == key && !same(&self.value, value);
        same_setting || within(key, &self.key) || within(&self.key, key)
    }
}

/// Lays a table over another that has no other values for its settings.
fn mix(lower: &mut Table, upper: Table) {
    for (key, value) in upper {
        match (lower.get_mut(&key), value) {
            (Some(Value::Table(below)), Value::Table(above)) => mix(below, above),
            (_, value) => {
                lower.insert(key, value);
            }
        }
    }
}

/// All settings of a table that hold no others, by their paths behind `prefix`.
pub(super) fn leaves(prefix: &str, table: &Table, into: &mut Vec<(String, Value)>) {
    for (key, value) in table {
        let key = format!("{prefix}{key}");
        match value {
            Value::Table(inner) if !inner.is_empty() => leaves(&format!("{key}."), inner, into),
            value => into.push((key, value.clone())),
        }
    }
}

/// Whether two values are the same setting, such as 1 and 1.0.
fn same(a: &Value, b: &Value) -> bool {
    let number = |value: &Value| match value {
        Value::Integer(integer) => Some(*integer as f64),
        Value::Float(float) => Some(*float),
        _ => None,
    };
    match (number(a), number(b)) {
        (Some(a), Some(b)) => a.total_cmp(&b).is_eq(),
        _ => a == b,
    }
}

/// Makes the paths among settings absolute: relative ones lie in `base`.
///
/// # Errors
/// A path that is none, or not Unicode.
pub(super) fn make_absolute(table: &mut Table, base: &Path) -> Result<()> {
    let data = match table.get_mut("data") {
        Some(Value::Table(data)) => data.get_mut("dir"),
        _ => None,
    };
    if let Some(Value::String(folder)) = data {
        *folder = absolute(&base.join(&*folder))?;
    }
    if let Some(Value::String(from)) = table.get_mut("from") {
        *from = absolute(&base.join(&*from))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> Table {
        toml::from_str(text).unwrap()
    }

    fn laid(lower: &str, upper: &str) -> Table {
        let mut lower = table(lower);
        lay_over(&mut lower, table(upper));
        lower
    }

    #[test]
    fn tables_mix_unless_they_name_different_things() {
        let sam = "algorithm = { name = 'sam', rho = 0.2 }";
        assert_eq!(
            laid(sam, "algorithm.rho = 0.3"),
            table("algorithm = { name = 'sam', rho = 0.3 }")
        );
        assert_eq!(laid(sam, "algorithm.name = 'asam'"), table("algorithm.name = 'asam'"));
        assert_eq!(laid("algorithm.rho = 1", sam), table(sam));
        let part = "algorithm.schedule.periodic.k = 3";
        assert_eq!(
            laid(part, "algorithm.schedule.random.share = 0.5"),
            table("algorithm.schedule.random.share = 0.5")
        );
        assert_eq!(
            laid("optimizer.schedule.name = 'linear'", "optimizer.schedule.warmup = 0.1"),
            table("optimizer.schedule = { name = 'linear', warmup = 0.1 }")
        );
        let of = |name: &str, rest: &str| format!("data = {{ name = '{name}'{rest} }}");
        let folder = of("image-folder", ", dir = '/d'");
        assert_eq!(laid(&folder, &of("embedded", "")), table(&of("embedded", "")));
        assert_eq!(laid(&folder, &of("mnist", "")), table(&of("mnist", ", dir = '/d'")));
        assert_eq!(
            laid("data.dir = '/d'", &of("embedded", "")),
            table(&of("embedded", ", dir = '/d'"))
        );
        assert_eq!(laid("budget = 1.2", "time_budget = 1.3"), table("time_budget = 1.3"));
        assert_eq!(laid("max_seconds = 9", "max_passes = 4"), table("max_passes = 4"));
    }

    #[test]
    fn one_setting_with_two_values_is_an_error_that_names_both_arguments() {
        let given = |second: &str| {
            let mut line = CommandLine::default();
            line.add("--one", table("a.b = 1\nc = { d = 2 }")).unwrap();
            let added = line.add("--two", table(second));
            added.map(|()| line.into_table()).map_err(|error| error.to_string())
        };
        assert_eq!(given("a.b = 1.0\nc.e = 3"), Ok(table("a.b = 1.0\nc = { d = 2, e = 3 }")));
        let expected = "--one and --two give a.b different values: leave one of them out";
        assert_eq!(given("a.b = 2"), Err(expected.to_owned()));
        assert!(given("a.b.x = 2").is_err(), "a part of it");
        assert!(given("c = 4").is_err(), "all of it");
    }
}
