//! Variant wheels (PEP 825) in a collection: one document tells clients what their labels stand for, and it must not contradict
//! itself.
//!
//! A wheel that contradicts the version's others is refused when it comes in. Where a view puts several collections together, what is
//! nearer counts: the document leaves out what contradicts it, and clients then pass that wheel over.

use crate::digest::{Digests, Sha256};
use crate::error::Result;
use crate::index::File;
use crate::manifest::{BlobId, CollectionId, Entry, Rows};
use crate::name::ProjectName;
use crate::wheel::DistributionFilename;
use crate::wheel::variant::{VariantUnion, document_name};
use pep440_rs::Version;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// What the variant wheels of a version say of their variants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VariantsDocument {
    /// Its filename: `{project}-{version}-variants.json`.
    pub filename: String,
    /// The project.
    pub project: ProjectName,
    /// The version, normalised.
    pub version: String,
    /// The document.
    pub bytes: Vec<u8>,
    /// Its digest.
    pub sha256: Sha256,
    /// When the first of the wheels was uploaded, in seconds since 1970.
    pub uploaded_at: i64,
    /// The wheels that contradict nearer ones and that it leaves out, and how.
    pub left_out: Vec<(String, String)>,
}

impl VariantsDocument {
    /// Returns how a page lists it.
    pub fn file<'a>(&'a self, url: Cow<'a, str>) -> File<'a> {
        File {
            filename: &self.filename,
            project: self.project.as_str(),
            // That of its wheels, so it adds none to a page.
            version: &self.version,
            url,
            sha256: Some(self.sha256),
            blake3: Some(Digests::of(&self.bytes).blake3),
            size: Some(self.bytes.len() as u64),
            upload_time: Some(self.uploaded_at),
            is_first_seen: false,
            requires_python: None,
            yanked: None,
            sidecar: None,
            provenance: None,
        }
    }
}

/// Makes the documents about the variant wheels among these entries, one for each project and version, in this order. The entries
/// are what a view lists, the nearest collections' first.
pub fn variants_of<'a>(rows: &Rows, entries: impl IntoIterator<Item = &'a Entry>) -> Result<Vec<VariantsDocument>> {
    let mut versions: BTreeMap<(&ProjectName, Option<Version>), Vec<&Entry>> = BTreeMap::new();
    for entry in entries.into_iter().filter(|entry| entry.variant.is_some()) {
        versions.entry((&entry.project, entry.version.parse().ok())).or_default().push(entry);
    }
    versions.into_values().map(|entries| document(rows, &entries)).collect()
}

fn document(rows: &Rows, entries: &[&Entry]) -> Result<VariantsDocument> {
    let (mut union, mut left_out) = (VariantUnion::default(), Vec::new());
    for entry in entries {
        let bytes = rows.variant_json(entry.blob)?.unwrap_or_default();
        if let Err(conflict) = union.add(&bytes) {
            left_out.push((entry.filename.clone(), conflict.to_string()));
        }
    }
    let bytes = union.bytes();
    // 1.0 and 1.0.0 are one version, of which the shorter text is taken whatever the order.
    let version = entries.iter().map(|entry| &entry.version).min_by_key(|text| (text.len(), *text));
    let (project, version) = (entries[0].project.clone(), version.cloned().unwrap_or_default());
    Ok(VariantsDocument {
        filename: document_name(&project, &version),
        sha256: Sha256::of(&bytes),
        uploaded_at: entries.iter().map(|entry| entry.uploaded_at).min().unwrap_or(0),
        project,
        version,
        bytes,
        left_out,
    })
}

/// Tells why a collection doesn't take a variant wheel beside those that it has of the version; `None`: it does, or this is a plain
/// wheel.
pub(crate) fn objection(rows: &Rows, collection: CollectionId, filename: &str, blob: BlobId) -> Result<Option<String>> {
    let Ok(name) = DistributionFilename::parse(filename) else { return Ok(None) };
    if name.variant().is_none() {
        return Ok(None);
    }
    let mut union = VariantUnion::default();
    for entry in rows.project_entries(collection, name.project())? {
        let is_beside = entry.variant.is_some() && entry.filename != filename;
        if is_beside && entry.version.parse().ok().as_ref() == Some(name.version()) {
            // What contradicts was refused when it came, but for what an `undo` or a rollback brought back.
            let _ = union.add(&rows.variant_json(entry.blob)?.unwrap_or_default());
        }
    }
    let bytes = rows.variant_json(blob)?.unwrap_or_default();
    Ok(union.add(&bytes).err().map(|conflict| conflict.to_string()))
}
