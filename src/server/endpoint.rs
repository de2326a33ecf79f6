//! What a path asks for. Pure: no disk, no store, no headers.
//!
//! Paths that name one thing in several ways lead to one of them by a redirect, relative, so that it holds behind any proxy. A
//! segment is decoded once; nothing of it ever becomes a path on a disk.

use super::segment::{decoded, encoded};
use super::verb::{Account, Verb};
use crate::catalog::builder_rules::CacheRules;
use crate::catalog::view_contents::Shown;
use crate::digest::Sha256;
use crate::name::{CollectionName, ProjectName};
use pep440_rs::Version;
use std::fmt;

/// A collection or variant, as it is served: what it sees now, or the collection alone as it was at a revision.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ViewName {
    /// The collection or variant.
    pub name: CollectionName,
    /// A revision's number or a snapshot's name.
    pub at: Option<String>,
}

impl ViewName {
    /// Returns what is shown under the name.
    pub(super) fn shown(&self) -> Shown {
        match &self.at {
            Some(_) => Shown::Collection { name: self.name.clone(), at: self.at.clone() },
            None => Shown::known(self.name.clone()),
        }
    }

    /// Returns what is shown to builders, who build for a variant.
    pub(super) fn shown_to_builders(&self) -> Shown {
        match &self.at {
            Some(_) => self.shown(),
            None => Shown::variant(self.name.clone()),
        }
    }
}

/// What a path asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// `/`: the page about the store.
    Home,
    /// `/healthz`.
    Health,
    /// `/metrics`.
    Metrics,
    /// `/_/oidc/audience`: whom a CI's tokens must be for.
    Audience,
    /// `/_/oidc/mint-token`: a CI's token for one of ours.
    MintToken,
    /// `/_/oidc/burn-token`: one of those back, for whoever needs it no more.
    BurnToken,
    /// `/-/NAME`: a style sheet or an icon of the pages for people.
    Asset(String),
    /// `/_/NAME/`: a page about all collections that the requester may read.
    Section(Section),
    /// `/_/sign-in/` and `/_/sign-out/`: a token for a session of the pages, and its end.
    Account(Account),
    /// `/{view}/actions/{verb}/`: what is done to a collection, shown first and done by a form.
    Action(ViewName, Verb),
    /// `/{view}/`: the page about a collection; uploads, too.
    Collection(ViewName),
    /// `/{view}/projects/{project}/`: the page about a project.
    ProjectPage(ViewName, ProjectName),
    /// `/{view}/projects/{project}/{filename}/`: the page about a file.
    FilePage(ViewName, ProjectName, String),
    /// `/{view}/simple/`: the index's root; uploads, too.
    Root(ViewName),
    /// `/{view}/simple/{project}/`: the index's page of a project.
    Project(ViewName, ProjectName),
    /// `/{view}/pypi/{project}/json`, `/{view}/pypi/{project}/{version}/json`: what mirrors and tools read of a project.
    Mirror(ViewName, ProjectName, Option<Version>),
    /// `/{view}/changes.atom`: what happened to a collection, for programs that read feeds.
    Changes(ViewName),
    /// `/{view}/legacy/`: uploads.
    Legacy(ViewName),
    /// `/{view}/{project}-{version}-variants.json`, or at its digest: `/{view}/variants/{sha256}/{filename}`.
    Variants(ViewName, Option<Sha256>, String),
    /// `/{view}/revision.txt`: what the collection holds, as it was signed; or, with `.sig`, the signature.
    Revision(ViewName, bool),
    /// `/files/{sha256}/{filename}`, or of a view: `/{view}/files/{sha256}/{filename}`.
    File(FileAddress),
    /// `/{view}/cache/simple/` or `/{view}/build/simple/`: the projects, for builders.
    CacheRoot(CacheView),
    /// `/{view}/cache/simple/{project}/` or `/{view}/build/simple/{project}/`: what builders may take of a project.
    CacheProject(CacheView, ProjectName),
    /// `/{view}/cache/files/{sha256}/{filename}`, or under `build`.
    CacheFile(CacheView, FileAddress),
}

/// The pages about all collections, beside the first one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Section {
    /// The indexes that collections pull from.
    Remotes,
    /// What happened, what is shared, how the store grows.
    History,
    /// What builders asked for in vain.
    Wanted,
    /// How the store and the server do, for who runs them.
    Health,
    /// What is found in all that may be read.
    Search,
}

impl Section {
    /// All, in the order in which pages name them.
    pub const ALL: [Self; 5] = [Self::Remotes, Self::History, Self::Wanted, Self::Health, Self::Search];

    /// Returns the segment of the path.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Remotes => "remotes",
            Self::History => "history",
            Self::Wanted => "wanted",
            Self::Health => "health",
            Self::Search => "search",
        }
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|section| section.as_str() == name)
    }
}

/// What builders are offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Offering {
    /// What need not be built.
    Cache,
    /// That, and what all else is built from.
    Build,
}

/// A view as builders see it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CacheView {
    /// The view.
    pub view: ViewName,
    /// What they are offered.
    pub offering: Offering,
    /// What the path says of the wheels that are offered: `/{view}/cache/suffix=_cuda&max-build=3/simple/…`. Build tools append a
    /// project's name to the URL that they are given, so that it can have no query.
    pub rules: CacheRules,
}

/// A file's address.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FileAddress {
    /// The view that lists it; none: any.
    pub view: Option<ViewName>,
    /// Its digest; none: a remote's file that nothing vouches for, in which case there is a view.
    pub sha256: Option<Sha256>,
    /// Its filename.
    pub filename: String,
    /// Whether its METADATA is meant.
    pub is_metadata: bool,
}

/// Why a path asks for nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathRefusal {
    /// It is called otherwise: a location relative to the path.
    Moved(String),
    /// It can't be anything.
    NotFound,
}

/// The longest path that is looked at: a collection's name, a digest and a filename at their longest, each byte percent-encoded, fit.
const MAX_BYTES: usize = 4096;
/// The longest segment, decoded: no filesystem holds a longer filename than 255 bytes, and its sidecar's is longer.
const MAX_SEGMENT_BYTES: usize = 255 + METADATA.len();

/// Returns what a path asks for. The path begins with a slash, is percent-encoded, and has no query.
pub fn parse(path: &str) -> Result<Endpoint, PathRefusal> {
    let rest = path.strip_prefix('/').filter(|_| path.len() <= MAX_BYTES).ok_or(PathRefusal::NotFound)?;
    if rest.is_empty() {
        return Ok(Endpoint::Home);
    }
    let (rest, ending) = match rest.strip_suffix('/') {
        Some(rest) => (rest, Ending::Slash),
        None => (rest, Ending::Name),
    };
    let raw: Vec<&str> = rest.split('/').collect();
    let limit = |index: usize| {
        // A run's rules may name many projects.
        let is_rules = index == 2 && matches!(raw[1], "cache" | "build") && raw[2].contains('=');
        if is_rules { MAX_BYTES } else { MAX_SEGMENT_BYTES }
    };
    let segments = raw.iter().enumerate().map(|(index, raw)| decoded(raw, limit(index)));
    let segments = segments.collect::<Option<Vec<_>>>().ok_or(PathRefusal::NotFound)?;
    let segments: Vec<&str> = segments.iter().map(AsRef::as_ref).collect();
    match (&segments[..], ending) {
        (["healthz"], Ending::Name) => Ok(Endpoint::Health),
        (["metrics"], Ending::Name) => Ok(Endpoint::Metrics),
        (["_", "oidc", "audience"], Ending::Name) => Ok(Endpoint::Audience),
        (["_", "oidc", "mint-token"], Ending::Name) => Ok(Endpoint::MintToken),
        (["_", "oidc", "burn-token"], Ending::Name) => Ok(Endpoint::BurnToken),
        // No collection's name begins like this.
        (["_", name], ending) => match Section::named(name) {
            Some(section) => ending.page(name, Endpoint::Section(section)),
            None => match Account::named(name) {
                Some(account) => ending.page(name, Endpoint::Account(account)),
                None => Err(PathRefusal::NotFound),
            },
        },
        (["-", name], Ending::Name) => Ok(Endpoint::Asset((*name).to_owned())),
        // Any other path under `files` is of a collection that is called so.
        (["files" | "packages", digest, filename], Ending::Name) if digest.len() == 64 => file(None, digest, filename),
        ([first, rest @ ..], ending) => of_view(view(first).ok_or(PathRefusal::NotFound)?, rest, ending),
        ([], _) => Err(PathRefusal::NotFound),
    }
}

impl Endpoint {
    /// Returns the view that is asked, if the path names one.
    pub fn view(&self) -> Option<&ViewName> {
        match self {
            Self::Collection(view)
            | Self::ProjectPage(view, _)
            | Self::FilePage(view, ..)
            | Self::Root(view)
            | Self::Project(view, _)
            | Self::Mirror(view, ..)
            | Self::Changes(view)
            | Self::Action(view, _)
            | Self::Legacy(view)
            | Self::Revision(view, _)
            | Self::Variants(view, ..) => Some(view),
            Self::CacheRoot(cache) | Self::CacheProject(cache, _) | Self::CacheFile(cache, _) => Some(&cache.view),
            Self::File(address) => address.view.as_ref(),
            Self::Metrics
            | Self::Home
            | Self::Health
            | Self::Asset(_)
            | Self::Section(_)
            | Self::Account(_)
            | Self::Audience
            | Self::MintToken
            | Self::BurnToken => None,
        }
    }
}

/// Returns what the path of an upload asks for: with or without a slash at its end, since clients stop at a redirect or lose the file.
pub fn parse_upload(path: &str) -> Result<Endpoint, PathRefusal> {
    match parse(path) {
        Err(PathRefusal::Moved(_)) if !path.ends_with('/') => parse(&format!("{path}/")),
        other => other,
    }
}

/// How a path ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    Slash,
    Name,
}

impl Ending {
    /// Returns the endpoint where the path ends in a slash; else it is that path with one.
    fn page(self, name: &str, endpoint: Endpoint) -> Result<Endpoint, PathRefusal> {
        match self {
            Self::Slash => Ok(endpoint),
            Self::Name => Err(PathRefusal::Moved(format!("{name}/"))),
        }
    }
}

fn of_view(view: ViewName, rest: &[&str], ending: Ending) -> Result<Endpoint, PathRefusal> {
    match (rest, ending) {
        ([], _) => ending.page(&view.to_string(), Endpoint::Collection(view)),
        (["simple"], _) => ending.page("simple", Endpoint::Root(view)),
        (["legacy"], _) => ending.page("legacy", Endpoint::Legacy(view)),
        (["simple", name], _) => project(name, ending, |project| Endpoint::Project(view, project)),
        (["projects", name], _) => project(name, ending, |project| Endpoint::ProjectPage(view, project)),
        (["projects", name, filename], _) => {
            let project: ProjectName = name.parse().map_err(|_| PathRefusal::NotFound)?;
            // Another spelling of the project would make a second address of its files.
            let is_project = project.as_str() == *name;
            let page = Endpoint::FilePage(view, project, (*filename).to_owned());
            if is_project { ending.page(&encoded(filename), page) } else { Err(PathRefusal::NotFound) }
        }
        (["actions", name], _) if view.at.is_none() => {
            let verb = Verb::named(name).ok_or(PathRefusal::NotFound)?;
            ending.page(name, Endpoint::Action(view, verb))
        }
        // Who shortens the address of a project's page gets the list of projects.
        (["projects"], Ending::Slash) => Err(PathRefusal::Moved("../".to_owned())),
        (["projects"], Ending::Name) => Err(PathRefusal::Moved("./".to_owned())),
        (["files", digest, filename], Ending::Name) => file(Some(view), digest, filename),
        ([offering @ ("cache" | "build"), rest @ ..], _) if !rest.is_empty() => {
            let offering = if *offering == "cache" { Offering::Cache } else { Offering::Build };
            match rest {
                [rules, rest @ ..] if rules.contains('=') => {
                    let rules = rules.parse().map_err(|_| PathRefusal::NotFound)?;
                    cache(CacheView { view, offering, rules }, rest, ending)
                }
                rest => cache(CacheView { view, offering, rules: CacheRules::default() }, rest, ending),
            }
        }
        // What mirrors ask for, and where they find files.
        (["pypi", name, "json"], Ending::Name) => {
            let project = name.parse().map_err(|_| PathRefusal::NotFound)?;
            Ok(Endpoint::Mirror(view, project, None))
        }
        (["pypi", name, version, "json"], Ending::Name) => {
            let project = name.parse().map_err(|_| PathRefusal::NotFound)?;
            let version = version.parse().map_err(|_| PathRefusal::NotFound)?;
            Ok(Endpoint::Mirror(view, project, Some(version)))
        }
        // Of a revision nothing changes.
        (["changes.atom"], Ending::Name) if view.at.is_none() => Ok(Endpoint::Changes(view)),
        (["packages", digest, filename], Ending::Name) => file(Some(view), digest, filename),
        (["variants", digest, filename], Ending::Name) if filename.ends_with(VARIANTS) => {
            Ok(Endpoint::Variants(view, Some(sha256(digest)?), (*filename).to_owned()))
        }
        (["revision.txt"], Ending::Name) => Ok(Endpoint::Revision(view, false)),
        (["revision.txt.sig"], Ending::Name) => Ok(Endpoint::Revision(view, true)),
        ([filename], Ending::Name) if filename.ends_with(VARIANTS) => {
            Ok(Endpoint::Variants(view, None, (*filename).to_owned()))
        }
        _ => Err(PathRefusal::NotFound),
    }
}

fn cache(cache: CacheView, rest: &[&str], ending: Ending) -> Result<Endpoint, PathRefusal> {
    match (rest, ending) {
        (["simple"], _) => ending.page("simple", Endpoint::CacheRoot(cache)),
        (["simple", name], _) => project(name, ending, |project| Endpoint::CacheProject(cache, project)),
        (["files", digest, filename], Ending::Name) => match file(Some(cache.view.clone()), digest, filename)? {
            Endpoint::File(address) => Ok(Endpoint::CacheFile(cache, address)),
            _ => Err(PathRefusal::NotFound),
        },
        _ => Err(PathRefusal::NotFound),
    }
}

/// How the documents about variant wheels are called (PEP 825).
const VARIANTS: &str = "-variants.json";
/// What stands for the digest of a file that has none.
const UNHASHED: &str = "unhashed";
/// How a sidecar is called, after the file (PEP 658).
const METADATA: &str = ".metadata";

/// Finds the page of a project under its normalised name.
fn project(name: &str, ending: Ending, page: impl FnOnce(ProjectName) -> Endpoint) -> Result<Endpoint, PathRefusal> {
    let project: ProjectName = name.parse().map_err(|_| PathRefusal::NotFound)?;
    match ending {
        Ending::Slash if project.as_str() == name => Ok(page(project)),
        Ending::Slash => Err(PathRefusal::Moved(format!("../{project}/"))),
        Ending::Name => Err(PathRefusal::Moved(format!("{project}/"))),
    }
}

fn file(view: Option<ViewName>, digest: &str, filename: &str) -> Result<Endpoint, PathRefusal> {
    let sha256 = match digest {
        UNHASHED if view.is_some() => None,
        _ => Some(sha256(digest)?),
    };
    let (filename, is_metadata) = match filename.strip_suffix(METADATA) {
        Some(of) if !of.is_empty() => (of, true),
        _ => (filename, false),
    };
    Ok(Endpoint::File(FileAddress { view, sha256, filename: filename.to_owned(), is_metadata }))
}

/// Takes a digest as pages write it; there is one way, so that a file has one URL.
fn sha256(text: &str) -> Result<Sha256, PathRefusal> {
    let digest = text.parse::<Sha256>().map_err(|_| PathRefusal::NotFound)?;
    if digest.to_string() == text { Ok(digest) } else { Err(PathRefusal::NotFound) }
}

fn view(segment: &str) -> Option<ViewName> {
    let (name, at) = match segment.split_once('@') {
        Some((name, at)) => (name, Some(at)),
        None => (segment, None),
    };
    // A snapshot is called as a collection may be, and so is a number.
    let at = at.map(|at| at.parse::<CollectionName>().map(|at| at.to_string())).transpose().ok()?;
    Some(ViewName { name: name.parse().ok()?, at })
}

impl fmt::Display for ViewName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.at {
            Some(at) => write!(f, "{}@{at}", self.name),
            None => self.name.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests;
