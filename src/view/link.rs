//! How a file of a tree has its bytes.

use crate::fs::{self, Error, Result};
use std::path::{Component, Path, PathBuf};

/// Makes links of one kind; where a kind can't be had for a file, the next best is taken for that file.
#[derive(Debug, Clone)]
pub enum LinkMaker {
    /// Relative symbolic links: this leads from the folder of the links to the folder above the blobs' shards.
    Symlink(PathBuf),
    /// Hard links, else copies.
    Hardlink,
    /// Clones, else copies.
    Reflink,
    /// Copies.
    Copy,
}

impl LinkMaker {
    /// Makes relative symbolic links from files in `dir` to blobs below `blobs`; both are absolute and free of symlinks.
    pub fn relative(dir: &Path, blobs: &Path) -> Self {
        Self::Symlink(relative(dir, blobs))
    }

    /// Links a blob.
    pub fn link(&self, blob: &Path, link: &Path) -> Result<()> {
        match self {
            Self::Symlink(prefix) => {
                let mut target = prefix.clone();
                let shard = blob.parent().and_then(Path::file_name).unwrap_or_default();
                target.push(shard);
                target.push(blob.file_name().unwrap_or_default());
                fs::symlink(&target, link)
            }
            Self::Hardlink => match fs::hard_link(blob, link) {
                Err(error) if is_fallback(&error) => copy(blob, link),
                done => done,
            },
            Self::Reflink => {
                let file = fs::open(blob)?;
                if fs::reflink(&file, link, 0o644)? { Ok(()) } else { copy(blob, link) }
            }
            Self::Copy => copy(blob, link),
        }
    }
}

fn is_fallback(error: &Error) -> bool {
    use std::io::ErrorKind::{CrossesDevices, PermissionDenied, TooManyLinks, Unsupported};
    matches!(error.source.kind(), CrossesDevices | TooManyLinks | PermissionDenied | Unsupported)
}

fn copy(blob: &Path, link: &Path) -> Result<()> {
    let file = fs::open(blob)?;
    fs::copy_into(&file, blob, link, 0o644, |_| {}).map(drop)
}

/// Returns the path that leads from the folder `from` to `to`.
fn relative(from: &Path, to: &Path) -> PathBuf {
    let (from, to): (Vec<Component<'_>>, Vec<Component<'_>>) = (from.components().collect(), to.components().collect());
    let common = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let up = std::iter::repeat_n(Component::ParentDir, from.len() - common);
    up.chain(to[common..].iter().copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relative_path_leads_from_folder_to_folder() {
        for (from, to, path) in [
            ("/srv/view/p/x", "/srv/store/blobs/b3", "../../../store/blobs/b3"),
            ("/a", "/a/b", "b"),
            ("/a/b/c", "/d", "../../../d"),
        ] {
            assert_eq!(relative(Path::new(from), Path::new(to)), Path::new(path));
        }
    }
}
