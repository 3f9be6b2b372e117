//! From files to pixels, by several threads.

use std::fs;
use std::num::NonZeroUsize;
use std::path::Path;
use std::thread;

use super::super::files::{self, format_error};
use super::super::image_file::dimensions;
use super::super::remarks::{left_out, over_white};
use super::super::{ImageSet, ImageShape};
use super::picture::{self, CHANNELS, FolderConfig, Labelled};
use crate::{Error, Result};

/// How many bytes of pixels a byte of a file may stand for, where files alone say how large images
/// are. Photographs stay below 50.
const LARGEST_EXPANSION: u64 = 64;

/// What all images together may be unpacked to in any case.
const ALWAYS_HELD: u64 = 256 << 20;

/// Reads the images of all parts, and keeps what cannot be read.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    root: &'a Path,
    config: &'a FolderConfig,
    damaged: Vec<Error>,
    /// The names of the same files.
    names: Vec<String>,
    /// The names of the files with transparent images.
    transparent: Vec<String>,
}

/// The images of a part that could be read.
#[derive(Debug)]
#[expect(clippy::struct_field_names, reason = "they are the pixels, beside what they belong to")]
pub(super) struct Pixels {
    /// `[images, channels, height, width]`.
    pixels: Vec<u8>,
    labels: Vec<u16>,
    /// The names of their files.
    pub(super) files: Vec<String>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(root: &'a Path, config: &'a FolderConfig) -> Self {
        Self { root, config, damaged: Vec::new(), names: Vec::new(), transparent: Vec::new() }
    }

    /// The shape that all images have: the one that is asked for, or that of the first one whose
    /// head can be read.
    #[allow(clippy::unnecessary_wraps, reason = "as the other readers")]
    pub(super) fn shape(&self, images: &[Labelled]) -> Result<ImageShape> {
        let square = |size| ImageShape { channels: CHANNELS, height: size, width: size };
        if let Some(size) = self.config.image_size {
            return Ok(square(size));
        }
        let read = |path: &Path| -> Result<ImageShape> {
            let [width, height] = dimensions(path, &files::read(path)?, &self.config.decoding)?;
            let [width, height] = [width as usize, height as usize];
            Ok(ImageShape { channels: CHANNELS, height, width })
        };
        let found = images.iter().find_map(|(path, _)| read(path).ok());
        // Without one, all are damaged, and reading them says so.
        Ok(found.unwrap_or_else(|| square(1)))
    }

    /// The pixels of a part. Damaged images are kept for [`finish`](Self::finish).
    ///
    /// # Errors
    /// An image of another size, or more of them than fit in memory.
    pub(super) fn pixels(&mut self, images: &[Labelled], shape: ImageShape) -> Result<Pixels> {
        let size = shape.checked_size().unwrap_or(usize::MAX);
        let length = images.len().checked_mul(size);
        if self.config.image_size.is_none() {
            check_expansion(images, length)?;
        }
        let mut pixels = Vec::new();
        let length = length.filter(|&length| pixels.try_reserve_exact(length).is_ok());
        let Some(length) = length else {
            let found = format!("{} of {}x{}", images.len(), shape.height, shape.width);
            return Err(Error::Setting { field: "images", found, allowed: "what fits in memory" });
        };
        pixels.resize(length, 0);
        let read = self.read(images, shape, &mut pixels);
        let (mut labels, mut files) = (Vec::new(), Vec::new());
        for (place, ((path, label), read)) in images.iter().zip(read).enumerate() {
            let name = path.strip_prefix(self.root).unwrap_or(path).display().to_string();
            match read {
                Ok(is_transparent) => {
                    if is_transparent {
                        self.transparent.push(name.clone());
                    }
                    if labels.len() < place {
                        pixels.copy_within(place * size..(place + 1) * size, labels.len() * size);
                    }
                    labels.push(*label);
                    files.push(name);
                }
                Err(Failure::Size(error)) => return Err(error),
                Err(Failure::Damage(error)) => {
                    self.names.push(name);
                    self.damaged.push(error);
                }
            }
        }
        pixels.truncate(labels.len() * size);
        Ok(Pixels { pixels, labels, files })
    }

    /// Reads all images, in order: whether each is transparent.
    fn read(
        &self,
        images: &[Labelled],
        shape: ImageShape,
        pixels: &mut [u8],
    ) -> Vec<Result<bool, Failure>> {
        let size = shape.checked_size().unwrap_or(usize::MAX);
        let threads = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let share = images.len().div_ceil(threads).max(1);
        let read = |images: &[Labelled], pixels: &mut [u8]| {
            let each = images.iter().zip(pixels.chunks_exact_mut(size));
            let read = each.map(|((path, _), output)| read_image(path, shape, self.config, output));
            read.collect::<Vec<_>>()
        };
        thread::scope(|scope| {
            let shares = images.chunks(share).zip(pixels.chunks_mut(share.saturating_mul(size)));
            let threads: Vec<_> =
                shares.map(|(images, pixels)| scope.spawn(move || read(images, pixels))).collect();
            let join = |thread: thread::ScopedJoinHandle<'_, Vec<_>>| {
                thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            };
            threads.into_iter().flat_map(join).collect()
        })
    }

    /// Lines for the files that were left out, and for those that are transparent.
    ///
    /// # Errors
    /// Damaged files that are not to be skipped.
    pub(super) fn finish(self) -> Result<Vec<String>> {
        if !self.config.skip_damaged
            && let Some(error) = Error::several("damaged files", self.damaged)
        {
            return Err(error);
        }
        let skipped = left_out(["damaged file", "damaged files"], &self.names);
        Ok(skipped.into_iter().chain(over_white(&self.transparent)).collect())
    }
}

impl Pixels {
    /// The set of them. `part` is the folder that an error names.
    ///
    /// # Errors
    /// A part of which no image is left.
    pub(super) fn set(
        self,
        shape: ImageShape,
        classes: &[String],
        part: &Path,
    ) -> Result<ImageSet> {
        if self.labels.is_empty() {
            let expected = "at least one image that is not damaged".to_owned();
            let found = "none; replace the damaged images".to_owned();
            return Err(format_error(part, expected, found));
        }
        ImageSet::new(self.pixels, self.labels, shape, classes.to_vec())
    }
}

/// Why an image cannot be used.
#[derive(Debug)]
enum Failure {
    /// It cannot be read.
    Damage(Error),
    /// It is whole, and of another size than the first.
    Size(Error),
}

/// Reads one image into `output`, `[channels, height, width]`, and says whether some of it is
/// transparent.
fn read_image(
    path: &Path,
    shape: ImageShape,
    config: &FolderConfig,
    output: &mut [u8],
) -> Result<bool, Failure> {
    let read = || picture::read(path, &files::read(path)?, config);
    let found = read().map_err(Failure::Damage)?;
    if found.shape != shape {
        let size = |shape: ImageShape| format!("{}x{}", shape.width, shape.height);
        let first = size(shape);
        let expected = format!(
            "{first} pixels, as the first image has, or an image_size for all (--image-size)"
        );
        return Err(Failure::Size(format_error(path, expected, size(found.shape))));
    }
    output.copy_from_slice(&found.pixels);
    Ok(found.is_transparent)
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
