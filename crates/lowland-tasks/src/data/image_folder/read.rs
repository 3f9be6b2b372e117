//! From files to pixels, by several threads.

use std::fs;
use std::num::NonZeroUsize;
use std::path::Path;
use std::thread;

use super::super::files::{self, format_error};
use super::super::image_file::dimensions;
use super::super::remarks::left_out;
use super::super::{ImageSet, ImageShape};
use super::picture::{CHANNELS, FolderConfig, Labelled, parse};
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
}

/// The images of a part that could be read.
#[derive(Debug)]
pub(super) struct Pixels {
    /// `[images, channels, height, width]`.
    pixels: Vec<u8>,
    labels: Vec<u16>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(root: &'a Path, config: &'a FolderConfig) -> Self {
        Self { root, config, damaged: Vec::new(), names: Vec::new() }
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
        let failures = self.read(images, shape, &mut pixels);
        let mut labels: Vec<u16> = images.iter().map(|(_, label)| *label).collect();
        if !failures.is_empty() {
            let mut bad = vec![false; images.len()];
            failures.iter().for_each(|(place, _)| bad[*place] = true);
            let mut kept = 0;
            for place in (0..images.len()).filter(|&place| !bad[place]) {
                pixels.copy_within(place * size..(place + 1) * size, kept * size);
                labels[kept] = labels[place];
                kept += 1;
            }
            pixels.truncate(kept * size);
            labels.truncate(kept);
        }
        for (place, failure) in failures {
            match failure {
                Failure::Size(error) => return Err(error),
                Failure::Damage(error) => {
                    let path = &images[place].0;
                    let name = path.strip_prefix(self.root).unwrap_or(path);
                    self.names.push(name.display().to_string());
                    self.damaged.push(error);
                }
            }
        }
        Ok(Pixels { pixels, labels })
    }

    /// The images that cannot be used, in order.
    fn read(
        &self,
        images: &[Labelled],
        shape: ImageShape,
        pixels: &mut [u8],
    ) -> Vec<(usize, Failure)> {
        let size = shape.checked_size().unwrap_or(usize::MAX);
        let threads = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let share = images.len().div_ceil(threads).max(1);
        let read = |first: usize, images: &[Labelled], pixels: &mut [u8]| {
            let outputs = pixels.chunks_exact_mut(size);
            let each = images.iter().zip(outputs).enumerate();
            let read = each.filter_map(|(place, ((path, _), output))| {
                let failure = read_image(path, shape, self.config, output).err()?;
                Some((first + place, failure))
            });
            read.collect::<Vec<_>>()
        };
        thread::scope(|scope| {
            let shares = images.chunks(share).zip(pixels.chunks_mut(share.saturating_mul(size)));
            let threads: Vec<_> = shares
                .enumerate()
                .map(|(i, (images, pixels))| scope.spawn(move || read(i * share, images, pixels)))
                .collect();
            let join = |thread: thread::ScopedJoinHandle<'_, Vec<(usize, Failure)>>| {
                thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            };
            threads.into_iter().flat_map(join).collect()
        })
    }

    /// A line for the files that were left out.
    ///
    /// # Errors
    /// Damaged files that are not to be skipped.
    pub(super) fn finish(self) -> Result<Option<String>> {
        if self.config.skip_damaged {
            return Ok(left_out(["damaged file", "damaged files"], &self.names));
        }
        match Error::several("files", self.damaged) {
            Some(error) => Err(error),
            None => Ok(None),
        }
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
            return Err(format_error(part, expected, "none".to_owned()));
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

/// Reads one image into `output`, `[channels, height, width]`.
fn read_image(
    path: &Path,
    shape: ImageShape,
    config: &FolderConfig,
    output: &mut [u8],
) -> Result<(), Failure> {
    let read = || parse(path, &files::read(path)?, config);
    let (found, pixels) = read().map_err(Failure::Damage)?;
    if found != shape {
        let size = |shape: ImageShape| format!("{}x{}", shape.width, shape.height);
        let first = size(shape);
        let expected = format!(
            "{first} pixels, as the first image has, or an image_size for all (--image-size)"
        );
        return Err(Failure::Size(format_error(path, expected, size(found))));
    }
    output.copy_from_slice(&pixels);
    Ok(())
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
