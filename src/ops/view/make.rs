//! The files and pages of a tree.

use super::changes::Kept;
use super::tree::{Shelf, TreeOptions, wanted};
use super::{file, has_sidecar};
use crate::blobs::Blobs;
use crate::catalog::search;
use crate::catalog::statuses::shown_status;
use crate::catalog::variant_documents::VariantsDocument;
use crate::context::Context;
use crate::digest::Sha256;
use crate::error::Result;
use crate::fs;
use crate::index::{self, File, Page, html, json};
use crate::manifest::{Entry, LinkKind, ViewId};
use crate::store::Store;
use crate::view::{Content, Document, FileLink, FlatFile, FlatTree, LinkMaker, Owner, SimpleTree, Source};
use rayon::prelude::*;
use std::collections::BTreeSet;
use std::path::Path;

/// Sidecars of so many files are made and synced at a time.
const CHUNK_FILES: usize = 4096;

/// What a tree is made for.
pub(super) struct TreeTask<'a> {
    pub(super) owner: &'a Owner,
    pub(super) options: &'a TreeOptions,
    pub(super) generation: i64,
    /// What isn't among the projects that are given.
    pub(super) kept: Kept,
    /// The row, where it was made for this.
    pub(super) new: Option<ViewId>,
}

/// Makes and shows a tree with the simple layout; returns how many projects were made anew.
pub(super) fn make_simple(
    store: &Store,
    context: &Context<'_>,
    tree: &mut SimpleTree,
    errand: &TreeTask<'_>,
    projects: &[Shelf<'_>],
) -> Result<usize> {
    let TreeTask { owner, options, generation, ref kept, .. } = *errand;
    // What is kept is shown, and so never made.
    let mut wanted = wanted(store, projects, options.link);
    wanted.extend_from_slice(&kept.projects);
    tree.sweep()?;
    tree.prepare(owner)?;
    let plan = tree.plan(&wanted);
    // A project's folder is one level below the folder of projects.
    let links = maker(store, options.link, &tree.projects_dir().join("x"));
    let count_of = |index: usize| projects[index].entries.len();
    let total: usize = plan.make.iter().map(|&index| count_of(index)).sum();
    let bytes_of = |index: usize| projects[index].entries.iter().map(|entry| entry.size).sum::<u64>();
    let bytes = plan.make.iter().map(|&index| bytes_of(index)).sum();
    let is_copied = is_copied(options.link);
    match is_copied {
        true => context.progress.start_files("copying", plan.make.len() as u64, bytes),
        false => context.progress.start("linking", total as u64),
    }
    let is_elsewhere = fs::device(&tree.projects_dir())? != fs::device(store.root())?;
    let mut start = 0;
    while start < plan.make.len() {
        let mut files = 0;
        let fits = |&&index: &&usize| {
            files += count_of(index);
            files <= CHUNK_FILES || files == count_of(index)
        };
        let count = plan.make[start..].iter().take_while(fits).count();
        let chunk = &plan.make[start..start + count];
        start += count;
        make_sidecars(store, chunk.iter().flat_map(|&index| projects[index].entries), is_elsewhere)?;
        let blobs = &store.blobs;
        chunk.par_iter().try_for_each(|&index| {
            let make = || tree.make(&wanted[index], &content(blobs, &projects[index]), &links);
            if is_copied {
                return context.progress.on(projects[index].project.as_str(), bytes_of(index), make);
            }
            let done = make();
            context.progress.add(count_of(index) as u64);
            done
        })?;
    }
    context.progress.finish();
    let (page, document) = root_pages(wanted.iter().map(|project| project.name.as_str()).collect());
    tree.show(&plan, &wanted, generation, &page, &document)?;
    tree.sweep()?;
    Ok(plan.make.len())
}

/// Makes the sidecars that are not there yet: staged, synced, named, before there is a link to any of them.
fn make_sidecars<'a>(store: &Store, entries: impl Iterator<Item = &'a Entry>, is_elsewhere: bool) -> Result<()> {
    let wanted: BTreeSet<Sha256> = entries.filter_map(Entry::sidecar).collect();
    let wanted: Vec<Sha256> = wanted.into_iter().collect();
    let blobs = &store.blobs;
    let absent: Vec<Sha256> = wanted.par_iter().copied().filter(|sha256| !blobs.has_sidecar(sha256)).collect();
    if absent.is_empty() {
        // A run that was killed may have given names that are not durable, and the sync of a tree elsewhere doesn't reach them.
        if is_elsewhere && !wanted.is_empty() {
            fs::sync_filesystem(store.root())?;
        }
        return Ok(());
    }
    // The manifest belongs to this thread; files are written by all.
    let read = |sha256: &Sha256| Ok((*sha256, store.manifest.metadata(sha256)?.unwrap_or_default()));
    let bytes = absent.iter().map(read).collect::<Result<Vec<_>>>()?;
    let scratch = store.scratch()?;
    bytes.par_iter().try_for_each(|(sha256, bytes)| blobs.stage_sidecar(scratch.dir(), sha256, bytes))?;
    fs::sync_filesystem(scratch.dir())?;
    absent.par_iter().try_for_each(|sha256| blobs.publish_sidecar(scratch.dir(), sha256))?;
    // The tree may be on another filesystem, whose sync doesn't reach these names, nor those of a run that was killed.
    fs::sync_filesystem(scratch.dir())?;
    Ok(())
}

/// Renders a project's pages and lists its files.
fn content(blobs: &Blobs, shelf: &Shelf<'_>) -> Content {
    let mut entries = shelf.entries.to_vec();
    search::sort_projects(&mut entries);
    let (html, json) = project_pages(shelf, &files(&entries, shelf.documents, true));
    let links = entries.iter().map(|entry| FileLink {
        filename: entry.filename.clone(),
        blob: blobs.path(&entry.blake3),
        sidecar: entry.sidecar().filter(|_| has_sidecar(entry)).map(|sha256| blobs.sidecar(&sha256)),
    });
    let files = links.collect();
    Content { html, json, files, documents: shelf.documents.iter().map(beside).collect() }
}

/// Renders the pages that list projects.
pub(super) fn root_pages(mut names: Vec<&str>) -> (Vec<u8>, Vec<u8>) {
    names.sort_unstable();
    let (mut html, mut json) = (Vec::new(), Vec::new());
    html::root(&mut html, None, &names).expect("memory takes all bytes");
    json::root(&mut json, None, names.iter().map(|name| (*name, None))).expect("memory takes all bytes");
    (html, json)
}

/// Renders the pages of a project, which list these files.
pub(super) fn project_pages(shelf: &Shelf<'_>, files: &[File<'_>]) -> (Vec<u8>, Vec<u8>) {
    let page = Page { status: shelf.status.map(shown_status), ..Page::new(shelf.project.as_str(), files) };
    let (mut html, mut json) = (Vec::new(), Vec::new());
    html::project(&mut html, &page).expect("memory takes all bytes");
    json::project(&mut json, &page).expect("memory takes all bytes");
    (html, json)
}

/// Lists distributions, and after them the documents about variant wheels among them, all in the page's own folder.
fn files<'a>(entries: &'a [Entry], documents: &'a [VariantsDocument], has_sidecars: bool) -> Vec<File<'a>> {
    let files =
        entries.iter().map(|entry| file(entry, index::href(&entry.filename), has_sidecars && has_sidecar(entry)));
    files.chain(documents.iter().map(|document| document.file(index::href(&document.filename)))).collect()
}

fn beside(document: &VariantsDocument) -> Document {
    Document { filename: document.filename.clone(), bytes: document.bytes.clone() }
}

/// Makes and shows a flat tree; returns how many files were made anew, and which are somebody else's.
pub(super) fn make_flat(
    store: &Store,
    context: &Context<'_>,
    tree: &mut FlatTree,
    errand: &TreeTask<'_>,
    entries: &[Entry],
    documents: &[VariantsDocument],
) -> Result<(usize, Vec<String>)> {
    let TreeTask { owner, options, .. } = *errand;
    let mut sorted = entries.to_vec();
    search::sort_projects(&mut sorted);
    let listed = files(&sorted, documents, false);
    let mut page = Vec::new();
    html::collection(&mut page, &Page::new(options.shown.name().as_str(), &listed)).expect("memory takes all bytes");
    let blob = |entry: &Entry| Source::Blob {
        path: store.blobs.path(&entry.blake3),
        blake3: entry.blake3,
        epoch: entry.epoch,
    };
    let links = entries.iter().map(|entry| FlatFile { filename: &entry.filename, source: blob(entry) });
    let beside = documents
        .iter()
        .map(|document| FlatFile { filename: &document.filename, source: Source::Bytes(&document.bytes) });
    let page = FlatFile { filename: "index.html", source: Source::Bytes(&page) };
    let wanted: Vec<FlatFile<'_>> = links.chain(beside).chain([page]).collect();
    let links = maker(store, options.link, Path::new(&owner.view));
    let plan = match tree.plan(owner, &wanted, &links) {
        Ok(plan) => plan,
        Err(refused) => {
            // Nothing is kept for a folder that is refused.
            if let Some(id) = errand.new {
                let transaction = store.manifest.write()?;
                transaction.delete_view(id)?;
                transaction.commit()?;
            }
            return Err(refused.into());
        }
    };
    let size_of = |index: usize| entries.get(index).map_or(0, |entry| entry.size);
    let (progress, is_copied) = (context.progress, is_copied(options.link));
    match is_copied {
        true => progress.start_files("copying", plan.made() as u64, plan.making().map(size_of).sum()),
        false => progress.start("linking", plan.made() as u64),
    }
    let around = |index: usize, make: &mut dyn FnMut()| {
        if is_copied {
            return progress.on(wanted[index].filename, size_of(index), make);
        }
        make();
        progress.add(1);
    };
    tree.show(owner, &plan, &wanted, &links, &around)?;
    progress.finish();
    Ok((plan.made(), plan.theirs))
}

/// Tells whether a tree's files are made by their bytes.
fn is_copied(link: LinkKind) -> bool {
    matches!(link, LinkKind::Copy | LinkKind::Reflink)
}

fn maker(store: &Store, link: LinkKind, dir: &Path) -> LinkMaker {
    match link {
        LinkKind::Symlink => LinkMaker::relative(dir, store.root()),
        LinkKind::Hardlink => LinkMaker::Hardlink,
        LinkKind::Reflink => LinkMaker::Reflink,
        LinkKind::Copy => LinkMaker::Copy,
    }
}
