//! A folder that can be put back as it was, and the real binary stopped at its k-th disk change in it.

use crate::state;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// What a command works on: all that is put back.
const PARTS: [&str; 3] = ["store", "src", "views"];
/// The exit code of what was killed, as a shell tells it.
pub(crate) const KILLED: i32 = 137;

pub(crate) struct Sandbox {
    root: PathBuf,
    _dir: TempDir,
}

/// What can be seen from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    /// What `list` shows.
    pub(crate) listing: Vec<String>,
    /// What each tree shows.
    pub(crate) trees: BTreeMap<String, BTreeMap<String, String>>,
}

pub(crate) struct Output {
    pub(crate) code: i32,
    pub(crate) stderr: String,
}

impl Sandbox {
    pub(crate) fn new() -> Self {
        // Thousands of runs: nothing here is about the disk itself, so memory will do where there is a filesystem in it.
        let dir = TempDir::with_prefix_in("wcas-crash-", "/dev/shm").or_else(|_| TempDir::with_prefix("wcas-crash-"));
        let dir = dir.expect("a temporary folder can be made");
        let root = dir.path().canonicalize().expect("a new folder has a path");
        fs::create_dir_all(root.join("views")).expect("a new folder can be written");
        Self { root, _dir: dir }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.path("store")
    }

    /// Runs a command, with a fault if one is given.
    pub(crate) fn run(&self, fault: Option<&str>, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wcas"));
        command.args(args).current_dir(&self.root).stdin(Stdio::null()).env_clear();
        command.env("WCAS_STORE", self.store()).env("HOME", &self.root).env("TMPDIR", &self.root);
        command.envs(fault.map(|fault| ("WCAS_FAULT", fault)));
        let output = command.output().expect("the binary starts");
        let signal = || 128 + output.status.signal().expect("a command without a code was ended by a signal");
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        Output { code: output.status.code().unwrap_or_else(signal), stderr }
    }

    /// Runs a command that must succeed.
    #[track_caller]
    pub(crate) fn ok(&self, args: &[&str]) {
        let Output { code, stderr } = self.run(None, args);
        assert_eq!(code, 0, "{args:?} must succeed: {stderr}");
    }

    /// Remembers how everything is.
    pub(crate) fn save(&self) {
        for part in PARTS {
            copy(&self.path(part), &self.path("saved").join(part));
        }
    }

    /// Puts everything back as it was saved.
    pub(crate) fn restore(&self) {
        for part in PARTS {
            if self.path(part).exists() {
                fs::remove_dir_all(self.path(part)).expect("a test's folder can be removed");
            }
            copy(&self.path("saved").join(part), &self.path(part));
        }
    }

    /// Looks at all that can be seen from outside.
    pub(crate) fn look(&self) -> Seen {
        let views = self.path("views");
        // What lies beside a flat tree is not shown.
        let shown = state::names(&views).into_iter().filter(|name| !name.starts_with('.'));
        let trees = shown.map(|name| (state::tree(&views.join(&name)), name)).filter(|(tree, _)| !tree.is_empty());
        let trees = trees.map(|(tree, name)| (name, tree)).collect();
        Seen { listing: state::listing(&self.store()), trees }
    }

    /// Returns the bytes that stand wrongly at the names of these blobs, or once stood there.
    pub(crate) fn wrong_bytes(&self, bad: &BTreeSet<String>) -> BTreeSet<Vec<u8>> {
        let read = |path: PathBuf| fs::read(path).ok();
        let at_names = bad.iter().filter_map(|blob| read(state::blob_path(&self.store(), blob)));
        let quarantine = self.path("store/quarantine");
        at_names.chain(state::names(&quarantine).into_iter().filter_map(|name| read(quarantine.join(name)))).collect()
    }
}

/// Copies a folder: modes, times and symlinks are kept, hard links are not.
fn copy(from: &Path, to: &Path) {
    let Ok(metadata) = fs::symlink_metadata(from) else { return };
    let done = if metadata.is_dir() {
        fs::create_dir_all(to).expect("a test's folder can be made");
        state::names(from).iter().for_each(|name| copy(&from.join(name), &to.join(name)));
        return;
    } else if metadata.is_symlink() {
        fs::read_link(from).and_then(|target| std::os::unix::fs::symlink(target, to))
    } else if metadata.len() >= 1 << 20 {
        // Only the reserve is that large, and only its size counts.
        File::create_new(to).and_then(|file| file.set_len(metadata.len()))
    } else {
        fs::read(from).and_then(|bytes| fs::write(to, bytes)).and_then(|()| {
            File::open(to)?.set_modified(metadata.modified()?)?;
            fs::set_permissions(to, metadata.permissions())
        })
    };
    done.unwrap_or_else(|error| panic!("{} can be copied: {error}", from.display()));
}
