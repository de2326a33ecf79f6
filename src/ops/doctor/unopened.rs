//! A store that can't be opened: what is wrong with it, as far as files tell.

use super::{DISK_ADVICE, DoctorReport, Finding, Severity};
use crate::error::{Error, Result};
use crate::words::reason;
use crate::{fs, manifest, store};
use std::fs::Metadata;
use std::path::{Path, PathBuf};

/// What only stores have.
const SIGNS: [&str; 3] = ["wcas.json", "manifest.sqlite", "blobs/b3"];

/// Files of the store, and what helps where something else lies at the name.
const FILES: [(&str, &str); 5] = [
    ("wcas.json", ", then put a copy of wcas.json in place, or `wcas rebuild` writes a new one"),
    ("manifest.sqlite", ", then put a backup in place, or `wcas rebuild` reads the blobs again"),
    ("manifest.sqlite-wal", ""),
    ("manifest.sqlite-shm", ""),
    ("manifest.sqlite-journal", ""),
];
/// Its folders, which who may write makes again.
const FOLDERS: [&str; 6] = ["blobs", "blobs/b3", "staging", "quarantine", "locks", "locks/sessions"];

/// Says why a store can't be opened, and what to do. What is no store, is busy, or needs a newer program is no finding: the error
/// says all.
pub fn diagnose(root: &Path, error: Error) -> Result<DoctorReport> {
    let is_store = SIGNS.iter().any(|sign| matches!(fs::entry(&root.join(sign)), Ok(Some(_))));
    let Some((kind, path, advice)) = finding(root, &error).filter(|_| is_store) else { return Err(error) };
    let files = FILES.iter().filter_map(|(name, then)| odd(root.join(name), Metadata::is_file, "file", then));
    let folders = FOLDERS.iter().filter_map(|name| odd(root.join(name), Metadata::is_dir, "folder", ""));
    let dir = root.join("locks");
    let locks = fs::names(&dir).unwrap_or_default().into_iter().filter(|name| name != "sessions");
    let locks = locks.filter_map(|name| odd(dir.join(name), Metadata::is_file, "lock", ""));
    let mut findings: Vec<_> = files.chain(folders).chain(locks).collect();
    if findings.is_empty() {
        findings.push(problem(kind, path, reason(&error), advice));
    }
    Ok(DoctorReport {
        store: root.to_owned(),
        filesystem: fs::filesystem(root)?.name,
        reflink: false,
        free_bytes: fs::free_bytes(root)?,
        is_writable: false,
        share: None,
        findings,
    })
}

fn problem(kind: &'static str, path: PathBuf, detail: String, advice: &str) -> Finding {
    Finding { kind, severity: Severity::Problem, path: Some(path), detail, advice: advice.to_owned() }
}

/// Tells of something else at the name of a file or folder: SQLite says only that the disk fails.
fn odd(path: PathBuf, fits: fn(&Metadata) -> bool, wanted: &str, then: &str) -> Option<Finding> {
    let found = fs::entry(&path).ok().flatten().filter(|found| !fits(found))?;
    let kinds = [(found.is_symlink(), "a link"), (found.is_dir(), "a folder"), (found.is_file(), "a file")];
    let what = kinds.iter().find(|(is_it, _)| *is_it).map_or("a pipe or a device", |(_, what)| what);
    let detail = format!("{what} where a {wanted} of the store's own should be");
    Some(problem("kind", path, detail, &format!("nothing of this store's making: remove it by hand{then}")))
}

fn finding(root: &Path, error: &Error) -> Option<(&'static str, PathBuf, &'static str)> {
    let backup = "keep a copy of what is there, then put a backup in place (with `mv`, and without the old -wal and -shm), or \
                  `wcas rebuild` reads the blobs again";
    let manifest = |error: &manifest::Error| match error {
        manifest::Error::Newer { .. } | manifest::Error::Older { .. } => None,
        error if error.is_busy() => None,
        manifest::Error::Disk(error) => Some(("disk", error.path.clone(), DISK_ADVICE)),
        _ => Some(("manifest", root.join("manifest.sqlite"), backup)),
    };
    match error {
        Error::Store(store::Error::Manifest(error)) | Error::Manifest(error) => manifest(error),
        Error::Store(store::Error::NoManifest(_)) => Some(("manifest", root.join("manifest.sqlite"), backup)),
        Error::Store(store::Error::Format { .. } | store::Error::Absent(_)) => {
            let advice = "put a copy of wcas.json in place, or `wcas rebuild` writes a new one";
            Some(("format", root.join("wcas.json"), advice))
        }
        Error::Store(store::Error::Disk(error)) | Error::Disk(error) => Some(("disk", error.path.clone(), DISK_ADVICE)),
        _ => None,
    }
}
