//! Event files for TensorBoard: scalars over time, and hyperparameters with their results.
//!
//! An [`EventWriter`] writes to whatever takes bytes. TensorBoard finds files whose names begin
//! with `events.out.tfevents`, in a folder for each run:
//!
//! ```
//! use std::collections::BTreeMap;
//!
//! use lowland_tensorboard::{EventWriter, Status, Value};
//!
//! let mut file = Vec::new();
//! let mut writer = EventWriter::begin(&mut file)?;
//! let settings = BTreeMap::from([
//!     ("optimizer".to_owned(), Value::from("sgd")),
//!     ("learning rate".to_owned(), Value::from(0.1)),
//! ]);
//! writer.session_start(&settings)?;
//! for (step, loss) in [(1, 2.3), (2, 1.9)] {
//!     writer.scalars(step, &[("train/loss", loss)])?;
//! }
//! writer.session_end(Status::Success)?;
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # Features
//!
//! | feature | what it adds |
//! | --- | --- |
//! | `learner` | `TensorBoardLogger`, a metric logger for the `Learner` of Burn 0.22 |
//!
//! None is on by default: the crate then depends on `prost` and `crc` alone.

#[cfg(feature = "learner")]
mod learner;
mod messages;
mod sessions;
mod writer;

#[cfg(feature = "learner")]
pub use learner::TensorBoardLogger;
pub use sessions::{Experiment, Metric, Part, Status, Value};
pub use writer::EventWriter;

/// The program of the README, which is compiled and run with the other examples.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
