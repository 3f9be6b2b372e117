//! Tables of texts: lines with named columns, separated by tabs or commas, or JSON objects.
//!
//! In files of tabs (`.tsv`, `.txt`) columns are separated by tabs and that is all: a quotation
//! mark is a character of its sentence. Files of commas (`.csv`) quote as RFC 4180 has it, and may
//! have semicolons in place of commas, as spreadsheets write them where the comma is a decimal
//! point; a quotation mark in a text that does not begin with one is a character. In `.jsonl`,
//! `.ndjson` and `.json` each line is an object.

use std::path::Path;

use super::Text;
use super::columns::{Columns, columns_in_words};
use super::delimited::{Separator, read_delimited};
use super::objects::read_objects;
use super::rows::{Rows, line_error};
use crate::data::files::format_error;
use crate::{Error, Result};

/// Endings of files that are read, in the order in which they are looked for.
pub(crate) const ENDINGS: [&str; 6] = ["tsv", "csv", "jsonl", "ndjson", "json", "txt"];

/// Reads the bytes of a table. `path` says which form it has, and is what errors call it.
///
/// # Errors
/// [`Error::Line`] for bytes that are not UTF-8, columns that are not there. Lines that do not fit,
/// or have no label where others have one, are kept in [`Rows::damaged`].
pub(crate) fn parse(path: &Path, bytes: &[u8], columns: &Columns) -> Result<Rows> {
    let text = utf8(path, bytes)?;
    let mut rows = match &*ending(path) {
        "jsonl" | "ndjson" | "json" => read_objects(path, text, columns)?,
        "csv" if columns.tabs_in_csv && first_line(text).contains('\t') => {
            read_delimited(path, text, columns, Separator::Tab)?
        }
        "csv" => {
            if first_line(text).contains('\t') && !first_line(text).contains([',', ';']) {
                let found = "tabs: the name of a file of tabs ends in .tsv".to_owned();
                return Err(line_error(path, 1, "columns separated by commas", found));
            }
            read_delimited(path, text, columns, Separator::Quoting(comma(text)))?
        }
        _ => read_delimited(path, text, columns, Separator::Tab)?,
    };
    // What a label says, or that there is none, is of no matter where none is wanted.
    rows.labels = rows.labels.filter(|_| columns.needs_label);
    Ok(rows.with_labels_sorted_out(path))
}

/// Texts without labels.
#[derive(Debug)]
pub(crate) struct Unlabelled<P> {
    /// Each text and its place: a line, or what it is called.
    pub(crate) texts: Vec<(Text, P)>,
    /// Lines that are no texts.
    pub(crate) damaged: Vec<Error>,
    /// What is odd about the file.
    pub(crate) remark: Option<String>,
}

/// Reads texts without labels, each with its line: from a table, or from a file (`.txt`, or of any
/// ending that no table has) with one text a line, or two with a tab between them. With them a
/// remark on the first line of a table, where that is read as a text and looks like names.
///
/// # Errors
/// As [`parse`], and for a file without a line.
pub(crate) fn inputs(path: &Path, bytes: &[u8], columns: &Columns) -> Result<Unlabelled<usize>> {
    let text = utf8(path, bytes)?;
    let is_table = match &*ending(path) {
        "txt" => {
            // The files of some publishers.
            let first: Vec<&str> = first_line(text).split('\t').collect();
            let is_named = |found: (_, bool)| found.1;
            first.len() > 1 && columns.places(path, &first).is_ok_and(is_named)
        }
        ending => ENDINGS.contains(&ending),
    };
    let (mut remark, mut damaged) = (None, Vec::new());
    let texts: Vec<(Text, usize)> = if is_table {
        let rows = parse(path, bytes, columns)?;
        let Rows { texts, lines, is_like_names, found, .. } = rows;
        damaged = rows.damaged;
        remark = lines.first().filter(|_| is_like_names).map(|line| {
            let name = path.display();
            format!(
                "line {line} of {name} is read as a text and looks like the names of columns, \
                 {found}: remove it unless it is a text"
            )
        });
        texts.into_iter().zip(lines).collect()
    } else {
        let lines = (1..).zip(text.lines()).map(|(line, text)| {
            let refused = |found: String| {
                line_error(path, line, "a text, or two with a tab between them", found)
            };
            match text.split('\t').collect::<Vec<_>>().as_slice() {
                [one] if !one.trim().is_empty() => Ok((Text::from(*one), line)),
                [one, two] => Ok((Text::from((*one, *two)), line)),
                [_] => Err(refused("an empty line".to_owned())),
                more => Err(refused(columns_in_words(more.len()))),
            }
        });
        lines.filter_map(|line| line.map_err(|error| damaged.push(error)).ok()).collect()
    };
    if texts.is_empty() && damaged.is_empty() {
        return Err(format_error(path, "at least one text".to_owned(), "none".to_owned()));
    }
    Ok(Unlabelled { texts, damaged, remark })
}

fn ending(path: &Path) -> String {
    path.extension().unwrap_or_default().to_string_lossy().to_lowercase()
}

/// What separates the columns of a file of commas: the first line says.
fn comma(text: &str) -> u8 {
    let count = |separator| first_line(text).matches(separator).count();
    if count(';') > count(',') { b';' } else { b',' }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// The text of a file without a mark of the order of its bytes.
fn utf8<'a>(path: &Path, bytes: &'a [u8]) -> Result<&'a str> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let before = &bytes[..error.valid_up_to()];
        let line = before.split(|&byte| byte == b'\n').count();
        let name = path.display();
        let convert = |from| format!("convert it, such as with `iconv -f {from} -t UTF-8 {name}`");
        let found = if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
            format!("UTF-16: {}", convert("UTF-16"))
        } else {
            let byte = bytes[error.valid_up_to()];
            format!("the byte {byte:#04x}: if it is Latin-1, {}", convert("LATIN1"))
        };
        line_error(path, line, "text in UTF-8", found)
    })?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}
