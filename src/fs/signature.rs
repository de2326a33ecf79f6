//! What a stat says about a file's bytes without reading them.

use super::probe::keeps_change_times;
use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Device, inode, size and times of a file: while they stay, its bytes are taken to stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signature {
    /// The device that holds the file.
    pub device: i64,
    /// The file's inode on it.
    pub inode: i64,
    /// Size in bytes.
    pub size: u64,
    /// Modification time, nanoseconds since 1970.
    pub modified_ns: i64,
    /// Change time, nanoseconds since 1970.
    pub changed_ns: i64,
}

impl Signature {
    /// Takes the signature from a stat.
    pub fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev().cast_signed(),
            inode: metadata.ino().cast_signed(),
            size: metadata.len(),
            modified_ns: nanoseconds(metadata.mtime(), metadata.mtime_nsec()),
            changed_ns: nanoseconds(metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// Tells whether a change at or after `since_ns` could leave the times as they are: the clock of a filesystem ticks, and one
    /// without nanoseconds ticks slowly. Such a signature proves nothing later (git's "racy" index entries).
    pub fn is_racy(&self, since_ns: i64) -> bool {
        let tick = if self.changed_ns % 1_000_000_000 == 0 { 3_000_000_000 } else { 100_000_000 };
        self.changed_ns.max(self.modified_ns).saturating_add(tick) > since_ns
    }

    /// Tells whether the bytes at a blob's name are still those that were recorded: same file, size and modification time.
    /// The change time is left out, since making a hard link moves it.
    pub fn is_recorded(&self, inode: Option<i64>, size: u64, modified_ns: Option<i64>) -> bool {
        (Some(self.inode), self.size, Some(self.modified_ns)) == (inode, size, modified_ns)
    }
}

/// Which filesystems were found to vouch for their files by change times of their own, by device.
#[derive(Debug, Default)]
pub struct ChangeTimes(RefCell<HashMap<i64, bool>>);

impl ChangeTimes {
    /// Tells whether a stat proves that a file's bytes are those that it had when it had that stat before. On images that are mounted
    /// in turn it doesn't: their times were written with them, and may be those of another.
    pub fn prove(&self, path: &Path, file: &Signature) -> bool {
        *self.0.borrow_mut().entry(file.device).or_insert_with(|| keeps_change_times(path))
    }
}

fn nanoseconds(seconds: i64, nanoseconds: i64) -> i64 {
    seconds.saturating_mul(1_000_000_000).saturating_add(nanoseconds)
}
