//! What can go wrong with the manifest, and what that means to whoever asked.

use super::LogError;
use super::schema::version;
use rusqlite::ErrorCode;
use std::path::PathBuf;

/// What can go wrong with the manifest.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// SQLite said no.
    #[error("the manifest can't be read or written")]
    Sqlite(#[from] rusqlite::Error),
    /// A disk operation failed.
    #[error(transparent)]
    Disk(#[from] crate::fs::Error),
    /// The file is some other program's.
    #[error("{} is not a wcas manifest", .0.display())]
    Foreign(PathBuf),
    /// The file came from elsewhere, and its schema has what no wcas writes.
    #[error("{} came from elsewhere and has tables, triggers or views that wcas doesn't write", .0.display())]
    Altered(PathBuf),
    /// The file was written by an older wcas, and whoever can't write can't bring it up to date.
    #[error("{} has schema {found}, and this wcas needs {}: its owner brings it up to date with any command that writes", path.display(), version())]
    Older {
        /// The manifest.
        path: PathBuf,
        /// Its version.
        found: i64,
    },
    /// Another process has held the lock that writers need for as long as was waited.
    #[error("the manifest is locked for writing by {0}")]
    Held(String),
    /// The file at the manifest's path is not the one that was opened.
    #[error("{} was replaced or removed while this command had it open, and what is there now doesn't have this change", .0.display())]
    Replaced(PathBuf),
    /// The shared store's log can't be asked or written.
    #[error("the shared store's log can't be reached")]
    Log(#[source] LogError),
    /// The shared store's log was written to, and it isn't known with what end: a request that was given up may still arrive.
    #[error("the shared store's log could not be written, and whether the change counts isn't known")]
    Unsure(#[source] LogError),
    /// This folder has no number of its own in the shared store yet: its log could not be reached since it was made.
    #[error("this store has not joined its shared store yet, whose log could not be reached")]
    NotJoined,
    /// Another node has committed to the shared store meanwhile: the same command may succeed.
    #[error("another node of the shared store has changed it meanwhile")]
    Conflict,
    /// What was put into the share waited for its commit for so long that it is taken for left behind: it must be put again.
    #[error("what was put into the share waited too long for its commit")]
    Fenced,
    /// The shared store's log is not the one that this folder followed.
    #[error("record {0} of the shared store's log is not the one that follows from what this folder has")]
    Diverged(i64),
    /// This folder was away for so long that records of the shared store's log which it lacks were pruned.
    #[error(
        "this node is too far behind: it knows the shared store's log up to record {0}, and records after it were pruned"
    )]
    TooFarBehind(i64),
    /// A record can't be understood.
    #[error("record {0} of the shared store's log is damaged")]
    DamagedRecord(i64),
    /// A record was written by a newer wcas.
    #[error(
        "record {number} of the shared store's log has schema {schema}, and this wcas knows up to {}: use a newer wcas",
        version()
    )]
    NewerRecord {
        /// The record.
        number: i64,
        /// Its schema.
        schema: i64,
    },
    /// What is to be written can't be said in the schema that the shared store's records have still.
    #[error(
        "nodes with an older wcas can't read this change (the shared store's records have schema {schema}, this wcas {}): run `wcas upgrade` once all nodes have this version",
        version()
    )]
    NotUpgraded {
        /// The schema of the records.
        schema: i64,
    },
    /// The file was written by a newer wcas.
    #[error("{} has schema {found}, and this wcas knows up to {}: use a newer wcas", path.display(), version())]
    Newer {
        /// The manifest.
        path: PathBuf,
        /// Its version.
        found: i64,
    },
}

impl Error {
    /// Tells whether another process held the manifest for too long, or put another in its place: the same command may succeed.
    pub fn is_busy(&self) -> bool {
        matches!(self, Self::Held(_) | Self::Replaced(_) | Self::Conflict | Self::Fenced)
            || matches!(self.code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
    }

    /// Tells whether another node of a shared store was faster: the same command, run again, decides on what that has committed.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Conflict | Self::Fenced)
    }

    /// Tells whether it is the shared store's log that can't be followed: what is here can be read all the same.
    pub fn is_of_log(&self) -> bool {
        matches!(
            self,
            Self::Log(_)
                | Self::Diverged(_)
                | Self::TooFarBehind(_)
                | Self::DamagedRecord(_)
                | Self::NewerRecord { .. }
        )
    }

    /// Tells whether the disk is full.
    pub fn is_full(&self) -> bool {
        match self {
            Self::Disk(error) => error.is_full(),
            _ => self.code() == Some(ErrorCode::DiskFull),
        }
    }

    /// Tells whether a lack of room may be behind it: SQLite has no word of its own for a log that can't be made.
    pub fn may_want_room(&self) -> bool {
        self.is_full() || matches!(self.code(), Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen))
    }

    /// Tells whether the manifest itself is damaged: its pages, or its words.
    pub fn is_corrupt(&self) -> bool {
        matches!(self.code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)) || self.is_other_schema()
    }

    /// Tells whether the schema isn't the one that this program's statements are for. They are its own, so what they name was there when
    /// it was opened: a newer program has changed it since, or it is damaged.
    pub fn is_other_schema(&self) -> bool {
        use rusqlite::Error::{
            FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnIndex, InvalidColumnName, InvalidColumnType,
        };
        let is_odd = matches!(
            self,
            Self::Sqlite(
                FromSqlConversionFailure(..)
                    | IntegralValueOutOfRange(..)
                    | InvalidColumnIndex(_)
                    | InvalidColumnName(_)
                    | InvalidColumnType(..)
            )
        );
        is_odd || self.code() == Some(ErrorCode::Unknown)
    }

    fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Sqlite(error) => error.sqlite_error_code(),
            _ => None,
        }
    }
}

/// The result of asking the manifest.
pub type Result<T> = std::result::Result<T, Error>;
