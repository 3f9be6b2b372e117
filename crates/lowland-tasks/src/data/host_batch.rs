//! Batches of images, in the memory of the host and as tensors.

use std::ops::Range;

use burn::tensor::{Device, Int, Tensor, TensorData};
use lowland::Samples;

use super::ImageShape;

/// A batch in the memory of the host.
#[derive(Clone, Debug, PartialEq)]
pub struct HostBatch {
    /// Normalised images: `[batch, channels, height, width]`.
    pub images: Vec<f32>,
    /// The class of each image.
    pub labels: Vec<u16>,
    /// The size of each image.
    pub shape: ImageShape,
    /// The place of each image in the set.
    pub indices: Vec<usize>,
    /// The class of what each image is mixed with, and its share, where images are mixed.
    pub mixed: Option<(Vec<u16>, Vec<f32>)>,
}

/// A batch as tensors.
#[derive(Clone, Debug)]
pub struct ImageBatch {
    /// Normalised images: `[batch, channels, height, width]`.
    pub images: Tensor<4>,
    /// The class of each image: `[batch]`.
    pub labels: Tensor<1, Int>,
    /// The place of each image in the set: what methods that remember something of each sample go
    /// by.
    pub indices: Vec<usize>,
    /// What the images are mixed with, where they are.
    pub mixed: Option<Mixed>,
}

/// What the images of a batch are mixed with.
#[derive(Clone, Debug)]
pub struct Mixed {
    /// The class of the other image: `[batch]`.
    pub labels: Tensor<1, Int>,
    /// Its share, 0 to a half: `[batch]`.
    pub shares: Tensor<1>,
}

impl HostBatch {
    /// Moves the batch to `device`.
    pub fn to_device(self, device: &Device) -> ImageBatch {
        let ImageShape { channels, height, width } = self.shape;
        let count = self.indices.len();
        let classes = |labels: Vec<u16>| {
            let labels: Vec<i32> = labels.into_iter().map(i32::from).collect();
            Tensor::from_data(TensorData::new(labels, [count]), device)
        };
        let mixed = self.mixed.map(|(labels, shares)| Mixed {
            labels: classes(labels),
            shares: Tensor::from_data(TensorData::new(shares, [count]), device),
        });
        ImageBatch {
            images: Tensor::from_data(
                TensorData::new(self.images, [count, channels, height, width]),
                device,
            ),
            labels: classes(self.labels),
            indices: self.indices,
            mixed,
        }
    }
}

impl ImageBatch {
    /// The samples at the positions `range`, which lie in the batch, as a batch of their own.
    #[must_use]
    pub fn piece(&self, range: Range<usize>) -> Self {
        Self {
            images: self.images.clone().slice([range.clone()]),
            labels: self.labels.clone().slice([range.clone()]),
            mixed: self.mixed.as_ref().map(|mixed| Mixed {
                labels: mixed.labels.clone().slice([range.clone()]),
                shares: mixed.shares.clone().slice([range.clone()]),
            }),
            indices: self.indices[range].to_vec(),
        }
    }

    /// The images and labels of the chosen samples.
    pub fn select(&self, samples: &Samples) -> (Tensor<4>, Tensor<1, Int>) {
        (samples.select(self.images.clone()), samples.select(self.labels.clone()))
    }

    /// What the chosen samples are mixed with, where they are.
    pub fn select_mixed(&self, samples: &Samples) -> Option<Mixed> {
        let Mixed { labels, shares } = self.mixed.clone()?;
        Some(Mixed { labels: samples.select(labels), shares: samples.select(shares) })
    }
}
