//! How far one file has come: what reads or copies bytes counts them here, and whoever shows progress looks.
//!
//! Bytes belong to the file that their thread is at work on, so that nothing on the way needs to be told of progress.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A file that is worked on, and how much of it has gone by.
#[derive(Debug)]
pub struct Meter {
    name: String,
    size: u64,
    passed: AtomicU64,
}

thread_local! {
    static CURRENT: RefCell<Option<Arc<Meter>>> = const { RefCell::new(None) };
}

impl Meter {
    /// Returns the meter of a file of this size; 0 where nobody knows it.
    pub fn new(name: &str, size: u64) -> Arc<Self> {
        Arc::new(Self { name: name.to_owned(), size, passed: AtomicU64::new(0) })
    }

    /// Returns the file's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the file's size.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Returns how much has gone by. A file that is read twice is done after the first time.
    pub fn passed(&self) -> u64 {
        let passed = self.passed.load(Ordering::Relaxed);
        if self.size == 0 { passed } else { passed.min(self.size) }
    }

    /// Does the work on the file: bytes that go by on this thread are its own.
    pub fn during<T>(self: &Arc<Self>, work: impl FnOnce() -> T) -> T {
        let before = CURRENT.with(|current| current.replace(Some(self.clone())));
        let done = work();
        CURRENT.with(|current| current.replace(before));
        done
    }
}

/// Counts bytes that went by.
pub fn passed(bytes: u64) {
    CURRENT.with(|current| {
        if let Some(meter) = current.borrow().as_ref() {
            meter.passed.fetch_add(bytes, Ordering::Relaxed);
        }
    });
}

/// Says how many bytes of the file have gone by, whatever was counted before.
pub fn reached(bytes: u64) {
    CURRENT.with(|current| {
        if let Some(meter) = current.borrow().as_ref() {
            meter.passed.store(bytes, Ordering::Relaxed);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_belong_to_the_file_that_is_worked_on() {
        let (outer, inner) = (Meter::new("outer", 10), Meter::new("inner", 0));
        passed(100);
        outer.during(|| {
            passed(3);
            inner.during(|| passed(5));
            passed(4);
            std::thread::scope(|scope| drop(scope.spawn(|| passed(100)).join()));
        });
        passed(100);
        assert_eq!((outer.passed(), inner.passed()), (7, 5));
        outer.during(|| passed(100));
        assert_eq!(outer.passed(), 10);
        outer.during(|| reached(2));
        assert_eq!(outer.passed(), 2);
    }
}
