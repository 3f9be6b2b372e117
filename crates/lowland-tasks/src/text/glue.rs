//! Tasks of GLUE (Wang et al., arXiv 1804.07461), from their files.
//!
//! Columns are separated by tabs and that is all: a quotation mark is a character of its sentence,
//! and sentences of MRPC begin with one and have no second.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Metric, Text, TextSet, TextSplits, TextTokenizer};
use crate::data::files::{read, require_folder};
use crate::{Error, Result};

/// A task with sentences and labels that this crate can load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GlueTask {
    /// The Stanford Sentiment Treebank (Socher et al., 2013): is what is said of a film good or
    /// bad?
    ///
    /// From `train.tsv` and `dev.tsv`, both to learn from (67,349 sentences and parts of such), and
    /// `test.tsv` (872). GLUE's own folder has another division: where its `test.tsv` has no
    /// labels, `train.tsv` is learned from (67,349) and `dev.tsv` measured on (872).
    #[serde(rename = "sst2")]
    Sst2,
    /// The Microsoft Research Paraphrase Corpus (Dolan and Brockett, 2005): do two sentences say
    /// the same?
    ///
    /// From `msr_paraphrase_train.txt` (4,076 pairs) and `msr_paraphrase_test.txt` (1,725), the
    /// division of its publishers. The 408 pairs that GLUE measures on are among those that are
    /// learned from here, and its hidden test set is what is measured on: figures are like those of
    /// its leaderboard, not like those of its development set.
    Mrpc,
    /// The Corpus of Linguistic Acceptability (Warstadt et al., arXiv 1805.12471): is a sentence
    /// English?
    ///
    /// From `in_domain_train.tsv` (8,551 sentences), and to measure on `in_domain_dev.tsv` (527)
    /// and `out_of_domain_dev.tsv` (516), which together are the development set of GLUE: its
    /// hidden test set has no labels to be had. GLUE's own names of these, `train.tsv` and
    /// `dev.tsv`, are read where the others are not there.
    Cola,
}

/// The files of a division, and what is done with them.
struct Files {
    train: &'static [&'static str],
    test: &'static [&'static str],
}

/// Where a line has what.
struct Columns {
    /// The first line, where it names the columns.
    header: Option<&'static str>,
    count: usize,
    label: usize,
    first: usize,
    second: Option<usize>,
}

/// The first line of SST-2.
const SST2_HEADER: &str = "sentence\tlabel";

impl GlueTask {
    /// Every task, in the order in which lists show them.
    pub const ALL: [Self; 3] = [Self::Sst2, Self::Mrpc, Self::Cola];

    /// The name in commands and files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sst2 => "sst2",
            Self::Mrpc => "mrpc",
            Self::Cola => "cola",
        }
    }

    /// What it is, in one line.
    pub fn description(self) -> &'static str {
        match self {
            Self::Sst2 => {
                "sentences on films, good or bad; 67,349 and 872, 2 classes; from a folder"
            }
            Self::Mrpc => {
                "pairs of sentences that say the same or do not; 4,076 and 1,725, 2 classes; from a folder"
            }
            Self::Cola => {
                "sentences that are English or are not; 8,551 and 1,043, 2 classes; from a folder"
            }
        }
    }

    /// The files that the folder should hold, in words.
    pub fn expected_files(self) -> &'static str {
        match self {
            Self::Sst2 => "train.tsv, dev.tsv and test.tsv",
            Self::Mrpc => "msr_paraphrase_train.txt and msr_paraphrase_test.txt",
            Self::Cola => {
                "in_domain_train.tsv, in_domain_dev.tsv and out_of_domain_dev.tsv, or train.tsv and dev.tsv"
            }
        }
    }

    /// The names of the classes, in the order of their labels.
    pub fn classes(self) -> [&'static str; 2] {
        match self {
            Self::Sst2 => ["negative", "positive"],
            Self::Mrpc => ["different", "paraphrase"],
            Self::Cola => ["unacceptable", "acceptable"],
        }
    }

    /// Tokens to which texts are best cut where nothing else is asked for: with the vocabulary of
    /// BERT, 4 of the 68,221 texts of SST-2 are longer and none of the others.
    pub fn max_length(self) -> usize {
        match self {
            Self::Sst2 | Self::Cola => 64,
            Self::Mrpc => 128,
        }
    }

    /// What GLUE measures the task by.
    pub fn metric(self) -> Metric {
        match self {
            Self::Sst2 => Metric::Accuracy,
            Self::Mrpc => Metric::F1,
            Self::Cola => Metric::Matthews,
        }
    }

    /// Reads the task from its folder and tokenises it.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`] if the folder or one of its files is not there, [`Error::File`] if one
    /// cannot be read, [`Error::Line`] with the place of what is not as the format has it: text
    /// that is not UTF-8, another number of columns, a label that is not 0 or 1, a sentence without
    /// tokens.
    pub fn load(self, folder: &Path, tokenizer: &TextTokenizer) -> Result<TextSplits> {
        require_folder(folder, self.expected_files())?;
        let files = self.files(folder)?;
        let part = |names: &[&str]| {
            let paths: Vec<PathBuf> = names.iter().map(|name| folder.join(name)).collect();
            self.read(&paths, tokenizer)
        };
        Ok(TextSplits { train: part(files.train)?, test: part(files.test)? })
    }

    /// The files of the division that the folder has.
    fn files(self, folder: &Path) -> Result<Files> {
        let files = match self {
            Self::Sst2 if is_unlabelled(&folder.join("test.tsv"))? => {
                Files { train: &["train.tsv"], test: &["dev.tsv"] }
            }
            Self::Sst2 => Files { train: &["train.tsv", "dev.tsv"], test: &["test.tsv"] },
            Self::Mrpc => {
                Files { train: &["msr_paraphrase_train.txt"], test: &["msr_paraphrase_test.txt"] }
            }
            Self::Cola if folder.join("in_domain_train.tsv").exists() => Files {
                train: &["in_domain_train.tsv"],
                test: &["in_domain_dev.tsv", "out_of_domain_dev.tsv"],
            },
            Self::Cola => Files { train: &["train.tsv"], test: &["dev.tsv"] },
        };
        Ok(files)
    }

    fn columns(self) -> Columns {
        match self {
            Self::Sst2 => {
                Columns { header: Some(SST2_HEADER), count: 2, label: 1, first: 0, second: None }
            }
            Self::Mrpc => Columns {
                header: Some("Quality\t#1 ID\t#2 ID\t#1 String\t#2 String"),
                count: 5,
                label: 0,
                first: 3,
                second: Some(4),
            },
            Self::Cola => Columns { header: None, count: 4, label: 1, first: 3, second: None },
        }
    }

    /// Reads the files one after the other as one set.
    fn read(self, paths: &[PathBuf], tokenizer: &TextTokenizer) -> Result<TextSet> {
        let (mut texts, mut labels, mut places) = (Vec::new(), Vec::new(), Vec::new());
        for path in paths {
            for row in rows(path, &self.columns())? {
                texts.push(row.text);
                labels.push(row.label);
                places.push((path, row.line));
            }
        }
        let classes = self.classes().map(str::to_owned).to_vec();
        TextSet::new_or_tell(&texts, labels, classes, tokenizer).map_err(|fault| {
            let (path, line) = places[fault.index];
            line_error(path, line, "a sentence of tokens that the network knows", fault.found)
        })
    }
}

impl fmt::Display for GlueTask {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

impl FromStr for GlueTask {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|task| task.name() == name).ok_or_else(|| Error::Unknown {
            what: "text task",
            name: name.to_owned(),
            known: Self::ALL.map(Self::name).join(", "),
        })
    }
}

/// A line of a file.
struct Row {
    /// Counted from 1.
    line: usize,
    text: Text,
    label: u16,
}

/// Whether a `test.tsv` of SST-2 is that of GLUE, which has no labels.
fn is_unlabelled(path: &Path) -> Result<bool> {
    Ok(bytes(path)?.starts_with(b"index\tsentence"))
}

fn bytes(path: &Path) -> Result<Vec<u8>> {
    if path.is_file() {
        return read(path);
    }
    let expected = "tab-separated sentences with labels".to_owned();
    Err(Error::Missing { path: path.to_owned(), kind: "file", expected })
}

/// The rows of a file, at least one.
fn rows(path: &Path, columns: &Columns) -> Result<Vec<Row>> {
    let bytes = bytes(path)?;
    let text = utf8(path, &bytes)?;
    // The files of MRPC begin with a byte order mark.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines = text.lines().enumerate().map(|(i, line)| (i + 1, line));
    if let Some(header) = columns.header {
        let found = lines.next().map_or("", |(_, line)| line);
        if found != header {
            return Err(line_error(path, 1, &format!("{header:?}"), shortened(found)));
        }
    }
    let rows: Vec<Row> = lines.map(|line| row(path, columns, line)).collect::<Result<_>>()?;
    if rows.is_empty() {
        return Err(line_error(path, 1, "sentences", "none".to_owned()));
    }
    Ok(rows)
}

fn utf8<'a>(path: &Path, bytes: &'a [u8]) -> Result<&'a str> {
    std::str::from_utf8(bytes).map_err(|error| {
        let before = &bytes[..error.valid_up_to()];
        let line = before.split(|&byte| byte == b'\n').count();
        line_error(path, line, "text in UTF-8", format!("{:#04x}", bytes[error.valid_up_to()]))
    })
}

fn row(path: &Path, columns: &Columns, (line, text): (usize, &str)) -> Result<Row> {
    let fields: Vec<&str> = text.split('\t').collect();
    if fields.len() != columns.count {
        let expected = format!("{} columns separated by tabs", columns.count);
        return Err(line_error(path, line, &expected, fields.len().to_string()));
    }
    let label = match fields[columns.label] {
        "0" => 0,
        "1" => 1,
        other => return Err(line_error(path, line, "label 0 or 1", shortened(other))),
    };
    let second = columns.second.map(|column| fields[column].to_owned());
    Ok(Row { line, text: Text { first: fields[columns.first].to_owned(), second }, label })
}

fn line_error(path: &Path, line: usize, expected: &str, found: String) -> Error {
    Error::Line { path: path.to_owned(), line, expected: expected.to_owned(), found }
}

/// The beginning of a text, for a message of one line.
fn shortened(text: &str) -> String {
    let start: String = text.chars().take(40).collect();
    if start.len() < text.len() { format!("{start:?}…") } else { format!("{start:?}") }
}
