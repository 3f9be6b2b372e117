//! What lies in a folder, and what of it is used.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::super::files::format_error;
use super::super::image_file::is_image;
use super::super::remarks::left_out;
use crate::{Error, Result};

/// Folders within folders that are looked into: more is a link that leads back.
const DEEPEST: usize = 32;

/// Goes through folders, and keeps what nothing is made of.
#[derive(Debug)]
pub(super) struct Scan<'a> {
    /// What names are given beneath.
    root: &'a Path,
    /// Files that are no images.
    others: Vec<String>,
    /// Folders that have no part in the layout.
    folders: Vec<String>,
    /// What archivers, viewers and editors leave behind.
    leftovers: Vec<String>,
}

/// What lies in a folder, without leftovers, by name.
#[derive(Debug, Default)]
pub(super) struct Entries {
    pub(super) folders: Vec<PathBuf>,
    pub(super) files: Vec<PathBuf>,
}

impl<'a> Scan<'a> {
    pub(super) fn new(root: &'a Path) -> Self {
        Self { root, others: Vec::new(), folders: Vec::new(), leftovers: Vec::new() }
    }

    /// What lies in a folder.
    pub(super) fn entries(&mut self, folder: &Path) -> Result<Entries> {
        let unreadable = |source| Error::File { path: folder.to_owned(), source };
        let mut paths = Vec::new();
        for entry in fs::read_dir(folder).map_err(unreadable)? {
            paths.push(entry.map_err(unreadable)?.path());
        }
        paths.sort_unstable();
        let mut entries = Entries::default();
        for path in paths {
            if is_leftover(&path) {
                self.leftovers.push(self.name(&path));
            } else if path.is_dir() {
                entries.folders.push(path);
            } else {
                entries.files.push(path);
            }
        }
        Ok(entries)
    }

    /// All images of a folder and of those within it, by path.
    pub(super) fn images(&mut self, folder: &Path) -> Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        self.collect(folder, 0, &mut found)?;
        found.sort_unstable();
        Ok(found)
    }

    fn collect(&mut self, folder: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<()> {
        if depth > DEEPEST {
            let expected = format!("at most {DEEPEST} folders within one another");
            return Err(format_error(folder, expected, "more, or a link back".to_owned()));
        }
        let Entries { folders, files } = self.entries(folder)?;
        for file in files {
            if file.is_file() && is_image(&file) {
                found.push(file);
            } else {
                self.unused_file(&file);
            }
        }
        folders.iter().try_for_each(|folder| self.collect(folder, depth + 1, found))
    }

    /// A file that nothing is made of.
    pub(super) fn unused_file(&mut self, path: &Path) {
        self.others.push(self.name(path));
    }

    /// A folder that nothing is made of.
    pub(super) fn unused_folder(&mut self, path: &Path) {
        self.folders.push(self.name(path));
    }

    /// What was left out, a line for each kind.
    pub(super) fn remarks(&self) -> Vec<String> {
        let mut lines = Vec::new();
        // Files of one kind in one line: ".txt" beside ".tga".
        let mut kinds: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for name in &self.others {
            let ending = Path::new(name).extension().unwrap_or_default().to_string_lossy();
            kinds.entry(ending.to_lowercase()).or_default().push(name.clone());
        }
        for (kind, names) in kinds {
            let kind =
                if kind.is_empty() { "without an ending".to_owned() } else { format!("(.{kind})") };
            let [one, many] =
                ["file", "files"].map(|noun| format!("{noun} {kind} not read as images"));
            lines.extend(left_out([&one, &many], &names));
        }
        lines.extend(left_out(
            ["folder with no part in the layout", "folders with no part in the layout"],
            &self.folders,
        ));
        let what = "of archivers, viewers and editors";
        let [one, many] = ["entry", "entries"].map(|noun| format!("{noun} {what}"));
        lines.extend(left_out([&one, &many], &self.leftovers));
        lines
    }

    fn name(&self, path: &Path) -> String {
        path.strip_prefix(self.root).unwrap_or(path).display().to_string()
    }
}

/// Whether a name is one of those that archivers, viewers and editors leave behind, and whoever
/// made the data set did not write.
fn is_leftover(path: &Path) -> bool {
    const KNOWN: [&str; 6] =
        ["__MACOSX", "Thumbs.db", "ehthumbs.db", "desktop.ini", "$RECYCLE.BIN", "@eaDir"];
    let name = path.file_name().unwrap_or_default();
    name.as_encoded_bytes().starts_with(b".")
        || KNOWN.iter().any(|known| name.eq_ignore_ascii_case(known))
}
