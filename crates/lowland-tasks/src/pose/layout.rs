//! Where keypoint files and their images lie.

use std::cell::OnceCell;
use std::fs;
use std::path::{Path, PathBuf};

use super::coco::Image;
use crate::{Error, Result};

/// A keypoint file, and where its images may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) file: PathBuf,
    folders: Vec<PathBuf>,
    /// The folder of the part where there is one, else that of the data set.
    own: PathBuf,
    /// Where an image should be that is in none of them: looked for once one is missing.
    likely: OnceCell<PathBuf>,
}

impl Part {
    /// The path of an image: the first that is there, or where it should be. `images` are those of
    /// the part.
    pub(super) fn path_of(&self, name: &str, images: &[Image]) -> PathBuf {
        let mut paths = self.folders.iter().map(|folder| folder.join(name));
        let likely = || self.likely.get_or_init(|| self.likely(images)).join(name);
        paths.find(|path| path.is_file()).unwrap_or_else(likely)
    }

    /// The folder that most of the images are in.
    fn likely(&self, images: &[Image]) -> PathBuf {
        let count = |folder: &Path| {
            images.iter().filter(|image| folder.join(&image.file_name).is_file()).count()
        };
        // Of equal ones the first.
        let counts = self.folders.iter().rev().map(|folder| (count(folder), folder));
        match counts.max_by_key(|(count, _)| *count) {
            Some((1.., folder)) => folder.clone(),
            _ => self.own.clone(),
        }
    }
}

/// The training, validation and test parts of a folder, as far as they are there.
///
/// # Errors
/// The folder of annotations cannot be read.
pub(super) fn parts(folder: &Path) -> Result<[Option<Part>; 3]> {
    let annotations = folder.join("annotations");
    let mut published = Vec::new();
    if annotations.is_dir() {
        let unreadable = |source| Error::File { path: annotations.clone(), source };
        for entry in fs::read_dir(&annotations).map_err(unreadable)? {
            published.push(entry.map_err(unreadable)?.path());
        }
        published.sort_unstable();
    }
    let names = [&["train"][..], &["val", "valid"], &["test"]];
    Ok(names.map(|names| {
        names.iter().find_map(|name| {
            let named = folder.join(format!("{name}.json"));
            let exported = folder.join(name).join("_annotations.coco.json");
            let by_name = [named, exported].into_iter().find(|path| path.is_file());
            let file = by_name.or_else(|| of_annotations(&published, name))?;
            Some(part(folder, file, name))
        })
    }))
}

/// `person_keypoints_train2017.json` for `train`, or another file of keypoints, or the only file of
/// the part.
fn of_annotations(published: &[PathBuf], name: &str) -> Option<PathBuf> {
    let stem = |path: &PathBuf| {
        let is_json = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("json"));
        let stem = path.file_stem().and_then(|stem| stem.to_str()).filter(|_| is_json);
        stem.unwrap_or_default().to_lowercase()
    };
    let of_part = |path: &&PathBuf| {
        stem(path).split(['_', '-', '.']).any(|word| {
            word.strip_prefix(name).is_some_and(|rest| rest.chars().all(|c| c.is_ascii_digit()))
        })
    };
    let files: Vec<&PathBuf> = published.iter().filter(of_part).collect();
    let of_keypoints = files.iter().find(|path| stem(path).contains("keypoints"));
    match (of_keypoints, &*files) {
        (Some(path), _) | (None, [path]) => Some((*path).clone()),
        _ => None,
    }
}

/// A keypoint file with the folders that its images may lie in.
fn part(folder: &Path, file: PathBuf, name: &str) -> Part {
    let stem = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    // `train2017`, the last word of `person_keypoints_train2017`.
    let year = stem.rsplit(['_', '-']).next().unwrap_or_default().to_owned();
    let mut folders = vec![folder.to_owned(), folder.join("images")];
    let bases = folders.clone();
    let of_part: Vec<PathBuf> =
        bases.iter().flat_map(|base| [base.join(&year), base.join(name)]).collect();
    let own = of_part.iter().find(|path| path.is_dir()).cloned();
    folders.extend(of_part);
    folders.extend(file.parent().map(Path::to_owned));
    let own = own.unwrap_or_else(|| folder.to_owned());
    Part { file, folders, own, likely: OnceCell::new() }
}
