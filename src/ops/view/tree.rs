//! `view --to`: a tree on disk, written, brought up to date, taken away.

use super::changes::{self, Kept};
use super::make::{TreeTask, make_flat, make_simple};
use super::place::{Tree, open, owner, place, refuse_other};
use super::{has_sidecar, signed, split_lost};
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
    let is_whole = known.as_ref().map(|known| is_whole(store, options, &path, known, &tree)).transpose()?;
    let whole = known.as_ref().filter(|_| is_whole == Some(true));
    if let Some(known) = whole
        && let Some(report) = unchanged(store, options, &path, known)?
    {
        return Ok(report);
    }
    let transaction = store.manifest.write()?;
    let changes = match (whole, &tree) {
        (Some(known), Tree::Simple(tree)) => changes::read(&transaction, &options.shown, known, tree)?,
        _ => None,
    };
    let part_of = whole.filter(|_| changes.is_some());
    let all = || Ok::<_, Error>((options.shown.read(&transaction, None)?, Kept::default()));
    let (mut read, kept) = changes.map_or_else(all, Ok)?;
    if read.entries.is_empty() && kept.files == 0 {
        refuse_to_empty(known.as_ref(), options)?;
    }
    let id = transaction.insert_view(text, &store.root().to_string_lossy(), options.layout, options.link)?;
    let generation = transaction.last_generation(id)? + 1;
    for (collection, source) in &read.sources {
        transaction.insert_view_source(id, generation, *collection, source.revision)?;
    }
    let mut entries = std::mem::take(&mut read.entries);
    transaction.commit()?;
    // Before bytes are looked at: what is found bad from here on is noticed by the next run.
    let losses = part_of.map_or_else(|| store.manifest.losses().map(Some), |known| Ok(known.losses))?;
    let doubtful: HashSet<ProjectName> = match &mut tree {
        Tree::Simple(tree) if part_of.is_none() => {
            changed_projects(store, tree, &shelves(&entries, &read.statuses, &[]), options.link)?
        }
        _ => entries.iter().map(|entry| entry.project.clone()).collect(),
    };
    find_lost(store, entries.iter_mut().filter(|entry| doubtful.contains(&entry.project)).collect())?;
    let left_out = split_lost(&mut entries);
    let documents = variants_of(&store.manifest, &entries)?;
    let projects = shelves(&entries, &read.statuses, &documents);
    let (files, shown) = (entries.len() + kept.files, projects.len() + kept.projects.len());
    let errand = TreeTask { owner: &owner, options, generation, kept, new: known.is_none().then_some(id) };
    let (made, theirs) = match &mut tree {
        Tree::Simple(tree) => (make_simple(store, context, tree, &errand, &projects)?, Vec::new()),
        Tree::Flat(tree) => make_flat(store, context, tree, &errand, &entries, &documents)?,
    };
    let transaction = store.manifest.write()?;
    let losses = losses.filter(|_| left_out.is_empty() && may_be_unchanged(&options.shown));
    transaction.set_generation(id, generation, (files, shown), losses, &digest(&tree))?;
    transaction.commit()?;
    Ok(TreeReport {
        collection: options.shown.name().clone(),
        revision: read.revision(),
        collections: read.collections(),
        path,
        files,
        projects: shown,
        made,
        is_new: known.is_none(),
        left_out,
        withheld: read.withheld,
        theirs,
    })
}

/// Refuses to leave a tree that has files without any, unless that is meant.
fn refuse_to_empty(known: Option<&ViewRow>, options: &TreeOptions) -> Result<()> {
    let Some(known) = known.filter(|known| known.files > 0 && !options.replace) else { return Ok(()) };
    let files = counted(known.files, "file");
    Err(Error::Refused(format!("{} has {files} and would have none; say --replace where that is meant", known.path)))
}

/// Looks whether the files of blobs are those that were known to be right; one that isn't is read, and recorded as lost if bad.
pub(super) fn find_lost(store: &Store, entries: Vec<&mut Entry>) -> Result<()> {
    let blobs = &store.blobs;
    let is_known = |entry: &Entry| matches!(blobs.find(&entry.blake3), Ok(Found::File(found)) if found.is_recorded(entry.inode, entry.size, entry.modified_ns));
    let is_suspect = |entry: &&mut Entry| entry.state.is_available() && !is_known(entry);
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
) -> Result<HashSet<ProjectName>> {
    let wanted = wanted(store, projects, link);
    let mut changed: HashSet<ProjectName> =
        tree.plan(&wanted).make.into_iter().map(|index| projects[index].project.clone()).collect();
    let altered = tree.altered(link == LinkKind::Symlink);
    for (shelf, folder) in projects.iter().zip(&wanted) {
        let Some(found) = altered.get(folder).filter(|_| !changed.contains(shelf.project)) else { continue };
        let has = |entry: &&Entry| entry.sidecar().is_some() && has_sidecar(entry);
        let sidecars = shelf.entries.iter().filter(has).map(|entry| format!("{}.metadata", entry.filename)).collect();
        let files = shelf.entries.iter().map(|entry| entry.filename.clone()).collect();
        if *found == Some(Standing { files, sidecars }) {
            tree.confirm(folder)?;
        } else {
            tree.forget(&folder.name);
            changed.insert(shelf.project.clone());
        }
    }
    Ok(changed)
}

/// Digests what a tree shows, and how this version shows it.
fn digest(tree: &Tree) -> String {
    format!("{TREE_VERSION}:{}", tree.digest())
}

/// Tells whether a tree shows what its row says, and has all that was made of it.
fn stands(tree: &Tree, known: &ViewRow) -> bool {
    // The store, or the tree, may have been put back to what it was some time ago, or the program may make other pages now.
    if known.digest != Some(digest(tree)) {
        return false;
    }
    match tree {
        Tree::Flat(tree) => tree.stands(),
        Tree::Simple(tree) => tree.altered(known.link == LinkKind::Symlink).is_empty(),
    }
}

/// Puts together what each project's folder shows. The entries, and the documents, are in the order of their projects.
pub(super) fn shelves<'a>(
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

/// Tells whether a tree is as it was made, of all that was asked for then, and in the way that is asked for now.
fn is_whole(store: &Store, options: &TreeOptions, path: &Path, known: &ViewRow, tree: &Tree) -> Result<bool> {
    let is_complete = known.losses == Some(store.manifest.losses()?);
    let is_here = known.store == store.root().to_string_lossy();
    let is_same = is_complete && is_here && known.layout == options.layout && known.link == options.link;
    let shown = match options.layout {
        Layout::Simple => path.join("simple/index.html"),
        Layout::Flat => path.join("index.html"),
    };
    let is_last = || Ok::<_, Error>(store.manifest.last_generation(known.id)? == known.generation);
    Ok(may_be_unchanged(&options.shown) && is_same && shown.exists() && is_last()? && stands(tree, known))
}

/// Tells that a tree that is whole shows what is asked for already: the collection has not changed since.
fn unchanged(store: &Store, options: &TreeOptions, path: &Path, known: &ViewRow) -> Result<Option<TreeReport>> {
    let transaction = store.manifest.read()?;
    let asked = options.shown.sources(&transaction)?;
    // What is withheld of an older revision may have changed since, which makes a newer one.
    let newest = transaction.find_collection(options.shown.name())?.map(|row| row.revision);
    let sources = transaction.view_sources(known.id, known.generation)?;
    let is_newest = asked.iter().all(|(_, source)| Some(source.revision) == newest);
    if !is_newest || !asked.iter().map(|(id, source)| (*id, source.revision)).eq(sources) {
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
