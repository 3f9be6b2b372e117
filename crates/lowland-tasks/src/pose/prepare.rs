//! From a picture of a person to what the network sees and what it should say.

use std::ops::Range;
use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};
use lowland::Samples;
use serde::{Deserialize, Serialize};

use super::geometry::{Raster, warp};
use super::{Affine, Person, PoseSet};
use crate::data::draw::{Purpose, generator, unit};
use crate::{Error, Result};

/// Pixels of the network's input on each side of a pixel of a heatmap.
const STRIDE: usize = 4;

/// What is done to people before they are learned from.
///
/// The defaults for chance are those of the paper's authors for single people (arXiv 1804.06208);
/// they draw scales and angles from a normal distribution that is cut off, and turn six of ten
/// people, where all draws here are uniform.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PoseConfig {
    /// Rows of the network's input, in pixels: a multiple of 32, at most 1024. Heatmaps have a
    /// quarter of them. Default: 64.
    pub height: usize,
    /// Columns of the network's input. The proportions must be those of the set's pictures.
    /// Default: 64.
    pub width: usize,
    /// Standard deviation of the bump around a joint, in pixels of the heatmap, above 0. Default:
    /// 1.
    pub sigma: f64,
    /// Whether every second person, at random, is mirrored. Default: true.
    pub flip: bool,
    /// People become larger or smaller by up to this share, from 0 to below 1. Default: 0.25.
    pub scale: f64,
    /// People are turned by up to this angle to either side, in degrees, from 0 to 180. Default:
    /// 30.
    pub rotation: f64,
}

impl Default for PoseConfig {
    fn default() -> Self {
        Self { height: 64, width: 64, sigma: 1.0, flip: true, scale: 0.25, rotation: 30.0 }
    }
}

impl PoseConfig {
    /// Checks the settings and measures the colours of `training`, the set that is learned from:
    /// test pictures are normalised with the same numbers.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if a setting is out of its range, or if height and width do not have the
    /// proportions of the set's pictures.
    pub fn build(self, training: &PoseSet) -> Result<PosePreparation> {
        let setting = |field, found: String, allowed| Err(Error::Setting { field, found, allowed });
        for (field, side) in [("height", self.height), ("width", self.width)] {
            if !(1..=1024).contains(&side) || !side.is_multiple_of(32) {
                return setting(field, side.to_string(), "a multiple of 32, from 32 to 1024");
            }
        }
        let shape = training.pictures().shape();
        if self.height * shape.width != self.width * shape.height {
            let Self { height, width, .. } = self;
            let found = format!("{height} by {width} for {} by {}", shape.height, shape.width);
            return setting("height by width", found, "of the proportions of the pictures");
        }
        if !(self.sigma > 0.0 && self.sigma.is_finite()) {
            return setting("sigma", self.sigma.to_string(), "finite and above 0");
        }
        if !(0.0..1.0).contains(&self.scale) {
            return setting("scale", self.scale.to_string(), "from 0 to below 1");
        }
        if !(0.0..=180.0).contains(&self.rotation) {
            return setting("rotation", self.rotation.to_string(), "between 0 and 180");
        }
        let statistics = training.pictures().channel_statistics();
        #[expect(clippy::cast_possible_truncation, reason = "images are learned from in f32")]
        let colours = std::array::from_fn(|channel| {
            let colour = statistics[channel];
            let deviation = colour.standard_deviation;
            let scale = if deviation > 0.0 { deviation.recip() } else { 1.0 };
            [(scale / 255.0) as f32, (colour.mean * scale) as f32]
        });
        Ok(PosePreparation { config: self, pictures: [shape.width, shape.height], colours })
    }
}

/// A checked [`PoseConfig`] with the normalisation of colours.
#[derive(Clone, Debug, PartialEq)]
pub struct PosePreparation {
    config: PoseConfig,
    /// Width and height of the set's pictures.
    pictures: [usize; 2],
    /// For each channel, what a byte is multiplied with, and what is then taken away.
    colours: [[f32; 2]; 3],
}

/// What chance decided for one person in one epoch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PoseMove {
    /// Whether the picture is mirrored left to right, before anything else.
    pub flipped: bool,
    /// How many times larger the person becomes.
    pub scale: f64,
    /// How far the person is turned clockwise, in radians.
    pub angle: f64,
}

impl PoseMove {
    /// The picture as it is.
    pub const NONE: Self = Self { flipped: false, scale: 1.0, angle: 0.0 };
}

impl PosePreparation {
    /// The settings.
    pub fn config(&self) -> &PoseConfig {
        &self.config
    }

    /// What happens to person `index` in `epoch` of the run with this `seed`.
    ///
    /// It depends on these three numbers and the settings alone, and each part always takes the
    /// same draws.
    pub fn choose(&self, seed: u64, epoch: u64, index: usize) -> PoseMove {
        let mut rng = generator(Purpose::Pose, [seed, epoch, index as u64]);
        let flipped = (unit(&mut rng) < 0.5) && self.config.flip;
        let mut around_zero = || 2.0 * unit(&mut rng) - 1.0;
        let scale = 1.0 + self.config.scale * around_zero();
        let angle = (self.config.rotation * around_zero()).to_radians();
        PoseMove { flipped, scale, angle }
    }

    /// From a picture of the set to the network's input.
    pub fn map(&self, choice: &PoseMove) -> Affine {
        let PoseConfig { height, width, .. } = self.config;
        let [from_width, from_height] = self.pictures.map(|side| side as f64);
        let scale = choice.scale * width as f64 / from_width;
        let mirror = if choice.flipped { [-1.0, 1.0] } else { [1.0, 1.0] };
        Affine::translation([-from_width / 2.0, -from_height / 2.0])
            .then(&Affine::scaling(mirror))
            .then(&Affine::rotation(choice.angle))
            .then(&Affine::scaling([scale, scale]))
            .then(&Affine::translation([width as f64 / 2.0, height as f64 / 2.0]))
    }

    /// Where the joints of `person` are in the network's input, in pixels, joint for joint as the
    /// network should call them: in a mirror the left hand is the right one. Those outside of it
    /// are left out. `mirrored` is [`Skeleton::mirrored`](super::Skeleton::mirrored).
    pub fn joints(
        &self,
        person: &Person,
        mirrored: &[usize],
        choice: &PoseMove,
    ) -> Vec<Option<[f64; 2]>> {
        let map = person.crop.then(&self.map(choice));
        let PoseConfig { height, width, .. } = self.config;
        let inside =
            |[x, y]: &[f64; 2]| (0.0..width as f64).contains(x) && (0.0..height as f64).contains(y);
        let place = |(joint, &other): (usize, &usize)| {
            let joint = if choice.flipped { other } else { joint };
            person.joints[joint].map(|point| map.apply(point)).filter(inside)
        };
        mirrored.iter().enumerate().map(place).collect()
    }

    /// The network's input, `[3, height, width]`, from a picture of the set, `[3, height, width]`
    /// of its own size. What lies outside the picture is black before normalisation.
    ///
    /// # Panics
    ///
    /// If `picture` or `output` are of another size.
    pub fn image(&self, picture: &[u8], choice: &PoseMove, output: &mut [f32]) {
        let PoseConfig { height, width, .. } = self.config;
        let plane = height * width;
        assert_eq!(output.len(), 3 * plane, "the size of the input");
        assert_eq!(picture.len(), 3 * self.pictures[0] * self.pictures[1], "the pictures' size");
        let raster = Raster::planar(picture, self.pictures);
        warp(raster, &self.map(choice), [width, height], |place, colours| {
            for (channel, colour) in colours.into_iter().enumerate() {
                let [scale, shift] = self.colours[channel];
                output[channel * plane + place] = colour * scale - shift;
            }
        });
    }

    /// The heatmap of a joint at `joint` in the network's input: `exp(−d²/2σ²)` where `d` is how
    /// far the middle of a pixel of the heatmap is from the joint. The shape is
    /// `[height / 4, width / 4]`.
    ///
    /// The bump lies where the joint is and not at the nearest pixel, which the authors round it
    /// to.
    ///
    /// # Panics
    ///
    /// If `output` is of another size.
    pub fn heatmap(&self, joint: [f64; 2], output: &mut [f32]) {
        let PoseConfig { height, width, sigma, .. } = self.config;
        let [across, down] = [(joint[0], width), (joint[1], height)].map(|(at, length)| {
            let profile = |pixel: usize| {
                let distance = pixel as f64 + 0.5 - at / STRIDE as f64;
                (-distance * distance / (2.0 * sigma * sigma)).exp()
            };
            (0..length / STRIDE).map(profile).collect::<Vec<f64>>()
        });
        assert_eq!(output.len(), across.len() * down.len(), "the size of the heatmap");
        for (row, y) in output.chunks_exact_mut(across.len()).zip(down) {
            for (value, x) in row.iter_mut().zip(&across) {
                #[expect(clippy::cast_possible_truncation, reason = "heatmaps are f32")]
                let height = (x * y) as f32;
                *value = height;
            }
        }
    }
}

/// What turns people into batches: to learn from, or to measure on.
#[derive(Clone, Debug)]
pub struct PoseSource {
    set: Arc<PoseSet>,
    preparation: PosePreparation,
    /// `None` to measure.
    seed: Option<u64>,
}

impl PoseSource {
    /// People to learn from: scaled, turned and mirrored as the settings have it.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if `preparation` was built for pictures of another size.
    pub fn training(set: Arc<PoseSet>, preparation: PosePreparation, seed: u64) -> Result<Self> {
        Self::new(set, preparation, Some(seed))
    }

    /// People to measure on, as they are.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] as [`training`](Self::training).
    pub fn evaluation(set: Arc<PoseSet>, preparation: PosePreparation) -> Result<Self> {
        Self::new(set, preparation, None)
    }

    fn new(set: Arc<PoseSet>, preparation: PosePreparation, seed: Option<u64>) -> Result<Self> {
        let shape = set.pictures().shape();
        if preparation.pictures != [shape.width, shape.height] {
            let [width, height] = preparation.pictures;
            let found = format!("{height}x{width} and {}x{}", shape.height, shape.width);
            let field = "preparation";
            return Err(Error::Setting { field, found, allowed: "for pictures of the set's size" });
        }
        Ok(Self { set, preparation, seed })
    }

    /// The people.
    pub fn set(&self) -> &Arc<PoseSet> {
        &self.set
    }

    /// The people at `indices` as a batch: a function of the seed, the epoch and the indices alone.
    ///
    /// # Panics
    ///
    /// If an index is not below the number of people.
    pub fn prepare(&self, epoch: u64, indices: &[usize]) -> HostPoseBatch {
        let preparation = &self.preparation;
        let PoseConfig { height, width, .. } = preparation.config;
        let skeleton = self.set.skeleton();
        let joints = skeleton.joints().len();
        let (input, map) = (3 * height * width, height * width / STRIDE / STRIDE);
        let mut batch = HostPoseBatch {
            images: vec![0.0; indices.len() * input],
            heatmaps: vec![0.0; indices.len() * joints * map],
            weights: vec![0.0; indices.len() * joints],
            to_image: Vec::with_capacity(indices.len()),
            size: [height, width],
            joints,
            indices: indices.to_vec(),
        };
        for (place, &index) in indices.iter().enumerate() {
            let choice =
                self.seed.map_or(PoseMove::NONE, |seed| preparation.choose(seed, epoch, index));
            let (picture, person) = (self.set.pictures().image(index), &self.set.people()[index]);
            preparation.image(picture, &choice, &mut batch.images[place * input..][..input]);
            let found = preparation.joints(person, skeleton.mirrored(), &choice);
            for (joint, point) in found.into_iter().enumerate() {
                let Some(point) = point else { continue };
                let place = place * joints + joint;
                batch.weights[place] = 1.0;
                preparation.heatmap(point, &mut batch.heatmaps[place * map..][..map]);
            }
            let stride = STRIDE as f64;
            let back = person.crop.then(&preparation.map(&choice)).inverse();
            batch.to_image.push(Affine::scaling([stride, stride]).then(&back));
        }
        batch
    }
}

/// A batch in the memory of the host.
#[derive(Clone, Debug, PartialEq)]
pub struct HostPoseBatch {
    /// Normalised images: `[batch, 3, height, width]`.
    pub images: Vec<f32>,
    /// A bump for each joint that is known, zeros for the others:
    /// `[batch, joints, height / 4, width / 4]`.
    pub heatmaps: Vec<f32>,
    /// 1 for each joint that is known and in the image, 0 for the others: `[batch, joints]`.
    pub weights: Vec<f32>,
    /// From the heatmaps of each person to the image that the person was cut out of. Where the
    /// picture is mirrored, the joints are those of the mirrored person.
    pub to_image: Vec<Affine>,
    /// Height and width of the images.
    pub size: [usize; 2],
    /// How many joints there are.
    pub joints: usize,
    /// The place of each person in the set.
    pub indices: Vec<usize>,
}

/// A batch as tensors.
#[derive(Clone, Debug)]
pub struct PoseBatch {
    /// Normalised images: `[batch, 3, height, width]`.
    pub images: Tensor<4>,
    /// A bump for each joint that is known: `[batch, joints, height / 4, width / 4]`.
    pub heatmaps: Tensor<4>,
    /// 1 for each joint that is known and in the image, 0 for the others: `[batch, joints]`.
    pub weights: Tensor<2>,
    /// From the heatmaps of each person to the image that the person was cut out of, as
    /// [`decode`](fn@super::decode) wants it.
    pub to_image: Vec<Affine>,
    /// The place of each person in the set: what methods that remember something of each sample go
    /// by.
    pub indices: Vec<usize>,
}

impl HostPoseBatch {
    /// Moves the batch to `device`.
    pub fn to_device(self, device: &Device) -> PoseBatch {
        let Self { images, heatmaps, weights, to_image, size: [height, width], joints, indices } =
            self;
        let count = indices.len();
        let heatmap_shape = [count, joints, height / STRIDE, width / STRIDE];
        PoseBatch {
            images: Tensor::from_data(TensorData::new(images, [count, 3, height, width]), device),
            heatmaps: Tensor::from_data(TensorData::new(heatmaps, heatmap_shape), device),
            weights: Tensor::from_data(TensorData::new(weights, [count, joints]), device),
            to_image,
            indices,
        }
    }
}

impl PoseBatch {
    /// The people at the positions `range`, which lie in the batch, as a batch of their own.
    #[must_use]
    pub fn piece(&self, range: Range<usize>) -> Self {
        Self {
            images: self.images.clone().slice([range.clone()]),
            heatmaps: self.heatmaps.clone().slice([range.clone()]),
            weights: self.weights.clone().slice([range.clone()]),
            to_image: self.to_image[range.clone()].to_vec(),
            indices: self.indices[range].to_vec(),
        }
    }

    /// Images, heatmaps and weights of the chosen people.
    pub fn select(&self, samples: &Samples) -> (Tensor<4>, Tensor<4>, Tensor<2>) {
        let (images, heatmaps) = (self.images.clone(), self.heatmaps.clone());
        let weights = self.weights.clone();
        (samples.select(images), samples.select(heatmaps), samples.select(weights))
    }
}
