//! What the manifest is told of a batch: rows and holds before the names, and afterwards that the files are live.

use super::{PerItem, Published, Publisher, Ready};
use crate::blobs::Found;
use crate::digest::Blake3;
use crate::error::{Error, Result};
use crate::fs::Signature;
use crate::keep::deletion::finish_deletion;
use crate::manifest::{BlobId, BlobRow, State, Transaction};
use std::collections::HashSet;
use std::path::Path;

impl Publisher<'_> {
    /// Records the batch in one transaction. Without an answer an item must go round again: verify, or another node, was at it.
    pub(super) fn record(&self, ready: &[Ready]) -> Result<Vec<Option<Published>>> {
        let transaction = self.store.manifest.write()?;
        self.note_filenames(&transaction, ready)?;
        let mut recorded = Vec::with_capacity(ready.len());
        for item in ready {
            let row = item.row.as_ref().expect("inserted above");
            if let Some(name) = item.quarantined.as_deref().and_then(Path::file_name) {
                transaction.insert_quarantine(&row.blake3, &name.to_string_lossy(), self.context.now)?;
            }
            let found = item.found.expect("placed above");
            // Holds keep the rows that gc here would delete, and not from another node's.
            let is_gone = item.has_blob && self.store.share().is_some() && transaction.blob(row.id)?.is_none();
            if is_gone || !transaction.set_live(row.id, row.epoch, &found)? {
                recorded.push(None);
                continue;
            }
            if !item.has_blob {
                transaction.insert_blob(row)?;
            }
            if item.is_healed && row.state == State::Live {
                transaction.set_healed(row.id)?;
            }
            if item.was_read {
                transaction.set_verified(row.id, row.epoch, &found, self.context.now)?;
            }
            transaction.insert_distribution(row.id, &item.described.distribution)?;
            if let Some(inspection) = &item.described.inspection {
                transaction.put_inspection(row.id, inspection)?;
            }
            let proves =
                |source: &Signature| !source.is_racy(self.session.started_ns) && self.times.prove(&item.source, source);
            if let Some(source) = item.signature.filter(proves) {
                transaction.set_seen(&source, row.id)?;
            }
            recorded.push(Some(Published {
                blob: row.id,
                digests: item.digests,
                size: item.size,
                is_new: item.is_new,
                is_healed: item.is_healed,
                copied: item.copied,
            }));
        }
        transaction.commit()?;
        Ok(recorded)
    }

    /// Notes filenames beside the blobs that the manifest doesn't have yet: it may be lost one day.
    fn note_filenames(&self, transaction: &Transaction<'_>, ready: &[Ready]) -> Result<()> {
        let mut new = Vec::new();
        for item in ready {
            let (row, name) = (item.row.as_ref().expect("inserted before"), &item.described.distribution.filename);
            if !item.has_blob || !transaction.has_distribution(row.id, name)? {
                new.push((item.digests.blake3, name.as_str()));
            }
        }
        Ok(self.store.blobs.note_filenames(&new)?)
    }

    /// Inserts the rows of new files and the holds of all: what is true of this folder alone. A file that gc is deleting is waited
    /// for.
    pub(super) fn insert_rows(
        &self,
        ready: &mut Vec<Ready>,
        results: &mut Vec<(usize, PerItem<Published>)>,
    ) -> Result<()> {
        loop {
            let transaction = self.store.manifest.write()?;
            let mut deleting = None;
            let mut collisions = Vec::new();
            let mut inserted = HashSet::new();
            for (position, item) in ready.iter_mut().enumerate() {
                let row = match self.find_or_insert(&transaction, item, &mut inserted)? {
                    Ok(row) => row,
                    Err(known) => {
                        collisions.push((position, known));
                        continue;
                    }
                };
                if row.state == State::Deleting {
                    deleting = Some(row);
                    break;
                }
                item.is_healed |= row.state == State::Lost;
                transaction.insert_hold(&self.session.id, row.id)?;
                item.row = Some(row);
            }
            if let Some(row) = deleting {
                drop(transaction);
                finish_deletion(self.store, &row)?;
                ready.iter_mut().for_each(|item| item.is_new = false);
                continue;
            }
            transaction.commit()?;
            for (position, known) in collisions.into_iter().rev() {
                let item = ready.remove(position);
                let collision = Error::Collision { known, path: item.source, sha256: item.digests.sha256 };
                results.push((item.index, Err(collision.to_string())));
            }
            return Ok(());
        }
    }

    /// Returns the row of an item's bytes, which is made where there is none, or the blob whose SHA-256 digest is theirs though its
    /// bytes are others.
    fn find_or_insert(
        &self,
        transaction: &Transaction<'_>,
        item: &mut Ready,
        inserted: &mut HashSet<BlobId>,
    ) -> Result<std::result::Result<BlobRow, Blake3>> {
        let (digests, now) = (item.digests, self.context.now);
        item.has_blob = true;
        if let Some(row) = transaction.find_blob(&digests.blake3)? {
            return Ok(Ok(item.corrected(transaction, row)?));
        }
        if let Some(other) = transaction.find_blob_by_sha256(&digests.sha256)? {
            let was_live = matches!(other.state, State::Live | State::Lost);
            if !was_live || self.store.blobs.find(&other.blake3)? != Found::Absent {
                return Ok(Err(other.blake3));
            }
            // No such file was ever there: a row that went bad, and no broken algorithm.
            return Ok(Ok(item.corrected(transaction, other)?));
        }
        item.has_blob = false;
        if let Some(row) = transaction.insert_file(&digests, item.size, now)? {
            inserted.insert(row.id);
            item.is_new = true;
            return Ok(Ok(row));
        }
        let file = transaction.find_file(&digests, now)?.expect("it was in the way");
        if let Some(row) = transaction.blob(file.id)? {
            // The blob's row says something else than its file's does.
            item.has_blob = true;
            return Ok(Ok(item.corrected(transaction, row)?));
        }
        // The same bytes twice in one batch: one of the two is the copy, also where a killed import left the row.
        item.is_new |= file.state == State::Staged && inserted.insert(file.id);
        Ok(Ok(file))
    }
}

impl Ready {
    /// Returns the row of these bytes, made to say what they are where it says something else: its page went bad.
    fn corrected(&mut self, transaction: &Transaction<'_>, row: BlobRow) -> Result<BlobRow> {
        let digests = self.digests;
        if (row.blake3, row.sha256, row.size) == (digests.blake3, digests.sha256, self.size) {
            return Ok(row);
        }
        transaction.correct_blob(row.id, &digests, self.size)?;
        self.is_healed = true;
        // What stands at its name is read before it is believed.
        let state = if row.state == State::Live { State::Lost } else { row.state };
        Ok(BlobRow {
            state,
            epoch: row.epoch + 1,
            size: self.size,
            blake3: digests.blake3,
            sha256: digests.sha256,
            ..row
        })
    }
}
