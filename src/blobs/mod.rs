//! Bytes: blobs under `blobs/b3/`, files being staged, and bad bytes in quarantine.
//!
//! A blob's file is `blobs/b3/<first two digits>/<all 64 digits of the BLAKE3 digest>`, mode 0444. A name appears there only by
//! renaming a synced, hashed staged file (I3) and is removed or replaced only with a [`Reap`] in hand (I4). What is true of a
//! blob (is it referenced, is it lost) is the manifest's matter, not this module's.

mod filenames;
mod links;
mod sidecar;
mod staging;

pub use links::{Going, Links};
pub use staging::{LinkMode, Staged, Staging};

use crate::digest::{Blake3, Sha256};
use crate::fs::{self, Error, Lock, Result, Signature};
use std::collections::{BTreeSet, HashSet};
use std::ffi::OsString;
use std::fs::{File, Metadata};
use std::path::{Path, PathBuf};

/// The right to remove or replace a name under `blobs/`: the exclusive `locks/reap`, held for a batch (under a second).
#[derive(Debug)]
#[must_use = "the right lasts as long as the value"]
pub struct Reap(#[expect(dead_code, reason = "held for its lock")] Lock);

/// What stands at a blob's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// Nothing.
    Absent,
    /// A regular file.
    File(Signature),
    /// Something that this store never puts there: a symlink, a folder.
    Foreign,
}

/// The blobs of a store.
#[derive(Debug)]
pub struct Blobs {
    root: PathBuf,
    quarantine: PathBuf,
    named: PathBuf,
    documents: PathBuf,
    sidecars: PathBuf,
    filenames: PathBuf,
    filenames_lock: PathBuf,
    reap: PathBuf,
}

impl Blobs {
    /// Takes the store's folder.
    pub fn new(store: &Path) -> Self {
        Self {
            root: store.join("blobs/b3"),
            quarantine: store.join("quarantine"),
            named: store.join("named"),
            documents: store.join("documents"),
            sidecars: store.join("metadata"),
            filenames: store.join("filenames"),
            filenames_lock: store.join("locks/filenames"),
            reap: store.join("locks/reap"),
        }
    }

    /// Takes the right to remove or replace names, waiting for another process's batch to end.
    pub fn reap(&self) -> Result<Reap> {
        Lock::exclusive(&self.reap).map(Reap)
    }

    /// Returns the path of a blob.
    pub fn path(&self, blob: &Blake3) -> PathBuf {
        let name = blob.to_string();
        // In one allocation: a server makes such a path for each answer.
        let mut path = PathBuf::with_capacity(self.root.as_os_str().len() + 2 + 2 + name.len());
        path.push(&self.root);
        path.push(&name[..2]);
        path.push(name);
        path
    }

    /// Returns what stands at the blob's name.
    pub fn find(&self, blob: &Blake3) -> Result<Found> {
        Ok(match fs::entry(&self.path(blob))? {
            None => Found::Absent,
            Some(metadata) if metadata.is_file() => Found::File(Signature::of(&metadata)),
            Some(_) => Found::Foreign,
        })
    }

    /// Returns the stat of a blob's file, if there is one.
    pub fn stat(&self, blob: &Blake3) -> Result<Option<Metadata>> {
        fs::entry(&self.path(blob))
    }

    /// Opens a blob for reading.
    pub fn open(&self, blob: &Blake3) -> Result<File> {
        fs::open(&self.path(blob))
    }

    /// Hashes the bytes at a path; returns their digest and count.
    pub fn hash(path: &Path) -> Result<(Blake3, u64)> {
        Self::hash_open(&fs::open(path)?, path)
    }

    /// Hashes the bytes of an open file, from its position on.
    pub fn hash_open(file: &File, path: &Path) -> Result<(Blake3, u64)> {
        let mut hasher = blake3::Hasher::new();
        let bytes = fs::read_parts(file, path, |part| {
            hasher.update(part);
            Ok(())
        })?;
        Ok((Blake3::from_bytes(hasher.finalize().into()), bytes))
    }

    /// Tells whether the right bytes stand at the blob's name, by reading them; bytes that can't be read are not right.
    pub fn is_good(&self, blob: &Blake3) -> bool {
        let is_file = matches!(self.find(blob), Ok(Found::File(_)));
        is_file && Self::hash(&self.path(blob)).is_ok_and(|(digest, _)| digest == *blob)
    }

    /// Gives a staged, synced file its blob's name. Returns false, with the staged file left, when the name is taken.
    pub fn publish(&self, staged: &Path, blob: &Blake3) -> Result<bool> {
        let path = self.path(blob);
        match fs::rename_new(staged, &path) {
            Err(error) if error.is_not_found() => {
                // The shard's own name must be durable before a blob in it counts as published.
                fs::create_dir(fs::parent(&path))?;
                fs::sync_dir(&self.root)?;
                fs::rename_new(staged, &path)
            }
            done => done,
        }
    }

    /// Makes the shards that many new blobs need, their own names durable together: one by one each costs a sync.
    pub fn make_shards<'a>(&self, blobs: impl Iterator<Item = &'a Blake3>) -> Result<()> {
        let mut lacking: BTreeSet<OsString> = blobs.map(|blob| format!("{:02x}", blob.as_bytes()[0]).into()).collect();
        if lacking.len() < 2 {
            return Ok(());
        }
        let there: HashSet<OsString> = fs::names(&self.root)?.into_iter().collect();
        lacking.retain(|name| !there.contains(name));
        for shard in &lacking {
            fs::create_dir(&self.root.join(shard))?;
        }
        if lacking.is_empty() { Ok(()) } else { fs::sync_dir(&self.root) }
    }

    /// Puts a staged, synced file in the place of a bad one, which goes to quarantine.
    pub fn replace(&self, reap: &Reap, staged: &Path, blob: &Blake3) -> Result<Option<PathBuf>> {
        let moved = self.quarantine(reap, blob)?;
        if !self.publish(staged, blob)? {
            // Names appear only here and under the lock that we hold, or by a publisher with right bytes.
            fs::remove_file(staged)?;
        }
        Ok(moved)
    }

    /// Moves what stands at the blob's name to quarantine, durably; returns its new path.
    pub fn quarantine(&self, _reap: &Reap, blob: &Blake3) -> Result<Option<PathBuf>> {
        let path = self.path(blob);
        if fs::entry(&path)?.is_none() {
            return Ok(None);
        }
        fs::create_dir(&self.quarantine)?;
        for number in 0.. {
            let target = self.quarantine.join(format!("{blob}.{number}"));
            if fs::rename_new(&path, &target)? {
                fs::sync_dir(&self.quarantine)?;
                fs::sync_dir(fs::parent(&path))?;
                return Ok(Some(target));
            }
        }
        unreachable!("some number is free")
    }

    /// Removes a blob's bytes, whose links are gone; a name that isn't there is fine. What this store never put there is moved to quarantine.
    pub fn remove(&self, reap: &Reap, blob: &Blake3) -> Result<()> {
        match fs::remove_file(&self.path(blob)) {
            Err(error) if error.source.kind() == std::io::ErrorKind::IsADirectory => {
                self.quarantine(reap, blob).map(drop)
            }
            done => done.map(drop),
        }
    }

    /// Makes the names in the shards of these blobs durable, each shard once.
    pub fn sync_names<'a>(&self, blobs: impl Iterator<Item = &'a Blake3>) -> Result<()> {
        let shards: BTreeSet<u8> = blobs.map(|blob| blob.as_bytes()[0]).collect();
        // Past some dozens of folders one sync of the filesystem is cheaper.
        if shards.len() > 48 {
            return fs::sync_filesystem(&self.root);
        }
        for shard in shards {
            let dir = self.root.join(format!("{shard:02x}"));
            match fs::sync_dir(&dir) {
                Err(error) if error.is_not_found() => {}
                done => done?,
            }
        }
        Ok(())
    }

    /// Returns every path below `blobs/b3/`, with the digest that it names if it is named like a blob.
    pub fn iter(&self) -> impl Iterator<Item = Result<(PathBuf, Option<Blake3>)>> {
        walkdir::WalkDir::new(&self.root).min_depth(1).into_iter().filter_map(|entry| match entry {
            Ok(entry) => {
                let name = entry.file_name().to_str().unwrap_or_default();
                let digest: Option<Blake3> = name.parse().ok();
                let digest = digest.filter(|digest| self.path(digest) == entry.path());
                let shard = entry.depth() == 1 && entry.file_type().is_dir();
                (!shard).then(|| Ok((entry.into_path(), digest)))
            }
            Err(error) if error.io_error().is_some_and(|e| e.kind() == std::io::ErrorKind::NotFound) => None,
            Err(error) => {
                let path = error.path().unwrap_or(&self.root).to_owned();
                Some(Err(Error::at("list", path)(error.into())))
            }
        })
    }

    /// Returns a path that ends in `filename` and has these bytes, for what pages list beside distributions. It is derived, and
    /// made when first asked for.
    pub fn document(&self, filename: &str, bytes: &[u8]) -> Result<PathBuf> {
        let dir = self.documents.join(Sha256::of(bytes).to_string());
        let path = dir.join(filename);
        let is_there = || std::fs::read(&path).is_ok_and(|found| found == bytes);
        if is_there() {
            return Ok(path);
        }
        for dir in [&self.documents, &dir] {
            fs::create_dir(dir)?;
        }
        match fs::write_durable(&path, bytes) {
            // Another process was faster.
            Err(_) if is_there() => Ok(path),
            done => done.map(|()| path),
        }
    }

    /// Returns the files in quarantine.
    pub fn quarantined(&self) -> Result<Vec<PathBuf>> {
        Ok(fs::names(&self.quarantine)?.into_iter().map(|name| self.quarantine.join(name)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digests;
    use std::os::unix::fs::symlink;

    const BYTES: &[u8] = b"the right bytes";

    /// A store's folder with one blob.
    fn store() -> (tempfile::TempDir, Blobs, Blake3) {
        let dir = tempfile::tempdir().unwrap();
        let (blobs, blob) = (Blobs::new(dir.path()), Digests::of(BYTES).blake3);
        std::fs::create_dir_all(blobs.path(&blob).parent().unwrap()).unwrap();
        std::fs::create_dir(dir.path().join("locks")).unwrap();
        std::fs::write(blobs.path(&blob), BYTES).unwrap();
        (dir, blobs, blob)
    }

    #[test]
    fn a_document_is_made_once_and_made_again_where_its_bytes_are_wrong() {
        let (_dir, blobs, _) = store();
        let path = blobs.document("demo.provenance", BYTES).unwrap();
        let inode = |path: &Path| Signature::of(&std::fs::metadata(path).unwrap()).inode;
        let made = inode(&path);
        assert_eq!((blobs.document("demo.provenance", BYTES).unwrap(), inode(&path)), (path.clone(), made));
        std::fs::remove_file(&path).and_then(|()| std::fs::write(&path, "wrong")).unwrap();
        assert_eq!(blobs.document("demo.provenance", BYTES).unwrap(), path);
        assert_eq!(std::fs::read(&path).unwrap(), BYTES);
        std::fs::remove_file(&path).and_then(|()| std::fs::create_dir(&path)).unwrap();
        assert!(blobs.document("demo.provenance", BYTES).is_err());
    }

    #[test]
    fn the_list_of_filenames_gets_what_it_lacks_and_loses_what_has_neither_row_nor_bytes() {
        let (_dir, blobs, there) = store();
        let [gone, row] = [&b"gone"[..], b"row"].map(|bytes| Digests::of(bytes).blake3);
        blobs.note_filenames(&[(there, "early"), (gone, "late"), (row, "known")]).unwrap();
        assert_eq!(blobs.noted_filenames().unwrap().len(), 3);
        let known = (row, "known".to_owned());
        assert_eq!(blobs.mend_filenames(std::slice::from_ref(&known)).unwrap(), 0, "so short a list is left alone");
        assert_eq!(blobs.noted_filenames().unwrap().len(), 3);
        assert_eq!(blobs.mend_filenames(&[known.clone(), (row, "lacking".to_owned())]).unwrap(), 1);
        let noted = blobs.noted_filenames().unwrap();
        assert_eq!((noted.len(), &noted[&there]), (2, &vec!["early".to_owned()]), "an import may be about to list it");
        assert_eq!(noted[&row], ["known", "lacking"]);
        let many: Vec<String> = (0..=SPARE).map(|number| number.to_string()).collect();
        let many: Vec<_> = many.iter().map(|name| (gone, name.as_str())).collect();
        blobs.note_filenames(&many[..SPARE - 1]).unwrap();
        assert_eq!(blobs.mend_filenames(std::slice::from_ref(&known)).unwrap(), 0);
        assert_eq!(blobs.noted_filenames().unwrap().len(), 3, "a few lines more than are needed do no harm");
        blobs.note_filenames(&many).unwrap();
        assert_eq!(blobs.mend_filenames(&[known]).unwrap(), 0);
        assert_eq!(blobs.noted_filenames().unwrap().len(), 2);
    }

    /// With its two lines and the two of the blob that is there, a list of one wanted name may have so many more.
    const SPARE: usize = 1000;

    #[test]
    fn names_in_a_shard_that_is_not_there_need_no_sync() {
        let (dir, blobs, blob) = store();
        blobs.sync_names([&blob].into_iter()).unwrap();
        std::fs::remove_dir_all(dir.path().join("blobs/b3")).unwrap();
        blobs.sync_names([&blob].into_iter()).unwrap();
    }

    #[test]
    fn shards_that_are_there_are_left_alone_and_one_alone_is_made_by_its_blob() {
        let (_dir, blobs, blob) = store();
        let others: Vec<Blake3> = (0..9).map(|number: u8| Digests::of(&[number]).blake3).collect();
        blobs.make_shards(std::iter::once(&others[0])).unwrap();
        assert_eq!(fs::names(&blobs.root).unwrap().len(), 1);
        for _ in 0..2 {
            blobs.make_shards(others.iter().chain([&blob])).unwrap();
            assert!(others.iter().all(|blob| fs::parent(&blobs.path(blob)).is_dir()));
        }
        assert!(blobs.is_good(&blob));
        std::fs::remove_dir_all(&blobs.root).unwrap();
        assert!(blobs.make_shards(others.iter()).is_err());
    }

    #[test]
    fn what_is_removed_leaves_no_name_and_what_others_put_there_goes_to_quarantine() {
        let (_dir, blobs, blob) = store();
        let reap = blobs.reap().unwrap();
        for _ in 0..2 {
            blobs.remove(&reap, &blob).unwrap();
            assert_eq!(blobs.find(&blob).unwrap(), Found::Absent);
        }
        for number in 0..2 {
            std::fs::create_dir(blobs.path(&blob)).unwrap();
            assert_eq!(blobs.find(&blob).unwrap(), Found::Foreign);
            blobs.remove(&reap, &blob).unwrap();
            assert_eq!(blobs.find(&blob).unwrap(), Found::Absent);
            assert!(blobs.quarantined().unwrap().contains(&blobs.quarantine.join(format!("{blob}.{number}"))));
        }
        std::fs::remove_dir(fs::parent(&blobs.path(&blob))).unwrap();
        std::fs::write(fs::parent(&blobs.path(&blob)), "a file").unwrap();
        assert!(blobs.remove(&reap, &blob).is_err(), "not every failure is a folder in its place");
        assert_eq!(blobs.quarantined().unwrap().len(), 2);
    }

    #[test]
    fn right_bytes_take_the_place_of_wrong_ones_and_leave_staging() {
        let (dir, blobs, blob) = store();
        let reap = blobs.reap().unwrap();
        let staged = dir.path().join("staged");
        let stage = || std::fs::write(&staged, BYTES).unwrap();
        stage();
        assert_eq!((blobs.publish(&staged, &blob).unwrap(), staged.exists()), (false, true), "the name is taken");
        std::fs::write(blobs.path(&blob), "wrong").unwrap();
        assert!(!blobs.is_good(&blob));
        let moved = blobs.replace(&reap, &staged, &blob).unwrap().unwrap();
        assert_eq!((std::fs::read(moved).unwrap(), staged.exists()), (b"wrong".to_vec(), false));
        assert!(blobs.is_good(&blob));
        std::fs::remove_dir_all(fs::parent(&blobs.path(&blob))).unwrap();
        stage();
        assert_eq!(blobs.replace(&reap, &staged, &blob).unwrap(), None);
        assert!(blobs.is_good(&blob), "its shard is made");
    }

    #[test]
    fn every_path_is_told_with_the_digest_by_which_it_is_named() {
        let (dir, blobs, blob) = store();
        let root = dir.path().join("blobs/b3");
        let shard = fs::parent(&blobs.path(&blob)).file_name().unwrap().to_str().unwrap().to_owned();
        let other = if shard == "00" { "01" } else { "00" };
        let strays = ["README".to_owned(), format!("{other}/{blob}"), format!("{shard}/folder/file")];
        for stray in &strays {
            std::fs::create_dir_all(fs::parent(&root.join(stray)))
                .and_then(|()| std::fs::write(root.join(stray), ""))
                .unwrap();
        }
        let mut expected: Vec<_> = strays.iter().map(|stray| (root.join(stray), None)).collect();
        expected.extend([(root.join(&shard).join("folder"), None), (blobs.path(&blob), Some(blob))]);
        let mut found: Vec<_> = blobs.iter().map(|found| found.unwrap()).collect();
        found.sort();
        expected.sort();
        assert_eq!(found, expected);
    }

    #[test]
    fn metadata_files_get_their_names_and_what_others_put_there_is_passed_over() {
        let (dir, blobs, _) = store();
        let sha256 = Sha256::of(BYTES);
        assert_eq!((blobs.has_sidecar(&sha256), blobs.sidecars().unwrap().len()), (false, 0));
        for _ in 0..2 {
            blobs.stage_sidecar(dir.path(), &sha256, BYTES).unwrap();
            blobs.publish_sidecar(dir.path(), &sha256).unwrap();
        }
        let path = blobs.sidecar(&sha256);
        assert_eq!((blobs.has_sidecar(&sha256), std::fs::read(&path).unwrap()), (true, BYTES.to_vec()));
        std::fs::write(blobs.sidecars.join("a file for a folder"), "").unwrap();
        std::fs::create_dir(path.with_file_name("a folder for a file")).unwrap();
        symlink("nowhere", path.with_file_name("a link")).unwrap();
        std::fs::write(path.with_file_name("no digest"), "").unwrap();
        let mut found = blobs.sidecars().unwrap();
        found.sort();
        assert_eq!(found, [(path.clone(), Some(sha256)), (path.with_file_name("no digest"), None)]);
        std::fs::remove_file(&path).and_then(|()| std::fs::create_dir(&path)).unwrap();
        assert!(!blobs.has_sidecar(&sha256));
        blobs.stage_sidecar(dir.path(), &sha256, BYTES).unwrap();
        assert!(blobs.publish_sidecar(dir.path(), &sha256).is_err());
    }
}
