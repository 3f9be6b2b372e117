//! How a run that failed ends: one line and an exit code.

use std::io::{ErrorKind, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use crate::terminal::broken;

/// What was asked for makes no sense: exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Usage(pub String);

/// Ctrl-C or a polite request to end, with the exit code that is the convention for its signal.
#[derive(Debug, thiserror::Error)]
#[error("interrupted{progress}")]
pub(crate) struct Interrupted {
    /// How far the run is, in words.
    pub progress: String,
    /// 130 after Ctrl-C, 143 after a request to terminate.
    pub code: u8,
}

/// A run that ended early and can be resumed.
#[derive(Debug, thiserror::Error)]
#[error("{error:#}; {way_on}")]
pub(crate) struct Ended {
    /// Why it ended.
    pub error: anyhow::Error,
    /// How to resume it.
    pub way_on: String,
}

/// Another living program works in a folder.
#[derive(Debug, thiserror::Error)]
#[error("{} is in use: another lowland works in it{holder}", folder.display())]
pub(crate) struct InUse {
    /// The folder.
    pub folder: PathBuf,
    /// The number of its process, in words, where it is known.
    pub holder: String,
}

/// Why a request is none for more of a comparison that was begun.
#[derive(Debug, thiserror::Error)]
#[error(
    "{folder} holds a comparison with other settings: {}; repeat the settings of the first command ({command}) or \
     name another --out", .changes.join("; ")
)]
pub(crate) struct OtherSettings {
    /// The comparison's folder.
    pub folder: String,
    /// One change each, such as `epochs was 3 and is 5`.
    pub changes: Vec<String>,
    /// The command that began the comparison.
    pub command: String,
}

/// Writes the error to standard error, in one line, and gives the exit code that fits it: 2 for
/// wrong usage and unusable input, 130 after Ctrl-C and 143 after a request to end, 0 where the
/// reader of a pipe has gone, 1 for all else.
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    let broken_pipe = |cause: &(dyn std::error::Error + 'static)| {
        cause.downcast_ref::<std::io::Error>().is_some_and(|e| e.kind() == ErrorKind::BrokenPipe)
    };
    let cause = cause(error);
    if cause.chain().any(broken_pipe) {
        return ExitCode::SUCCESS;
    }
    let line = format!("{error:#}").split_whitespace().collect::<Vec<_>>().join(" ");
    // Nobody reads it where standard error is closed.
    let red = anstyle::AnsiColor::Red.on_default().bold();
    let line = broken(&format!("error: {line}"));
    let line = line.strip_prefix("error:").unwrap_or(&line);
    let _ = writeln!(anstream::stderr(), "{red}error:{red:#}{line}");
    ExitCode::from(code(error))
}

/// Prints help and version as they are; of a mistake on the command line, one line, with the tips
/// that clap has for it.
pub(crate) fn report_usage(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        // Nobody reads it where standard output is closed.
        let _ = error.print();
        return ExitCode::SUCCESS;
    }
    let line = usage_line(&error.render().to_string());
    let _ = writeln!(std::io::stderr(), "{}", broken(&line));
    ExitCode::from(2)
}

/// What clap says of a mistake, in one line, with the command whose help says more.
fn usage_line(text: &str) -> String {
    let (what, usage) = match text.split_once("\n\nUsage: ") {
        Some((what, usage)) => (what, usage),
        None => (text.split("\n\nFor more").next().unwrap_or(text), "lowland"),
    };
    let is_name = |word: &&str| !word.starts_with(['[', '<', '-']);
    let command: Vec<&str> = usage.split_whitespace().take_while(is_name).collect();
    let what = what.replace("\n\n  tip: ", "; ");
    let what = what.split_whitespace().collect::<Vec<_>>().join(" ");
    format!("{what} (see {} --help)", command.join(" "))
}

/// Why a run ended, whether or not it can be resumed.
fn cause(error: &anyhow::Error) -> &anyhow::Error {
    error.downcast_ref::<Ended>().map_or(error, |ended| &ended.error)
}

/// The exit code that fits an error.
pub(crate) fn code(error: &anyhow::Error) -> u8 {
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

#[cfg(test)]
mod tests {
    use super::usage_line;

    #[test]
    fn mistakes_are_one_line_that_names_the_commands_help() {
        let end = "\n\nFor more information, try '--help'.\n";
        let unknown = "error: unexpected argument '--lrr' found\n\n  tip: a similar argument exists: \
                       '--lr'\n\nUsage: lowland train --out <DIR> --lr <F>";
        assert_eq!(
            usage_line(&format!("{unknown}{end}")),
            "error: unexpected argument '--lrr' found; a similar argument exists: '--lr' (see \
             lowland train --help)"
        );
        let missing =
            "error: required:\n  <RUN>\n\nUsage: lowland [OPTIONS]\n       lowland <COMMAND>";
        assert_eq!(
            usage_line(&format!("{missing}{end}")),
            "error: required: <RUN> (see lowland --help)"
        );
        let value = "error: invalid value 'x' for '--epochs <N>': no number";
        assert_eq!(usage_line(&format!("{value}{end}")), format!("{value} (see lowland --help)"));
    }
}
