//! `/_/history/`: what happened to all collections, what they share, how the store came to its size.

use super::act::{Desk, Line};
use super::frame::{Page, root, scrolling};
use super::{growth, lanes, words};
use crate::error::Result;
use crate::name::CollectionName;
use crate::ops::activity::{Activity, Change};
use crate::server::access::{self, Readable};
use crate::server::{Request, Server, measured};
use maud::{Markup, html};
use std::sync::Arc;

/// Makes the page.
pub(super) fn page(server: &Server, request: &Request) -> Result<Page> {
    let may = access::readable(server, request)?;
    let before = before(request.uri().query());
    let only = match &may {
        Readable::Only(name) => Some(name),
        Readable::All | Readable::Nothing => None,
    };
    let activity = match may {
        Readable::Nothing => Arc::new(Activity { changes: Vec::new(), more_before: None }),
        Readable::All | Readable::Only(_) => measured::activity(server, only, before)?,
    };
    let is_all = may == Readable::All;
    let desk = Desk::of(server, request)?;
    let main = html! {
        h1 { "History" }
        p.lead { "What happened to collections, newest first. Each line leads to what it changed." }
        @if activity.changes.is_empty() {
            p.quiet { @if before.is_some() { "There is nothing older." } @else { "Nothing has happened yet." } }
        } @else {
            h2 { "Lanes" }
            (lanes::draw(&activity.changes, &may))
            h2 { "Changes" }
            (scrolling("changes", "Changes", table(&activity.changes, &may, &desk, server.now())))
        }
        nav.pager aria-label="Pages of history" {
            @if before.is_some() { a href="./" { "Newest" } }
            @if let Some(operation) = activity.more_before { a rel="next" href={ "./?before=" (operation) } { "Older" } }
        }
        @if before.is_none() { (growth::sections(server, &may)?) }
        @if !is_all { p.quiet { "You see what your token may read." } }
    };
    let trail = vec![("./".to_owned(), "History".to_owned())];
    Ok(Page { title: "History".to_owned(), root: root(request.uri().path()), trail, main })
}

/// Reads before which operation history is asked for.
fn before(query: Option<&str>) -> Option<i64> {
    let pairs = url::form_urlencoded::parse(query.unwrap_or("").as_bytes());
    pairs.filter(|(name, _)| name == "before").find_map(|(_, value)| value.parse().ok())
}

fn table(changes: &[Change], may: &Readable, desk: &Desk, now: i64) -> Markup {
    let is_all = *may == Readable::All;
    let has_acts = changes.iter().any(|change| desk.acts_on(&change.row.collection));
    html! {
        table {
            caption { "The same as in the drawing, newest first" }
            thead {
                tr {
                    th scope="col" { "When" }
                    th scope="col" { "Revision" }
                    th scope="col" { "What" }
                    th.n scope="col" { "Added" }
                    th.n scope="col" { "Removed" }
                    th scope="col" { "Difference" }
                    @if is_all { th scope="col" { "Who" } }
                    @if has_acts { th scope="col" { "Actions" } }
                }
            }
            tbody { @for change in changes { (row(change, may, has_acts.then_some(desk), now)) } }
        }
    }
}

fn row(change: &Change, may: &Readable, desk: Option<&Desk>, now: i64) -> Markup {
    let (name, revision) = (&change.row.collection, &change.row.revision);
    html! {
        tr {
            td { (words::time(revision.at, now)) }
            th scope="row" {
                @let text = format!("{name}@{}", revision.number);
                @if change.is_whole { a href={ "../../" (text) "/" } { (text) } } @else { (text) }
                @for snapshot in &change.snapshots {
                    " " a.mark.quiet href={ "../../" (name) "@" (snapshot) "/" } { "snapshot " (snapshot) }
                }
            }
            td.text {
                b { (revision.kind) }
                // The words may name other collections.
                @if *may == Readable::All { " " (revision.what) }
                @else if let Some(from) = source(change, may) { " from " (from) }
                @else if let Some(to) = change.back_to { " to " (to) }
                @if revision.undone_by.is_some() { " " span.mark.warn { "undone" } }
            }
            td.n { (size(revision.added, change.added_bytes)) }
            td.n { (size(revision.removed, change.removed_bytes)) }
            td { (difference("../../", change)) }
            @if *may == Readable::All { td.wrap { (revision.who) } }
            @if let Some(desk) = desk { td.acts { (desk.to_history("../../", name, &Line::of(revision, change.is_whole))) } }
        }
    }
}

/// Returns the collection that a change came from, if the requester may know of it.
pub(super) fn source<'a>(change: &'a Change, may: &Readable) -> Option<&'a CollectionName> {
    change.source.as_ref().filter(|name| may.includes(name))
}

fn size(count: i64, bytes: u64) -> Markup {
    html! {
        (words::number(count.unsigned_abs()))
        @if bytes > 0 { " " small.quiet { (words::bytes(bytes)) } }
    }
}

/// Leads from a change to what it changed.
fn difference(up: &str, change: &Change) -> Markup {
    let (name, number) = (&change.row.collection, change.row.revision.number);
    html! {
        @if change.can_compare { a href={ (up) (name) "@" (number - 1) "..." (number) "/" } { (number - 1) "…" (number) } }
        @else { span.quiet { "not kept" } }
    }
}
