//! Drawings: shares of a whole, and rates by day. Each has a text alternative; the numbers stand beside it on the page.

use super::frame::Heading::{Number, Text};
use super::frame::table_with;
use super::words;
use crate::ops::overview::DayLookups;
use maud::{Markup, html};
use std::collections::BTreeMap;

/// Drawings are this wide inside, whatever their width on the page.
const WIDTH: u64 = 1000;

/// Draws two parts of a whole as one bar; what is left of the whole stays empty.
pub(super) fn share(class: &str, own: u64, other: u64, whole: u64, label: &str) -> Markup {
    let scale = |part: u64| (u128::from(part) * u128::from(WIDTH) / u128::from(whole.max(1))) as u64;
    let (own, both) = (scale(own), scale(own.saturating_add(other)));
    html! {
        svg class={ "share " (class) } viewBox={ "0 0 " (WIDTH) " 10" } preserveAspectRatio="none" role="img" {
            title { (label) }
            rect.rail width=(WIDTH) height="10" {}
            @if both > 0 { rect.other width=(both) height="10" {} }
            @if own > 0 { rect.own width=(own) height="10" {} }
        }
    }
}

/// Shows what a colour stands for.
pub(super) fn key(entries: &[(&str, Markup)]) -> Markup {
    html! {
        ul.key {
            @for (class, text) in entries {
                li {
                    svg viewBox="0 0 1 1" aria-hidden="true" { rect class=(class) width="1" height="1" {} }
                    (text)
                }
            }
        }
    }
}

/// Draws the share of hits of each day, with the numbers as a table that can be opened.
pub(super) fn days(days: &BTreeMap<i64, DayLookups>, today: i64, count: i64) -> Markup {
    let first = today - count + 1;
    let (hits, all) = days.values().fold((0, 0), |(hits, all), day| (hits + day.hits, all + day.hits + day.misses));
    let label = format!(
        "Hit rate by day from {} to {}: {} of {} overall",
        words::day(first),
        words::day(today),
        words::percent(hits, all),
        words::counted(all, "lookup")
    );
    let drawn = (first..=today).filter_map(|day| Some((day - first, days.get(&day)?)));
    let step = WIDTH.cast_signed() / count.max(1);
    html! {
        figure {
            svg.days viewBox={ "0 0 " (step * count) " 100" } preserveAspectRatio="none" role="img" {
                title { (label) }
                @for y in [0, 50] { rect.rule y=(y) width=(step * count) height="0.7" {} }
                @for (place, day) in drawn.filter(|(_, day)| day.hits + day.misses > 0) {
                    @let (x, width) = (place * step + step / 8, step * 3 / 4);
                    @let height = day.hits as f64 * 100.0 / (day.hits + day.misses) as f64;
                    rect.other x=(x) width=(width) height="100" {}
                    rect.own x=(x) y=(format!("{:.1}", 100.0 - height)) width=(width) height=(format!("{height:.1}")) {}
                }
            }
            div.axis aria-hidden="true" { span { (words::day(first)) } span { (words::day(today)) } }
            figcaption { (key(&[("own", html! { "found" }), ("other", html! { "not found" })])) }
        }
        details.more {
            summary { "The numbers by day" }
            (super::frame::scrolling("days", "Lookups by day", table(days)))
        }
    }
}

/// Draws how often something was downloaded on each day, with the numbers as a table that can be opened.
pub(super) fn counts(days: &[(i64, u64)], first: i64, today: i64) -> Markup {
    let (all, most) = days.iter().fold((0, 1), |(all, most), (_, count)| (all + count, most.max(*count)));
    let label = format!("{} from {} to {}", words::counted(all, "download"), words::day(first), words::day(today));
    let step = WIDTH.cast_signed() / (today - first + 1).max(1);
    let drawn = days.iter().filter(|(day, _)| (first..=today).contains(day));
    html! {
        figure {
            svg.days viewBox={ "0 0 " (step * (today - first + 1)) " 100" } preserveAspectRatio="none" role="img" {
                title { (label) }
                @for (day, count) in drawn {
                    @let height = (*count as f64 * 100.0 / most as f64).max(1.0);
                    rect.own x=((day - first) * step + step / 8) y=(format!("{:.1}", 100.0 - height)) width=(step * 3 / 4)
                        height=(format!("{height:.1}")) {}
                }
            }
            div.axis aria-hidden="true" { span { (words::day(first)) } span { (words::day(today)) } }
            figcaption { (label) ", given by this server; most on a day: " (words::number(most)) }
        }
        details.more {
            summary { "The numbers by day" }
            (super::frame::scrolling("downloads-by-day", "Downloads by day", html! {
                table {
                    caption { "Days with downloads, newest first" }
                    thead { tr { th scope="col" { "Day" } th.n scope="col" { "Downloads" } } }
                    tbody {
                        @for (day, count) in days.iter().rev() {
                            tr {
                                th scope="row" { time datetime=(words::day(*day)) { (words::day(*day)) } }
                                td.n { (words::number(*count)) }
                            }
                        }
                    }
                }
            }))
        }
    }
}

fn table(days: &BTreeMap<i64, DayLookups>) -> Markup {
    let columns = [Text("Day"), Number("Found"), Number("Not found"), Number("Rate"), Number("Came in")];
    table_with(
        "Days with lookups, newest first",
        &columns,
        html! {
            @for (day, counts) in days.iter().rev() {
                tr {
                    th scope="row" { time datetime=(words::day(*day)) { (words::day(*day)) } }
                    td.n { (words::number(counts.hits)) }
                    td.n { (words::number(counts.misses)) }
                    td.n { (words::percent(counts.hits, counts.hits + counts.misses)) }
                    td.n { (words::number(counts.stores)) }
                }
            }
        },
    )
}
