//! `wcas.json`: what kind of store a folder holds, and whether this program may write to it.
//!
//! Features are listed as ext4 and composefs list theirs: one under `incompat` that isn't known means that the store can't be
//! understood, one under `ro_compat` that it can be read only; `compat` ones may be ignored.

use super::{Error, Membership, Result, open_to_read};
use crate::fs::{self, Filesystem};
use crate::manifest::START;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The features without which this program can't understand a store.
const INCOMPATIBLE: [&str; 2] = ["b3-v1", SHARED];
/// The feature of a node: who doesn't know it would write what the other nodes never learn of.
const SHARED: &str = "shared-v1";
/// No `wcas.json` is longer.
const MAX_BYTES: u64 = 1 << 20;

#[derive(Debug, Serialize, Deserialize)]
struct Format {
    store: String,
    #[serde(default)]
    compat: Vec<String>,
    #[serde(default)]
    ro_compat: Vec<String>,
    #[serde(default)]
    incompat: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    share: Option<Membership>,
}

/// A folder that was found to be a store.
pub(super) struct Identity {
    /// The folder, absolute and free of symlinks.
    pub(super) root: PathBuf,
    /// What tells the store from all others.
    pub(super) id: String,
    /// Why it can't be written, if it can't.
    pub(super) read_only: Option<String>,
    /// The share that it is a node of.
    pub(super) share: Option<Membership>,
}

/// Reads what kind of store is at `root`.
pub(super) fn identify(root: &Path) -> Result<Identity> {
    let path = root.join("wcas.json");
    let Some(_) = fs::entry(&path)? else { return Err(Error::Absent(root.to_owned())) };
    let root = std::fs::canonicalize(root).map_err(fs::Error::at("resolve", root))?;
    let text = fs::read_own(&path, MAX_BYTES)?;
    let format: Format = serde_json::from_slice(&text).map_err(|source| Error::Format { path, source })?;
    if let Some(feature) = format.incompat.iter().find(|feature| !INCOMPATIBLE.contains(&feature.as_str())) {
        return Err(Error::Feature { path: root, feature: feature.clone() });
    }
    let unknown = format.ro_compat.first().map(|feature| format!("it needs {feature:?} for that"));
    let read_only = unknown.map_or_else(|| unwritable(&root), |why| Ok(Some(why)))?;
    Ok(Identity { root, id: format.store, read_only, share: format.share })
}

/// Writes `wcas.json` anew where it is gone, no file, or can't be understood, and blobs are there. What was there is kept beside it.
pub(super) fn mend(root: &Path) -> Result<()> {
    if !root.join("blobs/b3").is_dir() {
        return Ok(());
    }
    let path = root.join("wcas.json");
    let is_there = match identify(root) {
        Err(Error::Absent(_)) => false,
        Err(Error::Format { .. }) => true,
        Err(Error::Disk(_)) if fs::entry(&path)?.is_some_and(|found| !found.is_file()) => true,
        _ => return Ok(()),
    };
    refuse_lost_node(root)?;
    if is_there {
        fs::rename(&path, &root.join("wcas.json.damaged"))?;
    }
    fs::remember_owner(root)?;
    write(root, fs::unique_name(), None)
}

/// Refuses to call a node's folder a store of its own: no other node would ever see what is written to it then. A manifest that can't be
/// read says nothing.
pub(super) fn refuse_lost_node(root: &Path) -> Result<()> {
    let path = root.join("manifest.sqlite");
    if fs::entry(&path)?.is_none() {
        return Ok(());
    }
    let is_node = open_to_read(&path).and_then(|manifest| {
        let follows = manifest.node()?.is_some() || manifest.place()? != START;
        Ok(follows && !manifest.has_left()?)
    });
    if is_node.unwrap_or(false) { Err(Error::LostNode(root.to_owned())) } else { Ok(()) }
}

/// Writes what kind of store is at `root`, and what it is called, durably.
pub(super) fn write(root: &Path, id: String, share: Option<Membership>) -> Result<()> {
    let features = INCOMPATIBLE.iter().filter(|feature| share.is_some() || **feature != SHARED);
    let format = Format {
        store: id,
        compat: Vec::new(),
        ro_compat: Vec::new(),
        incompat: features.map(|feature| (*feature).to_owned()).collect(),
        share,
    };
    let text = serde_json::to_vec_pretty(&format).expect("plain strings make JSON");
    Ok(fs::write_durable(&root.join("wcas.json"), &text)?)
}

/// Says in a store's `wcas.json` of which share it is a node.
pub(super) fn set_share(root: &Path, share: Option<Membership>) -> Result<()> {
    let path = root.join("wcas.json");
    let text = fs::read_own(&path, MAX_BYTES)?;
    let mut format: Format =
        serde_json::from_slice(&text).map_err(|source| Error::Format { path: path.clone(), source })?;
    format.incompat.retain(|feature| feature != SHARED);
    format.incompat.extend(share.is_some().then(|| SHARED.to_owned()));
    format.share = share;
    let text = serde_json::to_vec_pretty(&format).expect("plain strings make JSON");
    Ok(fs::write_durable(&path, &text)?)
}

/// Tells why this process can't write to the store, if it can't.
fn unwritable(root: &Path) -> Result<Option<String>> {
    use rustix::fs::{Access as A, access};
    for name in ["", "manifest.sqlite", "blobs/b3", "locks"] {
        let path = root.join(name);
        match access(&path, A::WRITE_OK) {
            Ok(()) | Err(rustix::io::Errno::NOENT) => {}
            Err(error) => return Ok(Some(format!("{}: {}", path.display(), std::io::Error::from(error)))),
        }
    }
    Ok(None)
}

/// Refuses a filesystem whose locks and renames can't be relied on.
pub(super) fn refuse_network(root: &Path) -> Result<()> {
    match fs::filesystem(root)? {
        Filesystem { name, is_network: true } => {
            let why =
                format!("it is on {name}, whose locks and renames can't be relied on; keep the store on a local disk");
            Err(Error::ReadOnly { path: root.to_owned(), why })
        }
        _ => Ok(()),
    }
}
