//! METADATA as files, for trees to link: `metadata/<first two digits>/<SHA-256 digest>`.
//!
//! They are derived from the manifest, made when a tree first needs them, and may be deleted. As with blobs, a name appears only
//! when its bytes are durable, so a name that is there can be linked without a look at its bytes.

use super::Blobs;
use crate::digest::Sha256;
use crate::fs::{self, Result};
use std::fs::FileType;
use std::path::{Path, PathBuf};

impl Blobs {
    /// Returns the path of a sidecar.
    pub fn sidecar(&self, sha256: &Sha256) -> PathBuf {
        let name = sha256.to_string();
        let mut path = self.sidecars.join(&name[..2]);
        path.push(name);
        path
    }

    /// Tells whether a sidecar is there.
    pub fn has_sidecar(&self, sha256: &Sha256) -> bool {
        matches!(fs::entry(&self.sidecar(sha256)), Ok(Some(entry)) if entry.is_file())
    }

    /// Writes a sidecar into a folder of the same filesystem; it is not durable yet.
    pub fn stage_sidecar(&self, dir: &Path, sha256: &Sha256, bytes: &[u8]) -> Result<()> {
        let path = dir.join(sha256.to_string());
        let file = fs::create_new(&path, fs::READ_ONLY)?;
        fs::append(&file, &path, bytes)
    }

    /// Gives a staged, synced sidecar its name.
    pub fn publish_sidecar(&self, dir: &Path, sha256: &Sha256) -> Result<()> {
        let (staged, path) = (dir.join(sha256.to_string()), self.sidecar(sha256));
        match fs::rename(&staged, &path) {
            Err(error) if error.is_not_found() => {
                fs::create_dir(&self.sidecars)?;
                fs::create_dir(fs::parent(&path))?;
                fs::rename(&staged, &path)
            }
            done => done,
        }
    }

    /// Returns the sidecars that are there. What others put there (a pipe, a link) is passed over.
    pub fn sidecars(&self) -> Result<Vec<(PathBuf, Option<Sha256>)>> {
        let mut found = Vec::new();
        for shard in fs::names_of(&self.sidecars, FileType::is_dir)? {
            let dir = self.sidecars.join(shard);
            for name in fs::names_of(&dir, FileType::is_file)? {
                let digest = name.to_str().and_then(|name| name.parse().ok());
                found.push((dir.join(name), digest));
            }
        }
        Ok(found)
    }
}
