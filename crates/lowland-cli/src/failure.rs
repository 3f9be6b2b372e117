//! How a run that failed ends: one line and an exit code.

use std::error::Error;
use std::io::{ErrorKind, Write};
use std::num::{ParseFloatError, ParseIntError};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue};

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
    let broken_pipe = |cause: &(dyn Error + 'static)| {
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
/// that clap has for it. `command` is the command that was typed, whose help says more.
pub(crate) fn report_usage(error: &clap::Error, command: &str) -> ExitCode {
    if !error.use_stderr() {
        // Nobody reads it where standard output is closed.
        let _ = error.print();
        return ExitCode::SUCCESS;
    }
    let text = error.render().to_string();
    let value = match error.get(ContextKind::InvalidValue) {
        Some(ContextValue::String(value)) => value,
        _ => "",
    };
    let said = |source: &(dyn Error + 'static)| {
        Some((format!("': {source}"), format!("': {}", allowed(value, source)?)))
    };
    let text = match error.source().and_then(said) {
        Some((said, allowed)) => text.replacen(&said, &allowed, 1),
        None => text,
    };
    let line = usage_line(&text, command);
    let _ = writeln!(std::io::stderr(), "{}", broken(&line));
    ExitCode::from(2)
}

/// What `value` must be, which is no number or none in a range, in the words of other messages;
/// `None` where the flag's own reader has said it.
fn allowed(value: &str, source: &(dyn Error + 'static)) -> Option<String> {
    if source.is::<ParseFloatError>() {
        return Some("must be a number".to_owned());
    }
    if source.is::<ParseIntError>() {
        let said = match value.parse::<i128>() {
            Ok(..0) => "must be a whole number, at least 0",
            Ok(_) => "is too large",
            Err(_) => "must be a whole number",
        };
        return Some(said.to_owned());
    }
    let said = source.to_string();
    let (least, most) = said.split_once(" is not in ")?.1.split_once("..")?;
    let most: i128 = most.trim_start_matches('=').parse().ok()?;
    // The largest number of a type is no limit that means anything.
    let is_of_type = [u32::MAX.into(), i64::MAX.into(), u64::MAX.into()].contains(&most);
    let to = if is_of_type { String::new() } else { format!(" and at most {most}") };
    Some(format!("must be a whole number, at least {least}{to}"))
}

/// What clap says of a mistake, in one line, with the command whose help says more: the one of the
/// usage that it shows, or `typed`.
fn usage_line(text: &str, typed: &str) -> String {
    let (what, usage) = match text.split_once("\n\nUsage: ") {
        Some((what, usage)) => (what, usage),
        None => (text.split("\n\nFor more").next().unwrap_or(text), typed),
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
    use super::{allowed, usage_line};

    #[test]
    fn mistakes_are_one_line_that_names_the_commands_help() {
        let end = "\n\nFor more information, try '--help'.\n";
        let unknown = "error: unexpected argument '--lrr' found\n\n  tip: a similar argument exists: \
                       '--lr'\n\nUsage: lowland train --out <DIR> --lr <F>";
        assert_eq!(
            usage_line(&format!("{unknown}{end}"), "lowland"),
            "error: unexpected argument '--lrr' found; a similar argument exists: '--lr' (see \
             lowland train --help)"
        );
        let missing =
            "error: required:\n  <RUN>\n\nUsage: lowland [OPTIONS]\n       lowland <COMMAND>";
        assert_eq!(
            usage_line(&format!("{missing}{end}"), "lowland train"),
            "error: required: <RUN> (see lowland --help)"
        );
        let value = "error: invalid value 'x' for '--epochs <N>': no number";
        let line = usage_line(&format!("{value}{end}"), "lowland data check");
        assert_eq!(line, format!("{value} (see lowland data check --help)"));
    }

    #[test]
    fn what_is_no_number_or_none_in_a_range_is_said_in_words() {
        let of = |text: &str| allowed("", &*Box::<dyn std::error::Error>::from(text));
        assert_eq!(
            of("-1 is not in 0..=4294967295").unwrap(),
            "must be a whole number, at least 0"
        );
        let range = "must be a whole number, at least 2 and at most 8";
        assert_eq!(of("9 is not in 2..=8").unwrap(), range);
        assert_eq!(of("ema must be above 0 and below 1, found 2"), None);
        let number = "x".parse::<f64>().unwrap_err();
        assert_eq!(allowed("x", &number).unwrap(), "must be a number");
        for (value, said) in [
            ("x", "must be a whole number"),
            ("-1", "must be a whole number, at least 0"),
            ("99999999999999999999", "is too large"),
        ] {
            let error = value.parse::<usize>().unwrap_err();
            assert_eq!(allowed(value, &error).unwrap(), said);
        }
    }
}
