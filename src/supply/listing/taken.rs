//! The filenames that nearer ones have: nobody farther away lists them again.

use crate::digest::Sha256;
use crate::index::read::ListedFile;
use crate::manifest::{Entry, State};
use std::collections::{HashMap, HashSet};

/// Filenames that are taken.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    names: HashSet<String>,
    /// Files whose bytes are lost, and the yank that they have: who offers the same bytes gives them back.
    lost: HashMap<String, (Sha256, Option<String>)>,
}

impl Taken {
    /// Takes the name of a collection's own file.
    pub(crate) fn take(&mut self, entry: &Entry) {
        if self.names.insert(entry.filename.clone()) && entry.state != State::Live {
            self.lost.insert(entry.filename.clone(), (entry.sha256, entry.yanked.clone()));
        }
    }

    /// Tells whether no file of the store has a name.
    pub(crate) fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Tells whether a remote's file may be listed: its name is free, or what has it lost the very bytes that it offers. Those keep
    /// the yank that they have here.
    pub(crate) fn admits(&self, file: &mut ListedFile) -> bool {
        let name = file.name.as_str();
        match self.lost.get(name) {
            Some((sha256, yanked)) => {
                file.yanked = yanked.clone().or_else(|| file.yanked.take());
                file.sha256 == Some(*sha256)
            }
            None => !self.names.contains(name),
        }
    }

    /// Takes the name of a remote's file, if that may be listed.
    pub(crate) fn take_offered(&mut self, file: &mut ListedFile) -> bool {
        let is_admitted = self.admits(file);
        if is_admitted {
            self.lost.remove(file.name.as_str());
            self.names.insert(file.name.as_str().to_owned());
        }
        is_admitted
    }
}
