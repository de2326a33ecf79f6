//! History as lanes: one for each collection, the oldest change on the left. The table on the page says the same.

use super::history::source;
use super::words;
use crate::name::CollectionName;
use crate::ops::activity::Change;
use crate::server::access::Readable;
use maud::{Markup, html};
use std::collections::{BTreeMap, BTreeSet};

/// So many collections have a lane: those that changed last.
const LANES: usize = 30;
/// From one lane to the next, and how wide all changes are at least, if each doesn't get too much.
const LANE: i64 = 34;
const WIDTH: i64 = 800;

/// Where a change is drawn.
struct Placed<'a> {
    change: &'a Change,
    x: i64,
    y: i64,
}

/// Draws changes, which come newest first.
pub(super) fn draw(changes: &[Change], may: &Readable) -> Markup {
    let mut lanes: BTreeSet<&CollectionName> = BTreeSet::new();
    for change in changes {
        let both = [Some(&change.row.collection), source(change, may)];
        for name in both.into_iter().flatten() {
            if lanes.len() < LANES {
                lanes.insert(name);
            }
        }
    }
    let lanes: BTreeMap<&CollectionName, i64> =
        lanes.into_iter().zip(0..).map(|(name, place)| (name, 20 + place * LANE)).collect();
    // Names are cut at 18 letters, each of them about 8 wide.
    let left = 24 + lanes.keys().map(|name| short(name).chars().count() as i64 * 8).max().unwrap_or(0);
    let step = (WIDTH / changes.len().max(1) as i64).clamp(22, 48);
    let drawn = changes.iter().rev().filter(|change| lanes.contains_key(&change.row.collection));
    let placed: Vec<Placed<'_>> = drawn
        .zip(0..)
        .filter_map(|(change, place)| {
            Some(Placed { change, x: left + place * step, y: *lanes.get(&change.row.collection)? })
        })
        .collect();
    let (width, height) = (left + placed.len() as i64 * step + 10, lanes.len() as i64 * LANE + 10);
    let label = format!(
        "{} in {}, the oldest on the left; the table below tells each",
        words::counted(placed.len() as u64, "change"),
        words::counted(lanes.len() as u64, "collection")
    );
    html! {
        figure {
            div.scroll #lanes role="region" aria-label="History as lanes" tabindex="0" {
                svg.lanes width=(width) height=(height) viewBox={ "0 0 " (width) " " (height) } role="img" {
                    title { (label) }
                    @for (name, y) in &lanes {
                        line.rail x1=(left - 12) y1=(y) x2=(width - 4) y2=(y) {}
                        text x="0" y=(y + 4) { (short(name)) }
                    }
                    @for own in &placed { (transfer(own, &lanes, may)) (way_back(own, &placed)) }
                    @for own in &placed { (mark(own)) }
                }
            }
            figcaption {
                (key())
                @if lanes.len() == LANES { "Collections beyond these are in the table alone." }
            }
        }
    }
}

/// Cuts a name for the drawing; the table has it whole.
fn short(name: &CollectionName) -> String {
    let text = name.as_str();
    // Names of collections are ASCII.
    if text.len() <= 18 { text.to_owned() } else { format!("{}…", &text[..17]) }
}

/// Draws the line from the lane that a change came from.
fn transfer(own: &Placed<'_>, lanes: &BTreeMap<&CollectionName, i64>, may: &Readable) -> Markup {
    let from = source(own.change, may).and_then(|name| lanes.get(name)).filter(|y| **y != own.y);
    html! {
        @if let Some(from) = from {
            @let (x, end) = (own.x, if *from < own.y { own.y - 9 } else { own.y + 9 });
            @let back = if *from < own.y { -6 } else { 6 };
            path.arrow d={ "M" (x - 10) " " (from) " L" (x) " " (end) " M" (x - 5) " " (end + back) " L" (x) " " (end) " L" (x + 3) " " (end + back) } {}
        }
    }
}

/// Draws the bow back to the revision whose content a collection has again.
fn way_back(own: &Placed<'_>, placed: &[Placed<'_>]) -> Markup {
    let to = own
        .change
        .back_to
        .and_then(|number| placed.iter().find(|other| other.y == own.y && other.change.row.revision.number == number));
    html! {
        @if let Some(to) = to {
            path.arrow.back d={ "M" (own.x) " " (own.y - 8) " C" (own.x) " " (own.y - 20) " " (to.x) " " (own.y - 20) " " (to.x) " " (own.y - 9) " M" (to.x - 4) " " (own.y - 13) " L" (to.x) " " (own.y - 9) " L" (to.x + 4) " " (own.y - 13) } {}
        }
    }
}

/// Draws a change: the more it moved, the larger; with a frame where a snapshot keeps it.
fn mark(own: &Placed<'_>) -> Markup {
    let Placed { change, x, y } = own;
    let revision = &change.row.revision;
    let moved = (revision.added + revision.removed).max(1) as f64;
    let radius = format!("{:.1}", (3.0 + 1.3 * moved.log10() * 1.6).min(8.0));
    let kind = match (revision.added, revision.removed) {
        (0, 0) => "mark-set",
        (0, _) => "mark-removed",
        _ => "mark-added",
    };
    html! {
        @if !change.snapshots.is_empty() { rect.snapshot x=(x - 9) y=(y - 9) width="18" height="18" {} }
        circle class=(kind) cx=(x) cy=(y) r=(radius) {}
    }
}

fn key() -> Markup {
    let entry = |drawing: Markup, text: &str| html! { li { svg.big viewBox="0 0 20 20" aria-hidden="true" { (drawing) } (text) } };
    html! {
        ul.key {
            (entry(html! { circle.mark-added cx="10" cy="10" r="6" {} }, "files added, maybe removed, too"))
            (entry(html! { circle.mark-removed cx="10" cy="10" r="6" {} }, "files removed"))
            (entry(html! { rect.snapshot x="2" y="2" width="16" height="16" {} }, "kept as a snapshot"))
            (entry(html! { path.arrow d="M2 3 L14 17 M7 15 L14 17 L14 10" {} }, "promoted or copied from"))
            (entry(html! { path.arrow.back d="M18 16 C18 2 4 2 4 14 M1 10 L4 14 L8 10" {} }, "rolled back to"))
        }
    }
}
