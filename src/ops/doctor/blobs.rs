//! Rows of blobs compared with the files in `blobs/`.

use super::Examination;
use crate::digest::Blake3;
use crate::error::{Error, Result};
use crate::fs;
use crate::manifest::{BlobRow, State};
use crate::words::counted;
use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The mode of blobs.
pub(super) const MODE: u32 = fs::READ_ONLY;

/// What lies at a blob's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FolderEntry {
    is_file: bool,
    size: u64,
    mode: u32,
    uid: u32,
}

impl Examination<'_> {
    /// Compares rows with files. The walk comes first: a row is there before its file and after it.
    pub(super) fn blobs(&mut self) -> Result<HashMap<Blake3, BlobRow>> {
        let (mut files, mut odd) = (HashMap::new(), Vec::new());
        for entry in self.store.blobs.iter() {
            // Of a folder that can't be listed one finding is enough, however many blobs are in it.
            let Some((path, blake3)) = self.told(entry.map(Some).map_err(Error::from))? else { continue };
            match (blake3, entry_of(&path)?) {
                (Some(blake3), Some(entry)) => _ = files.insert(blake3, entry),
                (None, Some(_)) => odd.push(path),
                (_, None) => {}
            }
        }
        if let Some(first) = odd.first() {
            let detail = format!("{} under blobs/ that this store doesn't put there", counted(odd.len(), "name"));
            self.note("unknown", Some(first), detail, "move them elsewhere by hand");
        }
        let rows: HashMap<_, _> = self.store.manifest.blobs()?.into_iter().map(|row| (row.blake3, row)).collect();
        let mut sorted: Vec<_> = rows.values().collect();
        sorted.sort_unstable_by_key(|row| row.blake3);
        let done =
            self.rights(files.iter().map(|(blake3, entry)| (self.store.blobs.path(blake3), entry.uid)).collect());
        self.told(done)?;
        let mut writable = Vec::new();
        for row in sorted {
            let entry = files.get(&row.blake3).copied();
            if fault(row, entry).is_some() {
                self.blob(row)?;
            }
            if entry.is_some_and(|entry| entry.is_file && entry.mode != MODE) {
                writable.push(self.store.blobs.path(&row.blake3));
            }
        }
        if let Some(first) = writable.first() {
            let detail = format!("{} with permissions other than 0444", counted(writable.len(), "blob"));
            let advice = format!("chmod 0444 {}", first.display());
            let all = format!("find {} -type f -exec chmod 0444 {{}} +", self.store.root().join("blobs").display());
            self.note("mode", Some(first), detail, if writable.len() == 1 { &advice } else { &all });
        }
        let mut orphans: Vec<_> = files.into_keys().filter(|blake3| !rows.contains_key(blake3)).collect();
        orphans.sort_unstable();
        for blake3 in orphans {
            let path = self.store.blobs.path(&blake3);
            // gc may have deleted its row and then it, since the walk; an import may have made both.
            let is_known =
                self.store.manifest.find_blob(&blake3)?.is_some() || self.store.manifest.has_file(&blake3)?;
            if !is_known && fs::entry(&path)?.is_some() {
                let advice = "import the same bytes again, or remove it by hand; `wcas rebuild --force` takes in all of them, \
                              but forgets collections and history";
                let detail = "a file in blobs/ that the manifest doesn't know".to_owned();
                self.problem("orphan", Some(&path), detail, advice);
            }
        }
        Ok(rows)
    }

    /// Looks at a blob that seemed bad once more.
    fn blob(&mut self, row: &BlobRow) -> Result<()> {
        let path = self.store.blobs.path(&row.blake3);
        let Some(row) = self.store.manifest.blob(row.id)? else { return Ok(()) };
        // What can't even be looked at was told of its folder.
        let Some((kind, what)) = entry_of(&path).ok().and_then(|found| fault(&row, found)) else { return Ok(()) };
        let names = self.store.manifest.filenames(row.id)?.join(", ");
        let detail = format!("{what}: {}", if names.is_empty() { "no filename" } else { &names });
        self.problem(kind, Some(&path), detail, "import a good copy again, or `wcas verify --repair`");
        Ok(())
    }
}

/// Tells what is wrong between a blob's row and what lies at its name, if anything is.
fn fault(row: &BlobRow, found: Option<FolderEntry>) -> Option<(&'static str, String)> {
    match (row.state, found) {
        (State::Staged | State::Deleting | State::Elsewhere, _) => None,
        (State::Lost, _) => Some(("lost", "its right bytes were found to be gone".to_owned())),
        (State::Live, None) => Some(("missing", "it has no file".to_owned())),
        (State::Live, Some(entry)) if !entry.is_file => Some(("foreign", "no regular file is at its name".to_owned())),
        (State::Live, Some(entry)) if entry.size != row.size => {
            Some(("size", format!("its file has {} bytes instead of {}", entry.size, row.size)))
        }
        (State::Live, Some(_)) => None,
    }
}

fn entry_of(path: &Path) -> Result<Option<FolderEntry>> {
    let entry = |metadata: std::fs::Metadata| FolderEntry {
        is_file: metadata.is_file(),
        size: metadata.len(),
        mode: metadata.mode() & 0o7777,
        uid: metadata.uid(),
    };
    Ok(fs::entry(path)?.map(entry))
}
