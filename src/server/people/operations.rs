//! `/_/health/`: how the store and the server do, for who may see all of it.

use super::frame::{Page, root, scrolling};
use super::{growth, holdings, remotes, words};
use crate::error::Result;
use crate::manifest::SessionRow;
use crate::ops;
use crate::ops::panel::{Due, Glance, Panel};
use crate::ops::remote::RemoteReport;
use crate::server::{Request, Server, measured, metrics};
use maud::{Markup, html};

/// Growth is told by the days until now, so many of them.
const DAYS: usize = 30;
/// A command that runs for so many seconds was hardly meant to.
const LONG_SECONDS: i64 = 86_400;
/// So many sessions are shown.
const SESSIONS: usize = 50;

/// Makes the page.
pub(super) fn page(server: &Server, request: &Request) -> Result<Page> {
    let (stamp, remotes, glance) = {
        let store = server.stores.borrow()?;
        (ops::overview::stamp(&store)?, ops::remote::remotes(&store)?, ops::panel::glance(&store)?)
    };
    let panel = measured::panel(server, Some(stamp))?;
    let now = server.now();
    let all: Vec<&RemoteReport> = remotes.iter().collect();
    let main = html! {
        h1 { "Health" }
        p.lead { "How the store and its server do. The same numbers are in " a href="../../metrics" { "the metrics" } " for Prometheus." }
        @for text in worries(&glance, &remotes, metrics::age(server), now) { p.note { (text) } }
        (facts(server, &glance, stamp)?)
        h2 { "Upkeep" }
        (upkeep(&glance, &panel, now))
        @if !all.is_empty() {
            h2 { "Remotes" }
            (remotes::table(&all, &*holdings(server, stamp)?, "../../", now))
        }
        h2 { "What retention would take" }
        @if panel.due.is_empty() { p.quiet { "No collection has rules that drop files." } }
        @else { (scrolling("due", "What retention would take", due(&panel.due))) }
        h2 { "Commands at work" }
        @if glance.sessions.is_empty() { p.quiet { "Nothing is being written." } }
        @else { (scrolling("sessions", "Commands at work", sessions(&glance.sessions, now))) }
    };
    let trail = vec![("./".to_owned(), "Health".to_owned())];
    Ok(Page { title: "Health".to_owned(), root: root(request.uri().path()), trail, main })
}

/// Returns what somebody should look at.
fn worries(glance: &Glance, remotes: &[RemoteReport], age: Option<i64>, now: i64) -> Vec<String> {
    let mut texts = Vec::new();
    if glance.lost > 0 {
        texts.push(format!("{} missing or wrong. `wcas doctor` tells which.", words::are(glance.lost, "blob")));
    }
    if glance.free_bytes.is_some_and(|free| free < (1 << 30)) {
        texts.push("Less than a gigabyte is free.".to_owned());
    }
    let failing: Vec<&str> = remotes
        .iter()
        .filter(|remote| remote.health == ops::remote::Health::Failing)
        .map(|remote| remote.name.as_str())
        .collect();
    if !failing.is_empty() {
        texts.push(format!("Failing: {}. `wcas remote list` tells why.", failing.join(", ")));
    }
    if let Some((_, failed @ 1..)) = glance.webhooks {
        let text = words::counted(failed, "change");
        texts
            .push(format!("{text} could not be told to webhooks. `wcas webhook deliveries --state failed` tells why."));
    }
    if age.is_some_and(|age| age > 60) {
        texts.push("The shared store was not heard of for more than a minute.".to_owned());
    }
    if glance.sessions.iter().any(|session| now - session.started_at > LONG_SECONDS) {
        texts.push("A command is at work for more than a day, or was cut off: the next gc clears it.".to_owned());
    }
    texts
}

fn facts(server: &Server, glance: &Glance, stamp: u64) -> Result<Markup> {
    let held = holdings(server, stamp)?;
    let grown = growth::by_day(server, stamp, DAYS)?;
    let fact = |name: &str, value: Markup| html! { div { dt { (name) } dd { (value) } } };
    Ok(html! {
        dl.facts {
            (fact("Free", html! { (glance.free_bytes.map_or_else(|| "unknown".to_owned(), words::bytes)) }))
            (fact("Blobs", html! { (words::number(held.blobs.count)) " " small { (words::bytes(held.blobs.bytes)) } }))
            (fact("Growth", html! {
                @if grown < 0 { "−" } (words::bytes(grown.unsigned_abs())) " " small { "a day, " (DAYS) " days" }
            }))
            @if let (Some(free), 1..) = (glance.free_bytes, grown) {
                (fact("Full in", html! { (room(free / grown.unsigned_abs())) " " small { "at this rate" } }))
            }
            (fact("Bad blobs", html! { (words::number(glance.lost)) }))
            @if let Some(age) = metrics::age(server) {
                (fact("Shared log read", html! { (words::number(age.unsigned_abs())) " s " small { "ago" } }))
            }
        }
    })
}

/// Tells how long the room lasts; in years nobody knows.
fn room(days: u64) -> String {
    if days > 3650 { "over 10 years".to_owned() } else { words::counted(days, "day") }
}

fn upkeep(glance: &Glance, panel: &Panel, now: i64) -> Markup {
    let time =
        |at: Option<i64>, none: &str| html! { @if let Some(at) = at { (words::time(at, now)) } @else { (none) } };
    html! {
        div.file.plain {
            dl {
                div { dt { "Last gc" } dd { (time(glance.gc_at, "none that is known")) } }
                div { dt { "Last verify" } dd { (time(panel.verified_at, "never")) } }
                div { dt { "All read since" } dd { (time(panel.verified_since, "some files were never read")) } }
                div { dt { "Never read" } dd { (words::counted(panel.unverified, "file")) } }
                @if let Some((waiting, failed)) = glance.webhooks {
                    div { dt { "Webhooks" } dd { (words::counted(waiting, "change")) " to be told, " (words::number(failed)) " given up in 30 days" } }
                }
                div { dt { "Quarantine" } dd { (words::counted(glance.quarantined, "file")) ", ever" } }
            }
        }
    }
}

fn due(all: &[Due]) -> Markup {
    html! {
        table {
            caption { "By the rules of each collection, if gc ran now; pins are heeded. Bytes that others share stay" }
            thead { tr { th scope="col" { "Collection" } th.n scope="col" { "Files" } th.n scope="col" { "Bytes" } } }
            tbody {
                @for due in all {
                    tr {
                        th scope="row" { a href={ "../../" (due.collection) "/" } { (due.collection) } }
                        @match due.files {
                            Some((files, bytes)) => { td.n { (words::number(files)) } td.n { (words::bytes(bytes)) } }
                            None => td.quiet colspan="2" { "too large to tell here: " code { "wcas gc --dry-run" } },
                        }
                    }
                }
            }
        }
    }
}

fn sessions(all: &[SessionRow], now: i64) -> Markup {
    html! {
        table {
            caption { "What writes into the store, or was cut off while it did" }
            thead { tr { th scope="col" { "Command" } th scope="col" { "Since" } th scope="col" { "Host" } th.n scope="col" { "Process" } } }
            tbody {
                @for session in all.iter().take(SESSIONS) {
                    tr {
                        th.text scope="row" { (session.command) }
                        td { (words::time(session.started_at, now)) }
                        td.wrap { (session.host) }
                        td.n { (session.pid) }
                    }
                }
            }
        }
    }
}
