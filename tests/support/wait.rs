//! Waiting for what is to come, by asking for it: a time alone is too short on a busy machine and too long on all others.

#![allow(dead_code, reason = "each test crate uses its own part")]

use std::time::{Duration, Instant};

/// Longer than anything takes on a busy machine; a test that waits so long has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until something holds; fails with what doesn't when it never does.
#[track_caller]
pub(crate) fn until(what: &str, holds: impl FnMut() -> bool) {
    assert!(is_in_time(holds), "in vain was waited until {what}");
}

/// Waits until something holds; tells whether it did in time.
pub(crate) fn is_in_time(mut holds: impl FnMut() -> bool) -> bool {
    let begin = Instant::now();
    loop {
        if holds() {
            return true;
        }
        if begin.elapsed() > PATIENCE {
            return false;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}
