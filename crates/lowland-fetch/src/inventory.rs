//! What was unpacked into a folder, so that it need not be fetched again.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::part::{Part, sha256_of};
use crate::{Error, Member, RemoteFile, Result};

/// The name of the file.
const NAME: &str = "fetched.json";

/// The archives that were unpacked, by name.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(crate) struct Inventory(BTreeMap<String, Unpacked>);

/// The result of unpacking an archive.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Unpacked {
    /// SHA-256 of the archive.
    pub(crate) sha256: String,
    /// SHA-256 of each member, by path.
    pub(crate) members: BTreeMap<String, String>,
}

impl Inventory {
    /// What is on record in a folder: nothing where there is no record, or one that cannot be made
    /// out.
    pub(crate) fn read(folder: &Path) -> Self {
        let bytes = fs::read(folder.join(NAME)).unwrap_or_default();
        serde_json::from_slice(&bytes).unwrap_or_default()
    }

    pub(crate) fn write(&self, folder: &Path) -> Result<()> {
        let target = folder.join(NAME);
        let text = serde_json::to_vec_pretty(self)
            .map_err(|error| Error::Write { path: target.clone(), source: error.into() })?;
        let mut part = Part::create(&target)?;
        part.append(&text)?;
        part.finish(&target)
    }

    pub(crate) fn insert(&mut self, archive: &RemoteFile<'_>, members: BTreeMap<String, String>) {
        let unpacked = Unpacked { sha256: archive.sha256.to_owned(), members };
        self.0.insert(archive.name.to_owned(), unpacked);
    }

    /// Whether all members of this very archive are there as they were unpacked.
    pub(crate) fn holds(
        &self,
        folder: &Path,
        archive: &RemoteFile<'_>,
        members: &[Member<'_>],
    ) -> Result<bool> {
        let Some(unpacked) = self.0.get(archive.name).filter(|u| u.sha256 == archive.sha256) else {
            return Ok(false);
        };
        for member in members {
            let Some(expected) = unpacked.members.get(member.path) else { return Ok(false) };
            let found = sha256_of(&folder.join(member.path), member.length)?;
            if found.as_ref() != Some(expected) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
