//! The IDX layout of MNIST and Fashion-MNIST, plain or packed with gzip.
//!
//! An IDX file is a magic number, a count for each dimension (both big-endian, 32 bits) and then
//! the values. Here all values are unsigned bytes: magic `0x00000801` for labels `[n]`,
//! `0x00000803` for images `[n, height, width]`. Whether a file is packed follows from its first
//! bytes, never by its name.

use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;

use super::files::{self, format_error};
use super::{ImageSet, ImageShape, Splits, scan};
use crate::{Error, Result};

/// How many bytes a byte of gzip may stand for. The format goes to 1032, images and labels hardly
/// beyond 10.
const LARGEST_EXPANSION: u64 = 64;

/// What a packed file may be unpacked to in any case, since little files of equal bytes pack well.
const ALWAYS_UNPACKED: u64 = 1 << 20;

/// The values of one IDX file with `D` dimensions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idx<const D: usize> {
    /// The length of each dimension, the slowest first.
    pub lengths: [usize; D],
    /// The values, `lengths` multiplied together in number.
    pub values: Vec<u8>,
}

/// Reads the bytes of one IDX file of unsigned bytes with `D` dimensions, plain or gzip.
///
/// `path` is only what an error calls the file. The header is not trusted: memory is asked for only
/// as far as `file` can fill it, and a packed file is not unpacked to more than 64 times its
/// length, or 1 MiB where that is more.
///
/// # Errors
///
/// [`Error::Format`] if the gzip stream is damaged or unpacks to too much, the magic number is
/// another one, or the values are fewer or more than the header promises.
pub fn parse<const D: usize>(path: &Path, file: &[u8]) -> Result<Idx<D>> {
    if !file.starts_with(&[0x1f, 0x8b]) {
        return parse_stream(path, file, file.len() as u64);
    }
    let most = (file.len() as u64).saturating_mul(LARGEST_EXPANSION).max(ALWAYS_UNPACKED);
    parse_stream(path, MultiGzDecoder::new(file), most)
}

/// Reads header and values from `stream`, which may yield at most `most` bytes.
fn parse_stream<const D: usize>(path: &Path, stream: impl Read, most: u64) -> Result<Idx<D>> {
    let header_length = 4 + 4 * D;
    let mut stream = stream;
    let header = read_up_to(path, &mut stream, header_length as u64)?;
    if header.len() < header_length {
        let expected = format!("an IDX header of {header_length} bytes");
        return Err(format_error(path, expected, format!("{} bytes", header.len())));
    }
    let mut words = header
        .chunks_exact(4)
        .map(|bytes| u32::from_be_bytes(bytes.try_into().expect("chunks of 4 bytes")));
    let magic = words.next().expect("the header has at least one word");
    let expected_magic = 0x0800 + u32::try_from(D).expect("an IDX file has few dimensions");
    if magic != expected_magic {
        let expected = format!("the IDX magic number {expected_magic:#010x}");
        return Err(format_error(path, expected, format!("{magic:#010x}")));
    }
    let mut lengths = [0_u32; D];
    lengths.iter_mut().zip(words).for_each(|(length, word)| *length = word);

    let promised = lengths.iter().try_fold(1_u64, |size, &length| size.checked_mul(length.into()));
    let shape = lengths.map(|length| length.to_string()).join("x");
    let expected = |values: u64| format!("{values} values ({shape}) as its header says");
    let Some(promised) = promised else {
        let expected = "a size that fits in memory".to_owned();
        return Err(format_error(path, expected, format!("{shape} in its header")));
    };
    if promised > most.saturating_sub(header_length as u64) {
        // What is there is counted without keeping it.
        let found = io::copy(&mut stream.take(promised), &mut io::sink());
        let found = found.map_err(|error| stream_error(path, &error))?;
        if found < promised {
            return Err(format_error(path, expected(promised), found.to_string()));
        }
        let expected = format!("at most {most} bytes in a packed file of this length");
        return Err(format_error(path, expected, format!("{promised} values ({shape})")));
    }
    let values = read_up_to(path, &mut stream, promised + 1)?;
    if values.len() as u64 != promised {
        let more = values.len() as u64 > promised;
        let found = if more { "more".to_owned() } else { values.len().to_string() };
        return Err(format_error(path, expected(promised), found));
    }
    let lengths = lengths.map(|length| length as usize);
    Ok(Idx { lengths, values })
}

/// Reads until `limit` bytes are there or the stream ends.
fn read_up_to(path: &Path, stream: &mut impl Read, limit: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // At once, since a vector that grows holds its values up to three times over.
    let reserved = usize::try_from(limit).is_ok_and(|limit| bytes.try_reserve_exact(limit).is_ok());
    if !reserved {
        let expected = "a size that fits in memory".to_owned();
        return Err(format_error(path, expected, format!("{limit} bytes")));
    }
    stream.take(limit).read_to_end(&mut bytes).map_err(|error| stream_error(path, &error))?;
    Ok(bytes)
}

/// Bytes in memory cannot fail to be read, so that an error is always one of unpacking.
fn stream_error(path: &Path, error: &io::Error) -> Error {
    let found = match error.kind() {
        ErrorKind::UnexpectedEof => "one that ends early".to_owned(),
        _ => format!("a damaged one ({error})"),
    };
    format_error(path, "a whole gzip stream".to_owned(), found)
}

/// Puts a file of images and a file of labels together.
///
/// Each file comes as the name for errors and the bytes. Images are grey: one channel.
///
/// # Errors
///
/// [`Error::Format`] if either file is not what [`parse`] asks for, if there are no images or empty
/// ones, if the two counts differ, or if a label is not below the number of `classes`.
pub fn image_set(
    (image_path, image_file): (&Path, &[u8]),
    (label_path, label_file): (&Path, &[u8]),
    classes: &[&str],
) -> Result<ImageSet> {
    let Idx { lengths: [count, height, width], values: images } =
        parse::<3>(image_path, image_file)?;
    let Idx { values: labels, .. } = parse::<1>(label_path, label_file)?;
    if images.is_empty() {
        let expected = "at least one image of at least one pixel".to_owned();
        return Err(format_error(image_path, expected, format!("{count} of {height}x{width}")));
    }
    if labels.len() != count {
        let expected = format!("{count} labels, one for each image of {}", image_path.display());
        return Err(format_error(label_path, expected, labels.len().to_string()));
    }
    if let Some(index) = labels.iter().position(|&label| usize::from(label) >= classes.len()) {
        let expected = format!("labels below {}", classes.len());
        return Err(format_error(
            label_path,
            expected,
            format!("{} at sample {index}", labels[index]),
        ));
    }
    let labels = labels.into_iter().map(u16::from).collect();
    let shape = ImageShape { channels: 1, height, width };
    ImageSet::new(images, labels, shape, classes.iter().map(|&name| name.to_owned()).collect())
}

/// The files of a folder as [`read_folder`] looks for them, for messages.
pub(crate) const EXPECTED_FILES: &str = "train-images-idx3-ubyte, train-labels-idx1-ubyte, \
     t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte, each plain or .gz";

/// Reads the four files of MNIST or Fashion-MNIST from `folder`.
///
/// They are `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`, `t10k-images-idx3-ubyte` and
/// `t10k-labels-idx1-ubyte`. Each may be plain or end in `.gz`, and may be spelled with a dot
/// (`train-images.idx3-ubyte`); where several are there, the first in this order is taken. What is
/// not used is named in [`Splits::remarks`].
///
/// # Errors
///
/// [`Error::Missing`] if the folder or one of the files is not there, [`Error::File`] if one cannot
/// be read, and [`Error::Format`] as [`image_set`] says, or if training and test images differ in
/// size.
pub fn read_folder(folder: &Path, classes: &[&str]) -> Result<Splits> {
    files::require_folder(folder, EXPECTED_FILES)?;
    let read_part = |part: &str| {
        let images = find(folder, part, "images", 3)?;
        let labels = find(folder, part, "labels", 1)?;
        let (image_file, label_file) = (files::read(&images)?, files::read(&labels)?);
        image_set((&images, &image_file), (&labels, &label_file), classes)
            .map(|set| ([images, labels], set))
    };
    let (train_paths, train) = read_part("train")?;
    let (test_paths, test) = read_part("t10k")?;
    if test.shape() != train.shape() {
        let size = |set: &ImageSet| format!("{}x{}", set.shape().height, set.shape().width);
        let expected = format!("images of {}, as the training images are", size(&train));
        return Err(format_error(&test_paths[0], expected, size(&test)));
    }
    let used = [train_paths, test_paths].concat();
    let remarks = scan::unused_in(folder, &used)?;
    Ok(Splits { remarks, ..Splits::new(train, test) })
}

/// The folder with the files: `folder`, or the one in it that torchvision makes for the data set of
/// a name (`MNIST/raw`).
pub(crate) fn inner(folder: &Path, name: &str) -> PathBuf {
    let places = [folder.to_owned(), folder.join(name).join("raw"), folder.join("raw")];
    let found = places.iter().find(|place| find(place, "train", "images", 3).is_ok());
    found.unwrap_or(&places[0]).clone()
}

/// The path of one of the four files, under whichever of its names it has.
fn find(folder: &Path, part: &str, content: &str, dimensions: usize) -> Result<PathBuf> {
    let spellings = ["-", "."].map(|dot| format!("{part}-{content}{dot}idx{dimensions}-ubyte"));
    let names = spellings.iter().flat_map(|name| [name.clone(), format!("{name}.gz")]);
    let found = names.map(|name| folder.join(name)).find(|path| path.is_file());
    found.ok_or_else(|| Error::Missing {
        path: folder.join(&spellings[0]),
        kind: "file",
        expected: format!("the {content} of the {part} part, plain or .gz"),
    })
}
