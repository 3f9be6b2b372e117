//! Tables whose columns are separated by a character.

use std::path::Path;

use csv::StringRecord;

use super::Text;
use super::columns::{Columns, is_line_of_usual_names};
use super::rows::{Rows, line_error, lines_error, shortened};
use crate::{Error, Result};

/// How the columns of a file are separated.
#[derive(Clone, Copy, Debug)]
pub(super) enum Separator {
    /// A tab, and a quotation mark is a character of its text.
    Tab,
    /// This character, with texts in quotation marks as RFC 4180 has them.
    Quoting(u8),
}

impl Separator {
    fn byte(self) -> u8 {
        match self {
            Self::Tab => b'\t',
            Self::Quoting(byte) => byte,
        }
    }
}

pub(super) fn read_delimited(
    path: &Path,
    text: &str,
    columns: &Columns,
    separator: Separator,
) -> Result<Rows> {
    let is_quoting = matches!(separator, Separator::Quoting(_));
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(separator.byte())
        .quoting(is_quoting)
        .has_headers(false)
        .flexible(true)
        .from_reader(text.as_bytes());
    let mut record = StringRecord::new();
    let mut places = None;
    let mut rows = Rows::default();
    let mut labels = Vec::new();
    loop {
        let (start, line) = (reader.position().byte(), reader.position().line());
        let line = usize::try_from(line).unwrap_or(usize::MAX);
        match reader.read_record(&mut record) {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) => return Err(line_error(path, line, "a table", error.to_string())),
        }
        // Blank lines are passed over before a record.
        let raw = between(text, start, reader.position().byte());
        let written = raw.trim_start_matches(['\r', '\n']);
        let line = line + line_ends(&raw[..raw.len() - written.len()]);
        let source = Source { path, text: written, line };
        let fault = if is_quoting { source.misquoted(&record, separator.byte()) } else { None };
        let (first, at) = match (places, fault) {
            // Which lines are columns' names, and how many columns there are, is not known.
            (None, Some(fault)) => return Err(fault),
            (Some(_), Some(fault)) => {
                rows.damaged.push(fault);
                continue;
            }
            (Some(found), None) => found,
            (None, None) => {
                let names: Vec<&str> = record.iter().collect();
                let (at, is_named) = columns.places(path, &names)?;
                rows.found = shortened(&names.join(", "));
                rows.is_named = is_named;
                let text = names.get(at.text).copied().unwrap_or_default();
                rows.is_like_names =
                    !is_named && is_line_of_usual_names(text, names.iter().copied());
                let name = |place: usize| match names[place].trim() {
                    name if is_named && names.iter().filter(|n| n.trim() == name).count() == 1 => {
                        name.to_owned()
                    }
                    _ => format!("{}", place + 1),
                };
                rows.taken = [Some(at.text), at.pair, at.label].map(|place| {
                    // Places of published files are not those of their first line.
                    place.filter(|&place| place < names.len()).map(name)
                });
                places = Some((record.len(), at));
                if is_named {
                    continue;
                }
                (record.len(), at)
            }
        };
        if !at.count.allows(record.len(), first) {
            let expected = at.count.in_words(first);
            rows.damaged.push(source.error(&expected, record.len().to_string()));
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

fn between(text: &str, start: u64, end: u64) -> &str {
    let at = |byte: u64| usize::try_from(byte).unwrap_or(usize::MAX);
    text.get(at(start)..at(end)).unwrap_or_default()
}

fn line_ends(text: &str) -> usize {
    text.matches('\n').count()
}

/// What a record was read from.
struct Source<'a> {
    path: &'a Path,
    text: &'a str,
    /// The line in which it begins.
    line: usize,
}

impl Source<'_> {
    /// An error for all its lines.
    fn error(&self, expected: &str, found: String) -> Error {
        let last = self.line + line_ends(self.text.trim_end_matches(['\r', '\n']));
        lines_error(self.path, [self.line, last], expected, found)
    }

    /// What is wrong with the quotation marks of a record. The reader takes every file: a field is
    /// quoted as RFC 4180 has it where, quoted anew, it is what stands there.
    fn misquoted(&self, record: &StringRecord, separator: u8) -> Option<Error> {
        let mut rest = self.text;
        for field in record {
            rest = if rest.starts_with('"') {
                let open = format!("\"{}", field.replace('"', "\"\""));
                let line = || self.line + line_ends(&self.text[..self.text.len() - rest.len()]);
                if open == rest {
                    let line = line();
                    let found = format!("none: the quotation mark in line {line} is never closed");
                    return Some(self.error("a closing quotation mark", found));
                }
                let after = rest.strip_prefix(&*open).and_then(|rest| rest.strip_prefix('"'));
                let Some(after) = after else {
                    return Some(self.text_behind(rest, line(), separator));
                };
                after
            } else {
                rest.strip_prefix(field).unwrap_or_default()
            };
            rest = rest.strip_prefix(char::from(separator)).unwrap_or(rest);
        }
        None
    }

    /// An error for text behind the closing quotation mark of the first field of `rest`, which
    /// begins in `line`.
    fn text_behind(&self, rest: &str, line: usize, separator: u8) -> Error {
        let mut close = 1;
        while let Some(mark) = rest.get(close..).and_then(|rest| rest.find('"')) {
            close += mark + 1;
            if !rest[close..].starts_with('"') {
                break;
            }
            close += 1;
        }
        let behind = rest[close..].split(['\r', '\n']).next().unwrap_or_default();
        let separator = if separator == b';' { "a semicolon" } else { "a comma" };
        let expected = format!("{separator} or the end of the line after a closing quotation mark");
        let opened = match (line, line + line_ends(&rest[..close])) {
            (line, last) if line == last => String::new(),
            (line, last) => format!(" in line {last}, after a text that line {line} opens"),
        };
        let way = "(a quotation mark within a quoted text is written twice)";
        self.error(&expected, format!("{}{opened} {way}", shortened(behind)))
    }
}
