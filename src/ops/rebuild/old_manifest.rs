//! The manifest that is there already: whether it may be replaced, and how it is moved aside.

use super::OWNER;
use crate::error::{Error, Result};
use crate::fs;
use crate::manifest::{self, Access, Manifest, OperationId};
use crate::store::ExclusiveStore;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A manifest is its file and these beside it.
const PARTS: [&str; 3] = ["", "-wal", "-shm"];

/// Refuses to replace a sound manifest, or one that only a newer program understands.
pub(super) fn refuse_sound(store: &ExclusiveStore, force: bool) -> Result<()> {
    let path = store.manifest_path();
    if fs::entry(&path)?.is_none_or(|found| !found.is_file() && !leads_to_file(&path)) {
        return Ok(());
    }
    let asked = Manifest::open(&path, Access::Write, Duration::ZERO)
        .and_then(|manifest| Ok(manifest.complaints()?.is_empty() && !is_only_rebuilt(&manifest)?));
    match asked {
        Ok(true) if !force => {
            let why = "a rebuild would forget collections, history and pins; --force does it";
            Err(Error::Refused(format!("{} is there and sound: {why}", path.display())))
        }
        Ok(_) | Err(manifest::Error::Foreign(_)) => Ok(()),
        Err(error) if error.is_corrupt() => Ok(()),
        Err(error @ manifest::Error::Newer { .. }) => Err(error.into()),
        Err(_) if force => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Tells whether a link leads to a file, or may: one that leads nowhere, or to itself, is no manifest to be kept.
fn leads_to_file(path: &Path) -> bool {
    match std::fs::metadata(path) {
        Ok(found) => found.is_file(),
        Err(error) => error.kind() == std::io::ErrorKind::PermissionDenied,
    }
}

/// Tells whether a manifest has nothing but what a rebuild put there: one that was killed at its very end is run again.
fn is_only_rebuilt(manifest: &Manifest) -> manifest::Result<bool> {
    let is_rebuilt = manifest.last_operation(["rebuild"; 2])?.is_some_and(|operation| operation.number() == 1);
    let is_changed = manifest.operation(OperationId::from_number(2))?.is_some()
        || manifest.collections()?.len() > 1
        || !manifest.views()?.is_empty()
        || manifest.pins(None)?.iter().any(|pin| pin.owner != OWNER);
    Ok(is_rebuilt && !is_changed)
}

/// Moves the old manifest aside with its log, durably; returns where it is now. The parts keep a name in common, so that SQLite
/// can still read them together.
pub(super) fn move_aside(store: &ExclusiveStore) -> Result<Option<PathBuf>> {
    const ASIDE: &str = "manifest.sqlite.damaged-";
    let path = store.manifest_path();
    let is_whole = fs::entry(&path)?.is_some();
    let mut last = 0;
    for name in fs::names(store.root())? {
        let rest = name.to_str().and_then(|name| name.strip_prefix(ASIDE));
        let number = rest.and_then(|rest| rest.split('-').next()?.parse::<u32>().ok());
        last = last.max(number.unwrap_or(0));
    }
    // A log without its manifest belongs to the one that a killed run moved last.
    let mut target = store.root().join(format!("{ASIDE}{}", if is_whole { last + 1 } else { last.max(1) }));
    for suffix in &PARTS[1..] {
        let is_taken = fs::entry(&part(&path, suffix))?.is_some() && fs::entry(&part(&target, suffix))?.is_some();
        if is_taken && !is_whole {
            target = store.root().join(format!("{ASIDE}{}", last + 1));
        }
    }
    for suffix in PARTS {
        let from = part(&path, suffix);
        if fs::entry(&from)?.is_some() && !fs::rename_new(&from, &part(&target, suffix))? {
            let taken = std::io::Error::from(std::io::ErrorKind::AlreadyExists);
            return Err(fs::Error::at("move aside", &from)(taken).into());
        }
    }
    fs::sync_dir(store.root())?;
    Ok(is_whole.then_some(target))
}

pub(super) fn remove_parts(path: &Path) -> Result<()> {
    for suffix in PARTS {
        fs::remove_file(&part(path, suffix))?;
    }
    Ok(())
}

pub(super) fn part(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
