//! What a person sees during a run: a bar where there is a terminal, lines where not.

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::layout::{WIDTH, message, stderr_width, width, wrapped_with_paths};
use crate::program;
use crate::words::roughly;

/// What of a run is shown.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(crate) struct Output {
    /// Show no progress
    #[arg(long, short)]
    pub quiet: bool,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

/// Progress on standard error.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
    quiet: bool,
    started: Instant,
    /// The steps that were done before, which say nothing of the pace.
    before: AtomicU64,
}

impl Progress {
    /// A bar over `steps` steps; lines alone where standard error is no terminal; nothing at all
    /// where `quiet`.
    pub(crate) fn new(steps: u64, quiet: bool) -> Self {
        let bar = if quiet || !std::io::stderr().is_terminal() {
            ProgressBar::with_draw_target(Some(steps), ProgressDrawTarget::hidden())
        } else {
            ProgressBar::new(steps)
        };
        let style = ProgressStyle::with_template(
            "{bar:30} {percent:>3} %  {msg}  {elapsed} elapsed, {eta} left",
        );
        if let Ok(style) = style {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(250));
        Self { bar, quiet, started: Instant::now(), before: AtomicU64::new(0) }
    }

    /// Counts one step, and describes it in a few words.
    pub(crate) fn step(&self, message: impl FnOnce() -> String) {
        self.bar.inc(1);
        if !self.bar.is_hidden() && self.bar.position().is_multiple_of(8) {
            self.bar.set_message(message());
        }
    }

    /// Says how many of how many steps are taken.
    pub(crate) fn place(&self, done: u64, total: u64) {
        self.bar.set_length(total);
        self.bar.set_position(done);
    }

    /// What is being done, in a few words.
    pub(crate) fn message(&self, message: &str) {
        if !self.bar.is_hidden() {
            self.bar.set_message(message.to_owned());
        }
    }

    /// Whether there is a bar, and not lines alone.
    pub(crate) fn is_bar(&self) -> bool {
        !self.bar.is_hidden()
    }

    /// Says how many steps there will be, where that becomes clear only on the way.
    pub(crate) fn expect(&self, steps: u64) {
        self.bar.set_length(steps);
    }

    /// Counts steps that were done before.
    pub(crate) fn was_done(&self, steps: u64) {
        self.bar.inc(steps);
        self.bar.reset_eta();
        self.before.fetch_add(steps, Ordering::Relaxed);
    }

    /// How long the rest will take at the pace so far, in words: "about 3 min left"; `None` while
    /// there is no pace, and at the end.
    pub(crate) fn left(&self) -> Option<String> {
        let (at, total) = (self.bar.position(), self.bar.length().unwrap_or(0));
        let done = at.saturating_sub(self.before.load(Ordering::Relaxed));
        let rest = total.saturating_sub(at);
        let pace = self.started.elapsed().as_secs_f64() / done as f64;
        (done > 0 && rest > 0).then(|| format!("about {} left", roughly(pace * rest as f64)))
    }

    /// Writes a line that stays.
    pub(crate) fn line(&self, line: &str) {
        if self.bar.is_hidden() {
            note(line, self.quiet);
        } else {
            self.bar.println(broken(line));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// Progress through stages whose lengths are not known before they begin.
#[derive(Debug)]
pub(crate) struct Stages(ProgressBar);

impl Stages {
    /// A bar; nothing where standard error is no terminal, or where `quiet`.
    pub(crate) fn new(quiet: bool) -> Self {
        let bar = if quiet || !std::io::stderr().is_terminal() {
            ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden())
        } else {
            ProgressBar::new(1)
        };
        if let Ok(style) =
            ProgressStyle::with_template("{bar:30} {pos} of {len}  {msg}  {elapsed} elapsed")
        {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(250));
        Self(bar)
    }

    /// How far a stage is.
    pub(crate) fn show(&self, what: &str, done: usize, total: usize) {
        self.0.set_length(total as u64);
        self.0.set_position(done as u64);
        self.0.set_message(what.to_owned());
    }
}

impl Drop for Stages {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// Progress through files of known lengths.
#[derive(Debug)]
pub(crate) struct Bytes {
    bar: ProgressBar,
    quiet: bool,
}

impl Bytes {
    /// A bar; lines alone where standard error is no terminal; nothing at all where `quiet`.
    pub(crate) fn new(quiet: bool) -> Self {
        let bar = if quiet || !std::io::stderr().is_terminal() {
            ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden())
        } else {
            ProgressBar::new(1)
        };
        let style = ProgressStyle::with_template(
            "{bar:30} {decimal_bytes} of {decimal_total_bytes}  {msg}  {decimal_bytes_per_sec}, {eta} left",
        );
        if let Ok(style) = style {
            bar.set_style(style);
        }
        Self { bar, quiet }
    }

    /// Begins with a file of which `done` bytes are there already.
    pub(crate) fn begin(&self, what: &str, done: u64, length: u64) {
        self.show(what, done, length);
        self.bar.reset_eta();
    }

    /// How many bytes are there.
    pub(crate) fn show(&self, what: &str, done: u64, length: u64) {
        self.bar.set_length(length);
        self.bar.set_position(done);
        self.bar.set_message(what.to_owned());
    }

    /// Writes a line that stays.
    pub(crate) fn line(&self, line: &str) {
        self.bar.suspend(|| note(line, self.quiet));
    }
}

impl Drop for Bytes {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// Writes a line to standard error, unless `quiet`; on a terminal, broken between words.
pub(crate) fn note(line: &str, quiet: bool) {
    if !quiet {
        // Nobody reads it where standard error is closed.
        let _ = writeln!(std::io::stderr(), "{}", broken(line));
    }
}

/// A message for standard error in lines that fit it.
pub(crate) fn broken(line: &str) -> String {
    stderr_width().map_or_else(|| line.to_owned(), |width| message(line, width))
}

/// Standard error as logs go to it, an event at a time.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Log;

impl Write for Log {
    fn write(&mut self, event: &[u8]) -> std::io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        writeln!(std::io::stderr(), "{}", broken(text.trim_end_matches('\n')))?;
        Ok(event.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        std::io::stderr().flush()
    }
}

/// Writes text to standard output. Colours are left out where that is no terminal or `NO_COLOR` is
/// set.
///
/// # Errors
/// Standard output is closed.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    let mut out = anstream::stdout().lock();
    writeln!(out, "{text}")?;
    Ok(out.flush()?)
}

/// Writes sentences to standard output, in lines that fit it. Paths stay whole.
///
/// # Errors
/// Standard output is closed.
pub(crate) fn say(text: &str) -> anyhow::Result<()> {
    print(&wrapped_with_paths(text, width().min(WIDTH)))
}

/// Words of a text in a colour.
fn painted(text: &str, word: &str, style: anstyle::Style) -> String {
    text.replace(word, &format!("{style}{word}{style:#}"))
}

/// A table and its answer with their verdicts in colour.
pub(crate) fn accented(text: &str) -> String {
    use anstyle::AnsiColor::{Green, Red, Yellow};
    let bold = |color: anstyle::AnsiColor| color.on_default().bold();
    let verdicts = [
        ("superior", bold(Green)),
        ("inferior", bold(Red)),
        ("equivalent", bold(Green)),
        ("undecided", bold(Yellow)),
        ("Yes:", bold(Green)),
        ("No:", bold(Red)),
        ("Not decided", bold(Yellow)),
    ];
    verdicts.into_iter().fold(text.to_owned(), |text, (word, style)| painted(&text, word, style))
}

/// Whether standard error shows colours: it is a terminal, and `NO_COLOR` is not set.
pub(crate) fn stderr_has_colours() -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    std::io::stderr().is_terminal() && !refused
}

/// The command line as it was typed, with what a shell needs quoted.
pub(crate) fn command() -> String {
    std::iter::once(program::command_name().to_owned())
        .chain(std::env::args_os().skip(1).map(|word| quoted(&word.to_string_lossy())))
        .collect::<Vec<_>>()
        .join(" ")
}

/// An argument as it is typed: in quotation marks where a shell needs them.
pub(crate) fn quoted(argument: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./=,:".contains(c);
    if !argument.is_empty() && argument.chars().all(plain) {
        argument.to_owned()
    } else {
        format!("'{}'", argument.replace('\'', r"'\''"))
    }
}

/// The command that resumes what is in a folder.
pub(crate) fn resume_command(folder: &Path) -> String {
    format!("{} {}", program::command("resume"), quoted(&folder.display().to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_have_colours_that_can_be_left_out() {
        let plain = "SAM  superior\nSGD  undecided\nYes: it does";
        let coloured = accented(plain);
        assert!(coloured.contains("\u{1b}[1m\u{1b}[32msuperior\u{1b}[0m"), "{coloured:?}");
        assert_eq!(anstream::adapter::strip_str(&coloured).to_string(), plain);
    }
}
