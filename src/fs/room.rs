//! Room on the disk, for files whose size nobody can be believed about: uploads, and what remotes send.
//!
//! A writer asks for room in steps that grow with what it has written. What others were promised and have not written yet counts as
//! used, and some of the disk stays free (`disk-spare`): for imports, the manifest, and all else that lives there. So an endless file
//! ends while others can still write, and who announces much and sends little blocks nobody.

use super::{Error, Result, free_bytes};
use crate::budget;
use std::collections::HashMap;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

/// The first step, which small files never leave.
const FIRST_BYTES: u64 = 1 << 20;

/// What the manifest, its log and small files may take meanwhile, of which no lease knows: else they would take it from what stays free.
const MARGIN_BYTES: u64 = 4 << 20;

/// What this process has promised and not yet written, by filesystem.
static PROMISED: LazyLock<Mutex<HashMap<u64, u64>>> = LazyLock::new(Mutex::default);

fn promised() -> MutexGuard<'static, HashMap<u64, u64>> {
    PROMISED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A file's room.
#[derive(Debug)]
pub struct Lease {
    dir: PathBuf,
    device: u64,
    granted: u64,
    written: u64,
}

/// Tells whether the filesystem of `dir` has room for so many bytes, besides what was promised and what stays free.
pub fn has_room(dir: &Path, bytes: u64) -> bool {
    let all = promised().get(&device(dir)).copied().unwrap_or(0);
    // Where nobody can tell, the disk itself will.
    free_bytes(dir).map_or(true, |free| fits(free, all, bytes))
}

fn fits(free: u64, promised: u64, more: u64) -> bool {
    promised.saturating_add(more).saturating_add(budget::DISK_SPARE.limit + MARGIN_BYTES) <= free
}

fn device(dir: &Path) -> u64 {
    std::fs::metadata(dir).map_or(0, |metadata| metadata.dev())
}

impl Lease {
    /// Makes an empty lease for a file in `dir`; it has room for nothing yet.
    pub fn new(dir: &Path) -> Self {
        Self::on(device(dir), dir)
    }

    fn on(device: u64, dir: &Path) -> Self {
        Self { dir: dir.to_owned(), device, granted: 0, written: 0 }
    }

    /// Makes sure of the room that the file needs to grow to `size` bytes; all that it had room for before may have been written.
    ///
    /// The error says that the disk is full ([`Error::is_full`]).
    pub fn cover(&mut self, size: u64) -> Result<()> {
        let mut promised = promised();
        let all = promised.entry(self.device).or_default();
        let before = self.granted - self.written;
        // What was covered before is on the disk by now, and no promise any more.
        self.written = self.written.max(size.min(self.granted));
        if size > self.granted {
            self.written = self.granted;
            let others = *all - before;
            let most = budget::DISK_STEP.limit;
            let steps = [size.clamp(FIRST_BYTES, most), FIRST_BYTES, 0];
            let step = steps.map(|step| step.max(size - self.granted)).into_iter().find(|step| {
                // The file's own room is written to, or may be at any moment.
                free_bytes(&self.dir).map_or(true, |free| fits(free, others, *step))
            });
            let Some(step) = step else {
                *all -= before;
                let text = format!("{} of it stay free ({})", budget::DISK_SPARE.amount(), budget::DISK_SPARE);
                return Err(Error::at("find room in", &self.dir)(io::Error::new(io::ErrorKind::StorageFull, text)));
            };
            self.granted += step;
        }
        *all = *all - before + (self.granted - self.written);
        Ok(())
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(all) = promised().get_mut(&self.device) {
            *all -= self.granted - self.written;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outstanding(device: u64) -> u64 {
        promised().get(&device).copied().unwrap_or(0)
    }

    #[test]
    fn a_lease_grows_in_steps_and_gives_back_what_it_did_not_use() {
        let dir = tempfile::tempdir().unwrap();
        // A device of its own, since other tests write too.
        let mut lease = Lease::on(7, dir.path());
        assert_eq!(outstanding(7), 0);
        lease.cover(10).unwrap();
        assert_eq!(outstanding(7), FIRST_BYTES);
        lease.cover(20).unwrap();
        assert_eq!(outstanding(7), FIRST_BYTES - 20);
        let large = 100 << 20;
        let mut size = 20;
        while size < large {
            size += 128 << 10;
            lease.cover(size).unwrap();
            assert!(outstanding(7) <= budget::DISK_STEP.limit);
        }
        assert!(lease.granted <= size + budget::DISK_STEP.limit);
        let mut other = Lease::on(7, dir.path());
        other.cover(1).unwrap();
        drop(lease);
        assert_eq!(outstanding(7), FIRST_BYTES);
        drop(other);
        assert_eq!(outstanding(7), 0);
    }

    #[test]
    fn what_is_not_there_is_not_granted_and_costs_others_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let mut lease = Lease::on(8, dir.path());
        lease.cover(1).unwrap();
        let error = lease.cover(1 << 60).unwrap_err();
        assert!(error.is_full() && error.source.to_string().contains("(budget disk-spare)"), "{error:?}");
        assert_eq!(outstanding(8), 0);
        lease.cover(2).unwrap();
        drop(lease);
        assert_eq!(outstanding(8), 0);
        assert!(!has_room(dir.path(), 1 << 60) && has_room(dir.path(), 1));
    }

    #[test]
    fn promises_and_the_spare_count_as_used() {
        let spare = budget::DISK_SPARE.limit + MARGIN_BYTES;
        assert!(fits(spare + 10, 0, 10) && fits(spare + 10, 4, 6));
        assert!(!fits(spare + 10, 5, 6) && !fits(spare - 1, 0, 0) && !fits(u64::MAX - 1, u64::MAX, 1));
    }
}
