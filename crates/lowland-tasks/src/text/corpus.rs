//! Texts of a data set with labels or numbers, before they are tokens. In one file: each reader of a
//! form is a few lines on the table that they share.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use super::columns::{Columns, TextColumns, is_line_of_names};
use super::files::{Layout, find};
use super::rows::{Rows, line_error, shortened};
use super::table::parse;
use super::{Text, TextSet, TextSplits, TextTokenizer};
use crate::data::TargetValues;
use crate::data::files::{format_error, read};
use crate::data::remarks::{left_out, left_out_lines};
use crate::{Error, Result};

/// Texts of a data set, each with a label or a number.
#[derive(Clone, Debug, PartialEq)]
pub struct TextCorpus {
    /// What is learned from.
    pub train: Texts,
    /// What checkpoints and settings are chosen on, where the data set has such a part.
    pub validation: Option<Texts>,
    /// What is only ever measured on.
    pub test: Texts,
    /// The names of the classes, in the order of their labels; none where numbers are looked for.
    pub classes: Vec<String>,
    /// The columns of the training texts: by number where the first line does not name them.
    pub columns: TextColumns,
    /// What was left out or decided on the way, a line each.
    pub remarks: Vec<String>,
    /// What is odd about the files, a line each.
    pub odd: Vec<String>,
}

/// The texts of a part.
#[derive(Clone, Debug, PartialEq)]
pub struct Texts {
    /// The texts.
    pub texts: Vec<Text>,
    /// What is looked for in each.
    pub targets: TargetValues,
    /// The file and the line of each.
    places: Vec<(PathBuf, usize)>,
}

/// How labels become classes.
pub(super) enum Classes {
    /// For each class the ways in which it is written, its name first.
    Known(&'static [&'static [&'static str]]),
    /// The labels of the training texts, in order: of numbers where all are.
    Found,
    /// None: labels are numbers to find, each in this range.
    Numbers {
        /// The smallest that there may be.
        least: f32,
        /// The largest.
        most: f32,
    },
}

/// Reads the bytes of one table that is no published task: its texts with their labels, where it
/// has labels. `path` says by its ending which form it has, and is what errors call it.
///
/// # Errors
///
/// [`Error::Line`] for bytes that are not UTF-8 and columns that are not there, [`Error::Lines`]
/// for several lines of one fault, [`Error::DamagedData`] for lines that do not fit, and
/// [`Error::Setting`] for one column that is to be two.
pub fn parse_table(
    path: &Path,
    bytes: &[u8],
    columns: &TextColumns,
) -> Result<(Vec<Text>, Option<Vec<String>>)> {
    let Rows { texts, labels, damaged, .. } = parse(path, bytes, &columns.wanted()?)?;
    Error::several("damaged lines", damaged).map_or(Ok((texts, labels)), Err)
}

/// Reads the files of a data set.
pub(super) struct Reader<'a> {
    pub(super) folder: &'a Path,
    pub(super) layout: Layout,
    pub(super) columns: Columns,
    pub(super) classes: Classes,
    pub(super) skip_damaged: bool,
    /// The files that the folder should hold, in words.
    pub(super) expected: &'static str,
}

/// The rows of the files of a part.
struct Part {
    files: Vec<(PathBuf, Rows)>,
}

impl Part {
    /// Whether there is no line of texts in any of its files, damaged ones included.
    fn is_empty(&self) -> bool {
        self.files.iter().all(|(_, rows)| rows.texts.is_empty() && rows.damaged.is_empty())
    }

    fn is_labelled(&self) -> bool {
        self.files.iter().all(|(_, rows)| rows.labels.is_some())
    }

    /// A line for each file whose first text is taken for one and looks like the names of columns.
    fn lines_of_names(&self) -> Vec<String> {
        let found = self.files.iter().filter_map(|(path, rows)| {
            let (text, labels) = (&rows.texts.first()?.first, rows.labels.as_ref()?);
            let (label, others) = labels.split_first()?;
            (!rows.is_named && is_line_of_names(text, label, others)).then(|| {
                let name = path.file_name().unwrap_or_default().display();
                format!(
                    "line {} of {name} is read as a text and looks like the names of columns, {}: \
                     choose columns by these names, or remove the line",
                    rows.lines[0], rows.found
                )
            })
        });
        found.collect()
    }

    /// The names of its files.
    fn name(&self) -> String {
        let names = self.files.iter().filter_map(|(path, _)| path.file_name());
        names.map(|name| name.display().to_string()).collect::<Vec<_>>().join(" and ")
    }
}

impl Reader<'_> {
    /// The texts, and the columns that they are from.
    pub(super) fn read(&self) -> Result<(TextCorpus, Vec<String>)> {
        let (mut remarks, mut odd) = (Vec::new(), Vec::new());
        let train = self.part(self.layout.train)?.ok_or_else(|| self.missing("train.tsv"))?;
        let validation = self.part(self.layout.validation)?;
        let test = self.part(self.layout.test)?;
        let path = &train.files[0].0;
        if train.is_empty() {
            return Err(line_error(path, 1, "sentences", "none".to_owned()));
        }
        if !train.is_labelled() {
            let found = format!("{}{}", train.files[0].1.found, self.columns.way);
            return Err(line_error(path, 1, &self.columns.in_words(), found));
        }
        let taken = train.files[0].1.taken_in_words();
        let [text, pair, label] = train.files[0].1.taken.clone();
        let columns = TextColumns { text, pair, label };
        let (validation, test) = match (validation, test) {
            (validation, Some(test)) if test.is_labelled() && !test.is_empty() => {
                (validation, test)
            }
            (Some(validation), test) => {
                let why = match test {
                    Some(test) if test.is_empty() => format!("{} holds no texts", test.name()),
                    Some(test) => format!("{} has no labels", test.name()),
                    None => "there is no test file".to_owned(),
                };
                remarks.push(format!("{why}: {} is the test part", validation.name()));
                (None, validation)
            }
            (None, Some(test)) => {
                let path = &test.files[0].0;
                if test.is_empty() {
                    return Err(line_error(path, 1, "sentences", "none".to_owned()));
                }
                let expected = "labels, here or in dev.tsv beside it".to_owned();
                return Err(format_error(path, expected, "none".to_owned()));
            }
            (None, None) => return Err(self.missing("test.tsv")),
        };
        let unlabelled = |part: &Part| !part.is_labelled();
        let empty = validation.as_ref().filter(|part| part.is_empty());
        remarks.extend(empty.map(|part| format!("{} holds no texts and is not used", part.name())));
        let validation = validation.filter(|part| !part.is_empty());
        if test.is_empty() {
            let path = &test.files[0].0;
            return Err(line_error(path, 1, "sentences", "none".to_owned()));
        }
        if let Some(part) = validation.as_ref().filter(|part| unlabelled(part)) {
            remarks.push(format!("{} has no labels and is not used", part.name()));
        }
        let validation = validation.filter(Part::is_labelled);
        if unlabelled(&test) {
            let path = &test.files[0].0;
            return Err(format_error(path, "labels".to_owned(), "none".to_owned()));
        }
        if train.files.iter().all(|(_, rows)| rows.texts.is_empty()) {
            let damaged = train.files.into_iter().flat_map(|(_, rows)| rows.damaged).collect();
            self.finish(damaged)?;
            return Err(self.all_damaged("training"));
        }
        let classes = self.class_names(&train)?;
        let known = self.spellings(&classes);
        let mut used: BTreeSet<PathBuf> = BTreeSet::new();
        let mut damaged = Vec::new();
        let mut texts = |part: Part| {
            odd.extend(part.lines_of_names());
            used.extend(part.files.iter().map(|(path, _)| path.clone()));
            self.texts(part, &known, &mut damaged)
        };
        let (train, test) = (texts(train), texts(test));
        let validation = validation.map(texts);
        remarks.extend(self.finish(damaged)?);
        for (part, name) in
            [(Some(&train), "training"), (validation.as_ref(), "validation"), (Some(&test), "test")]
        {
            if part.is_some_and(|part| part.texts.is_empty()) {
                return Err(self.all_damaged(name));
            }
        }
        remarks.extend(self.unused(&used)?);
        Ok((TextCorpus { train, validation, test, classes, columns, remarks, odd }, taken))
    }

    fn missing(&self, name: &str) -> Error {
        let (path, expected) = (self.folder.join(name), self.expected.to_owned());
        Error::Missing { path, kind: "file", expected }
    }

    fn all_damaged(&self, part: &str) -> Error {
        let expected = format!("at least one {part} text that is not damaged");
        format_error(self.folder, expected, "none".to_owned())
    }

    /// Reads the first of the files that is there, with those that go with it.
    fn part(&self, candidates: &[&[&str]]) -> Result<Option<Part>> {
        for together in candidates {
            let paths: Option<Vec<PathBuf>> =
                together.iter().map(|base| find(self.folder, base)).collect();
            let Some(paths) = paths else { continue };
            let rows = |path: PathBuf| {
                let rows = parse(&path, &read(&path)?, &self.columns)?;
                Ok((path, rows))
            };
            let files = paths.into_iter().map(rows).collect::<Result<_>>()?;
            return Ok(Some(Part { files }));
        }
        Ok(None)
    }

    fn class_names(&self, train: &Part) -> Result<Vec<String>> {
        match self.classes {
            Classes::Known(classes) => {
                return Ok(classes.iter().map(|ways| ways[0].to_owned()).collect());
            }
            Classes::Numbers { .. } => return Ok(Vec::new()),
            Classes::Found => {}
        }
        let labels = train.files.iter().filter_map(|(_, rows)| rows.labels.as_ref()).flatten();
        let mut names: Vec<String> = labels.collect::<BTreeSet<_>>().into_iter().cloned().collect();
        if names.iter().all(|name| name.parse::<i64>().is_ok()) {
            names.sort_by_key(|name| name.parse::<i64>().unwrap_or_default());
        }
        if names.is_empty() || names.len() > usize::from(u16::MAX) + 1 {
            let path = &train.files[0].0;
            let expected = "between 1 and 65536 different labels".to_owned();
            return Err(format_error(path, expected, names.len().to_string()));
        }
        Ok(names)
    }

    /// The class of each way in which a label is written.
    fn spellings(&self, classes: &[String]) -> HashMap<String, u16> {
        match self.classes {
            Classes::Known(classes) => (0..)
                .zip(classes)
                .flat_map(|(class, ways)| ways.iter().map(move |way| (way.to_lowercase(), class)))
                .collect(),
            Classes::Found => classes.iter().cloned().zip(0..).collect(),
            Classes::Numbers { .. } => HashMap::new(),
        }
    }

    /// The texts of a part whose label is known, or in range; others are damaged.
    fn texts(&self, part: Part, known: &HashMap<String, u16>, damaged: &mut Vec<Error>) -> Texts {
        let (mut texts, mut places) = (Vec::new(), Vec::new());
        let mut targets = match self.classes {
            Classes::Numbers { .. } => TargetValues::Numbers(Vec::new()),
            Classes::Known(_) | Classes::Found => TargetValues::Labels(Vec::new()),
        };
        for (path, rows) in part.files {
            let before = damaged.len();
            damaged.extend(rows.damaged);
            let labels = rows.labels.unwrap_or_default();
            for ((text, label), line) in rows.texts.into_iter().zip(labels).zip(rows.lines) {
                let is_known = match &mut targets {
                    TargetValues::Labels(labels) => {
                        let class = match self.classes {
                            Classes::Known(_) => known.get(&label.to_lowercase()),
                            _ => known.get(&label),
                        };
                        labels.extend(class);
                        class.is_some()
                    }
                    TargetValues::Numbers(numbers) => {
                        let number = self.number(&label);
                        numbers.extend(number);
                        number.is_some()
                    }
                };
                if is_known {
                    texts.push(text);
                    places.push((path.clone(), line));
                } else {
                    let expected = self.labels_in_words();
                    damaged.push(line_error(&path, line, &expected, shortened(&label)));
                }
            }
            damaged[before..].sort_by_key(Error::first_line);
        }
        Texts { texts, targets, places }
    }

    /// The number that a label is, where it is in range.
    fn number(&self, label: &str) -> Option<f32> {
        let Classes::Numbers { least, most } = self.classes else { return None };
        label.parse().ok().filter(|number| (least..=most).contains(number))
    }

    fn labels_in_words(&self) -> String {
        match self.classes {
            Classes::Known(classes) => {
                let ways = classes.iter().map(|ways| match ways {
                    [name, number, ..] => format!("{number} ({name})"),
                    ways => ways.join(""),
                });
                format!("a label {}", ways.collect::<Vec<_>>().join(" or "))
            }
            Classes::Found => "a label that training texts have".to_owned(),
            Classes::Numbers { least, most } => format!("a number from {least} to {most}"),
        }
    }

    /// A line for damaged lines that are left out.
    ///
    /// # Errors
    /// Damaged lines that are not to be skipped.
    fn finish(&self, damaged: Vec<Error>) -> Result<Option<String>> {
        if !self.skip_damaged {
            return Error::several("damaged lines", damaged).map_or(Ok(None), Err);
        }
        let name = |path: &Path| path.file_name().unwrap_or_default().display().to_string();
        Ok(left_out_lines(&damaged, name))
    }

    /// Lines for the files and the folders that are not used.
    fn unused(&self, used: &BTreeSet<PathBuf>) -> Result<Vec<String>> {
        let unreadable = |source| Error::File { path: self.folder.to_owned(), source };
        let (mut files, mut folders) = (Vec::new(), Vec::new());
        for entry in fs::read_dir(self.folder).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            let name = path.file_name().unwrap_or_default().display().to_string();
            let is_used = used.iter().any(|used| used.starts_with(&path));
            if !is_used && !name.starts_with('.') {
                if path.is_dir() { &mut folders } else { &mut files }.push(name);
            }
        }
        files.sort();
        folders.sort();
        let files = left_out(["file that is not used", "files that are not used"], &files);
        let folders = left_out(["folder that is not used", "folders that are not used"], &folders);
        Ok(files.into_iter().chain(folders).collect())
    }
}

impl TextCorpus {
    /// The texts as tokens.
    ///
    /// # Errors
    /// [`Error::Line`] for a text without tokens, or with one that the network does not know.
    pub fn tokenised(self, tokenizer: &TextTokenizer) -> Result<TextSplits> {
        let Self { train, validation, test, classes, mut remarks, odd, .. } = self;
        remarks.extend(odd);
        let mut set = |part: Texts, name: &str| {
            let Texts { texts, targets, places } = part;
            let targets = targets.named(classes.clone());
            let (set, cut) = TextSet::new_or_tell(&texts, targets, tokenizer).map_err(|fault| {
                let (path, line) = &places[fault.index];
                let expected = "a sentence of tokens that the network knows";
                line_error(path, *line, expected, fault.found)
            })?;
            if cut > 0 {
                let (count, most) = (texts.len(), tokenizer.max_length());
                let are = if cut == 1 { "is" } else { "are" };
                remarks.push(format!(
                    "{cut} of {count} {name} texts {are} cut to {most} tokens (text.max_length)"
                ));
            }
            Ok::<_, Error>(set)
        };
        let train = set(train, "training")?;
        let validation = validation.map(|part| set(part, "validation")).transpose()?;
        let test = set(test, "test")?;
        Ok(TextSplits { train, validation, test, remarks })
    }
}
