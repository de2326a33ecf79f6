//! One error for all commands, with a kind that tells a caller what to do about it.

use crate::digest::Blake3;
use crate::{fs, manifest, name, requirement, share, store, view, wheel};
use std::path::PathBuf;

/// What a caller can do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// Something failed.
    Failed,
    /// The question was wrong.
    Usage,
    /// There is no such thing.
    NotFound,
    /// Another process is at it: try again.
    Busy,
}

/// Why a command did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A disk operation failed.
    #[error(transparent)]
    Disk(#[from] fs::Error),
    /// The manifest failed.
    #[error(transparent)]
    Manifest(#[from] manifest::Error),
    /// The store can't be opened or used.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The share can't be used.
    #[error(transparent)]
    Share(#[from] share::Error),
    /// A store that lacks bytes can't leave its share, or its backup.
    #[error("{blake3} can't be fetched ({why}), so the store stays a node; run it again")]
    Unfetched {
        /// Which blob.
        blake3: Blake3,
        /// Why not.
        why: String,
    },
    /// A tree can't be made.
    #[error(transparent)]
    View(#[from] view::Error),
    /// A name was refused.
    #[error(transparent)]
    Name(#[from] name::NameError),
    /// A specification was refused.
    #[error(transparent)]
    Spec(#[from] requirement::SpecError),
    /// A Python version or platform was refused.
    #[error(transparent)]
    Target(#[from] wheel::TargetError),
    /// There is no such collection.
    #[error("there is no collection {name:?}")]
    NoCollection {
        /// What was asked for.
        name: String,
        /// Those that there are.
        known: Vec<String>,
    },
    /// There is no such revision, or its entries were collected.
    #[error("collection {collection} has no revision {asked}: {why}")]
    NoRevision {
        /// The collection.
        collection: String,
        /// What was asked for.
        asked: String,
        /// Why not.
        why: String,
    },
    /// Nothing matches.
    #[error("nothing matches {0}")]
    NoMatch(String),
    /// There is no such thing.
    #[error("there is no {0}")]
    NoSuch(String),
    /// There is such a distribution, but not its bytes.
    #[error("the bytes of {0} are lost")]
    Lost(String),
    /// What is needed could not be fetched.
    #[error("{0}")]
    Fetch(String),
    /// The command would do what was not asked for clearly enough.
    #[error("{0}")]
    Refused(String),
    /// A folder that can't become a view.
    #[error("{} can't be made a view: {why}", path.display())]
    ViewTarget {
        /// The folder.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// A second BLAKE3 digest for a known SHA-256 digest: one of the two algorithms is broken, or memory is.
    #[error("blob {known} and {} have the same SHA-256 digest {sha256}", path.display())]
    Collision {
        /// The blob that is known.
        known: crate::digest::Blake3,
        /// The file that isn't.
        path: PathBuf,
        /// The digest that both have.
        sha256: crate::digest::Sha256,
    },
}

/// The result of a command.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Returns what a caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NoCollection { .. } | Self::NoRevision { .. } | Self::NoMatch(_) | Self::NoSuch(_) => {
                ErrorKind::NotFound
            }
            Self::Store(store::Error::Absent(_)) => ErrorKind::NotFound,
            Self::Store(store::Error::Busy { .. }) => ErrorKind::Busy,
            Self::Disk(error) | Self::Store(store::Error::Disk(error)) if error.is_held() => ErrorKind::Busy,
            Self::Store(store::Error::Manifest(error)) | Self::Manifest(error) if error.is_busy() => ErrorKind::Busy,
            Self::Share(share::Error::Url { .. } | share::Error::Without(_))
            | Self::Store(store::Error::Share(share::Error::Without(_))) => ErrorKind::Usage,
            Self::Name(_) | Self::Spec(_) | Self::Target(_) | Self::Refused(_) => ErrorKind::Usage,
            _ => ErrorKind::Failed,
        }
    }

    /// Tells whether what was put into a share waited too long for its commit.
    pub fn is_fenced(&self) -> bool {
        matches!(self, Self::Manifest(manifest::Error::Fenced))
    }

    /// Tells whether the disk is full.
    pub fn is_full(&self) -> bool {
        match self {
            Self::Disk(error) | Self::Store(store::Error::Disk(error)) | Self::View(view::Error::Disk(error)) => {
                error.is_full()
            }
            Self::Manifest(error) | Self::Store(store::Error::Manifest(error)) => error.is_full(),
            Self::Store(store::Error::NoRoom(_)) => true,
            _ => false,
        }
    }

    /// Returns what to do next, where that isn't plain from the message.
    pub fn hint(&self) -> Option<String> {
        if matches!(self, Self::Disk(error) if error.path.as_os_str() == "standard output") {
            return None;
        }
        if self.is_full() {
            return Some(
                "the disk is full: `wcas gc` frees room even then, with its reserve (`--grace 0` at once)".to_owned(),
            );
        }
        match self {
            Self::Disk(error) | Self::Store(store::Error::Disk(error)) if error.is_held() => {
                Some("see what that process is at: a stopped one goes on with `kill -CONT`".to_owned())
            }
            Self::NoCollection { known, .. } if known.is_empty() => Some(
                "there are no collections yet; `wcas import PATH` or `wcas collection create NAME` makes one"
                    .to_owned(),
            ),
            Self::NoCollection { known, .. } => Some(format!("the collections are: {}", known.join(", "))),
            Self::Store(store::Error::Absent(_)) => Some(
                "`wcas import PATH…` or `wcas serve --create` makes one; --store or WCAS_STORE says where".to_owned(),
            ),
            Self::Store(store::Error::Foreign(_)) => {
                Some("a new store needs a folder of its own: --store DIR".to_owned())
            }
            Self::Store(store::Error::Format { .. }) => Some(
                "put a copy of wcas.json in place, or `wcas rebuild` writes a new one; `wcas doctor` tells more"
                    .to_owned(),
            ),
            Self::Store(store::Error::Node { url, .. }) => Some(format!(
                "what isn't committed to the share is lost with the folder; a new node is made by `wcas init --share {url}` elsewhere"
            )),
            Self::Store(store::Error::LostNode(_)) => Some(
                "put a copy of wcas.json in place, or `wcas init --share URL` there makes it a node again".to_owned(),
            ),
            Self::Store(store::Error::NoManifest(_)) => {
                Some("put a backup in place, or `wcas rebuild` reads the blobs again".to_owned())
            }
            Self::Manifest(error) | Self::Store(store::Error::Manifest(error)) if manifest_hint(error).is_some() => {
                manifest_hint(error).map(str::to_owned)
            }
            Self::Collision { .. } => {
                Some("nothing was imported; `wcas verify` shows whether the known blob is sound".to_owned())
            }
            Self::Lost(_) => Some("import it again, or `wcas verify --repair`; `wcas verify` tells more".to_owned()),
            Self::Spec(_) => Some("see `wcas help lookup`".to_owned()),
            Self::Share(share::Error::Disk(error)) if error.is_full() => Some(
                "the disk there is full: `wcas gc` frees room in a share, `wcas backup --keep-for TIME` in a backup"
                    .to_owned(),
            ),
            Self::Disk(error)
            | Self::Store(store::Error::Disk(error))
            | Self::View(view::Error::Disk(error))
            | Self::Share(share::Error::Disk(error)) => Some(disk_hint(error).to_owned()),
            _ if self.kind() == ErrorKind::Busy => Some("try again in a moment".to_owned()),
            _ => None,
        }
    }
}

impl store::MayConflict for Error {
    fn is_conflict(&self) -> bool {
        matches!(self, Self::Manifest(error) | Self::Store(store::Error::Manifest(error)) if error.is_conflict())
    }
}

fn manifest_hint(error: &manifest::Error) -> Option<&'static str> {
    Some(match error {
        manifest::Error::Foreign(_) => "keep a copy of what is there, then put a backup in place or `wcas rebuild`",
        error if error.is_other_schema() => {
            "if a newer wcas has used the store meanwhile, use that one; else `wcas doctor` tells what is wrong, and a backup or \
             `wcas rebuild` mends it"
        }
        error if error.is_corrupt() => "keep a copy of manifest.sqlite, then put a backup in place or `wcas rebuild`",
        error if error.may_want_room() => {
            "the disk fails or is full (`wcas gc` frees room), files may not grow so large (`ulimit -f`), or no more may be open \
             (`ulimit -n`)"
        }
        manifest::Error::Held(_) => {
            "try again in a moment; whoever may read the store can hold it, so see whose process that is"
        }
        manifest::Error::Unsure(_) => "run it again when the share can be reached: what counts already is found there",
        error if error.is_of_log() => {
            "nothing was changed, and what is here can be read; the same command may be run again when the share can be reached"
        }
        _ => return None,
    })
}

fn disk_hint(error: &fs::Error) -> &'static str {
    use std::io::ErrorKind;
    match error.source.kind() {
        _ if error.is_lack() => {
            "this process may have no more files open, or no more memory: see `ulimit -n` and `ulimit -v`"
        }
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            "this user may not do that there: see who owns the path"
        }
        ErrorKind::FileTooLarge => "files may not grow so large: see `ulimit -f`, and what the filesystem allows",
        ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::IsADirectory => {
            "see whether the path is what you meant"
        }
        _ => {
            "the same command may be run again; `wcas doctor` tells what is wrong, or `wcas verify` and the disk's log"
        }
    }
}
