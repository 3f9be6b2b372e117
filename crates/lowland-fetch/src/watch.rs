//! How a data set is fetched, and what happens meanwhile.

use std::ops::ControlFlow;
use std::time::Duration;

use crate::Error;

/// How a data set is fetched.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    /// A folder on the net that holds the same files, in place of the publisher's addresses.
    /// Checksums hold all the same. Default: none.
    pub mirror: Option<&'a str>,
    /// How often one address is asked for a file, as long as each connection brings more of it; at
    /// least 1. Default: 10.
    pub attempts: u32,
    /// How long a server may be silent: until it is found, until it answers, and between two bytes.
    /// Default: 30 seconds.
    pub patience: Duration,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self { mirror: None, attempts: 10, patience: Duration::from_secs(30) }
    }
}

/// What happens while a data set is fetched. Lengths are in bytes.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// What is there already is looked at.
    Checking {
        /// The name of the file on the net.
        file: &'a str,
    },
    /// An address is asked for a file.
    Begins {
        /// The name of the file on the net.
        file: &'a str,
        /// Where it is asked for.
        address: &'a str,
        /// What is there already.
        done: u64,
        /// What there will be.
        length: u64,
    },
    /// Bytes came, or a tenth of a second went by.
    Received {
        /// The name of the file on the net.
        file: &'a str,
        /// What is there.
        done: u64,
        /// What there will be.
        length: u64,
    },
    /// An address failed, and it is asked once more or the next one is.
    Failed {
        /// The name of the file on the net.
        file: &'a str,
        /// Why.
        error: &'a Error,
    },
    /// A block of an archive was unpacked.
    Unpacked {
        /// The name of the archive.
        file: &'a str,
        /// What is unpacked.
        done: u64,
        /// What there is to unpack.
        length: u64,
    },
}

/// Hears what happens; a break ends it, and what has come is kept.
pub type Watch<'a> = dyn FnMut(&Event<'_>) -> ControlFlow<()> + 'a;
