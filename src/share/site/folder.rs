//! A site in a folder. What headers a web server tells is its own matter there.

use super::super::{Error, Result};
use super::{Headers, Listed, SiteObjects, Store};
use crate::digest::Blake3;
use crate::fs::{self, Signature};
use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

/// What the names of objects on their way begin with.
const UNFINISHED: &str = ".wcas-unfinished-";

#[derive(Debug)]
pub(super) struct SiteFolder {
    root: PathBuf,
}

impl SiteFolder {
    pub(super) fn at(root: PathBuf) -> Self {
        Self { root }
    }

    /// Returns where an object is. A link on the way there would lead out of the site.
    fn path(&self, key: &str) -> Result<PathBuf> {
        let mut path = self.root.clone();
        for part in key.split('/') {
            path.push(part);
            if path.is_symlink() {
                return Err(Error::Key(key.to_owned()));
            }
        }
        Ok(path)
    }

    /// Makes an object under another name, durably, and then gives it its own.
    fn make(&self, key: &str, fill: impl FnOnce(&File, &Path) -> Result<()>) -> Result<()> {
        let (target, temporary) = (self.path(key)?, self.root.join(format!("{UNFINISHED}{}", fs::unique_name())));
        let dir = fs::parent(&target);
        fs::create_dir_all(dir)?;
        let made = fs::create_new(&temporary, fs::FILE).map_err(Error::from).and_then(|file| {
            fill(&file, &temporary)?;
            fs::sync_file(&temporary)?;
            Ok(fs::rename(&temporary, &target)?)
        });
        if made.is_err() {
            // What can't be removed now goes at the next listing.
            let _ = fs::remove_file(&temporary);
        }
        made?;
        Ok(fs::sync_dir(dir)?)
    }
}

/// Says what an object has until it is made again.
fn object(path: &Path) -> Result<Option<Listed>> {
    let found = fs::entry(path)?.filter(std::fs::Metadata::is_file);
    Ok(found.map(|found| {
        let signature = Signature::of(&found);
        let tag = format!("{}-{}-{}", signature.inode, signature.size, signature.modified_ns);
        Listed { size: signature.size, tag }
    }))
}

impl Store for SiteFolder {
    fn list(&self) -> Result<BTreeMap<String, Listed>> {
        let mut found = BTreeMap::new();
        let mut folders = vec![(self.root.clone(), String::new())];
        while let Some((dir, above)) = folders.pop() {
            for (kind, name) in fs::kinds(&dir)? {
                let path = dir.join(&name);
                let key = format!("{above}{}", name.to_string_lossy());
                if above.is_empty() && key.starts_with(UNFINISHED) {
                    fs::remove_file(&path)?;
                } else if kind.is_dir() {
                    folders.push((path, format!("{key}/")));
                } else {
                    // What is no file is somebody's, too.
                    let other = Listed { size: 0, tag: String::new() };
                    found.insert(key, object(&path)?.unwrap_or(other));
                }
            }
        }
        Ok(found)
    }

    fn get(&self, key: &str, limit: u64) -> Result<Option<(Vec<u8>, String)>> {
        let path = self.path(key)?;
        let Some(object) = object(&path)? else { return Ok(None) };
        match fs::read_own(&path, limit) {
            Err(error) if error.is_not_found() => Ok(None),
            read => Ok(Some((read?, object.tag))),
        }
    }

    fn tag(&self, key: &str) -> Result<Option<String>> {
        Ok(object(&self.path(key)?)?.map(|found| found.tag))
    }

    /// Commands of one machine take turns; of two that are at it at once over a network, one may not see the other.
    fn write_if(&self, key: &str, bytes: &[u8], headers: Headers, tag: Option<&str>) -> Result<Option<String>> {
        if self.tag(key)?.as_deref() == tag { self.write(key, bytes, headers).map(Some) } else { Ok(None) }
    }

    fn write(&self, key: &str, bytes: &[u8], _: Headers) -> Result<String> {
        let fill = |file: &File, path: &Path| Ok(fs::append(file, path, bytes)?);
        self.make(key, fill)?;
        Ok(self.tag(key)?.unwrap_or_default())
    }

    fn upload(&self, key: &str, (file, path): (&File, &Path), blake3: &Blake3, _: Headers) -> Result<()> {
        let fill = |copy: &File, to: &Path| {
            let mut hasher = blake3::Hasher::new();
            fs::read_parts(file, path, |part| {
                hasher.update(part);
                fs::append(copy, to, part)
            })?;
            let is_right = Blake3::from_bytes(hasher.finalize().into()) == *blake3;
            if is_right { Ok(()) } else { Err(Error::WrongBytes(path.display().to_string())) }
        };
        self.make(key, fill)
    }

    /// The folders above go with the last object in them.
    fn remove(&self, key: &str) -> Result<()> {
        let path = self.path(key)?;
        fs::remove_file(&path)?;
        let above = path.ancestors().skip(1).take_while(|dir| *dir != self.root);
        for dir in above {
            if fs::remove_empty_dir(dir).is_err() {
                break;
            }
        }
        Ok(())
    }

    fn objects(&self) -> Option<&SiteObjects> {
        None
    }
}
