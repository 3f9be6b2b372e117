//! One image of a folder.

use std::path::{Path, PathBuf};

use image::RgbImage;
use image::imageops::{self, FilterType};

use super::super::ImageShape;
use super::super::image_file::{Decoding, decode_over_white};
use crate::Result;
use crate::error::setting;

/// The largest side that images may be brought to.
pub const LARGEST_SIZE: usize = 4096;

/// Red, green and blue.
pub(super) const CHANNELS: usize = 3;

/// A file, and the number of its class.
pub(super) type Labelled = (PathBuf, u16);

/// How an image folder is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FolderConfig {
    /// The side in pixels that images are brought to, 1 to [`LARGEST_SIZE`]. Default: they are left
    /// as they are.
    pub image_size: Option<usize>,
    /// Whether damaged files are left out, and counted in
    /// [`Splits::remarks`](crate::data::Splits::remarks). Default: they are an error that names
    /// them.
    pub skip_damaged: bool,
    /// How files become images.
    pub decoding: Decoding,
}

impl FolderConfig {
    /// An error unless all values are in range.
    pub(crate) fn check(&self) -> Result<()> {
        if let Some(size) = self.image_size {
            setting("image_size", (1..=LARGEST_SIZE).contains(&size), size, "1 to 4096")?;
        }
        self.decoding.check()
    }
}

/// Reads one image as colour, and brings it to the image size where there is one. Gives its shape
/// and its pixels, `[channels, height, width]`.
///
/// `path` is only what an error calls the file.
///
/// # Errors
///
/// [`Error::Format`](crate::Error::Format) as `decode` says.
pub fn parse(path: &Path, file: &[u8], config: &FolderConfig) -> Result<(ImageShape, Vec<u8>)> {
    read(path, file, config).map(|Picture { shape, pixels, .. }| (shape, pixels))
}

/// An image as it is used.
#[derive(Debug)]
pub(super) struct Picture {
    pub(super) shape: ImageShape,
    /// `[channels, height, width]`.
    pub(super) pixels: Vec<u8>,
    /// Whether some of the file's image is transparent, if only in part.
    pub(super) is_transparent: bool,
}

/// As [`parse`].
///
/// # Errors
///
/// As [`parse`].
pub(super) fn read(path: &Path, file: &[u8], config: &FolderConfig) -> Result<Picture> {
    let (mut image, is_transparent) = decode_over_white(path, file, &config.decoding)?;
    if let Some(side) = config.image_size.and_then(|size| u32::try_from(size).ok())
        && image.dimensions() != (side, side)
    {
        image = brought_to(&image, side);
    }
    let (width, height) = (image.width() as usize, image.height() as usize);
    let pixels = (0..CHANNELS).flat_map(|channel| image.pixels().map(move |p| p.0[channel]));
    let shape = ImageShape { channels: CHANNELS, height, width };
    Ok(Picture { shape, pixels: pixels.collect(), is_transparent })
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
