//! Your own task: a network of any type, on samples from anywhere.
//!
//! [`OwnTask`] asks for samples, a network and what the network makes of a batch; training,
//! checkpoints, exact resume, comparisons, sharpness and reports come with it. A program hands it
//! to `lowland_cli::run_task` and is then the command `lowland` for this task:
//!
//! ```
//! use std::path::Path;
//!
//! use burn::module::Module;
//! use burn::nn::{Linear, LinearConfig};
//! use burn::tensor::{Device, Tensor};
//! use lowland_tasks::own::{OwnData, OwnTask, Reason, SampleSet};
//!
//! #[derive(Module, Debug)]
//! struct Line {
//!     layer: Linear,
//! }
//!
//! #[derive(Debug)]
//! struct Slope;
//!
//! impl OwnTask for Slope {
//!     type Network = Line;
//!
//!     fn name(&self) -> &'static str {
//!         "slope"
//!     }
//!
//!     fn data(&self, _folder: Option<&Path>) -> Result<OwnData, Reason> {
//!         let set = |from: u8| {
//!             let inputs: Vec<f32> = (from..from + 50).map(|i| f32::from(i) / 100.0).collect();
//!             let numbers = inputs.iter().map(|x| 3.0 * x - 1.0).collect();
//!             SampleSet::of_numbers(inputs, numbers)
//!         };
//!         Ok(OwnData::new(set(0)?, set(50)?))
//!     }
//!
//!     fn network(&self, _inputs: usize, outputs: usize, device: &Device) -> Line {
//!         Line { layer: LinearConfig::new(1, outputs).init(device) }
//!     }
//!
//!     fn forward(&self, network: &Line, inputs: Tensor<2>) -> Tensor<2> {
//!         network.layer.forward(inputs)
//!     }
//! }
//!
//! # use lowland_tasks::config::{DataConfig, TrainConfig};
//! # use lowland_tasks::data::DataName;
//! # use lowland_tasks::models::ModelName;
//! # use lowland_tasks::own;
//! # use lowland_tasks::train::{Data, Training};
//! # let config = TrainConfig {
//! #     epochs: 1,
//! #     program: Some("slope".to_owned()),
//! #     model: ModelName::Own,
//! #     data: DataConfig { name: DataName::Own, ..DataConfig::default() },
//! #     ..TrainConfig::default()
//! # };
//! # let data = Data::of(own::load(Slope, &config)?, &config)?;
//! # let mut training = Training::new(&config, &data, &Device::flex())?;
//! # while training.advance()?.is_some() {}
//! # assert!(training.test()?.test_loss.is_some());
//! # Ok::<(), lowland_tasks::Error>(())
//! ```

mod batch;
mod definition;
mod samples;
mod task;

use std::sync::Arc;

use crate::Result;
use crate::config::TrainConfig;
use crate::task::Task;

pub use definition::{OwnTask, Reason};
pub use samples::{OwnData, SampleSet, Targets};

/// Loads the samples of your own task and makes it one that can be trained.
///
/// # Errors
/// [`Error::Own`](crate::Error::Own) for what the task says, and settings that do not fit it.
pub fn load(own: impl OwnTask, config: &TrainConfig) -> Result<Arc<dyn Task>> {
    load_shared(Arc::new(own), config)
}

/// The same for a task that is kept.
///
/// # Errors
/// As [`load`].
pub fn load_shared<T: OwnTask>(own: Arc<T>, config: &TrainConfig) -> Result<Arc<dyn Task>> {
    Ok(Arc::new(task::SampleTask::load(own, config)?))
}
