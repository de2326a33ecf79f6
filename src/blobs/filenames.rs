//! The filenames of blobs, beside them: `filenames/list`, a line for each: the digest, a space, the filename.
//!
//! What a file is called is in no byte of it (build tags, tags in their order), and the manifest may be lost. Lines are appended
//! before the manifest has the filename, so that it lacks none; one whose blob is gone says nothing.

use super::Blobs;
use crate::digest::Blake3;
use crate::fs::{self, Lock, Result};
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::path::PathBuf;

/// The list may have so many lines more than are needed before it is written anew.
const SPARE_LINES: usize = 1000;
/// A list is not longer: ten million lines.
const MAX_BYTES: u64 = 2 << 30;

impl Blobs {
    fn filename_list(&self) -> PathBuf {
        self.filenames.join("list")
    }

    /// Notes filenames, durably.
    pub fn note_filenames(&self, names: &[(Blake3, &str)]) -> Result<()> {
        if names.is_empty() {
            return Ok(());
        }
        let _lock = Lock::exclusive(&self.filenames_lock)?;
        let path = self.filename_list();
        let is_new = fs::create_dir(&self.filenames)?;
        // A line that a power cut tore must not take the next one with it.
        let lines: String = names.iter().map(|(blake3, name)| format!("\n{blake3} {name}")).collect();
        let file = fs::open_to_append(&path)?;
        fs::append(&file, &path, (lines + "\n").as_bytes())?;
        fs::sync_file(&path)?;
        if is_new {
            fs::sync_dir(&self.filenames)?;
            fs::sync_dir(fs::parent(&self.filenames))?;
        }
        Ok(())
    }

    /// Returns the filenames that were noted, by blob.
    pub fn noted_filenames(&self) -> Result<HashMap<Blake3, Vec<String>>> {
        let path = self.filename_list();
        let mut noted: HashMap<Blake3, Vec<String>> = HashMap::new();
        if fs::entry(&path)?.is_none() {
            return Ok(noted);
        }
        let text = String::from_utf8_lossy(&fs::read_own(&path, MAX_BYTES)?).into_owned();
        for (digest, name) in text.lines().filter_map(|line| line.split_once(' ')) {
            let Ok(blake3) = digest.parse() else { continue };
            let names = noted.entry(blake3).or_default();
            if !names.iter().any(|known| known == name) {
                names.push(name.to_owned());
            }
        }
        Ok(noted)
    }

    /// Makes the list whole: it gets what it lacks of `wanted`, and loses what is of no use. Returns how many lines it lacked.
    pub fn mend_filenames(&self, wanted: &[(Blake3, String)]) -> Result<usize> {
        let _lock = Lock::exclusive(&self.filenames_lock)?;
        let noted = self.noted_filenames()?;
        let has = |blake3: &Blake3, name: &String| noted.get(blake3).is_some_and(|names| names.contains(name));
        let lacking: Vec<_> = wanted.iter().filter(|(blake3, name)| !has(blake3, name)).collect();
        let lines: usize = noted.values().map(Vec::len).sum();
        if lacking.is_empty() && lines <= wanted.len() * 2 + SPARE_LINES {
            return Ok(0);
        }
        let known: HashSet<(&Blake3, &str)> = wanted.iter().map(|(blake3, name)| (blake3, name.as_str())).collect();
        let mut text = String::new();
        let mut shards: HashMap<u8, HashSet<OsString>> = HashMap::new();
        for (blake3, names) in &noted {
            for name in names {
                // An import notes a filename before the manifest has it. One list of a shard is cheaper than a look at each blob.
                let is_wanted = known.contains(&(blake3, name.as_str())) || {
                    let path = self.path(blake3);
                    let there = match shards.entry(blake3.as_bytes()[0]) {
                        Entry::Occupied(shard) => shard.into_mut(),
                        Entry::Vacant(shard) => shard.insert(fs::names(fs::parent(&path))?.into_iter().collect()),
                    };
                    path.file_name().is_some_and(|name| there.contains(name))
                };
                if is_wanted {
                    text += &format!("{blake3} {name}\n");
                }
            }
        }
        lacking.iter().for_each(|(blake3, name)| text += &format!("{blake3} {name}\n"));
        fs::create_dir(&self.filenames)?;
        fs::write_durable(&self.filename_list(), text.as_bytes())?;
        Ok(lacking.len())
    }
}
