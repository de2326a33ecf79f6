//! A file that a flat tree shall have: what it is, and how it is made.

use super::WRITTEN;
use crate::digest::{Blake3, Digests};
use crate::fs;
use crate::view::mark::Made;
use crate::view::{LinkMaker, Result};
use std::path::{Path, PathBuf};

/// A file that the folder shall have.
#[derive(Debug)]
pub struct FlatFile<'a> {
    /// Its name.
    pub filename: &'a str,
    /// What it is.
    pub source: Source<'a>,
}

/// What is in a file.
#[derive(Debug)]
pub enum Source<'a> {
    /// A blob of the store.
    Blob {
        /// Where it is.
        path: PathBuf,
        /// Its digest.
        blake3: Blake3,
        /// How often its bytes were found bad.
        epoch: i64,
    },
    /// These bytes.
    Bytes(&'a [u8]),
}

impl FlatFile<'_> {
    pub(super) fn blake3(&self) -> (Blake3, i64) {
        match &self.source {
            Source::Blob { blake3, epoch, .. } => (*blake3, *epoch),
            Source::Bytes(bytes) => (Digests::of(bytes).blake3, 0),
        }
    }

    fn kind(&self, links: &LinkMaker) -> &'static str {
        match self.source {
            Source::Blob { .. } => links.kind(),
            Source::Bytes(_) => WRITTEN,
        }
    }

    pub(super) fn target(&self, links: &LinkMaker) -> Option<PathBuf> {
        match &self.source {
            Source::Blob { path, .. } => links.target(path),
            Source::Bytes(_) => None,
        }
    }

    /// Tells whether a file that was made is as this one shall be.
    pub(super) fn is(&self, made: &Made, links: &LinkMaker) -> bool {
        match made {
            Made::Link { link } => self.target(links).as_ref() == Some(link),
            Made::File { blake3, epoch, kind, .. } => {
                let (wanted, bad) = self.blake3();
                *blake3 == wanted.to_string() && *epoch == bad && kind == self.kind(links)
            }
        }
    }

    pub(super) fn make(&self, path: &Path, links: &LinkMaker) -> Result<Made> {
        match &self.source {
            Source::Blob { path: blob, .. } => links.link(blob, path)?,
            Source::Bytes(bytes) => fs::write_new(path, bytes)?,
        }
        let (blake3, epoch) = self.blake3();
        Made::at(path, &blake3, epoch, self.kind(links))
    }
}
