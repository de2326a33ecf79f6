//! Which files there are in a watched folder, and in the folders in it.
//!
//! A folder is read again when its modification time has moved, and for a while after: a change within one tick of the filesystem's
//! clock doesn't move it. Names that begin with a dot are somebody's work in progress.

use super::sight::Sights;
use crate::fs::Signature;
use crate::intake::Refused;
use crate::wheel::{DistributionFilename, Kind};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// So long after a folder changed it is read at every look; some filesystems count in steps of two seconds.
const TICK: Duration = Duration::from_millis(2500);

/// What the files in a folder are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// Distributions.
    Plain,
    /// Wheels that fromager fetched as they are.
    Prebuilt,
    /// What fromager is making: a wheel is done there when it has its build tag.
    Build,
    /// What somebody put beside fromager's links.
    Simple,
}

/// The folders of a `wheels-repo`. `simple` has links to the others' files, which are passed over, and whatever somebody put there:
/// fromager's own server gives that.
const WHEELS_REPO: [(&str, Part); 4] =
    [("downloads", Part::Plain), ("prebuilt", Part::Prebuilt), ("build", Part::Build), ("simple", Part::Simple)];

/// A folder as it was last read.
#[derive(Debug, Default)]
struct Folder {
    signature: Option<Signature>,
    /// It is read at every look until then.
    until: Option<Instant>,
    files: BTreeSet<PathBuf>,
    folders: Vec<(PathBuf, Part)>,
    /// It can't be read, which was told.
    is_told: bool,
}

/// A watched folder, with those in it.
#[derive(Debug)]
pub(super) struct Folders {
    root: PathBuf,
    /// The store, which is left out.
    except: PathBuf,
    folders: BTreeMap<PathBuf, Folder>,
}

impl Folders {
    /// Takes a folder's real path, and the store's.
    pub(super) fn new(root: PathBuf, except: PathBuf) -> Self {
        Self { root, except, folders: BTreeMap::new() }
    }

    /// Looks what has come and gone. Returns the folders that can't be read, each once.
    pub(super) fn find_changes(&mut self, sights: &mut Sights, at: Instant) -> Vec<Refused> {
        let mut problems = Vec::new();
        let mut known = std::mem::take(&mut self.folders);
        let mut queue = vec![(self.root.clone(), Part::Plain)];
        while let Some((path, part)) = queue.pop() {
            let mut folder = known.remove(&path).unwrap_or_default();
            if let Err(error) = folder.read(&path, part, &self.except, sights, at) {
                // The folder that it was in tells of one that is gone, when it is read next.
                let is_gone = error.kind() == io::ErrorKind::NotFound && path != self.root;
                if !is_gone && !folder.is_told {
                    problems.push(Refused { path: path.clone(), reason: format!("the folder can't be read: {error}") });
                }
                folder.files.iter().for_each(|file| sights.vanish(file));
                folder = Folder { is_told: true, ..Folder::default() };
            }
            queue.extend(folder.folders.iter().cloned());
            self.folders.insert(path, folder);
        }
        for path in known.values().flat_map(|folder| &folder.files) {
            sights.vanish(path);
        }
        problems
    }
}

impl Folder {
    /// Reads a folder, if it may have changed.
    fn read(&mut self, path: &Path, part: Part, except: &Path, sights: &mut Sights, at: Instant) -> io::Result<()> {
        let signature = Signature::of(&std::fs::metadata(path)?);
        if self.signature != Some(signature) {
            self.until = Some(at + TICK);
        }
        if self.until.is_none_or(|until| at > until) {
            self.until = None;
            return Ok(());
        }
        let (mut files, mut folders) = (BTreeSet::new(), Vec::new());
        for entry in std::fs::read_dir(path)? {
            let entry = entry?;
            let (name, path) = (entry.file_name(), entry.path());
            // What isn't UTF-8 is no distribution's name, and no folder of one that anybody makes.
            let Some(name) = name.to_str().filter(|name| !name.starts_with('.')) else { continue };
            if entry.file_type()?.is_dir() {
                folders.push((path, part));
            } else if is_wanted(name, part) && !(part == Part::Simple && entry.file_type()?.is_symlink()) {
                files.insert(path);
            }
        }
        folders.retain(|(path, _)| path != except);
        if let Some(parts) = wheels_repo(&folders) {
            folders = parts;
        }
        for gone in self.files.difference(&files) {
            sights.vanish(gone);
        }
        for path in &files {
            sights.appear(path.clone(), part, at);
        }
        (self.signature, self.files, self.folders, self.is_told) = (Some(signature), files, folders, false);
        Ok(())
    }
}

/// Tells whether a name is that of a distribution, or of what should be one.
fn is_wanted(name: &str, part: Part) -> bool {
    let lower = name.to_ascii_lowercase();
    let parsed = || DistributionFilename::parse(name);
    match part {
        // What the backend makes lies there for as long as fromager packs it again, under a name with a build tag.
        Part::Build => lower.ends_with(".whl") && parsed().is_ok_and(|name| name.build_tag().is_some()),
        Part::Plain | Part::Prebuilt | Part::Simple if lower.ends_with(".whl") => true,
        Part::Plain | Part::Prebuilt | Part::Simple => Kind::meant_by(name) == Some(Kind::Sdist) && parsed().is_ok(),
    }
}

/// Returns the parts of a folder that is a `wheels-repo` of fromager, which makes all of them at its start.
fn wheels_repo(folders: &[(PathBuf, Part)]) -> Option<Vec<(PathBuf, Part)>> {
    let find = |name: &str| folders.iter().map(|(path, _)| path).find(|path| path.ends_with(name)).cloned();
    let is_one = find("downloads").is_some() && ["prebuilt", "build", "simple"].iter().any(|name| find(name).is_some());
    is_one.then(|| WHEELS_REPO.iter().filter_map(|(name, part)| Some((find(name)?, *part))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn seen(sights: &Sights, root: &Path) -> Vec<String> {
        sights.iter().map(|(path, _)| path.strip_prefix(root).unwrap().display().to_string()).collect()
    }

    #[test]
    fn distributions_come_and_go_with_their_folders() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let (mut folders, mut sights) = (Folders::new(root.clone(), root.join("store")), Sights::default());
        let put = |name: &str| {
            fs::create_dir_all(root.join(name).parent().unwrap()).unwrap();
            fs::write(root.join(name), "").unwrap();
        };
        for name in
            ["a-1-py3-none-any.whl", "in/er/a-1.tar.gz", "in/er/notes.zip", ".a-1-py3-none-any.whl", "store/b-1.tar.gz"]
        {
            put(name);
        }
        let mut at = Instant::now();
        let mut look = |sights: &mut Sights, later: Duration| {
            at += later;
            assert!(folders.find_changes(sights, at).is_empty());
            seen(sights, &root)
        };
        assert_eq!(look(&mut sights, Duration::ZERO), ["a-1-py3-none-any.whl", "in/er/a-1.tar.gz"]);
        put("in/er/a-2.tar.gz");
        assert_eq!(look(&mut sights, TICK * 2).len(), 3, "the time of the folder moved");
        fs::remove_dir_all(root.join("in")).unwrap();
        assert_eq!(look(&mut sights, TICK * 2), ["a-1-py3-none-any.whl"]);
    }

    #[test]
    fn of_a_wheels_repo_only_what_is_done_counts() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let wheels = [
            "downloads/a-1-0-py3-none-any.whl",
            "downloads/a-1-py3-none-any.whl",
            "prebuilt/b-1-py3-none-any.whl",
            "build/c-1-py3-none-any.whl",
            "build/w1/d-1-2-py3-none-any.whl",
            "simple/a/e-1-py3-none-any.whl",
        ];
        for name in wheels {
            fs::create_dir_all(root.join(name).parent().unwrap()).unwrap();
            fs::write(root.join(name), "").unwrap();
        }
        std::os::unix::fs::symlink("../../downloads/a-1-py3-none-any.whl", root.join("simple/a/a-1-py3-none-any.whl"))
            .unwrap();
        let (mut folders, mut sights) = (Folders::new(root.clone(), root.join("store")), Sights::default());
        assert!(folders.find_changes(&mut sights, Instant::now()).is_empty());
        assert_eq!(seen(&sights, &root), [wheels[4], wheels[0], wheels[1], wheels[2], wheels[5]]);
    }

    #[test]
    fn a_folder_that_cannot_be_read_is_told_once_until_it_can() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap().join("in");
        let (mut folders, mut sights) = (Folders::new(root.clone(), "store".into()), Sights::default());
        let at = Instant::now();
        assert_eq!(folders.find_changes(&mut sights, at).len(), 1);
        assert_eq!(folders.find_changes(&mut sights, at).len(), 0);
        fs::create_dir(&root).unwrap();
        fs::write(root.join("a-1-py3-none-any.whl"), "").unwrap();
        assert_eq!((folders.find_changes(&mut sights, at).len(), seen(&sights, &root).len()), (0, 1));
        fs::remove_dir_all(&root).unwrap();
        assert_eq!(folders.find_changes(&mut sights, at).len(), 1);
    }
}
