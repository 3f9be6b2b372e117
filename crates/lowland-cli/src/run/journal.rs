//! The journal of a run: `metrics.jsonl`, and the same numbers for TensorBoard.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use anyhow::Result;
use lowland_tasks::config::TrainConfig;
use lowland_tasks::events::{self, EventWriter, Scalars, Status};
use lowland_tasks::flatness::Flatness;
use lowland_tasks::record::{EpochRecord, RunRecord, StepRecord, TestRecord};

use super::metrics::Line;
use crate::files::{EVENTS, METRICS, cannot_write};

/// The files that a run adds to.
#[derive(Debug)]
pub(crate) struct Journal {
    folder: PathBuf,
    metrics: Appended,
    events: EventWriter<Appended>,
    /// What the task is measured by, for TensorBoard.
    measure: String,
}

impl Journal {
    /// Opens the files in a run's folder, cut to the given lengths in bytes; what is not given has
    /// none yet. A new file of events begins with the settings. `measure` is the name of what the
    /// task is measured by.
    ///
    /// # Errors
    /// A file cannot be written to.
    pub(crate) fn open(
        folder: &Path,
        lengths: &BTreeMap<String, u64>,
        config: &TrainConfig,
        measure: String,
    ) -> Result<Self> {
        let open = |name: &str| {
            let path = folder.join(name);
            let length = lengths.get(name).copied().unwrap_or(0);
            Appended::open(&path, length).map_err(|error| cannot_write(&path, error))
        };
        let (metrics, events) = (open(METRICS)?, open(EVENTS)?);
        let begin = |file| {
            let mut events = EventWriter::begin(file)?;
            events.session_start(&events::settings(config))?;
            Ok(events)
        };
        let events = match events.length {
            0 => begin(events).map_err(|error| cannot_write(&folder.join(EVENTS), error))?,
            _ => EventWriter::append(events),
        };
        Ok(Self { folder: folder.to_owned(), metrics, events, measure })
    }

    /// A step.
    ///
    /// # Errors
    /// A file cannot be written to.
    pub(crate) fn step(&mut self, step: &StepRecord) -> Result<()> {
        self.line(&Line::Step(Cow::Borrowed(step)))?;
        self.scalars(step.step, &events::of_step(step))
    }

    /// The measurement at the end of an epoch, after `steps` steps in all.
    ///
    /// # Errors
    /// A file cannot be written to.
    pub(crate) fn epoch(&mut self, record: &EpochRecord, steps: u64) -> Result<()> {
        self.line(&Line::Epoch(Cow::Borrowed(record)))?;
        self.scalars(steps, &events::of_epoch(record, &self.measure))?;
        self.flush()
    }

    /// The measurement on the test samples at the end of a run.
    ///
    /// # Errors
    /// The file cannot be written to.
    pub(crate) fn test(&mut self, test: &TestRecord, run: &RunRecord) -> Result<()> {
        self.line(&Line::Test(Cow::Borrowed(test)))?;
        self.scalars(run.steps, &events::of_end(test, run, &self.measure))?;
        self.end(Status::Success)
    }

    /// How a run ended. A run that is only interrupted has no end yet.
    ///
    /// # Errors
    /// A file cannot be written to.
    pub(crate) fn end(&mut self, status: Status) -> Result<()> {
        self.events.session_end(status).map_err(self.failed(EVENTS))?;
        self.flush()
    }

    /// The sharpness after a step.
    ///
    /// # Errors
    /// A file cannot be written to.
    pub(crate) fn sharpness(&mut self, step: u64, found: &Flatness) -> Result<()> {
        let first = found.eigenvalues.first();
        let (largest_eigenvalue, residual) = (first.map(|e| e.value), first.map(|e| e.residual));
        let (largest_rise, loss) = (found.largest_rise.map(|rise| rise.mean), Some(found.loss));
        let line = Line::Sharpness { step, largest_eigenvalue, residual, largest_rise, loss };
        self.line(&line)?;
        self.scalars(step, &events::of_sharpness(found))
    }

    /// Settings that are others from a step on, in words.
    ///
    /// # Errors
    /// A file cannot be written to.
    pub(crate) fn changed(&mut self, step: u64, changes: &[String]) -> Result<()> {
        self.line(&Line::Changed { step, changes: Cow::Borrowed(changes) })
    }

    /// Hands everything so far to the system.
    ///
    /// # Errors
    /// A file cannot be written to.
    pub(crate) fn flush(&mut self) -> Result<()> {
        self.metrics.flush().map_err(self.failed(METRICS))?;
        self.events.flush().map_err(self.failed(EVENTS))
    }

    /// Puts everything so far on the disk, and gives the lengths of the files in bytes, by name.
    ///
    /// # Errors
    /// A file cannot be written to.
    pub(crate) fn sync(&mut self) -> Result<BTreeMap<String, u64>> {
        self.flush()?;
        let mut lengths = BTreeMap::new();
        for (name, file) in [(METRICS, &self.metrics), (EVENTS, self.events.get_ref())] {
            file.file.get_ref().sync_data().map_err(self.failed(name))?;
            lengths.insert(name.to_owned(), file.length);
        }
        Ok(lengths)
    }

    fn line(&mut self, line: &Line<'_>) -> Result<()> {
        let mut bytes = serde_json::to_vec(line)?;
        bytes.push(b'\n');
        self.metrics.write_all(&bytes).map_err(self.failed(METRICS))
    }

    fn scalars(&mut self, step: u64, scalars: &Scalars) -> Result<()> {
        self.events.scalars(step, scalars).map_err(self.failed(EVENTS))
    }

    fn failed(&self, name: &str) -> impl FnOnce(io::Error) -> anyhow::Error + use<> {
        let path = self.folder.join(name);
        move |error| cannot_write(&path, error)
    }
}

/// A file that is added to, and its length.
#[derive(Debug)]
struct Appended {
    file: BufWriter<File>,
    length: u64,
}

impl Appended {
    fn open(path: &Path, length: u64) -> io::Result<Self> {
        let mut file = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
        let found = file.metadata()?.len();
        if found < length {
            let path = path.display();
            tracing::warn!("{path} is shorter than it was at the checkpoint: numbers are missing");
        }
        let length = length.min(found);
        file.set_len(length)?;
        file.seek(SeekFrom::Start(length))?;
        Ok(Self { file: BufWriter::new(file), length })
    }
}

impl Write for Appended {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.length += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
