//! A page's bytes: what is listed, with its links.

use super::negotiate::Form;
use super::page_cache::Made;
use super::{NoPage, remote_names};
use crate::catalog::builder_rules::CacheRules;
use crate::catalog::listed_file::line;
use crate::catalog::variant_documents::VariantsDocument;
use crate::catalog::view_contents::Shown;
use crate::digest::Sha256;
use crate::error::Result;
use crate::index::{File, Page, href, html, json};
use crate::name::ProjectName;
use crate::ops::builder_index::{Buildable, CachedProject};
use crate::server::Server;
use crate::server::endpoint::ViewName;
use crate::store::Store;
use crate::supply::Offer;
use crate::supply::listing::{Ask, Asking, Listed as ListedProject, Listing, ViewFile};
use crate::wheel::DistributionFilename;
use crate::{fs, ops};
use bytes::Bytes;
use std::borrow::Cow;
use std::cmp::Reverse;

/// What is known before a page is made.
pub(super) struct Basis {
    pub(super) view: ViewName,
    pub(super) version: i64,
    pub(super) stamp: u64,
    pub(super) cache_control: &'static str,
    pub(super) form: Form,
}

impl Basis {
    fn made(self, bytes: Vec<u8>, serial: i64) -> Made {
        let (stamp, version, form, cache_control) = (self.stamp, self.version, self.form, self.cache_control);
        let view = self.view;
        Made {
            view,
            stamp,
            version,
            until: None,
            form,
            bytes: Bytes::from(bytes),
            serial,
            cache_control,
            incomplete: None,
        }
    }
}

/// Makes the root page.
pub(super) fn root(server: &Server, view: &ViewName, basis: Basis) -> Result<std::result::Result<Made, NoPage>> {
    let store = server.stores.borrow()?;
    let shown = view.shown();
    let Some(projects) = crate::supply::listing::projects(&store, &shown)? else { return Ok(Err(NoPage::Unknown)) };
    let serial = serial(&store, &shown)?;
    let names: Vec<&str> = projects.iter().map(|(name, _)| name.as_str()).collect();
    let mut bytes = Vec::with_capacity(64 * names.len() + 512);
    let done = match basis.form.is_html() {
        true => html::root(&mut bytes, Some(serial.cast_unsigned()), &names),
        false => json::root(
            &mut bytes,
            Some(serial.cast_unsigned()),
            projects.iter().map(|(name, serial)| (name.as_str(), *serial)),
        ),
    };
    done.map_err(fs::Error::at("write", "a page"))?;
    Ok(Ok(basis.made(bytes, serial)))
}

/// Makes the page of a project.
pub(super) fn project(
    server: &Server,
    view: &ViewName,
    project: &ProjectName,
    basis: Basis,
) -> Result<std::result::Result<Made, NoPage>> {
    let store = server.stores.borrow()?;
    let shown = view.shown();
    let listing = match server.ask(&store).listing(&shown, project)? {
        ListedProject::Found(listing) => listing,
        ListedProject::Unknown => return Ok(Err(NoPage::Unknown)),
        ListedProject::Unavailable(notes) => return Ok(Err(NoPage::Unavailable(notes))),
    };
    let serial = serial(&store, &shown)?;
    let bytes = bytes(&store, project, &listing, serial, basis.form, &|sha256, filename| url(view, sha256, filename))?;
    let incomplete = listing.is_incomplete.then(|| remote_names(&listing.notes));
    Ok(Ok(Made { until: listing.fresh_until, incomplete, ..basis.made(bytes, serial) }))
}

/// Makes the page of what builders may take of a project.
pub(super) fn cache(
    server: &Server,
    view: &ViewName,
    rules: &CacheRules,
    project: &ProjectName,
    basis: Basis,
) -> Result<std::result::Result<Made, NoPage>> {
    let store = server.stores.borrow()?;
    let shown = view.shown_to_builders();
    let Some(cached) = ops::builder_index::cached(&server.ask_briefly(&store), &shown, project, rules)? else {
        return Ok(Err(NoPage::Unknown));
    };
    of_builders(&store, &shown, project, cached, basis)
}

/// Makes the page of what builders may take of a project, and what they build from.
pub(super) fn build(
    server: &Server,
    view: &ViewName,
    rules: &CacheRules,
    project: &ProjectName,
    basis: Basis,
) -> Result<std::result::Result<Made, NoPage>> {
    let store = server.stores.borrow()?;
    let shown = view.shown_to_builders();
    match ops::builder_index::buildable(&server.ask(&store), &shown, project, rules)? {
        Buildable::Found(found) => of_builders(&store, &shown, project, found, basis),
        Buildable::Unknown => Ok(Err(NoPage::Unknown)),
        Buildable::Unavailable(notes) => Ok(Err(NoPage::Unavailable(notes))),
    }
}

fn of_builders(
    store: &Store,
    shown: &Shown,
    project: &ProjectName,
    found: CachedProject,
    basis: Basis,
) -> Result<std::result::Result<Made, NoPage>> {
    let listing = found.listing();
    let serial = serial(store, shown)?;
    // Beside the page, and not among all views' files: what a cache offers is what this page lists.
    let url = |sha256: Option<&Sha256>, filename: &str| {
        let digest = sha256.map_or_else(|| "unhashed".to_owned(), ToString::to_string);
        format!("../../files/{digest}/{}", href(filename)).into()
    };
    let bytes = bytes(store, project, &listing, serial, basis.form, &url)?;
    let incomplete = (!listing.notes.is_empty()).then(|| remote_names(&listing.notes));
    Ok(Ok(Made { until: listing.fresh_until, incomplete, ..basis.made(bytes, serial) }))
}

/// Returns where a file is, from the page.
type FileUrl<'a> = &'a dyn Fn(Option<&Sha256>, &str) -> Cow<'static, str>;

fn bytes(
    store: &Store,
    project: &ProjectName,
    listing: &Listing,
    serial: i64,
    form: Form,
    place: FileUrl<'_>,
) -> Result<Vec<u8>> {
    let versions: Vec<String> = listing.files.iter().map(version).collect();
    let mut files = Vec::with_capacity(listing.files.len());
    for (held, version) in listing.files.iter().zip(&versions) {
        files.push(match held {
            ViewFile::Local(entry) => line(entry, place(Some(&entry.sha256), &entry.filename), true),
            ViewFile::Remote(offer) => remotes(store, place, offer, version)?,
        });
    }
    let documents = documents(store, listing)?;
    files.extend(documents.iter().map(|document| {
        let url = format!("../../variants/{}/{}", document.sha256, href(&document.filename));
        document.file(url.into())
    }));
    // Of a version the highest build first: some clients take the first that fits.
    let order = |file: &File<'_>| {
        let name = DistributionFilename::parse(file.filename).ok();
        (name.as_ref().map(|name| name.version().clone()), Reverse(name.and_then(|name| name.build_tag().cloned())))
    };
    files.sort_by_cached_key(|file| (order(file), file.filename));
    let status = listing.status.as_ref().map(crate::catalog::statuses::shown_status);
    let page = Page { serial: Some(serial.cast_unsigned()), status, ..Page::new(project.as_str(), &files) };
    let mut bytes = Vec::with_capacity(512 * files.len() + 512);
    let done = if form.is_html() { html::project(&mut bytes, &page) } else { json::project(&mut bytes, &page) };
    done.map_err(fs::Error::at("write", "a page"))?;
    Ok(bytes)
}

/// Makes the documents about the variant wheels that the store has.
fn documents(store: &Store, listing: &Listing) -> Result<Vec<VariantsDocument>> {
    let entries = listing.files.iter().filter_map(|held| match held {
        ViewFile::Local(entry) => Some(&**entry),
        ViewFile::Remote(_) => None,
    });
    crate::catalog::variant_documents::variants_of(&store.manifest, entries)
}

/// Returns a document about variant wheels that a view's page lists; with a digest, that one.
pub(super) fn variants(server: &Server, view: &ViewName, filename: &str) -> Result<Option<VariantsDocument>> {
    // The project's name has no hyphen in a document's filename, nor has the version.
    let Some(project) = filename.split('-').next().and_then(|name| name.parse::<ProjectName>().ok()) else {
        return Ok(None);
    };
    let store = server.stores.borrow()?;
    // Remotes have nothing to say of it.
    let ask = Ask { asking: Asking::Never, ..server.ask(&store) };
    let listed = ask.listing(&view.shown(), &project)?;
    let ListedProject::Found(listing) = listed else { return Ok(None) };
    Ok(documents(&store, &listing)?.into_iter().find(|document| document.filename == filename))
}

fn version(held: &ViewFile) -> String {
    match held {
        ViewFile::Local(entry) => entry.version.clone(),
        ViewFile::Remote(offer) => offer.file.name.version().to_string(),
    }
}

/// Returns where a file is, from its project's page: the same before and after it came from a remote, so that lock files keep it.
pub(in crate::server) fn url(view: &ViewName, sha256: Option<&Sha256>, filename: &str) -> Cow<'static, str> {
    let up = if view.at.is_some() || sha256.is_none() { "../.." } else { "../../.." };
    let digest = sha256.map_or_else(|| "unhashed".to_owned(), ToString::to_string);
    format!("{up}/files/{digest}/{}", href(filename)).into()
}

fn remotes<'a>(store: &Store, place: FileUrl<'_>, offer: &'a Offer, version: &'a str) -> Result<File<'a>> {
    let file = &offer.file;
    let kept = match &file.sha256 {
        Some(sha256) => store.manifest.remote_metadata_digest(offer.remote.id, sha256)?,
        None => None,
    };
    Ok(File {
        filename: file.name.as_str(),
        project: file.name.project().as_str(),
        version,
        url: place(file.sha256.as_ref(), file.name.as_str()),
        sha256: file.sha256,
        blake3: None,
        size: file.size,
        upload_time: file.uploaded_at,
        is_first_seen: file.is_first_seen,
        requires_python: file.requires_python.as_deref(),
        yanked: file.yanked.as_deref(),
        sidecar: crate::supply::sidecar_of(file, kept),
        provenance: file.provenance.as_deref(),
    })
}

/// Returns a number that only grows while a view changes.
pub(super) fn serial(store: &Store, shown: &Shown) -> Result<i64> {
    crate::supply::listing::serial(store, shown)
}
