//! What lies in a folder, and what of it is used.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::files::format_error;
use super::image_file::is_image;
use super::remarks::left_out;
use crate::{Error, Result};

/// Folders within folders that are looked into.
const DEEPEST: usize = 32;

/// Goes through folders, and keeps what nothing is made of.
#[derive(Debug)]
pub(crate) struct Scan<'a> {
    /// What names are given beneath.
    root: &'a Path,
    /// What is said of the files that are not used.
    unused: &'static str,
    /// Files that are not used.
    others: Vec<String>,
    /// Folders that have no part in the layout.
    folders: Vec<String>,
    /// Folders without anything in them, where images may be.
    empty: Vec<String>,
    /// What archivers, viewers and editors leave behind.
    leftovers: Vec<String>,
    /// Links to what is not there.
    broken: Vec<String>,
    /// Links to a folder that they are in.
    loops: Vec<String>,
    /// The folders that are being gone through, as the system names them without links.
    open: Vec<PathBuf>,
}

/// What lies in a folder, without leftovers and links that lead nowhere, by name.
#[derive(Debug, Default)]
pub(crate) struct Entries {
    pub(crate) folders: Vec<PathBuf>,
    pub(crate) files: Vec<PathBuf>,
}

impl<'a> Scan<'a> {
    /// Nothing is looked at yet. `unused` is what a remark says of files that are not used, such as
    /// "not read as images".
    pub(crate) fn new(root: &'a Path, unused: &'static str) -> Self {
        Self {
            root,
            unused,
            others: Vec::new(),
            folders: Vec::new(),
            empty: Vec::new(),
            leftovers: Vec::new(),
            broken: Vec::new(),
            loops: Vec::new(),
            open: Vec::new(),
        }
    }

    /// What lies in a folder.
    pub(crate) fn entries(&mut self, folder: &Path) -> Result<Entries> {
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
                if self.leads_back(folder, &path) {
                    self.loops.push(self.name(&path));
                } else {
                    entries.folders.push(path);
                }
            } else if path.is_symlink() && !path.exists() {
                self.broken.push(self.name(&path));
            } else {
                entries.files.push(path);
            }
        }
        Ok(entries)
    }

    /// Whether `path` is a link in `folder` to a folder that it is in, also by way of other links.
    fn leads_back(&self, folder: &Path, path: &Path) -> bool {
        let real = |path: &Path| fs::canonicalize(path).ok();
        let Some(target) = path.is_symlink().then(|| real(path)).flatten() else { return false };
        real(folder).iter().chain(&self.open).any(|open| open.starts_with(&target))
    }

    /// All images of a folder and of those within it, by path.
    pub(crate) fn images(&mut self, folder: &Path) -> Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        self.collect(folder, 0, &mut found)?;
        found.sort_unstable();
        Ok(found)
    }

    fn collect(&mut self, folder: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<()> {
        if depth > DEEPEST {
            let expected = format!("at most {DEEPEST} folders within one another");
            return Err(format_error(folder, expected, "more".to_owned()));
        }
        let Entries { folders, files } = self.entries(folder)?;
        if depth > 0 && folders.is_empty() && files.is_empty() {
            self.empty.push(self.name(folder));
        }
        for file in files {
            if file.is_file() && is_image(&file) {
                found.push(file);
            } else {
                self.unused_file(&file);
            }
        }
        let above = self.open.len();
        self.open.extend(fs::canonicalize(folder));
        folders.iter().try_for_each(|folder| self.collect(folder, depth + 1, found))?;
        self.open.truncate(above);
        Ok(())
    }

    /// A file that nothing is made of.
    pub(crate) fn unused_file(&mut self, path: &Path) {
        self.others.push(self.name(path));
    }

    /// A folder that nothing is made of.
    pub(crate) fn unused_folder(&mut self, path: &Path) {
        self.folders.push(self.name(path));
    }

    /// What was left out, a line for each kind.
    pub(crate) fn remarks(&self) -> Vec<String> {
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
                ["file", "files"].map(|noun| format!("{noun} {kind} {}", self.unused));
            lines.extend(left_out([&one, &many], &names));
        }
        let nouns = ["folder", "folders"];
        for ([one, many], what, names) in [
            (nouns, "with no part in the layout", &self.folders),
            (["empty folder", "empty folders"], "beside images", &self.empty),
            (["link", "links"], "to a file or folder that does not exist", &self.broken),
            (["link", "links"], "back to a folder above, not followed", &self.loops),
            (["entry", "entries"], "of archivers, viewers and editors", &self.leftovers),
        ] {
            let [one, many] = [one, many].map(|noun| format!("{noun} {what}"));
            lines.extend(left_out([&one, &many], names));
        }
        lines
    }

    /// A path as remarks name it.
    pub(crate) fn name(&self, path: &Path) -> String {
        path.strip_prefix(self.root).unwrap_or(path).display().to_string()
    }
}

/// Lines for what lies in `folder` beside the files at `used`, not further down.
pub(crate) fn unused_in(folder: &Path, used: &[PathBuf]) -> Result<Vec<String>> {
    let mut scan = Scan::new(folder, "not used");
    let Entries { folders, files } = scan.entries(folder)?;
    files.iter().filter(|path| !used.contains(path)).for_each(|path| scan.unused_file(path));
    folders.iter().for_each(|path| scan.unused_folder(path));
    Ok(scan.remarks())
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
