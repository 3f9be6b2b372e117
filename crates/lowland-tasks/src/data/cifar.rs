//! The binary layout of CIFAR-10 and CIFAR-100.
//!
//! A file is records without a header: the label bytes, then 3,072 pixels, 32 rows of 32 in red,
//! then green, then blue. CIFAR-10 has one label byte a record; CIFAR-100 has two, the coarse class
//! (0 to 19) and the fine one (0 to 99), of which the fine one is used.

use std::path::{Path, PathBuf};

use super::files::{self, format_error};
use super::{ImageSet, ImageShape, Splits, scan};
use crate::{Error, Result};

mod names;
mod pickle;

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

    /// The folder that the archive of the Python version unpacks to.
    fn python_folder(self) -> &'static str {
        match self {
            Self::Ten => "cifar-10-batches-py",
            Self::Hundred => "cifar-100-python",
        }
    }

    /// What the Python version calls the labels.
    fn python_labels(self) -> &'static str {
        match self {
            Self::Ten => "labels",
            Self::Hundred => "fine_labels",
        }
    }

    /// What else the archives hold, which is not needed: the names of the classes, and a page about
    /// the data.
    fn companions(self) -> &'static [&'static str] {
        match self {
            Self::Ten => &["batches.meta", "batches.meta.txt", "readme.html"],
            Self::Hundred => {
                &["coarse_label_names.txt", "fine_label_names.txt", "file.txt~", "meta"]
            }
        }
    }

    /// The files of the Python version, for messages.
    fn expected_python_files(self) -> &'static str {
        match self {
            Self::Ten => "data_batch_1 to data_batch_5 and test_batch",
            Self::Hundred => "train and test",
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

/// Appends the images of one file of the Python version, a pickle, to `images` and `labels`. `path`
/// is only what an error calls the file. No code of the pickle is run.
///
/// # Errors
///
/// [`Error::Format`] if the file is no pickle of a batch, is empty, or a label is out of range.
/// `images` and `labels` are then unchanged.
pub fn parse_python(
    kind: Cifar,
    path: &Path,
    file: &[u8],
    images: &mut Vec<u8>,
    labels: &mut Vec<u16>,
) -> Result<()> {
    let wrong = |found| {
        Err(format_error(path, "a pickled batch of the Python version of CIFAR".to_owned(), found))
    };
    let batch = match pickle::read(file, PIXELS, kind.python_labels()) {
        Ok(batch) => batch,
        Err(found) => return wrong(found),
    };
    if batch.labels.is_empty() {
        return wrong("one without images".to_owned());
    }
    let classes = kind.class_names().len();
    let label =
        |&label: &i64| u16::try_from(label).ok().filter(|&label| usize::from(label) < classes);
    let found: Vec<Option<u16>> = batch.labels.iter().map(label).collect();
    if let Some(index) = found.iter().position(Option::is_none) {
        let expected = format!("labels below {classes}");
        let found = format!("{} in record {index}", batch.labels[index]);
        return Err(format_error(path, expected, found));
    }
    labels.extend(found.into_iter().flatten());
    images.extend(batch.pixels);
    Ok(())
}

/// Reads CIFAR-10 or CIFAR-100 from `folder`.
///
/// CIFAR-10 is `data_batch_1.bin` to `data_batch_5.bin` and `test_batch.bin`, CIFAR-100 is
/// `train.bin` and `test.bin`. They may also lie in the folder that the official archive unpacks to
/// (`cifar-10-batches-bin`, `cifar-100-binary`) inside `folder`. Where these are not there, the
/// files of the Python version are read, which have the same names without `.bin`. What is not used
/// is named in [`Splits::remarks`], save for what else the archives hold.
///
/// # Errors
///
/// [`Error::Missing`] if the folder or one of the files is not there, [`Error::File`] if one cannot
/// be read, and [`Error::Format`] as [`parse`] says.
pub fn read_folder(folder: &Path, kind: Cifar) -> Result<Splits> {
    files::require_folder(folder, kind.expected_files())?;
    let binary = folder.join(kind.archive_folder());
    let python = folder.join(kind.python_folder());
    let both = binary.is_dir() && python.is_dir();
    let (folder, is_python) = match (binary.is_dir(), python.is_dir()) {
        (true, _) => (binary, false),
        (false, true) => (python, true),
        (false, false) => {
            // The version of which more files are there, so that a missing one is named as it
            // should be.
            let count = |ending: Ending| {
                let names =
                    [kind.test_file()].into_iter().chain(kind.train_files().iter().copied());
                names.filter(|name| folder.join(ending(name)).is_file()).count()
            };
            (folder.to_owned(), count(without_ending) > count(with_ending))
        }
    };
    let (parse, ending): (Parse, Ending) =
        if is_python { (parse_python, without_ending) } else { (parse, with_ending) };
    let expected = if is_python { kind.expected_python_files() } else { kind.expected_files() };
    // All files are looked for before the first is read, so that a missing one is reported at once.
    let find = |name| {
        let path = folder.join(ending(name));
        if path.is_file() {
            return Ok(path);
        }
        Err(Error::Missing { path, kind: "file", expected: format!("one of {expected}") })
    };
    let test = [find(kind.test_file())?];
    let train = kind.train_files().iter().map(|&name| find(name)).collect::<Result<Vec<_>>>()?;
    let companions = kind.companions().iter().map(|name| folder.join(name));
    let used: Vec<PathBuf> = train.iter().chain(&test).cloned().chain(companions).collect();
    let mut remarks = scan::unused_in(&folder, &used)?;
    if is_python {
        remarks.push("the files are those of the Python version".to_owned());
    }
    if both {
        let unused = kind.python_folder();
        remarks.push(format!("left out {unused}: the binary version is there too"));
    }
    let splits = Splits::new(read_files(kind, parse, &train)?, read_files(kind, parse, &test)?);
    Ok(Splits { remarks, ..splits })
}

/// How a file is read.
type Parse = fn(Cifar, &Path, &[u8], &mut Vec<u8>, &mut Vec<u16>) -> Result<()>;

/// The name that a file of the binary version has in one of the two.
type Ending = fn(&'static str) -> &'static str;

fn with_ending(name: &'static str) -> &'static str {
    name
}

fn without_ending(name: &'static str) -> &'static str {
    name.strip_suffix(".bin").unwrap_or(name)
}

fn read_files(kind: Cifar, parse: Parse, paths: &[PathBuf]) -> Result<ImageSet> {
    let (mut images, mut labels) = (Vec::new(), Vec::new());
    for path in paths {
        parse(kind, path, &files::read(path)?, &mut images, &mut labels)?;
    }
    let classes = kind.class_names().iter().map(|&name| name.to_owned()).collect();
    ImageSet::new(images, labels, SHAPE, classes)
}
