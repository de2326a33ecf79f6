//! Numbered fault points: a test stops a command at its k-th disk change.
//!
//! `kill@K` ends the process at the K-th change as SIGKILL does, `stop@K` stops it there as Ctrl-Z does, `eio@K` makes that one
//! change fail, `enospc@K` makes it and all later changes that need room fail, as a full disk does. Compiled in debug builds only.

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
    armed::check(change).map_err(super::Error::at(act, path))
}

/// Passes a fault point before a disk change: nothing, in a release build.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub(crate) fn point(_change: Change, _act: &'static str, _path: &Path) -> super::Result<()> {
    Ok(())
}

#[cfg(debug_assertions)]
pub use armed::{arm, passed};

#[cfg(debug_assertions)]
mod armed {
    use super::Change;
    use std::io;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[derive(Debug, Clone, Copy)]
    enum Fault {
        Kill,
        Stop,
        Eio,
        Enospc,
    }

    static PLAN: OnceLock<(Fault, u64)> = OnceLock::new();
    static PASSED: AtomicU64 = AtomicU64::new(0);

    /// Arms a fault: `kill@K`, `stop@K`, `eio@K` or `enospc@K`, counted from 1. Returns whether the text was understood.
    pub fn arm(text: &str) -> bool {
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

    pub(super) fn check(change: Change) -> io::Result<()> {
        let Some(&(fault, number)) = PLAN.get() else { return Ok(()) };
        let here = PASSED.fetch_add(1, Ordering::Relaxed) + 1;
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
