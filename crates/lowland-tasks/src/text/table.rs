//! Tables of texts: lines with named columns, separated by tabs or commas, or JSON objects.
//!
//! In files of tabs (`.tsv`, `.txt`) columns are separated by tabs and that is all: a quotation
//! mark is a character of its sentence. Files of commas (`.csv`) quote as RFC 4180 has it, and may
//! have semicolons in place of commas, as spreadsheets write them where the comma is a decimal
//! point. In `.jsonl`, `.ndjson` and `.json` each line is an object.

use std::path::Path;

use serde_json::Value;

use super::Text;
use crate::{Error, Result};

/// Endings of files that are read, in the order in which they are looked for.
pub(crate) const ENDINGS: [&str; 6] = ["tsv", "csv", "jsonl", "ndjson", "json", "txt"];

/// Labels that stand for none.
const NO_LABELS: [&str; 4] = ["-1", "-1.0", "", "?"];

/// Which columns are wanted: for each, the names that it may have, the first that is there being
/// taken.
#[derive(Clone, Debug)]
pub(crate) struct Columns {
    pub(crate) text: Vec<String>,
    /// Empty where no second text is wanted.
    pub(crate) pair: Vec<String>,
    /// Whether it is an error if there is no second text.
    pub(crate) needs_pair: bool,
    pub(crate) label: Vec<String>,
    /// Where the columns are in a file whose first line names none.
    pub(crate) unnamed: Option<Places>,
    /// Whether a `.csv` file with a tab in its first line is read as a file of tabs.
    pub(crate) tabs_in_csv: bool,
}

/// Columns by their places, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Places {
    pub(crate) text: usize,
    pub(crate) pair: Option<usize>,
    pub(crate) label: Option<usize>,
    /// How many columns there must be.
    pub(crate) count: Count,
}

/// How many columns each line must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Count {
    /// As many as the first.
    LikeTheFirst,
    /// So many.
    Exactly(usize),
    /// So many or more.
    AtLeast(usize),
}

impl Count {
    /// Whether a line may have so many columns where the first has `first`.
    fn allows(self, found: usize, first: usize) -> bool {
        match self {
            Self::LikeTheFirst => found == first,
            Self::Exactly(count) => found == count,
            Self::AtLeast(count) => found >= count,
        }
    }

    fn in_words(self, first: usize) -> String {
        match self {
            Self::LikeTheFirst => format!("{first} columns"),
            Self::Exactly(count) => format!("{count} columns"),
            Self::AtLeast(count) => format!("at least {count} columns"),
        }
    }
}

/// The rows of a file.
#[derive(Debug)]
pub(crate) struct Rows {
    pub(crate) texts: Vec<Text>,
    /// The labels as they stand there; `None` where the file has none, or has -1 throughout.
    pub(crate) labels: Option<Vec<String>>,
    /// The line of each row, counted from 1.
    pub(crate) lines: Vec<usize>,
    /// The columns that were taken, by name where they have one.
    pub(crate) taken: Vec<String>,
    /// Lines that are no rows.
    pub(crate) damaged: Vec<Error>,
}

impl Rows {
    fn new() -> Self {
        Self { texts: vec![], labels: None, lines: vec![], taken: vec![], damaged: vec![] }
    }
}

/// Reads the bytes of a table. `path` says which form it has, and is what errors call it.
///
/// # Errors
/// [`Error::Line`] for bytes that are not UTF-8, columns that are not there. Lines that do not fit
/// are kept in [`Rows::damaged`].
pub(crate) fn parse(path: &Path, bytes: &[u8], columns: &Columns) -> Result<Rows> {
    let text = utf8(path, bytes)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let ending = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    let mut rows = match &*ending {
        "jsonl" | "ndjson" | "json" => objects(path, text, columns)?,
        "csv" if columns.tabs_in_csv && first_line(text).contains('\t') => {
            delimited(path, text, columns, None)?
        }
        "csv" => delimited(path, text, columns, Some(comma(text)))?,
        _ => delimited(path, text, columns, None)?,
    };
    let is_none = |labels: &Vec<String>| {
        !labels.is_empty() && labels.iter().all(|label| NO_LABELS.contains(&&**label))
    };
    rows.labels = rows.labels.filter(|labels| !is_none(labels));
    if let Some(labels) = &rows.labels
        && let Some(place) = labels.iter().position(String::is_empty)
    {
        return Err(line_error(path, rows.lines[place], "a label", "none".to_owned()));
    }
    Ok(rows)
}

/// What separates the columns of a file of commas: the first line says.
fn comma(text: &str) -> u8 {
    let count = |separator| first_line(text).matches(separator).count();
    if count(';') > count(',') { b';' } else { b',' }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

fn delimited(path: &Path, text: &str, columns: &Columns, comma: Option<u8>) -> Result<Rows> {
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(comma.unwrap_or(b'\t'))
        .quoting(comma.is_some())
        .has_headers(false)
        .flexible(true)
        .from_reader(text.as_bytes());
    let mut record = csv::StringRecord::new();
    let mut places = None;
    let mut rows = Rows::new();
    let mut labels = Vec::new();
    loop {
        let line = usize::try_from(reader.position().line()).unwrap_or(usize::MAX);
        match reader.read_record(&mut record) {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) => return Err(line_error(path, line, "a table", error.to_string())),
        }
        // Blank lines are passed over before a record.
        let line = line + record.position().map_or(0, |at| blank_lines(text, at.byte()));
        let (first, at) = if let Some(found) = places {
            found
        } else {
            let (at, is_named) = columns.places(path, &record)?;
            let found = (record.len(), at);
            let name = |place: usize| match record.get(place) {
                Some(name) if is_named => format!("{:?}", name.trim()),
                _ => format!("{}", place + 1),
            };
            let taken = [Some(at.text), at.pair, at.label];
            rows.taken = taken.into_iter().flatten().map(name).collect();
            places = Some(found);
            if is_named {
                continue;
            }
            found
        };
        if !at.count.allows(record.len(), first) {
            let expected = at.count.in_words(first);
            rows.damaged.push(line_error(path, line, &expected, record.len().to_string()));
            continue;
        }
        let field = |place: usize| record.get(place).unwrap_or_default().to_owned();
        rows.texts.push(Text { first: field(at.text), second: at.pair.map(field) });
        rows.lines.push(line);
        labels.extend(at.label.map(|place| field(place).trim().to_owned()));
    }
    if places.is_some_and(|(_, at)| at.label.is_some()) {
        rows.labels = Some(labels);
    }
    Ok(rows)
}

/// How many line ends come before the first character behind `start`.
fn blank_lines(text: &str, start: u64) -> usize {
    let start = usize::try_from(start).unwrap_or(usize::MAX);
    let rest = text.as_bytes().get(start..).unwrap_or_default();
    rest.iter().take_while(|byte| b"\r\n".contains(byte)).filter(|&&byte| byte == b'\n').count()
}

impl Columns {
    /// Where the columns are, and whether the first line names them.
    fn places(&self, path: &Path, first: &csv::StringRecord) -> Result<(Places, bool)> {
        let named = |names: &[String]| {
            names.iter().find_map(|name| first.iter().position(|found| is_named(found, name)))
        };
        let (text, pair, label) = (named(&self.text), named(&self.pair), named(&self.label));
        if let Some(text) = text
            && (pair.is_some() || !self.needs_pair)
        {
            return Ok((Places { text, pair, label, count: Count::LikeTheFirst }, true));
        }
        let found = shortened(&first.iter().collect::<Vec<_>>().join(", "));
        match self.unnamed {
            Some(places) => {
                let last = [Some(places.text), places.pair, places.label];
                let last = last.into_iter().flatten().max().unwrap_or_default();
                if places.count == Count::LikeTheFirst && last >= first.len() {
                    let expected = format!("at least {} columns", last + 1);
                    return Err(line_error(path, 1, &expected, first.len().to_string()));
                }
                Ok((places, false))
            }
            None => Err(line_error(path, 1, &self.in_words(), found)),
        }
    }

    /// What the first line, or an object, should have.
    pub(crate) fn in_words(&self) -> String {
        let any = |names: &[String]| match names {
            [name] => format!("{name:?}"),
            [first, rest @ ..] => {
                let shown: Vec<String> =
                    rest.iter().take(3).map(|name| format!("{name:?}")).collect();
                format!("{first:?} (or {})", shown.join(", "))
            }
            [] => String::new(),
        };
        let pair = if self.needs_pair { format!(", {}", any(&self.pair)) } else { String::new() };
        format!("columns named {}{pair} and {}", any(&self.text), any(&self.label))
    }
}

fn objects(path: &Path, text: &str, columns: &Columns) -> Result<Rows> {
    let mut rows = Rows::new();
    let (mut labels, mut any_label) = (Vec::new(), false);
    for (line, object) in values(path, text)? {
        let object = match object {
            Ok(object) => object,
            Err(found) => {
                rows.damaged.push(line_error(path, line, "a JSON object", found));
                continue;
            }
        };
        let entry = |names: &[String]| {
            names.iter().find_map(|name| {
                let (key, value) = object.iter().find(|(key, _)| is_named(key, name))?;
                Some((format!("{key:?}"), word(value)?))
            })
        };
        let found = [entry(&columns.text), entry(&columns.pair), entry(&columns.label)];
        if rows.texts.is_empty() {
            rows.taken = found.iter().flatten().map(|(key, _)| key.clone()).collect();
        }
        let [first, second, label] = found.map(|entry| entry.map(|(_, value)| value));
        let Some(first) = first.filter(|_| second.is_some() || !columns.needs_pair) else {
            let keys = object.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
            let error = line_error(path, line, &columns.in_words(), shortened(&keys));
            // In the first line it is the form that is another, and not one line that is damaged.
            if rows.texts.is_empty() {
                return Err(error);
            }
            rows.damaged.push(error);
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

/// An object, or what stands there instead.
type Found = Result<serde_json::Map<String, Value>, String>;

/// The objects of a file with their lines: one a line, or a list of all, whose objects are counted
/// as lines are.
fn values(path: &Path, text: &str) -> Result<Vec<(usize, Found)>> {
    let object = |value: Value| match value {
        Value::Object(object) => Ok(object),
        other => Err(shortened(&other.to_string())),
    };
    if text.trim_start().starts_with('[') {
        let list: Vec<Value> = serde_json::from_str(text).map_err(|error| {
            line_error(path, error.line(), "a list of JSON objects", error.to_string())
        })?;
        return Ok((1..).zip(list.into_iter().map(object)).collect());
    }
    let lines = (1..).zip(text.lines()).filter(|(_, text)| !text.trim().is_empty());
    let read = |text: &str| match serde_json::from_str(text) {
        Ok(value) => object(value),
        Err(error) => Err(format!("{} ({error})", shortened(text))),
    };
    Ok(lines.map(|(line, text)| (line, read(text))).collect())
}

/// Whether a column has a name, whatever its case.
fn is_named(found: &str, name: &str) -> bool {
    found.trim().eq_ignore_ascii_case(name)
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

fn utf8<'a>(path: &Path, bytes: &'a [u8]) -> Result<&'a str> {
    std::str::from_utf8(bytes).map_err(|error| {
        let before = &bytes[..error.valid_up_to()];
        let line = before.split(|&byte| byte == b'\n').count();
        line_error(path, line, "text in UTF-8", format!("{:#04x}", bytes[error.valid_up_to()]))
    })
}

pub(crate) fn line_error(path: &Path, line: usize, expected: &str, found: String) -> Error {
    Error::Line { path: path.to_owned(), line, expected: expected.to_owned(), found }
}

/// The beginning of a text, for a message of one line.
pub(crate) fn shortened(text: &str) -> String {
    let start: String = text.chars().take(60).collect();
    if start.len() < text.len() { format!("{start:?}…") } else { format!("{start:?}") }
}
