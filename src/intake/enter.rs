//! The last step of an import: all entries become visible in one transaction.

use super::token_reach::{TokenReach, not_replaced, reach};
use super::{ImportOptions, ImportPolicy, IncomingFile, Made, Objection, Outcome, Target, write_back};
use crate::catalog::at::{CollectionAt, collection_row};
use crate::catalog::blocks::Blocks;
use crate::catalog::variant_documents;
use crate::context::Context;
use crate::error::Result;
use crate::manifest::{BlobId, CollectionId, NewEntry, Outcome as Counted, Rows, Transaction};
use crate::name::CollectionName;
use crate::status::Status;
use crate::store::{Session, Store};
use crate::wheel::DistributionFilename;
use crate::words::counted;
use std::collections::BTreeMap;

/// What the last transaction found.
pub(super) enum Entered {
    Done {
        /// The collections that have the items, by name.
        collections: Vec<CollectionAt>,
        outcomes: Vec<std::result::Result<Outcome, Objection>>,
    },
    /// The blobs of these items were taken away since they were judged good.
    Lost(Vec<usize>),
}

/// A collection that gets items, and what changes in it.
struct Receiver {
    id: CollectionId,
    newest: i64,
    added: usize,
    removed: usize,
    /// Whether what it has may be replaced, if that is wished for.
    may_replace: bool,
    /// What it, or any collection, must not have again.
    blocks: Blocks,
    /// Whether some remote of it wants what is made here.
    is_written_back: bool,
}

type Receivers = BTreeMap<CollectionName, Receiver>;

/// Makes all entries visible in one transaction, and lets the session's holds go with it.
pub(super) fn enter(
    store: &Store,
    context: &Context<'_>,
    session: Option<&Session<'_>>,
    options: &ImportOptions,
    terms: ImportPolicy,
    items: &[IncomingFile],
) -> Result<Entered> {
    let manifest = &store.manifest;
    let forbidden = |objection: Objection| {
        let outcomes = items.iter().map(|_| Err(objection.clone())).collect();
        Entered::Done { collections: Vec::new(), outcomes }
    };
    if session.is_none() {
        // Nothing was published: perhaps nothing is to be written at all.
        let rows = manifest.read()?;
        if let Err(objection) = reach_all(&rows, terms, items)? {
            return Ok(forbidden(objection));
        }
        if let Some(collections) = unchanged(&rows, options, items)? {
            let outcomes = items.iter().map(|_| Ok(Outcome::Unchanged)).collect();
            return Ok(Entered::Done { collections, outcomes });
        }
    }
    let transaction = manifest.write()?;
    let mut lost = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let is_there = item.blob.map(|blob| is_available(&transaction, blob)).transpose()?;
        if is_there != Some(true) {
            lost.push(index);
        }
    }
    if !lost.is_empty() {
        return Ok(Entered::Lost(lost));
    }
    let reaches = match reach_all(&transaction, terms, items)? {
        Ok(reaches) => reaches,
        // Before any collection is made for it.
        Err(objection) => return Ok(forbidden(objection)),
    };
    let mut receivers = receivers(&transaction, context, options, items)?;
    for (item, reach) in items.iter().zip(reaches) {
        if let Some(receiver) = receivers.get_mut(&item.decision.collection) {
            receiver.may_replace &= reach == TokenReach::Own;
        }
    }
    let mut outcomes = Vec::with_capacity(items.len());
    for item in items {
        let receiver = receivers.get_mut(&item.decision.collection).expect("made for all items");
        outcomes.push(put(&transaction, context, options, terms, receiver, item)?);
    }
    record(&transaction, context, &receivers)?;
    if let Some(session) = session {
        transaction.delete_holds(&session.id)?;
    }
    transaction.commit()?;
    let at = |(name, receiver): (CollectionName, Receiver)| CollectionAt { name, revision: receiver.revision() };
    Ok(Entered::Done { collections: receivers.into_iter().map(at).collect(), outcomes })
}

impl Receiver {
    /// Returns the revision that it has in the end.
    fn revision(&self) -> i64 {
        if self.added > 0 { self.newest + 1 } else { self.newest }
    }
}

/// Tells what each item may do where it goes, or what is against the first that may do nothing there.
fn reach_all(
    rows: &Rows,
    terms: ImportPolicy,
    items: &[IncomingFile],
) -> Result<std::result::Result<Vec<TokenReach>, Objection>> {
    items.iter().map(|item| reach(rows, terms, item)).collect()
}

/// Tells whether a blob's bytes can be had.
fn is_available(transaction: &Transaction<'_>, blob: BlobId) -> Result<bool> {
    Ok(transaction.blob(blob)?.is_some_and(|row| row.state.is_available()))
}

/// Returns the collections, if they have all items already.
fn unchanged(
    transaction: &Transaction<'_>,
    options: &ImportOptions,
    items: &[IncomingFile],
) -> Result<Option<Vec<CollectionAt>>> {
    let mut rows = BTreeMap::new();
    let named = match &options.target {
        Target::Collection(name) => Some(name),
        Target::Route(_) => None,
    };
    for name in named.into_iter().chain(items.iter().map(|item| &item.decision.collection)) {
        if !rows.contains_key(name) {
            let Some(row) = transaction.find_collection(name)? else { return Ok(None) };
            rows.insert(name.clone(), row);
        }
    }
    for item in items {
        let collection = rows[&item.decision.collection].id;
        if transaction.find_entry_blob(collection, item.name.as_str())? != item.blob {
            return Ok(None);
        }
    }
    Ok(Some(rows.into_iter().map(|(name, row)| CollectionAt { name, revision: row.revision }).collect()))
}

/// Returns the collections that get items; those that may be made are made.
fn receivers(
    transaction: &Transaction<'_>,
    context: &Context<'_>,
    options: &ImportOptions,
    items: &[IncomingFile],
) -> Result<Receivers> {
    let (mut receivers, blocks) = (Receivers::new(), Blocks::read(transaction)?);
    let mut add = |name: &CollectionName, is_made: bool| -> Result<()> {
        if receivers.contains_key(name) {
            return Ok(());
        }
        let (id, newest) = match transaction.find_collection(name)? {
            Some(row) => (row.id, row.revision),
            None if is_made => (transaction.insert_collection(name, context.now)?, 0),
            // An override's collection was there when it was set, and was deleted since the import began.
            None => collection_row(transaction, name).map(|row| (row.id, row.revision))?,
        };
        let (may_replace, blocks) = (true, blocks.clone());
        let is_written_back = transaction.remotes_of(id)?.iter().any(|remote| remote.settings.writes_back);
        let receiver = Receiver { id, newest, added: 0, removed: 0, may_replace, blocks, is_written_back };
        receivers.insert(name.clone(), receiver);
        Ok(())
    };
    if let Target::Collection(name) = &options.target {
        add(name, true)?;
    }
    for item in items {
        add(&item.decision.collection, item.decision.makes_collection())?;
    }
    Ok(receivers)
}

/// Gives an item to its collection.
fn put(
    transaction: &Transaction<'_>,
    context: &Context<'_>,
    options: &ImportOptions,
    terms: ImportPolicy,
    receiver: &mut Receiver,
    item: &IncomingFile,
) -> Result<std::result::Result<Outcome, Objection>> {
    let blob = item.blob.expect("all items have live blobs");
    let digests = item.digests;
    let sha256 = digests.map(|digests| digests.sha256);
    if let Some(reason) = receiver.blocks.of_file(&item.decision.collection, &item.name, digests, sha256) {
        return Ok(Err(Objection::Other(reason)));
    }
    let (collection, filename, revision) = (receiver.id, item.name.as_str(), receiver.newest + 1);
    let before = transaction.find_entry_blob(collection, filename)?;
    Ok(match before {
        Some(known) if known == blob => Ok(if item.is_healed { Outcome::Healed } else { Outcome::Unchanged }),
        Some(_) if !receiver.may_replace && !options.keep_existing => {
            Err(not_replaced(&item.decision.collection, filename))
        }
        Some(known) if !receiver.may_replace => Err(existing(transaction, known)?),
        // Nobody is kept from building again what the store has lost; a remote's other bytes are no build of ours.
        Some(known) if options.keep_existing && (item.source.origin.is_some() || is_available(transaction, known)?) => {
            Err(existing(transaction, known)?)
        }
        before => {
            if let ImportPolicy::Upload { is_builders, .. } = terms
                && let Some(objection) = closed(transaction, options, receiver, item, is_builders)?
            {
                return Ok(Err(objection));
            }
            // What this import has brought before it counts, too.
            if let Some(reason) = variant_documents::objection(transaction, collection, filename, blob)? {
                return Ok(Err(Objection::Other(reason)));
            }
            if before.is_some() {
                transaction.remove_entry(collection, filename, revision, context.now)?;
                receiver.removed += 1;
            }
            let (yanked, origin) = (item.source.yanked.as_deref(), item.source.origin.as_ref());
            let Made { is_prebuilt, source_url } = &item.source.made;
            let (is_prebuilt, source_url) = (*is_prebuilt, source_url.as_deref());
            let entry = NewEntry { filename, blob, yanked, origin, is_prebuilt, source_url };
            transaction.insert_entry(collection, &entry, revision, context.now)?;
            // What was fetched was built by nobody here.
            if origin.is_none() && !is_prebuilt && receiver.is_written_back {
                write_back::queue(transaction, collection, item.name.project(), filename, blob, context.now)?;
            }
            receiver.added += 1;
            Ok(match (item.is_healed, before, item.is_new) {
                (true, ..) => Outcome::Healed,
                (_, Some(_), _) => Outcome::Replaced,
                (_, None, true) => Outcome::New,
                (_, None, false) => Outcome::Deduplicated,
            })
        }
    })
}

/// Records the operation: one, with a revision of each collection that changed.
fn record(transaction: &Transaction<'_>, context: &Context<'_>, receivers: &Receivers) -> Result<()> {
    let changed: Vec<_> = receivers.iter().filter(|(_, receiver)| receiver.added > 0).collect();
    if changed.is_empty() {
        return Ok(());
    }
    let texts =
        changed.iter().map(|(name, receiver)| format!("{} into {name}", counted(receiver.added, "distribution")));
    let what = texts.collect::<Vec<_>>().join(", ");
    let operation = transaction.insert_operation("import", &what, context.who, context.now)?;
    for (name, receiver) in changed {
        let Receiver { id, added, removed, .. } = *receiver;
        transaction.insert_revision(id, receiver.revision(), operation, added, removed)?;
        transaction.add_count(context.now, name.as_str(), "", Counted::Store, added as u64)?;
    }
    Ok(())
}

fn existing(transaction: &Transaction<'_>, blob: BlobId) -> Result<Objection> {
    Ok(Objection::Existing(transaction.blob(blob)?.map(|row| row.sha256)))
}

/// Tells why a collection takes no upload of a file; its owner may import it all the same.
fn closed(
    transaction: &Transaction<'_>,
    options: &ImportOptions,
    receiver: &Receiver,
    item: &IncomingFile,
    is_builders: bool,
) -> Result<Option<Objection>> {
    let blob = item.blob.expect("all items have live blobs");
    let (collection, project, filename) = (&item.decision.collection, item.name.project(), item.name.as_str());
    let Some(row) = transaction.find_collection(collection)? else { return Ok(None) };
    let status = transaction.project_status(row.id, project)?;
    if let Some(status) = status.filter(|row| row.status >= Status::Archived) {
        let reason = status.reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
        let text = format!("{project} is {} in {collection}{reason}: it takes no uploads", status.status);
        return Ok(Some(Objection::Other(text)));
    }
    // Installers take either of two spellings: the first one is the file.
    let identity = item.name.identity();
    for entry in transaction.project_entries(row.id, project)? {
        let is_same = |name: DistributionFilename| name.identity() == identity;
        if entry.filename != filename
            && DistributionFilename::parse_of(&entry.filename, &entry.project).is_ok_and(is_same)
        {
            return Ok(Some(Objection::Existing(Some(entry.sha256))));
        }
    }
    let is_kept = (options.keep_existing || !receiver.may_replace) && !row.settings.reuses_filenames;
    if is_kept && transaction.was_other(row.id, filename, blob, is_builders)? {
        let text = format!(
            "{collection} had other bytes as {filename} before, and clients may remember those: use another version or build \
             tag, or let its owner say `wcas collection set {collection} --reuse-filenames yes`"
        );
        return Ok(Some(Objection::Other(text)));
    }
    Ok(None)
}
