//! People cut out of their images.

use std::path::{Path, PathBuf};

use image::RgbImage;
use serde::{Deserialize, Serialize};

use super::coco::{self, Annotation, Image, Keypoints};
use super::geometry::{Raster, warp};
use super::layout::{self, Part};
use super::{Affine, Skeleton};
use crate::checkpoint::sha256;
use crate::data::files::{self, format_error};
use crate::data::image_file::{Decoding, decode, dimensions};
use crate::data::remarks::left_out;
use crate::data::{ImageSet, ImageShape};
use crate::{Error, Result};

/// The files of a folder, for messages.
pub(crate) const EXPECTED_FILES: &str = "train.json, val.json and the images that they name, or annotations/ and train2017/ as COCO has \
     them";

/// The longest side of the picture that is kept of a person.
const LONGEST_SIDE: usize = 1024;

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

/// The parts of a data set. All have the same joints and limbs.
#[derive(Clone, Debug, PartialEq)]
pub struct PoseSplits {
    /// What is learned from.
    pub train: PoseSet,
    /// What checkpoints and settings are chosen on, where the data set has such a part.
    pub validation: Option<PoseSet>,
    /// What is only ever measured on.
    pub test: PoseSet,
    /// What was left out or decided on the way, a line each.
    pub remarks: Vec<String>,
}

impl PoseSplits {
    /// Reads the keypoint files of `folder`, which [`coco::parse`] says more of, and the images that
    /// they name, as [`read_with`](Self::read_with) does with its defaults.
    ///
    /// # Errors
    ///
    /// As [`read_with`](Self::read_with).
    pub fn read(folder: &Path, config: &CropConfig) -> Result<Self> {
        Self::read_with(folder, config, &Decoding::default(), false)
    }

    /// Reads `train.json` and `val.json` of `folder`, with `test.json` where it is there; or
    /// `annotations/person_keypoints_train2017.json` and the like, as COCO is published; or
    /// `train/_annotations.coco.json` and the like. Without a `test` file, that of `val` is the test
    /// part. Images lie in the folder, in `images`, beside the file that names them, or in a folder
    /// of the part's name (`train2017`).
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] for a setting out of range; [`Error::Missing`] if the folder or a file is
    /// not there; [`Error::File`] if one cannot be read; [`Error::Format`] as [`coco::parse`] says,
    /// or if the files have different joints or limbs; [`Error::DamagedData`] if images are missing,
    /// damaged or of another size than the file has it, unless these are to be skipped.
    pub fn read_with(
        folder: &Path,
        config: &CropConfig,
        decoding: &Decoding,
        skip_damaged: bool,
    ) -> Result<Self> {
        config.check()?;
        decoding.check()?;
        files::require_folder(folder, EXPECTED_FILES)?;
        let [train, validation, test] = layout::parts(folder)?;
        // All texts are looked at before the first image is, so that a mistake is reported at once.
        let missing = |name: &str| {
            let (path, expected) = (folder.join(name), format!("one of {EXPECTED_FILES}"));
            Error::Missing { path, kind: "file", expected }
        };
        let train_part = train.ok_or_else(|| missing("train.json"))?;
        let mut remarks = Vec::new();
        let (validation, test_part) = match (validation, test) {
            (validation, Some(test)) => (validation, test),
            (Some(validation), None) => {
                let name = validation.file.strip_prefix(folder).unwrap_or(&validation.file);
                remarks.push(format!("there is no test file: {} is the test part", name.display()));
                (None, validation)
            }
            (None, None) => return Err(missing("val.json")),
        };
        let train = read(&train_part)?;
        let read_like = |part: &Part| {
            let found = read(part)?;
            if found.skeleton == train.skeleton {
                return Ok(found);
            }
            let expected = format!("the joints and limbs of {}", train_part.file.display());
            Err(format_error(&part.file, expected, "others".to_owned()))
        };
        let test = read_like(&test_part)?;
        let validation = match validation {
            Some(part) => Some((read_like(&part)?, part)),
            None => None,
        };
        let parts = [Some(&train), validation.as_ref().map(|(found, _)| found), Some(&test)];
        for (found, name) in parts.into_iter().zip(["training", "validation", "test"]) {
            let lines = found.map(|found| found.oddities.remarks()).unwrap_or_default();
            remarks.extend(lines.into_iter().map(|line| format!("{name} part: {line}")));
        }
        let mut cutter = Cutter { config, decoding, failures: Vec::new() };
        let train = cutter.cut(&train_part, train);
        let validation = validation.map(|(found, part)| (cutter.cut(&part, found), part));
        let test = cutter.cut(&test_part, test);
        remarks.extend(cutter.finish(folder, skip_damaged)?);
        let validation = match validation {
            Some((cut, part)) => Some(cut.set(&part)?),
            None => None,
        };
        Ok(Self {
            train: train.set(&train_part)?,
            validation,
            test: test.set(&test_part)?,
            remarks,
        })
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

impl PoseSet {
    /// People who each fill an image of their own, no joint of them known.
    ///
    /// # Errors
    ///
    /// [`Error::File`] or [`Error::Format`] for a file that cannot be read as an image;
    /// [`Error::Setting`] for no file at all.
    pub(crate) fn whole_images(
        paths: &[PathBuf],
        skeleton: Skeleton,
        config: &CropConfig,
    ) -> Result<Self> {
        let shape = ImageShape { channels: 3, height: config.height, width: config.width };
        let size = 3 * config.height * config.width;
        let mut pixels = vec![0; size * paths.len()];
        let mut people = Vec::new();
        for (index, path) in paths.iter().enumerate() {
            let image = decode(path, &files::read(path)?, &Decoding::default())?;
            let [width, height] = [image.width(), image.height()].map(f64::from);
            let bounds = [0.0, 0.0, width, height];
            let crop = config.crop(bounds);
            paint(&image, &crop, shape, &mut pixels[index * size..][..size]);
            let joints = vec![None; skeleton.joints().len()];
            let area = width * height;
            people.push(Person { image: index as u64, joints, bounds, area, crop });
        }
        let labels = vec![0; paths.len()];
        let pictures = ImageSet::new(pixels, labels, shape, vec!["person".to_owned()])?;
        Self::new(pictures, people, skeleton)
    }
}

fn read(part: &Part) -> Result<Keypoints> {
    coco::parse(&part.file, &files::read(&part.file)?)
}

/// Cuts everyone out of their images, and keeps which images cannot be used.
struct Cutter<'a> {
    config: &'a CropConfig,
    decoding: &'a Decoding,
    failures: Vec<(PathBuf, Error)>,
}

/// The people of a part whose images could be read.
struct Cut {
    pixels: Vec<u8>,
    shape: ImageShape,
    people: Vec<Person>,
    skeleton: Skeleton,
}

impl Cutter<'_> {
    /// Images are read once each.
    fn cut(&mut self, part: &Part, keypoints: Keypoints) -> Cut {
        let Keypoints { skeleton, images, people: annotations, .. } = keypoints;
        let config = self.config;
        let shape = ImageShape { channels: 3, height: config.height, width: config.width };
        let size = 3 * config.height * config.width;
        let mut pixels = vec![0; size * annotations.len()];
        let mut of_image = vec![Vec::new(); images.len()];
        for (index, annotation) in annotations.iter().enumerate() {
            of_image[annotation.image].push(index);
        }
        let mut is_cut = vec![false; annotations.len()];
        for (image, indices) in images.iter().zip(of_image) {
            let path = part.path_of(&image.file_name);
            let decoded = match open(&path, image, self.decoding) {
                Ok(decoded) => decoded,
                Err(error) => {
                    self.failures.push((path, error));
                    continue;
                }
            };
            for index in indices {
                let crop = config.crop(annotations[index].bounds);
                paint(&decoded, &crop, shape, &mut pixels[index * size..][..size]);
                is_cut[index] = true;
            }
        }
        let mut people = Vec::with_capacity(annotations.len());
        for (index, annotation) in annotations.into_iter().enumerate().filter(|(i, _)| is_cut[*i]) {
            pixels.copy_within(index * size..(index + 1) * size, people.len() * size);
            let Annotation { image, joints, bounds, area } = annotation;
            let (image, crop) = (images[image].id, config.crop(bounds));
            people.push(Person { image, joints, bounds, area, crop });
        }
        pixels.truncate(people.len() * size);
        Cut { pixels, shape, people, skeleton }
    }

    /// A line for the images that are left out.
    ///
    /// # Errors
    /// Images that cannot be used and are not to be skipped.
    fn finish(self, folder: &Path, skip_damaged: bool) -> Result<Option<String>> {
        let (paths, errors): (Vec<PathBuf>, Vec<Error>) = self.failures.into_iter().unzip();
        if !skip_damaged {
            return Error::several("files", errors).map_or(Ok(None), Err);
        }
        let name = |path: &PathBuf| path.strip_prefix(folder).unwrap_or(path).display().to_string();
        let names: Vec<String> = paths.iter().map(name).collect();
        Ok(left_out(["missing or damaged image", "missing or damaged images"], &names))
    }
}

impl Cut {
    /// The set of them.
    ///
    /// # Errors
    /// Nobody is left.
    fn set(self, part: &Part) -> Result<PoseSet> {
        let Self { pixels, shape, people, skeleton } = self;
        if people.is_empty() {
            let expected = "at least one person whose image is whole".to_owned();
            return Err(format_error(&part.file, expected, "none".to_owned()));
        }
        let labels = vec![0; people.len()];
        let pictures = ImageSet::new(pixels, labels, shape, vec!["person".to_owned()])?;
        PoseSet::new(pictures, people, skeleton)
    }
}

/// Reads an image that should have the size that its keypoint file says: as it is turned upright, or
/// as it is stored, whichever has this size.
fn open(path: &Path, image: &Image, decoding: &Decoding) -> Result<RgbImage> {
    if !path.is_file() {
        let expected = format!("image {} of a keypoint file", image.id);
        return Err(Error::Missing { path: path.to_owned(), kind: "file", expected });
    }
    let file = files::read(path)?;
    let stored = Decoding { upright: false, ..*decoding };
    let mut found = [0, 0];
    for decoding in [decoding, &stored] {
        found = dimensions(path, &file, decoding)?;
        if found == image.size {
            return decode(path, &file, decoding);
        }
    }
    let size = |[width, height]: [u32; 2]| format!("{width}x{height}");
    Err(format_error(path, format!("an image of {}", size(image.size)), size(found)))
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
