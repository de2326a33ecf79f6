//! The size of the manifest's file, which SQLite never makes smaller by itself.

use super::{Error, Manifest, Result};
use std::time::Duration;

/// The file is made smaller where so many bytes of it are free: below that nobody misses them.
const COMPACT_FREE_BYTES: i64 = 16 << 20;

/// And where no more than so many are in use, since these are held in memory meanwhile.
const COMPACT_USED_BYTES: i64 = 256 << 20;

impl Manifest {
    /// Moves the write-ahead log's content into the manifest as far as readers allow.
    pub fn tidy(&self) -> Result<()> {
        Ok(self.conn.execute_batch("PRAGMA wal_checkpoint(PASSIVE); PRAGMA optimize;")?)
    }

    /// Gives the file's free pages back to the disk where they are most of it, and `has_room` for what is written meanwhile. Who
    /// writes just now is not waited for: it can be done another time. Returns whether it was done.
    pub fn compact(&self, has_room: impl FnOnce(u64) -> bool) -> Result<bool> {
        let [page, pages, free] = ["page_size", "page_count", "freelist_count"].map(|name| self.pragma(name));
        let (page, free) = (page?, free?);
        let used = pages?.saturating_sub(free);
        let is_worth_it = free.saturating_mul(page) >= COMPACT_FREE_BYTES && free / 3 >= used;
        // What is in use is held in memory, goes through the log and comes back into the file.
        let bytes = used.saturating_mul(page);
        if !is_worth_it || bytes > COMPACT_USED_BYTES || !has_room(bytes.cast_unsigned().saturating_mul(2)) {
            return Ok(false);
        }
        let wait = self.wait.get();
        self.set_wait(Duration::ZERO)?;
        let done = self.conn.execute_batch("VACUUM").map_err(Error::from);
        self.set_wait(wait)?;
        match done {
            Err(error) if error.is_busy() || error.is_full() => Ok(false),
            done => done.map(|()| true),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Access;
    use super::*;

    #[test]
    fn a_file_that_is_mostly_free_is_made_smaller_and_says_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("manifest.sqlite");
        let open = || Manifest::open(&path, Access::Create, Duration::ZERO).unwrap();
        let (manifest, reader, writer) = (open(), open(), open());
        let transaction = manifest.write().unwrap();
        let text = "x".repeat(1 << 20);
        for number in 0..40 {
            transaction.set_meta(&format!("key{number}"), &text).unwrap();
        }
        transaction.commit().unwrap();
        assert!(!manifest.compact(|_| true).unwrap(), "all of it is in use");
        let transaction = manifest.write().unwrap();
        transaction.conn.execute_batch("DELETE FROM meta WHERE key GLOB 'key*' AND key <> 'key7'").unwrap();
        transaction.commit().unwrap();
        let size = || {
            manifest.tidy().unwrap();
            std::fs::metadata(&path).unwrap().len()
        };
        let before = size();
        assert!(before > 40 << 20);
        let asked = std::cell::Cell::new(0);
        let refuse = |bytes| {
            asked.set(bytes);
            false
        };
        assert!(!manifest.compact(refuse).unwrap() && size() == before, "there is no room for it");
        assert!((2 << 20..4 << 20).contains(&asked.get()), "{}", asked.get());
        let busy = writer.write().unwrap();
        assert!(!manifest.compact(|_| true).unwrap(), "somebody writes");
        drop(busy);
        let seen = reader.read().unwrap();
        assert_eq!(seen.meta("key7").unwrap().as_ref(), Some(&text));
        assert!(manifest.compact(|_| true).unwrap());
        assert_eq!(seen.meta("key7").unwrap().as_ref(), Some(&text), "who reads goes on");
        drop(seen);
        assert!(size() < 4 << 20, "{}", size());
        assert_eq!(reader.meta("key7").unwrap(), Some(text));
        assert_eq!(manifest.complaints().unwrap(), Vec::<String>::new());
        assert!(!manifest.compact(|_| true).unwrap());
    }
}
