//! Tasks for Lowland: data sets, models and the training loop.
//!
//! [`data`] reads labelled images and makes batches of them; [`models`] are the networks that learn
//! from them; [`pose`] finds the joints of people; [`config`] holds everything that decides a run, [`rule`] puts its algorithm together, and
//! [`train`] runs it; [`checkpoint`] keeps what it needs to go on,
//! and [`flatness`] measures what came of it.

pub mod checkpoint;
pub mod config;
pub mod data;
mod error;
pub mod events;
pub mod flatness;
mod limit;
pub mod loss;
pub mod models;
pub mod pose;
pub mod record;
pub mod rule;
pub mod train;

pub use error::{Error, Result};
