//! The mark of a tree: whose it is, what it shows, and (flat trees) which files in its folder are ours.

use super::{Error, Result};
use crate::digest::{Blake3, Digests, Hasher};
use crate::fs::{self, Folder, Signature};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What earlier versions wrote instead of a document.
const LEGACY: &[u8] = b"made by wcas; replaced as a whole\n";
/// A mark is not larger: a million files.
const MAX_BYTES: u64 = 512 << 20;

/// Who makes a tree, where, and of what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// The store's identity.
    pub store: String,
    /// The store's folder: one that was made anew in its place goes on with its trees.
    pub root: String,
    /// The tree's folder.
    pub view: String,
    /// What is shown: `collection cuda`, `variant cuda`.
    pub shows: String,
}

impl Owner {
    /// Tells whether two trees are of one store.
    pub fn is_same_store(&self, other: &Self) -> bool {
        self.store == other.store || self.root == other.root
    }
}

/// A tree's mark.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    /// Whose the tree is.
    #[serde(flatten)]
    pub owner: Owner,
    /// The files that were made, by name; of one that is being replaced also the next.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) files: BTreeMap<String, Vec<Made>>,
    /// The folder in which files are made before they have their names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) staging: Option<String>,
    /// Whether `files` names all that is in that folder: it may hold what was taken out of the tree.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) is_ready: bool,
}

/// What a mark file holds.
#[derive(Debug)]
pub(super) enum Found {
    /// There is none.
    Nothing,
    /// One of a version that replaced the whole folder, and so named no files.
    Legacy,
    /// A mark.
    Mark(Mark),
}

impl Mark {
    pub(super) fn new(owner: &Owner) -> Self {
        Self { owner: owner.clone(), files: BTreeMap::new(), staging: None, is_ready: false }
    }

    /// Reads a mark; one that this user didn't write isn't believed.
    pub(super) fn read(folder: &Folder, name: &str) -> Result<Found> {
        let foreign = |why: String| Error::Foreign { path: folder.path().to_owned(), why };
        let Some((bytes, is_own)) = folder.read(name, MAX_BYTES)? else { return Ok(Found::Nothing) };
        if !is_own {
            return Err(foreign(format!("`{name}` in it is another user's")));
        }
        if bytes == LEGACY {
            return Ok(Found::Legacy);
        }
        let mark: Self = serde_json::from_slice(&bytes)
            .map_err(|error| foreign(format!("`{name}` in it can't be understood: {error}")))?;
        let is_name = |name: &String| !name.is_empty() && !name.contains('/') && name != "." && name != "..";
        match mark.files.keys().chain(&mark.staging).all(is_name) {
            true => Ok(Found::Mark(mark)),
            false => Err(foreign(format!("`{name}` in it names files elsewhere"))),
        }
    }

    /// Writes the mark, durably.
    pub(super) fn write(&self, folder: &Folder, name: &str) -> Result<()> {
        let bytes = serde_json::to_vec(self).map_err(|error| Error::Foreign {
            path: folder.path().to_owned(),
            why: format!("its mark can't be written: {error}"),
        })?;
        Ok(fs::write_durable(&folder.at(name), &bytes)?)
    }

    /// Tells whether what stands at a path is what was made under this name, unchanged.
    pub(super) fn is_made(&self, name: &str, path: &Path) -> Result<bool> {
        for made in self.files.get(name).into_iter().flatten() {
            if made.is_at(path)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// A file as it was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Made {
    /// A symbolic link with this text.
    Link {
        /// The text.
        link: PathBuf,
    },
    /// A file with bytes of its own, or a hard link.
    File {
        /// The digest of its bytes.
        blake3: String,
        /// How often the blob's bytes had been found bad.
        #[serde(default)]
        epoch: i64,
        /// How it has its bytes.
        kind: String,
        /// Inode, size and modification time: while they stay, nobody wrote to it.
        stat: (i64, u64, i64),
    },
}

impl Made {
    /// Describes the file at a path, which was made just now.
    pub(super) fn at(path: &Path, blake3: &Blake3, epoch: i64, kind: &str) -> Result<Self> {
        let found =
            fs::entry(path)?.ok_or_else(|| fs::Error::at("look at", path)(std::io::ErrorKind::NotFound.into()))?;
        if found.is_symlink() {
            return Ok(Self::Link { link: std::fs::read_link(path).map_err(fs::Error::at("read", path))? });
        }
        let found = Signature::of(&found);
        let stat = (found.inode, found.size, found.modified_ns);
        Ok(Self::File { blake3: blake3.to_string(), epoch, kind: kind.to_owned(), stat })
    }

    /// Tells whether this is at a path. A file that was moved to another disk, or came back from a backup, is known by its bytes.
    pub(super) fn is_at(&self, path: &Path) -> Result<bool> {
        let Some(found) = fs::entry(path)? else { return Ok(false) };
        Ok(match self {
            Self::Link { link } => {
                found.is_symlink() && std::fs::read_link(path).is_ok_and(|found| found.as_path() == link)
            }
            Self::File { .. } if !found.is_file() => false,
            Self::File { blake3, stat, .. } => {
                let found = Signature::of(&found);
                found.is_recorded(Some(stat.0), stat.1, Some(stat.2))
                    || found.size == stat.1 && digests(path)?.blake3.to_string() == *blake3
            }
        })
    }
}

/// Takes the digests of a file's bytes.
pub(super) fn digests(path: &Path) -> Result<Digests> {
    let mut hasher = Hasher::default();
    fs::read_parts(&fs::open(path)?, path, |part| {
        hasher.update(part);
        Ok(())
    })?;
    Ok(hasher.finish())
}
