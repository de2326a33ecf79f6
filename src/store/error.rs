//! Why a store could not be opened or used.

use super::MAX_PATH_BYTES;
use crate::{fs, manifest, share};
use std::path::PathBuf;

/// Why a store could not be opened or used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is none.
    #[error("there is no store at {}", .0.display())]
    Absent(PathBuf),
    /// The folder has other things in it.
    #[error("{} is not empty and not a store", .0.display())]
    Foreign(PathBuf),
    /// SQLite takes no longer paths than 512 bytes.
    #[error("the path of a store at {} is too long: {bytes} bytes, and {MAX_PATH_BYTES} is the most", path.display())]
    TooLong {
        /// The store.
        path: PathBuf,
        /// How long it is.
        bytes: usize,
    },
    /// `wcas.json` is damaged.
    #[error("{} can't be understood", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: serde_json::Error,
    },
    /// The store has a feature that this program doesn't know.
    #[error("the store at {} needs {feature:?}, which this wcas doesn't know: use a newer wcas", path.display())]
    Feature {
        /// The store.
        path: PathBuf,
        /// The feature.
        feature: String,
    },
    /// The manifest is gone.
    #[error("the store at {} has lost its manifest.sqlite", .0.display())]
    NoManifest(PathBuf),
    /// The store can be read but not written.
    #[error("the store at {} can't be written: {why}", path.display())]
    ReadOnly {
        /// The store.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// The store can be read, and not written before there is room.
    #[error("the store at {} can't be written: its disk has no room left", .0.display())]
    NoRoom(PathBuf),
    /// Another process has the store for itself.
    #[error("{what} is in use by {holder}")]
    Busy {
        /// Which lock.
        what: &'static str,
        /// Who holds it.
        holder: String,
    },
    /// A disk operation failed.
    #[error(transparent)]
    Disk(#[from] fs::Error),
    /// The manifest failed.
    #[error(transparent)]
    Manifest(#[from] manifest::Error),
    /// The share's log can't be reached.
    #[error("the shared store's log can't be followed: {0}")]
    Behind(String),
    /// A node's manifest isn't made of the blobs that it happens to have.
    #[error("the store at {} is a node of {url}: its manifest is the share's", path.display())]
    Node {
        /// The store.
        path: PathBuf,
        /// The share.
        url: String,
    },
    /// A node whose `wcas.json` is gone doesn't know of which share it is one.
    #[error("the store at {} is a node of a shared one, and has lost the wcas.json that says of which", .0.display())]
    LostNode(PathBuf),
    /// The share failed.
    #[error(transparent)]
    Share(#[from] share::Error),
}

/// The result of using a store.
pub type Result<T> = std::result::Result<T, Error>;
