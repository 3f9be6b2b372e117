//! The rows of a table, and how what is wrong with one is put.

use std::path::Path;

use super::Text;
use crate::Error;

/// Labels that stand for none.
const NO_LABELS: [&str; 4] = ["-1", "-1.0", "", "?"];

/// The rows of a file.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    pub(crate) texts: Vec<Text>,
    /// The labels as they stand there; `None` where the file has none, or has -1 throughout.
    pub(crate) labels: Option<Vec<String>>,
    /// The line of each row, counted from 1.
    pub(crate) lines: Vec<usize>,
    /// The columns of text, second text and label that were taken: by name where they have one that
    /// is theirs alone, by number otherwise.
    pub(crate) taken: [Option<String>; 3],
    /// Whether the first line names the columns.
    pub(crate) is_named: bool,
    /// Whether the first line is a row and looks like the names of columns.
    pub(crate) is_like_names: bool,
    /// The names of all columns, or what stands in the first line instead.
    pub(crate) found: String,
    /// Lines that are no rows.
    pub(crate) damaged: Vec<Error>,
}

impl Rows {
    /// Moves rows without a label to the damaged lines, and drops the labels where all are none.
    pub(super) fn with_labels_sorted_out(mut self, path: &Path) -> Self {
        let is_none = |labels: &Vec<String>| {
            !labels.is_empty() && labels.iter().all(|label| NO_LABELS.contains(&&**label))
        };
        self.labels = self.labels.filter(|labels| !is_none(labels));
        if self.labels.as_ref().is_none_or(|labels| !labels.iter().any(String::is_empty)) {
            return self;
        }
        let labels = self.labels.take().unwrap_or_default();
        let rows = self.texts.drain(..).zip(self.lines.drain(..)).zip(labels);
        let (mut texts, mut lines, mut kept) = (Vec::new(), Vec::new(), Vec::new());
        for ((text, line), label) in rows {
            if label.is_empty() {
                self.damaged.push(line_error(path, line, "a label", "none".to_owned()));
            } else {
                texts.push(text);
                lines.push(line);
                kept.push(label);
            }
        }
        Self { texts, lines, labels: Some(kept), ..self }
    }

    /// The columns that were taken, in words.
    pub(super) fn taken_in_words(&self) -> Vec<String> {
        let taken = self.taken.iter().flatten();
        let is_number = |name: &String| !self.is_named || name.parse::<usize>().is_ok();
        taken.map(|name| if is_number(name) { name.clone() } else { quoted(name) }).collect()
    }
}

pub(crate) fn line_error(path: &Path, line: usize, expected: &str, found: String) -> Error {
    Error::Line { path: path.to_owned(), line, expected: expected.to_owned(), found }
}

/// An error for lines from `first` to `last`, which may be one.
pub(super) fn lines_error(
    path: &Path,
    [first, last]: [usize; 2],
    expected: &str,
    found: String,
) -> Error {
    if first == last {
        return line_error(path, first, expected, found);
    }
    Error::Lines { path: path.to_owned(), first, last, expected: expected.to_owned(), found }
}

/// The beginning of a text in quotation marks, for a message of one line.
pub(crate) fn shortened(text: &str) -> String {
    let start: String = text.chars().take(60).collect();
    if start.len() < text.len() { format!("{}…", quoted(&start)) } else { quoted(&start) }
}

/// A text in quotation marks that it does not have itself where there are such, as it stands there:
/// only what would break the line, or be invisible, is a space.
pub(super) fn quoted(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.contains('"') { format!("'{text}'") } else { format!("\"{text}\"") }
}
