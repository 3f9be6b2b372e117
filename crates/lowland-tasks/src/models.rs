//! Networks that turn images into one number a class.
//!
//! Initial weights are drawn on the host from the seed alone. Burn's own initialisers draw from a
//! generator that all threads of a device share, and only when a weight is first used, so that
//! equal seeds would give equal weights only as long as nobody else draws.

pub(crate) mod init;
mod registry;
mod resnet20;
mod small_cnn;

pub use registry::{Model, ModelName};
pub use resnet20::ResNet20;
pub use small_cnn::{SmallCnn, SmallCnnConfig};
