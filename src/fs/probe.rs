//! What is known of the machine and the filesystem under a path.

use super::{Error, Result};
use rustix::fs::StatVfsMountFlags;
use std::path::Path;

/// What the index of the manifest's log takes, and as much again for the folders above.
const SMALLEST_BYTES: u64 = 64 << 10;

/// A kind of filesystem, as far as it matters to a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filesystem {
    /// The usual name, or the magic number in hexadecimal digits.
    pub name: String,
    /// Whether locks and renames may not hold across machines: such a store is not written to.
    pub is_network: bool,
}

/// Tells the kind of the filesystem that holds `path`.
pub fn filesystem(path: &Path) -> Result<Filesystem> {
    let stat = rustix::fs::statfs(path).map_err(|error| Error::at("look at the filesystem of", path)(error.into()))?;
    // The numbers are those of statfs(2) and linux/magic.h.
    let (name, is_network) = match stat.f_type as u32 {
        0xef53 => ("ext4", false),
        0x5846_5342 => ("xfs", false),
        0x9123_683e => ("btrfs", false),
        0x0102_1994 => ("tmpfs", false),
        0x794c_7630 => ("overlayfs", false),
        0x2fc1_2fc1 => ("zfs", false),
        0xf2f5_2010 => ("f2fs", false),
        0xca45_1a4e => ("bcachefs", false),
        0x6969 => ("nfs", true),
        0xff53_4d42 | 0xfe53_4d42 | 0x517b => ("smb", true),
        0x0bd0_0bd0 => ("lustre", true),
        0x00c3_6400 => ("ceph", true),
        0x0102_1997 => ("9p", true),
        0x5346_414f => ("afs", true),
        0x6573_5546 => ("fuse", false),
        number => return Ok(Filesystem { name: format!("0x{number:x}"), is_network: false }),
    };
    Ok(Filesystem { name: name.to_owned(), is_network })
}

/// Tells whether the filesystem of `path` sets the change times of its files by itself, so that no file can have another's. What is
/// mounted read-only may be an image, and what isn't known may be anything.
pub(super) fn keeps_change_times(path: &Path) -> bool {
    const KEEP: [&str; 11] =
        ["ext4", "xfs", "btrfs", "tmpfs", "overlayfs", "zfs", "f2fs", "bcachefs", "nfs", "lustre", "ceph"];
    let is_known = filesystem(path).is_ok_and(|found| KEEP.contains(&found.name.as_str()));
    let is_written = rustix::fs::statvfs(path).is_ok_and(|stat| !stat.f_flag.contains(StatVfsMountFlags::RDONLY));
    is_known && is_written
}

/// Returns how many bytes an unprivileged user can still write on the filesystem of `path`.
pub fn free_bytes(path: &Path) -> Result<u64> {
    let stat = rustix::fs::statvfs(path).map_err(|error| Error::at("look at the filesystem of", path)(error.into()))?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Returns how many names can still be made on the filesystem of `path`; `None` where they don't run out before the bytes.
pub fn free_names(path: &Path) -> Result<Option<u64>> {
    let stat = rustix::fs::statvfs(path).map_err(|error| Error::at("look at the filesystem of", path)(error.into()))?;
    Ok((stat.f_files > 0).then_some(stat.f_favail))
}

/// Tells whether a filesystem has no room for anything: not for the smallest file, or for no name.
pub fn is_full(path: &Path) -> bool {
    free_bytes(path).is_ok_and(|free| free < SMALLEST_BYTES) || free_names(path).is_ok_and(|free| free == Some(0))
}

/// Returns how many threads this process may still begin, as far as a limit says so: the user's, or the control group's.
pub fn threads_left() -> Option<u64> {
    use rustix::process::{Resource, getrlimit};
    // How many the user has is not counted here: a limit alone says how tight it may be.
    let user = getrlimit(Resource::Nproc).current.filter(|limit| *limit < 4096);
    let own = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let group = own.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or("/");
    let dir = Path::new("/sys/fs/cgroup").join(group.trim_start_matches('/'));
    let read = |name: &str| std::fs::read_to_string(dir.join(name)).ok()?.trim().parse::<u64>().ok();
    let group = read("pids.max").map(|most| most.saturating_sub(read("pids.current").unwrap_or(0)));
    // A thread's stack is memory, too.
    let memory = [Resource::As, Resource::Data].into_iter().find_map(|limit| getrlimit(limit).current);
    [user.map(|_| 0), memory.map(|_| 0), group].into_iter().flatten().min()
}

/// Returns the kernel's identity of this boot, empty where there is none.
pub fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

/// Returns what tells the filesystem of a path from others.
pub fn device(path: &Path) -> Result<u64> {
    use std::os::unix::fs::MetadataExt;
    Ok(std::fs::metadata(path).map_err(Error::at("look at", path))?.dev())
}

/// Tells whether a process of this number runs on this machine, whosever it is.
pub fn is_running(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    pid.is_some_and(|pid| rustix::process::test_kill_process(pid) != Err(rustix::io::Errno::SRCH))
}

/// Returns this machine's name.
pub fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Returns the number of the user whose rights this process has.
pub fn user_id() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Returns the name that this machine's own list has for a user.
pub fn user_name(id: u32) -> Option<String> {
    let users = std::fs::read_to_string("/etc/passwd").ok()?;
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == id.to_string()).then(|| name.to_owned())
    })
}

/// Returns what tells this machine from others, as far as it says.
pub fn machine() -> String {
    let id = std::fs::read_to_string("/etc/machine-id").unwrap_or_default();
    if id.trim().is_empty() { host_name() } else { id.trim().to_owned() }
}

/// Returns a name that nobody else has: 32 hexadecimal digits from the system's random numbers.
pub fn unique_name() -> String {
    use std::hash::{BuildHasher, Hasher, RandomState};
    let random = || RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", random(), random() ^ u64::from(std::process::id()).rotate_left(32))
}
