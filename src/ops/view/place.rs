//! Where a tree is, and whose it is: made there, replaced, taken away.

use super::signed;
use super::tree::{TreeOptions, may_be_unchanged, show_locked};
use crate::catalog::at::collection_row;
use crate::catalog::view_contents::Shown;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::fs::{self, absolute};
use crate::manifest::{Layout, ViewRow};
use crate::name::CollectionName;
use crate::store::Store;
use crate::view::{FlatTree, Owner, SimpleTree};
use crate::words::counted;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Makes the folder, and returns its path, absolute and free of symlinks. In the store, or around it, none is made.
pub(super) fn place(store: &Store, to: &Path) -> Result<PathBuf> {
    let to = absolute(to)?;
    let resolve = |path: &Path| std::fs::canonicalize(path).map_err(fs::Error::at("resolve", path));
    let refuse = |path: &Path| {
        let why = match (path.starts_with(store.root()), store.root().starts_with(path)) {
            (true, _) => "it is inside the store",
            (_, true) => "the store is inside it",
            _ => return Ok(()),
        };
        Err(Error::ViewTarget { path: path.to_owned(), why: why.to_owned() })
    };
    if let Some(above) = to.ancestors().find(|path| path.exists()) {
        let (above, rest) = (resolve(above)?, to.strip_prefix(above).unwrap_or(Path::new("")));
        refuse(&if rest.as_os_str().is_empty() { above } else { above.join(rest) })?;
    }
    fs::create_dir_all(&to)?;
    let path = resolve(&to)?;
    refuse(&path)?;
    Ok(path)
}

/// Says whose a tree is, and what it shows.
pub(super) fn owner(store: &Store, view: &str, shown: &Shown) -> Owner {
    let kind = if may_be_unchanged(shown) { "collection" } else { "variant" };
    Owner {
        store: store.id().to_owned(),
        root: store.root().to_string_lossy().into_owned(),
        view: view.to_owned(),
        shows: format!("{kind} {}", shown.name()),
    }
}

/// Says that a tree is this store's, whatever it shows.
fn of_this(store: &Store, view: &str) -> Owner {
    let root = store.root().to_string_lossy().into_owned();
    Owner { store: store.id().to_owned(), root, view: view.to_owned(), shows: String::new() }
}

/// Tells whether the tree was made by another store since; one that shows something else than is asked for is not replaced unasked.
pub(super) fn refuse_other(tree: &Tree, owner: &Owner, options: &TreeOptions) -> Result<bool> {
    let Some(found) = tree.owner() else { return Ok(false) };
    let is_other = !found.is_same_store(owner);
    if !options.replace && (is_other || found.shows != owner.shows) {
        let whose = if is_other { format!(" of the store at {}", found.root) } else { String::new() };
        return Err(Error::Refused(format!(
            "the tree at {} shows {}{whose}, not {}; say --replace where that is meant",
            owner.view, found.shows, owner.shows
        )));
    }
    Ok(is_other)
}

/// A tree on disk.
pub(super) enum Tree {
    Simple(SimpleTree),
    Flat(FlatTree),
}

impl Tree {
    /// Digests what it shows.
    pub(super) fn digest(&self) -> String {
        match self {
            Self::Simple(tree) => tree.digest(),
            Self::Flat(tree) => tree.digest(),
        }
    }

    fn owner(&self) -> Option<&Owner> {
        match self {
            Self::Simple(tree) => tree.owner(),
            Self::Flat(tree) => tree.owner(),
        }
    }
}

/// Tells whether a tree is being changed file by file, or such a change was cut off: what readers see is whole, and it is no damage.
pub(crate) fn is_unfinished(view: &ViewRow) -> bool {
    matches!(open(Path::new(&view.path), view.layout), Ok(Tree::Flat(tree)) if tree.is_unfinished())
}

/// Tells whether nothing is at a path. What can't be looked at isn't gone: who only reads the store may not reach its trees.
fn is_gone(path: &Path) -> bool {
    std::fs::metadata(path).is_err_and(|error| fs::Error::at("look at", path)(error).is_not_found())
}

/// Tells whether a tree's folder is gone.
pub(crate) fn is_away(view: &ViewRow) -> bool {
    is_gone(Path::new(&view.path))
}

/// Says what is wrong with a tree as a whole: readers find nothing of it.
fn absence(view: &ViewRow) -> Option<&'static str> {
    let simple = Path::new(&view.path).join("simple");
    let is_shown = view.layout == Layout::Simple && (view.generation > 0 || simple.is_symlink());
    if is_away(view) {
        Some("the folder of a view is gone")
    } else if is_shown && is_gone(&simple) {
        Some("the view's `simple` leads nowhere: readers see nothing")
    } else {
        None
    }
}

/// Says what is missing of a tree as it was made, if anything is; one that can't be opened is told by who makes it, and one that
/// another store has made there since is not looked at. Looking takes time, in which the tree may be made anew or removed: what is
/// seen then counts only if it is seen again, with the view's newest row, while nobody is at it.
pub(crate) fn damage(store: &Store, view: &ViewRow) -> Result<Option<String>> {
    if seen(store, view)?.is_none() {
        return Ok(None);
    }
    let Some(_still) = store.still_view(Path::new(&view.path)) else { return Ok(None) };
    store.manifest.find_view(&view.path)?.map_or(Ok(None), |view| seen(store, &view))
}

/// Says what looks missing of a tree.
fn seen(store: &Store, view: &ViewRow) -> Result<Option<String>> {
    if let Some(absence) = absence(view) {
        return Ok(Some(absence.to_owned()));
    }
    if is_unfinished(view) {
        return Ok(None);
    }
    // A view that was killed may have shown what its row doesn't count yet.
    let is_counted = store.manifest.last_generation(view.id)? == view.generation;
    let Ok(tree) = open(Path::new(&view.path), view.layout) else { return Ok(None) };
    if tree.owner().is_some_and(|found| !found.is_same_store(&of_this(store, &view.path))) {
        return Ok(None);
    }
    Ok(match tree {
        Tree::Flat(tree) => {
            (!tree.stands()).then(|| "files of the flat view are gone, changed, or lead nowhere".to_owned())
        }
        Tree::Simple(tree) => {
            let standing = tree.standing();
            let damaged = standing.values().filter(|standing| standing.is_none()).count();
            let files: usize = standing.values().flatten().map(|standing| standing.files.len()).sum();
            match damaged {
                0 if files == view.files || !is_counted => None,
                0 => Some(format!("it has {} instead of {}", counted(files, "file"), view.files)),
                _ => Some(format!(
                    "{} whose pages, files or METADATA are gone or lead nowhere",
                    counted(damaged, "project")
                )),
            }
        }
    })
}

pub(super) fn open(path: &Path, layout: Layout) -> Result<Tree> {
    Ok(match layout {
        Layout::Simple => Tree::Simple(SimpleTree::open(path)?),
        Layout::Flat => Tree::Flat(FlatTree::open(path)?),
    })
}

/// Makes anew what is missing of a tree, as it shows what it shows. Returns whether it is whole then: one whose folder is gone, or that
/// doesn't tell which collection it shows, needs who made it.
pub(crate) fn mend(store: &Store, context: &Context<'_>, path: &str) -> Result<bool> {
    let to = PathBuf::from(path);
    if !to.exists() {
        return Ok(false);
    }
    // From here on nobody shows something newer, in whose place this would put what it replaced.
    let _lock = store.view_lock(&to)?;
    let Some(view) = store.manifest.find_view(path)? else { return Ok(true) };
    if seen(store, &view)?.is_none() {
        return Ok(true);
    }
    let tree = open(&to, view.layout)?;
    let shows = tree.owner().and_then(|owner| owner.shows.strip_prefix("collection "));
    let Some(name) = shows.and_then(|name| name.parse::<CollectionName>().ok()) else { return Ok(false) };
    let row = collection_row(&store.manifest, &name)?;
    let sources = store.manifest.view_sources(view.id, view.generation)?;
    let Some((_, revision)) = sources.into_iter().find(|(id, _)| *id == row.id) else { return Ok(false) };
    let shown = Shown::Collection { name, at: Some(revision.to_string()) };
    let (link, layout) = (view.link, view.layout);
    show_locked(store, context, &TreeOptions { shown, to: to.clone(), link, layout, replace: false }, to)?;
    let view = store.manifest.find_view(path)?;
    view.map_or(Ok(false), |view| Ok(seen(store, &view)?.is_none()))
}

/// What `view --remove` did.
#[derive(Debug, Serialize)]
pub struct DropReport {
    /// The folder.
    #[serde(serialize_with = "crate::fs::text::path")]
    pub removed: PathBuf,
    /// What is there now instead of this store's tree, and was left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub other: Option<String>,
    /// The files of the tree that somebody changed since: they stay.
    pub left: Vec<String>,
}

/// Removes a tree that the store knows: what readers see first, the row that keeps its blobs last. A tree that was made there by
/// another store since, or came there from elsewhere, stays.
pub fn drop_tree(store: &Store, to: &Path) -> Result<DropReport> {
    store.require_writable()?;
    let path = absolute(to)?;
    let path = std::fs::canonicalize(&path).unwrap_or(path);
    let _lock = store.view_lock(&path)?;
    let text = path.to_string_lossy().into_owned();
    let row = store.manifest.find_view(&text)?;
    let row = row.ok_or_else(|| Error::NoSuch(format!("view at {}", path.display())))?;
    let (mut left, mut other) = (Vec::new(), None);
    if path.exists() {
        let tree = open(&path, row.layout)?;
        let owner = of_this(store, &text);
        other = tree
            .owner()
            .filter(|found| !found.is_same_store(&owner) || found.view != owner.view)
            .map(|found| format!("{} of the store at {}, made at {}", found.shows, found.root, found.view));
        match tree {
            _ if other.is_some() => {}
            Tree::Simple(tree) => {
                signed::remove(&path)?;
                tree.remove()?;
            }
            Tree::Flat(tree) => left = tree.remove(&owner)?,
        }
    }
    let transaction = store.manifest.write()?;
    transaction.delete_view(row.id)?;
    transaction.commit()?;
    Ok(DropReport { removed: path, other, left })
}
