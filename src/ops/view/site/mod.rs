//! `view --to URL`: a collection as a static site in a bucket or folder, which web servers show as it is.
//!
//! ```text
//! simple/index.html, index.json                  the projects (PEP 503, 691)
//! simple/<project>/index.html, index.json        the files of one
//! files/<2>/<sha256>/<filename>                  a file, and `.metadata` beside it (PEP 658)
//! .wcas-site.json                                whose the site is, and which objects are ours
//! ```
//!
//! A bucket can't swap a tree. Instead there is an order: a file is there before a page names it, and goes only at the publication
//! after the one whose pages don't. A run that was killed has left nothing that the next one doesn't know.

mod files;
mod mark;

use super::make::{project_pages, root_pages};
use super::place::{owner, place};
use super::tree::{Shelf, shelves};
use super::{file, has_sidecar, split_lost};
use crate::catalog::at::CollectionAt;
use crate::catalog::search;
use crate::catalog::variant_documents::variants_of;
use crate::catalog::view_contents::{Shown, WithheldFile};
use crate::context::Context;
use crate::digest::Digests;
use crate::error::{Error, Result};
use crate::index::{File, href};
use crate::keep::elsewhere::TRANSFERS;
use crate::manifest::State;
use crate::name::{CollectionName, ProjectName};
use crate::parallel;
use crate::share::{Headers, Location, Site};
use crate::store::{Store, TreeLock};
use crate::words::counted;
use mark::Marked;
use serde::Serialize;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// A page says at once what has changed.
const ASK_ALWAYS: &str = "max-age=0, must-revalidate";
const HTML: Headers = Headers { content_type: "text/html; charset=utf-8", cache_control: ASK_ALWAYS };
const JSON: Headers = Headers { content_type: "application/vnd.pypi.simple.v1+json", cache_control: ASK_ALWAYS };

/// What `view --to URL` is told.
#[derive(Debug, Clone)]
pub struct SiteOptions {
    /// What is shown.
    pub shown: Shown,
    /// Where.
    pub to: Location,
    /// Whether it may take the place of a site of ours that shows something else, or lose all its files.
    pub replace: bool,
}

/// What `view --to URL` did.
#[derive(Debug, Serialize)]
pub struct SiteReport {
    /// The collection or variant.
    pub collection: CollectionName,
    /// The revision; of a variant that of the nearest collection.
    pub revision: i64,
    /// The collections that are shown, the nearest first.
    pub collections: Vec<CollectionAt>,
    /// Where the site is.
    pub site: String,
    /// How many files it shows.
    pub files: usize,
    /// How many projects it shows.
    pub projects: usize,
    /// How many files were copied within the bucket.
    pub copied: usize,
    /// How many files were uploaded from here.
    pub uploaded: usize,
    /// How many pages were written.
    pub pages: usize,
    /// How many pages and files were removed.
    pub removed: usize,
    /// The files that it doesn't show, since their bytes are lost.
    pub left_out: Vec<String>,
    /// The files that it doesn't show, since their project is in quarantine or their collection hides variant wheels.
    pub withheld: Vec<WithheldFile>,
}

/// A page, and what web servers tell of it.
struct SitePage {
    key: String,
    bytes: Vec<u8>,
    headers: Headers,
}

/// Writes a collection as a site, or brings the site up to date.
pub fn view_site(store: &Store, context: &Context<'_>, options: &SiteOptions) -> Result<SiteReport> {
    let (site, _lock) = open(store, &options.to)?;
    let shows = owner(store, site.url(), &options.shown).shows;
    let mut marked = Marked::open(&site, store.common_id(), &shows)?;
    let rows = store.manifest.read()?;
    let mut read = options.shown.read(&rows, None)?;
    drop(rows);
    let mut entries = std::mem::take(&mut read.entries);
    let mut left_out = split_lost(&mut entries);
    refuse_unasked(&marked, &shows, entries.len(), options)?;
    marked.mark.shows.clone_from(&shows);
    let documents = variants_of(&store.manifest, &entries)?;
    let projects = shelves(&entries, &read.statuses, &documents);
    let mut wanted = files::keys(&entries, &documents);
    if wanted.iter().any(|(key, size)| !files::is_there(&marked, key, *size)) {
        marked.begin(&page_keys(&projects), &wanted)?;
    }
    let brought = files::bring(store, context, &marked, &entries)?;
    // What turned out to be lost is on no page.
    entries.iter_mut().filter(|entry| brought.lost.contains(&entry.blob)).for_each(|entry| entry.state = State::Lost);
    left_out.extend(split_lost(&mut entries));
    let documents = variants_of(&store.manifest, &entries)?;
    let projects = shelves(&entries, &read.statuses, &documents);
    let keys = page_keys(&projects);
    if !brought.lost.is_empty() {
        wanted = files::keys(&entries, &documents);
        marked.begin(&keys, &wanted)?;
    }
    files::write_beside(store, &marked, &entries, &documents)?;
    let pages = write_pages(&mut marked, &projects, &wanted)?;
    let removed = finish(&mut marked, &keys, &wanted)?;
    Ok(SiteReport {
        collection: options.shown.name().clone(),
        revision: read.revision(),
        collections: read.collections(),
        site: site.url().to_owned(),
        files: entries.len(),
        projects: projects.len(),
        copied: brought.copied,
        uploaded: brought.uploaded,
        pages,
        removed,
        left_out,
        withheld: read.withheld,
    })
}

/// Takes a site's place, and keeps other commands of this machine from it.
fn open(store: &Store, to: &Location) -> Result<(Site, TreeLock)> {
    store.require_writable()?;
    let mut to = to.clone();
    let path = match to.folder() {
        Some(path) => {
            let path = place(store, path)?;
            to.url = format!("file://{}", path.display());
            path
        }
        None => PathBuf::from(&to.url),
    };
    let site = Site::at(&to, store.share())?;
    let lock = store.view_lock(&path)?;
    Ok((site, lock))
}

/// Refuses to show something else than the site does, and to leave one that has files without any, unless that is meant.
fn refuse_unasked(marked: &Marked<'_>, shows: &str, files: usize, options: &SiteOptions) -> Result<()> {
    let (url, mark) = (marked.site.url(), &marked.mark);
    if options.replace || !marked.is_there() {
        return Ok(());
    }
    if mark.shows != shows {
        let found = &mark.shows;
        return Err(Error::Refused(format!(
            "the site at {url} shows {found}, not {shows}; say --replace where that is meant"
        )));
    }
    if files == 0 && !mark.files.is_empty() {
        let has = counted(mark.files.len(), "object");
        return Err(Error::Refused(format!("{url} has {has} and would have none; say --replace where that is meant")));
    }
    Ok(())
}

/// Returns the keys of the pages of projects, and of the pages that list these.
fn page_keys(projects: &[Shelf<'_>]) -> Vec<String> {
    let of_projects = projects.iter().flat_map(|shelf| ["html", "json"].map(|kind| project_key(shelf.project, kind)));
    of_projects.chain(["html", "json"].map(root_key)).collect()
}

fn project_key(project: &ProjectName, kind: &str) -> String {
    format!("simple/{project}/index.{kind}")
}

fn root_key(kind: &str) -> String {
    format!("simple/index.{kind}")
}

/// Renders the pages of a project; their links lead out of `simple/PROJECT/`.
fn project_page(shelf: &Shelf<'_>) -> [SitePage; 2] {
    let mut entries = shelf.entries.to_vec();
    search::sort_projects(&mut entries);
    let url = |key: &str, filename: &str| {
        let folder = key.strip_suffix(filename).unwrap_or(key);
        // Amazon's servers take a plus in a path for a space.
        Cow::Owned(format!("../../{folder}{}", href(filename).replace('+', "%2B")))
    };
    let listed = entries.iter().map(|entry| {
        let key = files::key(&entry.sha256, &entry.filename);
        file(entry, url(&key, &entry.filename), has_sidecar(entry))
    });
    let beside = shelf.documents.iter().map(|of| of.file(url(&files::key(&of.sha256, &of.filename), &of.filename)));
    let listed: Vec<File<'_>> = listed.chain(beside).collect();
    let (html, json) = project_pages(shelf, &listed);
    [
        SitePage { key: project_key(shelf.project, "html"), bytes: html, headers: HTML },
        SitePage { key: project_key(shelf.project, "json"), bytes: json, headers: JSON },
    ]
}

/// Writes the pages that aren't as they should be, those of projects before those that list them. Returns how many were written.
fn write_pages(
    marked: &mut Marked<'_>,
    projects: &[Shelf<'_>],
    files: &BTreeMap<String, Option<u64>>,
) -> Result<usize> {
    let keys = page_keys(projects);
    let (html, json) = root_pages(projects.iter().map(|shelf| shelf.project.as_str()).collect());
    let roots = [
        SitePage { key: root_key("html"), bytes: html, headers: HTML },
        SitePage { key: root_key("json"), bytes: json, headers: JSON },
    ];
    let of_projects: Vec<SitePage> = projects.iter().flat_map(project_page).collect();
    let mut count = 0;
    for group in [of_projects, roots.into()] {
        let changed: Vec<SitePage> = group.into_iter().filter(|page| !is_current(marked, page)).collect();
        if changed.is_empty() {
            continue;
        }
        marked.begin(&keys, files)?;
        marked.require_alone()?;
        let site = marked.site;
        let written = parallel::map(TRANSFERS, &changed, |page| site.write(&page.key, &page.bytes, page.headers));
        for (page, tag) in changed.iter().zip(written) {
            marked.mark.pages.insert(page.key.clone(), mark_of(&page.bytes, &tag?));
            count += 1;
        }
    }
    Ok(count)
}

/// Tells whether a page is as it was written, and has these bytes.
fn is_current(marked: &Marked<'_>, page: &SitePage) -> bool {
    let found = marked.objects.get(&page.key).map(|found| mark_of(&page.bytes, &found.tag));
    found.is_some() && marked.mark.pages.get(&page.key) == found.as_ref()
}

/// Returns what the mark says of a page.
fn mark_of(bytes: &[u8], tag: &str) -> String {
    format!("{} {tag}", Digests::of(bytes).blake3)
}

/// Removes the pages that aren't wanted any more, and the files that weren't the last time either, and marks what is left. Returns how
/// many objects went.
fn finish(marked: &mut Marked<'_>, pages: &[String], files: &BTreeMap<String, Option<u64>>) -> Result<usize> {
    let pages: BTreeSet<&String> = pages.iter().collect();
    let mut mark = marked.mark.clone();
    let (pages, former): (BTreeMap<_, _>, BTreeMap<_, _>) =
        std::mem::take(&mut mark.pages).into_iter().partition(|(key, _)| pages.contains(key));
    let former = former.into_keys().chain(std::mem::take(&mut mark.former));
    let gone: Vec<String> = former.filter(|key| !files.contains_key(key) && marked.objects.contains_key(key)).collect();
    if !gone.is_empty() {
        marked.begin(&[], &BTreeMap::new())?;
        marked.require_alone()?;
        remove_all(marked.site, &gone)?;
    }
    (mark.pages, mark.former) = (pages, mark.files.iter().filter(|key| !files.contains_key(*key)).cloned().collect());
    mark.files = files.keys().cloned().collect();
    marked.finish(mark)?;
    Ok(gone.len())
}

fn remove_all(site: &Site, keys: &[String]) -> Result<()> {
    let removed = parallel::map(TRANSFERS, keys, |key| site.remove(key));
    Ok(removed.into_iter().collect::<crate::share::Result<()>>()?)
}

/// What `view --remove URL` did.
#[derive(Debug, Serialize)]
pub struct DropSiteReport {
    /// Where the site was.
    pub removed: String,
    /// How many objects it had.
    pub objects: usize,
}

/// Removes a site of this store, whatever it shows: what readers see first, the mark last. Others' objects stay.
pub fn drop_site(store: &Store, to: &Location) -> Result<DropSiteReport> {
    if to.folder().is_some_and(|path| !path.exists()) {
        return Err(Error::NoSuch(format!("site at {}", to.url)));
    }
    let (site, _lock) = open(store, to)?;
    let marked = Marked::open(&site, store.common_id(), "")?;
    if !marked.is_there() {
        return Err(Error::NoSuch(format!("site at {}", site.url())));
    }
    let mark = &marked.mark;
    let is_root = |key: &&String| ["html", "json"].map(root_key).contains(key);
    let is_there = |key: &&String| marked.objects.contains_key(*key);
    let roots: Vec<String> = mark.pages.keys().filter(is_root).filter(is_there).cloned().collect();
    let pages: Vec<String> = mark.pages.keys().filter(|key| !is_root(key)).filter(is_there).cloned().collect();
    let files: Vec<String> = mark.files.union(&mark.former).filter(is_there).cloned().collect();
    for keys in [&roots, &pages, &files] {
        remove_all(&site, keys)?;
    }
    let report = DropSiteReport { removed: site.url().to_owned(), objects: roots.len() + pages.len() + files.len() };
    marked.remove()?;
    Ok(report)
}
