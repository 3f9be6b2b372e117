//! Tasks of GLUE (Wang et al., arXiv 1804.07461), from their files: as GLUE publishes them, as
//! their first publishers do, and as tables or JSON lines with the same columns.
//!
//! In files of tabs, columns are separated by tabs and that is all: a quotation mark is a character
//! of its sentence, and sentences of MRPC begin with one and have no second. The labels of STS-B
//! are numbers, and it is a regression.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::columns::{Columns, Count, Places};
use super::corpus::{Classes, Reader};
use super::files::{Layout, USUAL};
use super::{Metric, TextCorpus, TextSplits, TextTokenizer};
use crate::data::files::require_folder;
use crate::{Error, Result};

/// A task with sentences and labels that this crate can load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GlueTask {
    /// The Stanford Sentiment Treebank (Socher et al., 2013): is what is said of a film good or
    /// bad?
    ///
    /// From `train` (67,349 sentences and parts of such), `dev` (872) and `test`. Where the test
    /// file has no labels, as in GLUE's folder, or is not there, `dev` is the test part.
    #[serde(rename = "sst2")]
    Sst2,
    /// The Microsoft Research Paraphrase Corpus (Dolan and Brockett, 2005): do two sentences say
    /// the same?
    ///
    /// From `msr_paraphrase_train.txt` (4,076 pairs) and `msr_paraphrase_test.txt` (1,725), the
    /// division of its publishers: its test part is GLUE's hidden one, so that figures are like
    /// those of the leaderboard. Or from GLUE's `train` (3,668) and `dev` (408).
    Mrpc,
    /// The Corpus of Linguistic Acceptability (Warstadt et al., arXiv 1805.12471): is a sentence
    /// English?
    ///
    /// From `in_domain_train.tsv` (8,551 sentences), and to measure on `in_domain_dev.tsv` (527)
    /// and `out_of_domain_dev.tsv` (516), which together are the development set of GLUE: its
    /// hidden test set has no public labels. Or from GLUE's `train` and `dev`.
    Cola,
    /// Quora Question Pairs: do two questions ask the same? From `train` (363,846) and `dev`
    /// (40,430).
    Qqp,
    /// Multi-genre natural language inference (Williams et al., arXiv 1704.05426): does a premise
    /// entail a hypothesis, contradict it, or neither? From `train` (392,702) and `dev_matched`
    /// (9,815), whose sources are those of training; `dev_mismatched` is not used.
    Mnli,
    /// Question natural language inference, from `SQuAD`: does a sentence hold the answer to a
    /// question? From `train` (104,743) and `dev` (5,463).
    Qnli,
    /// Recognising textual entailment. From `train` (2,490) and `dev` (277).
    Rte,
    /// Winograd natural language inference. From `train` (635) and `dev` (71), on which the larger
    /// class is hard to beat.
    Wnli,
    /// The Semantic Textual Similarity Benchmark (Cer et al., arXiv 1708.00055): how similar are
    /// two sentences, as a number from 0 to 5? A regression. From `train` (5,749 pairs) and `dev`
    /// (1,500); where a test file has the numbers, as in copies with all labels, it is the test
    /// part. Or from `sts-train.csv`, `sts-dev.csv` and `sts-test.csv` (1,379) of STSbenchmark, its
    /// publishers' form with all labels, which is taken where both are there: columns are separated
    /// by tabs and have no names, and a sentence may hold single quotation marks.
    Stsb,
}

impl GlueTask {
    /// Every task, in the order in which lists show them.
    pub const ALL: [Self; 9] = [
        Self::Sst2,
        Self::Mrpc,
        Self::Cola,
        Self::Qqp,
        Self::Mnli,
        Self::Qnli,
        Self::Rte,
        Self::Wnli,
        Self::Stsb,
    ];

    /// The name in commands and files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sst2 => "sst2",
            Self::Mrpc => "mrpc",
            Self::Cola => "cola",
            Self::Qqp => "qqp",
            Self::Mnli => "mnli",
            Self::Qnli => "qnli",
            Self::Rte => "rte",
            Self::Wnli => "wnli",
            Self::Stsb => "stsb",
        }
    }

    /// What it is, in one line.
    pub fn description(self) -> &'static str {
        match self {
            Self::Sst2 => {
                "sentiment of sentences from film reviews; 67,349 and 872, 2 classes; from a folder"
            }
            Self::Mrpc => {
                "whether two sentences are paraphrases; 4,076 and 1,725, 2 classes; from a folder"
            }
            Self::Cola => {
                "linguistic acceptability of sentences; 8,551 and 1,043, 2 classes; from a folder"
            }
            Self::Qqp => "whether two questions are duplicates; 2 classes; from a folder",
            Self::Mnli => {
                "whether a sentence entails or contradicts another; 3 classes; from a folder"
            }
            Self::Qnli => "whether a sentence answers a question; 2 classes; from a folder",
            Self::Rte => "whether a sentence entails another; 2 classes; from a folder",
            Self::Wnli => "what a pronoun in a sentence refers to; 2 classes; from a folder",
            Self::Stsb => {
                "similarity of two sentences, a number from 0 to 5; 5,749 and 1,500; from a folder"
            }
        }
    }

    /// The files that the folder should hold, in words.
    pub fn expected_files(self) -> &'static str {
        match self {
            Self::Sst2 => "train.tsv, dev.tsv and test.tsv (each may be .csv or .jsonl)",
            Self::Mrpc => {
                "msr_paraphrase_train.txt and msr_paraphrase_test.txt, or train.tsv and dev.tsv"
            }
            Self::Cola => {
                "in_domain_train.tsv, in_domain_dev.tsv and out_of_domain_dev.tsv, or train.tsv and dev.tsv"
            }
            Self::Mnli => "train.tsv and dev_matched.tsv",
            Self::Stsb => "train.tsv and dev.tsv, or sts-train.csv, sts-dev.csv and sts-test.csv",
            Self::Qqp | Self::Qnli | Self::Rte | Self::Wnli => "train.tsv and dev.tsv",
        }
    }

    /// The names of the classes, in the order of their labels; none for STS-B.
    pub fn classes(self) -> Vec<&'static str> {
        self.spellings().iter().map(|ways| ways[0]).collect()
    }

    /// For each class its name, its number, and other ways in which it is written.
    fn spellings(self) -> &'static [&'static [&'static str]] {
        match self {
            Self::Sst2 => &[&["negative", "0"], &["positive", "1"]],
            Self::Mrpc => {
                &[&["different", "0", "not_equivalent"], &["paraphrase", "1", "equivalent"]]
            }
            Self::Cola => &[&["unacceptable", "0"], &["acceptable", "1"]],
            Self::Qqp => &[&["different", "0", "not_duplicate"], &["duplicate", "1"]],
            Self::Mnli => &[&["entailment", "0"], &["neutral", "1"], &["contradiction", "2"]],
            Self::Qnli | Self::Rte => &[&["entailment", "0"], &["not_entailment", "1"]],
            Self::Wnli => &[&["not_entailment", "0"], &["entailment", "1"]],
            Self::Stsb => &[],
        }
    }

    /// Tokens to which texts are best cut where nothing else is asked for: with the vocabulary of
    /// BERT, 4 of the 68,221 texts of SST-2 are longer and none of the others.
    pub fn max_length(self) -> usize {
        match self {
            Self::Sst2 | Self::Cola => 64,
            _ => 128,
        }
    }

    /// What GLUE measures the classification by; `None` for STS-B, which is none: GLUE measures it
    /// by the correlations of Pearson and Spearman.
    pub fn metric(self) -> Option<Metric> {
        match self {
            Self::Mrpc | Self::Qqp => Some(Metric::F1),
            Self::Cola => Some(Metric::Matthews),
            Self::Sst2 | Self::Mnli | Self::Qnli | Self::Rte | Self::Wnli => Some(Metric::Accuracy),
            Self::Stsb => None,
        }
    }

    /// Reads the task from its folder and tokenises it.
    ///
    /// # Errors
    ///
    /// As [`corpus`](Self::corpus) with no damaged line skipped, and [`Error::Line`] for a sentence
    /// without tokens.
    pub fn load(self, folder: &Path, tokenizer: &TextTokenizer) -> Result<TextSplits> {
        self.corpus(folder, false)?.tokenised(tokenizer)
    }

    /// Reads the texts of the task from its folder.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`] if the folder or one of its files is not there, [`Error::File`] if one
    /// cannot be read, [`Error::Line`] with the place of what is not as the format has it: text
    /// that is not UTF-8, other columns; [`Error::DamagedData`] for lines with another number of
    /// columns or an unknown label, unless these are to be skipped.
    pub fn corpus(self, folder: &Path, skip_damaged: bool) -> Result<TextCorpus> {
        require_folder(folder, self.expected_files())?;
        let is_benchmark = self == Self::Stsb && STS_BENCHMARK.is_in(folder);
        let (layout, columns) = if is_benchmark {
            (STS_BENCHMARK, self.columns().of_sts_benchmark())
        } else {
            (self.layout(), self.columns())
        };
        let reader = Reader {
            folder,
            layout,
            columns,
            classes: self.labels(),
            skip_damaged,
            expected: self.expected_files(),
        };
        let (mut corpus, _) = reader.read()?;
        if is_benchmark {
            let form = "the files are those of STSbenchmark (sts-train), not those of GLUE (train)";
            corpus.remarks.insert(0, form.to_owned());
        }
        Ok(corpus)
    }

    /// The columns of a file of any form of the task.
    pub(super) fn columns_of_inputs(self) -> Columns {
        match self {
            Self::Stsb => self.columns().of_sts_benchmark(),
            _ => self.columns(),
        }
    }

    fn labels(self) -> Classes {
        match self {
            Self::Stsb => Classes::Numbers { least: 0.0, most: 5.0 },
            _ => Classes::Known(self.spellings()),
        }
    }

    fn layout(self) -> Layout {
        match self {
            Self::Mrpc => Layout {
                train: &[&["msr_paraphrase_train"], &["train"]],
                test: &[&["msr_paraphrase_test"], &["test"]],
                ..USUAL
            },
            Self::Cola => Layout {
                train: &[&["in_domain_train"], &["train"]],
                test: &[&["in_domain_dev", "out_of_domain_dev"], &["test"]],
                ..USUAL
            },
            Self::Mnli => Layout {
                validation: &[&["dev_matched"], &["validation_matched"], &["dev"], &["validation"]],
                test: &[&["test_matched"], &["test"]],
                ..USUAL
            },
            _ => USUAL,
        }
    }

    fn columns(self) -> Columns {
        let (text, pair, label): (&[&str], &[&str], &[&str]) = match self {
            Self::Sst2 | Self::Cola => (&["sentence", "text"], &[], &["label"]),
            Self::Mrpc => (
                &["#1 String", "sentence1", "text1"],
                &["#2 String", "sentence2", "text2"],
                &["Quality", "label"],
            ),
            Self::Qqp => {
                (&["question1", "text1"], &["question2", "text2"], &["is_duplicate", "label"])
            }
            Self::Mnli => (
                &["sentence1", "premise", "text1"],
                &["sentence2", "hypothesis", "text2"],
                &["gold_label", "label"],
            ),
            Self::Qnli => (&["question", "text1"], &["sentence", "text2"], &["label"]),
            Self::Rte | Self::Wnli => {
                (&["sentence1", "text1"], &["sentence2", "text2"], &["label"])
            }
            Self::Stsb => (
                &["sentence1", "text1"],
                &["sentence2", "text2"],
                &["score", "label", "similarity_score"],
            ),
        };
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        // The files of CoLA's publishers have no line of names.
        let places = Places { text: 3, pair: None, label: Some(1), count: Count::Exactly(4) };
        Columns {
            text: names(text),
            pair: names(pair),
            needs_pair: !pair.is_empty(),
            label: names(label),
            needs_label: true,
            numbers: [None; 3],
            unnamed: (self == Self::Cola).then_some(places),
            tabs_in_csv: false,
            way: "",
        }
    }
}

/// The parts of STSbenchmark (<http://ixa2.si.ehu.eus/stswiki/index.php/STSbenchmark>).
const STS_BENCHMARK: Layout =
    Layout { train: &[&["sts-train"]], validation: &[&["sts-dev"]], test: &[&["sts-test"]] };

impl Columns {
    /// The columns of STSbenchmark: genre, file, year, number there, score, both sentences, and
    /// after some of these where they are from.
    fn of_sts_benchmark(self) -> Self {
        let places = Places { text: 5, pair: Some(6), label: Some(4), count: Count::AtLeast(7) };
        Self { unnamed: Some(places), tabs_in_csv: true, ..self }
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
        Self::ALL
            .into_iter()
            .find(|task| task.name() == name)
            .ok_or_else(|| Error::unknown("text task", name, &Self::ALL.map(Self::name)))
    }
}
