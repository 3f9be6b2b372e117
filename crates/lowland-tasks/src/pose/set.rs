//! People cut out of their images.

use std::io::Cursor;
use std::path::Path;

use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, RgbImage};
use serde::{Deserialize, Serialize};

use super::coco::{self, Annotation, Image, Keypoints};
use super::geometry::{Raster, warp};
use super::{Affine, Skeleton};
use crate::checkpoint::sha256;
use crate::data::files::{self, format_error};
use crate::data::{ImageSet, ImageShape};
use crate::{Error, Result};

/// The files of a folder, for messages.
pub(crate) const EXPECTED_FILES: &str = "train.json, val.json and the images that they name";

/// The longest side of the picture that is kept of a person.
const LONGEST_SIDE: usize = 1024;

/// Pixels that any image may have, and what it may have more for each byte of its file. A JPEG of
/// one colour has 170 for each.
const PIXELS: (usize, usize) = (1 << 20, 256);

/// How people are cut out of their images.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CropConfig {
    /// Rows of the picture that is kept of each person, in pixels, from 1 to 1024. Default: 128.
    pub height: usize,
    /// Columns of it. Default: 128.
    pub width: usize,
    /// How much larger than the person's box the picture is, from 1 to 4. Default: 1.25, as in the
    /// paper (arXiv 1804.06208). 1 fits images that are cut out already.
    pub enlarge: f64,
}

impl Default for CropConfig {
    fn default() -> Self {
        Self { height: 128, width: 128, enlarge: 1.25 }
    }
}

impl CropConfig {
    fn check(&self) -> Result<()> {
        for (field, value) in [("height", self.height), ("width", self.width)] {
            if !(1..=LONGEST_SIDE).contains(&value) {
                let found = value.to_string();
                return Err(Error::Setting { field, found, allowed: "between 1 and 1024" });
            }
        }
        if !(1.0..=4.0).contains(&self.enlarge) {
            let found = self.enlarge.to_string();
            return Err(Error::Setting { field: "enlarge", found, allowed: "between 1 and 4" });
        }
        Ok(())
    }

    /// From the image to the picture of the person in the box `bounds`: the box is made as wide or
    /// as high as the picture's proportions ask for, and larger, around its middle.
    fn crop(&self, [left, top, across, down]: [f64; 4]) -> Affine {
        let (width, height) = (self.width as f64, self.height as f64);
        let scale = (width / across).min(height / down) / self.enlarge;
        Affine::translation([-(left + across / 2.0), -(top + down / 2.0)])
            .then(&Affine::scaling([scale, scale]))
            .then(&Affine::translation([width / 2.0, height / 2.0]))
    }
}

/// What is known of one person. Coordinates are those of the image, not of the picture that was cut
/// out of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Person {
    /// The number of the image in the file that it was read from: people of one image share it.
    pub image: u64,
    /// Where each joint is, in pixels, where that is known.
    pub joints: Vec<Option<[f64; 2]>>,
    /// The box around the person: left, top, width and height, in pixels.
    pub bounds: [f64; 4],
    /// The area of the person, in square pixels.
    pub area: f64,
    /// From the image to the picture of the person.
    pub crop: Affine,
}

/// People with their joints, and a picture of each.
///
/// Pictures are of one size and three colours. There is at least one person.
#[derive(Clone, Debug, PartialEq)]
pub struct PoseSet {
    pictures: ImageSet,
    people: Vec<Person>,
    skeleton: Skeleton,
}

/// The two parts of a data set. Both have the same joints and limbs.
#[derive(Clone, Debug, PartialEq)]
pub struct PoseSplits {
    /// What is learned from.
    pub train: PoseSet,
    /// What is only ever measured on.
    pub test: PoseSet,
}

impl PoseSplits {
    /// Reads `train.json` and `val.json` of `folder`, which [`coco::parse`] says more of, and the
    /// images that they name: JPEG or PNG, in the folder or in `images` inside it.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] for a `config` out of range; [`Error::Missing`] if the folder, a file or
    /// an image is not there; [`Error::File`] if one cannot be read; [`Error::Format`] as
    /// [`coco::parse`] says, if an image is damaged or of another size than the file has it, or if
    /// the two files have different joints or limbs.
    pub fn read(folder: &Path, config: &CropConfig) -> Result<Self> {
        config.check()?;
        files::require_folder(folder, EXPECTED_FILES)?;
        // Both texts are looked at before the first image is, so that a mistake is reported at
        // once.
        let [train_path, test_path] = ["train.json", "val.json"].map(|name| folder.join(name));
        let (train, test) = (read(&train_path)?, read(&test_path)?);
        if train.skeleton != test.skeleton {
            let expected = format!("the joints and limbs of {}", train_path.display());
            return Err(format_error(&test_path, expected, "others".to_owned()));
        }
        let set = |keypoints| PoseSet::cut(folder, keypoints, config);
        Ok(Self { train: set(train)?, test: set(test)? })
    }
}

impl PoseSet {
    /// Puts pictures and people together. `pictures` has the shape
    /// `[people.len(), 3, height, width]`; what its labels are does not matter.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if there is not one picture of three colours for each person, or a person
    /// has another number of joints than the skeleton, no box with an area, no area, or numbers
    /// that are not finite.
    pub fn new(pictures: ImageSet, people: Vec<Person>, skeleton: Skeleton) -> Result<Self> {
        let setting = |field, found, allowed| Err(Error::Setting { field, found, allowed });
        if pictures.len() != people.len() || pictures.shape().channels != 3 {
            let channels = pictures.shape().channels;
            let found = format!("{} of {channels} colours for {}", pictures.len(), people.len());
            return setting("pictures", found, "one of three colours for each person");
        }
        let count = skeleton.joints().len();
        for (index, person) in people.iter().enumerate() {
            let [_, _, across, down] = person.bounds;
            let mut numbers = person.joints.iter().flatten().flatten().chain(&person.bounds);
            let sound = person.joints.len() == count
                && numbers.all(|number| number.is_finite())
                && across > 0.0
                && down > 0.0
                && person.area > 0.0
                && person.area.is_finite()
                && person.crop.inverse().rows.iter().flatten().all(|number| number.is_finite());
            if !sound {
                let found = format!("another in place {index}");
                return setting("people", found, "with the skeleton's joints, a box and an area");
            }
        }
        Ok(Self { pictures, people, skeleton })
    }

    /// Cuts everyone out of their image. Images are read once each.
    fn cut(folder: &Path, keypoints: Keypoints, config: &CropConfig) -> Result<Self> {
        let Keypoints { skeleton, images, people: annotations } = keypoints;
        let shape = ImageShape { channels: 3, height: config.height, width: config.width };
        let size = 3 * config.height * config.width;
        let mut pixels = vec![0; size * annotations.len()];
        let mut of_image = vec![Vec::new(); images.len()];
        for (index, annotation) in annotations.iter().enumerate() {
            of_image[annotation.image].push(index);
        }
        for (image, indices) in images.iter().zip(of_image) {
            let decoded = open(folder, image)?;
            for index in indices {
                let crop = config.crop(annotations[index].bounds);
                paint(&decoded, &crop, shape, &mut pixels[index * size..][..size]);
            }
        }
        let labels = vec![0; annotations.len()];
        let pictures = ImageSet::new(pixels, labels, shape, vec!["person".to_owned()])?;
        let person = |Annotation { image, joints, bounds, area }| {
            let (image, crop) = (images[image].id, config.crop(bounds));
            Person { image, joints, bounds, area, crop }
        };
        Self::new(pictures, annotations.into_iter().map(person).collect(), skeleton)
    }

    /// How many people there are, at least 1.
    pub fn len(&self) -> usize {
        self.people.len()
    }

    /// Always false: a set holds at least one person.
    pub fn is_empty(&self) -> bool {
        self.people.is_empty()
    }

    /// The joints that everyone has.
    pub fn skeleton(&self) -> &Skeleton {
        &self.skeleton
    }

    /// The people, in order.
    pub fn people(&self) -> &[Person] {
        &self.people
    }

    /// The picture of each person, `[people, 3, height, width]`, all with the same label.
    pub fn pictures(&self) -> &ImageSet {
        &self.pictures
    }

    /// The people at `indices`, in that order; an index may come more than once.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if `indices` is empty or holds one that is not below [`len`](Self::len).
    pub fn select(&self, indices: &[usize]) -> Result<Self> {
        let pictures = self.pictures.select(indices)?;
        let people = indices.iter().map(|&index| self.people[index].clone()).collect();
        Ok(Self { pictures, people, skeleton: self.skeleton.clone() })
    }

    /// A checksum of all that the set holds: SHA-256, in hexadecimal.
    pub fn sha256(&self) -> String {
        let mut bytes = Vec::new();
        for name in self.skeleton.joints() {
            bytes.extend((name.len() as u64).to_le_bytes());
            bytes.extend(name.as_bytes());
        }
        for limb in self.skeleton.limbs() {
            bytes.extend(limb.map(|joint| (joint as u64).to_le_bytes()).as_flattened());
        }
        for Person { image, joints, bounds, area, crop } in &self.people {
            bytes.extend(image.to_le_bytes());
            for joint in joints {
                bytes.push(u8::from(joint.is_some()));
                bytes.extend(joint.unwrap_or_default().map(f64::to_le_bytes).as_flattened());
            }
            let numbers = bounds.iter().chain([area]).chain(crop.rows.as_flattened());
            bytes.extend(numbers.flat_map(|number| number.to_le_bytes()));
        }
        let counts = [self.skeleton.joints().len(), self.skeleton.limbs().len()];
        let counts = counts.map(|count| (count as u64).to_le_bytes());
        sha256([counts.as_flattened(), &bytes, self.pictures.sha256().as_bytes()])
    }
}

fn read(path: &Path) -> Result<Keypoints> {
    if !path.is_file() {
        let (path, expected) = (path.to_owned(), format!("one of {EXPECTED_FILES}"));
        return Err(Error::Missing { path, kind: "file", expected });
    }
    coco::parse(path, &files::read(path)?)
}

/// Reads an image of the folder.
fn open(folder: &Path, image: &Image) -> Result<RgbImage> {
    let places = [folder.join("images").join(&image.file_name), folder.join(&image.file_name)];
    let Some(path) = places.iter().find(|path| path.is_file()) else {
        let [_, path] = places;
        let expected = format!("image {} of a keypoint file", image.id);
        return Err(Error::Missing { path, kind: "file", expected });
    };
    decode(path, &files::read(path)?, image.size)
}

/// The pixels of a JPEG or PNG file that should be `width` by `height`.
fn decode(path: &Path, file: &[u8], [width, height]: [u32; 2]) -> Result<RgbImage> {
    let damaged = |found: String| format_error(path, "a whole JPEG or PNG".to_owned(), found);
    let format = image::guess_format(file).map_err(|error| damaged(error.to_string()))?;
    if ![ImageFormat::Jpeg, ImageFormat::Png].contains(&format) {
        return Err(damaged(format!("{format:?}")));
    }
    let decoder = ImageReader::with_format(Cursor::new(file), format)
        .into_decoder()
        .map_err(|error| damaged(error.to_string()))?;
    let found = decoder.dimensions();
    if found != (width, height) {
        let (found_width, found_height) = found;
        let found = format!("{found_width}x{found_height}");
        return Err(format_error(path, format!("an image of {width}x{height}"), found));
    }
    let most = PIXELS.0.saturating_add(PIXELS.1.saturating_mul(file.len()));
    if u64::from(width) * u64::from(height) > most as u64 {
        let found = format!("{width}x{height} in {} bytes", file.len());
        return Err(format_error(path, "an image in proportion to its file".to_owned(), found));
    }
    // The decoder fills up what is missing of a JPEG that was cut off.
    if format == ImageFormat::Jpeg && !ends(file) {
        return Err(damaged("a JPEG without its end".to_owned()));
    }
    let image = DynamicImage::from_decoder(decoder).map_err(|error| damaged(error.to_string()))?;
    Ok(image.into_rgb8())
}

/// Whether the last scan of a JPEG is followed by the marker of its end. Inside a scan, no byte of
/// 255 is followed by one of a marker.
fn ends(file: &[u8]) -> bool {
    let last = |marker: [u8; 2]| file.windows(2).rposition(|bytes| bytes == marker);
    last([0xff, 0xd9]) > last([0xff, 0xda])
}

/// Cuts a picture of `shape` out of an image.
fn paint(image: &RgbImage, crop: &Affine, shape: ImageShape, picture: &mut [u8]) {
    let plane = shape.height * shape.width;
    let size = [image.width() as usize, image.height() as usize];
    let raster = Raster::interleaved(image.as_raw(), size);
    warp(raster, crop, [shape.width, shape.height], |place, colours| {
        for (channel, colour) in colours.into_iter().enumerate() {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a mean of bytes, rounded to one"
            )]
            let byte = colour.round() as u8;
            picture[channel * plane + place] = byte;
        }
    });
}
