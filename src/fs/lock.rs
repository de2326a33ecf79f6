//! Kernel locks as values: held until dropped, and gone with the process that held them.

use super::{Error, LockKind, Result, entry, lock_holders};
use rustix::fs::OFlags;
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Lock files can be opened by who may write to their folder, which is closed to all others.
const MODE: u32 = 0o660;

/// A lock on a file. The file's existence means nothing: only the kernel's lock does.
#[derive(Debug)]
#[must_use = "a lock is held only as long as its value lives"]
pub struct Lock {
    file: File,
    path: PathBuf,
}

/// How long others are waited for, unless told otherwise: another command's batch takes under a second.
const WAIT: Duration = Duration::from_secs(60);
/// After this time somebody is told who is waited for.
const SILENCE: Duration = Duration::from_secs(2);
/// How often a lock is tried that another has: at first, and at last.
const PAUSES: [Duration; 2] = [Duration::from_millis(1), Duration::from_millis(50)];

/// How long others are waited for, where that was told.
static TOLD_WAIT: OnceLock<Duration> = OnceLock::new();

/// Returns how long a lock is waited for that another process has and needs for no longer.
pub fn lock_wait() -> Duration {
    TOLD_WAIT.get().copied().unwrap_or(WAIT)
}

/// Says how long locks are waited for.
pub fn set_lock_wait(wait: Duration) {
    // The first one stays.
    let _ = TOLD_WAIT.set(wait);
}

/// Who is told of a wait.
static LISTENER: OnceLock<fn(&str)> = OnceLock::new();

/// Says who is told, in words, that a lock is waited for, and who has it.
pub fn on_wait(listener: fn(&str)) {
    // The first one stays.
    let _ = LISTENER.set(listener);
}

/// Tells of a wait, whom that is to be told.
pub(crate) fn tell_of_wait(text: &str) {
    if let Some(tell) = LISTENER.get() {
        tell(text);
    }
}

/// What stands between a process that only looks and those who take a lock for themselves.
#[derive(Debug)]
#[must_use = "a lock is held only as long as its value lives"]
pub enum Beside {
    /// This share of it.
    Shared(Lock),
    /// One has it.
    Held,
    /// It has no file: nobody has it.
    Absent,
    /// It can't be opened, or its filesystem has no locks.
    Unknown,
}

impl Lock {
    /// Takes the lock for this process alone, waiting for it as long as a command may need it. A holder that keeps it for longer is
    /// stopped, or hangs: the error names it ([`Error::is_held`]).
    pub fn exclusive(path: &Path) -> Result<Self> {
        Self::exclusive_within(path, Some(lock_wait()), Self::opened)
    }

    /// Takes a folder itself for this process alone, waiting for it as long as a command may need it. Nothing is made in it, so that
    /// commands have one lock in common that have nothing else in common. `None`: its filesystem has no locks for folders (NFS).
    pub fn folder(path: &Path) -> Result<Option<Self>> {
        use rustix::io::Errno;
        const UNABLE: [Errno; 5] = [Errno::BADF, Errno::NOLCK, Errno::OPNOTSUPP, Errno::INVAL, Errno::NOSYS];
        match Self::exclusive_within(path, Some(lock_wait()), Self::opened_folder) {
            Err(error) if UNABLE.iter().any(|errno| error.source.raw_os_error() == Some(errno.raw_os_error())) => {
                Ok(None)
            }
            lock => lock.map(Some),
        }
    }

    /// Takes the lock for this process alone, waiting for it as long as a download or a build takes.
    pub fn exclusive_at_last(path: &Path) -> Result<Self> {
        Self::exclusive_within(path, None, Self::opened)
    }

    fn exclusive_within(path: &Path, wait: Option<Duration>, open: fn(&Path) -> Result<Self>) -> Result<Self> {
        let (began, mut pause, mut is_told) = (Instant::now(), PAUSES[0], false);
        loop {
            if let Some(lock) = Self::try_on(path, open)? {
                return Ok(lock);
            }
            let waited = began.elapsed();
            if waited >= SILENCE && !is_told {
                is_told = true;
                tell_of_wait(&format!("waiting for {}, which {} has", path.display(), holder(path)));
            }
            if wait.is_some_and(|wait| waited >= wait) {
                let text = format!("{} has it for more than {} s", holder(path), waited.as_secs());
                return Err(Error::at("lock", path)(io::Error::new(io::ErrorKind::TimedOut, text)));
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(PAUSES[1]);
        }
    }

    /// Takes the lock for this process alone; `None` when another process holds it.
    pub fn try_exclusive(path: &Path) -> Result<Option<Self>> {
        Self::try_on(path, Self::opened)
    }

    fn try_on(path: &Path, open: fn(&Path) -> Result<Self>) -> Result<Option<Self>> {
        loop {
            let lock = open(path)?;
            match lock.file.try_lock() {
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => return Err(Error::at("lock", path)(error)),
                Ok(()) if lock.is_named()? => return Ok(Some(lock)),
                Ok(()) => {}
            }
        }
    }

    /// Takes the lock together with others who share it; `None` when a process holds it alone.
    pub fn try_shared(path: &Path) -> Result<Option<Self>> {
        let lock = Self::opened(path)?;
        match lock.file.try_lock_shared() {
            Ok(()) => Ok(Some(lock)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(Error::at("lock", path)(error)),
        }
    }

    /// Tells whether a process has the lock for itself, as far as this one may look: nothing is made, and nobody kept from it for
    /// longer than the look takes. `None`: the file can't be opened.
    pub fn is_held_alone(path: &Path) -> Option<bool> {
        match Self::try_beside(path) {
            Beside::Held => Some(true),
            Beside::Shared(_) | Beside::Absent => Some(false),
            Beside::Unknown => None,
        }
    }

    /// Keeps others from taking a lock, a file's or a folder's, for themselves, as far as this process may: nothing is made.
    pub fn try_beside(path: &Path) -> Beside {
        let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
        match OpenOptions::new().read(true).custom_flags(flags).open(path) {
            Ok(file) => match file.try_lock_shared() {
                Ok(()) => Beside::Shared(Self { file, path: path.to_owned() }),
                Err(TryLockError::WouldBlock) => Beside::Held,
                Err(TryLockError::Error(_)) => Beside::Unknown,
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => Beside::Absent,
            Err(_) => Beside::Unknown,
        }
    }

    /// Removes the lock's file while the lock is held, so that nobody else can hold a lock on a file without a name.
    pub fn remove(self) -> Result<()> {
        super::remove_file(&self.path).map(drop)
    }

    fn opened(path: &Path) -> Result<Self> {
        // A FIFO or a symlink in its place makes nobody wait.
        let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
        let open = |options: &mut OpenOptions| options.read(true).custom_flags(flags).open(path);
        let writable = open(OpenOptions::new().write(true).create(true).truncate(false).mode(MODE));
        // On a store that may only be read, a lock on what is there still works.
        let file = writable
            .or_else(|error| open(&mut OpenOptions::new()).map_err(|_| error))
            .map_err(Error::at("open the lock", path))?;
        let metadata = file.metadata().map_err(Error::at("look at", path))?;
        if !metadata.is_file() {
            return Err(Error::at("open the lock", path)(std::io::Error::other("it is no regular file; remove it")));
        }
        if metadata.uid() == rustix::process::geteuid().as_raw() && metadata.len() == 0 {
            super::give(path)?;
        }
        Ok(Self { file, path: path.to_owned() })
    }

    fn opened_folder(path: &Path) -> Result<Self> {
        let flags = (OFlags::NOFOLLOW | OFlags::DIRECTORY).bits().cast_signed();
        let file = OpenOptions::new().read(true).custom_flags(flags).open(path);
        Ok(Self { file: file.map_err(Error::at("open the lock", path))?, path: path.to_owned() })
    }

    /// Tells whether the locked file still has its name: its last holder may have removed it between our open and our lock.
    fn is_named(&self) -> Result<bool> {
        let ours = self.file.metadata().map_err(Error::at("look at", &self.path))?;
        Ok(entry(&self.path)?.is_some_and(|named| (named.dev(), named.ino()) == (ours.dev(), ours.ino())))
    }
}

/// Says who holds a lock, as far as the kernel tells: `process 4711 (wcas, stopped)`.
fn holder(path: &Path) -> String {
    let holders = lock_holders(path, LockKind::Whole);
    holders.first().map_or_else(|| "another process".to_owned(), ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_that_is_held_too_long_is_given_up_and_its_holder_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let held = Lock::exclusive(&path).unwrap();
        let error = Lock::exclusive_within(&path, Some(Duration::from_millis(30)), Lock::opened).unwrap_err();
        assert!(error.is_held(), "{error:?}");
        if Path::new("/proc/locks").exists() {
            let text = error.source.to_string();
            assert!(text.contains(&format!("process {} (", std::process::id())), "{text}");
        }
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| Lock::exclusive_at_last(&path).map(drop));
            std::thread::sleep(Duration::from_millis(80));
            drop(held);
            waiting.join().unwrap().unwrap();
        });
    }

    #[test]
    fn a_folder_is_locked_itself_and_one_in_its_place_is_another() {
        let dir = tempfile::tempdir().unwrap();
        let (path, away) = (dir.path().join("tree"), dir.path().join("away"));
        assert!(Lock::folder(&path).unwrap_err().is_not_found());
        std::fs::create_dir(&path).unwrap();
        let held = Lock::folder(&path).unwrap().unwrap();
        assert!(Lock::try_on(&path, Lock::opened_folder).unwrap().is_none());
        std::fs::rename(&path, &away).unwrap();
        std::fs::create_dir(&path).unwrap();
        assert!(Lock::try_on(&path, Lock::opened_folder).unwrap().is_some());
        assert!(Lock::try_on(&away, Lock::opened_folder).unwrap().is_none());
        drop(held);
        assert!(Lock::try_on(&away, Lock::opened_folder).unwrap().is_some());
        assert!(std::fs::read_dir(&path).unwrap().next().is_none());
    }

    #[test]
    fn a_lock_whose_file_was_removed_is_not_held() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        assert_eq!(Lock::is_held_alone(&path), Some(false));
        let first = Lock::exclusive(&path).unwrap();
        assert_eq!(Lock::is_held_alone(&path), Some(true));
        assert!(Lock::try_exclusive(&path).unwrap().is_none());
        assert!(Lock::try_shared(&path).unwrap().is_none());
        first.remove().unwrap();
        let second = Lock::try_exclusive(&path).unwrap().unwrap();
        assert!(path.exists() && Lock::try_exclusive(&path).unwrap().is_none());
        drop(second);
        let shared = Lock::try_shared(&path).unwrap().unwrap();
        assert!(Lock::try_shared(&path).unwrap().is_some());
        assert_eq!(Lock::is_held_alone(&path), Some(false), "it is shared");
        drop(shared);
    }
}
