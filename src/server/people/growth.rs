//! What collections share, pair by pair, and how the store came to its size.

use super::frame::Heading::{Number, Text};
use super::frame::{scrolling, table_with};
use super::{chart, words};
use crate::error::Result;
use crate::name::CollectionName;
use crate::ops;
use crate::ops::growth::{Growth, HeldAt};
use crate::server::access::Readable;
use crate::server::{Server, measured};
use maud::{Markup, html};
use std::collections::BTreeMap;

/// So many collections are compared with each other: the largest.
const COLLECTIONS: usize = 30;

/// Shows both, as far as the requester may see it.
pub(super) fn sections(server: &Server, may: &Readable) -> Result<Markup> {
    let stamp = ops::overview::stamp(&*server.stores.borrow()?)?;
    let growth = measured::growth(server, Some(stamp))?;
    let names = largest(&growth, may);
    Ok(html! {
        @if names.len() > 1 {
            h2 { "Sharing" }
            p.quiet { "The bytes that two collections both have, and are stored once. On the diagonal stands all that a collection has." }
            (scrolling("sharing", "Bytes shared by pairs of collections", matrix(&names, &growth)))
        }
        // Totals would tell of what may not be read.
        @if *may == Readable::All && growth.days.iter().any(|day| day.kept + day.removed > 0) { (grown(&growth.days)) }
    })
}

/// Returns by how many bytes the store grew a day, in so many days until now.
pub(super) fn by_day(server: &Server, stamp: u64, days: usize) -> Result<i64> {
    let growth = measured::growth(server, Some(stamp))?;
    let held = |day: &HeldAt| (day.kept + day.removed).cast_signed();
    let last = growth.days.last().map_or(0, held);
    let first = growth.days.iter().rev().nth(days).map_or(0, held);
    Ok((last - first) / days.max(1) as i64)
}

fn largest<'a>(growth: &'a Growth, may: &Readable) -> Vec<&'a CollectionName> {
    let own = growth.shared.iter().filter(|((one, other), _)| one == other && may.includes(one));
    let mut sizes: Vec<(u64, &CollectionName)> = own.map(|((name, _), bytes)| (*bytes, name)).collect();
    sizes.sort_unstable_by_key(|(bytes, name)| (std::cmp::Reverse(*bytes), *name));
    sizes.truncate(COLLECTIONS);
    let mut names: Vec<&CollectionName> = sizes.into_iter().map(|(_, name)| name).collect();
    names.sort_unstable();
    names
}

fn matrix(names: &[&CollectionName], growth: &Growth) -> Markup {
    let all: BTreeMap<_, u64> = growth.shared.iter().map(|((one, other), bytes)| ((one, other), *bytes)).collect();
    let of =
        |one: &CollectionName, other: &CollectionName| all.get(&(one.min(other), one.max(other))).copied().unwrap_or(0);
    html! {
        table.matrix {
            caption { "Bytes shared" @if names.len() == COLLECTIONS { ", of the largest collections" } }
            thead {
                tr {
                    th scope="col" { "Collection" }
                    @for name in names { th.n scope="col" { (name) } }
                }
            }
            tbody {
                @for one in names {
                    tr {
                        th scope="row" { a href={ "../../" (one) "/" } { (one) } }
                        @for other in names {
                            @let (bytes, whole) = (of(one, other), of(one, one));
                            td.n.whole[one == other].some[one != other && bytes > 0].most[one != other && bytes * 2 > whole] {
                                @if bytes == 0 { span.quiet { "–" } } @else { (words::bytes(bytes)) }
                            }
                        }
                    }
                }
            }
        }
        @if names.len() > 1 { p.quiet { "Marked: the collection of the line shares more than half of what it has." } }
    }
}

fn grown(days: &[HeldAt]) -> Markup {
    let top = days.iter().map(|day| day.kept + day.removed + day.saved).max().unwrap_or(0).max(1);
    let last = days.last().copied().unwrap_or_default();
    let label = format!(
        "Bytes by day from {} to {}; at the end {} kept, {} saved, {} removed and there still",
        words::day(days.first().map_or(0, |day| day.day)),
        words::day(last.day),
        words::bytes(last.kept),
        words::bytes(last.saved),
        words::bytes(last.removed)
    );
    let height = |bytes: u64| bytes as f64 * 100.0 / top as f64;
    html! {
        h2 { "Growth, " (days.len()) " days" }
        figure {
            svg.days viewBox={ "0 0 " (days.len() * 10) " 100" } preserveAspectRatio="none" role="img" {
                title { (label) }
                @for (place, day) in days.iter().enumerate() {
                    @let (kept, removed, saved) = (height(day.kept), height(day.removed), height(day.saved));
                    (bar("own", place, 100.0 - kept, kept))
                    (bar("gone", place, 100.0 - kept - removed, removed))
                    (bar("other", place, 100.0 - kept - removed - saved, saved))
                }
            }
            div.axis aria-hidden="true" { span { (words::day(days.first().map_or(0, |day| day.day))) } span { "at most " (words::bytes(top)) } span { (words::day(last.day)) } }
            figcaption {
                (chart::key(&[
                    ("own", html! { "kept, " (words::bytes(last.kept)) }),
                    ("gone", html! { "removed and there still, " (words::bytes(last.removed)) }),
                    ("other", html! { "saved by sharing, " (words::bytes(last.saved)) }),
                ]))
                "Removed files stay for the grace of gc, or as long as a snapshot or a tree keeps them. What gc has deleted is not in it."
            }
        }
        details.more {
            summary { "The numbers by day" }
            (scrolling("growth", "Bytes by day", numbers(days)))
        }
    }
}

fn bar(class: &str, place: usize, y: f64, height: f64) -> Markup {
    html! {
        @if height > 0.0 {
            rect class=(class) x=(place * 10) y=(format!("{y:.2}")) width="9.5" height=(format!("{height:.2}")) {}
        }
    }
}

fn numbers(days: &[HeldAt]) -> Markup {
    let columns = [Text("Day"), Number("Kept"), Number("Removed"), Number("Saved")];
    table_with(
        "At the end of each day on which something changed, newest first",
        &columns,
        html! {
            @for pair in days.windows(2).rev().filter(|pair| HeldAt { day: pair[1].day, ..pair[0] } != pair[1]) {
                (line(&pair[1]))
            }
            @if let Some(first) = days.first() { (line(first)) }
        },
    )
}

fn line(day: &HeldAt) -> Markup {
    html! {
        tr {
            th scope="row" { time datetime=(words::day(day.day)) { (words::day(day.day)) } }
            td.n { (words::bytes(day.kept)) }
            td.n { (words::bytes(day.removed)) }
            td.n { (words::bytes(day.saved)) }
        }
    }
}
