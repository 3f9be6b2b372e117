//! A file from whichever of its addresses gives it.

use std::path::Path;

use crate::part::Part;
use crate::transfer::Source;
use crate::{DataSet, Error, Event, Options, Problem, RemoteFile, Result, Watch};

/// Completes the part file of `target` and checks it. Gives it with the number of bytes that came.
pub(crate) fn download(
    set: &DataSet<'_>,
    file: &RemoteFile<'_>,
    target: &Path,
    options: &Options<'_>,
    watch: &mut Watch<'_>,
) -> Result<(Part, u64)> {
    let mut part = Part::open(target, file.length)?;
    if part.length() == file.length {
        if part.sha256() == file.sha256 {
            return Ok((part, 0));
        }
        part.clear()?;
    }
    let mut errors = Vec::new();
    let mut received = 0;
    let folders = options.addresses(set)?;
    for (folder, more) in folders.iter().zip((0..folders.len()).rev()) {
        let address = format!("{folder}/{}", file.name);
        match from_address(&address, file, &mut part, options, &mut received, watch) {
            Ok(()) => return Ok((part, received)),
            Err(error) if error.is_of_the_address() => {
                if part.length() == file.length {
                    part.clear()?;
                }
                if more > 0 {
                    watch_failure(file, &error, watch)?;
                }
                errors.push(error);
            }
            Err(error) => return Err(error),
        }
    }
    if part.length() == 0 {
        part.remove()?;
    }
    Err(match errors.pop() {
        Some(only) if errors.is_empty() => only,
        last => {
            errors.extend(last);
            Error::Everywhere { file: file.name.to_owned(), errors }
        }
    })
}

/// Resumes where a connection ends, as long as each brings something. What an earlier call left may
/// be of another file: where the sum is wrong, all of it is asked for anew.
fn from_address(
    address: &str,
    file: &RemoteFile<'_>,
    part: &mut Part,
    options: &Options<'_>,
    received: &mut u64,
    watch: &mut Watch<'_>,
) -> Result<()> {
    let RemoteFile { name, length, .. } = *file;
    let source = Source { address, length, patience: options.patience };
    let resumed = part.length() > 0;
    for attempt in 1.. {
        let before = part.length();
        if watch(&Event::Begins { file: name, address, done: before, length }).is_break() {
            return Err(Error::Interrupted);
        }
        let mut report = |done| watch(&Event::Received { file: name, done, length });
        let result = source.transfer(part, received, &mut report);
        let more = part.length().saturating_sub(before);
        match result {
            Ok(()) => break,
            Err(error) if can_go_on(&error) && more > 0 && attempt < options.attempts => {
                watch_failure(file, &error, watch)?;
            }
            Err(error) => return Err(error),
        }
    }
    let found = part.sha256();
    if found == file.sha256 {
        return Ok(());
    }
    let error = Error::Checksum { address: address.into(), expected: file.sha256.into(), found };
    if !resumed {
        return Err(error);
    }
    watch_failure(file, &error, watch)?;
    part.clear()?;
    from_address(address, file, part, options, received, watch)
}

fn can_go_on(error: &Error) -> bool {
    matches!(error, Error::Transfer { problem: Problem::Cut { .. } | Problem::Timeout(_), .. })
}

fn watch_failure(file: &RemoteFile<'_>, error: &Error, watch: &mut Watch<'_>) -> Result<()> {
    let flow = watch(&Event::Failed { file: file.name, error });
    if flow.is_break() { Err(Error::Interrupted) } else { Ok(()) }
}
