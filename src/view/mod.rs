//! Trees on disk that show a collection: planned from plain values, built beside what readers see, then shown by renames.
//!
//! Which collection and revision a tree shows, and that its blobs are kept, is the manifest's matter; pages are rendered by the
//! caller. Here are folders, links and the swap.

mod flat;
mod link;
mod mark;
mod simple;
mod standing;

pub use flat::{Around, FlatFile, FlatPlan, FlatTree, Source};
pub use link::LinkMaker;
pub use mark::Owner;
pub use simple::{Content, Project, SimplePlan, SimpleTree};
pub use standing::Standing;

use crate::fs;
use std::path::PathBuf;

/// What went wrong with a tree.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A disk operation failed.
    #[error(transparent)]
    Disk(#[from] fs::Error),
    /// The folder holds what this program did not make.
    #[error("{} can't become a view: {why}", path.display())]
    Foreign {
        /// The folder.
        path: PathBuf,
        /// What is in the way.
        why: String,
    },
}

/// The result of working on a tree.
pub type Result<T> = std::result::Result<T, Error>;

/// A small file that a tree has of its own.
#[derive(Debug, Clone)]
pub struct Document {
    /// Its name.
    pub filename: String,
    /// What is in it.
    pub bytes: Vec<u8>,
}

/// A file of a tree.
#[derive(Debug, Clone)]
pub struct FileLink {
    /// Its name.
    pub filename: String,
    /// The blob that it shows, an absolute path.
    pub blob: PathBuf,
    /// The file that its `.metadata` shows.
    pub sidecar: Option<PathBuf>,
}
