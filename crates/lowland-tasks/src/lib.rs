//! Tasks for Lowland: data sets, models and the training loop.
//!
//! [`data`] reads labelled images and makes batches of them; [`models`] are the networks that learn
//! from them; [`config`] holds everything that decides a run, a [`Spec`] the checked settings with
//! their algorithm put together, and [`train`] runs it; [`quantise`] rounds what a network learned
//! to integers; [`checkpoint`] saves what a run needs to resume, and [`flatness`] measures the
//! minimum that it found. [`text`] has sentences and a pretrained transformer to fine-tune,
//! [`pose`] people and where their joints are. [`weights`] reads the weights of other programs and
//! writes them for others. [`own`] is for a network and samples of your own.

mod answer;
pub mod checkpoint;
pub mod config;
pub mod data;
mod error;
pub mod evaluation;
pub mod events;
pub mod flatness;
pub mod models;
pub mod own;
mod pickle;
pub mod pose;
pub mod precision;
pub mod quantise;
pub mod record;
pub mod regression;
mod spec;
pub mod spelling;
pub mod task;
pub mod text;
pub mod train;
pub mod weights;

pub use error::{Error, Result};
pub use spec::Spec;
