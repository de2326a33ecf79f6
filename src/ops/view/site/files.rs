//! The files of a site: what is wanted, and how it comes there.

use super::mark::Marked;
use crate::catalog::variant_documents::VariantsDocument;
use crate::context::Context;
use crate::digest::Sha256;
use crate::error::Result;
use crate::keep::elsewhere::{TRANSFERS, fetch_all};
use crate::keep::health::is_usable;
use crate::manifest::{BlobId, BlobRow, Entry, State};
use crate::ops::view::has_sidecar;
use crate::parallel;
use crate::share::Headers;
use crate::store::Store;
use std::collections::{BTreeMap, BTreeSet};

/// So many files are brought before the next are looked at.
const BATCH: usize = 64;
/// A file's bytes are named by its key.
const FOREVER: &str = "public, max-age=31536000, immutable";

const WHEEL: Headers = Headers { content_type: "application/octet-stream", cache_control: FOREVER };
const METADATA: Headers = Headers { content_type: "text/plain; charset=utf-8", cache_control: FOREVER };
const DOCUMENT: Headers = Headers { content_type: "application/json", cache_control: FOREVER };

/// Returns the key of a file.
pub(super) fn key(sha256: &Sha256, filename: &str) -> String {
    let digest = sha256.to_string();
    format!("files/{}/{digest}/{filename}", &digest[..2])
}

fn metadata_key(entry: &Entry) -> Option<(String, Sha256)> {
    let sha256 = entry.sidecar().filter(|_| has_sidecar(entry))?;
    Some((format!("{}.metadata", key(&entry.sha256, &entry.filename)), sha256))
}

/// Returns the keys of all files of a site, each with its size where that is known.
pub(super) fn keys(entries: &[Entry], documents: &[VariantsDocument]) -> BTreeMap<String, Option<u64>> {
    let mut keys = BTreeMap::new();
    for entry in entries {
        keys.insert(key(&entry.sha256, &entry.filename), Some(entry.size));
        keys.extend(metadata_key(entry).map(|(key, _)| (key, None)));
    }
    let documents = documents.iter().map(|of| (key(&of.sha256, &of.filename), Some(of.bytes.len() as u64)));
    keys.extend(documents);
    keys
}

/// Tells whether the site has a file.
pub(super) fn is_there(marked: &Marked<'_>, key: &str, size: Option<u64>) -> bool {
    marked.objects.get(key).is_some_and(|found| size.is_none_or(|size| size == found.size))
}

/// What came of bringing files to a site.
#[derive(Debug, Default)]
pub(super) struct Brought {
    pub(super) copied: usize,
    pub(super) uploaded: usize,
    /// Those whose bytes can't be had.
    pub(super) lost: BTreeSet<BlobId>,
}

/// A file that a site lacks.
struct Lacking {
    key: String,
    row: BlobRow,
}

/// Brings the distributions that a site lacks: copied within the bucket where it is the share's, else from this folder.
pub(super) fn bring(store: &Store, context: &Context<'_>, marked: &Marked<'_>, entries: &[Entry]) -> Result<Brought> {
    let lacking: Vec<(String, &Entry)> = entries
        .iter()
        .map(|entry| (key(&entry.sha256, &entry.filename), entry))
        .filter(|(key, entry)| !is_there(marked, key, Some(entry.size)))
        .collect();
    let mut brought = Brought::default();
    let mut can_copy = true;
    let bytes = lacking.iter().map(|(_, entry)| entry.size).sum();
    context.progress.start_files("publishing", lacking.len() as u64, bytes);
    for batch in lacking.chunks(BATCH) {
        let mut rows = Vec::with_capacity(batch.len());
        for (key, entry) in batch {
            match store.manifest.blob(entry.blob)? {
                Some(row) => rows.push(Lacking { key: key.clone(), row }),
                None => _ = brought.lost.insert(entry.blob),
            }
        }
        let rest = copy(store, context, marked, rows, &mut can_copy, &mut brought);
        upload(store, context, marked, rest, &mut brought)?;
    }
    context.progress.finish();
    Ok(brought)
}

/// Copies what can be copied, and returns the rest. Some servers can't copy: after the first refusal nothing more is asked of them.
fn copy(
    store: &Store,
    context: &Context<'_>,
    marked: &Marked<'_>,
    lacking: Vec<Lacking>,
    can_copy: &mut bool,
    brought: &mut Brought,
) -> Vec<Lacking> {
    let Some(share) = store.share().filter(|_| *can_copy) else { return lacking };
    let copied = parallel::map(TRANSFERS, &lacking, |Lacking { key, row }| match &row.generation {
        Some(generation) if marked.site.can_copy(share, row.size) => {
            marked.site.copy_blob(key, share, &row.blake3, generation)
        }
        _ => Ok(false),
    });
    let mut rest = Vec::new();
    for (lacking, copied) in lacking.into_iter().zip(copied) {
        *can_copy &= copied.is_ok();
        match copied {
            Ok(true) => {
                // The bucket did it by itself.
                context.progress.on(&lacking.key, lacking.row.size, || brought.copied += 1);
            }
            _ => rest.push(lacking),
        }
    }
    rest
}

/// Uploads files from this folder, fetched first where they aren't here.
fn upload(
    store: &Store,
    context: &Context<'_>,
    marked: &Marked<'_>,
    lacking: Vec<Lacking>,
    brought: &mut Brought,
) -> Result<()> {
    let elsewhere = lacking.iter().filter(|of| of.row.state == State::Elsewhere).map(|of| of.row.clone());
    let elsewhere: Vec<BlobRow> = elsewhere.collect();
    if !elsewhere.is_empty() {
        // What couldn't be fetched is found below.
        fetch_all(store, &Context { progress: &(), ..*context }, &elsewhere)?;
    }
    let mut usable = Vec::with_capacity(lacking.len());
    for of in lacking {
        let row = store.manifest.blob(of.row.id)?.unwrap_or(of.row);
        if is_usable(store, &row)? {
            usable.push(Lacking { key: of.key, row });
        } else {
            brought.lost.insert(row.id);
        }
    }
    // The manifest belongs to this thread.
    let (blobs, site, progress) = (&store.blobs, marked.site, context.progress);
    let uploaded = parallel::map(TRANSFERS, &usable, |Lacking { key, row }| -> Result<()> {
        let (file, path) = (blobs.open(&row.blake3)?, blobs.path(&row.blake3));
        Ok(progress.on(key, row.size, || site.upload(key, (&file, &path), &row.blake3, WHEEL))?)
    });
    for done in uploaded {
        done?;
        brought.uploaded += 1;
    }
    Ok(())
}

/// Writes what goes beside distributions and the site lacks: METADATA, and documents about variants.
pub(super) fn write_beside(
    store: &Store,
    marked: &Marked<'_>,
    entries: &[Entry],
    documents: &[VariantsDocument],
) -> Result<()> {
    let lacking: Vec<(String, Sha256)> =
        entries.iter().filter_map(metadata_key).filter(|(key, _)| !is_there(marked, key, None)).collect();
    for batch in lacking.chunks(BATCH) {
        // The manifest belongs to this thread.
        let read =
            |(key, sha256): &(String, Sha256)| Ok((key.clone(), store.manifest.metadata(sha256)?.unwrap_or_default()));
        let bytes = batch.iter().map(read).collect::<Result<Vec<_>>>()?;
        let written = parallel::map(TRANSFERS, &bytes, |(key, bytes)| marked.site.write(key, bytes, METADATA));
        written.into_iter().collect::<crate::share::Result<Vec<_>>>()?;
    }
    for document in documents {
        let key = key(&document.sha256, &document.filename);
        if !is_there(marked, &key, Some(document.bytes.len() as u64)) {
            marked.site.write(&key, &document.bytes, DOCUMENT)?;
        }
    }
    Ok(())
}
