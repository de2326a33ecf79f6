//! `view` without a folder: a page or a list, printed.

use super::tree::find_lost;
use super::{file, split_lost};
use crate::blobs::Blobs;
use crate::catalog::at::CollectionAt;
use crate::catalog::search;
use crate::catalog::statuses::shown_status;
use crate::catalog::variant_documents::{VariantsDocument, variants_of};
use crate::catalog::view_contents::{Shown, WithheldFile};
use crate::error::{Error, Result};
use crate::fs;
use crate::index::pylock::pylock;
use crate::index::{self, File, Page, html, json, lines};
use crate::manifest::Entry;
use crate::name::{CollectionName, ProjectName};
use crate::store::Store;
use rayon::prelude::*;
use serde::Serialize;
use std::borrow::Cow;
use std::io::{self, Write};

/// How a collection is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A page for pip and uv (PEP 503).
    Html,
    /// A document (PEP 691).
    Json,
    /// `name==version --hash=sha256:…`.
    Requirements,
    /// A lock file of the newest version of each project (PEP 751).
    Pylock,
    /// A path a line.
    Paths,
}

/// What `view` is told.
#[derive(Debug, Clone)]
pub struct ViewOptions {
    /// What is shown.
    pub shown: Shown,
    /// One project only.
    pub project: Option<ProjectName>,
    /// How it is printed.
    pub format: Format,
    /// What links begin with; `None`: files of the store.
    pub base_url: Option<String>,
}

/// What `view` printed.
#[derive(Debug, Serialize)]
pub struct ViewReport {
    /// The collection or variant.
    pub collection: CollectionName,
    /// The revision; of a variant that of the nearest collection.
    pub revision: i64,
    /// The collections that are shown, the nearest first.
    pub collections: Vec<CollectionAt>,
    /// How many files it shows.
    pub files: usize,
    /// The files that it doesn't show, since their bytes are lost.
    pub left_out: Vec<String>,
    /// How many files a lock file has no place for: of older versions, mostly.
    pub unlocked: usize,
    /// The files that it doesn't show, since their project is in quarantine or their collection hides variant wheels.
    pub withheld: Vec<WithheldFile>,
}

/// Prints a collection.
pub fn view(store: &Store, options: &ViewOptions, out: &mut dyn Write) -> Result<ViewReport> {
    let transaction = store.manifest.read()?;
    let mut read = options.shown.read(&transaction, options.project.as_ref())?;
    let mut entries = std::mem::take(&mut read.entries);
    let collection = options.shown.name();
    if let Some(project) = options.project.as_ref().filter(|_| entries.is_empty() && read.withheld.is_empty()) {
        return Err(Error::NoMatch(format!("{project} in {collection}")));
    }
    drop(transaction);
    if options.format != Format::Requirements {
        // Whoever is handed a link opens what is there.
        find_lost(store, entries.iter_mut().collect())?;
    }
    let left_out = split_lost(&mut entries);
    let documents = match options.format {
        Format::Html | Format::Json => variants_of(&store.manifest, &entries)?,
        Format::Requirements | Format::Pylock | Format::Paths => Vec::new(),
    };
    search::sort_projects(&mut entries);
    let mut unlocked = 0;
    let done = match options.format {
        Format::Paths => {
            let blobs = &store.blobs;
            let paths = entries.par_iter().map(|entry| blobs.named(&entry.blake3, &entry.filename));
            lines::paths(out, paths.collect::<fs::Result<Vec<_>>>()?)
        }
        format => {
            let (blobs, base) = (&store.blobs, options.base_url.as_deref());
            let urls = entries.par_iter().map(|entry| url(blobs, entry, format, base));
            let urls = urls.collect::<Result<Vec<String>>>().map_err(|error| explain(store, error))?;
            let links = documents.iter().map(|document| document_url(blobs, document, base));
            let links = links.collect::<Result<Vec<String>>>().map_err(|error| explain(store, error))?;
            // A sidecar is announced only where it can be had beside the file: in trees.
            let files = entries.iter().zip(&urls).map(|(entry, url)| file(entry, Cow::Borrowed(url), false));
            let beside = documents.iter().zip(&links).map(|(document, url)| document.file(Cow::Borrowed(url)));
            let files: Vec<File<'_>> = files.chain(beside).collect();
            let status = options.project.as_ref().and_then(|project| read.statuses.get(project)).map(shown_status);
            let name = options.project.as_ref().map_or(collection.as_str(), ProjectName::as_str);
            let page = Page { serial: Some(read.serial().cast_unsigned()), status, ..Page::new(name, &files) };
            match (format, options.project.is_some()) {
                (Format::Html, true) => html::project(out, &page),
                (Format::Html, false) => html::collection(out, &page),
                (Format::Json, true) => json::project(out, &page),
                (Format::Json, false) => json::collection(out, &page),
                (Format::Pylock, _) => pylock(out, &files).map(|count| unlocked = count),
                _ => lines::requirements(out, &files),
            }
        }
    };
    match done.and_then(|()| out.flush()) {
        // Whoever reads it may leave: what is told beside the page is true all the same.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        written => written.map_err(fs::Error::at("write", "standard output"))?,
    }
    Ok(ViewReport {
        collection: collection.clone(),
        revision: read.revision(),
        collections: read.collections(),
        files: entries.len(),
        left_out,
        unlocked,
        withheld: read.withheld,
    })
}

/// A page's links end in filenames, which who can't write to the store can't make.
fn explain(store: &Store, error: Error) -> Error {
    match error {
        Error::Disk(error) if !store.is_writable() && !error.is_full() => Error::Refused(format!(
            "{} can't be written, so links that end in filenames can't be made there ({}): say --base-url, or let its owner \
             print the page once",
            store.root().display(),
            error.source
        )),
        error => error,
    }
}

fn url(blobs: &Blobs, entry: &Entry, format: Format, base: Option<&str>) -> Result<String> {
    Ok(match (format, base) {
        (Format::Requirements, _) => String::new(),
        (_, Some(base)) => format!("{}/{}", base.trim_end_matches('/'), index::href(&entry.filename)),
        (_, None) => index::file_url(&blobs.named(&entry.blake3, &entry.filename)?),
    })
}

fn document_url(blobs: &Blobs, document: &VariantsDocument, base: Option<&str>) -> Result<String> {
    Ok(match base {
        Some(base) => format!("{}/{}", base.trim_end_matches('/'), index::href(&document.filename)),
        None => index::file_url(&blobs.document(&document.filename, &document.bytes)?),
    })
}
