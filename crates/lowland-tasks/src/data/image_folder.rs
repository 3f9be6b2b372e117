//! Images in folders named after their classes.
//!
//! ```text
//! FOLDER/train/CLASS/a.jpg          FOLDER/train/n01443537/images/n01443537_0.JPEG
//! FOLDER/test/CLASS/b.png           FOLDER/val/images/val_0.JPEG
//! (or FOLDER/val/CLASS/b.png)       FOLDER/val/val_annotations.txt
//! ```
//!
//! The layout on the right is that of Tiny-ImageNet; its `test` folder has no labels and is passed
//! over. Classes are the folders of `train` by name, and images come in the order of their paths,
//! so that the same folder always gives the same set. JPEG and PNG are read, distinguished by their
//! contents; grey images become colour, and an alpha channel is left out. What EXIF says of the
//! camera's position is not looked at.

use std::collections::BTreeMap;
use std::fs;
use std::io::Cursor;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::thread;

use image::imageops::{self, FilterType};
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, RgbImage};

use super::files::{self, format_error};
use super::{ImageSet, ImageShape, Splits};
use crate::error::setting;
use crate::{Error, Result};

/// The files of a folder as [`read_folder`] looks for them, for messages.
pub(crate) const EXPECTED_FILES: &str = "train/CLASS/*.jpg or *.png and the same in test or val, or the layout of \
     Tiny-ImageNet";

/// The largest side that images may be brought to.
pub const LARGEST_SIZE: usize = 4096;

/// How many bytes of pixels a byte of a file may stand for. Photographs stay below 50.
const LARGEST_EXPANSION: u64 = 64;

/// What one image may be unpacked to in any case, since plain areas pack well.
const ALWAYS_UNPACKED: u64 = 16 << 20;

/// What all images together may be unpacked to in any case.
const ALWAYS_HELD: u64 = 256 << 20;

const CHANNELS: usize = 3;

/// What Tiny-ImageNet has in place of folders for validation: lines of a file name and a class,
/// separated by tabs.
const ANNOTATIONS: &str = "val_annotations.txt";

/// A file, and the number of its class.
type Labelled = (PathBuf, u16);

/// Reads training and test images from `folder`.
///
/// With an `image_size`, the largest square in the middle of each image is brought to this side,
/// smoothed so that shrinking loses no detail to chance (a triangle filter). Without one, all
/// images must have the size of the first. Images are decoded by as many threads as there are
/// cores; the result does not depend on their number.
///
/// # Errors
///
/// [`Error::Setting`] for an `image_size` of 0 or above [`LARGEST_SIZE`]; [`Error::Missing`] if one
/// of the folders is not there; [`Error::File`] if something cannot be read; [`Error::Format`],
/// which names the file or folder, if an image is damaged, has another size than the first, or
/// unpacks to more than 64 times its length and 16 MiB, if a class has no images, or if a test
/// image is of a class that is not among the training images.
pub fn read_folder(folder: &Path, image_size: Option<usize>) -> Result<Splits> {
    if let Some(size) = image_size {
        check_size(size)?;
    }
    files::require_folder(folder, EXPECTED_FILES)?;
    let (classes, train) = training_images(folder)?;
    let test = test_images(folder, &classes)?;
    let shape = match image_size {
        Some(size) => ImageShape { channels: CHANNELS, height: size, width: size },
        None => shape_of(&train[0].0)?,
    };
    let read = |images: &[Labelled]| {
        let pixels = read_images(images, shape, image_size)?;
        let labels = images.iter().map(|&(_, label)| label).collect();
        ImageSet::new(pixels, labels, shape, classes.clone())
    };
    Ok(Splits { train: read(&train)?, test: read(&test)? })
}

pub(crate) fn check_size(size: usize) -> Result<()> {
    setting("image_size", (1..=LARGEST_SIZE).contains(&size), size, "1 to 4096")
}

/// The names of the classes, and all training images.
fn training_images(folder: &Path) -> Result<(Vec<String>, Vec<Labelled>)> {
    let train = folder.join("train");
    files::require_folder(&train, "a folder for each class")?;
    let folders = entries(&train, Path::is_dir)?;
    if folders.is_empty() || folders.len() > usize::from(u16::MAX) + 1 {
        let expected = "between 1 and 65536 folders, one for each class".to_owned();
        return Err(format_error(&train, expected, folders.len().to_string()));
    }
    let (mut classes, mut images) = (Vec::new(), Vec::new());
    for (path, label) in folders.iter().zip(0..) {
        classes.push(name_of(path)?);
        let found = images_of_class(path)?;
        if found.is_empty() {
            let expected = "at least one .jpg or .png".to_owned();
            return Err(format_error(path, expected, "none".to_owned()));
        }
        images.extend(found.into_iter().map(|path| (path, label)));
    }
    Ok((classes, images))
}

fn test_images(folder: &Path, classes: &[String]) -> Result<Vec<Labelled>> {
    let labels: BTreeMap<&str, u16> = classes.iter().map(String::as_str).zip(0..).collect();
    let annotations = folder.join("val").join(ANNOTATIONS);
    if annotations.is_file() {
        return annotated_images(&annotations, &labels);
    }
    let (test, val) = (folder.join("test"), folder.join("val"));
    let part = if test.is_dir() || !val.is_dir() { test } else { val };
    files::require_folder(&part, "a folder for each class, or the same as val")?;
    let mut images = Vec::new();
    for path in entries(&part, Path::is_dir)? {
        let name = name_of(&path)?;
        let Some(&label) = labels.get(name.as_str()) else {
            let expected = "the name of a class in train".to_owned();
            return Err(format_error(&path, expected, format!("{name:?}")));
        };
        images.extend(images_of_class(&path)?.into_iter().map(|path| (path, label)));
    }
    if images.is_empty() {
        let expected = "at least one .jpg or .png in the folder of a class".to_owned();
        return Err(format_error(&part, expected, "none".to_owned()));
    }
    Ok(images)
}

/// The validation images of Tiny-ImageNet, by name.
fn annotated_images(path: &Path, labels: &BTreeMap<&str, u16>) -> Result<Vec<Labelled>> {
    let text = String::from_utf8(files::read(path)?);
    let text = text.map_err(|_| format_error(path, "text".to_owned(), "other bytes".to_owned()))?;
    let images = path.with_file_name("images");
    let mut found = BTreeMap::new();
    for (line, number) in text.lines().zip(1..).filter(|(line, _)| !line.trim().is_empty()) {
        let wrong = |expected: &str, found: String| {
            Err(format_error(path, format!("{expected} in line {number}"), found))
        };
        let mut fields = line.split('\t').map(str::trim);
        let (Some(name), Some(class)) = (fields.next(), fields.next()) else {
            return wrong("a file name, a tab and a class", format!("{line:?}"));
        };
        if Path::new(name).file_name() != Some(name.as_ref()) {
            return wrong("the name of a file", format!("{name:?}"));
        }
        let Some(&label) = labels.get(class) else {
            return wrong("a class that is in train", format!("{class:?}"));
        };
        if found.insert(images.join(name), label).is_some() {
            return wrong("each file once", format!("{name:?} again"));
        }
    }
    if found.is_empty() {
        let expected = "at least one line".to_owned();
        return Err(format_error(path, expected, "none".to_owned()));
    }
    Ok(found.into_iter().collect())
}

/// The images in the folder of a class, or in `images` beneath it.
fn images_of_class(folder: &Path) -> Result<Vec<PathBuf>> {
    let beneath = folder.join("images");
    entries(if beneath.is_dir() { &beneath } else { folder }, is_image)
}

/// What lies in a folder and is not hidden, by name.
fn entries(folder: &Path, wanted: fn(&Path) -> bool) -> Result<Vec<PathBuf>> {
    let unreadable = |source| Error::File { path: folder.to_owned(), source };
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let name = path.file_name().unwrap_or_default();
        if !name.as_encoded_bytes().starts_with(b".") && wanted(&path) {
            found.push(path);
        }
    }
    found.sort_unstable();
    Ok(found)
}

fn is_image(path: &Path) -> bool {
    let ending = path.extension().unwrap_or_default();
    ["jpg", "jpeg", "png"].iter().any(|known| ending.eq_ignore_ascii_case(known))
}

fn name_of(path: &Path) -> Result<String> {
    let name = path.file_name().and_then(|name| name.to_str()).map(str::to_owned);
    name.ok_or_else(|| format_error(path, "a name in Unicode".to_owned(), "another".to_owned()))
}

/// The size of one image, as its header has it.
fn shape_of(path: &Path) -> Result<ImageShape> {
    let file = files::read(path)?;
    let decoder = reader(path, &file)?.into_decoder().map_err(|error| damaged(path, &error))?;
    let (width, height) = decoder.dimensions();
    let shape = ImageShape { channels: CHANNELS, height: height as usize, width: width as usize };
    if shape.checked_size().is_none_or(|size| size == 0) {
        let expected = "at least one pixel".to_owned();
        return Err(format_error(path, expected, format!("{width}x{height}")));
    }
    Ok(shape)
}

/// All pixels, `[images, channels, height, width]`.
fn read_images(
    images: &[Labelled],
    shape: ImageShape,
    image_size: Option<usize>,
) -> Result<Vec<u8>> {
    let size = shape.checked_size().unwrap_or(usize::MAX);
    let mut pixels = Vec::new();
    let length = images.len().checked_mul(size);
    if image_size.is_none() {
        check_expansion(images, length)?;
    }
    let length = length.filter(|&length| pixels.try_reserve_exact(length).is_ok());
    let Some(length) = length else {
        let found = format!("{} of {}x{}", images.len(), shape.height, shape.width);
        return Err(Error::Setting { field: "images", found, allowed: "what fits in memory" });
    };
    pixels.resize(length, 0);
    let threads = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let share = images.len().div_ceil(threads).max(1);
    let read = |(images, pixels): (&[Labelled], &mut [u8])| -> Result<()> {
        for ((path, _), output) in images.iter().zip(pixels.chunks_exact_mut(size)) {
            read_image(path, shape, image_size, output)?;
        }
        Ok(())
    };
    thread::scope(|scope| {
        let shares = images.chunks(share).zip(pixels.chunks_mut(share.saturating_mul(size)));
        let threads: Vec<_> = shares.map(|share| scope.spawn(move || read(share))).collect();
        // In order, so that of several damaged files it is always the first that is reported.
        threads.into_iter().try_for_each(|thread| {
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    })?;
    Ok(pixels)
}

/// Where files alone say how large images are, they may not ask for memory out of proportion.
fn check_expansion(images: &[Labelled], length: Option<usize>) -> Result<()> {
    let mut most = 0_u64;
    for (path, _) in images {
        let found = fs::metadata(path);
        let found = found.map_err(|source| Error::File { path: path.clone(), source })?;
        most = most.saturating_add(found.len().saturating_mul(LARGEST_EXPANSION));
    }
    if length.is_some_and(|length| length as u64 <= most.max(ALWAYS_HELD)) {
        return Ok(());
    }
    let found = length.map_or_else(|| "more".to_owned(), |length| format!("{length} bytes"));
    let allowed = "at most 64 times the length of their files and 256 MiB, or of an image_size";
    Err(Error::Setting { field: "images", found, allowed })
}

/// Reads one image into `output`, `[channels, height, width]`.
fn read_image(
    path: &Path,
    shape: ImageShape,
    image_size: Option<usize>,
    output: &mut [u8],
) -> Result<()> {
    let (found, pixels) = parse(path, &files::read(path)?, image_size)?;
    if found != shape {
        let size = |shape: ImageShape| format!("{}x{}", shape.width, shape.height);
        let first = size(shape);
        let expected = format!("{first} pixels, as the first image has, or an image_size for all");
        return Err(format_error(path, expected, size(found)));
    }
    output.copy_from_slice(&pixels);
    Ok(())
}

/// Reads one JPEG or PNG image as colour, and brings it to `image_size` where that is given. Gives
/// its shape and its pixels, `[channels, height, width]`.
///
/// `path` is only what an error calls the file.
///
/// # Errors
///
/// [`Error::Format`] if it is neither, is damaged, or unpacks to more than 64 times its length and
/// 16 MiB.
pub fn parse(path: &Path, file: &[u8], image_size: Option<usize>) -> Result<(ImageShape, Vec<u8>)> {
    let mut image = decode(path, file)?;
    if let Some(side) = image_size.and_then(|size| u32::try_from(size).ok())
        && image.dimensions() != (side, side)
    {
        image = brought_to(&image, side);
    }
    let (width, height) = (image.width() as usize, image.height() as usize);
    let pixels = (0..CHANNELS).flat_map(|channel| image.pixels().map(move |p| p.0[channel]));
    Ok((ImageShape { channels: CHANNELS, height, width }, pixels.collect()))
}

/// The largest square in the middle, in another size. Cutting first keeps what is resized small,
/// however long the image is.
fn brought_to(image: &RgbImage, side: u32) -> RgbImage {
    let (width, height) = image.dimensions();
    let square = width.min(height);
    let (left, top) = ((width - square) / 2, (height - square) / 2);
    let middle = imageops::crop_imm(image, left, top, square, square).to_image();
    if square == side {
        middle
    } else {
        imageops::resize(&middle, side, side, FilterType::Triangle)
    }
}

fn decode(path: &Path, file: &[u8]) -> Result<RgbImage> {
    let decoder = reader(path, file)?.into_decoder().map_err(|error| damaged(path, &error))?;
    let most = allowed(file);
    let (width, height) = decoder.dimensions();
    let colour = u64::from(width) * u64::from(height) * CHANNELS as u64;
    if colour.max(decoder.total_bytes()) > most {
        let expected = format!("at most {most} bytes of pixels in a file of this length");
        return Err(format_error(path, expected, format!("{width}x{height} pixels")));
    }
    if is_cut_jpeg(file) {
        let expected = "a whole image".to_owned();
        return Err(format_error(path, expected, "one that ends early".to_owned()));
    }
    let image = DynamicImage::from_decoder(decoder).map_err(|error| damaged(path, &error))?;
    Ok(image.into_rgb8())
}

/// Whether a JPEG file lacks its end. The decoder fills what is missing with grey and says nothing.
fn is_cut_jpeg(file: &[u8]) -> bool {
    const START_OF_SCAN: u8 = 0xda;
    let Some(mut rest) = file.strip_prefix(&[0xff, 0xd8]) else { return false };
    // Segments with their lengths, of which one may hold a small image with an end of its own; then
    // the pixels.
    while let [0xff, marker, after @ ..] = rest {
        match (marker, after) {
            (0xff, _) => rest = &rest[1..],
            (&START_OF_SCAN, _) => return !after.windows(2).any(|pair| pair == [0xff, 0xd9]),
            (_, [high, low, ..]) => {
                let length = usize::from(u16::from_be_bytes([*high, *low]));
                rest = after.get(length..).unwrap_or_default();
            }
            _ => return true,
        }
    }
    // Something else between the segments: that is for the decoder to judge.
    rest.is_empty()
}

fn reader<'a>(path: &Path, file: &'a [u8]) -> Result<ImageReader<Cursor<&'a [u8]>>> {
    let format = image::guess_format(file).ok();
    let known = [ImageFormat::Jpeg, ImageFormat::Png];
    let Some(format) = format.filter(|format| known.contains(format)) else {
        let found = format!("{} bytes of something else", file.len());
        return Err(format_error(path, "a JPEG or PNG image".to_owned(), found));
    };
    let mut reader = ImageReader::with_format(Cursor::new(file), format);
    let mut limits = Limits::no_limits();
    // The decoder's own buffers beside the pixels.
    limits.max_alloc = Some(allowed(file).saturating_mul(2));
    reader.limits(limits);
    Ok(reader)
}

/// How many bytes of pixels may come of a file.
fn allowed(file: &[u8]) -> u64 {
    (file.len() as u64).saturating_mul(LARGEST_EXPANSION).max(ALWAYS_UNPACKED)
}

fn damaged(path: &Path, error: &image::ImageError) -> Error {
    // Some messages have several lines.
    let error = error.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
    format_error(path, "a whole image".to_owned(), format!("a damaged one ({error})"))
}
