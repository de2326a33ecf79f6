//! A node's cache: files that the share has go from this folder, the least recently used ones first, when there are more than one wants.

use super::deletion::{end_deletion, remove_links};
use crate::blobs::Going;
use crate::error::Result;
use crate::manifest::BlobRow;
use crate::store::Store;

/// What was handed out, or came, less than so many seconds ago stays: somebody may be about to open it.
const FRESH_SECONDS: i64 = 86_400;
/// So many files go under one hold of the right to remove names.
const BATCH: usize = 256;

/// Deletes files until so many bytes are left, as far as the share has them, which is looked at, and nothing here needs them. Returns how
/// many went, and their bytes; a file that should be in the share and isn't is a problem, and stays.
pub(crate) fn evict(store: &Store, most: u64, now: i64, problems: &mut Vec<String>) -> Result<(usize, u64)> {
    let Some(share) = store.share() else { return Ok((0, 0)) };
    let mut over = store.manifest.bytes_here()?.saturating_sub(most);
    let mut chosen = Vec::new();
    for file in store.manifest.evictable(now.saturating_sub(FRESH_SECONDS))? {
        if over == 0 {
            break;
        }
        if !share.has_blob(&file.blake3, file.generation.as_deref().unwrap_or_default(), file.size)? {
            problems.push(format!("{}: the share hasn't got it, so it stays here", file.blake3));
            continue;
        }
        over = over.saturating_sub(file.size);
        chosen.push(file);
    }
    let (mut count, mut bytes) = (0, 0);
    for batch in chosen.chunks(BATCH) {
        let reap = store.blobs.reap()?;
        let transaction = store.manifest.write()?;
        let gone = transaction.evict(batch.iter().map(|file| file.id))?;
        transaction.commit()?;
        let gone: Vec<&BlobRow> = batch.iter().filter(|file| gone.contains(&file.id)).collect();
        let filenames = store.manifest.filenames_of(gone.iter().map(|file| file.id))?;
        let going = |file: &&BlobRow| Going { blake3: file.blake3, filenames: filenames.get(&file.id).cloned() };
        remove_links(store, &reap, &gone.iter().map(going).collect::<Vec<_>>())?;
        for file in &gone {
            store.blobs.remove(&reap, &file.blake3)?;
            count += 1;
            bytes += file.size;
        }
        end_deletion(store, gone.iter().map(|file| (file.id, &file.blake3)))?;
    }
    Ok((count, bytes))
}
