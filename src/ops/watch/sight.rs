//! What is known of each file: its stat, since when that stands still, and how far the file has come.

use super::folders::Part;
use crate::fs::Signature;
use crate::intake::Refused;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A file that stood still for so long may be whole.
const STILL: Duration = Duration::from_millis(600);
/// A file that stood still for so long and isn't whole is told of: whoever wrote it has probably given up.
const PATIENCE: Duration = Duration::from_secs(10);
/// So many files that were taken are looked at again each time: a look costs the same however many there are, and with four looks a
/// second an edit among 10 000 files is seen within one.
const SLICE: usize = 2500;

/// How far a file has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stage {
    /// It is to be imported when it stood still.
    New,
    /// It isn't whole, for this reason: it is left until it changes.
    Incomplete(String),
    /// It was imported, refused, told of or passed over: nothing is left to do until it changes.
    Done,
}

/// A file.
#[derive(Debug)]
pub(super) struct FileSight {
    pub(super) signature: Signature,
    /// When its stat was first seen as it is.
    since: Instant,
    pub(super) stage: Stage,
    pub(super) part: Part,
}

impl FileSight {
    fn new(signature: Signature, part: Part, at: Instant) -> Self {
        Self { signature, since: at, stage: Stage::New, part }
    }

    fn stood_still(&self, time: Duration, at: Instant) -> bool {
        at.saturating_duration_since(self.since) >= time
    }
}

/// All files that are watched.
#[derive(Debug, Default)]
pub(super) struct Sights {
    files: BTreeMap<PathBuf, FileSight>,
    /// Where the last slice ended.
    cursor: Option<PathBuf>,
}

impl Sights {
    /// Takes a file in, if it isn't known and is a regular one.
    pub(super) fn appear(&mut self, path: PathBuf, part: Part, at: Instant) {
        if !self.files.contains_key(&path)
            && let Some(signature) = stat(&path)
        {
            self.files.insert(path, FileSight::new(signature, part, at));
        }
    }

    /// Forgets a file.
    pub(super) fn vanish(&mut self, path: &Path) {
        self.files.remove(path);
    }

    pub(super) fn get(&self, path: &Path) -> Option<&FileSight> {
        self.files.get(path)
    }

    pub(super) fn get_mut(&mut self, path: &Path) -> Option<&mut FileSight> {
        self.files.get_mut(path)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Path, &FileSight)> {
        self.files.iter().map(|(path, sight)| (path.as_path(), sight))
    }

    /// Looks at all files that are on their way, and at a slice of the others.
    pub(super) fn refresh(&mut self, at: Instant) {
        let from = self.cursor.take().map_or(Bound::Unbounded, Bound::Excluded);
        let mut due: Vec<PathBuf> =
            self.files.range((from, Bound::Unbounded)).take(SLICE).map(|(path, _)| path.clone()).collect();
        if due.len() == SLICE {
            self.cursor = due.last().cloned();
        }
        due.extend(self.files.iter().filter(|(_, sight)| sight.stage != Stage::Done).map(|(path, _)| path.clone()));
        for path in due {
            match stat(&path) {
                Some(found) => self.observe(&path, found, at),
                None => self.vanish(&path),
            }
        }
    }

    /// Compares a file's stat with the known one: what changed is new again.
    fn observe(&mut self, path: &Path, found: Signature, at: Instant) {
        if let Some(sight) = self.files.get_mut(path)
            && sight.signature != found
        {
            *sight = FileSight::new(found, sight.part, at);
        }
    }

    /// Returns the files that are to be imported and stood still.
    pub(super) fn ready(&self, at: Instant) -> Vec<PathBuf> {
        let is_ready = |sight: &FileSight| sight.stage == Stage::New && sight.stood_still(STILL, at);
        self.files.iter().filter(|(_, sight)| is_ready(sight)).map(|(path, _)| path.clone()).collect()
    }

    /// Returns the files that aren't whole and don't change any more: each once.
    pub(super) fn incomplete(&mut self, at: Instant) -> Vec<Refused> {
        let mut told = Vec::new();
        for (path, sight) in &mut self.files {
            if let Stage::Incomplete(reason) = &sight.stage
                && sight.stood_still(PATIENCE, at)
            {
                let reason = format!("it isn't whole, and is left until it changes: {reason}");
                told.push(Refused { path: path.clone(), reason });
                sight.stage = Stage::Done;
            }
        }
        told
    }
}

/// Returns the stat of a regular file; a symlink leads to one.
fn stat(path: &Path) -> Option<Signature> {
    std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file).map(|metadata| Signature::of(&metadata))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signature(size: u64) -> Signature {
        Signature { device: 1, inode: 1, size, modified_ns: 1, changed_ns: 1 }
    }

    fn sights(count: usize, at: Instant) -> Sights {
        let file =
            |number: usize| (PathBuf::from(format!("{number:05}.whl")), FileSight::new(signature(1), Part::Plain, at));
        Sights { files: (0..count).map(file).collect(), cursor: None }
    }

    #[test]
    fn a_file_is_ready_when_it_stood_still_and_new_again_when_it_changed() {
        let start = Instant::now();
        let mut sights = sights(1, start);
        let path = Path::new("00000.whl");
        assert!(sights.ready(start + STILL / 2).is_empty());
        sights.observe(path, signature(2), start + STILL / 2);
        assert!(sights.ready(start + STILL).is_empty(), "it was still growing");
        sights.observe(path, signature(2), start + STILL);
        assert_eq!(sights.ready(start + STILL / 2 + STILL), [path]);
        sights.get_mut(path).unwrap().stage = Stage::Done;
        assert!(sights.ready(start + PATIENCE).is_empty());
        sights.observe(path, signature(3), start + PATIENCE);
        assert_eq!(sights.ready(start + PATIENCE + STILL), [path]);
    }

    #[test]
    fn what_is_not_whole_is_told_once_when_nobody_writes_any_more() {
        let start = Instant::now();
        let mut sights = sights(1, start);
        let path = Path::new("00000.whl");
        sights.get_mut(path).unwrap().stage = Stage::Incomplete("no end".to_owned());
        assert!(sights.incomplete(start + PATIENCE / 2).is_empty());
        assert_eq!(sights.incomplete(start + PATIENCE).len(), 1);
        assert!(sights.incomplete(start + PATIENCE * 2).is_empty());
        sights.observe(path, signature(2), start + PATIENCE * 2);
        assert_eq!(sights.ready(start + PATIENCE * 2 + STILL), [path], "it may be whole now");
    }

    #[test]
    fn slices_reach_every_file_in_turn() {
        let start = Instant::now();
        let mut sights = sights(2 * SLICE + 1, start);
        sights.files.values_mut().for_each(|sight| sight.stage = Stage::Done);
        for left in [SLICE + 1, 1, 0] {
            sights.refresh(start);
            assert_eq!(sights.files.len(), left, "files that aren't there are forgotten when they are looked at");
        }
    }
}
