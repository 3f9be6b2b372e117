//! A metric logger for Burn's `Learner`.

use std::collections::{BTreeMap, HashMap};
use std::fmt::{self, Debug, Formatter};
use std::fs::File;
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use burn::train::logger::MetricLogger;
use burn::train::metric::store::{EpochSummary, MetricsUpdate, NumericMetricUpdate, Split};
use burn::train::metric::{MetricDefinition, MetricId, NumericEntry};

use crate::writer::scalars_in;
use crate::{EventWriter, Value};

/// Writes the numeric metrics of a training by Burn's `Learner` as TensorBoard reads them.
///
/// Each part of the data has a folder of its own, so that TensorBoard draws the curves of `train`
/// and `valid` into one chart. For a metric called `Loss` there are
///
/// - `epoch/Loss`: its value over an epoch, at the number of the epoch;
/// - `iteration/Loss`: its value over each batch of the training part, at the number of the batch,
///   counted from 1 over all epochs.
///
/// Burn's evaluation of a trained model takes no logger but Burn's own, and is not in it.
///
/// `SupervisedTraining::with_metric_logger` puts it in the place of Burn's own logger of files,
/// which can be registered beside it; Burn's summary table reads the files of that one. Early
/// stopping and the choice of checkpoints work with this one alone.
///
/// A file that cannot be written to any more does not end the training: a warning is logged, and
/// the rest of that part's events is left out.
///
/// # Example
/// ```
/// # use burn::data::dataloader::DataLoaderBuilder;
/// # use burn::data::dataloader::batcher::Batcher;
/// # use burn::data::dataset::InMemDataset;
/// # use burn::nn::{Linear, LinearConfig};
/// # use burn::prelude::*;
/// # use burn::train::renderer::CliMetricsRenderer;
/// # use burn::train::{InferenceStep, RegressionOutput, TrainOutput, TrainStep};
/// use std::collections::BTreeMap;
///
/// use burn::optim::SgdConfig;
/// use burn::train::metric::LossMetric;
/// use burn::train::{Learner, SupervisedTraining};
/// use lowland_tensorboard::{TensorBoardLogger, Value};
/// # #[derive(Module, Debug)]
/// # struct Model { linear: Linear }
/// # impl Model {
/// #     fn outcome(&self, x: Tensor<2>) -> RegressionOutput {
/// #         let y = self.linear.forward(x.clone());
/// #         let target = x.sum_dim(1);
/// #         let loss = (y.clone() - target.clone()).square().mean();
/// #         RegressionOutput::new(loss, y, target)
/// #     }
/// # }
/// # impl TrainStep for Model {
/// #     type Input = Tensor<2>;
/// #     type Output = RegressionOutput;
/// #     fn step(&self, x: Tensor<2>) -> TrainOutput<RegressionOutput> {
/// #         let outcome = self.outcome(x);
/// #         TrainOutput::new(self, outcome.loss.backward(), outcome)
/// #     }
/// # }
/// # impl InferenceStep for Model {
/// #     type Input = Tensor<2>;
/// #     type Output = RegressionOutput;
/// #     fn step(&self, x: Tensor<2>) -> RegressionOutput { self.outcome(x) }
/// # }
/// # #[derive(Clone)]
/// # struct Stack;
/// # impl Batcher<[f32; 3], Tensor<2>> for Stack {
/// #     fn batch(&self, rows: Vec<[f32; 3]>, device: &Device) -> Tensor<2> {
/// #         let count = rows.len();
/// #         Tensor::from_data(TensorData::new(rows.concat(), [count, 3]), device)
/// #     }
/// # }
/// # let device = Device::flex().autodiff();
/// # let model = Model { linear: LinearConfig::new(3, 1).init(&device) };
/// # let rows: Vec<[f32; 3]> = (0..64).map(|i| [0.1, 0.2, 0.3].map(|x: f32| (x * i as f32).sin())).collect();
/// # let loader = || DataLoaderBuilder::new(Stack).batch_size(8).build(InMemDataset::new(rows.clone()));
/// # let (train, valid) = (loader(), loader());
/// # let directory = tempfile::tempdir()?;
/// # let directory = directory.path();
///
/// let settings = BTreeMap::from([("learning rate".to_owned(), Value::from(0.1))]);
/// let training = SupervisedTraining::new(directory, train, valid)
///     .num_epochs(2)
///     .metrics((LossMetric::new(),))
///     .with_metric_logger(TensorBoardLogger::new(directory)?.with_settings(&settings)?);
/// # let training = training.with_application_logger(None).renderer(Box::new(CliMetricsRenderer::new()));
/// training.launch(Learner::new(model, SgdConfig::new().init(), 0.1));
/// # assert!(directory.join("valid").is_dir());
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct TensorBoardLogger {
    directory: PathBuf,
    /// The names of the metrics.
    names: HashMap<MetricId, String>,
    parts: BTreeMap<PathBuf, Events>,
    /// The values of each metric in each part and epoch, for Burn's questions: all of an epoch that
    /// is not over, and the final one of an epoch that is.
    values: BTreeMap<(String, PathBuf, usize), Vec<NumericEntry>>,
    /// Batches of the training part before this training.
    before: u64,
}

/// The events of one part of the data.
#[derive(Debug)]
struct Events {
    /// `None` once writing has failed.
    writer: Option<EventWriter<BufWriter<File>>>,
    batches: u64,
}

impl Debug for TensorBoardLogger {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let parts = self.parts.keys().collect::<Vec<_>>();
        let mut shown = f.debug_struct("TensorBoardLogger");
        shown.field("directory", &self.directory).field("parts", &parts).finish_non_exhaustive()
    }
}

impl TensorBoardLogger {
    /// Creates a logger that writes into folders of a directory, which is made where it is not
    /// there.
    ///
    /// # Errors
    /// The directory cannot be made.
    pub fn new(directory: impl AsRef<Path>) -> io::Result<Self> {
        let directory = directory.as_ref().to_owned();
        std::fs::create_dir_all(&directory)?;
        Ok(Self {
            directory,
            names: HashMap::new(),
            parts: BTreeMap::new(),
            values: BTreeMap::new(),
            before: 0,
        })
    }

    /// Writes the hyperparameters of the training into the directory, for the HPARAMS tab.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn with_settings(self, settings: &BTreeMap<String, Value>) -> io::Result<Self> {
        let mut writer = open(&self.directory)?;
        writer.session_start(settings)?;
        writer.flush()?;
        Ok(self)
    }

    /// Continues a training after so many batches: the count continues from there, and the choice of
    /// checkpoints knows the earlier epochs, which are read from the directory, rounded to `f32`.
    /// Burn's own early stopping begins anew.
    #[must_use]
    pub fn resuming_after(self, batches: u64) -> Self {
        Self { before: batches, ..self }
    }

    /// The folder of a part.
    fn folder(&self, split: &Split) -> PathBuf {
        self.directory.join(split.to_string())
    }

    /// The scalars of an update, their values kept for Burn's questions.
    fn scalars(&mut self, update: &[NumericMetricUpdate], at: At<'_>) -> Vec<(String, f64)> {
        let is_training = *at.split == Split::Train;
        let mut scalars = Vec::new();
        for NumericMetricUpdate { entry, numeric_entry, .. } in update {
            // Without a value there is nothing to write: some metrics have one of whole epochs
            // only.
            let Some(value) = numeric_entry else { continue };
            let Some(name) = self.names.get(&entry.metric_id) else { continue };
            let key = (name.clone(), at.folder.to_owned(), at.epoch);
            if at.is_end {
                scalars.push((format!("epoch/{name}"), value.current()));
                self.values.insert(key, vec![value.clone()]);
                continue;
            }
            if is_training {
                scalars.push((format!("iteration/{name}"), value.current()));
            }
            self.values.entry(key).or_default().push(value.clone());
        }
        scalars
    }

    /// Writes scalars of the part with this folder.
    fn write(&mut self, folder: &Path, step: u64, scalars: &[(String, f64)]) {
        let Some(events) = self.parts.get_mut(folder) else { return };
        let Some(writer) = &mut events.writer else { return };
        if let Err(error) = writer.scalars(step, scalars) {
            failed(folder, &error);
            events.writer = None;
        }
    }

    /// The events of a part with its folder, begun in epoch `first` where it has none yet.
    fn part(&mut self, split: &Split, folder: &Path, first: usize) -> &mut Events {
        let before = if *split == Split::Train { self.before } else { 0 };
        if self.before > 0 && !self.parts.contains_key(folder) {
            self.read_epochs(folder, first);
        }
        self.parts.entry(folder.to_owned()).or_insert_with(|| {
            let writer = open(folder).map_err(|error| failed(folder, &error));
            Events { writer: writer.ok(), batches: before }
        })
    }

    /// Takes the epochs before `first`, with which the training resumes, from the files of a part.
    /// Later ones are trained again.
    fn read_epochs(&mut self, folder: &Path, first: usize) {
        match scalars_of(folder) {
            Ok(scalars) => {
                for (epoch, tag, value) in scalars {
                    if let (Some(name), Ok(epoch)) = (tag.strip_prefix("epoch/"), epoch.try_into())
                        && epoch < first
                    {
                        let key = (name.to_owned(), folder.to_owned(), epoch);
                        self.values.insert(key, vec![NumericEntry::Final(value)]);
                    }
                }
            }
            Err(error) => tracing::warn!(
                "the epochs before are not known: {} cannot be read: {error}",
                folder.display()
            ),
        }
    }
}

/// Of what an update is.
#[derive(Clone, Copy)]
struct At<'a> {
    split: &'a Split,
    /// The folder of the part.
    folder: &'a Path,
    epoch: usize,
    /// Whether it is that of a whole epoch.
    is_end: bool,
}

impl MetricLogger for TensorBoardLogger {
    fn log(&mut self, update: MetricsUpdate, epoch: usize, split: &Split) {
        let numeric = update.entries_numeric;
        // At the end of an epoch there is no value so far: the value is that of all of it.
        let has_value = |update: &NumericMetricUpdate| update.numeric_entry.is_some();
        let is_final = |update: &NumericMetricUpdate| {
            matches!(update.numeric_entry, Some(NumericEntry::Final(_)))
                || (update.running_entry.is_none() && has_value(update))
        };
        let is_end = numeric.iter().any(has_value)
            && numeric.iter().filter(|update| has_value(update)).all(is_final);
        let folder = self.folder(split);
        let events = self.part(split, &folder, epoch);
        let step = if is_end {
            epoch as u64
        } else {
            events.batches += 1;
            events.batches
        };
        let scalars = self.scalars(&numeric, At { split, folder: &folder, epoch, is_end });
        if !scalars.is_empty() {
            self.write(&folder, step, &scalars);
        }
    }

    fn read_numeric(
        &mut self,
        name: &str,
        epoch: usize,
        split: &Split,
    ) -> Result<Vec<NumericEntry>, String> {
        let key = (name.to_owned(), self.folder(split), epoch);
        Ok(self.values.get(&key).cloned().unwrap_or_default())
    }

    fn log_metric_definition(&mut self, definition: MetricDefinition) {
        self.names.insert(definition.metric_id, definition.name.to_string());
    }

    fn log_epoch_summary(&mut self, summary: EpochSummary) {
        let folder = self.folder(&summary.split);
        let Some(events) = self.parts.get_mut(&folder) else { return };
        if let Some(Err(error)) = events.writer.as_mut().map(EventWriter::flush) {
            failed(&folder, &error);
            events.writer = None;
        }
    }
}

/// A new file of events in a folder. TensorBoard reads all of a folder in the order of their names,
/// as the files of a training that was resumed.
fn open(folder: &Path) -> io::Result<EventWriter<BufWriter<File>>> {
    std::fs::create_dir_all(folder)?;
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let name = |number: u32| format!("events.out.tfevents.{seconds}.{number:04}.lowland");
    let mut number = 0;
    loop {
        match File::create_new(folder.join(name(number))) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
            file => return EventWriter::begin(BufWriter::new(file?)),
        }
    }
}

/// All scalars in the files of events of a folder, in the order of their names: step, tag and value.
/// Of a file that ends within a record, those before it.
fn scalars_of(folder: &Path) -> io::Result<Vec<(u64, String, f64)>> {
    let mut files = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?,
    };
    // Burn's own logger has folders there.
    let is_of_events = |file: &PathBuf| {
        let name = file.file_name().and_then(|name| name.to_str());
        file.is_file() && name.is_some_and(|name| name.contains("tfevents"))
    };
    files.retain(is_of_events);
    files.sort();
    let mut scalars = Vec::new();
    for file in files {
        scalars.extend(scalars_in(&std::fs::read(file)?));
    }
    Ok(scalars)
}

fn failed(folder: &Path, error: &io::Error) {
    tracing::warn!("no more events are written to {}: {error}", folder.display());
}
