//! PyTorch's step: a process of Python that takes steps when it is asked to.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, bail};

/// What the process runs.
const SCRIPT: &str = include_str!("pytorch_step.py");

/// What a block of steps took, for each step.
#[derive(Clone, Copy, Debug)]
pub(super) struct Took {
    pub(super) seconds: f64,
    /// Seconds of processor time, of all threads together.
    pub(super) processor: f64,
    /// NaN where they are not counted.
    pub(super) passes: f64,
}

/// A process that trains with PyTorch.
#[derive(Debug)]
pub(super) struct PyTorch {
    process: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
    /// As PyTorch names it.
    pub(super) version: String,
}

impl PyTorch {
    /// Starts `python`. `rule` is `sgd` or `sam`.
    ///
    /// # Errors
    /// Where there is no such program, it has no PyTorch, or the script does not have the network.
    pub(super) fn start(
        python: &str,
        network: &str,
        batch: usize,
        rule: &str,
        threads: usize,
    ) -> Result<Self> {
        let (batch, threads) = (batch.to_string(), threads.to_string());
        let mut command = Command::new(python);
        // By default the threads of OpenMP wait in a loop. Where another program wants the core,
        // that takes PyTorch several times as long at two threads as at one, and the comparison
        // would be of no use.
        if std::env::var_os("OMP_WAIT_POLICY").is_none() {
            command.env("OMP_WAIT_POLICY", "PASSIVE").env("GOMP_SPINCOUNT", "0");
        }
        let mut process = command
            .args(["-c", SCRIPT, network, &batch, rule, &threads])
            .env("OMP_NUM_THREADS", &threads)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {python}; --python names another"))?;
        let (questions, answers) = (process.stdin.take(), process.stdout.take());
        let (Some(questions), Some(answers)) = (questions, answers) else {
            bail!("{python} has no input or output");
        };
        let answers = BufReader::new(answers);
        let mut started = Self { process, questions, answers, version: String::new() };
        let line = started.read().with_context(|| {
            format!("{python} did not train with PyTorch: is the package torch installed?")
        })?;
        let Some(version) = line.strip_prefix("ready ") else {
            bail!("{python} answered {line:?} instead of \"ready\"");
        };
        version.clone_into(&mut started.version);
        Ok(started)
    }

    fn read(&mut self) -> Result<String> {
        let mut line = String::new();
        if self.answers.read_line(&mut line)? == 0 {
            bail!("the process of PyTorch ended");
        }
        Ok(line.trim().to_owned())
    }

    /// Takes steps.
    ///
    /// # Errors
    /// Where the process has ended.
    pub(super) fn steps(&mut self, steps: usize) -> Result<Took> {
        writeln!(self.questions, "{steps}").context("the process of PyTorch ended")?;
        let line = self.read()?;
        let numbers: Option<Vec<f64>> = line.split(' ').map(|n| n.parse().ok()).collect();
        match numbers.as_deref() {
            Some(&[seconds, processor]) => Ok(Took { seconds, processor, passes: f64::NAN }),
            _ => bail!("the process of PyTorch answered {line:?} instead of two numbers"),
        }
    }
}

impl Drop for PyTorch {
    fn drop(&mut self) {
        // A process that has ended already is as good.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
