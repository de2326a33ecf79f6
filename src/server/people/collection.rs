//! `/{view}/`: what the view is, how clients use it, its projects, and what happened to it.

use super::act::{Desk, Line};
use super::frame::Heading::{Number, Text};
use super::frame::{Page, root, scrolling, table_with};
use super::search::{PAGE, SearchQuery};
use super::{projects, setup, words};
use crate::error::Result;
use crate::manifest::{OperationRow, SnapshotRow, Strategy};
use crate::name::{CollectionName, ProjectName};
use crate::ops;
use crate::ops::about::AboutView;
use crate::server::access::{self, Readable};
use crate::server::endpoint::ViewName;
use crate::server::{Request, Server};
use maud::{Markup, html};

/// So many wanted projects are shown.
const MAX_WANTED: usize = 20;

/// Makes the page, and tells where the feed of what changes is, if anything does; `None`: there is no such view.
pub(super) fn page(server: &Server, request: &Request, view: &ViewName) -> Result<Option<(Page, Option<String>)>> {
    let about = ops::about::about(&*server.stores.borrow()?, &view.shown())?;
    let (Some(about), Some(projects)) = (about, projects(server, view)?) else { return Ok(None) };
    let readable = access::readable(server, request)?;
    let asked = SearchQuery::read(request.uri().query());
    let now = server.now();
    let desk = Desk::of(server, request)?;
    let main = html! {
        h1 { (view) }
        (what(view, &about, &readable))
        p { a href="#clients" { "Settings for pip, uv, Poetry, PDM, conda, Docker, CI and others" } }
        div.two {
            section aria-labelledby="projects" { (list(&about, &asked, &projects)) }
            section aria-labelledby="clients" {
                h2 #clients { "Settings for clients" }
                (setup::settings(server, request, view))
            }
        }
        (remotes(&about, &readable, now))
        (wanted(server, view, now)?)
        (history(view, &about, &desk, readable == Readable::All, now))
    };
    let title = view.to_string();
    let trail = vec![("./".to_owned(), title.clone())];
    let feed = (about.at.is_none() && about.own.is_some()).then(|| "./changes.atom".to_owned());
    Ok(Some((Page { title, root: root(request.uri().path()), trail, main }, feed)))
}

fn what(view: &ViewName, about: &AboutView, readable: &Readable) -> Markup {
    let name = &view.name;
    html! {
        @match about.at {
            Some(revision) => p.lead {
                "The collection " a href={ "../" (name) "/" } { (name) } " as it was at revision " (revision)
                @if view.at.as_ref().is_some_and(|at| *at != revision.to_string()) { ", kept under this name" }
                ". Its files stay the same, and no remote is asked."
            }
            None => p.lead {
                @match &about.own {
                    Some(own) => { "A collection, at revision " (own.revision) "." }
                    None => { "A variant without a collection of its own." }
                }
                @if about.order.len() > 1 { " " (order(about, readable)) }
            }
        }
        @if about.own.as_ref().is_some_and(|own| own.settings.hides_variants) {
            p.quiet { "Wheels with a variant label are left out of its pages." }
        }
        @let seen: Vec<_> = about.overrides.iter().filter(|(_, name)| readable.includes(name)).collect();
        @if !seen.is_empty() {
            details.more {
                summary { (words::counted(seen.len() as u64, "project")) " with a collection of their own" }
                ul.projects {
                    @for (project, collection) in seen {
                        li { (project) " from " a href={ "../" (collection) "/" } { (collection) } }
                    }
                }
            }
        }
    }
}

fn order(about: &AboutView, readable: &Readable) -> Markup {
    let seen: Vec<&CollectionName> =
        about.order.iter().map(|row| &row.name).filter(|name| readable.includes(name)).collect();
    let hidden = about.order.len() - seen.len();
    html! {
        "A project is looked for in "
        @for (place, name) in seen.iter().enumerate() {
            @if place > 0 { ", then " }
            a href={ "../" (name) "/" } { (name) }
        }
        @if hidden > 0 { ", and in " (hidden) " more that you may not read" }
        @match about.strategy {
            Strategy::Nearest => { "; the first that has it hides it in the others." }
            Strategy::Union => { "; all that have it are put together, the nearest of one filename first." }
        }
    }
}

fn list(about: &AboutView, asked: &SearchQuery, projects: &[ProjectName]) -> Markup {
    let found = asked.of(projects);
    let pages = found.len().div_ceil(PAGE).max(1);
    let page = asked.page.min(pages - 1);
    let shown = &found[page * PAGE..found.len().min((page + 1) * PAGE)];
    // A remote's projects are not known before somebody asks for one.
    let elsewhere = asked.name().filter(|name| !about.remotes.is_empty() && !found.contains(&name));
    html! {
        h2 #projects { "Projects" }
        form.search role="search" method="get" action="./" {
            label for="q" { "A project's name, or a part of it" }
            input #q type="search" name="q" value=(asked.text) maxlength="100" autocomplete="off" spellcheck="false";
            button type="submit" { "Search" }
        }
        p.quiet {
            @if asked.text.is_empty() { (words::counted(found.len() as u64, "project")) }
            @else { (words::number(found.len() as u64)) " of " (words::counted(projects.len() as u64, "project")) " · " a href="./" { "all" } }
            @if !shown.is_empty() && pages > 1 {
                ", " (page * PAGE + 1) " to " (page * PAGE + shown.len())
            }
            @if !about.remotes.is_empty() { "; what only a remote has comes when it is asked for" }
        }
        @if let Some(name) = elsewhere {
            p { "Ask the remotes for " a href={ "projects/" (name) "/" } { (name) } "." }
        }
        ul.projects { @for name in shown { li { a href={ "projects/" (name) "/" } { (name) } } } }
        @if pages > 1 { (pager(asked, page, pages)) }
    }
}

fn pager(asked: &SearchQuery, page: usize, pages: usize) -> Markup {
    html! {
        nav.pager aria-label="Pages of projects" {
            @if page > 0 { a rel="prev" href={ "./" (asked.at(page - 1)) } { "← Previous" } }
            span.quiet { "Page " (page + 1) " of " (pages) }
            @if page + 1 < pages { a rel="next" href={ "./" (asked.at(page + 1)) } { "Next →" } }
        }
    }
}

/// What builders asked for in vain: the first few, as `wcas wants` has them all.
fn wanted(server: &Server, view: &ViewName, now: i64) -> Result<Markup> {
    if view.at.is_some() {
        return Ok(html! {});
    }
    // Anybody may want anything: no more are looked for than are shown.
    let all =
        ops::builder_index::wanted(&*server.stores.borrow()?, &server.context(), Some(&view.name), MAX_WANTED + 1)?;
    if all.is_empty() {
        return Ok(html! {});
    }
    let table = html! {
        table {
            thead { tr { th scope="col" { "Project" } th scope="col" { "Times" } th scope="col" { "Last" } } }
            tbody {
                @for want in all.iter().take(MAX_WANTED) {
                    tr { th scope="row" { (want.project) } td { (words::number(want.count)) } td { (words::time(want.last_at, now)) } }
                }
            }
        }
    };
    Ok(html! {
        section aria-labelledby="wants" {
            h2 #wants { "Wanted" }
            p.quiet {
                "Builders asked the cache for "
                @if all.len() > MAX_WANTED { "more than " }
                (words::counted(all.len().min(MAX_WANTED) as u64, "project")) " that it has nothing of"
                @if all.len() > MAX_WANTED { "; the most wanted" }
                "."
            }
            (scrolling("wanted", "Wanted projects", table))
        }
    })
}

fn remotes(about: &AboutView, readable: &Readable, now: i64) -> Markup {
    let seen: Vec<_> = about.remotes.iter().filter(|remote| readable.includes(&remote.collection)).collect();
    if seen.is_empty() {
        return html! {};
    }
    let columns = [
        Text("Remote"),
        Text("Health"),
        Text("Pulls into"),
        Text("URL"),
        Text("Only"),
        Text("Except"),
        Text("Last answer"),
    ];
    let body = table_with(
        "In the order in which they are asked",
        &columns,
        html! {
            @for remote in seen {
                tr {
                    th scope="row" { (remote.name) }
                    td { (super::health(remote.health)) }
                    td { a href={ "../" (remote.collection) "/" } { (remote.collection) } }
                    td.text { (remote.settings.url) }
                    td.wrap { (patterns(&remote.settings.only, "all")) }
                    td.wrap { (patterns(&remote.settings.except, "none")) }
                    td { @if let Some(at) = remote.ok_at { (words::time(at, now)) } @else { "none yet" } }
                }
            }
        },
    );
    html! { h2 { "Remotes" } (scrolling("remotes", "Remotes", body)) }
}

fn patterns(patterns: &[crate::requirement::ProjectPattern], none: &str) -> String {
    let texts: Vec<String> = patterns.iter().map(ToString::to_string).collect();
    if texts.is_empty() { none.to_owned() } else { texts.join(", ") }
}

fn history(view: &ViewName, about: &AboutView, desk: &Desk, is_all: bool, now: i64) -> Markup {
    let Some(own) = &about.own else { return html! {} };
    html! {
        @if !about.snapshots.is_empty() {
            h2 { "Snapshots" }
            (scrolling("snapshots", "Snapshots", snapshots(view, &about.snapshots, now)))
        }
        @if !about.revisions.is_empty() {
            h2 { "Recent revisions" }
            @let desk = Some(desk).filter(|desk| view.at.is_none() && desk.acts_on(&view.name));
            (scrolling("revisions", "Recent revisions", revisions(view, (about, own.complete_since), desk, is_all, now)))
        }
    }
}

fn snapshots(view: &ViewName, snapshots: &[SnapshotRow], now: i64) -> Markup {
    let columns = [Text("Name"), Number("Revision"), Text("Made")];
    table_with(
        "Revisions that are kept under a name, with their own pages",
        &columns,
        html! {
            @for snapshot in snapshots {
                tr {
                    th scope="row" { a href={ "../" (view.name) "@" (snapshot.name) "/" } { (snapshot.name) } }
                    td.n { (snapshot.revision) }
                    td { (words::time(snapshot.created_at, now)) }
                }
            }
        },
    )
}

fn revisions(
    view: &ViewName,
    (about, complete_since): (&AboutView, i64),
    desk: Option<&Desk>,
    is_all: bool,
    now: i64,
) -> Markup {
    let is_whole =
        |number: i64| number >= complete_since || about.snapshots.iter().any(|snapshot| snapshot.revision == number);
    html! {
        table {
            caption { "The newest changes of the collection " (view.name) }
            thead {
                tr {
                    th scope="col" { "Revision" }
                    th scope="col" { "When" }
                    th scope="col" { "What" }
                    th.n scope="col" { "Added" }
                    th.n scope="col" { "Removed" }
                    th scope="col" { "Difference" }
                    @if is_all { th scope="col" { "Who" } }
                    @if desk.is_some() { th scope="col" { "Actions" } }
                }
            }
            tbody {
                @for OperationRow { revision, .. } in &about.revisions {
                    tr {
                        th scope="row" {
                            @if is_whole(revision.number) {
                                a href={ "../" (view.name) "@" (revision.number) "/" } { (revision.number) }
                            } @else { (revision.number) }
                        }
                        td { (words::time(revision.at, now)) }
                        td.text {
                            b { (revision.kind) }
                            // The words may name other collections.
                            @if is_all { " " (revision.what) }
                            @if revision.undone_by.is_some() { " " span.mark.warn { "undone" } }
                        }
                        td.n { (words::number(revision.added.unsigned_abs())) }
                        td.n { (words::number(revision.removed.unsigned_abs())) }
                        td { @if is_whole(revision.number) && is_whole(revision.number - 1) { (difference(view, revision.number)) } }
                        // Names of tokens, people and machines.
                        @if is_all { td.wrap { (revision.who) } }
                        @if let Some(desk) = desk {
                            @let is_old = about.own.as_ref().is_some_and(|own| own.revision != revision.number);
                            td.acts { (desk.to_history("../", &view.name, &Line::of(revision, is_old && is_whole(revision.number)))) }
                        }
                    }
                }
            }
        }
    }
}

/// Leads to what a revision changed.
fn difference(view: &ViewName, number: i64) -> Markup {
    let before = number - 1;
    html! { a href={ "../" (view.name) "@" (before) "..." (number) "/" } { (before) "…" (number) } }
}
