//! What a reader of several collections sees of a project: a pure function, for pages, trees and `why` alike.

use crate::manifest::{Entry, Strategy};
use crate::name::CollectionName;
use serde::Serialize;
use std::collections::HashMap;

/// What became of a file in a merged view.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "fate", rename_all = "lowercase")]
pub enum Fate {
    /// It is listed.
    Listed,
    /// It is listed with the mark of a yank.
    Yanked {
        /// Why it was yanked, maybe empty.
        reason: String,
    },
    /// A nearer collection hides it.
    Shadowed {
        /// That collection.
        by: CollectionName,
    },
    /// It would be listed, but its bytes are lost.
    Lost,
    /// It is no file for this variant, which has, or builds, one of its own.
    Foreign {
        /// Whose it is, and why.
        reason: String,
    },
    /// It would be listed, but isn't to be: its project is in quarantine, or its collection hides variant wheels.
    Withheld {
        /// Why.
        reason: String,
    },
}

impl Fate {
    /// Tells whether it is hidden by another collection, or isn't for the variant; what is lost is not, and hides others.
    pub(crate) fn is_hidden(&self) -> bool {
        matches!(self, Self::Shadowed { .. } | Self::Foreign { .. })
    }

    /// Tells whether it isn't for the variant.
    pub(crate) fn is_foreign(&self) -> bool {
        matches!(self, Self::Foreign { .. })
    }

    /// Tells whether a page has it, once lost bytes are left out.
    pub(crate) fn is_shown(&self) -> bool {
        matches!(self, Self::Listed | Self::Yanked { .. } | Self::Lost)
    }
}

/// Decides what is seen of one project. The entries are in the order of their collections, the nearest first.
///
/// What is yanked or lost still hides what lies farther away: a collection that has a project of its own means it, and a farther
/// one's file is not what was asked for.
pub(crate) fn merge(strategy: Strategy, entries: Vec<Entry>) -> Vec<(Entry, Fate)> {
    let mut owner: Option<CollectionName> = None;
    let mut owners: HashMap<String, CollectionName> = HashMap::new();
    let decide = |entry: Entry| {
        let nearer = match strategy {
            Strategy::Nearest => owner.get_or_insert_with(|| entry.collection.clone()),
            Strategy::Union => owners.entry(entry.filename.clone()).or_insert_with(|| entry.collection.clone()),
        };
        let fate = match &entry.yanked {
            _ if *nearer != entry.collection => Fate::Shadowed { by: nearer.clone() },
            _ if !entry.state.is_available() => Fate::Lost,
            Some(reason) => Fate::Yanked { reason: reason.clone() },
            None => Fate::Listed,
        };
        (entry, fate)
    };
    entries.into_iter().map(decide).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::digest::{Blake3, Sha256};
    use crate::manifest::{BlobId, State};
    use crate::wheel::Kind;

    pub(crate) fn entry(collection: &str, version: &str) -> Entry {
        Entry {
            collection: collection.parse().unwrap(),
            filename: format!("demo-{version}-py3-none-any.whl"),
            kind: Kind::Wheel,
            project: "demo".parse().unwrap(),
            version: version.to_owned(),
            build_tag: None,
            tags: "py3-none-any".to_owned(),
            requires_python: None,
            metadata_sha256: None,
            blob: BlobId::for_test(1),
            blake3: Blake3::from_bytes([0; 32]),
            sha256: Sha256::from_bytes([0; 32]),
            size: 1,
            state: State::Live,
            added: 1,
            removed: None,
            removed_at: None,
            uploaded_at: 0,
            yanked: None,
            used_at: None,
            epoch: 0,
            inode: None,
            modified_ns: None,
            origin: None,
            variant: None,
            is_prebuilt: false,
            source_url: None,
        }
    }

    fn seen(strategy: Strategy, entries: Vec<Entry>) -> Vec<String> {
        let text = |(entry, fate): (Entry, Fate)| match fate {
            Fate::Listed => format!("{} {}", entry.collection, entry.version),
            Fate::Yanked { reason } => format!("{} {} yanked {reason}", entry.collection, entry.version),
            Fate::Shadowed { by } => format!("{} {} behind {by}", entry.collection, entry.version),
            Fate::Lost => format!("{} {} lost", entry.collection, entry.version),
            Fate::Withheld { reason } | Fate::Foreign { reason } => {
                format!("{} {} withheld: {reason}", entry.collection, entry.version)
            }
        };
        merge(strategy, entries).into_iter().map(text).collect()
    }

    #[test]
    fn the_nearest_collection_that_has_a_project_hides_it_in_all_others() {
        let entries = vec![entry("cuda", "1"), entry("cuda", "2"), entry("shared", "1"), entry("base", "3")];
        let expected = ["cuda 1", "cuda 2", "shared 1 behind cuda", "base 3 behind cuda"];
        assert_eq!(seen(Strategy::Nearest, entries), expected);
    }

    #[test]
    fn a_union_lists_files_of_one_version_from_wherever_they_are() {
        let own = entry("cuda", "1");
        let other = Entry { filename: "demo-1-cp312-cp312-linux_x86_64.whl".to_owned(), ..entry("shared", "1") };
        let fates = merge(Strategy::Union, vec![own, other]).into_iter().map(|(_, fate)| fate);
        assert_eq!(fates.collect::<Vec<_>>(), [Fate::Listed, Fate::Listed]);
    }

    #[test]
    fn a_union_lists_all_and_the_nearest_of_one_filename() {
        let entries = vec![entry("cuda", "1"), entry("shared", "1"), entry("shared", "2"), entry("base", "2")];
        let expected = ["cuda 1", "shared 1 behind cuda", "shared 2", "base 2 behind shared"];
        assert_eq!(seen(Strategy::Union, entries), expected);
    }

    #[test]
    fn what_is_yanked_or_lost_hides_what_lies_farther_away() {
        let yanked = Entry { yanked: Some("broken".to_owned()), ..entry("cuda", "1") };
        let lost = Entry { state: State::Lost, ..entry("cuda", "1") };
        for strategy in [Strategy::Nearest, Strategy::Union] {
            let of = |first: &Entry| seen(strategy, vec![first.clone(), entry("shared", "1")]);
            assert_eq!(of(&yanked), ["cuda 1 yanked broken", "shared 1 behind cuda"]);
            assert_eq!(of(&lost), ["cuda 1 lost", "shared 1 behind cuda"]);
        }
    }

    #[test]
    fn one_project_of_no_collection_is_nothing() {
        assert_eq!(seen(Strategy::Nearest, Vec::new()), Vec::<String>::new());
    }

    #[test]
    fn each_fate_says_whether_a_page_has_the_file_and_whether_nobody_looks_at_it() {
        let (by, reason) = ("near".parse().unwrap(), String::new);
        let fates = [
            (Fate::Listed, (true, false, false)),
            (Fate::Yanked { reason: reason() }, (true, false, false)),
            (Fate::Lost, (true, false, false)),
            (Fate::Shadowed { by }, (false, true, false)),
            (Fate::Foreign { reason: reason() }, (false, true, true)),
            (Fate::Withheld { reason: reason() }, (false, false, false)),
        ];
        for (fate, expected) in fates {
            assert_eq!((fate.is_shown(), fate.is_hidden(), fate.is_foreign()), expected, "{fate:?}");
        }
    }
}
