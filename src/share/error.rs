//! What can go wrong with a share.

use crate::budget::Excess;
use crate::fs;

/// What can go wrong with a share.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// This is no place that a share or a site can be at.
    #[error("{url:?} can't be used: {why}")]
    Url {
        /// What was said.
        url: String,
        /// Why not.
        why: &'static str,
    },
    /// There is nothing, or nothing of this kind.
    #[error("there is no share at {0}: it was removed, or its filesystem isn't mounted")]
    Absent(String),
    /// It is another one than the node follows.
    #[error("{url} is the share {found}, and this store is a node of {expected}")]
    Other {
        /// Where.
        url: String,
        /// Which one is there.
        found: String,
        /// Which one should be.
        expected: String,
    },
    /// It has other things in it.
    #[error("{0} is not empty and not a share")]
    Foreign(String),
    /// It has a feature that this program doesn't know.
    #[error("the share at {url} needs {feature:?}, which this wcas doesn't know: use a newer wcas")]
    Feature {
        /// Where.
        url: String,
        /// The feature.
        feature: String,
    },
    /// Its `wcas.json` is damaged.
    #[error("the share at {url} has a wcas.json that can't be understood")]
    Format {
        /// Where.
        url: String,
        /// Why not.
        source: serde_json::Error,
    },
    /// It doesn't do what a log needs.
    #[error("{url} can't have a log: {why}")]
    Unfit {
        /// Where.
        url: String,
        /// What it does.
        why: &'static str,
    },
    /// The bucket's server can't be asked, or said no.
    #[error("the bucket can't {act} {key}")]
    Bucket {
        /// What was tried, as a verb.
        act: &'static str,
        /// Which object.
        key: String,
        /// Why not.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Nothing says who asks.
    #[error(
        "the share can't be asked without credentials: {unset} and its like aren't set, and this machine has no role of its own"
    )]
    Credentials {
        /// The variable that usually says it.
        unset: &'static str,
        /// What the machine said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// This program can't ask buckets and databases.
    #[error(
        "{0} can't be asked: this wcas was built without its feature `shared`, which buckets and databases need (a share in a folder, file:///…, does without)"
    )]
    Without(String),
    /// There can be no client for buckets.
    #[error("there can be no client for buckets: {0}")]
    Client(String),
    /// This is no place that a log can be at.
    #[error("{url:?} can't be a log: {why}")]
    Log {
        /// What was said.
        url: String,
        /// Why not.
        why: String,
    },
    /// The log's database can't be asked, or said no.
    #[error("the share can't {act} its log in PostgreSQL: {why}")]
    Database {
        /// What was tried, as a verb.
        act: &'static str,
        /// Why not.
        why: String,
    },
    /// It is no share, and nothing is written to its log.
    #[error(
        "{0} is a backup: `wcas restore` makes a store of it, which can be read meanwhile, and written when that has ended"
    )]
    Backup(String),
    /// There is no backup.
    #[error("there is no backup at {0}")]
    NoBackup(String),
    /// It is another store's.
    #[error("{url} is the backup of another store, {found}: each has a place of its own")]
    OtherBackup {
        /// Where.
        url: String,
        /// Which store's.
        found: String,
    },
    /// An object would be beside the site that it is to be a part of.
    #[error("a site can't have an object {0:?}")]
    Key(String),
    /// An object doesn't have the bytes that it is named after.
    #[error("the share's object {0} has wrong bytes")]
    WrongBytes(String),
    /// More came of an object, or of a folder's list, than is taken.
    #[error("{key} of the share is refused: it gives {excess}")]
    TooLarge {
        /// Which one.
        key: String,
        /// More than what.
        excess: Excess,
    },
    /// A disk operation failed.
    #[error(transparent)]
    Disk(#[from] fs::Error),
}

/// The result of using a share.
pub type Result<T> = std::result::Result<T, Error>;
