//! The right bytes get the blob's name.

use super::{FileWork, Ready, was_read_lately};
use crate::blobs::{Found, LinkMode};
use crate::error::Result;
use crate::fs::{self, Signature};
use crate::manifest::{BlobRow, State};
use std::path::PathBuf;

impl FileWork<'_> {
    /// Makes sure that the right bytes stand at the blob's name, and takes their stat.
    pub(super) fn place(&self, item: &mut Ready) -> Result<()> {
        let (blobs, blob) = (self.blobs, item.digests.blake3);
        let row = item.row.clone().expect("inserted before");
        // Nothing can stand at the name of a blob that nobody knew; if something does, the rename says so.
        let mut found = if item.is_new { Found::Absent } else { blobs.find(&blob)? };
        item.found = loop {
            match found {
                Found::File(known) if row.is_file(&known) && self.is_trusted(&row, item, &known) => break Some(known),
                // Bytes that others read are looked at once more: a row can be wrong about them.
                Found::File(known) if blobs.is_good(&blob) => {
                    item.was_read = true;
                    break Some(known);
                }
                Found::Absent => {
                    item.is_healed |= row.state == State::Live;
                    let (staged, signature) = self.staged(item)?;
                    if blobs.publish(&staged, &blob)? {
                        item.staged = None;
                        // A rename keeps inode, size and modification time.
                        break Some(signature);
                    }
                }
                Found::File(_) | Found::Foreign => {
                    item.is_healed |= !matches!(row.state, State::Staged | State::Elsewhere);
                    let (staged, _) = self.staged(item)?;
                    let reap = blobs.reap()?;
                    // Another import may have healed it while this one waited for the right.
                    if !blobs.is_good(&blob) {
                        item.quarantined = blobs.replace(&reap, &staged, &blob)?;
                        item.staged = None;
                    }
                }
            }
            found = blobs.find(&blob)?;
        };
        if let Some((left, _)) = item.staged.take() {
            fs::remove_file(&left)?;
        }
        Ok(())
    }

    /// Tells whether the stat of a blob's file is enough to take its bytes for right. Not where they become the last copy, nor where
    /// nobody has read them for long: the right ones are at hand.
    fn is_trusted(&self, row: &BlobRow, item: &Ready, known: &Signature) -> bool {
        let is_source = item.staged.as_ref().is_some_and(|(_, staged)| staged.inode == known.inode);
        let read_at = row.verified_at.unwrap_or(row.created_at);
        let is_fresh = self.link != LinkMode::Move && was_read_lately(read_at, self.now);
        row.state == State::Live && (is_source || is_fresh)
    }

    /// Returns the item's staged file, staging it now if it was hashed where it lies.
    fn staged(&self, item: &mut Ready) -> Result<(PathBuf, Signature)> {
        if let Some(staged) = &item.staged {
            return Ok(staged.clone());
        }
        let again = self.staging.stage(&item.source, LinkMode::Auto, self.wide)?;
        if again.digests != item.digests {
            let changed = std::io::Error::other("the file changed while it was imported; import it again");
            return Err(fs::Error::at("import", &item.source)(changed).into());
        }
        fs::sync_file(&again.path)?;
        item.staged = Some((again.path.clone(), again.signature));
        Ok((again.path, again.signature))
    }
}
