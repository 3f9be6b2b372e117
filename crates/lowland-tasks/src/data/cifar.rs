//! The binary layout of CIFAR-10 and CIFAR-100.
//!
//! A file is records without a header: the label bytes, then 3,072 pixels, 32 rows of 32 in red,
//! then green, then blue. CIFAR-10 has one label byte a record; CIFAR-100 has two, the coarse class
//! (0 to 19) and the fine one (0 to 99), of which the fine one is used.

use std::path::{Path, PathBuf};

use super::files::{self, format_error};
use super::{ImageSet, ImageShape, Splits};
use crate::{Error, Result};

mod names;

pub use names::{CIFAR10_CLASSES, CIFAR100_CLASSES};

/// The size of every CIFAR image.
pub const SHAPE: ImageShape = ImageShape { channels: 3, height: 32, width: 32 };

const PIXELS: usize = 3 * 32 * 32;
const COARSE_CLASSES: u8 = 20;

/// Which of the two data sets, and with it the layout of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cifar {
    /// Ten classes, one label byte a record.
    Ten,
    /// A hundred classes, a coarse and a fine label byte a record.
    Hundred,
}

impl Cifar {
    fn label_bytes(self) -> usize {
        match self {
            Self::Ten => 1,
            Self::Hundred => 2,
        }
    }

    fn class_names(self) -> &'static [&'static str] {
        match self {
            Self::Ten => &CIFAR10_CLASSES,
            Self::Hundred => &CIFAR100_CLASSES,
        }
    }

    fn archive_folder(self) -> &'static str {
        match self {
            Self::Ten => "cifar-10-batches-bin",
            Self::Hundred => "cifar-100-binary",
        }
    }

    fn train_files(self) -> &'static [&'static str] {
        match self {
            Self::Ten => &[
                "data_batch_1.bin",
                "data_batch_2.bin",
                "data_batch_3.bin",
                "data_batch_4.bin",
                "data_batch_5.bin",
            ],
            Self::Hundred => &["train.bin"],
        }
    }

    fn test_file(self) -> &'static str {
        match self {
            Self::Ten => "test_batch.bin",
            Self::Hundred => "test.bin",
        }
    }

    /// The name that `lowland data fetch` knows it by.
    fn fetched_name(self) -> &'static str {
        match self {
            Self::Ten => "cifar10",
            Self::Hundred => "cifar100",
        }
    }

    /// The files of a folder as [`read_folder`] looks for them, for messages.
    pub(crate) fn expected_files(self) -> &'static str {
        match self {
            Self::Ten => "data_batch_1.bin to data_batch_5.bin and test_batch.bin",
            Self::Hundred => "train.bin and test.bin",
        }
    }
}

/// Appends the records of one file to `images` and `labels`. `path` is only what an error calls the
/// file.
///
/// # Errors
///
/// [`Error::Format`] if the file is empty or no whole number of records, or if a label is out of
/// range. `images` and `labels` are then unchanged.
pub fn parse(
    kind: Cifar,
    path: &Path,
    file: &[u8],
    images: &mut Vec<u8>,
    labels: &mut Vec<u16>,
) -> Result<()> {
    let record = kind.label_bytes() + PIXELS;
    if file.is_empty() || !file.len().is_multiple_of(record) {
        let expected = format!("one or more whole records of {record} bytes");
        return Err(format_error(path, expected, format!("{} bytes", file.len())));
    }
    for (index, bytes) in file.chunks_exact(record).enumerate() {
        let (coarse, fine) = match kind {
            Cifar::Ten => (0, bytes[0]),
            Cifar::Hundred => (bytes[0], bytes[1]),
        };
        let classes = kind.class_names().len();
        if coarse >= COARSE_CLASSES {
            let expected = format!("coarse labels below {COARSE_CLASSES}");
            return Err(format_error(path, expected, format!("{coarse} in record {index}")));
        }
        if usize::from(fine) >= classes {
            let expected = format!("labels below {classes}");
            return Err(format_error(path, expected, format!("{fine} in record {index}")));
        }
    }
    for bytes in file.chunks_exact(record) {
        let (label, pixels) = bytes.split_at(kind.label_bytes());
        labels.push(u16::from(label[kind.label_bytes() - 1]));
        images.extend_from_slice(pixels);
    }
    Ok(())
}

/// Reads CIFAR-10 or CIFAR-100 from `folder`.
///
/// CIFAR-10 is `data_batch_1.bin` to `data_batch_5.bin` and `test_batch.bin`, CIFAR-100 is
/// `train.bin` and `test.bin`. They may also lie in the folder that the official archive unpacks to
/// (`cifar-10-batches-bin`, `cifar-100-binary`) inside `folder`.
///
/// # Errors
///
/// [`Error::Missing`] if the folder or one of the files is not there, [`Error::File`] if one cannot
/// be read, and [`Error::Format`] as [`parse`] says.
pub fn read_folder(folder: &Path, kind: Cifar) -> Result<Splits> {
    files::require_folder(folder, kind.expected_files())?;
    let archive = folder.join(kind.archive_folder());
    let folder = if archive.is_dir() { archive } else { folder.to_owned() };
    // All files are looked for before the first is read, so that a missing one is reported at once.
    let test = find(&folder, kind, kind.test_file())?;
    let train = kind.train_files().iter().map(|&name| find(&folder, kind, name));
    let train = train.collect::<Result<Vec<_>>>()?;
    Ok(Splits::new(read_files(kind, &train)?, read_files(kind, &[test])?))
}

fn find(folder: &Path, kind: Cifar, name: &str) -> Result<PathBuf> {
    let path = folder.join(name);
    if path.is_file() {
        return Ok(path);
    }
    let expected = format!("one of {}", kind.expected_files());
    if let Some(python) = python_version(folder, kind) {
        let expected = format!(
            "the binary version ({}; lowland data fetch {} brings it)",
            kind.expected_files(),
            kind.fetched_name()
        );
        let found = "the Python version, whose files are pickles".to_owned();
        return Err(format_error(&python, expected, found));
    }
    Err(Error::Missing { path, kind: "file", expected })
}

/// The folder or file of the Python version, where that is what is there.
fn python_version(folder: &Path, kind: Cifar) -> Option<PathBuf> {
    let names: &[&str] = match kind {
        Cifar::Ten => &["cifar-10-batches-py", "data_batch_1", "cifar-10-python.tar.gz"],
        Cifar::Hundred => &["cifar-100-python", "train", "cifar-100-python.tar.gz"],
    };
    names.iter().map(|name| folder.join(name)).find(|path| path.exists())
}

fn read_files(kind: Cifar, paths: &[PathBuf]) -> Result<ImageSet> {
    let (mut images, mut labels) = (Vec::new(), Vec::new());
    for path in paths {
        parse(kind, path, &files::read(path)?, &mut images, &mut labels)?;
    }
    let classes = kind.class_names().iter().map(|&name| name.to_owned()).collect();
    ImageSet::new(images, labels, SHAPE, classes)
}
