//! `/`: what the store holds and saves, how it answers, its remotes, and what happened lately.

use super::act::Desk;
use super::frame::Heading::{Number, Text};
use super::frame::{Page, root, scrolling, table_with};
use super::{chart, holdings, words};
use crate::error::Result;
use crate::manifest::OperationRow;
use crate::name::CollectionName;
use crate::ops;
use crate::ops::overview::{DayLookups, ServedName};
use crate::ops::remote::RemoteReport;
use crate::ops::stats::{CollectionStats, StatsReport};
use crate::server::{Request, Server, access};
use maud::{Markup, html};
use std::collections::{BTreeMap, BTreeSet};

/// So many days are drawn.
const DAYS: i64 = 30;

/// Makes the page.
pub(super) fn page(server: &Server, request: &Request) -> Result<Page> {
    let (now, today) = (server.now(), server.now().div_euclid(86_400));
    let (overview, remotes) = {
        let store = server.stores.borrow()?;
        (ops::overview::overview(&store, today - DAYS + 1)?, ops::remote::remotes(&store)?)
    };
    let held = holdings(server, overview.stamp)?;
    let may = access::readable(server, request)?;
    let readable: BTreeSet<&CollectionName> =
        overview.names.iter().map(|served| &served.name).filter(|name| may.includes(name)).collect();
    let is_all = readable.len() == overview.names.len();
    let names: Vec<&ServedName> = overview.names.iter().filter(|served| readable.contains(&served.name)).collect();
    let collections: Vec<&CollectionStats> =
        held.collections.iter().filter(|stats| readable.contains(&stats.name)).collect();
    let lookups = overview.lookups.iter().filter(|(name, _)| readable.iter().any(|own| own.as_str() == *name));
    let lookups: BTreeMap<&str, &BTreeMap<i64, DayLookups>> =
        lookups.map(|(name, days)| (name.as_str(), days)).collect();
    let remotes: Vec<&RemoteReport> = remotes.iter().filter(|remote| readable.contains(&remote.collection)).collect();
    let changes: Vec<&OperationRow> =
        overview.changes.iter().filter(|change| readable.contains(&change.collection)).collect();
    let main = html! {
        h1 { "Wheels by collection" }
        p.lead {
            "Each collection and each variant is an index of its own for pip, uv, poetry and other clients. Its page says how to use it."
        }
        // Totals would tell of what may not be read.
        @if is_all { (facts(&held, collections.len(), names.len())) }
        (table_of_names(&names, &collections, &lookups))
        @if is_all && held.entries.bytes > 0 { (saved(&held)) }
        (answered(&lookups, today))
        @if !remotes.is_empty() { (table_of_remotes(&remotes, &held, now)) }
        (table_of_changes(&changes, is_all, now))
        (Desk::of(server, request)?.account("./"))
    };
    Ok(Page { title: "wcas".to_owned(), root: root(request.uri().path()), trail: Vec::new(), main })
}

fn facts(held: &StatsReport, collections: usize, names: usize) -> Markup {
    html! {
        dl.facts {
            div { dt { "Blobs" } dd { (words::number(held.blobs.count)) " " small { (words::bytes(held.blobs.bytes)) } } }
            div {
                dt { "Distributions" }
                dd { (words::number(held.entries.count)) " " small { "in all collections" } }
            }
            div { dt { "Saved by sharing" } dd { (words::bytes(held.saved_bytes)) } }
            div { dt { "Collections" } dd { (words::number(collections as u64)) } }
            @if names > collections { div { dt { "Variants beside them" } dd { (words::number((names - collections) as u64)) } } }
        }
    }
}

fn table_of_names(
    names: &[&ServedName],
    collections: &[&CollectionStats],
    lookups: &BTreeMap<&str, &BTreeMap<i64, DayLookups>>,
) -> Markup {
    let largest = collections.iter().map(|stats| stats.bytes).max().unwrap_or(0);
    if names.is_empty() {
        return html! {
            h2 { "Collections" }
            p { "There are none that you may read yet. " code { "wcas import WHEELS --collection NAME" } " makes one." }
        };
    }
    let columns = [
        Text("Name"),
        Number("Distributions"),
        Number("Size"),
        Number("Unique"),
        Number("Shared"),
        Text("Unique and shared"),
        Number("Hit rate"),
        Number("Revision"),
    ];
    let body = table_with(
        "What each holds, and what it shares with others",
        &columns,
        html! {
            @for served in names {
                @let stats = collections.iter().find(|stats| stats.name == served.name);
                (row_of_name(served, stats.copied(), rate(lookups.get(served.name.as_str()).copied()), largest))
            }
        },
    );
    html! {
        h2 { "Collections and variants" }
        (scrolling("collections", "Collections and variants", body))
        (chart::key(&[("own", html! { "in no other collection" }), ("other", html! { "shared with others" })]))
    }
}

fn row_of_name(served: &ServedName, stats: Option<&CollectionStats>, rate: String, largest: u64) -> Markup {
    html! {
        tr {
            th scope="row" { a href={ "./" (served.name) "/" } { (served.name) } }
            @match stats {
                Some(stats) => {
                    td.n { (words::number(stats.distributions)) }
                    td.n { (words::bytes(stats.bytes)) }
                    td.n { (words::bytes(stats.unique_bytes)) }
                    td.n { (words::bytes(stats.shared_bytes)) }
                    td.draw {
                        (chart::share("", stats.unique_bytes, stats.shared_bytes, largest, &format!(
                            "{} unique, {} shared", words::bytes(stats.unique_bytes), words::bytes(stats.shared_bytes)
                        )))
                    }
                }
                None => td.quiet colspan="5" { "a variant without a collection of its own" }
            }
            td.n { (rate) }
            td.n { @if let Some(stats) = stats { (words::number(stats.revision.unsigned_abs())) } @else { "–" } }
        }
    }
}

fn rate(days: Option<&BTreeMap<i64, DayLookups>>) -> String {
    let (hits, all) = days
        .into_iter()
        .flat_map(BTreeMap::values)
        .fold((0, 0), |(hits, all), day| (hits + day.hits, all + day.hits + day.misses));
    words::percent(hits, all)
}

fn saved(held: &StatsReport) -> Markup {
    let kept = held.entries.bytes - held.saved_bytes;
    let (all, saved) = (words::bytes(held.entries.bytes), words::bytes(held.saved_bytes));
    html! {
        h2 { "Saved by sharing" }
        figure {
            (chart::share("big", kept, held.saved_bytes, held.entries.bytes, &format!(
                "Of {all} in all collections {} are kept and {saved} saved", words::bytes(kept)
            )))
            figcaption {
                "Folders of their own would hold " (all) "; stored once each, the same files take " (words::bytes(kept)) ": "
                (saved) " (" (words::percent(held.saved_bytes, held.entries.bytes)) ") are saved."
                (chart::key(&[("own", html! { "kept, " (words::bytes(kept)) }), ("other", html! { "saved, " (saved) })]))
            }
        }
    }
}

fn answered(lookups: &BTreeMap<&str, &BTreeMap<i64, DayLookups>>, today: i64) -> Markup {
    let mut days: BTreeMap<i64, DayLookups> = BTreeMap::new();
    for (day, counts) in lookups.values().flat_map(|days| days.iter()) {
        let sum = days.entry(*day).or_default();
        sum.hits += counts.hits;
        sum.misses += counts.misses;
        sum.stores += counts.stores;
    }
    html! {
        h2 { "Hit rate, " (DAYS) " days" }
        @if days.values().all(|day| day.hits + day.misses == 0) {
            p.quiet { "Nobody has asked for a file in this time." }
        } @else {
            (chart::days(&days, today, DAYS))
        }
    }
}

fn table_of_remotes(remotes: &[&RemoteReport], held: &StatsReport, now: i64) -> Markup {
    let columns = [
        Text("Remote"),
        Text("Health"),
        Text("For"),
        Text("URL"),
        Number("Pulled"),
        Text("Last answer"),
        Text("Last failure"),
    ];
    let body = table_with(
        "The indexes that collections pull from",
        &columns,
        html! {
            @for remote in remotes {
                tr {
                    th scope="row" { (remote.name) }
                    td { (super::health(remote.health)) }
                    td { a href={ "./" (remote.collection) "/" } { (remote.collection) } }
                    td.text { (remote.settings.url) }
                    @let stats = held.remotes.iter().find(|stats| stats.name == remote.name.as_str());
                    td.n { (words::bytes(stats.map_or(0, |stats| stats.bytes))) }
                    td { @if let Some(at) = remote.ok_at { (words::time(at, now)) } @else { "none yet" } }
                    // What it said is for `wcas remote list`.
                    td { @if let Some(at) = remote.failed_at { (words::time(at, now)) } }
                }
            }
        },
    );
    html! { h2 { "Remotes" } (scrolling("remotes", "Remotes", body)) }
}

fn table_of_changes(changes: &[&OperationRow], is_all: bool, now: i64) -> Markup {
    let body = html! {
        table {
            caption { "The newest operations" }
            thead {
                tr {
                    th scope="col" { "When" }
                    th scope="col" { "Collection" }
                    th scope="col" { "What" }
                    th.n scope="col" { "Added" }
                    th.n scope="col" { "Removed" }
                    @if is_all { th scope="col" { "Who" } }
                }
            }
            tbody {
                @for OperationRow { collection, revision } in changes {
                    tr {
                        td { (words::time(revision.at, now)) }
                        td { a href={ "./" (collection) "/" } { (collection) } "@" (revision.number) }
                        td.text {
                            b { (revision.kind) }
                            // The words may name other collections.
                            @if is_all { " " (revision.what) }
                            @if revision.undone_by.is_some() { " " span.mark.warn { "undone" } }
                        }
                        td.n { (words::number(revision.added.unsigned_abs())) }
                        td.n { (words::number(revision.removed.unsigned_abs())) }
                        // Names of tokens, people and machines.
                        @if is_all { td.wrap { (revision.who) } }
                    }
                }
            }
        }
    };
    html! {
        h2 { "Recent changes" }
        @if changes.is_empty() { p.quiet { "Nothing has happened yet." } } @else { (scrolling("changes", "Recent changes", body)) }
    }
}
