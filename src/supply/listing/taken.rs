//! The filenames that nearer ones have: nobody farther away lists them again.

use crate::digest::Sha256;
use crate::index::read::ListedFile;
use crate::manifest::Entry;
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
        if self.names.insert(entry.filename.clone()) && !entry.state.is_available() {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::merge::tests::entry;
    use crate::index::read::Signed;
    use crate::manifest::State;
    use crate::wheel::DistributionFilename;

    const OURS: Sha256 = Sha256::from_bytes([0; 32]);
    const OTHER: Sha256 = Sha256::from_bytes([1; 32]);

    fn file(version: &str, sha256: Sha256) -> ListedFile {
        let name = format!("demo-{version}-py3-none-any.whl");
        ListedFile {
            url: format!("https://index.example/{name}").parse().unwrap(),
            name: DistributionFilename::parse(&name).unwrap(),
            sha256: Some(sha256),
            digests: Vec::new(),
            size: None,
            requires_python: None,
            yanked: None,
            sidecar: None,
            uploaded_at: None,
            is_first_seen: false,
            provenance: None,
            signed: Signed::Unasked,
        }
    }

    #[test]
    fn a_name_is_taken_once_and_whoever_has_it_farther_away_is_not_listed() {
        let mut taken = Taken::default();
        assert!(taken.is_empty());
        taken.take(&entry("near", "1.0"));
        assert!(!taken.is_empty());
        assert!(!taken.take_offered(&mut file("1.0", OURS)), "not even the same bytes, which are here");
        assert!(!taken.take_offered(&mut file("1.0", OTHER)));
        assert!(taken.take_offered(&mut file("2.0", OTHER)));
        assert!(!taken.take_offered(&mut file("2.0", OTHER)), "a farther remote's");
    }

    #[test]
    fn of_lost_bytes_only_the_very_same_come_back_and_with_the_yank_that_they_have_here() {
        let mut taken = Taken::default();
        let lost = Entry { state: State::Lost, yanked: Some("broken".to_owned()), ..entry("near", "1.0") };
        taken.take(&lost);
        // A farther collection's file of this name is behind it, and changes nothing.
        taken.take(&Entry { sha256: OTHER, ..lost.clone() });
        assert!(!taken.admits(&mut file("1.0", OTHER)));
        let mut offered = file("1.0", OURS);
        assert!(taken.admits(&mut offered) && taken.take_offered(&mut offered));
        assert_eq!(offered.yanked.as_deref(), Some("broken"));
        assert!(!taken.take_offered(&mut file("1.0", OURS)), "it is listed once");
    }
}
