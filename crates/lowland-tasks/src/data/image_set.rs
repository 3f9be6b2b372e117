//! Labelled images in one block of memory.

use burn::data::dataset::{Dataset, DatasetError};

use super::Labelled;
use crate::checkpoint::sha256;
use crate::{Error, Result};

/// The size of one image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageShape {
    /// Colour channels: 1 for grey, 3 for red, green and blue.
    pub channels: usize,
    /// Rows, in pixels.
    pub height: usize,
    /// Columns, in pixels.
    pub width: usize,
}

impl ImageShape {
    /// Bytes in one image: `channels · height · width`, or `None` where that does not fit a
    /// `usize`.
    pub fn checked_size(self) -> Option<usize> {
        self.channels.checked_mul(self.height)?.checked_mul(self.width)
    }
}

/// One image with its label, as [`Dataset`] hands it out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageItem {
    /// The pixels, 0 to 255, channel by channel and row by row: `[channels, height, width]`.
    pub pixels: Vec<u8>,
    /// The class, counted from 0.
    pub label: u16,
}

/// Images of one size with a label each.
///
/// The bytes of all images lie in one buffer of shape `[samples, channels, height, width]`. A set
/// holds at least one image, and every label names one of its classes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageSet {
    images: Vec<u8>,
    labels: Vec<u16>,
    shape: ImageShape,
    image_size: usize,
    classes: Vec<String>,
}

/// The parts of a data set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Splits {
    /// What is learned from.
    pub train: ImageSet,
    /// What checkpoints and settings are chosen on, where the data set has such a part.
    pub validation: Option<ImageSet>,
    /// What is only ever measured on.
    pub test: ImageSet,
    /// What was left out or decided on the way, a line each, such as "left out 3 files (.txt) not
    /// read as images: ...".
    pub remarks: Vec<String>,
    /// The files of the samples.
    pub files: SampleFiles,
}

/// The file of each sample, beneath the folder of the data set, in the order of the samples. Lists
/// are empty where samples have no files of their own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SampleFiles {
    /// Of the training part.
    pub train: Vec<String>,
    /// Of the validation part.
    pub validation: Vec<String>,
    /// Of the test part.
    pub test: Vec<String>,
}

impl Splits {
    /// A data set of two parts, of which nothing was left out.
    pub fn new(train: ImageSet, test: ImageSet) -> Self {
        Self { train, validation: None, test, remarks: Vec::new(), files: SampleFiles::default() }
    }
}

impl ImageSet {
    /// Puts images, labels and class names together.
    ///
    /// `images` has the shape `[labels.len(), channels, height, width]`.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if a dimension or the number of images is zero, if `images` has another
    /// length than its shape says, if there are no classes or more than 65,536, or if a label is
    /// not below the number of classes.
    pub fn new(
        images: Vec<u8>,
        labels: Vec<u16>,
        shape: ImageShape,
        classes: Vec<String>,
    ) -> Result<Self> {
        let setting = |field, found, allowed| Err(Error::Setting { field, found, allowed });
        let ImageShape { channels, height, width } = shape;
        let image_size = match shape.checked_size() {
            Some(size) if size > 0 => size,
            _ => {
                let found = format!("{channels}x{height}x{width}");
                return setting("image shape", found, "at least one pixel and fit in memory");
            }
        };
        if labels.is_empty() {
            return setting("labels", "none".to_owned(), "at least one");
        }
        if labels.len().checked_mul(image_size) != Some(images.len()) {
            let found = format!(
                "{} bytes for {} labels and images of {channels}x{height}x{width}",
                images.len(),
                labels.len()
            );
            return setting("images", found, "one byte a pixel for every label");
        }
        if classes.is_empty() || classes.len() > usize::from(u16::MAX) + 1 {
            return setting("classes", classes.len().to_string(), "between 1 and 65536");
        }
        if let Some(index) = labels.iter().position(|&label| usize::from(label) >= classes.len()) {
            let found = format!("{} of {} classes at sample {index}", labels[index], classes.len());
            return setting("labels", found, "below the number of classes");
        }
        Ok(Self { images, labels, shape, image_size, classes })
    }

    /// How many images there are, at least 1.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Always false: a set holds at least one image.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The size of every image.
    pub fn shape(&self) -> ImageShape {
        self.shape
    }

    /// The names of the classes; a label is an index into them.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// A checksum of all that the set holds but the names of its classes: SHA-256, in hexadecimal.
    pub fn sha256(&self) -> String {
        let ImageShape { channels, height, width } = self.shape;
        let numbers =
            [channels, height, width, self.classes.len()].map(|n| (n as u64).to_le_bytes());
        let labels: Vec<u8> = self.labels.iter().flat_map(|label| label.to_le_bytes()).collect();
        sha256([numbers.as_flattened(), &labels, &self.images])
    }

    /// The label of every image, in order.
    pub fn labels(&self) -> &[u16] {
        &self.labels
    }

    /// The pixels of all images: `[samples, channels, height, width]`.
    pub fn images(&self) -> &[u8] {
        &self.images
    }

    /// The pixels of one image, `[channels, height, width]`.
    ///
    /// # Panics
    ///
    /// If `index` is not below [`len`](Self::len), as a slice does.
    pub fn image(&self, index: usize) -> &[u8] {
        &self.images[index * self.image_size..][..self.image_size]
    }

    /// The images at `indices`, in that order; an index may come more than once.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if `indices` is empty or holds one that is not below [`len`](Self::len).
    pub fn select(&self, indices: &[usize]) -> Result<Self> {
        let setting = |found| Error::Setting {
            field: "indices",
            found,
            allowed: "at least one, each below the number of images",
        };
        if indices.is_empty() {
            return Err(setting("none".to_owned()));
        }
        if let Some(index) = indices.iter().find(|&&index| index >= self.len()) {
            return Err(setting(format!("{index} in a set of {}", self.len())));
        }
        let images = indices.iter().flat_map(|&index| self.image(index)).copied().collect();
        let labels = indices.iter().map(|&index| self.labels[index]).collect();
        Ok(Self { images, labels, classes: self.classes.clone(), ..*self })
    }

    /// How many images each class has, in the order of [`classes`](Self::classes).
    pub fn class_counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.classes.len()];
        for &label in &self.labels {
            counts[usize::from(label)] += 1;
        }
        counts
    }

    /// Mean and standard deviation of each channel over all pixels of all images, with pixels
    /// counted from 0 to 1.
    ///
    /// Sums are whole numbers, so the result depends on no order of summation. The deviation
    /// divides by the number of pixels.
    pub fn channel_statistics(&self) -> Vec<ChannelStatistics> {
        let plane = self.shape.height * self.shape.width;
        let mut sums = vec![(0_u128, 0_u128); self.shape.channels];
        for image in self.images.chunks_exact(self.image_size) {
            for (pixels, (sum, squares)) in image.chunks_exact(plane).zip(&mut sums) {
                *sum += pixels.iter().map(|&p| u128::from(p)).sum::<u128>();
                *squares += pixels.iter().map(|&p| u128::from(p).pow(2)).sum::<u128>();
            }
        }
        let count = (self.len() * plane) as u128;
        let statistics = |&(sum, squares): &(u128, u128)| {
            let mean = sum as f64 / count as f64 / 255.0;
            // n·Σp² − (Σp)² is exact in whole numbers and cannot be negative.
            let spread = (count * squares - sum * sum) as f64;
            ChannelStatistics { mean, standard_deviation: spread.sqrt() / count as f64 / 255.0 }
        };
        sums.iter().map(statistics).collect()
    }
}

impl Labelled for ImageSet {
    fn labels_and_classes(&mut self) -> (&mut [u16], usize) {
        (&mut self.labels, self.classes.len())
    }
}

/// Mean and spread of one colour channel, with pixels counted from 0 (black) to 1 (full).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChannelStatistics {
    /// The mean over all pixels.
    pub mean: f64,
    /// The standard deviation over all pixels.
    pub standard_deviation: f64,
}

/// Random access for the tools of Burn, such as `burn::data::dataset::transform`.
impl Dataset<ImageItem> for ImageSet {
    fn get(&self, index: usize) -> Result<ImageItem, DatasetError> {
        if index >= self.len() {
            let found = index.to_string();
            let allowed = "below the number of images";
            return Err(DatasetError::new(Error::Setting { field: "index", found, allowed }));
        }
        Ok(ImageItem { pixels: self.image(index).to_vec(), label: self.labels[index] })
    }

    fn len(&self) -> usize {
        self.labels.len()
    }
}
