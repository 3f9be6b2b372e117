//! A worker as the comparison sees it.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::Sender;

use anyhow::{Context, Result};

use super::protocol::{Job, Message};

/// The name of the hidden command that a worker runs.
pub(crate) const WORKER: &str = "worker";

/// What comes from a worker.
#[derive(Debug)]
pub(crate) enum Event {
    /// It says something.
    Said(Message),
    /// It wrote a line to its standard error.
    Line(String),
    /// It has closed its outputs, as it does at its end.
    Ended,
}

/// A worker that was started.
#[derive(Debug)]
pub(crate) struct Worker {
    process: Child,
    /// It ends at a checkpoint once this is closed.
    input: Option<ChildStdin>,
}

impl Worker {
    /// Starts a worker in the folder of a run. What comes from it goes to `events`, with `index`.
    ///
    /// # Errors
    /// The system starts no process.
    pub(crate) fn start(
        folder: &Path,
        job: &Job,
        index: usize,
        events: &Sender<(usize, Event)>,
    ) -> Result<Self> {
        let mut command = Command::new(program()?);
        #[cfg(unix)]
        {
            // As lists of processes show it.
            use std::os::unix::process::CommandExt;
            command.arg0("lowland");
        }
        let mut process = command
            .arg(WORKER)
            .arg(folder)
            // What it says is broken into lines where it is shown.
            .env_remove("COLUMNS")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot start a worker")?;
        let mut input = process.stdin.take();
        if let Some(input) = &mut input {
            // A worker that is gone already says so by its end.
            let _ = writeln!(input, "{}", serde_json::to_string(job)?);
        }
        let (output, errors) = (process.stdout.take(), process.stderr.take());
        let said = events.clone();
        let errors = std::thread::spawn(move || {
            for line in errors.into_iter().flat_map(|errors| BufReader::new(errors).lines()) {
                let Ok(line) = line else { break };
                // Whoever listened may have given up.
                let _ = said.send((index, Event::Line(line)));
            }
        });
        let said = events.clone();
        std::thread::spawn(move || {
            for line in output.into_iter().flat_map(|output| BufReader::new(output).lines()) {
                let Ok(line) = line else { break };
                let event = match serde_json::from_str(&line) {
                    Ok(message) => Event::Said(message),
                    Err(_) => Event::Line(line),
                };
                let _ = said.send((index, event));
            }
            let _ = errors.join();
            let _ = said.send((index, Event::Ended));
        });
        Ok(Self { process, input })
    }

    /// Gives it another turn.
    pub(crate) fn give_turn(&mut self) {
        if let Some(input) = &mut self.input {
            // A worker that is gone already says so by its end.
            let _ = writeln!(input, "turn");
        }
    }

    /// Asks it to save the run and end.
    pub(crate) fn ask_to_end(&mut self) {
        self.input = None;
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// The system does not say how it ended.
    pub(crate) fn wait(&mut self) -> Result<ExitStatus> {
        self.process.wait().context("cannot wait for a worker")
    }
}

impl Drop for Worker {
    /// No worker outlives its comparison.
    fn drop(&mut self) {
        self.ask_to_end();
        let _ = self.process.wait();
    }
}

/// This very program, also where its file was replaced since it was started.
fn program() -> Result<PathBuf> {
    let running = Path::new("/proc/self/exe");
    if cfg!(target_os = "linux") && running.exists() {
        return Ok(running.to_owned());
    }
    std::env::current_exe().context("cannot find the program's own file")
}
