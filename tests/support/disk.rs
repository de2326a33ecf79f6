//! Small filesystems, which fill quickly. Only root may mount them.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "each test crate uses its own part, and tests may panic and say what they skip"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A small filesystem in memory, gone with the value.
pub(crate) struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Mounts it with these options (`size=`, `nr_inodes=`); none where that is not allowed.
    pub(crate) fn mount(at: &Path, options: &str) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        let mut mount = Command::new("mount");
        let done = mount.args(["-t", "tmpfs", "-o", &format!("{options},mode=0755"), "tmpfs"]).arg(at).output();
        let is_mounted = done.is_ok_and(|output| output.status.success());
        if !is_mounted {
            super::skip::skip("this user may not mount a filesystem, so nothing was tried on a full one");
        }
        is_mounted.then(|| Self(at.to_owned()))
    }

    /// Returns where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Fills it with bytes, or with names, until nothing more goes.
    pub(crate) fn fill(&self, with: Fill) {
        let zeros = vec![0; 1 << 20];
        let file = || (0..).map(|number| self.0.join(format!("filling-{number}"))).find(|path| !path.exists()).unwrap();
        match with {
            Fill::Bytes => {
                let path = file();
                let mut size = zeros.len();
                while size > 0 {
                    use std::io::Write;
                    let mut open = fs::File::options().create(true).append(true).open(&path).unwrap();
                    if open.write(&zeros[..size]).is_err() {
                        size /= 2;
                    }
                }
            }
            Fill::Names => while fs::File::create(file()).is_ok() {},
        }
    }
}

/// What a disk is filled with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fill {
    Bytes,
    Names,
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(&self.0).status());
    }
}
