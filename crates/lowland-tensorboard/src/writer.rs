//! Files of events.
//!
//! A file of events is a sequence of records (TFRecord): the length, a checksum of it, the event as
//! a protocol buffer, a checksum of that.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::{SystemTime, UNIX_EPOCH};

use crc::{CRC_32_ISCSI, Crc};
use prost::Message;

use crate::messages::{
    Content, DataClass, Dimension, Event, HParamsData, HParamsPluginData, PluginData,
    SessionEndInfo, SessionStartInfo, Summary, SummaryMetadata, SummaryValue, TensorProto,
    TensorShape, What,
};
use crate::sessions::{Experiment, Status, Value};

/// The form of the file, which its first event names.
const FILE_VERSION: &str = "brain.Event:2";

/// The plugin of TensorBoard that shows hyperparameters.
const HPARAMS: &str = "hparams";

/// The number of 32-bit floating point in TensorFlow's list of types.
const FLOAT: i32 = 1;

const CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);

/// Writes events to a file or whatever else takes bytes. The time of each is that of the call.
#[derive(Debug)]
pub struct EventWriter<W> {
    out: W,
}

impl<W: Write> EventWriter<W> {
    /// Begins a new file.
    ///
    /// # Errors
    /// What writing gives.
    pub fn begin(out: W) -> io::Result<Self> {
        let mut writer = Self { out };
        writer.write(0, What::FileVersion(FILE_VERSION.to_owned()))?;
        Ok(writer)
    }

    /// Continues a file that was begun.
    pub fn append(out: W) -> Self {
        Self { out }
    }

    /// Writes scalars of one step, each under its tag, such as `train/loss`. Numbers are kept in
    /// `f32`.
    ///
    /// # Errors
    /// What writing gives.
    #[expect(clippy::cast_possible_truncation, reason = "the format has f32")]
    pub fn scalars(&mut self, step: u64, scalars: &[(impl AsRef<str>, f64)]) -> io::Result<()> {
        let value = |(tag, value): &(_, f64)| SummaryValue {
            tag: AsRef::<str>::as_ref(tag).to_owned(),
            metadata: None,
            content: Some(Content::SimpleValue(*value as f32)),
        };
        let summary = Summary { value: scalars.iter().map(value).collect() };
        self.write(step, What::Summary(summary))
    }

    /// Writes the hyperparameters of the run whose scalars the file holds, by their names. They
    /// belong before its scalars, and TensorBoard takes those that are written first.
    ///
    /// # Errors
    /// What writing gives.
    pub fn session_start(&mut self, settings: &BTreeMap<String, Value>) -> io::Result<()> {
        let hparams = settings.iter().map(|(name, value)| (name.clone(), value.message()));
        let start = SessionStartInfo { hparams: hparams.collect(), start_time_secs: now() };
        self.hparams("_hparams_/session_start_info", HParamsData::SessionStart(start))
    }

    /// Writes how the run ended.
    ///
    /// # Errors
    /// What writing gives.
    pub fn session_end(&mut self, status: Status) -> io::Result<()> {
        let end = SessionEndInfo { status: status as i32, end_time_secs: now() };
        self.hparams("_hparams_/session_end_info", HParamsData::SessionEnd(end))
    }

    /// Writes which hyperparameters and metrics are shown of the runs in the folders beside the
    /// file.
    ///
    /// # Errors
    /// What writing gives.
    pub fn experiment(&mut self, experiment: &Experiment) -> io::Result<()> {
        let message = experiment.message(now());
        self.hparams("_hparams_/experiment", HParamsData::Experiment(message))
    }

    /// Hands all that was written on.
    ///
    /// # Errors
    /// What writing gives.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// Where the bytes go.
    pub fn get_ref(&self) -> &W {
        &self.out
    }

    /// A summary whose content is its metadata; its value is a tensor without numbers.
    fn hparams(&mut self, tag: &str, data: HParamsData) -> io::Result<()> {
        let content = HParamsPluginData { data: Some(data) }.encode_to_vec();
        let plugin_data = Some(PluginData { plugin_name: HPARAMS.to_owned(), content });
        let metadata = SummaryMetadata { plugin_data, data_class: DataClass::Tensor as i32 };
        let shape = TensorShape { dim: vec![Dimension { size: 0 }] };
        let tensor = TensorProto { dtype: FLOAT, tensor_shape: Some(shape) };
        let value = SummaryValue {
            tag: tag.to_owned(),
            metadata: Some(metadata),
            content: Some(Content::Tensor(tensor)),
        };
        self.write(0, What::Summary(Summary { value: vec![value] }))
    }

    fn write(&mut self, step: u64, what: What) -> io::Result<()> {
        let step = i64::try_from(step).unwrap_or(i64::MAX);
        let event = Event { wall_time: now(), step, what: Some(what) };
        let event = event.encode_to_vec();
        let length = (event.len() as u64).to_le_bytes();
        self.out.write_all(&length)?;
        self.out.write_all(&masked_checksum(&length))?;
        self.out.write_all(&event)?;
        self.out.write_all(&masked_checksum(&event))
    }
}

/// The scalars of a file of events: step, tag and value. It ends where a record is not whole.
#[cfg(feature = "learner")]
pub(crate) fn scalars_in(mut bytes: &[u8]) -> Vec<(u64, String, f64)> {
    let mut scalars = Vec::new();
    while let Some(record) = record(&mut bytes) {
        let Ok(Event { step, what: Some(What::Summary(summary)), .. }) = Event::decode(record)
        else {
            continue;
        };
        for SummaryValue { tag, content, .. } in summary.value {
            if let (Ok(step), Some(Content::SimpleValue(value))) = (step.try_into(), content) {
                scalars.push((step, tag, f64::from(value)));
            }
        }
    }
    scalars
}

/// The next record; `None` where it is not whole or its checksums are wrong.
#[cfg(feature = "learner")]
fn record<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let mut take = |count: usize| {
        let (front, rest) = bytes.split_at_checked(count)?;
        *bytes = rest;
        let (sum, rest) = rest.split_first_chunk::<4>()?;
        *bytes = rest;
        (masked_checksum(front) == *sum).then_some(front)
    };
    let length = take(8)?.try_into().ok()?;
    take(usize::try_from(u64::from_le_bytes(length)).ok()?)
}

/// Seconds since 1970.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// CRC-32C, turned and moved so that a checksum of checksums is as good as any other.
fn masked_checksum(bytes: &[u8]) -> [u8; 4] {
    CRC.checksum(bytes).rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes()
}
