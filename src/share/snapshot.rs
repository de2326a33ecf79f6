//! Snapshots: all that was true after a record of the log, from which new nodes begin.

use super::{Error, Generation, Result, Share};
use crate::budget::{Excess, SNAPSHOT_BYTES, SNAPSHOT_RATIO};
use crate::digest::Blake3;
use crate::fs;
use std::fs::File;
use std::path::{Path, PathBuf};

/// So many snapshots are kept: who is about to read one isn't left without, nor is the share where one turns bad.
pub const SNAPSHOTS: usize = 2;

/// A manifest with all that was true after a record of the log, compressed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Snapshot {
    /// The record.
    pub number: i64,
    name: String,
    blake3: Blake3,
}

impl Snapshot {
    /// Returns when it was put, by the bucket's clock, in seconds since 1970.
    pub fn at(&self) -> i64 {
        let generation = self.name.split('.').nth(1).unwrap_or_default();
        let digits = generation.get(..11).and_then(|digits| i64::from_str_radix(digits, 16).ok());
        digits.unwrap_or(0).div_euclid(1000)
    }

    /// Returns its object's key.
    pub fn key(&self) -> String {
        format!("snapshots/{}", self.name)
    }
}

impl Share {
    /// Puts a snapshot, a file whose digest this is, into the bucket; older ones go, but for the last.
    pub fn put_snapshot(&self, number: i64, file: &File, path: &Path, blake3: &Blake3) -> Result<()> {
        let name = |at| format!("snapshots/{number:020}.{}.{blake3}", Generation::new(at).as_str());
        self.bucket.put(file, path, blake3, &name)?;
        for old in self.snapshots()?.iter().rev().skip(SNAPSHOTS) {
            self.bucket.remove(&old.key())?;
        }
        Ok(())
    }

    /// Returns the newest snapshot.
    pub fn newest_snapshot(&self) -> Result<Option<Snapshot>> {
        Ok(self.snapshots()?.pop())
    }

    /// Returns the snapshots, the newest last.
    pub fn snapshots(&self) -> Result<Vec<Snapshot>> {
        let parsed = |name: String| {
            let mut parts = name.split('.');
            let (number, _) = (parts.next()?.parse().ok()?, parts.next()?);
            let blake3 = parts.next()?.parse().ok()?;
            parts.next().is_none().then_some(Snapshot { number, name, blake3 })
        };
        let mut found: Vec<Snapshot> = self.bucket.names("snapshots")?.into_iter().filter_map(parsed).collect();
        found.sort();
        Ok(found)
    }

    /// Makes the manifest that a snapshot is, in a folder of its own for that. Returns whether the snapshot was whole; where it
    /// wasn't, nothing is left of it.
    pub fn unpack_snapshot(&self, snapshot: &Snapshot, to: &Path) -> Result<bool> {
        let packed = PathBuf::from(format!("{}-packed", to.display()));
        for path in [&packed, &to.to_owned()] {
            fs::remove_file(path)?;
        }
        let done = self.read_and_unpack(snapshot, &packed, to);
        fs::remove_file(&packed)?;
        if !matches!(done, Ok(true)) {
            // As much as there is room for may have been made of it.
            fs::remove_file(to)?;
        }
        done
    }

    fn read_and_unpack(&self, snapshot: &Snapshot, packed: &Path, to: &Path) -> Result<bool> {
        let size = match self.read_snapshot(snapshot, packed) {
            Err(Error::WrongBytes(_)) => return Ok(false),
            read => read?,
        };
        let most = SNAPSHOT_BYTES.limit.saturating_add(size.saturating_mul(SNAPSHOT_RATIO.limit));
        match fs::unpack(packed, to, most)? {
            true => Ok(true),
            false => Err(Error::TooLarge { key: snapshot.key(), excess: Excess(SNAPSHOT_BYTES) }),
        }
    }

    /// Makes the manifest that the newest whole snapshot is. Returns which one; `None`: there is no snapshot. Where all are bad, that is an
    /// error.
    pub fn unpack_newest_snapshot(&self, to: &Path) -> Result<Option<Snapshot>> {
        let mut bad = None;
        for snapshot in self.snapshots()?.into_iter().rev() {
            let why = match self.unpack_snapshot(&snapshot, to) {
                Ok(true) => return Ok(Some(snapshot)),
                Ok(false) => Error::WrongBytes(snapshot.key()),
                Err(why @ Error::TooLarge { .. }) => why,
                Err(error) => return Err(error),
            };
            bad.get_or_insert(why);
        }
        bad.map_or(Ok(None), Err)
    }

    /// Writes a snapshot's bytes to a file that is made, and checks them. Returns how many there are.
    fn read_snapshot(&self, snapshot: &Snapshot, to: &Path) -> Result<u64> {
        let file = fs::create_new(to, fs::FILE)?;
        let (mut hasher, mut size) = (blake3::Hasher::new(), 0);
        let mut room = fs::Lease::new(fs::parent(to));
        let key = snapshot.key();
        self.bucket.read(&key, &mut |part| {
            // Whoever can write to the bucket doesn't decide how much is written here.
            size += part.len() as u64;
            room.cover(size)?;
            hasher.update(part);
            fs::append(&file, to, part)
        })?;
        if Blake3::from_bytes(hasher.finalize().into()) != snapshot.blake3 {
            return Err(Error::WrongBytes(key));
        }
        Ok(size)
    }
}
