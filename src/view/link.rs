//! How a file of a tree has its bytes.

use crate::fs::{self, Folder, Result};
use std::path::{Component, Path, PathBuf};

/// Makes links of one kind; where a kind can't be had for a file, the next best is taken for that file.
#[derive(Debug, Clone)]
pub enum LinkMaker {
    /// Relative symbolic links to files below `root`, which `up` leads to from the folder of the links.
    Symlink {
        /// The store's folder.
        root: PathBuf,
        /// From the links to it.
        up: PathBuf,
    },
    /// Hard links, else copies.
    Hardlink,
    /// Clones, else copies.
    Reflink,
    /// Copies.
    Copy,
}

impl LinkMaker {
    /// Makes relative symbolic links from `dir` to files below `root`; both are absolute and free of symlinks.
    pub fn relative(dir: &Path, root: &Path) -> Self {
        Self::Symlink { root: root.to_owned(), up: relative(dir, root) }
    }

    /// Returns the kind's name.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Symlink { .. } => "symlink",
            Self::Hardlink => "hardlink",
            Self::Reflink => "reflink",
            Self::Copy => "copy",
        }
    }

    /// Returns what a symbolic link to a file of the store says, if links are symbolic.
    pub fn target(&self, original: &Path) -> Option<PathBuf> {
        let Self::Symlink { root, up } = self else { return None };
        Some(up.join(original.strip_prefix(root).expect("only files of the store are linked")))
    }

    /// Links a file of the store under a name in an open folder.
    pub fn link_in(&self, original: &Path, dir: &Folder, name: &str) -> Result<()> {
        match self {
            Self::Hardlink => match dir.hard_link(original, name) {
                Err(error) if fs::needs_copy(&error) => copy(original, &dir.at(name)),
                done => done,
            },
            _ => self.link(original, &dir.at(name)),
        }
    }

    /// Links a file of the store.
    pub fn link(&self, original: &Path, link: &Path) -> Result<()> {
        match self {
            Self::Symlink { .. } => fs::symlink(&self.target(original).unwrap_or_default(), link),
            Self::Hardlink => match fs::hard_link(original, link) {
                Err(error) if fs::needs_copy(&error) => copy(original, link),
                done => done,
            },
            Self::Reflink => {
                let file = fs::open(original)?;
                if fs::reflink(&file, link, fs::FILE)?.is_some() { Ok(()) } else { copy(original, link) }
            }
            Self::Copy => copy(original, link),
        }
    }
}

fn copy(original: &Path, link: &Path) -> Result<()> {
    let file = fs::open(original)?;
    let seen = file.metadata().map_err(fs::Error::at("look at", original))?;
    fs::copy_into(&file, &seen, original, link, fs::FILE, |_| {}).map(drop)
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
