//! `/_/search/`: projects by name and summary, and files by name or digest, in all that whoever asks may read. Bounded: a page at a time, and
//! in so much time.

mod files;

use super::frame::Heading::{Number, Text};
use super::frame::{Page, root, scrolling, table_with};
use super::outline::{self, Outline};
use super::search::{SearchQuery, normalised};
use super::{file_page, projects, words};
use crate::catalog::at::CollectionAt;
use crate::catalog::view_contents::Shown;
use crate::digest::Sha256;
use crate::error::Result;
use crate::manifest::{CollectionId, Entry, FoundFile};
use crate::name::{CollectionName, ProjectName};
use crate::server::access::{self, Readable};
use crate::server::endpoint::ViewName;
use crate::server::{Request, Server};
use crate::store::Store;
use maud::{Markup, html};
use pep440_rs::Version;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// So many projects, and so many files, are on a page.
const PAGE: usize = 50;
/// The last page that is shown: who looks farther says more.
const PAGES: usize = 100;
/// After so much time what is left is not looked at.
const PATIENCE: Duration = Duration::from_secs(3);
/// The shortest beginning of a digest, in digits; so many blobs are looked at that begin so.
const DIGITS: usize = 8;
const BLOBS: u64 = 20;

/// What was found.
#[derive(Default)]
struct Found {
    /// The projects that are meant, the best first, each with where it is.
    projects: Vec<Project>,
    /// The files, each with where it is, and whether it is offered there.
    files: Vec<(CollectionName, FoundFile, bool)>,
    /// How many projects and files each collection has of it, where that may be told.
    counts: BTreeMap<CollectionName, (u64, u64)>,
    has_more_files: bool,
    /// What collections offer of the projects that were looked at.
    listed: HashMap<(CollectionName, ProjectName), HashSet<(String, Sha256)>>,
    /// Whether the time was over, or there was too much to look at.
    is_cut: bool,
}

struct Project {
    rank: u8,
    name: ProjectName,
    version: Version,
    summary: String,
    places: Vec<CollectionName>,
}

/// What is looked through: collections, each with the name under which its reader knows it.
struct Domain {
    sources: Vec<(CollectionId, CollectionAt, CollectionName)>,
    /// The one view that the reader has: what it hides is not found.
    view: Option<(ViewName, Arc<Vec<ProjectName>>)>,
}

/// Makes the page.
pub(super) fn page(server: &Server, request: &Request) -> Result<Page> {
    let asked = SearchQuery::read(request.uri().query());
    let asked = SearchQuery { page: asked.page.min(PAGES - 1), ..asked };
    let is_asked = asked.text.chars().count() >= 2;
    let found = if is_asked { Some(find(server, request, &asked)?) } else { None };
    let main = html! {
        h1 { "Search" }
        form.search method="get" action="./" role="search" {
            label for="q" { "Projects by name or summary; files by name, or by the first " (DIGITS) " digits of a digest or more" }
            input #q type="search" name="q" value=(asked.text) maxlength="100";
            button type="submit" { "Search" }
        }
        @match &found {
            Some(found) => (shown(&asked, found)),
            None if asked.text.is_empty() => {}
            None => p { "Two letters are the least." },
        }
    };
    let title = if is_asked { format!("{} · Search", asked.text) } else { "Search".to_owned() };
    Ok(Page { title, root: root(request.uri().path()), trail: vec![("./".to_owned(), "Search".to_owned())], main })
}

fn find(server: &Server, request: &Request, asked: &SearchQuery) -> Result<Found> {
    let store = server.stores.borrow()?;
    let domain = Domain::of(server, &store, &access::readable(server, request)?)?;
    let end = Instant::now() + PATIENCE;
    let mut found = Found::default();
    find_projects(server, &store, (&domain, end), asked, &mut found)?;
    let (first, text) = (asked.page * PAGE, asked.text.to_ascii_lowercase());
    if let Some(digits) = digits(&text).filter(|_| asked.page == 0) {
        find_digest(&store, &domain, digits, &mut found)?;
    }
    match domain.view {
        None => files::of_all(&store, (&domain, end), (&text, first), &mut found)?,
        Some(_) => files::offered(&store, (&domain, end), (&text, first), &mut found)?,
    }
    Ok(found)
}

impl Domain {
    fn of(server: &Server, store: &Store, readable: &Readable) -> Result<Self> {
        match readable {
            Readable::Nothing => Ok(Self { sources: Vec::new(), view: None }),
            Readable::All => {
                let rows = store.manifest.read()?.collections()?.into_iter();
                let source = |row: crate::manifest::CollectionRow| {
                    (row.id, CollectionAt { name: row.name.clone(), revision: row.revision }, row.name)
                };
                Ok(Self { sources: rows.map(source).collect(), view: None })
            }
            Readable::Only(name) => {
                let view = ViewName { name: name.clone(), at: None };
                let Some(listed) = projects(server, &view)? else {
                    return Ok(Self { sources: Vec::new(), view: None });
                };
                let sources = view.shown().sources(&*store.manifest.read()?)?.into_iter();
                let sources = sources.map(|(id, source)| (id, source, name.clone())).collect();
                Ok(Self { sources, view: Some((view, listed)) })
            }
        }
    }

    /// Tells whether the reader's one view lists a project.
    fn has(&self, project: &ProjectName) -> bool {
        self.view.as_ref().is_none_or(|(_, listed)| listed.binary_search(project).is_ok())
    }

    /// Tells whether a file is offered where it is.
    fn offers(&self, store: &Store, place: &CollectionName, file: &FoundFile, found: &mut Found) -> Result<bool> {
        let key = (place.clone(), file.project.clone());
        if !found.listed.contains_key(&key) {
            let shown: Shown = ViewName { name: place.clone(), at: None }.shown();
            let read = shown.read(&*store.manifest.read()?, Some(&file.project))?;
            let files = read.entries.into_iter().map(|entry| (entry.filename, entry.sha256)).collect();
            found.listed.insert(key.clone(), files);
        }
        Ok(found.listed[&key].contains(&(file.filename.clone(), file.sha256)))
    }

    /// Adds a file. One that isn't offered where it is, is found by readers of everything alone.
    fn add(&self, store: &Store, place: &CollectionName, file: FoundFile, found: &mut Found) -> Result<()> {
        let is_offered = self.offers(store, place, &file, found)?;
        if is_offered || self.view.is_none() {
            found.add(place, file, is_offered);
        }
        Ok(())
    }
}

impl Found {
    /// Adds a file, unless it was found by its digest already.
    fn add(&mut self, place: &CollectionName, file: FoundFile, is_offered: bool) {
        let is_same =
            |(known, own, _): &(CollectionName, FoundFile, bool)| known == place && own.filename == file.filename;
        if !self.files.iter().any(is_same) {
            self.files.push((place.clone(), file, is_offered));
        }
    }
}

fn find_projects(
    server: &Server,
    store: &Store,
    (domain, end): (&Domain, Instant),
    asked: &SearchQuery,
    found: &mut Found,
) -> Result<()> {
    let (name, words) = (normalised(&asked.text), asked.text.to_lowercase());
    let mut matches: BTreeMap<ProjectName, Project> = BTreeMap::new();
    for (id, source, place) in &domain.sources {
        if Instant::now() > end {
            found.is_cut = true;
            break;
        }
        let outline: Arc<Outline> = outline::of_collection(server, store, *id, source)?;
        found.is_cut |= outline.is_cut;
        for (project, version, gist) in &outline.projects {
            let Some(rank) = rank(project.as_str(), &name, &gist.summary, &words).filter(|_| domain.has(project))
            else {
                continue;
            };
            if domain.view.is_none() {
                found.counts.entry(place.clone()).or_default().0 += 1;
            }
            let summary = &gist.summary;
            let known = matches.entry(project.clone()).or_insert_with(|| Project {
                rank,
                name: project.clone(),
                version: version.clone(),
                summary: summary.clone(),
                places: Vec::new(),
            });
            known.rank = known.rank.min(rank);
            if *version > known.version {
                (known.version, known.summary) = (version.clone(), summary.clone());
            }
            if !known.places.contains(place) {
                known.places.push(place.clone());
            }
        }
    }
    found.projects = matches.into_values().collect();
    found.projects.sort_by_key(|project| project.rank);
    Ok(())
}

/// Ranks a project: its name is meant, begins so, has it, or the summary has the words.
fn rank(project: &str, name: &str, summary: &str, words: &str) -> Option<u8> {
    match project.find(name).filter(|_| !name.is_empty()) {
        Some(0) if project.len() == name.len() => Some(0),
        Some(0) => Some(1),
        Some(_) => Some(2),
        None => summary.to_lowercase().contains(words).then_some(3),
    }
}

/// Returns the digits of a digest's beginning.
fn digits(text: &str) -> Option<&str> {
    let digits = text.strip_prefix("sha256:").or_else(|| text.strip_prefix("blake3:")).unwrap_or(text);
    let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    (is_hex && (DIGITS..=64).contains(&digits.len())).then_some(digits)
}

/// Returns the first and the last digest that begin so.
fn between(digits: &str) -> ([u8; 32], [u8; 32]) {
    let filled = |with: u8| {
        let mut bytes = [0; 32];
        for (place, byte) in bytes.iter_mut().enumerate() {
            let digit = |at: usize| {
                digits
                    .as_bytes()
                    .get(at)
                    .and_then(|digit| char::from(*digit).to_digit(16))
                    .map_or(with, |digit| digit as u8)
            };
            *byte = digit(place * 2) << 4 | digit(place * 2 + 1);
        }
        bytes
    };
    (filled(0), filled(15))
}

fn find_digest(store: &Store, domain: &Domain, digits: &str, found: &mut Found) -> Result<()> {
    let (first, last) = between(digits);
    let rows = store.manifest.read()?;
    let blobs = rows.blobs_between(&first, &last, BLOBS)?;
    let mut entries = Vec::new();
    for blob in blobs {
        entries.extend(rows.blob_entries(blob)?.into_iter().filter(|entry| entry.removed.is_none()));
    }
    drop(rows);
    for entry in entries {
        let place = domain.sources.iter().find(|(_, source, _)| source.name == entry.collection);
        let Some((_, _, place)) = place else { continue };
        domain.add(store, place, file_of(entry), found)?;
    }
    Ok(())
}

fn file_of(entry: Entry) -> FoundFile {
    FoundFile { filename: entry.filename, project: entry.project, sha256: entry.sha256, size: entry.size }
}

fn shown(asked: &SearchQuery, found: &Found) -> Markup {
    let first = asked.page * PAGE;
    let of_page: Vec<&Project> = found.projects.iter().skip(first).take(PAGE).collect();
    let is_last = found.projects.len() <= first + PAGE && !found.has_more_files || asked.page + 1 >= PAGES;
    html! {
        @if found.is_cut { p.note { "Not all was looked through: it is too much, or took too long. More letters help, or a search in one collection." } }
        @if of_page.is_empty() && found.files.is_empty() { p { "Nothing " @if asked.page > 0 { "more " } "is found of " b { (asked.text) } "." } }
        @if found.counts.len() > 1 { (counts(&found.counts)) }
        @if !of_page.is_empty() {
            h2 { (words::counted(found.projects.len() as u64, "project")) }
            (scrolling("found-projects", "Projects", table_of_projects(&of_page)))
        }
        @if !found.files.is_empty() {
            h2 { "Files" }
            (scrolling("found-files", "Files", table_of_files(&found.files)))
        }
        @if asked.page > 0 || !is_last {
            nav.pager aria-label="Pages of what was found" {
                @if asked.page > 0 { a href={ "./" (asked.at(asked.page - 1)) } { "Previous page" } }
                span.quiet { "Page " (asked.page + 1) }
                @if !is_last { a href={ "./" (asked.at(asked.page + 1)) } { "Next page" } }
            }
        }
    }
}

fn counts(counts: &BTreeMap<CollectionName, (u64, u64)>) -> Markup {
    html! {
        ul.inline {
            @for (name, (projects, files)) in counts {
                li {
                    a href={ "../../" (name) "/" } { (name) } ": "
                    (words::counted(*projects, "project")) ", " (words::counted(*files, "file"))
                }
            }
        }
    }
}

fn table_of_projects(projects: &[&Project]) -> Markup {
    let columns = [Text("Project"), Text("Newest"), Text("Summary"), Text("In")];
    table_with(
        "By how well the name fits, then by summary",
        &columns,
        html! {
            @for project in projects {
                tr {
                    th scope="row" {
                        @if let Some(place) = project.places.first() {
                            a href={ "../../" (place) "/projects/" (project.name) "/" } { (project.name) }
                        }
                    }
                    td { (project.version) }
                    td.text { (project.summary) }
                    td {
                        @for (at, place) in project.places.iter().enumerate() {
                            @if at > 0 { ", " }
                            a href={ "../../" (place) "/projects/" (project.name) "/" } { (place) span.hidden { ": " (project.name) } }
                        }
                    }
                }
            }
        },
    )
}

fn table_of_files(files: &[(CollectionName, FoundFile, bool)]) -> Markup {
    let columns = [Text("File"), Text("In"), Number("Size"), Text("SHA-256")];
    table_with(
        "By collection and name",
        &columns,
        html! {
            @for (place, file, is_offered) in files {
                tr {
                    th.text scope="row" {
                        @let page = if *is_offered { file_page(&file.filename) } else { String::new() };
                        a href={ "../../" (place) "/projects/" (file.project) "/" (page) } { (file.filename) }
                    }
                    td { (place) @if !is_offered { " " span.mark.warn { "not offered there" } } }
                    td.n { (words::bytes(file.size)) }
                    td { (super::file::short(&file.sha256)) }
                }
            }
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digests_beginning_is_hexadecimal_and_long_enough() {
        assert_eq!(digits("sha256:0123abcd"), Some("0123abcd"));
        assert_eq!(digits("0123abcd9"), Some("0123abcd9"));
        for text in ["0123abc", "0123abcx", "", &"a".repeat(65)] {
            assert_eq!(digits(text), None, "{text}");
        }
        let (first, last) = between("0123abcd9");
        assert_eq!(first[..6], [0x01, 0x23, 0xab, 0xcd, 0x90, 0]);
        assert_eq!(last[..6], [0x01, 0x23, 0xab, 0xcd, 0x9f, 0xff]);
    }

    #[test]
    fn a_name_goes_before_a_summary() {
        let ranks = ["torch", "torch-scatter", "my-torch", "vision"]
            .map(|name| rank(name, "torch", "Tools for Torch", "torch"));
        assert_eq!(ranks, [Some(0), Some(1), Some(2), Some(3)]);
        assert_eq!(rank("a", "", "b", "!"), None);
    }
}
