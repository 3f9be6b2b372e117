//! What can go wrong in this crate, as one enum.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// What the functions of this crate return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that an address, a server, a file or a disk can get wrong.
///
/// Each message is one lower-case line that names the thing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An address that was given is none.
    #[error("{address:?} is no address: expected one that begins with http:// or https://")]
    Address {
        /// What was given.
        address: String,
    },

    /// A file did not come from an address.
    #[error("{address} {problem}")]
    Transfer {
        /// Where it should have come from.
        address: String,
        /// Why it did not.
        problem: Problem,
    },

    /// A file came whole, and it is another one than was published. What was received has been
    /// removed.
    #[error(
        "{address} gave other bytes than were published: expected SHA-256 {expected}, found {found}; they were removed"
    )]
    Checksum {
        /// Where it came from; the part file, where all of it was there already.
        address: String,
        /// The published sum.
        expected: String,
        /// The sum of what came.
        found: String,
    },

    /// A file is unavailable from all of its addresses.
    #[error("{file} is unavailable: {}", each(errors))]
    Everywhere {
        /// The name of the file.
        file: String,
        /// What each address got wrong, in order.
        errors: Vec<Self>,
    },

    /// An archive does not hold what it should.
    #[error("{} {problem}", archive.display())]
    Archive {
        /// The archive.
        archive: PathBuf,
        /// What is wrong with it.
        problem: String,
    },

    /// The operating system refused to read a file.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },

    /// The operating system refused to write a file or folder.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },

    /// Another program is writing the same file.
    #[error("{} is being written by another program", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },

    /// The watcher asked for the end.
    #[error("interrupted")]
    Interrupted,
}

/// What each address got wrong.
fn each(errors: &[Error]) -> String {
    if errors.is_empty() {
        return "no address is known".to_owned();
    }
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// Why a file did not come from an address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The server answered, and not with the file.
    #[error("answered with {0}")]
    Status(String),

    /// The connection ended before the file did.
    #[error("ended the connection after {received} of {length} bytes")]
    Cut {
        /// The bytes that are there, those of earlier connections included.
        received: u64,
        /// The bytes of the whole file.
        length: u64,
    },

    /// The server has a file of another length.
    #[error("has another file than was published: expected {expected} bytes, found {found}")]
    Length {
        /// The published length.
        expected: u64,
        /// What the server has, in words.
        found: String,
    },

    /// Nothing came for too long.
    #[error("gave no answer for {0:?}")]
    Timeout(Duration),

    /// There was a redirect from https to an address without it.
    #[error("sent on from https to an address without it")]
    Insecure,

    /// The address cannot be reached, or what comes is no HTTP.
    #[error("could not be reached: {0}")]
    Unreachable(String),
}

impl Error {
    /// Whether what was given is at fault, and neither the net nor the disk.
    pub fn is_input(&self) -> bool {
        matches!(self, Self::Address { .. })
    }

    /// Whether another address may do better.
    pub(crate) fn is_of_the_address(&self) -> bool {
        matches!(self, Self::Transfer { .. } | Self::Checksum { .. })
    }
}
