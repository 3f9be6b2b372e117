//! Scalars over time as TensorBoard reads them.
//!
//! A file of events is a sequence of records (TFRecord): the length, a checksum of it, the event as
//! a protocol buffer, a checksum of that. The crates that write such files need a compiler of
//! protocol buffers to build, or write far more than scalars; the messages here are the two that a
//! scalar takes.

use std::io::{self, Write};
use std::time::{SystemTime, UNIX_EPOCH};

use crc::{CRC_32_ISCSI, Crc};
use prost::{Message, Oneof};

/// The form of the file, which its first event names.
const FILE_VERSION: &str = "brain.Event:2";

const CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);

/// `Event` of TensorFlow's `event.proto`, as far as scalars need it.
#[derive(Clone, PartialEq, Message)]
struct Event {
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(oneof = "What", tags = "3, 5")]
    what: Option<What>,
}

#[derive(Clone, PartialEq, Oneof)]
enum What {
    #[prost(string, tag = "3")]
    FileVersion(String),
    #[prost(message, tag = "5")]
    Summary(Summary),
}

/// `Summary` of `summary.proto`.
#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    value: Vec<Value>,
}

/// `Summary.Value` of `summary.proto`, as far as scalars need it; a proto3 `oneof` member is
/// written even where it is 0.
#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(float, optional, tag = "2")]
    simple_value: Option<f32>,
}

/// Writes events to a file or whatever else takes bytes.
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
    pub fn go_on(out: W) -> Self {
        Self { out }
    }

    /// Writes scalars of one step, each under its tag, such as `train/loss`. Numbers are kept in
    /// `f32`.
    ///
    /// # Errors
    /// What writing gives.
    #[expect(clippy::cast_possible_truncation, reason = "the format has f32")]
    pub fn scalars(&mut self, step: u64, scalars: &[(&str, f64)]) -> io::Result<()> {
        let value = |&(tag, value): &(&str, f64)| Value {
            tag: tag.to_owned(),
            simple_value: Some(value as f32),
        };
        let summary = Summary { value: scalars.iter().map(value).collect() };
        self.write(step, What::Summary(summary))
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

    fn write(&mut self, step: u64, what: What) -> io::Result<()> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let step = i64::try_from(step).unwrap_or(i64::MAX);
        let event = Event { wall_time: now.as_secs_f64(), step, what: Some(what) };
        let event = event.encode_to_vec();
        let length = (event.len() as u64).to_le_bytes();
        self.out.write_all(&length)?;
        self.out.write_all(&masked_checksum(&length))?;
        self.out.write_all(&event)?;
        self.out.write_all(&masked_checksum(&event))
    }
}

/// CRC-32C, turned and moved so that a checksum of checksums is as good as any other.
fn masked_checksum(bytes: &[u8]) -> [u8; 4] {
    CRC.checksum(bytes).rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes()
}
