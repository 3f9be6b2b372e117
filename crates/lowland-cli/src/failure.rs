//! How a run that failed ends: one line and an exit code.

use std::io::{ErrorKind, Write};
use std::process::ExitCode;

use crate::compare::request::OtherSettings;
use crate::run_folder::InUse;

/// What was asked for makes no sense: exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);

/// Ctrl-C or a polite request to end, with the exit code that is the convention for its signal.
#[derive(Debug, thiserror::Error)]
#[error("interrupted{told}")]
pub struct Interrupted {
    /// What became of the run.
    pub told: String,
    /// 130 after Ctrl-C, 143 after a request to terminate.
    pub code: u8,
}

/// A run that ended early and can go on.
#[derive(Debug, thiserror::Error)]
#[error("{error:#}; {way_on}")]
pub struct Ended {
    /// Why it ended.
    pub error: anyhow::Error,
    /// How it goes on.
    pub way_on: String,
}

/// Writes the error to standard error, in one line, and gives the exit code that fits it:
/// 2 for wrong usage and unusable input, 130 after Ctrl-C and 143 after a request to end, 0 where the reader of a pipe has
/// gone, 1 for all else.
pub fn tell(error: &anyhow::Error) -> ExitCode {
    let broken_pipe = |cause: &(dyn std::error::Error + 'static)| {
        cause.downcast_ref::<std::io::Error>().is_some_and(|e| e.kind() == ErrorKind::BrokenPipe)
    };
    let cause = cause(error);
    if cause.chain().any(broken_pipe) {
        return ExitCode::SUCCESS;
    }
    let line = format!("{error:#}").split_whitespace().collect::<Vec<_>>().join(" ");
    // Nobody is left to tell where standard error is closed.
    let _ = writeln!(std::io::stderr(), "error: {line}");
    ExitCode::from(code(error))
}

/// Prints help and version as they are; of a mistake on the command line, one line, with the tips
/// that clap has for it.
pub fn tell_usage(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        // Nobody is left to tell where standard output is closed.
        let _ = error.print();
        return ExitCode::SUCCESS;
    }
    let text = error.render().to_string();
    let told = text.split("\n\nUsage").next().unwrap_or(&text);
    let told = told.split("\n\nFor more").next().unwrap_or(told);
    let line = told.split_whitespace().collect::<Vec<_>>().join(" ");
    let _ = writeln!(std::io::stderr(), "{line} (see lowland --help)");
    ExitCode::from(2)
}

/// Why a run ended, whether or not it can go on.
fn cause(error: &anyhow::Error) -> &anyhow::Error {
    error.downcast_ref::<Ended>().map_or(error, |ended| &ended.error)
}

/// The exit code that fits an error.
pub fn code(error: &anyhow::Error) -> u8 {
    let error = cause(error);
    if let Some(interrupted) = error.downcast_ref::<Interrupted>() {
        interrupted.code
    } else if error.is::<Usage>()
        || error.is::<InUse>()
        || error.is::<OtherSettings>()
        || error.downcast_ref().is_some_and(lowland_tasks::Error::is_input)
    {
        2
    } else {
        1
    }
}
