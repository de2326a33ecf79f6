//! Paths that end in a distribution's filename: `named/<first two digits>/<filename>`, a link to the blob. pip and uv read a wheel's
//! tags from the last segment of its path, and a blob's name has none.
//!
//! Another blob of the same two digits may have that name already: then the link lies in a folder of the blob's own,
//! `named/<first two digits>/<digest>/<filename>`, where older stores have all of theirs. A path that was printed once stays
//! what it is, and leads to no other bytes as long as its blob is there. Links are made when they are first asked for, and may be
//! deleted.

use super::{Blobs, Reap};
use crate::digest::Blake3;
use crate::fs::{self, Error, Result, Signature};
use rayon::prelude::*;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The links of a store, for many questions: each folder is looked at once.
#[derive(Debug)]
pub struct Links<'a> {
    blobs: &'a Blobs,
    shards: [OnceLock<Shard>; 256],
}

/// What one of the 256 folders was when it was looked at.
#[derive(Debug, Clone, Copy)]
enum Shard {
    /// It isn't there.
    Absent,
    /// It is a folder, maybe with folders of single blobs in it.
    Folder { may_have_folders: bool },
    /// It, or the folder above, is something else.
    Foreign,
}

/// A link: where it is, and what it says.
struct Link {
    path: PathBuf,
    target: PathBuf,
    /// Whether another blob's link may have this path.
    is_shared: bool,
}

/// A blob that goes, and its filenames where the manifest still knows them.
#[derive(Debug, Clone)]
pub struct Going {
    /// The blob.
    pub blake3: Blake3,
    /// Its filenames; `None`: any link that leads to it is one.
    pub filenames: Option<Vec<String>>,
}

impl Blobs {
    /// Returns the store's links.
    pub fn links(&self) -> Links<'_> {
        Links { blobs: self, shards: [const { OnceLock::new() }; 256] }
    }

    /// Returns a path that ends in `filename` and leads to the blob. The link is made when first asked for.
    pub fn named(&self, blob: &Blake3, filename: &str) -> Result<PathBuf> {
        self.links().path(blob, filename)
    }

    /// Removes the links of blobs that go, each folder read once. Returns the first bytes of the digests whose folders failed.
    pub fn remove_links(&self, _reap: &Reap, going: &[Going]) -> Result<Vec<(u8, Error)>> {
        if fs::entry(&self.named)?.is_none() {
            return Ok(Vec::new());
        }
        let mut shards: BTreeMap<u8, Vec<&Going>> = BTreeMap::new();
        going.iter().for_each(|blob| shards.entry(blob.blake3.as_bytes()[0]).or_default().push(blob));
        let remove = |(shard, going): (u8, Vec<&Going>)| {
            let removed = remove_from(&self.named.join(format!("{shard:02x}")), &going);
            removed.err().map(|error| (shard, error))
        };
        Ok(shards.into_par_iter().filter_map(remove).collect())
    }

    /// Returns the links, and folders of links, with the blob that each is for, where it tells one.
    pub fn all_links(&self) -> Result<Vec<(PathBuf, Option<Blake3>)>> {
        let mut found = Vec::new();
        for shard in fs::names_of(&self.named, std::fs::FileType::is_dir)? {
            let dir = self.named.join(shard);
            let mut kinds = fs::kinds(&dir)?;
            kinds.sort_unstable_by(|(_, one), (_, other)| one.cmp(other));
            for (kind, name) in kinds {
                let path = dir.join(&name);
                let blob = name.to_str().and_then(|name| name.parse().ok());
                let blob = if kind.is_symlink() { blob.or_else(|| blob_of(&path)) } else { blob };
                found.push((path, blob));
            }
        }
        Ok(found)
    }

    /// Returns the filenames that links give to blobs.
    pub fn linked_filenames(&self) -> Result<HashMap<Blake3, Vec<String>>> {
        let mut known: HashMap<Blake3, Vec<String>> = HashMap::new();
        for (path, blob) in self.all_links()? {
            let Some(blob) = blob else { continue };
            // A folder of a blob's own is the one that is named by its digest.
            let is_folder = path.ends_with(blob.to_string());
            let names = match is_folder && fs::entry(&path)?.is_some_and(|found| found.is_dir()) {
                true => fs::names(&path)?,
                false => path.file_name().map(ToOwned::to_owned).into_iter().collect(),
            };
            known.entry(blob).or_default().extend(names.into_iter().filter_map(|name| name.into_string().ok()));
        }
        Ok(known)
    }
}

/// Removes what one folder has of blobs that go.
fn remove_from(dir: &Path, going: &[&Going]) -> Result<()> {
    // Behind a link is nothing of the store's.
    if !fs::entry(dir)?.is_some_and(|found| found.is_dir()) {
        return Ok(());
    }
    let digests: HashSet<Blake3> = going.iter().map(|blob| blob.blake3).collect();
    let is_any = going.iter().any(|blob| blob.filenames.is_none());
    let filenames: HashSet<&str> =
        going.iter().filter_map(|blob| blob.filenames.as_deref()).flatten().map(String::as_str).collect();
    for (kind, name) in fs::kinds(dir)? {
        let path = dir.join(&name);
        let Some(name) = name.to_str() else { continue };
        let is_own = name.parse().is_ok_and(|blob: Blake3| digests.contains(&blob));
        let may_lead = || kind.is_symlink() && (is_any || filenames.contains(name));
        match is_own {
            true if kind.is_dir() => fs::remove_tree(&path)?,
            false if !may_lead() || blob_of(&path).is_none_or(|blob| !digests.contains(&blob)) => {}
            _ => drop(fs::remove_file(&path)?),
        }
    }
    Ok(())
}

impl Links<'_> {
    /// Returns a path that ends in `filename` and leads to the blob. The link is made when first asked for.
    pub fn path(&self, blob: &Blake3, filename: &str) -> Result<PathBuf> {
        let [short, own] = self.both(blob, filename);
        if short.is_right() {
            return Ok(short.path);
        }
        if self.may_have_own(blob) && own.is_right() {
            return Ok(own.path);
        }
        let shard = fs::parent(&short.path);
        // Where a folder isn't there the link fails, and is tried again.
        let is_checked = !matches!(self.shard(blob), Shard::Foreign);
        if short.make(&[&self.blobs.named, shard], is_checked)? {
            return Ok(short.path);
        }
        own.make(&[&self.blobs.named, shard, fs::parent(&own.path)], false)?;
        Ok(own.path)
    }

    /// Returns the path, if the link is there and leads to a file that is told to be the right one: one look at both, and one at the
    /// blob's name, which is no link itself.
    pub fn standing(&self, blob: &Blake3, filename: &str, is_right: impl Fn(&Signature) -> bool) -> Option<PathBuf> {
        let is_no_link = || std::fs::symlink_metadata(self.blobs.path(blob)).is_ok_and(|found| found.is_file());
        let leads = |link: &Link| {
            let found = std::fs::metadata(&link.path);
            found.is_ok_and(|found| found.is_file() && is_right(&Signature::of(&found))) && is_no_link()
        };
        let [short, own] = self.both(blob, filename);
        if leads(&short) {
            return Some(short.path);
        }
        (self.may_have_own(blob) && leads(&own)).then_some(own.path)
    }

    fn both(&self, blob: &Blake3, filename: &str) -> [Link; 2] {
        let name = blob.to_string();
        let shard = &name[..2];
        let link = |path: String, above: &str, is_shared| Link {
            path: self.blobs.named.join(path),
            target: PathBuf::from(format!("{above}blobs/b3/{shard}/{name}")),
            is_shared,
        };
        let own = link(format!("{shard}/{name}/{filename}"), "../../../", false);
        [link(format!("{shard}/{filename}"), "../../", true), own]
    }

    fn shard(&self, blob: &Blake3) -> Shard {
        *self.shards[usize::from(blob.as_bytes()[0])].get_or_init(|| {
            let look = |path: &Path| match fs::entry(path) {
                Ok(None) => Shard::Absent,
                // A folder has a name more for each folder in it, on most filesystems; on others it has one, or none.
                Ok(Some(found)) if found.is_dir() => Shard::Folder { may_have_folders: found.nlink() != 2 },
                _ => Shard::Foreign,
            };
            match look(&self.blobs.named) {
                Shard::Folder { .. } => look(&self.blobs.named.join(format!("{:02x}", blob.as_bytes()[0]))),
                other => other,
            }
        })
    }

    fn may_have_own(&self, blob: &Blake3) -> bool {
        !matches!(self.shard(blob), Shard::Absent | Shard::Folder { may_have_folders: false })
    }
}

impl Link {
    fn is_right(&self) -> bool {
        // Where a folder on the way is a link itself, the right words lead nowhere.
        self.says_so() && self.path.exists()
    }

    fn says_so(&self) -> bool {
        std::fs::read_link(&self.path).is_ok_and(|found| found == self.target)
    }

    /// Makes the link, in these folders, which were looked at before when `is_checked`. Returns false where the path is another blob's.
    fn make(&self, folders: &[&Path], mut is_checked: bool) -> Result<bool> {
        // gc may remove the folder of a blob just when it is made; what it deletes for good fails below.
        for _ in 0..3 {
            if !is_checked {
                folders.iter().try_for_each(|dir| make_folder(dir))?;
            }
            is_checked = false;
            match fs::symlink(&self.target, &self.path) {
                Err(error) if error.source.kind() == std::io::ErrorKind::AlreadyExists => {
                    if self.says_so() {
                        return Ok(true);
                    }
                    if self.is_shared && blob_of(&self.path).is_some() {
                        return Ok(false);
                    }
                    if self.path.is_dir() && !self.path.is_symlink() {
                        return Err(not_ours(&self.path));
                    }
                    // Whatever was put there would be taken for the distribution.
                    fs::remove_file(&self.path)?;
                }
                Err(error) if error.is_not_found() => {}
                done => return done.map(|()| true),
            }
        }
        fs::symlink(&self.target, &self.path).map(|()| true)
    }
}

fn make_folder(dir: &Path) -> Result<()> {
    let found = match fs::entry(dir)? {
        None if fs::create_dir(dir)? => return Ok(()),
        None => fs::entry(dir)?,
        found => found,
    };
    if found.is_some_and(|found| !found.is_dir()) {
        return Err(Error::at("use", dir)(std::io::Error::other("it is no folder of the store's; remove it")));
    }
    Ok(())
}

/// Returns the blob that a link beside a folder of links says it leads to, if its words are such a link's.
fn blob_of(path: &Path) -> Option<Blake3> {
    let target = std::fs::read_link(path).ok()?;
    let rest = target.to_str()?.strip_prefix("../../blobs/b3/")?;
    let (shard, name) = rest.split_once('/')?;
    // One that leads to another shard is none of the store's.
    let is_ours = name.starts_with(shard) && fs::parent(path).ends_with(shard);
    is_ours.then(|| name.parse().ok()).flatten()
}

fn not_ours(path: &Path) -> Error {
    Error::at("use", path)(std::io::Error::other("it is nothing of the store's making; remove it"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digests;
    use std::os::unix::fs::symlink;

    const BYTES: &[u8] = b"the right bytes";
    const NAME: &str = "demo-1.0-py3-none-any.whl";

    /// A store's folder with one blob.
    fn store() -> (tempfile::TempDir, Blobs, Blake3) {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Blobs::new(dir.path());
        std::fs::create_dir(dir.path().join("locks")).unwrap();
        let blob = put(&blobs, BYTES);
        (dir, blobs, blob)
    }

    fn put(blobs: &Blobs, bytes: &[u8]) -> Blake3 {
        let blob = Digests::of(bytes).blake3;
        std::fs::create_dir_all(fs::parent(&blobs.path(&blob))).unwrap();
        std::fs::write(blobs.path(&blob), bytes).unwrap();
        blob
    }

    /// Other bytes whose digest begins as that of the first blob does.
    fn neighbour(blobs: &Blobs, blob: &Blake3) -> (Blake3, Vec<u8>) {
        let fits = |bytes: &Vec<u8>| Digests::of(bytes).blake3.as_bytes()[0] == blob.as_bytes()[0];
        let bytes = (0..).map(|number: u32| number.to_string().into_bytes()).find(fits).unwrap();
        (put(blobs, &bytes), bytes)
    }

    /// Makes a link as older stores have them.
    fn older(blobs: &Blobs, blob: &Blake3, filename: &str) -> PathBuf {
        let [_, own] = blobs.links().both(blob, filename);
        std::fs::create_dir_all(fs::parent(&own.path)).unwrap();
        symlink(&own.target, &own.path).unwrap();
        own.path
    }

    fn names(blobs: &Blobs) -> Vec<PathBuf> {
        blobs.all_links().unwrap().into_iter().map(|(path, _)| path).collect()
    }

    #[test]
    fn a_path_with_the_filename_leads_to_the_blob_whatever_others_put_there() {
        let (dir, blobs, blob) = store();
        let elsewhere = dir.path().join("elsewhere");
        std::fs::write(&elsewhere, "wrong").unwrap();
        let path = blobs.named(&blob, NAME).unwrap();
        assert_eq!(path.file_name().unwrap(), NAME);
        let put: [&dyn Fn(); 5] = [
            &|| {},
            &|| std::fs::remove_file(&path).unwrap(),
            &|| std::fs::remove_file(&path).and_then(|()| std::fs::write(&path, "wrong")).unwrap(),
            &|| std::fs::remove_file(&path).and_then(|()| symlink(&elsewhere, &path)).unwrap(),
            &|| std::fs::remove_file(&path).and_then(|()| symlink("nowhere", &path)).unwrap(),
        ];
        for put in put {
            put();
            assert_eq!(blobs.named(&blob, NAME).unwrap(), path);
            assert_eq!(std::fs::read(&path).unwrap(), BYTES);
        }
        std::fs::remove_file(blobs.path(&blob)).unwrap();
        assert_eq!(blobs.named(&blob, NAME).unwrap(), path, "a link is right before its blob is there again");
        std::fs::remove_file(&path).and_then(|()| std::fs::create_dir(&path)).unwrap();
        let error = blobs.named(&blob, NAME).unwrap_err();
        assert!(error.source.to_string().contains("nothing of the store's making"), "{error}");
        let shard = fs::parent(&path);
        std::fs::remove_dir_all(shard).unwrap();
        symlink(dir.path(), shard).unwrap();
        let error = blobs.named(&blob, NAME).unwrap_err();
        assert!(error.source.to_string().contains("no folder of the store's"), "{error}");
        assert!(!dir.path().join(NAME).exists());
    }

    #[test]
    fn a_name_that_is_another_blob_s_stays_and_the_second_gets_a_folder() {
        let (_dir, blobs, blob) = store();
        let (other, bytes) = neighbour(&blobs, &blob);
        let (first, second) = (blobs.named(&blob, NAME).unwrap(), blobs.named(&other, NAME).unwrap());
        assert_eq!(fs::parent(&second), fs::parent(&first).join(other.to_string()));
        // Also when its blob is away for a while.
        std::fs::rename(blobs.path(&blob), blobs.root.join("away")).unwrap();
        for _ in 0..2 {
            assert_eq!(blobs.named(&other, NAME).unwrap(), second);
        }
        std::fs::rename(blobs.root.join("away"), blobs.path(&blob)).unwrap();
        assert_eq!(blobs.named(&blob, NAME).unwrap(), first);
        assert_eq!((std::fs::read(&first).unwrap(), std::fs::read(&second).unwrap()), (BYTES.to_vec(), bytes));
        // A link of the folder's kind that leads to the other one is damage, and is mended.
        std::fs::remove_file(&second).unwrap();
        symlink(std::fs::read_link(&first).unwrap(), &second).unwrap();
        assert_eq!(blobs.named(&other, NAME).unwrap(), second);
        assert_ne!(std::fs::read(&second).unwrap(), BYTES);
        // So is one to a blob of other digits, which never was there.
        let stranger = (0..)
            .map(|number: u8| Digests::of(&[number]).blake3)
            .find(|other| other.as_bytes()[0] != blob.as_bytes()[0]);
        let [link, _] = blobs.links().both(&stranger.unwrap(), NAME);
        std::fs::remove_file(&first).and_then(|()| symlink(&link.target, &first)).unwrap();
        assert_eq!(blobs.named(&blob, NAME).unwrap(), first);
        let linked = blobs.linked_filenames().unwrap();
        assert_eq!((&linked[&blob], &linked[&other]), (&vec![NAME.to_owned()], &vec![NAME.to_owned()]));
    }

    #[test]
    fn an_older_store_s_paths_stay() {
        let (_dir, blobs, blob) = store();
        let path = older(&blobs, &blob, NAME);
        let links = blobs.links();
        assert_eq!(links.standing(&blob, NAME, |_| true), Some(path.clone()));
        assert_eq!(links.path(&blob, NAME).unwrap(), path);
        assert_eq!(names(&blobs), [fs::parent(&path)]);
        let new = blobs.named(&blob, "other-1.0-py3-none-any.whl").unwrap();
        assert_eq!(fs::parent(&new), fs::parent(fs::parent(&path)), "a new link needs no folder");
        assert_eq!(blobs.linked_filenames().unwrap()[&blob].len(), 2);
    }

    #[test]
    fn only_a_link_to_the_recorded_file_stands() {
        let (dir, blobs, blob) = store();
        let inode = Signature::of(&blobs.stat(&blob).unwrap().unwrap()).inode;
        let stands = || blobs.links().standing(&blob, NAME, |found| found.inode == inode);
        assert_eq!(stands(), None);
        let path = blobs.named(&blob, NAME).unwrap();
        assert_eq!(stands(), Some(path.clone()));
        std::fs::remove_file(&path).unwrap();
        std::fs::write(dir.path().join("wrong"), BYTES).unwrap();
        symlink(dir.path().join("wrong"), &path).unwrap();
        assert_eq!(stands(), None);
        std::fs::remove_file(&path).and_then(|()| std::fs::create_dir(&path)).unwrap();
        assert_eq!(blobs.links().standing(&blob, NAME, |_| true), None);
    }

    #[test]
    fn links_of_blobs_that_go_are_removed_and_no_others() {
        let (dir, blobs, blob) = store();
        let (other, _) = neighbour(&blobs, &blob);
        let reap = blobs.reap().unwrap();
        let going =
            |filenames: Option<&str>| [Going { blake3: blob, filenames: filenames.map(|name| vec![name.to_owned()]) }];
        assert!(blobs.remove_links(&reap, &going(None)).unwrap().is_empty(), "there are none");
        for filenames in [Some(NAME), None] {
            let first = blobs.named(&blob, NAME).unwrap();
            older(&blobs, &blob, NAME);
            let second = blobs.named(&other, NAME).unwrap();
            std::fs::write(fs::parent(&first).join("README"), "").unwrap();
            assert!(blobs.remove_links(&reap, &going(filenames)).unwrap().is_empty());
            assert_eq!(names(&blobs), [second.parent().unwrap().to_owned(), fs::parent(&first).join("README")]);
        }
        let unnamed = blobs.named(&blob, "unknown-1.0-py3-none-any.whl").unwrap();
        assert!(blobs.remove_links(&reap, &going(None)).unwrap().is_empty());
        assert!(!unnamed.is_symlink(), "without filenames its words tell whose link it is");
        let shard = fs::parent(&unnamed);
        std::fs::rename(shard, dir.path().join("elsewhere")).unwrap();
        symlink("../elsewhere", shard).unwrap();
        let [kept, _] = blobs.links().both(&blob, NAME);
        symlink(&kept.target, &kept.path).unwrap();
        assert!(blobs.remove_links(&reap, &going(None)).unwrap().is_empty());
        assert!(kept.path.is_symlink(), "what lies behind a link is nobody's of the store");
    }
}
