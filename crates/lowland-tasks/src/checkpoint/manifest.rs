//! What a checkpoint says of itself, as TOML with a checksum in its last line.

use std::fmt::Display;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::snapshot::{About, Snapshot};
use crate::{Error, Result};

/// The name of the file that makes a checkpoint whole.
pub(super) const MANIFEST: &str = "manifest.toml";

/// The form of checkpoints that this program writes and reads.
const FORMAT: u32 = 2;

/// What stands before the checksum in the last line.
const SEAL: &str = "# sha256 of the lines above: ";

/// The manifest of a checkpoint.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    /// Where the run stood.
    pub about: About,
    /// One entry for each of [`Snapshot::FILES`].
    pub(super) files: Vec<Entry>,
}

/// A file of a checkpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) length: u64,
    pub(super) sha256: String,
}

/// The manifest as it stands in the file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    format: u32,
    about: About,
    files: Vec<Entry>,
}

impl Manifest {
    /// The most bytes that a manifest has.
    pub(super) const MOST_BYTES: u64 = 1 << 16;

    pub(super) fn to_text(&self) -> Result<String> {
        let text = Text { format: FORMAT, about: self.about.clone(), files: self.files.clone() };
        let body = toml::to_string(&text).map_err(|error| Error::snapshot(MANIFEST, error))?;
        Ok(format!("{body}{SEAL}{}\n", sha256([body.as_bytes()])))
    }

    /// Reads a manifest and checks its last line, its form and the names in it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn from_bytes(contents: &[u8]) -> Result<Self, String> {
        let not_as_written = || "does not match the checksum in its last line".to_owned();
        let text = std::str::from_utf8(contents).map_err(|_| not_as_written())?;
        let body = text.rfind(SEAL).map(|start| &text[..start]).ok_or_else(not_as_written)?;
        if text[body.len()..] != format!("{SEAL}{}\n", sha256([body.as_bytes()])) {
            return Err(not_as_written());
        }
        let in_words = |error: &dyn Display| format!("cannot be read: {error}");
        let form: Form = toml::from_str(body).map_err(|error| in_words(&error.message()))?;
        if form.format != FORMAT {
            let of = form.format;
            return Err(format!("is of form {of}, and this program reads form {FORMAT}"));
        }
        let Text { about, files, .. } =
            toml::from_str(body).map_err(|error| in_words(&error.message()))?;
        let names: Vec<&str> = files.iter().map(|entry| entry.name.as_str()).collect();
        let more = names.strip_prefix(Snapshot::FILES.as_slice());
        // Each once, in their order: no name leads out of the folder or hides another file.
        let mut known = Snapshot::MORE_FILES.iter();
        if !more.is_some_and(|more| more.iter().all(|name| known.any(|known| known == name))) {
            let (files, more) = (Snapshot::FILES.join(", "), Snapshot::MORE_FILES.join(", "));
            return Err(format!("must list {files}, and at most {more} after them"));
        }
        Ok(Self { about, files })
    }
}

/// What manifests of all forms have.
#[derive(Debug, Deserialize)]
struct Form {
    format: u32,
}

/// The SHA-256 of some bytes, in hexadecimal.
pub(crate) fn sha256<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    hex::encode(parts.into_iter().fold(Sha256::new(), Digest::chain_update).finalize())
}
