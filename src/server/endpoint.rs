//! What a path asks for. Pure: no disk, no store, no headers.
//!
//! Paths that name one thing in several ways lead to one of them by a redirect, relative, so that it holds behind any proxy. A
//! segment is decoded once; nothing of it ever becomes a path on a disk.

use crate::catalog::builder_rules::CacheRules;
use crate::catalog::view_contents::Shown;
use crate::digest::Sha256;
use crate::name::{CollectionName, ProjectName};
use pep440_rs::Version;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use std::borrow::Cow;
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
    let segments = raw.iter().enumerate().map(|(index, raw)| segment(raw, limit(index)));
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
            None => Err(PathRefusal::NotFound),
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

/// Returns a filename as a segment of a path, whatever it has.
pub(super) fn encoded(filename: &str) -> String {
    const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    utf8_percent_encode(filename, PLAIN).to_string()
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

/// Decodes a segment, once. Nothing comes out that could be more than one segment, or another, wherever it is written.
fn segment(raw: &str, limit: usize) -> Option<Cow<'_, str>> {
    let is_escaped = |rest: &str| rest.as_bytes().get(..2).is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit));
    if !raw.split('%').skip(1).all(is_escaped) {
        return None;
    }
    let text = percent_decode_str(raw).decode_utf8().ok()?;
    let is_plain = |letter: char| !letter.is_control() && letter != '/' && letter != '\\';
    let is_fit = !text.is_empty() && text.len() <= limit && text != "." && text != "..";
    (is_fit && text.chars().all(is_plain)).then_some(text)
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
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DIGEST: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn of(text: &str) -> ViewName {
        view(text).unwrap()
    }

    fn cache_of(rules: &str) -> CacheView {
        let rules = if rules.is_empty() { CacheRules::default() } else { rules.parse().unwrap() };
        CacheView { view: of("cuda"), offering: Offering::Cache, rules }
    }

    fn moved(path: &str) -> String {
        match parse(path) {
            Err(PathRefusal::Moved(location)) => location,
            other => panic!("{path}: {other:?}"),
        }
    }

    fn address(view: Option<&str>, sha256: Option<&str>, filename: &str, is_metadata: bool) -> Endpoint {
        let sha256 = sha256.map(|digest| digest.parse().unwrap());
        Endpoint::File(FileAddress { view: view.map(of), sha256, filename: filename.to_owned(), is_metadata })
    }

    /// What a client goes to after a redirect.
    fn followed(path: &str) -> String {
        let base = url::Url::parse("http://index.example/behind/a/proxy").unwrap();
        let from = base.join(&format!("/behind{path}")).unwrap();
        from.join(&moved(path)).unwrap().path().strip_prefix("/behind").unwrap().to_owned()
    }

    #[test]
    fn each_endpoint_has_its_path() {
        let torch = || "torch".parse().unwrap();
        for (path, endpoint) in [
            ("/", Endpoint::Home),
            ("/healthz", Endpoint::Health),
            ("/metrics", Endpoint::Metrics),
            ("/cuda/projects/torch/a+b.whl/", Endpoint::FilePage(of("cuda"), torch(), "a+b.whl".to_owned())),
            ("/_/oidc/audience", Endpoint::Audience),
            ("/_/oidc/mint-token", Endpoint::MintToken),
            ("/_/oidc/burn-token", Endpoint::BurnToken),
            ("/-/style.css", Endpoint::Asset("style.css".to_owned())),
            ("/_/remotes/", Endpoint::Section(Section::Remotes)),
            ("/_/health/", Endpoint::Section(Section::Health)),
            ("/cuda/", Endpoint::Collection(of("cuda"))),
            ("/cuda@41/", Endpoint::Collection(of("cuda@41"))),
            ("/cuda%4041/", Endpoint::Collection(of("cuda@41"))),
            ("/cuda/simple/", Endpoint::Root(of("cuda"))),
            ("/cuda@release-1/simple/", Endpoint::Root(of("cuda@release-1"))),
            ("/cuda/simple/torch/", Endpoint::Project(of("cuda"), torch())),
            ("/cuda/simple/t%6Frch/", Endpoint::Project(of("cuda"), torch())),
            ("/cuda/projects/torch/", Endpoint::ProjectPage(of("cuda"), torch())),
            ("/cuda/legacy/", Endpoint::Legacy(of("cuda"))),
            ("/cuda/revision.txt", Endpoint::Revision(of("cuda"), false)),
            ("/cuda@41/revision.txt.sig", Endpoint::Revision(of("cuda@41"), true)),
            ("/cuda/pypi/Torch/json", Endpoint::Mirror(of("cuda"), torch(), None)),
            ("/cuda/pypi/torch/2.0/json", Endpoint::Mirror(of("cuda"), torch(), Some("2".parse().unwrap()))),
            ("/cuda/changes.atom", Endpoint::Changes(of("cuda"))),
            ("/files/", Endpoint::Collection(of("files"))),
            ("/metrics/simple/", Endpoint::Root(of("metrics"))),
            ("/cache/simple/", Endpoint::Root(of("cache"))),
            ("/cuda/cache/simple/", Endpoint::CacheRoot(cache_of(""))),
            ("/cuda/cache/simple/torch/", Endpoint::CacheProject(cache_of(""), torch())),
            (
                "/cuda/build/simple/torch/",
                Endpoint::CacheProject(CacheView { offering: Offering::Build, ..cache_of("") }, torch()),
            ),
            ("/build/simple/", Endpoint::Root(of("build"))),
            (
                "/cuda/cache/max-build=3&suffix=_el9/simple/torch/",
                Endpoint::CacheProject(cache_of("max-build=3&suffix=_el9"), torch()),
            ),
        ] {
            assert_eq!(parse(path), Ok(endpoint), "{path}");
        }
    }

    #[test]
    fn rules_may_name_as_many_projects_as_a_path_has_room_for() {
        let names = (0..250).map(|number| format!("project-{number}")).collect::<Vec<_>>().join(",");
        let rules = format!("own-projects={names}");
        let found = parse(&format!("/cuda/cache/{rules}/simple/torch/"));
        assert_eq!(found, Ok(Endpoint::CacheProject(cache_of(&rules), "torch".parse().unwrap())));
        let long = "x".repeat(300);
        for path in
            [format!("/cuda/{rules}/simple/torch/"), format!("/cuda/simple/{long}/"), format!("/cuda/cache/{long}/")]
        {
            assert_eq!(parse(&path), Err(PathRefusal::NotFound), "{path}");
        }
        assert_eq!(
            parse(&format!("/cuda/cache/own-projects={}/simple/torch/", "x,".repeat(2100))),
            Err(PathRefusal::NotFound)
        );
    }

    #[test]
    fn a_revision_is_a_part_of_the_name() {
        assert_eq!(of("cuda@41"), ViewName { name: "cuda".parse().unwrap(), at: Some("41".to_owned()) });
        assert_eq!(of("cuda@41").to_string(), "cuda@41");
        for bad in ["/cuda@/", "/@41/", "/cuda@-1/", "/cuda@1@2/", "/cuda@A/", "/cuda@a%2Fb/", "/Cuda/", "/cuda@../"] {
            assert_eq!(parse(bad), Err(PathRefusal::NotFound), "{bad}");
        }
    }

    #[test]
    fn a1_a_page_without_its_slash_is_moved_behind_any_prefix() {
        for (path, to) in [
            ("/cuda", "/cuda/"),
            ("/c%75da@4", "/cuda@4/"),
            ("/cuda/simple", "/cuda/simple/"),
            ("/cuda/legacy", "/cuda/legacy/"),
            ("/cuda/simple/torch", "/cuda/simple/torch/"),
            ("/cuda/projects/torch", "/cuda/projects/torch/"),
            ("/cuda/projects/torch/a:b+c.whl", "/cuda/projects/torch/a%3Ab%2Bc.whl/"),
            ("/cuda/projects", "/cuda/"),
            ("/_/history", "/_/history/"),
            ("/cuda/projects/", "/cuda/"),
            ("/cuda/cache/simple", "/cuda/cache/simple/"),
            ("/cuda/cache/local=any/simple/torch", "/cuda/cache/local=any/simple/torch/"),
        ] {
            assert_eq!(followed(path), to, "{path}");
            assert!(parse(to).is_ok(), "one redirect is enough: {to}");
        }
    }

    #[test]
    fn a2_a_project_is_moved_to_its_normalised_name() {
        for name in ["Foo_Bar", "foo..bar", "FOO-BAR", "foo%5Fbar", "f%4Fo_%42ar", "foo-_.bar"] {
            for page in ["simple", "projects", "cache/simple"] {
                let to = format!("/cuda/{page}/foo-bar/");
                assert_eq!(followed(&format!("/cuda/{page}/{name}/")), to, "{name}");
                assert_eq!(followed(&format!("/cuda/{page}/{name}")), to, "at once, without the slash, too: {name}");
            }
        }
    }

    #[test]
    fn a2_a_name_with_other_characters_is_no_project() {
        for name in
            ["foo%20bar", "foo+bar", "f%C3%B6", "-foo", "foo-", "_", "foo@1", "foo%00", "foo:bar", "~", "%", "%4"]
        {
            for end in ["", "/"] {
                assert_eq!(parse(&format!("/cuda/simple/{name}{end}")), Err(PathRefusal::NotFound), "{name}{end}");
            }
        }
    }

    #[test]
    fn a7_a_filename_is_one_segment_whether_its_plus_is_encoded_or_not() {
        let name = "torch-1!2.5.1+cu121-cp312-cp312-linux_x86_64.whl";
        for written in [name.to_owned(), name.replace('+', "%2B"), name.replace('+', "%2b").replace('!', "%21")] {
            for (suffix, is_metadata) in [("", false), (".metadata", true), ("%2Emetadata", true)] {
                let path = format!("/files/{DIGEST}/{written}{suffix}");
                assert_eq!(parse(&path), Ok(address(None, Some(DIGEST), name, is_metadata)), "{path}");
                let path = format!("/cuda@3/files/{DIGEST}/{written}{suffix}");
                assert_eq!(parse(&path), Ok(address(Some("cuda@3"), Some(DIGEST), name, is_metadata)), "{path}");
                let path = format!("/cuda/files/unhashed/{written}{suffix}");
                assert_eq!(parse(&path), Ok(address(Some("cuda"), None, name, is_metadata)), "{path}");
            }
        }
        let twice = format!("/files/{DIGEST}/a%252Bb.whl");
        assert_eq!(parse(&twice), Ok(address(None, Some(DIGEST), "a%2Bb.whl", false)), "decoded once");
    }

    #[test]
    fn a_file_has_one_url() {
        let upper = DIGEST.to_uppercase();
        for path in [
            format!("/files/{upper}/a.whl"),
            format!("/cuda/files/{upper}/a.whl"),
            format!("/files/{}/a.whl", &DIGEST[1..]),
            format!("/files/{DIGEST}0/a.whl"),
            format!("/files/{DIGEST}/a.whl/"),
            format!("/files/{DIGEST}/"),
            format!("/files/{DIGEST}"),
            format!("/cuda/cache/files/{DIGEST}/a.whl"),
            format!("/cuda/cache/max-build=x/files/{DIGEST}/a.whl"),
            format!("/files/{DIGEST}/a/b.whl"),
            "/files/unhashed/a.whl".to_owned(),
            "/cuda/files/a.whl".to_owned(),
        ] {
            let is_page = matches!(parse(&path), Ok(Endpoint::File(_)));
            assert!(!is_page, "{path}");
        }
    }

    #[test]
    fn v2_the_document_about_variants_is_found_by_its_name_and_by_its_digest() {
        let name = "demo-1.0-variants.json";
        let found = Endpoint::Variants(of("cuda"), None, name.to_owned());
        assert_eq!(parse(&format!("/cuda/{name}")), Ok(found));
        let found = Endpoint::Variants(of("cuda"), Some(DIGEST.parse().unwrap()), name.to_owned());
        assert_eq!(parse(&format!("/cuda/variants/{DIGEST}/{name}")), Ok(found));
        for bad in [format!("/cuda/{name}/"), "/cuda/demo.json".to_owned(), format!("/cuda/variants/{DIGEST}/a.whl")] {
            assert_eq!(parse(&bad), Err(PathRefusal::NotFound), "{bad}");
        }
    }

    #[test]
    fn g7_an_upload_needs_no_slash_and_is_never_sent_elsewhere() {
        for end in ["", "/"] {
            assert_eq!(parse_upload(&format!("/search{end}")), Ok(Endpoint::Collection(of("search"))));
            assert_eq!(parse_upload(&format!("/cuda{end}")), Ok(Endpoint::Collection(of("cuda"))));
            assert_eq!(parse_upload(&format!("/cuda/simple{end}")), Ok(Endpoint::Root(of("cuda"))));
            assert_eq!(parse_upload(&format!("/cuda/legacy{end}")), Ok(Endpoint::Legacy(of("cuda"))));
            let page = Endpoint::Project(of("cuda"), "torch".parse().unwrap());
            assert_eq!(parse_upload(&format!("/cuda/simple/torch{end}")), Ok(page), "which then takes no upload");
        }
    }

    #[test]
    fn a10_nothing_in_any_place_of_a_path_leads_outside() {
        let long = "a".repeat(265);
        let bad = [
            "..",
            ".",
            "%2e%2e",
            "%2E.",
            "%2e",
            "%2F",
            "..%2F..",
            "a%2Fb",
            "a\\b",
            "%5C",
            "%00",
            "a%00",
            "%0A",
            "a%7F",
            "",
            "%ff",
            "%C3%28",
            "%c0%ae%c0%ae",
            "%u002e",
            "%2",
            &long,
        ];
        let paths = [
            "/X",
            "/X/simple/",
            "/cuda/X/",
            "/cuda/simple/X/",
            "/cuda/projects/X/",
            "/cuda@X/simple/",
            "/-/X",
            "/cuda/cache/X/simple/a/",
            "/cuda/cache/simple/X/",
        ];
        let file_paths = [format!("/files/{DIGEST}/X"), format!("/cuda/files/{DIGEST}/X"), "/files/X/a.whl".to_owned()];
        for path in paths.iter().map(|path| (*path).to_owned()).chain(file_paths) {
            for segment in bad {
                let path = path.replace('X', segment);
                let is_home = path.len() == 1 || path == "/-/";
                assert!(is_home || parse(&path) == Err(PathRefusal::NotFound), "{path}: {:?}", parse(&path));
            }
        }
        for path in ["", "*", "cuda/", "//", "//cuda/", "/cuda//simple/", "/cuda/simple//", "http://index.example/"] {
            assert_eq!(parse(path), Err(PathRefusal::NotFound), "{path}");
        }
        assert_eq!(parse(&format!("/cuda/simple/{}/", "a/".repeat(3000))), Err(PathRefusal::NotFound));
    }

    proptest! {
        #[test]
        fn any_path_has_an_answer_and_a_redirect_leads_to_one_that_has_no_other(
            path in "(/|/(cuda|files|[a-zA-Z0-9@%._-]{1,8}))(/(simple|files|projects|\\.\\.|%2e|[ -~]{0,6}|.{0,4})){0,4}/?"
        ) {
            if let Err(PathRefusal::Moved(to)) = parse(&path) {
                prop_assert!(to.is_ascii() && !to.contains("//") && !to.starts_with('/'), "{to}");
                let to = followed(&path);
                prop_assert!(parse(&to).is_ok(), "{path} to {to}");
            }
        }

        #[test]
        fn what_a_path_names_is_never_more_than_one_segment(raw in "(%[0-9a-fA-F]{2}|[ -~]){1,12}") {
            if let Ok(Endpoint::File(FileAddress { filename, .. })) = parse(&format!("/files/{DIGEST}/{raw}")) {
                prop_assert!(!filename.contains(['/', '\\', '\0']) && filename != ".." && filename != ".");
            }
        }
    }
}
