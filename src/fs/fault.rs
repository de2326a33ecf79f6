//! Numbered fault points: a test stops a command at its k-th disk change.
//!
//! `kill@K` ends the process at the K-th change as SIGKILL does, `stop@K` stops it there as Ctrl-Z does, `eio@K` makes that one
//! change fail, `enospc@K` makes it and all later changes that need room fail, as a full disk does. `plain-renames` before it
//! (`plain-renames,kill@K`, or alone) lets the filesystem know no rename that exchanges names or spares what is there, as FUSE and old
//! kernels don't. `trace` changes nothing and notes each point. Compiled in debug builds only.

use std::path::Path;

/// What a change does to the free room on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Needs room: fails on a full disk.
    Grow,
    /// Gives room back.
    Shrink,
    /// Neither.
    Sync,
}

/// Passes a fault point before a disk change.
#[cfg(debug_assertions)]
pub(crate) fn point(change: Change, act: &'static str, path: &Path) -> super::Result<()> {
    armed::check(change, act, path).map_err(super::Error::at(act, path))
}

/// Passes a fault point before a disk change: nothing, in a release build.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub(crate) fn point(_change: Change, _act: &'static str, _path: &Path) -> super::Result<()> {
    Ok(())
}

/// Tells whether renames with flags are to fail as where they aren't known.
#[cfg(debug_assertions)]
pub(super) fn lacks_rename_flags() -> bool {
    armed::lacks_rename_flags()
}

/// Tells whether renames with flags are to fail: never, in a release build.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub(super) fn lacks_rename_flags() -> bool {
    false
}

#[cfg(debug_assertions)]
pub use armed::{arm, passed, trail};

#[cfg(debug_assertions)]
mod armed {
    use super::Change;
    use std::io;
    use std::path::Path;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::{Mutex, OnceLock, PoisonError};

    #[derive(Debug, Clone, Copy)]
    enum Fault {
        Kill,
        Stop,
        Eio,
        Enospc,
        Trace,
    }

    static PLAN: OnceLock<(Fault, u64)> = OnceLock::new();
    static PASSED: AtomicU64 = AtomicU64::new(0);
    static PLAIN_RENAMES: OnceLock<()> = OnceLock::new();
    static TRAIL: Mutex<Vec<String>> = Mutex::new(Vec::new());

    /// Arms a fault: `kill@K`, `stop@K`, `eio@K` or `enospc@K`, counted from 1, or `trace`; with `plain-renames` before it, or that
    /// alone. Returns whether the text was understood.
    pub fn arm(text: &str) -> bool {
        let rest = text.strip_prefix("plain-renames");
        if rest.is_some() {
            let _ = PLAIN_RENAMES.set(());
        }
        let text = rest.map_or(text, |rest| rest.trim_start_matches(','));
        if text.is_empty() || text == "trace" {
            return PLAN.set((Fault::Trace, 0)).is_ok();
        }
        let plan = text.split_once('@').and_then(|(fault, number)| {
            let fault = match fault {
                "kill" => Fault::Kill,
                "stop" => Fault::Stop,
                "eio" => Fault::Eio,
                "enospc" => Fault::Enospc,
                _ => return None,
            };
            Some((fault, number.parse().ok()?))
        });
        plan.is_some_and(|plan| PLAN.set(plan).is_ok())
    }

    /// Returns how many points were passed since the start.
    pub fn passed() -> u64 {
        PASSED.load(Ordering::Relaxed)
    }

    /// Returns the points that a trace noted, `point 17: rename to PATH`, in order of their making.
    pub fn trail() -> Vec<String> {
        std::mem::take(&mut *TRAIL.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn lacks_rename_flags() -> bool {
        PLAIN_RENAMES.get().is_some()
    }

    pub(super) fn check(change: Change, act: &str, path: &Path) -> io::Result<()> {
        let Some(&(fault, number)) = PLAN.get() else { return Ok(()) };
        let here = PASSED.fetch_add(1, Ordering::Relaxed) + 1;
        if matches!(fault, Fault::Trace) {
            TRAIL
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(format!("point {here}: {act} {}", path.display()));
        }
        let errno = match fault {
            Fault::Kill if here == number => {
                let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
                // The signal is on its way; no other thread may get further than its own next point.
                loop {
                    std::thread::park();
                }
            }
            Fault::Stop if here == number => {
                // Returns when somebody lets the process go on.
                return Ok(rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::STOP)?);
            }
            Fault::Eio if here == number => rustix::io::Errno::IO,
            Fault::Enospc if here >= number && change == Change::Grow => rustix::io::Errno::NOSPC,
            _ => return Ok(()),
        };
        Err(errno.into())
    }
}
