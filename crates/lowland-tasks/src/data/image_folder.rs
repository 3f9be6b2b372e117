//! Images in folders named after their classes.
//!
//! ```text
//! FOLDER/train/CLASS/a.jpg          FOLDER/train/n01443537/images/n01443537_0.JPEG
//! FOLDER/val/CLASS/b.webp           FOLDER/val/images/val_0.JPEG
//! FOLDER/test/CLASS/day/c.png       FOLDER/val/val_annotations.txt
//! ```
//!
//! The layout on the right is that of Tiny-ImageNet; its `test` folder has no labels and is passed
//! over. Classes are the folders of `train` by name, and images come in the order of their paths,
//! so that the same folder always gives the same set. Images may lie in folders of any depth within
//! that of their class, in any of the formats of [`image_file`](super::image_file).
//!
//! `val`, `valid`, `validation` or `dev` is the validation part, and the test part where there is
//! no `test`. What archivers and viewers leave behind (`__MACOSX`, `Thumbs.db`, names that begin
//! with a dot) is no class and no sample. All that is not used is named in [`Splits::remarks`].

mod picture;
mod read;

use std::collections::BTreeMap;
use std::mem;
use std::path::{Path, PathBuf};

use super::files::{self, format_error};
use super::remarks::some_of;
use super::scan::{Entries, Scan};
use super::{SampleFiles, Splits};
use crate::{Error, Result};
use picture::Labelled;
use read::Reader;

pub use picture::{FolderConfig, LARGEST_SIZE, parse};

/// The files of a folder as [`read_folder`] looks for them, for messages.
pub(crate) const EXPECTED_FILES: &str =
    "train/CLASS and test/CLASS (or val, valid, dev) with images, or the layout of Tiny-ImageNet";

/// What Tiny-ImageNet has in place of folders for validation: lines of a file name and a class,
/// separated by tabs.
const ANNOTATIONS: &str = "val_annotations.txt";

/// The names of a folder for each part, in any case; the first that is there is taken.
const TRAIN: &[&str] = &["train", "training"];
const TEST: &[&str] = &["test", "testing"];
const VALIDATION: &[&str] = &["val", "valid", "validation", "dev"];

/// The folders of the parts of a data set.
struct Parts {
    train: PathBuf,
    test: Option<PathBuf>,
    validation: Option<PathBuf>,
}

/// Reads training, validation and test images from `folder`.
///
/// With an `image_size`, the largest square in the middle of each image is brought to this side,
/// smoothed so that shrinking loses no detail to chance (a triangle filter). Without one, all
/// images must have the size of the first. Images are decoded by as many threads as there are
/// cores; the result does not depend on their number.
///
/// # Errors
///
/// [`Error::Setting`] for a setting out of range; [`Error::Missing`] if one of the folders is not
/// there; [`Error::File`] if a folder cannot be read; [`Error::DamagedData`] if images are damaged,
/// unless these are to be skipped; [`Error::Format`], which names the file or folder, if an image
/// has another size than the first, if a class has no images, or if a validation or test image is
/// of a class that is not among the training images.
pub fn read_folder(folder: &Path, config: &FolderConfig) -> Result<Splits> {
    config.check()?;
    files::require_folder(folder, EXPECTED_FILES)?;
    let mut scan = Scan::new(folder, "not read as images");
    let parts = parts(folder, &mut scan)?;
    let (classes, train) = training_images(&parts.train, &mut scan)?;
    let labels: BTreeMap<&str, u16> = classes.iter().map(String::as_str).zip(0..).collect();
    let annotations = parts.validation.as_ref().map(|folder| folder.join(ANNOTATIONS));
    let mut remarks = Vec::new();
    let (validation, test) = match (annotations.filter(|path| path.is_file()), &parts) {
        (Some(annotations), parts) => {
            if let Some(test) = &parts.test {
                scan.unused_folder(test);
            }
            (None, annotated_images(&annotations, &labels)?)
        }
        (None, Parts { test: Some(test), validation, .. }) => {
            let validation = validation.as_ref();
            let validation = validation.map(|part| labelled_images(part, &labels, &mut scan));
            (validation.transpose()?, labelled_images(test, &labels, &mut scan)?)
        }
        (None, Parts { validation: Some(part), .. }) => {
            let name = part.file_name().unwrap_or_default().display();
            remarks.push(format!("there is no test folder: {name} is the test part"));
            (None, labelled_images(part, &labels, &mut scan)?)
        }
        (None, _) => {
            let expected =
                "a folder with a folder for each class, or the same as val, valid or dev";
            let (path, expected) = (folder.join("test"), expected.to_owned());
            return Err(Error::Missing { path, kind: "folder", expected });
        }
    };
    let mut reader = Reader::new(folder, config);
    let shape = reader.shape(&train)?;
    let mut train = reader.pixels(&train, shape)?;
    let mut validation = validation.map(|images| reader.pixels(&images, shape)).transpose()?;
    let mut test = reader.pixels(&test, shape)?;
    let files = SampleFiles {
        train: mem::take(&mut train.files),
        validation: validation.as_mut().map(|part| mem::take(&mut part.files)).unwrap_or_default(),
        test: mem::take(&mut test.files),
    };
    remarks.extend(scan.remarks());
    remarks.extend(reader.finish()?);
    let train = train.set(shape, &classes, &parts.train)?;
    if let Some(empty) = train.class_counts().iter().position(|&images| images == 0) {
        let class = parts.train.join(&classes[empty]);
        let expected = "at least one image that is not damaged".to_owned();
        let found = "none; replace the damaged images, or take the folders of this class away";
        return Err(format_error(&class, expected, found.to_owned()));
    }
    Ok(Splits {
        train,
        validation: match (validation, &parts.validation) {
            (Some(read), Some(part)) => Some(read.set(shape, &classes, part)?),
            _ => None,
        },
        test: test.set(shape, &classes, folder)?,
        remarks,
        files,
    })
}

/// The folders of the parts; what lies beside them is not used.
fn parts(folder: &Path, scan: &mut Scan<'_>) -> Result<Parts> {
    let Entries { mut folders, files } = scan.entries(folder)?;
    let mut take = |names: &[&str]| {
        let place = names.iter().find_map(|name| {
            let is_it = |path: &PathBuf| {
                path.file_name().is_some_and(|found| found.eq_ignore_ascii_case(name))
            };
            folders.iter().position(is_it)
        });
        place.map(|place| folders.remove(place))
    };
    let (train, test, validation) = (take(TRAIN), take(TEST), take(VALIDATION));
    files.iter().for_each(|file| scan.unused_file(file));
    folders.iter().for_each(|folder| scan.unused_folder(folder));
    let train = train.ok_or_else(|| Error::Missing {
        path: folder.join("train"),
        kind: "folder",
        expected: "a folder with a folder for each class".to_owned(),
    })?;
    Ok(Parts { train, test, validation })
}

/// The names of the classes, and all training images.
fn training_images(train: &Path, scan: &mut Scan<'_>) -> Result<(Vec<String>, Vec<Labelled>)> {
    let Entries { folders, files } = scan.entries(train)?;
    files.iter().for_each(|file| scan.unused_file(file));
    if folders.is_empty() || folders.len() > usize::from(u16::MAX) + 1 {
        let expected = "between 1 and 65536 folders, one for each class".to_owned();
        return Err(format_error(train, expected, folders.len().to_string()));
    }
    let (mut classes, mut images) = (Vec::new(), Vec::new());
    for (path, label) in folders.iter().zip(0..) {
        classes.push(name_of(path)?);
        let found = scan.images(path)?;
        if found.is_empty() {
            let found = "none; add some, or take the folder away if it is no class".to_owned();
            return Err(format_error(path, "at least one image".to_owned(), found));
        }
        images.extend(found.into_iter().map(|path| (path, label)));
    }
    Ok((classes, images))
}

/// All images of a validation or test part.
fn labelled_images(
    part: &Path,
    labels: &BTreeMap<&str, u16>,
    scan: &mut Scan<'_>,
) -> Result<Vec<Labelled>> {
    let Entries { folders, files } = scan.entries(part)?;
    files.iter().for_each(|file| scan.unused_file(file));
    let mut images = Vec::new();
    for path in folders {
        let name = name_of(&path)?;
        let Some(&label) = labels.get(name.as_str()) else {
            let known: Vec<String> = labels.keys().map(|&class| class.to_owned()).collect();
            let expected =
                format!("the name of a class in the training part ({})", some_of(&known, ", "));
            let found =
                format!("{name:?}; give it images in the training part, or take this folder away");
            return Err(format_error(&path, expected, found));
        };
        images.extend(scan.images(&path)?.into_iter().map(|path| (path, label)));
    }
    if images.is_empty() {
        let expected = "at least one image in the folder of a class".to_owned();
        return Err(format_error(part, expected, "none".to_owned()));
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

fn name_of(path: &Path) -> Result<String> {
    let name = path.file_name().unwrap_or_default();
    if let Some(name) = name.to_str() {
        return Ok(name.to_owned());
    }
    let expected = "folders with names in Unicode (UTF-8)".to_owned();
    let found = format!("\"{}\"; rename it", name.as_encoded_bytes().escape_ascii());
    Err(format_error(path.parent().unwrap_or(path), expected, found))
}
