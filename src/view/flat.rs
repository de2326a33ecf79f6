//! All files in one folder with one page, as `pip --find-links` and `uv --find-links` read it.
//!
//! The folder itself is the generation: the next one is made beside it and the two names are exchanged in one step.

use super::{Document, Error, FileLink, LinkMaker, Result};
use crate::fs;
use rayon::prelude::*;
use std::path::{Path, PathBuf};

/// Tells a folder that may be replaced from any other.
const MARKER: &str = ".wcas-view";

/// A flat tree on disk.
#[derive(Debug)]
pub struct FlatTree {
    dir: PathBuf,
    exists: bool,
}

impl FlatTree {
    /// Looks at the folder, which may be absent or empty; one with anything else in it than such a tree is refused.
    pub fn open(dir: &Path) -> Result<Self> {
        let foreign = |why: &str| Error::Foreign { path: dir.to_owned(), why: why.to_owned() };
        match fs::entry(dir)? {
            None => return Ok(Self { dir: dir.to_owned(), exists: false }),
            Some(entry) if !entry.is_dir() => return Err(foreign("it is not a folder")),
            Some(_) => {}
        }
        let names = fs::names(dir)?;
        if !names.is_empty() && !names.iter().any(|name| name == MARKER) {
            return Err(foreign("it has other files in it, and this layout replaces the whole folder"));
        }
        Ok(Self { dir: dir.to_owned(), exists: true })
    }

    /// Tells whether readers see anything.
    pub fn is_shown(&self) -> bool {
        self.exists
    }

    fn beside(&self) -> PathBuf {
        let name = self.dir.file_name().unwrap_or_default().to_string_lossy();
        fs::parent(&self.dir).join(format!(".{name}.wcas-next"))
    }

    /// Removes what a run that was killed left beside the tree.
    pub fn sweep(&self) -> Result<()> {
        Ok(fs::remove_tree(&self.beside())?)
    }

    /// Returns the folder in which files are linked.
    pub fn links_dir(&self) -> &Path {
        // The next generation lies beside the current one: relative links are the same from both.
        &self.dir
    }

    /// Makes the tree anew and shows it, durably, by one exchange of names.
    pub fn show(&mut self, files: &[FileLink], documents: &[Document], links: &LinkMaker, html: &[u8]) -> Result<()> {
        let next = self.beside();
        fs::create_dir(&next)?;
        files.par_iter().try_for_each(|file| links.link(&file.blob, &next.join(&file.filename)))?;
        for document in documents {
            fs::write_new(&next.join(&document.filename), &document.bytes)?;
        }
        fs::write_new(&next.join(MARKER), b"made by wcas; replaced as a whole\n")?;
        fs::write_new(&next.join("index.html"), html)?;
        fs::sync_filesystem(&next)?;
        if self.exists {
            fs::exchange(&next, &self.dir)?;
        } else {
            fs::rename(&next, &self.dir)?;
        }
        fs::sync_dir(fs::parent(&self.dir))?;
        self.exists = true;
        self.sweep()
    }

    /// Removes the tree.
    pub fn remove(&self) -> Result<()> {
        self.sweep()?;
        if self.exists {
            // Out of sight in one step first: a tree that is half removed may have lost its mark, and would be refused.
            fs::rename(&self.dir, &self.beside())?;
        }
        self.sweep()
    }
}
