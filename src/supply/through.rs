//! Pull-through: a client of the server asks for a file that a remote lists and the store lacks.
//!
//! The file goes the way of every pulled file; whoever asked may read it while it comes. What the store won't have is remembered, so
//! that pages stop to list it. METADATA is had without the file where that is possible, and kept until the file comes.

use super::fetch::{PullFailure, bring_watched};
use super::moved::moved;
use super::page;
use super::task::Task;
use crate::context::Context;
use crate::digest::Sha256;
use crate::error::Result;
use crate::index::read::{ListedFile, Sidecar};
use crate::intake::{ImportedDistribution, Target};
use crate::manifest::{RefusalRow, RemoteRow};
use crate::name::CollectionName;
use crate::remote::{Client, Failure, PublicUrl, Watch};
use crate::store::Store;
use crate::wheel::Kind;
use crate::words::reason;

/// What an import refused stays refused for so many seconds, unless the settings change: its bytes will be the same.
const REFUSED_SECONDS: i64 = 7 * 86_400;
/// What a remote lists and says not to have is tried again soon: it may be about to come.
const ABSENT_SECONDS: i64 = 600;

/// A file that a remote lists.
#[derive(Debug, Clone)]
pub struct Offer {
    /// The remote, whose collection gets the file.
    pub remote: RemoteRow,
    /// The variant that asks: it gets what the guard of the remote's collection refuses, if its own admits that.
    pub variant: CollectionName,
    /// The file.
    pub file: ListedFile,
}

/// Why a file of a remote is not to be had. The text names the remote.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The remote failed, or gave other bytes than its page announces.
    #[error("{0}")]
    Failed(String),
    /// The remote refuses, and waiting won't help.
    #[error("{0}")]
    Denied(String),
    /// The remote has it no longer. It is not listed for a while.
    #[error("{0}")]
    Absent(String),
    /// The collection won't have it. It is not listed any more.
    #[error("{0}")]
    Unwanted(String),
    /// There is no room for it.
    #[error("{0}")]
    NoRoom(String),
}

/// What is known of a remote's METADATA.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KnownMetadata {
    /// Its exact bytes.
    Metadata(Vec<u8>),
    /// It can only be had with the whole file.
    WithFile,
}

/// Brings a file of a remote into the remote's collection; it may be there already. `watch` hears of its bytes as they come.
pub fn pull_through(
    store: &Store,
    context: &Context<'_>,
    offer: &Offer,
    watch: Watch<'_>,
) -> Result<std::result::Result<ImportedDistribution, Refusal>> {
    let client = match client(context, offer) {
        Ok(client) => client,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let task = match offer.task() {
        Ok(task) => task,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let target = Target::of_pulls(&store.manifest, Some(&offer.variant), &offer.remote.collection_name)?;
    match bring_watched(store, context, client, &task, &target, watch)? {
        Ok(imported) => {
            forget_metadata(store, &imported.sha256);
            Ok(Ok(imported))
        }
        Err(unbrought) => offer.refuse(store, context, unbrought).map(Err),
    }
}

/// Returns the METADATA of a remote's file that is not in the store: what is kept, else what the remote tells; that is kept then.
pub fn remote_metadata(
    store: &Store,
    context: &Context<'_>,
    offer: &Offer,
) -> Result<std::result::Result<KnownMetadata, Refusal>> {
    // Without a digest nothing says that the next bytes of this name are the same.
    let Some(sha256) = offer.file.sha256 else { return Ok(Ok(KnownMetadata::WithFile)) };
    if let Some(bytes) = store.manifest.remote_metadata(offer.remote.id, &sha256)? {
        return Ok(Ok(KnownMetadata::Metadata(bytes)));
    }
    let done = offer.task().and_then(|task| Ok((client(context, offer)?, task)));
    let (client, task) = match done {
        Ok(done) => done,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let mut done = client.metadata(&task.source, &task.file);
    if let Err(failure) = &done
        && let Some(found) = moved(store, context, client, &task, failure)
    {
        done = client.metadata(&found.source, &found.file);
    }
    let bytes = match done {
        Ok(bytes) => bytes,
        // The whole file has a digest that vouches for it, and needs neither sidecar nor ranges, which many stores refuse.
        Err(failure) if failure.is_about_a_part() => return Ok(Ok(KnownMetadata::WithFile)),
        Err(failure) => return offer.refuse_metadata(store, context, failure).map(Err),
    };
    if store.is_writable() {
        // What can't be kept is asked for again; the answer stands.
        let keep = |transaction: &crate::manifest::Transaction<'_>| {
            transaction.put_remote_metadata(offer.remote.id, &sha256, &bytes, context.now)
        };
        let _ = store.manifest.write_relaxed(keep);
    }
    Ok(Ok(KnownMetadata::Metadata(bytes)))
}

/// Tells what a page may announce of the METADATA of a remote's file; `kept` is the digest of what is kept of it.
///
/// A wheel's can always be had, if only with the whole wheel. Its digest is told once the bytes are here: pages announce digests that no
/// sidecar has, and pip ends with an error where the bytes have another. An sdist's is never told, as [`Entry::sidecar`] has it.
///
/// [`Entry::sidecar`]: crate::manifest::Entry::sidecar
pub fn sidecar_of(file: &ListedFile, kept: Option<Sha256>) -> Option<Sidecar> {
    match file.name.kind() {
        // Of what nothing vouches for, the next bytes may be others.
        Kind::Wheel => Some(Sidecar { sha256: kept.filter(|_| file.sha256.is_some()) }),
        Kind::Sdist => None,
    }
}

fn client<'a>(context: &Context<'a>, offer: &Offer) -> std::result::Result<&'a Client, Refusal> {
    super::client(context).map_err(|error| Refusal::Failed(offer.says(&reason(&error))))
}

/// What the store itself has is no longer needed twice.
fn forget_metadata(store: &Store, sha256: &Sha256) {
    let is_kept = store.manifest.has_remote_metadata(sha256).unwrap_or(false);
    if is_kept && store.is_writable() {
        // What stays behind does no harm.
        let _ = store.manifest.write_relaxed(|transaction| transaction.forget_remote_metadata(sha256));
    }
}

impl Offer {
    fn task(&self) -> std::result::Result<Task<'_>, Refusal> {
        let source = page::source(&self.remote).map_err(|why| Refusal::Failed(self.says(&why)))?;
        Ok(Task { remote: &self.remote, source, file: self.file.clone() })
    }

    /// Returns a text about the file and the remote.
    fn says(&self, what: &str) -> String {
        format!("{} of remote {}: {what}", self.file.name.as_str(), self.remote.name)
    }

    /// Turns a failure into what a client is told, and remembers what will not change soon.
    fn refuse(&self, store: &Store, context: &Context<'_>, unbrought: PullFailure) -> Result<Refusal> {
        let text = self.says(&unbrought.reason());
        Ok(match unbrought {
            PullFailure::Remote(Failure::Absent { .. }) => {
                let link = Some(PublicUrl::from(&self.file.url).to_string());
                self.remember(store, context, ABSENT_SECONDS, "the remote lists it and does not have it", link);
                Refusal::Absent(text)
            }
            PullFailure::Remote(Failure::Declined { .. }) => Refusal::NoRoom(text),
            PullFailure::Remote(failure) if failure.is_lasting() => Refusal::Denied(text),
            PullFailure::Remote(_) => Refusal::Failed(text),
            PullFailure::Import(reason) => {
                // Where the collection got an own file of this name meanwhile, that one is listed.
                let own = store.manifest.find_entry(self.remote.collection, self.file.name.as_str())?;
                if own.is_none() {
                    self.remember(store, context, REFUSED_SECONDS, &reason, None);
                }
                Refusal::Unwanted(text)
            }
        })
    }

    fn refuse_metadata(&self, store: &Store, context: &Context<'_>, failure: Failure) -> Result<Refusal> {
        match failure {
            Failure::Disk(error) => Err(error.into()),
            failure => self.refuse(store, context, PullFailure::Remote(failure)),
        }
    }

    fn remember(&self, store: &Store, context: &Context<'_>, seconds: i64, reason: &str, url: Option<String>) {
        if !store.is_writable() {
            return;
        }
        let row = RefusalRow {
            variant: self.variant.clone(),
            filename: self.file.name.as_str().to_owned(),
            sha256: self.file.sha256,
            refused_at: context.now,
            until: context.now.saturating_add(seconds),
            reason: reason.to_owned(),
            url,
        };
        // What can't be remembered is tried again.
        let _ = store.manifest.write_relaxed(|transaction| transaction.put_refusal(self.remote.id, &row));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::read::Signed;

    fn file(name: &str, sha256: Option<Sha256>, sidecar: Option<Option<Sha256>>) -> ListedFile {
        ListedFile {
            name: name.parse().unwrap(),
            url: "https://index.example/x".parse().unwrap(),
            sha256,
            digests: Vec::new(),
            size: None,
            requires_python: None,
            yanked: None,
            sidecar: sidecar.map(|sha256| Sidecar { sha256 }),
            uploaded_at: None,
            is_first_seen: false,
            provenance: None,
            signed: Signed::Unasked,
        }
    }

    #[test]
    fn d4_a_page_announces_of_a_remotes_file_what_can_be_had() {
        let (own, announced, kept) = (Sha256::of(b"own"), Sha256::of(b"announced"), Sha256::of(b"kept"));
        let told = |name, sidecar, kept| sidecar_of(&file(name, Some(own), sidecar), kept).map(|told| told.sha256);
        let (wheel, sdist) = ("demo-1.0-py3-none-any.whl", "demo-1.0.tar.gz");
        assert_eq!(told(wheel, None, None), Some(None), "with the whole wheel, if need be");
        assert_eq!(told(wheel, Some(Some(announced)), None), Some(None), "nobody has seen these bytes yet");
        assert_eq!(told(wheel, Some(Some(announced)), Some(kept)), Some(Some(kept)), "these bytes are served");
        assert_eq!(told(wheel, None, Some(kept)), Some(Some(kept)));
        assert_eq!(told(sdist, None, None), None);
        assert_eq!(told(sdist, Some(Some(announced)), Some(kept)), None, "what its build says may be something else");
        let unhashed = sidecar_of(&file(wheel, None, Some(Some(announced))), None);
        assert_eq!(unhashed, Some(Sidecar { sha256: None }), "its next bytes may be others");
    }
}
