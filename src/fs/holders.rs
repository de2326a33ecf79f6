//! Who holds a lock on a file, as far as the kernel tells (`/proc/locks`, `proc_locks(5)`).

use super::entry;
use std::fmt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A process that holds a lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The process.
    pub pid: u32,
    /// What it calls itself, as far as that can be read.
    pub command: Option<String>,
    /// The number of its user.
    pub user: Option<u32>,
    /// Whether it is stopped, as by Ctrl-Z: it gives up nothing until it goes on.
    pub is_stopped: bool,
}

/// The kinds of locks that there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockKind {
    /// Of a whole file, `flock(2)`.
    Whole,
    /// Of a byte of it, `fcntl(2)`.
    Byte(u64),
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = self.user.map(|user| format!("user {user}"));
        let stopped = self.is_stopped.then(|| "stopped".to_owned());
        let words: Vec<String> = [self.command.clone(), user, stopped].into_iter().flatten().collect();
        write!(f, "process {}", self.pid)?;
        if words.is_empty() { Ok(()) } else { write!(f, " ({})", words.join(", ")) }
    }
}

/// Returns the processes that hold a lock of a file, each once, by number.
///
/// The file isn't opened: to close it would end all locks by `fcntl(2)` that this process has on it.
pub fn lock_holders(path: &Path, kind: LockKind) -> Vec<Holder> {
    let (Ok(Some(found)), Ok(locks)) = (entry(path), std::fs::read_to_string("/proc/locks")) else {
        return Vec::new();
    };
    let mut pids: Vec<u32> = locks.lines().filter_map(|line| locker(line, found.ino(), kind)).collect();
    pids.sort_unstable();
    pids.dedup();
    pids.into_iter().map(holder).collect()
}

fn holder(pid: u32) -> Holder {
    let dir = PathBuf::from(format!("/proc/{pid}"));
    let command = std::fs::read_to_string(dir.join("comm")).ok().map(|text| text.trim_end().to_owned());
    // 4711 (wcas) T …
    let stat = std::fs::read_to_string(dir.join("stat")).unwrap_or_default();
    let state = stat.rsplit_once(')').map_or("", |(_, rest)| rest.trim_start());
    let user = std::fs::metadata(dir).ok().map(|metadata| metadata.uid());
    Holder { pid, command, user, is_stopped: state.starts_with('T') }
}

/// Reads a line: `1: POSIX  ADVISORY  READ 4711 fe:00:1234 120 120`. The device is left out, since file systems that lie over others
/// tell another one here than for their files.
fn locker(line: &str, inode: u64, kind: LockKind) -> Option<u32> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [_, name, _, _, pid, file, start, end] = words[..] else { return None };
    let is_meant = match kind {
        LockKind::Whole => name == "FLOCK",
        LockKind::Byte(byte) => {
            let end = if end == "EOF" { u64::MAX } else { end.parse().ok()? };
            name == "POSIX" && (start.parse().ok()?..=end).contains(&byte)
        }
    };
    let (_, found) = file.rsplit_once(':')?;
    pid.parse().ok().filter(|_| is_meant && found.parse() == Ok(inode))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_tells_who_holds_a_lock() {
        let of = |line, kind| locker(line, 1234, kind);
        let byte = LockKind::Byte(120);
        assert_eq!(of("1: POSIX  ADVISORY  READ 4711 fe:00:1234 120 120", byte), Some(4711));
        assert_eq!(of("1: POSIX  ADVISORY  WRITE 4711 fe:00:1234 0 EOF", byte), Some(4711));
        assert_eq!(of("1: POSIX  ADVISORY  WRITE 4711 fe:00:1234 121 128", byte), None);
        assert_eq!(of("1: POSIX  ADVISORY  WRITE 4711 fe:00:1235 120 120", byte), None);
        assert_eq!(of("1: -> POSIX  ADVISORY  WRITE 4711 fe:00:1234 120 120", byte), None, "it waits");
        assert_eq!(of("1: FLOCK  ADVISORY  WRITE 4711 fe:00:1234 0 EOF", byte), None);
        assert_eq!(of("1: FLOCK  ADVISORY  WRITE 4711 fe:00:1234 0 EOF", LockKind::Whole), Some(4711));
        assert_eq!(of("1: POSIX  ADVISORY  WRITE 4711 fe:00:1234 0 EOF", LockKind::Whole), None);
        assert_eq!(of("1: OFDLCK ADVISORY  WRITE -1 fe:00:1234 0 EOF", byte), None);
    }

    #[test]
    fn a_holder_is_told_as_far_as_it_is_known() {
        let told = |command: Option<&str>, user, is_stopped| {
            Holder { pid: 7, command: command.map(str::to_owned), user, is_stopped }.to_string()
        };
        assert_eq!(told(None, None, false), "process 7");
        assert_eq!(told(Some("wcas"), Some(0), false), "process 7 (wcas, user 0)");
        assert_eq!(told(Some("wcas"), None, true), "process 7 (wcas, stopped)");
    }
}
