//! What lies in a folder of keypoints and is not used.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::coco::Keypoints;
use super::layout::Part;
use crate::Result;
use crate::data::remarks::left_out;
use crate::data::scan::{Entries, Scan};

/// The files that are used, or are named and show nobody.
#[derive(Debug, Default)]
pub(super) struct Unused {
    used: BTreeSet<PathBuf>,
    without_people: BTreeSet<PathBuf>,
}

impl Unused {
    /// The keypoint file of a part, and the images that it names.
    pub(super) fn add(&mut self, keypoints: &Keypoints, part: &Part) {
        self.used.insert(part.file.clone());
        let images = &keypoints.images;
        self.used.extend(images.iter().map(|image| part.path_of(&image.file_name, images)));
        let others = keypoints.without_people.iter();
        self.without_people.extend(others.map(|name| part.path_of(name, images)));
    }

    /// Lines for the files of `folder` that are not used. Where nothing in a folder is named, it is
    /// one entry.
    pub(super) fn remarks(&self, folder: &Path) -> Result<Vec<String>> {
        let mut scan = Scan::new(folder, "not used");
        let mut rest = vec![folder.to_owned()];
        while let Some(folder) = rest.pop() {
            let Entries { folders, files } = scan.entries(&folder)?;
            let is_named =
                |path: &PathBuf| self.used.contains(path) || self.without_people.contains(path);
            files.iter().filter(|path| !is_named(path)).for_each(|path| scan.unused_file(path));
            for path in folders {
                // Paths beneath a folder come after it, before all others.
                let holds = |paths: &BTreeSet<PathBuf>| {
                    paths.range(path.clone()..).next().is_some_and(|next| next.starts_with(&path))
                };
                if holds(&self.used) || holds(&self.without_people) {
                    rest.push(path);
                } else {
                    scan.unused_folder(&path);
                }
            }
        }
        // Whether their files are there or not.
        let without_people: Vec<String> =
            self.without_people.difference(&self.used).map(|path| scan.name(path)).collect();
        let line = left_out(["image without a person", "images without a person"], &without_people);
        Ok(line.into_iter().chain(scan.remarks()).collect())
    }
}
