//! Image files: JPEG, PNG, WebP, BMP, TIFF (its first page) and GIF (its first frame),
//! distinguished by their contents.
//!
//! Grey images become colour, and transparent ones are laid over white. Images are turned upright
//! as their EXIF data says, unless [`Decoding::upright`] is off.

use std::fs::File;
use std::io::{Cursor, Read};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use image::metadata::Orientation;
use image::{
    DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, Rgb, RgbImage, RgbaImage,
};

use super::files::format_error;
use super::image_mistake;
use super::tiff_head::overlong_value;
use crate::Result;
use crate::error::setting;

/// What [`Decoding::max_megapixels`] may be.
const MEGAPIXELS: std::ops::RangeInclusive<u32> = 1..=4096;

/// Images of more pixels are decoded one at a time, so that many threads need no more memory for
/// them than one.
const LARGE: u64 = 16_000_000;

/// Bytes of a pixel that a decoder may need, with its buffers: 16 bits in four channels, twice.
const BYTES: u64 = 16;

/// The most bits of a pixel: 16 in four channels. TIFF has numbers of 32 bits, too, of no set
/// range.
const DEEPEST: u16 = 64;

/// Bytes at the start of a file that say what format it has.
const SIGNATURE: u64 = 32;

static ONE_LARGE: Mutex<()> = Mutex::new(());

/// How image files are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decoding {
    /// Whether images are turned and mirrored as their EXIF data says, as viewers show them.
    /// Default true.
    pub upright: bool,
    /// The most millions of pixels of an image, 1 to 4096: a small file that claims more is refused
    /// before memory is asked for. Default 200, which takes the largest photos of telephones, and
    /// A3 at 1,000 dots per inch.
    pub max_megapixels: u32,
}

impl Default for Decoding {
    fn default() -> Self {
        Self { upright: true, max_megapixels: 200 }
    }
}

impl Decoding {
    /// An error unless the values are in range.
    pub(crate) fn check(&self) -> Result<()> {
        let most = self.max_megapixels;
        setting("max_megapixels", MEGAPIXELS.contains(&most), most, "between 1 and 4096")
    }
}

/// Reads one image as colour. `path` is only what an error calls the file.
///
/// # Errors
///
/// [`Error::Format`](crate::Error::Format) if it has none of the formats, is damaged, or has more
/// pixels than `decoding` allows.
pub fn decode(path: &Path, file: &[u8], decoding: &Decoding) -> Result<RgbImage> {
    decode_over_white(path, file, decoding).map(|(image, _)| image)
}

/// As [`decode`]; with it, whether some of the image is transparent, if only in part.
///
/// # Errors
///
/// As [`decode`].
pub(crate) fn decode_over_white(
    path: &Path,
    file: &[u8],
    decoding: &Decoding,
) -> Result<(RgbImage, bool)> {
    let mut decoder = decoder(path, file, decoding)?;
    if is_cut_jpeg(file) {
        return Err(image_mistake::ended(path));
    }
    let orientation = orientation(&mut decoder, decoding);
    let (width, height) = decoder.dimensions();
    let is_large = u64::from(width) * u64::from(height) > LARGE;
    let _alone = is_large.then(|| ONE_LARGE.lock().unwrap_or_else(PoisonError::into_inner));
    let image = DynamicImage::from_decoder(decoder)
        .map_err(|error| image_mistake::error(path, &error, decoding.max_megapixels))?;
    let (image, is_transparent) = if image.color().has_alpha() {
        over_white(&image.into_rgba8())
    } else {
        (image.into_rgb8(), false)
    };
    let mut image = DynamicImage::from(image);
    image.apply_orientation(orientation);
    Ok((image.into_rgb8(), is_transparent))
}

/// The image on a white ground, and whether any of this shows through.
fn over_white(image: &RgbaImage) -> (RgbImage, bool) {
    let (width, height) = image.dimensions();
    let mut opaque = RgbImage::new(width, height);
    let mut is_transparent = false;
    for (pixel, seen) in image.pixels().zip(opaque.pixels_mut()) {
        let [red, green, blue, alpha] = pixel.0;
        is_transparent |= alpha < u8::MAX;
        // Rounded to the nearest; at most 255, as a mean of two bytes.
        let mixed = |colour: u8| {
            let (colour, alpha) = (u32::from(colour), u32::from(alpha));
            u8::try_from((colour * alpha + 255 * (255 - alpha) + 127) / 255).unwrap_or(u8::MAX)
        };
        *seen = Rgb([red, green, blue].map(mixed));
    }
    (opaque, is_transparent)
}

/// The columns and rows that [`decode`] would give, from the head of the file.
///
/// # Errors
///
/// As [`decode`], as far as the head says.
pub(crate) fn dimensions(path: &Path, file: &[u8], decoding: &Decoding) -> Result<[u32; 2]> {
    use Orientation::{Rotate90, Rotate90FlipH, Rotate270, Rotate270FlipH};
    let mut decoder = decoder(path, file, decoding)?;
    let (width, height) = decoder.dimensions();
    if width == 0 || height == 0 {
        let expected = "at least one pixel".to_owned();
        return Err(format_error(path, expected, format!("{width}x{height}")));
    }
    Ok(match orientation(&mut decoder, decoding) {
        Rotate90 | Rotate90FlipH | Rotate270 | Rotate270FlipH => [height, width],
        _ => [width, height],
    })
}

/// Whether a file is an image that [`decode`] knows, by its name or else by its first bytes.
pub(crate) fn is_image(path: &Path) -> bool {
    let by_name = path.extension().and_then(ImageFormat::from_extension);
    by_name.is_some_and(|format| format.reading_enabled())
        || signature(path).is_some_and(|format| format.reading_enabled())
}

fn signature(path: &Path) -> Option<ImageFormat> {
    let mut start = Vec::new();
    File::open(path).ok()?.take(SIGNATURE).read_to_end(&mut start).ok()?;
    image::guess_format(&start).ok()
}

/// What EXIF says; where that is damaged the image stays as it is, as in viewers.
fn orientation(decoder: &mut impl ImageDecoder, decoding: &Decoding) -> Orientation {
    let found = decoding.upright.then(|| decoder.orientation().ok()).flatten();
    found.unwrap_or(Orientation::NoTransforms)
}

fn decoder<'a>(
    path: &Path,
    file: &'a [u8],
    decoding: &Decoding,
) -> Result<impl ImageDecoder + use<'a>> {
    let format = image::guess_format(file).ok();
    let Some(format) = format.filter(ImageFormat::reading_enabled) else {
        let found = match format {
            Some(format) => format!("{format:?}"),
            None => format!("{} bytes of something else", file.len()),
        };
        return Err(format_error(path, format!("an image ({})", formats()), found));
    };
    if format == ImageFormat::Tiff
        && let Some(found) = overlong_value(file)
    {
        return Err(format_error(path, "a whole image".to_owned(), found));
    }
    let most = u64::from(decoding.max_megapixels) * 1_000_000;
    let mut reader = ImageReader::with_format(Cursor::new(file), format);
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(most.saturating_mul(BYTES));
    reader.limits(limits);
    let decoder = reader.into_decoder();
    let decoder =
        decoder.map_err(|error| image_mistake::error(path, &error, decoding.max_megapixels))?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > most {
        return Err(image_mistake::too_large(
            path,
            decoding.max_megapixels,
            &format!("{width}x{height}"),
        ));
    }
    let bits = decoder.color_type().bits_per_pixel();
    if bits > DEEPEST {
        return Err(image_mistake::deep(path, &format!("{bits} bits for a pixel")));
    }
    Ok(decoder)
}

/// The formats that are read, in words.
pub(crate) fn formats() -> String {
    use ImageFormat::{Bmp, Gif, Jpeg, Png, Tiff, WebP};
    let known =
        [(Jpeg, "JPEG"), (Png, "PNG"), (WebP, "WebP"), (Bmp, "BMP"), (Gif, "GIF"), (Tiff, "TIFF")];
    let known = known.iter().filter(|(format, _)| format.reading_enabled());
    known.map(|(_, name)| *name).collect::<Vec<_>>().join(", ")
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
