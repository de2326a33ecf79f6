//! What a webhook is told of a revision: which versions of which projects came, went, were replaced or marked otherwise.

use crate::catalog::at::RevisionSpec;
use crate::error::{Error, Result};
use crate::manifest::{CollectionId, Rows};
use crate::name::{CollectionName, ProjectName};
use crate::ops::collection;
use serde::Serialize;
use std::collections::BTreeMap;

/// So many versions are told of each revision; the rest is counted.
const MOST_VERSIONS: usize = 200;

/// A version with files that changed alike.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Version {
    project: ProjectName,
    version: String,
    /// How many of its files.
    files: usize,
}

/// How many files changed, of all.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(super) struct Totals {
    added: usize,
    removed: usize,
    replaced: usize,
    yanked: usize,
}

/// What a revision changed.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Changes {
    added: Vec<Version>,
    removed: Vec<Version>,
    replaced: Vec<Version>,
    yanked: Vec<Version>,
    /// How many versions more there are.
    more: usize,
    totals: Totals,
    /// Whether all files are known still; if not, nothing is told of them.
    is_whole: bool,
}

/// The whole document.
#[derive(Debug, Serialize)]
pub(super) struct Document<'a> {
    pub(super) schema: &'static str,
    /// `revision` or `test`.
    pub(super) event: &'static str,
    pub(super) collection: &'a CollectionName,
    pub(super) revision: i64,
    pub(super) previous: i64,
    /// When, in seconds since 1970.
    pub(super) at: i64,
    pub(super) by: &'a str,
    /// The operation: `import`, `gc`, …
    pub(super) kind: &'a str,
    #[serde(flatten)]
    pub(super) changes: &'a Changes,
    /// The page that compares the two, below the server's URL.
    pub(super) path: String,
    /// The same as a URL, where the server's is known.
    pub(super) url: Option<String>,
}

impl Changes {
    /// Reads what a revision changed.
    pub(super) fn read(rows: &Rows, name: &CollectionName, revision: i64) -> Result<Self> {
        let at = |number: i64| RevisionSpec { collection: name.clone(), revision: Some(number.to_string()) };
        let diff = match collection::compare_revisions(rows, &at(revision - 1), &at(revision)) {
            Ok(diff) => diff,
            Err(Error::NoRevision { .. }) => return Ok(Self::default()),
            Err(error) => return Err(error),
        };
        let mut versions: BTreeMap<(&str, &ProjectName, &str), usize> = BTreeMap::new();
        for file in &diff.changes {
            *versions.entry((file.change, &file.project, &file.version)).or_default() += 1;
        }
        let totals = &diff.totals;
        let (added, removed, replaced) = (totals.added, totals.removed, totals.replaced);
        let totals = Totals { added, removed, replaced, yanked: totals.yanked };
        let more = versions.len().saturating_sub(MOST_VERSIONS);
        let mut changes = Self { more, totals, is_whole: true, ..Self::default() };
        for ((change, project, version), files) in versions.into_iter().take(MOST_VERSIONS) {
            let list = match change {
                "added" => &mut changes.added,
                "removed" => &mut changes.removed,
                "replaced" => &mut changes.replaced,
                _ => &mut changes.yanked,
            };
            list.push(Version { project: project.clone(), version: version.to_owned(), files });
        }
        Ok(changes)
    }

    /// Tells whether any of these changes is among them. What isn't known any more may have been.
    pub(super) fn count_for(&self, events: &[String]) -> bool {
        let Totals { added, removed, replaced, yanked } = self.totals;
        let counts = [("added", added), ("removed", removed), ("replaced", replaced), ("yanked", yanked)];
        let has = |event: &String| counts.iter().any(|(name, count)| event == name && *count > 0);
        events.is_empty() || !self.is_whole || events.iter().any(has)
    }
}

/// Returns the document about a revision; `None`: its webhook is not told of such.
pub(super) fn of_revision(
    rows: &Rows,
    (id, name): (CollectionId, &CollectionName),
    revision: i64,
    events: &[String],
    base_url: Option<&str>,
) -> Result<Option<Vec<u8>>> {
    let changes = Changes::read(rows, name, revision)?;
    if !changes.count_for(events) {
        return Ok(None);
    }
    let row = rows.revision_row(id, revision)?.map(|row| row.revision);
    let previous = revision - 1;
    let path = format!("{name}@{previous}...{revision}/");
    let document = Document {
        schema: "wcas.webhook/1",
        event: "revision",
        collection: name,
        revision,
        previous,
        at: row.as_ref().map_or(0, |row| row.at),
        by: row.as_ref().map_or("", |row| &row.who),
        kind: row.as_ref().map_or("", |row| &row.kind),
        changes: &changes,
        url: base_url.map(|base| format!("{}/{path}", base.trim_end_matches('/'))),
        path,
    };
    bytes(&document).map(Some)
}

/// Returns the document of a test.
pub(super) fn of_test(name: &CollectionName, revision: i64, now: i64, who: &str) -> Result<Vec<u8>> {
    let changes = Changes { is_whole: true, ..Changes::default() };
    bytes(&Document {
        schema: "wcas.webhook/1",
        event: "test",
        collection: name,
        revision,
        previous: revision,
        at: now,
        by: who,
        kind: "test",
        changes: &changes,
        path: format!("{name}/"),
        url: None,
    })
}

fn bytes(document: &Document<'_>) -> Result<Vec<u8>> {
    serde_json::to_vec(document).map_err(|error| Error::Refused(error.to_string()))
}
