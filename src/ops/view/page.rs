//! `view` without a folder: a page or a list, printed.

use super::tree::find_lost;
use super::{file, split_lost};
use crate::blobs::{Blobs, Links};
use crate::catalog::at::CollectionAt;
use crate::catalog::search;
use crate::catalog::statuses::shown_status;
use crate::catalog::variant_documents::{VariantsDocument, variants_of};
use crate::catalog::view_contents::{Shown, WithheldFile};
use crate::error::{Error, Result};
use crate::fs::{self, Signature};
use crate::index::pylock::pylock;
use crate::index::{self, File, Page, html, json, lines};
use crate::manifest::{Entry, State};
use crate::name::{CollectionName, ProjectName};
use crate::store::Store;
use rayon::prelude::*;
use serde::Serialize;
use std::borrow::Cow;
use std::io::{self, Write};
use std::path::PathBuf;

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
    search::sort_projects(&mut entries);
    let links = store.blobs.links();
    let (paths, left_out) = look(store, options, &links, &mut entries)?;
    let documents = match options.format {
        Format::Html | Format::Json => variants_of(&store.manifest, &entries)?,
        Format::Requirements | Format::Pylock | Format::Paths => Vec::new(),
    };
    let path = |(entry, path): (&Entry, Option<PathBuf>)| match path {
        Some(path) => Ok(path),
        None => links.path(&entry.blake3, &entry.filename),
    };
    let paths = entries.par_iter().zip(paths);
    let mut unlocked = 0;
    let done = match options.format {
        Format::Paths => lines::paths(out, paths.map(path).collect::<fs::Result<Vec<_>>>()?),
        format => {
            let (blobs, base) = (&store.blobs, options.base_url.as_deref());
            let urls = paths.map(|(entry, known)| match (format, base) {
                (Format::Requirements, _) => Ok(String::new()),
                (_, Some(base)) => Ok(format!("{}/{}", base.trim_end_matches('/'), index::href(&entry.filename))),
                (_, None) => Ok(index::file_url(&path((entry, known))?)),
            });
            let urls = urls.collect::<Result<Vec<String>>>().map_err(|error| explain(store, error))?;
            let others = documents.iter().map(|document| document_url(blobs, document, base));
            let others = others.collect::<Result<Vec<String>>>().map_err(|error| explain(store, error))?;
            // A sidecar is announced only where it can be had beside the file: in trees.
            let files = entries.iter().zip(&urls).map(|(entry, url)| file(entry, Cow::Borrowed(url), false));
            let beside = documents.iter().zip(&others).map(|(document, url)| document.file(Cow::Borrowed(url)));
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

/// Leaves out what is lost. Returns the paths of links that are known to be right, for each entry that stays, and what was left out.
fn look(
    store: &Store,
    options: &ViewOptions,
    links: &Links<'_>,
    entries: &mut Vec<Entry>,
) -> Result<(Vec<Option<PathBuf>>, Vec<String>)> {
    let mut paths = match (options.format, &options.base_url) {
        (Format::Requirements, _) | (Format::Html | Format::Json | Format::Pylock, Some(_)) => {
            vec![None; entries.len()]
        }
        _ => entries.par_iter().map(|entry| standing(links, entry)).collect(),
    };
    if options.format != Format::Requirements {
        // Whoever is handed a link opens what is there.
        let doubtful = entries.iter_mut().zip(&paths).filter(|(_, path)| path.is_none());
        find_lost(store, doubtful.map(|(entry, _)| entry).collect())?;
    }
    let mut is_available = entries.iter().map(|entry| entry.state.is_available());
    paths.retain(|_| is_available.next().unwrap_or_default());
    Ok((paths, split_lost(entries)))
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

/// Returns the path of an entry's link, if it leads to the file that is recorded as right: then neither needs another look.
fn standing(links: &Links<'_>, entry: &Entry) -> Option<PathBuf> {
    let is_right = |found: &Signature| found.is_recorded(entry.inode, entry.size, entry.modified_ns);
    let is_here = entry.state == State::Live;
    is_here.then(|| links.standing(&entry.blake3, &entry.filename, is_right)).flatten()
}

fn document_url(blobs: &Blobs, document: &VariantsDocument, base: Option<&str>) -> Result<String> {
    Ok(match base {
        Some(base) => format!("{}/{}", base.trim_end_matches('/'), index::href(&document.filename)),
        None => index::file_url(&blobs.document(&document.filename, &document.bytes)?),
    })
}
