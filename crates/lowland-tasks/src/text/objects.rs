//! Tables of JSON objects.

use std::fmt;
use std::path::Path;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;

use super::Text;
use super::columns::{Columns, is_named};
use super::rows::{Rows, line_error, quoted, shortened};
use crate::Result;

/// The entries of an object in their order, those with a key that was there before included.
struct Entries(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;

        impl<'de> Visitor<'de> for InOrder {
            type Value = Entries;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }

        deserializer.deserialize_map(InOrder)
    }
}

impl Entries {
    /// The first of some names that is a key with a word or text, and that.
    ///
    /// # Errors
    /// A name that is the key of several entries.
    fn entry(&self, names: &[String]) -> Result<Option<(String, String)>, String> {
        for name in names {
            let mut entries = self.0.iter().filter(|(key, _)| is_named(key, name));
            let Some((key, value)) = entries.next() else { continue };
            if entries.next().is_some() {
                return Err(quoted(key));
            }
            if let Some(word) = word(value) {
                return Ok(Some((key.clone(), word)));
            }
        }
        Ok(None)
    }
}

pub(super) fn read_objects(path: &Path, text: &str, columns: &Columns) -> Result<Rows> {
    let mut rows = Rows { is_named: true, ..Rows::default() };
    let (mut labels, mut any_label) = (Vec::new(), false);
    for (line, object) in values(path, text)? {
        let object = match object {
            Ok(object) => object,
            Err(found) => {
                rows.damaged.push(line_error(path, line, "a JSON object", found));
                continue;
            }
        };
        let entries: Result<Vec<_>, String> = [&columns.text, &columns.pair, &columns.label]
            .into_iter()
            .map(|names| object.entry(names))
            .collect();
        let mut entries = match entries {
            Ok(entries) => entries.into_iter(),
            Err(key) => {
                let found = format!("{key} more than once");
                rows.damaged.push(line_error(path, line, "each key once", found));
                continue;
            }
        };
        let mut next = || entries.next().flatten();
        let found = [next(), next(), next()];
        let key = |(key, value): &(String, Value)| match word(value) {
            Some(_) => key.clone(),
            None => format!("{key} (no text)"),
        };
        let keys = || object.0.iter().map(key).collect::<Vec<_>>().join(", ");
        if rows.texts.is_empty() {
            rows.taken = found.clone().map(|entry| entry.map(|(key, _)| key));
            rows.found = shortened(&keys());
        }
        let [first, second, label] = found.map(|entry| entry.map(|(_, value)| value));
        let Some(first) = first.filter(|_| second.is_some() || !columns.needs_pair) else {
            let found = shortened(&keys());
            // In the first line it is the form that is another, and not one line that is damaged.
            if rows.texts.is_empty() {
                let found = format!("{found}{}", columns.way);
                return Err(line_error(path, line, &columns.in_words(), found));
            }
            rows.damaged.push(line_error(path, line, &columns.in_words(), found));
            continue;
        };
        rows.texts.push(Text { first, second });
        rows.lines.push(line);
        any_label |= label.is_some();
        labels.push(label.unwrap_or_default().trim().to_owned());
    }
    rows.labels = any_label.then_some(labels);
    Ok(rows)
}

/// A value of a line or a list.
#[derive(Deserialize)]
#[serde(untagged)]
enum Element {
    Object(Entries),
    Other(Value),
}

/// An object, or what stands there instead.
type Found = Result<Entries, String>;

impl Element {
    fn object(self) -> Found {
        match self {
            Self::Object(entries) => Ok(entries),
            Self::Other(value) => Err(shortened(&value.to_string())),
        }
    }
}

/// The objects of a file with their lines: one a line, or a list of all, whose objects are counted
/// as lines are.
fn values(path: &Path, text: &str) -> Result<Vec<(usize, Found)>> {
    if text.trim_start().starts_with('[') {
        let list: Vec<Element> = serde_json::from_str(text).map_err(|error| {
            line_error(path, error.line(), "a list of JSON objects", without_line(&error))
        })?;
        return Ok((1..).zip(list.into_iter().map(Element::object)).collect());
    }
    let lines = (1..).zip(text.lines()).filter(|(_, text)| !text.trim().is_empty());
    let read = |text: &str| match serde_json::from_str::<Element>(text) {
        Ok(element) => element.object(),
        Err(error) => Err(format!("{} ({})", shortened(text), without_line(&error))),
    };
    Ok(lines.map(|(line, text)| (line, read(text))).collect())
}

/// What is wrong, and in which column: the line is known.
fn without_line(error: &serde_json::Error) -> String {
    let (text, column) = (error.to_string(), error.column());
    let place = format!(" at line {} column {column}", error.line());
    match text.strip_suffix(&place) {
        Some(what) => format!("{what} at column {column}"),
        None => text,
    }
}

/// A value that is one word or text.
fn word(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(value) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}
