//! How a file is recognised again: by its place on the disk and its looks, never by its name alone.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;

use super::session::Looks;

/// A file at one moment.
///
/// The device's number is not part of it: it changes when the host starts again, and the file does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// The inode.
    pub inode: u64,
    /// The length in bytes.
    pub length: u64,
    /// The last modification, in nanoseconds since 1970.
    pub modified: i128,
}

impl Identity {
    /// The file that these metadata are of.
    pub fn of(metadata: &Metadata) -> Self {
        let Looks { length, modified } = Looks::of(metadata);
        Self { inode: metadata.ino(), length, modified }
    }

    /// How the file looked.
    pub fn looks(&self) -> Looks {
        Looks { length: self.length, modified: self.modified }
    }
}
