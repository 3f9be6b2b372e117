//! What is said of a data set.

/// A data set as its publisher has it.
#[derive(Clone, Copy, Debug)]
pub struct DataSet<'a> {
    /// The name in commands.
    pub name: &'a str,
    /// The page on which the publisher writes about it.
    pub page: &'a str,
    /// The folders on the net that hold its files, the publisher's own first. Where one does not
    /// give a file, the next is asked.
    pub addresses: &'a [&'a str],
    /// Its files.
    pub files: &'a [RemoteFile<'a>],
}

/// One file on the net.
#[derive(Clone, Copy, Debug)]
pub struct RemoteFile<'a> {
    /// The name in the address, and on disk.
    pub name: &'a str,
    /// The length, in bytes.
    pub length: u64,
    /// SHA-256, in hexadecimal, lower case.
    pub sha256: &'a str,
    /// What becomes of it.
    pub contents: Contents<'a>,
}

/// What becomes of a file that was downloaded.
#[derive(Clone, Copy, Debug)]
pub enum Contents<'a> {
    /// It is kept as it is.
    Kept,
    /// It is a tar archive packed with gzip: these of its members are unpacked, and the archive is
    /// removed.
    TarGz(&'a [Member<'a>]),
}

/// A file in an archive.
#[derive(Clone, Copy, Debug)]
pub struct Member<'a> {
    /// The path in the archive, and beneath the folder of the data set.
    pub path: &'a str,
    /// The length, in bytes.
    pub length: u64,
}
