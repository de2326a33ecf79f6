//! `compare`: what differs between two wheels, in files or in the store.

use crate::blobs::Blobs;
use crate::catalog::at::RevisionSpec;
use crate::catalog::search::{Filter, required};
use crate::digest::Blake3;
use crate::error::{Error, Result};
use crate::fs;
use crate::keep::health::open_blob;
use crate::requirement::Spec;
use crate::store::Store;
use crate::wheel::compare::{Comparison, compare as compare_wheels};
use crate::words::reason;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

/// Which wheel is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Side {
    /// A file.
    File(PathBuf),
    /// A distribution of the store, maybe of one collection, as it is or was.
    Stored(Option<RevisionSpec>, Spec),
}

impl Side {
    /// Reads a path, a specification, or `COLLECTION:SPEC`. What is there as a file is one, and so is what has a slash.
    pub fn parse(text: &str) -> Result<Self> {
        let path = Path::new(text);
        if text.contains('/') || path.is_file() {
            return Ok(Self::File(path.to_owned()));
        }
        let named = text.split_once(':').filter(|(name, _)| !matches!(*name, "sha256" | "blake3"));
        match named {
            Some((name, spec)) => Ok(Self::Stored(Some(name.parse()?), spec.parse()?)),
            None => Ok(Self::Stored(None, text.parse()?)),
        }
    }

    /// Returns what is looked for in the store, if it is there.
    pub fn filter(&self) -> Option<Filter> {
        let Self::Stored(collection, spec) = self else { return None };
        let collections = collection.iter().cloned().collect();
        Some(Filter { collections, specs: vec![spec.clone()], ..Filter::default() })
    }
}

/// One of the two.
#[derive(Debug, Clone, Serialize)]
pub struct ComparedFile {
    /// Its filename, or its path where it is a file.
    pub name: String,
    /// The digest of its bytes.
    pub blake3: Blake3,
    /// Their number.
    pub size: u64,
}

/// What was compared, and what differs.
#[derive(Debug, Clone, Serialize)]
pub struct CompareReport {
    /// The first.
    pub a: ComparedFile,
    /// The second.
    pub b: ComparedFile,
    /// What differs.
    #[serde(flatten)]
    pub comparison: Comparison,
}

/// Compares two wheels; `open` opens the store, where one of them is there.
pub fn compare(sides: [&Side; 2], open: impl FnOnce() -> Result<Store>) -> Result<CompareReport> {
    let is_stored = sides.iter().any(|side| matches!(side, Side::Stored(..)));
    let store = is_stored.then(open).transpose()?;
    let (file_a, a) = opened(sides[0], store.as_ref())?;
    let (file_b, b) = opened(sides[1], store.as_ref())?;
    let comparison = compare_wheels(&file_a, &file_b, a.blake3 == b.blake3);
    let comparison = comparison.map_err(|error| {
        let names = if a.name == b.name { a.name.clone() } else { format!("{} and {}", a.name, b.name) };
        Error::Refused(format!("{names} can't be compared as wheels: {}", reason(&error)))
    })?;
    Ok(CompareReport { a, b, comparison })
}

fn opened(side: &Side, store: Option<&Store>) -> Result<(File, ComparedFile)> {
    match (side, store) {
        (Side::File(path), _) => {
            let file = fs::open(path)?;
            // A device would be read without end.
            if !file.metadata().map_err(fs::Error::at("look at", path))?.is_file() {
                return Err(Error::Refused(format!("{} is no file", path.display())));
            }
            let (blake3, size) = Blobs::hash_open(&file, path)?;
            Ok((file, ComparedFile { name: path.display().to_string(), blake3, size }))
        }
        (Side::Stored(_, spec), Some(store)) => stored(store, &side.filter().unwrap_or_default(), spec),
        (Side::Stored(_, spec), None) => Err(Error::NoMatch(spec.to_string())),
    }
}

fn stored(store: &Store, filter: &Filter, spec: &Spec) -> Result<(File, ComparedFile)> {
    let found = required(&store.manifest, filter)?;
    let blobs: BTreeMap<Blake3, _> = found.into_iter().map(|entry| (entry.blake3, entry)).collect();
    if blobs.len() > 1 {
        let mut names: Vec<String> =
            blobs.values().map(|entry| format!("{}:{}", entry.collection, entry.filename)).collect();
        names.sort();
        let more = names.len().saturating_sub(5);
        names.truncate(5);
        let more = if more > 0 { format!(", and {more} more") } else { String::new() };
        let names = names.join(", ");
        return Err(Error::Refused(format!(
            "{spec} is several files: {names}{more}: name one, as COLLECTION:FILENAME"
        )));
    }
    let (blake3, entry) = blobs.into_iter().next().ok_or_else(|| Error::NoMatch(spec.to_string()))?;
    let Some((file, _)) = open_blob(store, &blake3)? else {
        return Err(Error::Lost(entry.filename));
    };
    Ok((file, ComparedFile { name: entry.filename, blake3, size: entry.size }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_side_is_a_path_a_specification_or_one_in_a_collection() {
        let digest = "0".repeat(64);
        let parsed = |text: &str| Side::parse(text).unwrap();
        assert_eq!(parsed("./demo-1.0-py3-none-any.whl"), Side::File("./demo-1.0-py3-none-any.whl".into()));
        assert!(matches!(parsed("demo==1.0"), Side::Stored(None, Spec::Project { .. })));
        assert!(matches!(parsed(&format!("sha256:{digest}")), Side::Stored(None, Spec::Digest(_))));
        let in_one = parsed("cuda:demo-1.0-py3-none-any.whl");
        assert!(matches!(in_one, Side::Stored(Some(name), Spec::Filename(_)) if name.to_string() == "cuda"));
        let in_one = parsed(&format!("cuda:blake3:{digest}"));
        assert!(matches!(in_one, Side::Stored(Some(_), Spec::Digest(_))));
        assert!(Side::parse("").is_err() && Side::parse("no name!:demo").is_err() && Side::parse("cuda:").is_err());
    }
}
