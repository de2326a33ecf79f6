//! What a path asks for. Pure: no disk, no store, no headers.
//!
//! Paths that name one thing in several ways lead to one of them by a redirect, relative, so that it holds behind any proxy. A
//! segment is decoded once; nothing of it ever becomes a path on a disk.

use crate::digest::Sha256;
use crate::name::{CollectionName, ProjectName};
use std::fmt;

/// A collection or variant, as it is served: what it sees now, or the collection alone as it was at a revision.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ViewName {
    /// The collection or variant.
    pub name: CollectionName,
    /// A revision's number or a snapshot's name.
    pub at: Option<String>,
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
    /// `/-/NAME`: a style sheet or an icon of the pages for people.
    Asset(String),
    /// `/{view}/`: the page about a collection; uploads, too.
    Collection(ViewName),
    /// `/{view}/projects/{project}/`: the page about a project.
    ProjectPage(ViewName, ProjectName),
    /// `/{view}/simple/`: the index's root; uploads, too.
    Root(ViewName),
    /// `/{view}/simple/{project}/`: the index's page of a project.
    Project(ViewName, ProjectName),
    /// `/{view}/legacy/`: uploads.
    Legacy(ViewName),
    /// `/{view}/{project}-{version}-variants.json`, or at its digest: `/{view}/variants/{sha256}/{filename}`.
    Variants(ViewName, Option<Sha256>, String),
    /// `/files/{sha256}/{filename}`, or of a view: `/{view}/files/{sha256}/{filename}`.
    File(FileAddress),
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
pub enum Astray {
    /// It is called otherwise: a location relative to the path.
    Moved(String),
    /// It can't be anything.
    NotFound,
}

/// Returns what a path asks for. The path begins with a slash, is percent-encoded, and has no query.
pub fn parse(path: &str) -> Result<Endpoint, Astray> {
    match path {
        "/" => Ok(Endpoint::Home),
        "/healthz" => Ok(Endpoint::Health),
        "/metrics" => Ok(Endpoint::Metrics),
        _ => Err(Astray::NotFound),
    }
}

impl fmt::Display for ViewName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.at {
            Some(at) => write!(f, "{}@{at}", self.name),
            None => self.name.fmt(f),
        }
    }
}
