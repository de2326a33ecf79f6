//! Where a tree is, and whose it is: made there, replaced, taken away.

use super::signed;
use super::tree::{TreeOptions, may_be_unchanged};
use crate::error::{Error, Result};
use crate::fs;
use crate::manifest::{Layout, ViewRow};
use crate::ops::counted;
use crate::ops::healing::absolute;
use crate::ops::shown::Shown;
use crate::store::Store;
use crate::view::{FlatTree, Owner, SimpleTree};
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
    fn owner(&self) -> Option<&Owner> {
        match self {
            Self::Simple(tree) => tree.owner(),
            Self::Flat(tree) => tree.owner(),
        }
    }
}

/// Tells whether a tree is being changed file by file, or such a change was cut off: what readers see is whole, and it is no damage.
pub(in crate::ops) fn is_unfinished(view: &ViewRow) -> bool {
    matches!(open(Path::new(&view.path), view.layout), Ok(Tree::Flat(tree)) if tree.is_unfinished())
}

/// Says what is missing of a tree as it was made, if anything is; one that can't be opened is told by who makes it.
pub(in crate::ops) fn damage(store: &Store, view: &ViewRow) -> Option<String> {
    // A view that was killed may have shown what its row doesn't count yet.
    let is_counted = store.manifest.last_generation(view.id).is_ok_and(|last| last == view.generation);
    match open(Path::new(&view.path), view.layout).ok()? {
        Tree::Flat(tree) => {
            (!tree.stands()).then(|| "files of the flat view are gone, changed, or lead nowhere".to_owned())
        }
        Tree::Simple(tree) => {
            let standing = tree.standing();
            let damaged = standing.values().filter(|standing| standing.is_none()).count();
            let files: usize = standing.values().flatten().map(|standing| standing.files).sum();
            match damaged {
                0 if files == view.files || !is_counted => None,
                0 => Some(format!("it has {} instead of {}", counted(files, "file"), view.files)),
                _ => Some(format!(
                    "{} whose pages, files or METADATA are gone or lead nowhere",
                    counted(damaged, "project")
                )),
            }
        }
    }
}

pub(super) fn open(path: &Path, layout: Layout) -> Result<Tree> {
    Ok(match layout {
        Layout::Simple => Tree::Simple(SimpleTree::open(path)?),
        Layout::Flat => Tree::Flat(FlatTree::open(path)?),
    })
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
        let owner = Owner {
            store: store.id().to_owned(),
            root: store.root().to_string_lossy().into_owned(),
            view: text,
            shows: String::new(),
        };
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
