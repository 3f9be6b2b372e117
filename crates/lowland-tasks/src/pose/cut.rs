//! People with their joints, read from keypoint files and cut out of their images.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use image::RgbImage;

use super::coco::{self, Annotation, Image, Keypoints};
use super::geometry::{Raster, warp};
use super::layout::{self, Part};
use super::set::{CropConfig, Person, PoseSet};
use super::unused::Unused;
use super::{Affine, Skeleton};
use crate::data::files::{self, format_error};
use crate::data::image_file::{Decoding, decode_over_white, dimensions};
use crate::data::remarks::{left_out, left_out_each, over_white};
use crate::data::{ImageSet, ImageShape};
use crate::{Error, Result};

/// The files of a folder, for messages.
pub(crate) const EXPECTED_FILES: &str = "train.json, val.json and the images that they name, or annotations/ and train2017/ as COCO has \
     them";

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
    /// Reads the keypoint files of `folder`, which [`coco::parse`] says more of, and the images
    /// that they name, as [`read_with`](Self::read_with) does with its defaults.
    ///
    /// # Errors
    ///
    /// As [`read_with`](Self::read_with).
    pub fn read(folder: &Path, config: &CropConfig) -> Result<Self> {
        Self::read_with(folder, config, &Decoding::default(), false)
    }

    /// Reads `train.json` and `val.json` of `folder`, with `test.json` where it is there; or
    /// `annotations/person_keypoints_train2017.json` and the like, as COCO is published; or
    /// `train/_annotations.coco.json` and the like. Without a `test` file, that of `val` is the
    /// test part. Images lie in the folder, in `images`, beside the file that names them, or in a
    /// folder of the part's name (`train2017`).
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] for a setting out of range; [`Error::Missing`] if the folder or a file is
    /// not there; [`Error::File`] if one cannot be read; [`Error::Format`] as [`coco::parse`] says,
    /// or if the files have different joints or limbs; [`Error::DamagedData`] if entries of the
    /// files are damaged, or images are missing, damaged or of another size than the file has it,
    /// unless these are to be skipped.
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
        let of_validation = validation.as_ref().map(|(found, part)| (found, part));
        let parts = [Some((&train, &train_part)), of_validation, Some((&test, &test_part))];
        let mut damaged = Vec::new();
        for (part, name) in parts.into_iter().zip(["training", "validation", "test"]) {
            let Some((found, Part { file, .. })) = part else { continue };
            damaged.extend(found.damaged.iter().map(|entry| entry.error(file)));
            let names: Vec<_> = found.damaged.iter().map(|entry| entry.name.clone()).collect();
            let skipped = left_out(["damaged entry", "damaged entries"], &names);
            let most = coco::MOST_PEOPLE;
            let what = ["person", "people"];
            let what = what.map(|who| format!("{who} beyond the first {most} of an image"));
            let beyond = left_out_each(what.each_ref().map(|what| &**what), &found.beyond);
            let lines = found.oddities.remarks().into_iter().chain(beyond).chain(skipped);
            remarks.extend(lines.map(|line| format!("{name} part: {line}")));
        }
        if let Some(error) = Error::several("damaged entries", damaged).filter(|_| !skip_damaged) {
            return Err(error);
        }
        let mut files = Unused::default();
        for (found, part) in parts.into_iter().flatten() {
            files.add(found, part);
        }
        remarks.extend(files.remarks(folder)?);
        let mut cutter =
            Cutter { config, decoding, failures: Vec::new(), transparent: BTreeSet::new() };
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

/// A person who fills an image, cut out of it.
pub(crate) struct Whole {
    pixels: Vec<u8>,
    bounds: [f64; 4],
    crop: Affine,
}

impl Whole {
    /// Cuts, so that the image itself need not be kept.
    pub(crate) fn of(image: &RgbImage, config: &CropConfig) -> Self {
        let shape = ImageShape { channels: 3, height: config.height, width: config.width };
        let [width, height] = [image.width(), image.height()].map(f64::from);
        let bounds = [0.0, 0.0, width, height];
        let crop = config.crop(bounds);
        let mut pixels = vec![0; 3 * config.height * config.width];
        paint(image, &crop, shape, &mut pixels);
        Self { pixels, bounds, crop }
    }
}

impl PoseSet {
    /// People who each fill an image of their own, no joint of them known.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] for nobody at all.
    pub(crate) fn whole_images(
        found: impl IntoIterator<Item = Whole>,
        skeleton: Skeleton,
        config: &CropConfig,
    ) -> Result<Self> {
        let shape = ImageShape { channels: 3, height: config.height, width: config.width };
        let (mut pixels, mut people) = (Vec::new(), Vec::new());
        for (image, Whole { pixels: of_image, bounds, crop }) in (0..).zip(found) {
            pixels.extend(of_image);
            let joints = vec![None; skeleton.joints().len()];
            let area = bounds[2] * bounds[3];
            people.push(Person { image, joints, bounds, area, crop });
        }
        let labels = vec![0; people.len()];
        let pictures = ImageSet::new(pixels, labels, shape, vec!["person".to_owned()])?;
        Self::new(pictures, people, skeleton)
    }
}

fn read(part: &Part) -> Result<Keypoints> {
    coco::parse(&part.file, &files::read(&part.file)?)
}

/// Cuts everyone out of their images, and keeps which images cannot be used or are transparent.
struct Cutter<'a> {
    config: &'a CropConfig,
    decoding: &'a Decoding,
    failures: Vec<(PathBuf, Error)>,
    /// The images with transparent pixels.
    transparent: BTreeSet<PathBuf>,
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
            let path = part.path_of(&image.file_name, &images);
            let decoded = match open(&path, image, self.decoding) {
                Ok((decoded, is_transparent)) => {
                    self.transparent.extend(is_transparent.then(|| path.clone()));
                    decoded
                }
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

    /// Lines for the images that are left out, and for those that are transparent.
    ///
    /// # Errors
    /// Images that cannot be used and are not to be skipped.
    fn finish(self, folder: &Path, skip_damaged: bool) -> Result<Vec<String>> {
        // An image of several parts is one.
        let mut seen = BTreeSet::new();
        let failures = self.failures.into_iter().filter(|(path, _)| seen.insert(path.clone()));
        let (paths, errors): (Vec<PathBuf>, Vec<Error>) = failures.unzip();
        if !skip_damaged && let Some(error) = Error::several("missing or damaged images", errors) {
            return Err(error);
        }
        let name = |path: &PathBuf| path.strip_prefix(folder).unwrap_or(path).display().to_string();
        let names: Vec<String> = paths.iter().map(name).collect();
        let skipped = left_out(["missing or damaged image", "missing or damaged images"], &names);
        let transparent: Vec<String> = self.transparent.iter().map(name).collect();
        Ok(skipped.into_iter().chain(over_white(&transparent)).collect())
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
            let expected = "at least one person who is not damaged, nor is the image".to_owned();
            return Err(format_error(&part.file, expected, "none".to_owned()));
        }
        let labels = vec![0; people.len()];
        let pictures = ImageSet::new(pixels, labels, shape, vec!["person".to_owned()])?;
        PoseSet::new(pictures, people, skeleton)
    }
}

/// Reads an image that should have the size that its keypoint file says: as it is turned upright,
/// or as it is stored, whichever has this size. With it, whether some of it is transparent.
fn open(path: &Path, image: &Image, decoding: &Decoding) -> Result<(RgbImage, bool)> {
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
            return decode_over_white(path, &file, decoding);
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
