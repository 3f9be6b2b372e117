//! A file that is not whole yet.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::{Error, Result};

/// The bytes of a file as far as they are there, under another name than its own.
#[derive(Debug)]
pub(crate) struct Part {
    path: PathBuf,
    file: File,
    sum: Sha256,
    length: u64,
}

impl Part {
    /// What an earlier download of `target` left, or an empty file. More than `most` bytes are of
    /// another file: then it starts anew.
    pub(crate) fn open(target: &Path, most: u64) -> Result<Self> {
        let path = part_path(target);
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let file = file.map_err(|source| Error::Write { path: path.clone(), source })?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => return Err(Error::InUse { path }),
            // A file system without locks.
            Ok(()) | Err(TryLockError::Error(_)) => {}
        }
        let mut part = Self { path, file, sum: Sha256::new(), length: 0 };
        part.length =
            add(&mut part.sum, &mut part.file).map_err(|source| part.unreadable(source))?;
        if part.length > most {
            part.clear()?;
        }
        Ok(part)
    }

    /// An empty file in place of whatever an earlier attempt left.
    pub(crate) fn create(target: &Path) -> Result<Self> {
        let mut part = Self::open(target, 0)?;
        part.clear()?;
        Ok(part)
    }

    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(|source| self.unwritable(source))?;
        self.sum.update(bytes);
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// The file, to be read from its start: by this handle, since some systems let no other one
    /// read what is locked.
    pub(crate) fn rewound(&mut self) -> Result<&File> {
        self.file.rewind().map_err(|source| self.unreadable(source))?;
        Ok(&self.file)
    }

    /// Back to an empty file.
    pub(crate) fn clear(&mut self) -> Result<()> {
        let emptied = self.file.set_len(0).and_then(|()| self.file.seek(SeekFrom::Start(0)));
        emptied.map_err(|source| self.unwritable(source))?;
        (self.sum, self.length) = (Sha256::new(), 0);
        Ok(())
    }

    /// SHA-256 of all bytes, in hexadecimal.
    pub(crate) fn sha256(&self) -> String {
        hex::encode(self.sum.clone().finalize())
    }

    /// Gives the file its own name, once all of it is on disk.
    pub(crate) fn finish(self, target: &Path) -> Result<()> {
        self.file.sync_all().map_err(|source| self.unwritable(source))?;
        fs::rename(&self.path, target)
            .map_err(|source| Error::Write { path: target.to_owned(), source })?;
        sync_folder_of(target);
        Ok(())
    }

    pub(crate) fn remove(self) -> Result<()> {
        fs::remove_file(&self.path).map_err(|source| self.unwritable(source))
    }

    fn unreadable(&self, source: io::Error) -> Error {
        Error::Read { path: self.path.clone(), source }
    }

    fn unwritable(&self, source: io::Error) -> Error {
        Error::Write { path: self.path.clone(), source }
    }
}

/// The path of a download until it is verified and renamed to `target`.
pub fn part_path(target: &Path) -> PathBuf {
    let mut name = OsString::from(target);
    name.push(".part");
    name.into()
}

/// A rename is on disk when its folder is. Where the system cannot do that, the file is whole all
/// the same.
fn sync_folder_of(target: &Path) {
    #[cfg(unix)]
    if let Some(folder) = target.parent() {
        let _ = File::open(folder).and_then(|folder| folder.sync_all());
    }
    #[cfg(not(unix))]
    let _ = target;
}

/// SHA-256 of a file in hexadecimal; `None` where there is none of this length.
pub(crate) fn sha256_of(path: &Path, length: u64) -> Result<Option<String>> {
    let unreadable = |source| Error::Read { path: path.to_owned(), source };
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(error)),
        Ok(found) if !found.is_file() || found.len() != length => return Ok(None),
        Ok(_) => {}
    }
    let mut sum = Sha256::new();
    File::open(path).and_then(|mut file| add(&mut sum, &mut file)).map_err(unreadable)?;
    Ok(Some(hex::encode(sum.finalize())))
}

/// Adds what is left of a file to a sum, and gives the number of bytes.
fn add(sum: &mut Sha256, file: &mut File) -> io::Result<u64> {
    let mut buffer = vec![0; 1 << 16];
    let mut length = 0;
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(length),
            Ok(count) => {
                sum.update(&buffer[..count]);
                length += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
