//! Unpacking of archives: only the members that are expected, and nothing outside the folder.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufReader, Read};
use std::path::{Component, Path};

use flate2::bufread::MultiGzDecoder;
use tar::{Archive, Entry};

use crate::part::Part;
use crate::{Error, Event, Member, Result, Watch};

/// Unpacks `members` of an archive into `folder`, and gives SHA-256 of each by its path. Others are
/// passed over; one whose path leads out of the folder makes the whole archive unfit.
pub(crate) fn unpack(
    archive: &mut Part,
    name: &str,
    members: &[Member<'_>],
    folder: &Path,
    watch: &mut Watch<'_>,
) -> Result<BTreeMap<String, String>> {
    let path = archive.path().to_owned();
    let unfit = |problem: String| Error::Archive { archive: path.clone(), problem };
    let damaged = |error: io::Error| unfit(format!("cannot be unpacked: {error}"));
    let mut archive = Archive::new(MultiGzDecoder::new(BufReader::new(archive.rewound()?)));
    let mut sums = BTreeMap::new();
    let mut unpacking =
        Unpacking { name, done: 0, length: members.iter().map(|member| member.length).sum() };
    for entry in archive.entries().map_err(damaged)? {
        let mut entry = entry.map_err(damaged)?;
        let bytes = entry.path_bytes();
        let found = String::from_utf8_lossy(&bytes).into_owned();
        let found = found.strip_prefix("./").unwrap_or(&found).to_owned();
        drop(bytes);
        if !stays_inside(Path::new(&found)) {
            return Err(unfit(format!("holds {found:?}, which would lie outside its folder")));
        }
        let Some(member) = members.iter().find(|member| member.path == found) else { continue };
        if !entry.header().entry_type().is_file() || entry.size() != member.length {
            let (kind, size) = (entry.header().entry_type(), entry.size());
            return Err(unfit(format!(
                "holds another {found}: expected a file of {} bytes, found {kind:?} of {size}",
                member.length
            )));
        }
        let sum = write(&mut entry, &folder.join(member.path), &mut unpacking, watch, damaged)?;
        if sums.insert(found, sum).is_some() {
            return Err(unfit(format!("holds {} twice", member.path)));
        }
    }
    match members.iter().find(|member| !sums.contains_key(member.path)) {
        Some(missing) => Err(unfit(format!("does not hold {}", missing.path))),
        None => Ok(sums),
    }
}

/// How far unpacking is.
struct Unpacking<'a> {
    name: &'a str,
    done: u64,
    length: u64,
}

/// Writes a member, and gives its SHA-256.
fn write<R: Read>(
    entry: &mut Entry<'_, R>,
    target: &Path,
    unpacking: &mut Unpacking<'_>,
    watch: &mut Watch<'_>,
    damaged: impl Fn(io::Error) -> Error,
) -> Result<String> {
    if let Some(folder) = target.parent() {
        fs::create_dir_all(folder)
            .map_err(|source| Error::Write { path: folder.to_owned(), source })?;
    }
    let mut part = Part::create(target)?;
    let mut buffer = vec![0; 1 << 16];
    let written = loop {
        let count = match entry.read(&mut buffer) {
            Ok(0) if part.length() < entry.size() => {
                break Err(damaged(io::ErrorKind::UnexpectedEof.into()));
            }
            Ok(0) => break Ok(()),
            Ok(count) => count,
            Err(error) => break Err(damaged(error)),
        };
        if let Err(error) = part.append(&buffer[..count]) {
            break Err(error);
        }
        unpacking.done += count as u64;
        let Unpacking { name, done, length } = *unpacking;
        if watch(&Event::Unpacked { file: name, done, length }).is_break() {
            break Err(Error::Interrupted);
        }
    };
    if let Err(error) = written {
        // The archive is still there to unpack from. Where removing fails too, the first error says
        // more.
        let _ = part.remove();
        return Err(error);
    }
    let sum = part.sha256();
    part.finish(target)?;
    Ok(sum)
}

/// Whether a path has names alone in it.
fn stays_inside(path: &Path) -> bool {
    path.components().all(|part| matches!(part, Component::Normal(_)))
}
