//! What can go wrong in this crate, as one enum.

use std::fmt::Display;
use std::io;
use std::path::PathBuf;

use crate::spelling::did_you_mean;

/// What the functions of this crate return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that a caller, a file or a setting can get wrong.
///
/// Each message is one lower-case line that names the thing and says what was expected.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused to read a file.
    #[error("cannot read {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },

    /// A file or folder that should be there is not.
    #[error("{}: expected {expected}, found no such {kind}", path.display())]
    Missing {
        /// What was looked for.
        path: PathBuf,
        /// "file" or "folder".
        kind: &'static str,
        /// What should have been there.
        expected: String,
    },

    /// A file was read, and its bytes are not what its format asks for.
    #[error("{}: expected {expected}, found {found}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What the format asks for.
        expected: String,
        /// What the file holds.
        found: String,
    },

    /// A line of a file is not what its format asks for.
    #[error("{}:{line}: expected {expected}, found {found}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What the format asks for.
        expected: String,
        /// What the line holds.
        found: String,
    },

    /// Lines of a file that follow one another are not what its format asks for.
    #[error("{}:{first}-{last}: expected {expected}, found {found}", path.display())]
    Lines {
        /// The file.
        path: PathBuf,
        /// The first line, counted from 1.
        first: usize,
        /// The last one.
        last: usize,
        /// What the format asks for.
        expected: String,
        /// What the lines hold.
        found: String,
    },

    /// Files, or lines or entries of them, are missing, cannot be read or are damaged.
    #[error(
        "{}{}{}",
        if *count > 1 { format!("{count} {what}: ") } else { String::new() },
        some_of(problems, *more),
        match (can_skip, *count) {
            (false, _) => "",
            (true, 1) => "; --skip-damaged leaves it out",
            (true, _) => "; --skip-damaged leaves them out",
        }
    )]
    DamagedData {
        /// What they are, such as "damaged files" or "damaged lines".
        what: &'static str,
        /// What is wrong with the first of them, one message each.
        problems: Vec<String>,
        /// How many there are.
        count: usize,
        /// How many of them `problems` does not describe.
        more: usize,
        /// Whether they can be left out.
        can_skip: bool,
    },

    /// The operating system refused to write a file or folder.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },

    /// A file of a checkpoint is not as it was written.
    #[error("{} {problem}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },

    /// A checkpoint is complete and does not fit the run that is to resume from it.
    #[error("the checkpoint does not fit the run: {what} {problem}")]
    Snapshot {
        /// What of it does not fit.
        what: String,
        /// Why not.
        problem: String,
    },

    /// A file that training was to start from does not hold the weights of the network.
    #[error("{} does not hold the weights of the network: {problem}", path.display())]
    Weights {
        /// The file.
        path: PathBuf,
        /// Why not.
        problem: String,
    },

    /// A file of weights is of the network but for its last layer, which is for another number of
    /// classes or joints.
    #[error(
        "{} does not hold the weights of the network: its last layer is for another number of classes: \
         {tensor} is {found}, expected {expected}{}",
        path.display(),
        if *can_be_new {
            "; --new-head (new_head = true) draws that layer anew and keeps all others"
        } else {
            ""
        }
    )]
    LastLayer {
        /// The file.
        path: PathBuf,
        /// The first tensor that does not fit, as the file calls it.
        tensor: String,
        /// Its shape.
        found: String,
        /// The shape that fits.
        expected: String,
        /// Whether the layer can be drawn anew: in training.
        can_be_new: bool,
    },

    /// A file of weights holds numbers that are not finite.
    #[error(
        "the weights of {} are not finite: {tensor} holds NaN or infinity; name others, such as the best ones of a \
         run that did not diverge",
        path.display()
    )]
    NotFiniteFile {
        /// The file.
        path: PathBuf,
        /// The first such tensor, as the file calls it.
        tensor: String,
    },

    /// A network holds numbers that are not finite before its first step, or where it is used.
    #[error("the weights are not finite: {tensor} holds NaN or infinity")]
    NotFinite {
        /// The path of the first such tensor.
        tensor: String,
    },

    /// A run was to be resumed with other settings than those that it was saved with.
    #[error("settings are not those of the checkpoint: {}", changes.join("; "))]
    Changed {
        /// One change each, such as `epochs was 3 and is 5`.
        changes: Vec<String>,
    },

    /// A run was to be resumed with other data than it was saved with.
    #[error("the data is not that of the run: {}", differences.join("; "))]
    OtherData {
        /// One difference each, such as `24 test samples then, 30 now`.
        differences: Vec<String>,
    },

    /// A data set that is read from a folder was asked for without one.
    #[error("data set {data} is read from a folder and none was given: expected {expected}; {way}")]
    NoFolder {
        /// The name of the data set.
        data: &'static str,
        /// What the folder should hold.
        expected: String,
        /// What to do.
        way: String,
    },

    /// A folder was given for a data set, and it or one of its files is not there.
    #[error("{missing}; {way}")]
    MissingData {
        /// What is not there. Its message is a part of this one, so that it is no cause beside it.
        missing: Box<Self>,
        /// What to do.
        way: String,
    },

    /// A name that is in none of the lists.
    #[error("unknown {what} {name:?}, expected one of: {known}{nearest}")]
    Unknown {
        /// What kind of thing was named, such as "data set".
        what: &'static str,
        /// The name that was given.
        name: String,
        /// The name that was probably meant, in words; empty where none is near.
        nearest: String,
        /// The names that exist, separated by commas.
        known: String,
    },

    /// A value outside the range it may have.
    #[error("{field} must be {allowed}, found {found}")]
    Setting {
        /// The name of the value.
        field: &'static str,
        /// What was given.
        found: String,
        /// What is allowed, in words.
        allowed: &'static str,
    },

    /// A setting that the kind of task has no use for.
    #[error("`{field}` {reason}")]
    NotFor {
        /// The name of the setting.
        field: &'static str,
        /// What is wrong with it, such as "is not supported for text tasks".
        reason: &'static str,
    },

    /// Images of a size that the network does not take.
    #[error("{network} takes images with {expected}, found {found}")]
    Images {
        /// The network, in text.
        network: &'static str,
        /// The size of the images, such as `30x30`.
        found: String,
        /// The sizes that it takes, in words.
        expected: String,
    },

    /// The algorithm's settings, or a step of it.
    #[error(transparent)]
    Algorithm(#[from] lowland::Error),

    /// A network, or a layer of it, cannot be quantised.
    #[error("cannot quantise {what}: {problem}")]
    Quantise {
        /// The network, or the path of the weights of a layer.
        what: String,
        /// Why not.
        problem: String,
    },

    /// A program's own task failed.
    #[error("{program}: {reason}")]
    Own {
        /// The program.
        program: String,
        /// What it said.
        reason: String,
    },

    /// A run of a program's own task was opened by something else.
    #[error(
        "the run belongs to the program {program:?}, which has the task and the network: use that \
         program in place of this one"
    )]
    OtherProgram {
        /// The program.
        program: String,
    },

    /// The model of a run that ended in an error was asked for.
    #[error("the run ended in an error and has no model")]
    NoModel,
}

/// How many damaged files a message describes.
const PROBLEMS: usize = 5;

/// What is wrong with some files, and with how many more.
fn some_of(problems: &[String], more: usize) -> String {
    let shown = problems.join("; ");
    match more {
        0 => shown,
        more => format!("{shown}; and {more} more"),
    }
}

impl Error {
    /// One error for all damaged files or lines of a data set; `None` where there are none.
    pub(crate) fn several(what: &'static str, errors: Vec<Self>) -> Option<Self> {
        Self::one_of(what, errors, true)
    }

    /// The same where none can be left out.
    pub(crate) fn several_needed(what: &'static str, errors: Vec<Self>) -> Option<Self> {
        Self::one_of(what, errors, false)
    }

    #[allow(clippy::needless_pass_by_value, reason = "the errors end here")]
    fn one_of(what: &'static str, errors: Vec<Self>, can_skip: bool) -> Option<Self> {
        let problem = |error: &Self| match error {
            Self::File { source, .. } => format!("{error} ({source})"),
            error => error.to_string(),
        };
        let problems = errors.iter().take(PROBLEMS).map(problem).collect();
        let count = errors.iter().map(Self::lines).sum();
        let more = errors.iter().skip(PROBLEMS).map(Self::lines).sum();
        (count > 0).then_some(Self::DamagedData { what, problems, count, more, can_skip })
    }

    /// How many lines of a file are at fault; 1 where it is none of lines.
    pub(crate) fn lines(&self) -> usize {
        match self {
            Self::Lines { first, last, .. } => last.saturating_sub(*first) + 1,
            _ => 1,
        }
    }

    /// The first line of a file that is at fault; 0 where it is none of lines.
    pub(crate) fn first_line(&self) -> usize {
        match self {
            Self::Lines { first, .. } => *first,
            Self::Line { line, .. } => *line,
            _ => 0,
        }
    }

    /// A name that is none of those that are known.
    pub(crate) fn unknown(what: &'static str, name: &str, known: &[&'static str]) -> Self {
        let nearest = did_you_mean(name, known.iter().copied());
        Self::Unknown { what, name: name.to_owned(), nearest, known: known.join(", ") }
    }

    pub(crate) fn damaged(path: impl Into<PathBuf>, problem: impl Display) -> Self {
        Self::Damaged { path: path.into(), problem: problem.to_string() }
    }

    pub(crate) fn snapshot(what: impl Into<String>, problem: impl Display) -> Self {
        Self::Snapshot { what: what.into(), problem: problem.to_string() }
    }

    pub(crate) fn quantise(what: impl Into<String>, problem: impl Display) -> Self {
        Self::Quantise { what: what.into(), problem: problem.to_string() }
    }

    /// Whether what was given is at fault, and not the run.
    pub fn is_input(&self) -> bool {
        match self {
            Self::Algorithm(error) => {
                use lowland::Error::{Combination, Config, EachMicroBatch, Missing, Unsupported};
                matches!(
                    error,
                    Config { .. }
                        | Combination(_)
                        | EachMicroBatch
                        | Missing { .. }
                        | Unsupported { .. }
                )
            }
            Self::NoModel | Self::Write { .. } => false,
            _ => true,
        }
    }
}

/// An error unless a setting holds.
pub(crate) fn setting(
    field: &'static str,
    holds: bool,
    found: impl Display + Copy,
    allowed: &'static str,
) -> Result<()> {
    if holds { Ok(()) } else { Err(Error::Setting { field, found: found.to_string(), allowed }) }
}
