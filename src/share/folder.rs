//! A folder as a bucket: on a disk that the nodes share (NFS and its kin), or on this machine.
//!
//! An object appears by a hard link or a rename that fails where its name is taken, after its bytes are durable; its name is durable
//! before anybody is told.

use super::listing::Listing;
use super::{Bucket, Error, FOLDERS, Result, UNFINISHED, checked};
use crate::digest::Blake3;
use crate::fs;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

#[derive(Debug)]
pub(super) struct Folder {
    root: PathBuf,
}

impl Folder {
    pub(super) fn at(root: PathBuf) -> Self {
        Self { root }
    }

    fn path(&self, key: &str) -> Result<PathBuf> {
        Ok(self.root.join(checked(key)?))
    }

    /// Tells whether its folders are there: else it isn't mounted.
    fn is_there(&self) -> bool {
        self.root.join("log").is_dir()
    }

    fn temporary(&self) -> PathBuf {
        self.root.join("tmp").join(fs::unique_name())
    }

    /// What can't be found or made, since folders are missing, is no object that the bucket lacks: there is no bucket.
    fn absent(&self, error: fs::Error) -> Error {
        if error.is_not_found() { Error::Absent(format!("file://{}", self.root.display())) } else { error.into() }
    }

    /// Returns all files below a folder.
    fn files(&self, folder: &str) -> Result<Vec<PathBuf>> {
        let mut files = Listing::new();
        let mut folders = vec![self.path(folder)?];
        while let Some(dir) = folders.pop() {
            for (kind, name) in fs::kinds(&dir)? {
                if kind.is_dir() {
                    folders.push(dir.join(name));
                } else if kind.is_file() {
                    files.push(folder, dir.join(name))?;
                }
            }
        }
        Ok(files.into_found())
    }
}

impl Bucket for Folder {
    fn is_ours(&self) -> Result<bool> {
        // Two who make a share at once meet in half of it.
        Ok(fs::names(&self.root)?.iter().all(|name| FOLDERS.iter().any(|folder| name == folder)))
    }

    /// Where its folders are gone later, it isn't mounted: they are never made again by the way.
    fn prepare(&self) -> Result<()> {
        fs::create_dir_all(&self.root)?;
        for folder in FOLDERS {
            fs::create_dir(&self.path(folder)?)?;
        }
        Ok(fs::sync_dir(&self.root)?)
    }

    fn create(&self, key: &str, bytes: &[u8]) -> Result<bool> {
        let (path, temporary) = (self.path(key)?, self.temporary());
        fs::write_new(&temporary, bytes)?;
        let made = fs::sync_file(&temporary).and_then(|()| match fs::hard_link(&temporary, &path) {
            Err(error) if error.source.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
            done => done.map(|()| true),
        });
        let removed = fs::remove_file(&temporary);
        let made = made?;
        removed?;
        // Also where another was faster: what is told of its object must be durable.
        fs::sync_dir(fs::parent(&path))?;
        Ok(made)
    }

    fn get(&self, key: &str, limit: u64) -> Result<Option<Vec<u8>>> {
        let path = self.path(key)?;
        match fs::read_own(&path, limit) {
            Ok(bytes) => {
                // Nobody goes on from what a power cut may take back.
                fs::sync_dir(fs::parent(&path))?;
                Ok(Some(bytes))
            }
            Err(error) if error.is_not_found() && (key == "wcas.json" || self.is_there()) => Ok(None),
            Err(error) => Err(self.absent(error)),
        }
    }

    fn put(&self, file: &File, path: &Path, blake3: &Blake3, name: &dyn Fn(SystemTime) -> String) -> Result<()> {
        let temporary = self.temporary();
        let copied = || -> Result<()> {
            let copy = fs::create_new(&temporary, fs::READ_ONLY)?;
            let at = copy.metadata().and_then(|made| made.modified()).map_err(fs::Error::at("look at", &temporary))?;
            let mut hasher = blake3::Hasher::new();
            fs::read_parts(file, path, |part| {
                hasher.update(part);
                fs::append(&copy, &temporary, part)
            })?;
            if Blake3::from_bytes(hasher.finalize().into()) != *blake3 {
                return Err(Error::WrongBytes(path.display().to_string()));
            }
            fs::sync_file(&temporary)?;
            let target = self.path(&name(at))?;
            let shard = fs::parent(&target);
            if fs::create_dir(shard)? {
                fs::sync_dir(fs::parent(shard))?;
            }
            if !fs::rename_new(&temporary, &target)? {
                let taken = std::io::Error::from(std::io::ErrorKind::AlreadyExists);
                return Err(fs::Error::at("put", &target)(taken).into());
            }
            Ok(fs::sync_dir(shard)?)
        };
        let done = copied();
        if done.is_err() {
            // What can't be removed now is a stray file in tmp/.
            let _ = fs::remove_file(&temporary);
        }
        done
    }

    fn read(&self, key: &str, look: &mut dyn FnMut(&[u8]) -> fs::Result<()>) -> Result<bool> {
        let path = self.path(key)?;
        match fs::open(&path) {
            Ok(file) => {
                fs::read_parts(&file, &path, look)?;
                Ok(true)
            }
            Err(error) if error.is_not_found() && self.is_there() => Ok(false),
            Err(error) => Err(self.absent(error)),
        }
    }

    fn size(&self, key: &str) -> Result<Option<u64>> {
        Ok(fs::entry(&self.path(key)?)?.filter(std::fs::Metadata::is_file).map(|found| found.len()))
    }

    fn remove(&self, key: &str) -> Result<()> {
        fs::remove_file(&self.path(key)?)?;
        Ok(())
    }

    fn names(&self, folder: &str) -> Result<Vec<String>> {
        let files = self.files(folder)?.into_iter();
        Ok(files.filter_map(|path| Some(path.file_name()?.to_str()?.to_owned())).collect())
    }

    fn sizes(&self, folder: &str) -> Result<Vec<(String, u64)>> {
        let mut sizes = Vec::new();
        for path in self.files(folder)? {
            // It may have gone since its folder was listed.
            if let (Some(name), Some(found)) = (path.file_name().and_then(|name| name.to_str()), fs::entry(&path)?) {
                sizes.push((name.to_owned(), found.len()));
            }
        }
        Ok(sizes)
    }

    fn times(&self, folder: &str) -> Result<Vec<(String, SystemTime)>> {
        let mut times = Vec::new();
        for path in self.files(folder)? {
            // It may have gone since its folder was listed.
            if let (Some(name), Some(found)) = (path.file_name().and_then(|name| name.to_str()), fs::entry(&path)?) {
                times.push((name.to_owned(), found.modified().map_err(fs::Error::at("look at", &path))?));
            }
        }
        Ok(times)
    }

    fn now(&self) -> Result<SystemTime> {
        let path = self.temporary();
        let file = fs::create_new(&path, fs::FILE).map_err(|error| self.absent(error))?;
        let made = file.metadata().and_then(|made| made.modified()).map_err(fs::Error::at("look at", &path));
        fs::remove_file(&path)?;
        Ok(made?)
    }

    fn tidy(&self) -> Result<()> {
        let (now, dir) = (self.now()?, self.path("tmp")?);
        for name in fs::names(&dir)? {
            let path = dir.join(name);
            let made = fs::entry(&path)?.and_then(|found| found.modified().ok());
            if made.is_some_and(|made| now.duration_since(made).is_ok_and(|age| age > UNFINISHED)) {
                fs::remove_file(&path)?;
            }
        }
        Ok(())
    }
}
