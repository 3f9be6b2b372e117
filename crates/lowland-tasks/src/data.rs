//! Labelled images: where they come from and how they become batches.
//!
//! The way of an image is a straight line: [`DataName::load`] reads a training and a test
//! [`ImageSet`], [`redraw_labels`] may spoil some of the training labels, an [`Augment`] turns
//! bytes into normalised numbers, and a [`Loader`] hands out batches. Everything random is a
//! function of a seed and of the place where it is used, never of timing or of what was drawn
//! before.

pub mod augment;
pub mod batches;
pub mod cifar;
pub mod embedded;
pub mod idx;
pub mod image_folder;
pub mod image_set;
pub mod label_noise;
pub mod published;
pub mod registry;

pub(crate) mod draw;
pub(crate) mod files;
mod prefetch;

pub use augment::{Augment, AugmentConfig, Normalisation};
pub use batches::{
    BatchConfig, Batches, HostBatch, ImageBatch, ImageSource, Loader, Source, epoch_order,
};
pub use image_set::{ImageItem, ImageSet, ImageShape, Splits};
pub use label_noise::{LabelNoise, Labelled, redraw_labels};
pub use published::Published;
pub use registry::{DataName, Kind};
