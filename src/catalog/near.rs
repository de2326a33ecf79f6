//! What is near where nothing was found: the versions that there are, the files that were left out and why, other collections that have
//! the project, and names that may have been meant.
//!
//! All of it is bounded: the rows of one project, and probes of an index for names that are a slip away.

use super::at::CollectionAt;
use super::blocks::Blocks;
use super::ownership::Ownership;
use super::rank::is_other_variant;
use super::search::{TagFilter, is_meant, project_entries};
use super::statuses::quarantine_in;
use super::view_contents::Shown;
use super::wish::Wish;
use crate::error::Result;
use crate::manifest::{CollectionId, CollectionRow, Entry, Rows, Scope};
use crate::name::{CollectionName, ProjectName};
use crate::requirement::{DigestSpec, Spec};
use crate::wheel::{DistributionFilename, Target, WheelFilename};
use pep440_rs::Version;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// So many versions, files and collections are told.
const TOLD: usize = 10;
/// So many names are offered.
const OFFERED: usize = 5;
/// So many rows are read of a project in other collections.
const ROWS: u32 = 1000;
/// Of a longer name no slip is looked for: each of its letters is some eighty probes.
const LONGEST: usize = 40;
/// From this length on, two slips are thought of.
const LONG: usize = 8;
/// So many names with the same first letters are compared for that.
const COMPARED: u32 = 10_000;

/// Versions of the project in a collection, the highest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VersionsIn {
    /// The collection.
    pub collection: CollectionName,
    /// The versions, normalised.
    pub versions: Vec<String>,
    /// How many more there are.
    pub more: usize,
}

/// A file that is meant and isn't given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// The collection that has it.
    pub collection: CollectionName,
    /// The filename.
    pub filename: String,
    /// Why it isn't given.
    pub reason: String,
}

/// What is near where nothing was found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Near {
    /// The project that was asked for, where that is known.
    pub project: Option<ProjectName>,
    /// The versions of it in the collections that were searched.
    pub has: Vec<VersionsIn>,
    /// The files that are meant, and weren't given.
    pub left_out: Vec<LeftOut>,
    /// How many more there are.
    pub more_left_out: usize,
    /// The versions of it in other collections.
    pub elsewhere: Vec<VersionsIn>,
    /// How many more collections have it.
    pub more_elsewhere: usize,
    /// Projects of the collections that were searched whose names are a slip away.
    pub similar: Vec<ProjectName>,
}

/// Where something was looked for in vain.
pub(crate) struct Searched<'a> {
    pub(crate) order: &'a [(CollectionRow, Scope)],
    /// Whose the project is, in a variant's order.
    pub(crate) own: Option<&'a Ownership>,
    pub(crate) blocks: &'a Blocks,
}

/// Tells what is near to a wish that nothing met.
pub(crate) fn near(rows: &Rows, searched: &Searched<'_>, wish: &Wish) -> Result<Near> {
    let mut near = Near { project: wish.project(), ..Near::default() };
    if let Spec::Digest(digest) = &wish.spec {
        return of_digest(rows, searched, wish, digest, near);
    }
    let Some(project) = near.project.clone() else { return Ok(near) };
    for (collection, scope) in searched.order {
        let entries = project_entries(rows, collection.id, &project, *scope)?;
        near.look_at(rows, searched, collection, wish, entries)?;
    }
    let is_searched = |name: &CollectionName| searched.order.iter().any(|(row, _)| row.name == *name);
    let mut elsewhere: BTreeMap<CollectionName, Vec<String>> = BTreeMap::new();
    for (collection, version) in rows.project_versions(&project, ROWS)? {
        if !is_searched(&collection) {
            elsewhere.entry(collection).or_default().push(version);
        }
    }
    near.set_elsewhere(elsewhere);
    if near.has.is_empty() {
        let order: Vec<_> = searched.order.iter().map(|(row, scope)| (row.id, *scope)).collect();
        near.similar = similar(rows, &order, &project, Slips::Two)?;
    }
    Ok(near)
}

/// Tells the versions of a project that a view shows, or, where it shows none, projects that it does whose names are one letter away. Nothing
/// else, for anybody may ask: what the view hides or shadows is not told, nor which collections it is made of.
pub(crate) fn in_view(rows: &Rows, name: &CollectionName, shown: &Shown, project: &ProjectName) -> Result<Near> {
    let versions = |project: &ProjectName| -> Result<Vec<String>> {
        let entries = shown.read(rows, Some(project))?.entries.into_iter();
        Ok(entries.filter(|entry| entry.state.is_available()).map(|entry| entry.version).collect())
    };
    let mut near = Near { project: Some(project.clone()), ..Near::default() };
    near.has.extend(versions_in(name, versions(project)?));
    if near.has.is_empty() {
        let is_fixed = matches!(shown, Shown::Collection { at: Some(_), .. });
        let scope = |at: &CollectionAt| if is_fixed { Scope::At(at.revision) } else { Scope::Live };
        let order: Vec<_> = shown.sources(rows)?.into_iter().map(|(id, at)| (id, scope(&at))).collect();
        for other in similar(rows, &order, project, Slips::One)? {
            if !versions(&other)?.is_empty() {
                near.similar.push(other);
            }
        }
    }
    Ok(near)
}

/// Tells where the file of a digest is that the collections don't give.
fn of_digest(rows: &Rows, searched: &Searched<'_>, wish: &Wish, digest: &DigestSpec, mut near: Near) -> Result<Near> {
    let by_blake3 = match digest {
        DigestSpec::Blake3(blake3) => rows.find_blob(blake3)?,
        DigestSpec::Either(bytes) => rows.find_blob(&crate::digest::Blake3::from_bytes(*bytes))?,
        DigestSpec::Sha256(_) => None,
    };
    let found = match (by_blake3, digest.sha256()) {
        (None, Some(sha256)) => rows.find_blob_by_sha256(&sha256)?,
        (found, _) => found,
    };
    let Some(blob) = found else { return Ok(near) };
    let mut live = rows.blob_entries(blob.id)?;
    live.retain(|entry| entry.removed.is_none());
    near.project = live.first().map(|entry| entry.project.clone());
    for (collection, _) in searched.order {
        let here = live.extract_if(.., |entry| entry.collection == collection.name).collect();
        near.look_at(rows, searched, collection, wish, here)?;
    }
    let mut elsewhere: BTreeMap<CollectionName, Vec<String>> = BTreeMap::new();
    for entry in live {
        elsewhere.entry(entry.collection).or_default().push(entry.version);
    }
    near.set_elsewhere(elsewhere);
    Ok(near)
}

impl Near {
    /// Tells whether nothing is near.
    pub fn is_empty(&self) -> bool {
        self.has.is_empty() && self.left_out.is_empty() && self.elsewhere.is_empty() && self.similar.is_empty()
    }

    fn look_at(
        &mut self,
        rows: &Rows,
        searched: &Searched<'_>,
        collection: &CollectionRow,
        wish: &Wish,
        entries: Vec<Entry>,
    ) -> Result<()> {
        let quarantine = quarantine_in(rows, collection, self.project.as_ref())?;
        for entry in entries.iter().filter(|entry| is_meant(&wish.spec, entry)) {
            let foreign = searched.own.map_or(Ok(None), |own| own.objection(rows, entry))?;
            let reason = quarantine.clone().or(foreign).or_else(|| searched.blocks.of_entry(entry));
            let Some(reason) = reason.or_else(|| objection(wish, entry)) else { continue };
            if self.left_out.len() == TOLD {
                self.more_left_out += 1;
                continue;
            }
            let (collection, filename) = (collection.name.clone(), entry.filename.clone());
            self.left_out.push(LeftOut { collection, filename, reason });
        }
        self.has.extend(versions_in(&collection.name, entries.into_iter().map(|entry| entry.version).collect()));
        Ok(())
    }

    fn set_elsewhere(&mut self, found: BTreeMap<CollectionName, Vec<String>>) {
        self.more_elsewhere = found.len().saturating_sub(TOLD);
        let told = found.into_iter().take(TOLD);
        self.elsewhere = told.filter_map(|(collection, versions)| versions_in(&collection, versions)).collect();
    }

    /// Returns the same in sentences, the nearest first.
    pub fn lines(&self) -> Vec<String> {
        self.lines_but(|_| false)
    }

    /// Returns the same without the files that were told of already.
    pub fn lines_but(&self, is_told: impl Fn(&LeftOut) -> bool) -> Vec<String> {
        let mut lines = Vec::new();
        let named = self.project.as_ref().map_or("it", ProjectName::as_str);
        let told = |of: &VersionsIn| {
            let more = if of.more == 0 { String::new() } else { format!(" and {} more", of.more) };
            format!("{}{more}", of.versions.join(", "))
        };
        let left_out = self.left_out.iter().filter(|file| !is_told(file));
        lines.extend(left_out.map(|file| format!("left out {} ({}): {}", file.filename, file.collection, file.reason)));
        if self.more_left_out > 0 {
            lines.push(format!("left out {} more", self.more_left_out));
        }
        lines.extend(self.has.iter().map(|of| format!("{} has {named} {}", of.collection, told(of))));
        lines.extend(
            self.elsewhere.iter().map(|of| format!("not searched: {} has {named} {}", of.collection, told(of))),
        );
        if self.more_elsewhere > 0 {
            lines.push(format!("{} more collections have it", self.more_elsewhere));
        }
        if !self.similar.is_empty() {
            let names: Vec<&str> = self.similar.iter().map(ProjectName::as_str).collect();
            lines.push(format!("did you mean {}?", names.join(" or ")));
        }
        lines
    }
}

fn versions_in(collection: &CollectionName, versions: Vec<String>) -> Option<VersionsIn> {
    let parsed = versions.into_iter().map(|text| (text.parse::<Version>().ok(), text));
    let sorted: BTreeSet<(Option<Version>, String)> = parsed.collect();
    let more = sorted.len().saturating_sub(TOLD);
    let versions: Vec<String> = sorted.into_iter().rev().take(TOLD).map(|(_, text)| text).collect();
    (!versions.is_empty()).then(|| VersionsIn { collection: collection.clone(), versions, more })
}

/// Tells why a file that is meant doesn't meet a wish; `None`: nothing that is known here speaks against it.
fn objection(wish: &Wish, entry: &Entry) -> Option<String> {
    if !wish.takes(Some(entry.sha256)) {
        return Some(format!("its sha256 digest is {}, which is not one that is asked for", entry.sha256));
    }
    let name = DistributionFilename::parse_of(&entry.filename, &entry.project).ok()?;
    if !wish.tags.fits(&name) {
        return Some(of_tags(&wish.tags, &name));
    }
    if !wish.admits(entry.requires_python.as_deref()) {
        let (wanted, asked) = (entry.requires_python.as_deref().unwrap_or_default(), &wish.tags.target.python);
        let asked = asked.as_ref().map(ToString::to_string).unwrap_or_default();
        return Some(format!("it requires Python {wanted}, and {asked} is asked for"));
    }
    if is_other_variant(&wish.spec, &name) {
        return Some("it is a variant wheel, which is given to who asks for its filename".to_owned());
    }
    if let Some(reason) = entry.yanked.as_ref().filter(|_| wish.rank(&name, true).is_none()) {
        let reason = if reason.is_empty() { String::new() } else { format!(" ({reason})") };
        return Some(format!("it is yanked{reason}, and given to who asks for its very version"));
    }
    (!entry.state.is_available()).then(|| "its bytes are lost: import it again, or `wcas verify --repair`".to_owned())
}

/// Tells which of the tags that are asked for a file hasn't got.
fn of_tags(asked: &TagFilter, name: &DistributionFilename) -> String {
    let DistributionFilename::Wheel(wheel) = name else {
        return "it is an sdist, and a wheel's tags are asked for".to_owned();
    };
    let Target { python, platform } = &asked.target;
    let only_python = Target { python: *python, platform: None };
    if let Some(python) = python.as_ref().filter(|_| only_python.rank(wheel).is_none()) {
        return format!("it needs {}, and {python} is asked for", pythons(wheel));
    }
    let only_platform = Target { python: None, platform: platform.clone() };
    if let Some(platform) = platform.as_ref().filter(|_| only_platform.rank(wheel).is_none()) {
        let platforms: Vec<&str> = wheel.platform_tags().collect();
        return format!("it is for {}, and {platform} is asked for", platforms.join(" or "));
    }
    match (&asked.build_tag, wheel.build_tag()) {
        (Some(asked), Some(tag)) if asked != tag => format!("it is build {tag}, and {asked} is asked for"),
        (Some(asked), None) => format!("it has no build tag, and {asked} is asked for"),
        _ => format!("its tags {} don't fit", wheel.tags()),
    }
}

/// Says which interpreters a wheel is for: `CPython 3.12`, `Python 2`.
fn pythons(wheel: &WheelFilename) -> String {
    let is_threaded = wheel.abi_tags().all(|abi| abi.starts_with("cp") && abi.ends_with('t'));
    let is_stable = wheel.abi_tags().any(|abi| abi == "abi3");
    let named = wheel.python_tags().map(|tag| {
        let at = tag.find(|c: char| c.is_ascii_digit()).unwrap_or(tag.len());
        let (kind, digits) = tag.split_at(at);
        let kind = match kind {
            "cp" => "CPython",
            "py" => "Python",
            "pp" => "PyPy",
            _ => return tag.to_owned(),
        };
        let (major, minor) = digits.split_at(digits.len().min(1));
        let minor = if minor.is_empty() { String::new() } else { format!(".{minor}") };
        let threaded = if is_threaded { "t" } else { "" };
        format!("{kind} {major}{minor}{threaded}{}", if is_stable { " or later" } else { "" })
    });
    named.collect::<Vec<_>>().join(" or ")
}

/// How many slips are thought of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Slips {
    /// One: a letter too many, too few, another one, or two that changed places.
    One,
    /// Two as well, in a long name whose first letter is right, where nothing is one slip away.
    Two,
}

/// Returns projects of collections whose names may have been meant.
fn similar(
    rows: &Rows,
    order: &[(CollectionId, Scope)],
    project: &ProjectName,
    slips: Slips,
) -> Result<Vec<ProjectName>> {
    let name = project.as_str();
    if name.len() > LONGEST || name.len() < 2 {
        return Ok(Vec::new());
    }
    let known = |names: &[String]| -> Result<Vec<ProjectName>> {
        let mut found = BTreeSet::new();
        for (collection, scope) in order {
            found.extend(rows.projects_among(*collection, *scope, names)?);
        }
        Ok(found.into_iter().take(OFFERED).collect())
    };
    let found = known(&one_slip(name).into_iter().collect::<Vec<_>>())?;
    if slips == Slips::One || !found.is_empty() || name.len() < LONG {
        return Ok(found);
    }
    let near = rows.projects_beginning(&name[..1], COMPARED)?.into_iter().map(|name| name.to_string());
    known(&near.filter(|other| distance(name, other, 2) <= 2).collect::<Vec<_>>())
}

/// Returns the names that one slip makes of a name.
fn one_slip(name: &str) -> BTreeSet<String> {
    const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789-";
    let bytes = name.as_bytes();
    let mut found: BTreeSet<Vec<u8>> = BTreeSet::new();
    for at in 0..=bytes.len() {
        let (before, after) = bytes.split_at(at);
        found.extend(LETTERS.iter().map(|letter| [before, &[*letter], after].concat()));
        if let [first, rest @ ..] = after {
            found.insert([before, rest].concat());
            found.extend(LETTERS.iter().map(|letter| [before, &[*letter], rest].concat()));
            if let [second, rest @ ..] = rest {
                found.insert([before, &[*second, *first], rest].concat());
            }
        }
    }
    let names = found.into_iter().filter_map(|bytes| String::from_utf8(bytes).ok());
    // What isn't normalised is nobody's name.
    names
        .filter(|other| other != name && other.parse::<ProjectName>().is_ok_and(|parsed| parsed.as_str() == other))
        .collect()
}

/// Returns how many slips are between two names, if not more than a number; else more. Two letters that change places are one
/// (Damerau and Levenshtein, no part changed twice).
fn distance(one: &str, other: &str, most: usize) -> usize {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    if one.len().abs_diff(other.len()) > most {
        return most + 1;
    }
    let mut rows = vec![(0..=other.len()).collect::<Vec<usize>>()];
    for (i, letter) in one.iter().enumerate() {
        let (above, mut row) = (&rows[i], vec![i + 1]);
        for (j, against) in other.iter().enumerate() {
            let replaced = above[j] + usize::from(letter != against);
            let mut least = replaced.min(above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *letter == other[j - 1] && one[i - 1] == *against {
                least = least.min(rows[i - 1][j - 1] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[one.len()][other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_a_letter_more_or_less_another_or_two_that_changed_places() {
        let slips = one_slip("ab-c");
        for near in ["ab-cd", "xab-c", "b-c", "abc", "ba-c", "ax-c", "ab-x", "a-c", "ab-1c"] {
            assert!(slips.contains(near), "{near}");
            assert_eq!(distance("ab-c", near, 2), 1, "{near}");
        }
        // The name itself, what is no name, and what is two slips away.
        for far in ["ab-c", "ab--c", "ab-", "-ab-c", "abcd", "ba-"] {
            assert!(!slips.contains(far), "{far}");
        }
        assert!(one_slip(&"a".repeat(LONGEST)).len() < 4000, "the probes of a name are bounded");
    }

    #[test]
    fn a_distance_is_that_of_damerau_and_levenshtein_up_to_a_limit() {
        for (one, other, expected) in [
            ("requests", "requests", 0),
            ("requests", "reqeusts", 1),
            ("requests", "request", 1),
            ("tensorflow", "tensrflwo", 2),
            ("tensorflow", "tensorboard", 3),
            ("a", "abcd", 3),
        ] {
            let found = distance(one, other, 2);
            assert_eq!(found.min(3), expected, "{one} {other}");
            assert_eq!(distance(other, one, 2).min(3), expected, "{other} {one}");
        }
    }
}
