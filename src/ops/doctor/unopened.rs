//! A store that can't be opened: what is wrong with it, as far as files tell.

use super::{DoctorReport, Finding, Severity};
use crate::error::{Error, Result};
use crate::fs;
use crate::manifest;
use crate::ops::reason;
use crate::store;
use std::path::{Path, PathBuf};

/// What only stores have.
const SIGNS: [&str; 3] = ["wcas.json", "manifest.sqlite", "blobs/b3"];

/// Says why a store can't be opened, and what to do. What is no store, is busy, or needs a newer program is no finding: the error
/// says all.
pub fn diagnose(root: &Path, error: Error) -> Result<DoctorReport> {
    let is_store = SIGNS.iter().any(|sign| matches!(fs::entry(&root.join(sign)), Ok(Some(_))));
    let Some((kind, path, advice)) = finding(root, &error).filter(|_| is_store) else { return Err(error) };
    Ok(DoctorReport {
        store: root.to_owned(),
        filesystem: fs::filesystem(root)?.name,
        reflink: false,
        free_bytes: fs::free_bytes(root)?,
        is_writable: false,
        findings: vec![Finding {
            kind,
            severity: Severity::Problem,
            path: Some(path),
            detail: reason(&error),
            advice: advice.to_owned(),
        }],
    })
}

fn finding(root: &Path, error: &Error) -> Option<(&'static str, PathBuf, &'static str)> {
    let backup = "keep a copy of what is there, then put a backup in place (with `mv`, and without the old -wal and -shm), or \
                  `wcas rebuild` reads the blobs again";
    let manifest = |error: &manifest::Error| match error {
        manifest::Error::Newer { .. } | manifest::Error::Older { .. } => None,
        error if error.is_busy() => None,
        manifest::Error::Disk(error) => Some(("disk", error.path.clone(), "see why it can't be read or written")),
        _ => Some(("manifest", root.join("manifest.sqlite"), backup)),
    };
    match error {
        Error::Store(store::Error::Manifest(error)) | Error::Manifest(error) => manifest(error),
        Error::Store(store::Error::NoManifest(_)) => Some(("manifest", root.join("manifest.sqlite"), backup)),
        Error::Store(store::Error::Format { .. } | store::Error::Absent(_)) => {
            let advice = "put a copy of wcas.json in place, or `wcas rebuild` writes a new one";
            Some(("format", root.join("wcas.json"), advice))
        }
        Error::Store(store::Error::Disk(error)) | Error::Disk(error) => Some((
            "disk",
            error.path.clone(),
            "see why it can't be read or written: whose it is, and what kind of file",
        )),
        _ => None,
    }
}
