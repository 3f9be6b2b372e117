//! From bytes to normalised numbers, with random crops, flips and holes on the way.

use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::draw::{Purpose, below, generator, unit};
use super::{ImageSet, ImageShape, Mixup};
use crate::error::setting;
use crate::{Error, Result};

/// What is done to a training image before it is learned from. The default is nothing.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AugmentConfig {
    /// Black pixels put around the image before a window of its own size is cut out at random. 0,
    /// the default, switches cropping off.
    pub crop_padding: usize,
    /// Whether every second image, at random, is mirrored left to right. Default: false.
    pub flip: bool,
    /// Side in pixels of a square hole with its centre anywhere in the image. 0, the default,
    /// switches it off.
    pub cutout: usize,
    /// Share of the images that get the hole, between 0 and 1. Default: 1, as in the paper that
    /// proposed it (arXiv 1708.04552).
    pub cutout_probability: f64,
    /// The smallest share of an image's area that a window of a random size and shape is cut out of
    /// it with and brought back to the image's size, above 0 and at most 1; 0.08 is usual for
    /// ImageNet (Szegedy et al., arXiv 1409.4842). Not together with `crop_padding`. 0, the
    /// default, switches it off.
    pub resized_crop: f64,
    /// α of mixup, finite and at least 0: each image is mixed with another one, see
    /// [`Mixup`]; 0.2 is usual for ImageNet, 1 for CIFAR. 0, the default, switches it
    /// off.
    pub mixup: f64,
}

impl Default for AugmentConfig {
    fn default() -> Self {
        Self {
            crop_padding: 0,
            flip: false,
            cutout: 0,
            cutout_probability: 1.0,
            resized_crop: 0.0,
            mixup: 0.0,
        }
    }
}

impl AugmentConfig {
    /// Images as they are; the same as the default.
    pub fn none() -> Self {
        Self::default()
    }

    /// The usual recipe for CIFAR: a window out of 4 pixels of padding, mirrored every second time,
    /// and a hole of 16 by 16 pixels in every second image.
    pub fn crop_flip_cutout() -> Self {
        Self { crop_padding: 4, flip: true, cutout: 16, cutout_probability: 0.5, ..Self::default() }
    }

    /// Checks the settings against the images they are for. `normalisation` should come from the
    /// training images.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if `crop_padding` or `cutout` is more than the shorter side of the
    /// images, if `cutout_probability` or `resized_crop` is not between 0 and 1, if there are both
    /// kinds of crops, or if `mixup` is negative or not finite.
    pub fn build(self, normalisation: Normalisation) -> Result<Augment> {
        let shorter = normalisation.shape.height.min(normalisation.shape.width);
        for (field, value) in [("crop_padding", self.crop_padding), ("cutout", self.cutout)] {
            if value > shorter {
                let found = format!("{value} for a side of {shorter}");
                let allowed = "at most the shorter side of the images";
                return Err(Error::Setting { field, found, allowed });
            }
        }
        if !(0.0..=1.0).contains(&self.cutout_probability) {
            let found = self.cutout_probability.to_string();
            let field = "cutout_probability";
            return Err(Error::Setting { field, found, allowed: "between 0 and 1" });
        }
        let smallest = self.resized_crop;
        setting("resized_crop", (0.0..=1.0).contains(&smallest), smallest, "between 0 and 1")?;
        let is_alone = smallest == 0.0 || self.crop_padding == 0;
        setting("resized_crop", is_alone, smallest, "left out beside crop_padding")?;
        Mixup::new(self.mixup)?;
        Ok(Augment { config: self, normalisation })
    }
}

/// Where the means and deviations of a [`Normalisation`] come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NormalisedBy {
    /// They are measured on the training images; named `measured`.
    Measured,
    /// Those of `ImageNet`, with which published weights were trained: means 0.485, 0.456 and
    /// 0.406, deviations 0.229, 0.224 and 0.225, of red, green and blue; named `imagenet`.
    ImageNet,
}

/// The means and deviations of the channels of `ImageNet`, as torchvision has them.
const IMAGENET: [(f64, f64); 3] = [(0.485, 0.229), (0.456, 0.224), (0.406, 0.225)];

/// What takes each channel to mean 0 and standard deviation 1: `(pixel / 255 − mean) / deviation`.
#[derive(Clone, Debug, PartialEq)]
pub struct Normalisation {
    shape: ImageShape,
    /// Mean and deviation of each channel.
    statistics: Vec<(f64, f64)>,
    /// What each of the 256 bytes becomes, for each channel.
    tables: Vec<[f32; 256]>,
}

impl Normalisation {
    /// Measures the channels of `set`, which should be the training images: test images are
    /// normalised with the same numbers.
    ///
    /// A channel where all pixels are equal is only shifted.
    pub fn of(set: &ImageSet) -> Self {
        let statistics = set.channel_statistics();
        let statistics = statistics.iter().map(|s| (s.mean, s.standard_deviation)).collect();
        Self::with(set.shape(), statistics)
    }

    /// The normalisation of `ImageNet` for images of this size.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] unless they have three channels.
    pub fn of_imagenet(shape: ImageShape) -> Result<Self> {
        if shape.channels == IMAGENET.len() {
            return Ok(Self::with(shape, IMAGENET.to_vec()));
        }
        let found = format!("imagenet for images of {} channels", shape.channels);
        Err(Error::Setting { field: "normalisation", found, allowed: "measured, or for colours" })
    }

    /// With mean and deviation of each channel, of pixels from 0 to 1.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] unless there is a pair of finite numbers for each channel, the deviation
    /// at least 0.
    pub fn given(shape: ImageShape, statistics: &[(f64, f64)]) -> Result<Self> {
        let fine = |&(mean, deviation): &(f64, f64)| {
            mean.is_finite() && deviation.is_finite() && deviation >= 0.0
        };
        if statistics.len() == shape.channels && statistics.iter().all(fine) {
            return Ok(Self::with(shape, statistics.to_vec()));
        }
        Err(Error::Setting {
            field: "pixel_statistics",
            found: format!("{} pairs for {} channels", statistics.len(), shape.channels),
            allowed: "a mean and a deviation of at least 0, finite numbers, for each channel",
        })
    }

    /// With mean and deviation of each channel.
    fn with(shape: ImageShape, statistics: Vec<(f64, f64)>) -> Self {
        let table = |&(mean, deviation): &(f64, f64)| {
            let scale = if deviation > 0.0 { deviation.recip() } else { 1.0 };
            #[expect(clippy::cast_possible_truncation, reason = "images are learned from in f32")]
            std::array::from_fn(|byte| ((byte as f64 / 255.0 - mean) * scale) as f32)
        };
        let tables = statistics.iter().map(table).collect();
        Self { shape, statistics, tables }
    }

    /// Mean and deviation of each channel, of pixels from 0 to 1.
    pub fn statistics(&self) -> &[(f64, f64)] {
        &self.statistics
    }

    /// The size of the images it is for.
    pub fn shape(&self) -> ImageShape {
        self.shape
    }

    /// What the byte `pixel` of `channel` becomes.
    ///
    /// # Panics
    ///
    /// If there is no such channel.
    pub fn value(&self, channel: usize, pixel: u8) -> f32 {
        self.tables[channel][usize::from(pixel)]
    }

    /// Normalises one image, `[channels, height, width]` in both `pixels` and `output`.
    ///
    /// # Panics
    ///
    /// If `pixels` and `output` are not of this size.
    pub fn apply(&self, pixels: &[u8], output: &mut [f32]) {
        self.check(pixels, output);
        let plane = self.shape.height * self.shape.width;
        let channels = pixels.chunks_exact(plane).zip(output.chunks_exact_mut(plane));
        for ((pixels, output), table) in channels.zip(&self.tables) {
            for (value, &pixel) in output.iter_mut().zip(pixels) {
                *value = table[usize::from(pixel)];
            }
        }
    }

    fn check(&self, pixels: &[u8], output: &[f32]) {
        let size = self.shape.channels * self.shape.height * self.shape.width;
        assert!(pixels.len() == size && output.len() == size, "an image of another size");
    }
}

/// A checked [`AugmentConfig`] with the normalisation that follows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Augment {
    config: AugmentConfig,
    normalisation: Normalisation,
}

/// What chance decided for one image in one epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// First row of the window in the padded image, 0 to `2 · crop_padding`; `crop_padding` is the
    /// middle.
    pub row: usize,
    /// First column of the window in the padded image.
    pub column: usize,
    /// Whether the window is mirrored left to right.
    pub flipped: bool,
    /// Where the hole is in the finished window, if there is one.
    pub hole: Option<Hole>,
    /// The part of the image that is brought to its size, if there is one.
    pub window: Option<Window>,
}

/// A part of an image, in whole pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// The first row.
    pub top: usize,
    /// The first column.
    pub left: usize,
    /// Rows, at least 1.
    pub height: usize,
    /// Columns, at least 1.
    pub width: usize,
}

/// A rectangle of pixels, with the ends excluded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hole {
    /// First row.
    pub top: usize,
    /// One past the last row.
    pub bottom: usize,
    /// First column.
    pub left: usize,
    /// One past the last column.
    pub right: usize,
}

impl Augment {
    /// The settings.
    pub fn config(&self) -> &AugmentConfig {
        &self.config
    }

    /// What follows the crop and the flip.
    pub fn normalisation(&self) -> &Normalisation {
        &self.normalisation
    }

    /// What happens to sample `index` in `epoch` of the run with this `seed`.
    ///
    /// It depends on these three numbers and the settings alone, never on batches, threads or
    /// earlier calls. Each part always takes the same draws, so that switching one off changes none
    /// of the others.
    pub fn choose(&self, seed: u64, epoch: u64, index: usize) -> Choice {
        let AugmentConfig { crop_padding, flip, cutout, cutout_probability, .. } = self.config;
        let ImageShape { height, width, .. } = self.normalisation.shape;
        let mut rng = generator(Purpose::Augment, [seed, epoch, index as u64]);
        let row = below(&mut rng, 2 * crop_padding + 1);
        let column = below(&mut rng, 2 * crop_padding + 1);
        let flipped = (unit(&mut rng) < 0.5) && flip;
        let with_hole = unit(&mut rng) < cutout_probability && cutout > 0;
        let (centre_row, centre_column) = (below(&mut rng, height), below(&mut rng, width));
        // The square goes from `centre - cutout / 2` on; what lies outside the image is cut off.
        let span = |centre: usize, length: usize| {
            let end = centre + cutout.div_ceil(2);
            (centre.saturating_sub(cutout / 2), end.min(length))
        };
        let ((top, bottom), (left, right)) = (span(centre_row, height), span(centre_column, width));
        Choice {
            row,
            column,
            flipped,
            hole: with_hole.then_some(Hole { top, bottom, left, right }),
            // The last draws, so that the others are the same without them.
            window: (self.config.resized_crop > 0.0).then(|| self.window(&mut rng)),
        }
    }

    /// A window of a share of the area between the smallest and all of it, and of a width between
    /// 3/4 and 4/3 of its height: the first of ten that lies in the image, or else all of it.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "sides in pixels")]
    fn window(&self, rng: &mut ChaCha8Rng) -> Window {
        let ImageShape { height, width, .. } = self.normalisation.shape;
        let smallest = self.config.resized_crop;
        let widest = (4.0_f64 / 3.0).ln();
        for _ in 0..10 {
            let area = (height * width) as f64 * (smallest + (1.0 - smallest) * unit(rng));
            let ratio = (widest * (2.0 * unit(rng) - 1.0)).exp();
            let side = |area: f64| (area.sqrt().round() as usize).max(1);
            let (tall, wide) = (side(area / ratio), side(area * ratio));
            if tall <= height && wide <= width {
                let (top, left) = (below(rng, height - tall + 1), below(rng, width - wide + 1));
                return Window { top, left, height: tall, width: wide };
            }
        }
        Window { top: 0, left: 0, height, width }
    }

    /// Crops, mirrors, normalises and cuts the hole into one image: `[channels, height, width]` in
    /// both `pixels` and `output`.
    ///
    /// Padding is black before normalisation; the hole is the mean of the channel, 0 after it.
    ///
    /// # Panics
    ///
    /// If `pixels` or `output` have another size than the images this was built for, or the hole of
    /// `choice` leaves the image.
    pub fn apply(&self, pixels: &[u8], choice: &Choice, output: &mut [f32]) {
        self.normalisation.check(pixels, output);
        let ImageShape { height, width, .. } = self.normalisation.shape;
        let plane = height * width;
        let padding = self.config.crop_padding;
        let channels = pixels.chunks_exact(plane).zip(output.chunks_exact_mut(plane));
        for ((pixels, output), table) in channels.zip(&self.normalisation.tables) {
            if let Some(window) = choice.window {
                resample(pixels, width, window, table, output);
                self.finish(choice, output);
                continue;
            }
            output.fill(table[0]);
            // Of the window, these rows and columns lie in the image and not in its padding.
            let rows = overlap(choice.row, padding, height);
            let columns = overlap(choice.column, padding, width);
            for row in rows {
                let source = &pixels[(row + choice.row - padding) * width..][..width];
                let source = &source[columns.start + choice.column - padding..][..columns.len()];
                let target = &mut output[row * width..][..width][columns.clone()];
                for (value, &pixel) in target.iter_mut().zip(source) {
                    *value = table[usize::from(pixel)];
                }
            }
            self.finish(choice, output);
        }
    }

    /// Mirrors a plane, and cuts the hole into it.
    fn finish(&self, choice: &Choice, output: &mut [f32]) {
        let width = self.normalisation.shape.width;
        if choice.flipped {
            output.chunks_exact_mut(width).for_each(<[f32]>::reverse);
        }
        if let Some(Hole { top, bottom, left, right }) = choice.hole {
            for row in top..bottom {
                output[row * width..][left..right].fill(0.0);
            }
        }
    }
}

/// Brings a window of a plane of `width` columns to the size of the plane, normalised: the middle
/// of each pixel is looked up between those of its four neighbours in the window (bilinear).
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "places in an image, and shares in f32"
)]
fn resample(pixels: &[u8], width: usize, window: Window, table: &[f32; 256], output: &mut [f32]) {
    let height = output.len() / width;
    let lookup = |place: usize, from: usize, of: usize| {
        let at =
            ((place as f64 + 0.5) * from as f64 / of as f64 - 0.5).clamp(0.0, (from - 1) as f64);
        let first = at.floor() as usize;
        (first, (first + 1).min(from - 1), (at - at.floor()) as f32)
    };
    for row in 0..height {
        let (above, beneath, down) = lookup(row, window.height, height);
        for column in 0..width {
            let (left, right, across) = lookup(column, window.width, width);
            let value = |row: usize, column: usize| {
                let place = (window.top + row) * width + window.left + column;
                table[usize::from(pixels[place])]
            };
            let mix = |a: f32, b: f32, share: f32| a + (b - a) * share;
            let upper = mix(value(above, left), value(above, right), across);
            let lower = mix(value(beneath, left), value(beneath, right), across);
            output[row * width + column] = mix(upper, lower, down);
        }
    }
}

/// The positions `p` of a window of `length` that starts at `start` for which `p + start − padding`
/// lies in `0..length`.
fn overlap(start: usize, padding: usize, length: usize) -> std::ops::Range<usize> {
    let first = padding.saturating_sub(start).min(length);
    let end = (length + padding).saturating_sub(start).clamp(first, length);
    first..end
}
