//! `/{view}/projects/{project}/`: the files that the view lists, by version, and what else is known of the project.

use super::act::Desk;
use super::file::{FileSight, card};
use super::frame::{Page, root, scrolling};
use super::matrix::{self, Builds};
use super::{about, needs, setup, subjects, words};
use crate::catalog::view_contents::HeldBack;
use crate::error::Result;
use crate::name::ProjectName;
use crate::ops;
use crate::ops::histories::FileHistory;
use crate::server::discretion::Discretion;
use crate::server::endpoint::ViewName;
use crate::server::verb::Verb;
use crate::server::{Request, Server};
use crate::status::Status;
use crate::store::Store;
use crate::supply::PullNote;
use crate::supply::listing::{Listing, ViewFile};
use crate::wheel::DistributionFilename;
use maud::{Markup, html};
use pep440_rs::Version;
use std::collections::{BTreeMap, BTreeSet};

/// So many versions are on a page that isn't asked for all.
const VERSIONS: usize = 20;
/// So many files that are not listed are told.
const OTHERS: usize = 100;

/// Why there is no page.
pub(super) enum NoProject {
    /// The view doesn't have it.
    Unknown,
    /// A remote that may have it can't be asked.
    Unavailable(Vec<PullNote>),
}

/// Makes the page; with what remotes said, which the log is to tell.
pub(super) fn page(
    server: &Server,
    request: &Request,
    view: &ViewName,
    project: &ProjectName,
) -> Result<std::result::Result<(Page, Vec<PullNote>), NoProject>> {
    let discretion = Discretion::of(server, request)?;
    let store = server.stores.borrow()?;
    let listed = server.ask(&store).listing(&view.shown(), project)?;
    let mut held_back = match view.at {
        None => crate::catalog::view_contents::held_back(&store, &view.name, project)?,
        Some(_) => Vec::new(),
    };
    held_back.retain(|file| discretion.may_read(&file.collection));
    let listing = match listed {
        crate::supply::listing::Listed::Found(listing) => listing,
        // Who looks for what others built is told why it isn't there.
        crate::supply::listing::Listed::Unknown if !held_back.is_empty() => Listing::default(),
        crate::supply::listing::Listed::Unknown => return Ok(Err(NoProject::Unknown)),
        crate::supply::listing::Listed::Unavailable(notes) => return Ok(Err(NoProject::Unavailable(notes))),
    };
    let _turn = server.wide_reads.hold(1);
    let histories = ops::histories::histories(&store, project, |name| discretion.may_read(name))?;
    let versions = by_version(&listing);
    let is_all = request.uri().query().is_some_and(|query| query.split('&').any(|part| part == "all"));
    let shown = if is_all { versions.len() } else { versions.len().min(VERSIONS) };
    let now = server.now();
    let said = about::of_newest(&store, &versions)?;
    let builds = Builds {
        project,
        listed: &listing.files,
        histories: &histories,
        held_back: &held_back,
        wanted: wanted(&store, view, project)?,
    };
    let desk = Desk::of(server, request)?;
    let main = html! {
        h1 { (project) }
        @if let Some(summary) = said.as_ref().and_then(|(_, said)| said.summary.as_ref()) { p.lead { (summary) } }
        (facts(view, project, &listing, versions.len()))
        (notes(&listing, &discretion))
        @if !listing.files.is_empty() { (install(&setup::url(server, request, view), project)) }
        (ways(said.is_some(), versions.len()))
        @if let Some((version, said)) = &said { (about::fields(version, said)) }
        (matrix::section(&store, &builds, if is_all { usize::MAX } else { VERSIONS })?)
        @if let Some((_, said)) = &said { (needs::section(server, &store, view, said, &discretion)?) }
        (needs::needed_by(server, &store, view, project)?)
        @if let Some((_, said)) = &said { (about::description(said)) }
        @for (place, (version, files)) in versions.iter().take(shown).enumerate() {
            section aria-labelledby={ "v" (place) } {
                h2 id={ "v" (place) } { (version) }
                (acts(&desk, view, project, (version, files.as_slice())))
                @for held in files {
                    @let sight = FileSight { view, held, history: histories.get(held.filename()), discretion: &discretion, now, root: "../../../" };
                    (card(&store, &sight)?)
                }
            }
        }
        @if shown < versions.len() {
            p { a href="./?all" { "All " (words::counted(versions.len() as u64, "version")) } }
        }
        (foreign(view, &held_back))
        (others(&listing, &histories, now))
    };
    let title = format!("{project} in {view}");
    let trail = vec![("../../".to_owned(), view.to_string()), ("./".to_owned(), project.to_string())];
    Ok(Ok((Page { title, root: root(request.uri().path()), trail, main }, listing.notes)))
}

/// Leads to what may be done to a version, in each collection that its files are of.
fn acts(desk: &Desk, view: &ViewName, project: &ProjectName, (version, files): (&Version, &[&ViewFile])) -> Markup {
    // `==2.5.1` would take 2.5.1+cu121, too.
    let equals = if version.is_local() { "==" } else { "===" };
    let spec = format!("{project}{equals}{version}");
    let of = |held: &&ViewFile| match held {
        ViewFile::Local(entry) => Some(entry.collection.clone()),
        ViewFile::Remote(_) => None,
    };
    let places: BTreeSet<_> = files.iter().filter_map(of).collect();
    html! {
        @for place in places.iter().filter(|_| view.at.is_none()) {
            (desk.to_files(("../../../", view), place, project, &spec, &[Verb::Yank, Verb::Block, Verb::Promote]))
        }
    }
}

/// Groups the files by version, newest first; wheels of a version by name.
fn by_version(listing: &Listing) -> Vec<(Version, Vec<&ViewFile>)> {
    let mut versions: BTreeMap<Version, Vec<&ViewFile>> = BTreeMap::new();
    for held in &listing.files {
        if let Ok(name) = DistributionFilename::parse(held.filename()) {
            versions.entry(name.version().clone()).or_default().push(held);
        }
    }
    versions.values_mut().for_each(|files| files.sort_by_key(|held| held.filename()));
    versions.into_iter().rev().collect()
}

fn install(url: &str, project: &ProjectName) -> Markup {
    html! {
        pre tabindex="0" role="region" aria-label="How to install it" {
            code {
                "pip install --index-url " (url) "simple/ "
                @if let Some(host) = setup::trusted_host(url) { "--trusted-host " (host) " " }
                (project)
            }
        }
    }
}

/// Shows what else is on the page.
fn ways(is_told: bool, versions: usize) -> Markup {
    html! {
        nav.pager aria-label="On this page" {
            @if is_told { a href="#about" { "About" } }
            @if versions > 0 { a href="#builds" { "Builds" } }
            @if is_told { a href="#needs" { "Needs" } }
            a href="#needed" { "Needed by" }
            @if is_told { a href="#description" { "Description" } }
            @if versions > 0 { a href="#v0" { "Files" } }
        }
    }
}

/// Returns how often builders of a variant asked for a project in vain.
fn wanted(store: &Store, view: &ViewName, project: &ProjectName) -> Result<Option<u64>> {
    let wants = if view.at.is_none() { store.manifest.read()?.wants()? } else { Vec::new() };
    Ok(wants.into_iter().find(|row| row.variant == view.name && row.project == *project).map(|row| row.count))
}

fn facts(view: &ViewName, project: &ProjectName, listing: &Listing, versions: usize) -> Markup {
    let local = listing.files.iter().filter_map(|held| match held {
        ViewFile::Local(entry) => Some(entry.size),
        ViewFile::Remote(_) => None,
    });
    let (count, size) = local.fold((0_u64, 0), |(count, size), own| (count + 1, size + own));
    let elsewhere = listing.files.len() as u64 - count;
    html! {
        dl.facts {
            div { dt { "Versions" } dd { (words::number(versions as u64)) } }
            div { dt { "Files in the store" } dd { (words::number(count)) " " small { (words::bytes(size)) } } }
            @if elsewhere > 0 { div { dt { "Only at remotes yet" } dd { (words::number(elsewhere)) } } }
            div { dt { "As clients see it" } dd { a href={ "../../simple/" (project) "/" } { (view) } } }
        }
    }
}

fn notes(listing: &Listing, discretion: &Discretion) -> Markup {
    html! {
        @if let Some(row) = &listing.status {
            p.note {
                b { "This project is " (row.status) "." }
                @if let Some(reason) = &row.reason { " " (reason) }
                @if row.status == Status::Quarantined { " None of its files is offered." }
            }
        }
        @for subject in subjects(discretion, &listing.notes) {
            p.note {
                (subject) " can't be asked just now, or must not be; the server's log says why. "
                @if listing.is_incomplete { "Its files are missing here." } @else { "What is shown of it is what it had before, if anything." }
            }
        }
    }
}

/// Shows the files that are not for this variant, and why.
fn foreign(view: &ViewName, held_back: &[HeldBack]) -> Markup {
    let Some(first) = held_back.first() else { return html! {} };
    let is_same = held_back.iter().all(|file| file.reason == first.reason);
    let body = html! {
        table {
            caption { "Files that are not offered to " (view.name) }
            thead {
                tr { th scope="col" { "File" } th scope="col" { "Collection" } @if !is_same { th scope="col" { "Why" } } }
            }
            tbody {
                @for file in held_back.iter().take(OTHERS) {
                    tr {
                        th.text scope="row" { (file.filename) }
                        td { a href={ "../../../" (file.collection) "/" } { (file.collection) } }
                        @if !is_same { td { (file.reason) } }
                    }
                }
            }
        }
    };
    html! {
        h2 { "Held back" }
        @if is_same { p { (first.reason) "." } }
        (scrolling("held-back", "Files that are held back", body))
        @if held_back.len() > OTHERS { p.quiet { (words::number((held_back.len() - OTHERS) as u64)) " more" } }
    }
}

/// Shows the files that the view doesn't list: those of other collections, and those that were removed.
fn others(listing: &Listing, histories: &BTreeMap<String, FileHistory>, now: i64) -> Markup {
    let listed: BTreeSet<&str> = listing.files.iter().map(ViewFile::filename).collect();
    let rows = histories.iter().filter(|(filename, _)| !listed.contains(filename.as_str()));
    let rows: Vec<_> = rows.flat_map(|(_, history)| history.live.iter().chain(&history.removed)).collect();
    if rows.is_empty() {
        return html! {};
    }
    let body = html! {
        table {
            caption { "In other collections, hidden by a nearer one, or removed" }
            thead {
                tr {
                    th scope="col" { "File" }
                    th scope="col" { "Collection" }
                    th scope="col" { "State" }
                    th.n scope="col" { "Size" }
                    th scope="col" { "SHA-256" }
                }
            }
            tbody {
                @for entry in rows.iter().take(OTHERS) {
                    tr {
                        th.text scope="row" { (entry.filename) }
                        td { a href={ "../../../" (entry.collection) "/" } { (entry.collection) } }
                        td { (super::file::state(entry, now)) }
                        td.n { (words::bytes(entry.size)) }
                        td { (super::file::short(&entry.sha256)) }
                    }
                }
            }
        }
    };
    html! {
        h2 { "Not listed here" }
        (scrolling("others", "Files that are not listed here", body))
        @if rows.len() > OTHERS { p.quiet { (words::number((rows.len() - OTHERS) as u64)) " more" } }
    }
}
