//! `view --to`: a tree on disk, written, brought up to date, taken away.

use super::make::{TreeTask, make_flat, make_simple};
use super::place::{Tree, open, owner, place, refuse_other};
use super::{LONGEST_NAME, has_sidecar, signed, split_lost};
use crate::blobs::Found;
use crate::catalog::at::CollectionAt;
use crate::catalog::variant_documents::{VariantsDocument, variants_of};
use crate::catalog::view_contents::{Shown, ShownEntries, WithheldFile};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::keep::health::is_usable;
use crate::manifest::{BlobRow, Entry, Layout, LinkKind, State, StatusRow, ViewRow};
use crate::name::{CollectionName, ProjectName};
use crate::status::Status;
use crate::store::{self, Store};
use crate::view::{Project, SimpleTree, Standing};
use crate::words::counted;
use rayon::prelude::*;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};

/// Moves whenever pages or the layout of a tree change, so that trees are made anew then.
const TREE_VERSION: u8 = 1;

/// What `view --to` is told.
#[derive(Debug, Clone)]
pub struct TreeOptions {
    /// What is shown.
    pub shown: Shown,
    /// The folder.
    pub to: PathBuf,
    /// How files have their bytes.
    pub link: LinkKind,
    /// How files are arranged.
    pub layout: Layout,
    /// Whether it may take the place of a tree that shows something else, or lose all its files.
    pub replace: bool,
}

/// What `view --to` did.
#[derive(Debug, Serialize)]
pub struct TreeReport {
    /// The collection or variant.
    pub collection: CollectionName,
    /// The revision; of a variant that of the nearest collection.
    pub revision: i64,
    /// The collections that are shown, the nearest first.
    pub collections: Vec<CollectionAt>,
    /// The folder.
    #[serde(serialize_with = "crate::fs::text::path")]
    pub path: PathBuf,
    /// How many files it shows.
    pub files: usize,
    /// How many projects it shows.
    pub projects: usize,
    /// How many projects (or with the flat layout, files) were made anew.
    pub made: usize,
    /// Whether the folder was new to the store.
    pub is_new: bool,
    /// The files that it doesn't show, since their bytes are lost.
    pub left_out: Vec<String>,
    /// The files that it doesn't show, since their project is in quarantine or their collection hides variant wheels.
    pub withheld: Vec<WithheldFile>,
    /// The files that others put at names of a flat tree, with the right bytes: shown, and left to them.
    pub theirs: Vec<String>,
}

/// A project as its folder shows it; of one in quarantine there are no entries.
pub(super) struct Shelf<'a> {
    pub(super) project: &'a ProjectName,
    pub(super) entries: &'a [Entry],
    pub(super) status: Option<&'a StatusRow>,
    pub(super) documents: &'a [VariantsDocument],
}

/// Writes a collection as a tree, or brings the tree up to date. Readers see the old or the new one, never a mixture.
pub fn view_tree(store: &Store, context: &Context<'_>, options: &TreeOptions) -> Result<TreeReport> {
    store.require_writable()?;
    let mut path = place(store, &options.to)?;
    let lock = match store.view_lock(&path) {
        // Another store has taken its own tree away there, and the folder with it.
        Err(store::Error::Disk(error)) if error.is_not_found() => {
            path = place(store, &options.to)?;
            store.view_lock(&path)
        }
        lock => lock,
    };
    let _lock = lock?;
    show_locked(store, context, options, path)
}

/// Writes a tree whose lock the caller has.
pub(super) fn show_locked(
    store: &Store,
    context: &Context<'_>,
    options: &TreeOptions,
    path: PathBuf,
) -> Result<TreeReport> {
    let report = show_tree(store, context, options, path)?;
    signed::put(store, &options.shown, options.layout, &report.path, report.revision)?;
    Ok(report)
}

fn show_tree(store: &Store, context: &Context<'_>, options: &TreeOptions, path: PathBuf) -> Result<TreeReport> {
    let text = path
        .to_str()
        .ok_or_else(|| Error::ViewTarget { path: path.clone(), why: "its path is not UTF-8".to_owned() })?;
    // Nothing is recorded for a folder that will be refused.
    let mut tree = open(&path, options.layout)?;
    let owner = owner(store, text, &options.shown);
    let is_other = refuse_other(&tree, &owner, options)?;
    let known = store.manifest.find_view(text)?.filter(|_| !is_other);
    if let Some(report) = unchanged(store, options, &path, known.as_ref(), &tree)? {
        return Ok(report);
    }
    let transaction = store.manifest.write()?;
    let mut read = options.shown.read(&transaction, None)?;
    if let Some(known) = known.as_ref().filter(|known| known.files > 0 && read.entries.is_empty() && !options.replace) {
        let files = counted(known.files, "file");
        return Err(Error::Refused(format!(
            "{text} has {files} and would have none; say --replace where that is meant"
        )));
    }
    let root = store.root().to_string_lossy();
    let id = transaction.insert_view(text, &root, options.layout, options.link)?;
    let generation = transaction.last_generation(id)? + 1;
    for (collection, source) in &read.sources {
        transaction.insert_view_source(id, generation, *collection, source.revision)?;
    }
    let mut entries = std::mem::take(&mut read.entries);
    transaction.commit()?;
    // Before bytes are looked at: what is found bad from here on is noticed by the next run.
    let losses = store.manifest.losses()?;
    let doubtful: HashSet<ProjectName> = match &mut tree {
        Tree::Simple(tree) => changed_projects(store, tree, &shelves(&entries, &read.statuses, &[]), options.link),
        Tree::Flat(_) => entries.iter().map(|entry| entry.project.clone()).collect(),
    };
    find_lost(store, entries.iter_mut().filter(|entry| doubtful.contains(&entry.project)).collect())?;
    let left_out = split_lost(&mut entries);
    let documents = variants_of(&store.manifest, &entries)?;
    let projects = shelves(&entries, &read.statuses, &documents);
    let errand = TreeTask { owner: &owner, options, generation, new: known.is_none().then_some(id) };
    let (made, theirs) = match tree {
        Tree::Simple(tree) => (make_simple(store, context, tree, &errand, &projects)?, Vec::new()),
        Tree::Flat(tree) => make_flat(store, tree, &errand, &entries, &documents)?,
    };
    let transaction = store.manifest.write()?;
    let counts = (entries.len(), projects.len());
    let is_whole = left_out.is_empty() && may_be_unchanged(&options.shown);
    transaction.set_generation(id, generation, counts, is_whole.then_some(losses))?;
    transaction.commit()?;
    Ok(TreeReport {
        collection: options.shown.name().clone(),
        revision: read.revision(),
        collections: read.collections(),
        path,
        files: entries.len(),
        projects: projects.len(),
        made,
        is_new: known.is_none(),
        left_out,
        withheld: read.withheld,
        theirs,
    })
}

/// Looks whether the files of blobs are those that were known to be right; one that isn't is read, and recorded as lost if bad.
pub(super) fn find_lost(store: &Store, entries: Vec<&mut Entry>) -> Result<()> {
    let blobs = &store.blobs;
    let is_known = |entry: &Entry| matches!(blobs.find(&entry.blake3), Ok(Found::File(found)) if found.is_recorded(entry.inode, entry.size, entry.modified_ns));
    let is_suspect = |entry: &&mut Entry| entry.state == State::Live && !is_known(entry);
    let suspects: Vec<&mut Entry> = entries.into_par_iter().filter(is_suspect).collect();
    for entry in suspects {
        let Some(row) = store.manifest.blob(entry.blob)? else { continue };
        if !is_usable(store, &row)? {
            entry.state = State::Lost;
        }
    }
    Ok(())
}

/// Returns the projects whose folders readers don't see yet as they should be: their blobs are about to be linked. Those are also the
/// folders in which something is missing, whoever took it away. One that is to show something else is as it is for those who read it
/// until then.
fn changed_projects(
    store: &Store,
    tree: &mut SimpleTree,
    projects: &[Shelf<'_>],
    link: LinkKind,
) -> HashSet<ProjectName> {
    let wanted = wanted(store, projects, link);
    let mut changed: HashSet<ProjectName> =
        tree.plan(&wanted).make.into_iter().map(|index| projects[index].project.clone()).collect();
    let standing = tree.standing();
    for shelf in projects {
        if changed.contains(shelf.project) {
            continue;
        }
        let sidecars = shelf.entries.iter().filter(|entry| entry.sidecar().is_some() && has_sidecar(entry)).count();
        let made = Standing { files: shelf.entries.len(), sidecars };
        if standing.get(shelf.project.as_str()).is_some_and(|found| *found != Some(made)) {
            tree.forget(shelf.project.as_str());
            changed.insert(shelf.project.clone());
        }
    }
    changed
}

/// Tells whether a tree has all that was made of it, as far as counts tell.
fn stands(tree: &Tree, known: &ViewRow, sidecars: Option<usize>) -> bool {
    match tree {
        Tree::Flat(tree) => tree.stands(),
        Tree::Simple(tree) => {
            let standing = tree.standing();
            let whole: Option<Vec<Standing>> = standing.values().copied().collect();
            whole.is_some_and(|whole| {
                let found: usize = whole.iter().map(|project| project.sidecars).sum();
                whole.iter().map(|project| project.files).sum::<usize>() == known.files
                    && sidecars.is_some_and(|sidecars| sidecars == found)
            })
        }
    }
}

/// Puts together what each project's folder shows. The entries, and the documents, are in the order of their projects.
fn shelves<'a>(
    entries: &'a [Entry],
    statuses: &'a BTreeMap<ProjectName, StatusRow>,
    documents: &'a [VariantsDocument],
) -> Vec<Shelf<'a>> {
    let documents: BTreeMap<&ProjectName, &[VariantsDocument]> =
        documents.chunk_by(|a, b| a.project == b.project).map(|all| (&all[0].project, all)).collect();
    let mut shelves: Vec<Shelf<'_>> = entries
        .chunk_by(|a, b| a.project == b.project)
        .map(|entries| {
            let project = &entries[0].project;
            let documents = documents.get(project).copied().unwrap_or_default();
            Shelf { project, entries, status: statuses.get(project), documents }
        })
        .collect();
    // Clients take a project without a page for one that another index may have.
    let quarantined = statuses.values().filter(|row| row.status == Status::Quarantined);
    let empty = |row: &'a StatusRow| Shelf { project: &row.project, entries: &[], status: Some(row), documents: &[] };
    shelves.extend(quarantined.map(empty));
    shelves.sort_by_key(|shelf| shelf.project);
    shelves
}

/// Names each project's folder by what it shall show.
pub(super) fn wanted(store: &Store, projects: &[Shelf<'_>], link: LinkKind) -> Vec<Project> {
    let root = store.root();
    let project =
        |shelf: &Shelf<'_>| Project { name: shelf.project.to_string(), fingerprint: fingerprint(root, shelf, link) };
    projects.par_iter().map(project).collect()
}

/// Tells whether revisions alone say what is shown: a variant's order may have changed while no collection did.
pub(super) fn may_be_unchanged(shown: &Shown) -> bool {
    matches!(shown, Shown::Collection { .. })
}

/// Tells that a tree shows what is asked for already: the collection has not changed since, and nothing was left out then.
fn unchanged(
    store: &Store,
    options: &TreeOptions,
    path: &Path,
    known: Option<&ViewRow>,
    tree: &Tree,
) -> Result<Option<TreeReport>> {
    let Some(known) = known.filter(|_| may_be_unchanged(&options.shown)) else { return Ok(None) };
    let is_whole = known.losses == Some(store.manifest.losses()?);
    let is_here = known.store == store.root().to_string_lossy();
    let is_same = is_whole && is_here && known.layout == options.layout && known.link == options.link;
    let shown = match options.layout {
        Layout::Simple => path.join("simple/index.html"),
        Layout::Flat => path.join("index.html"),
    };
    if !is_same || !shown.exists() {
        return Ok(None);
    }
    let transaction = store.manifest.read()?;
    let asked = options.shown.sources(&transaction)?;
    // What is withheld of an older revision may have changed since, which makes a newer one.
    let Shown::Collection { name, .. } = &options.shown else { return Ok(None) };
    let row = transaction.find_collection(name)?;
    let newest = row.as_ref().map(|row| row.revision);
    if !asked.iter().all(|(_, source)| Some(source.revision) == newest) {
        return Ok(None);
    }
    let sources = transaction.view_sources(known.id, known.generation)?;
    let is_last = transaction.last_generation(known.id)? == known.generation;
    if !is_last || !asked.iter().map(|(id, source)| (*id, source.revision)).eq(sources) {
        return Ok(None);
    }
    let counts = row.map(|row| transaction.sidecar_counts(row.id, LONGEST_NAME)).transpose()?;
    // Where not all is shown, the way with all entries tells what should be there.
    let sidecars = counts.filter(|(files, _)| *files == known.files).map(|(_, sidecars)| sidecars);
    if !stands(tree, known, sidecars) {
        return Ok(None);
    }
    let read = ShownEntries { sources: asked, entries: Vec::new(), withheld: Vec::new(), statuses: BTreeMap::new() };
    Ok(Some(TreeReport {
        collection: options.shown.name().clone(),
        revision: read.revision(),
        collections: read.collections(),
        path: path.to_owned(),
        files: known.files,
        projects: known.projects,
        made: 0,
        is_new: false,
        left_out: Vec::new(),
        withheld: Vec::new(),
        theirs: Vec::new(),
    }))
}

/// Digests all that a project's folder shows. (What the entries are says what their documents are, too.)
fn fingerprint(root: &Path, shelf: &Shelf<'_>, link: LinkKind) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&[TREE_VERSION]).update(link.as_str().as_bytes());
    // Relative links lead to the store where it was then.
    hasher.update(root.as_os_str().as_encoded_bytes()).update(b"\0");
    if let Some(StatusRow { status, reason, .. }) = shelf.status {
        hasher.update(status.as_str().as_bytes()).update(b"\0");
        hasher.update(reason.as_deref().unwrap_or_default().as_bytes()).update(b"\0");
    }
    for entry in shelf.entries {
        let optional = |text: &Option<String>| text.as_ref().map_or(String::from("-"), |text| format!("+{text}"));
        hasher.update(entry.filename.as_bytes()).update(b"\0").update(entry.blake3.as_bytes());
        // A folder made before bytes were found bad may hold copies of them.
        hasher.update(&entry.epoch.to_le_bytes());
        hasher.update(&entry.uploaded_at.to_le_bytes());
        hasher.update(entry.sidecar().map_or([0; 32], |sha256| *sha256.as_bytes()).as_slice());
        hasher.update(optional(&entry.requires_python).as_bytes()).update(b"\0");
        hasher.update(optional(&entry.yanked).as_bytes()).update(b"\0");
        if let Some(provenance) = entry.origin.as_ref().and_then(|origin| origin.provenance.as_ref()) {
            hasher.update(provenance.as_bytes()).update(b"\0");
        }
    }
    hasher.finalize().to_hex()[..16].to_owned()
}

/// Returns the files in trees that have a blob's bytes of their own.
pub(crate) fn copies(store: &Store, row: &BlobRow, filenames: &BTreeSet<String>) -> Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for view in store.manifest.views()? {
        if !matches!(view.link, LinkKind::Copy | LinkKind::Reflink) {
            continue;
        }
        let dir = PathBuf::from(&view.path);
        for entry in store.manifest.blob_entries(row.id)?.iter().filter(|entry| filenames.contains(&entry.filename)) {
            paths.push(match view.layout {
                Layout::Simple => dir.join("simple").join(entry.project.as_str()).join(&entry.filename),
                Layout::Flat => dir.join(&entry.filename),
            });
        }
    }
    Ok(paths)
}
