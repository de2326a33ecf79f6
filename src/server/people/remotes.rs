//! `/_/remotes/`: the indexes that collections pull from, and how they answer.

use super::frame::Heading::{Number, Text};
use super::frame::{Page, root, scrolling, table_with};
use super::{holdings, words};
use crate::error::Result;
use crate::ops;
use crate::ops::remote::RemoteReport;
use crate::ops::stats::{RemoteStats, StatsReport};
use crate::server::{Request, Server, access};
use maud::{Markup, html};

/// Makes the page.
pub(super) fn page(server: &Server, request: &Request) -> Result<Page> {
    let (remotes, stamp) = {
        let store = server.stores.borrow()?;
        (ops::remote::remotes(&store)?, ops::overview::stamp(&store)?)
    };
    let may = access::readable(server, request)?;
    let remotes: Vec<&RemoteReport> = remotes.iter().filter(|remote| may.includes(&remote.collection)).collect();
    let held = holdings(server, stamp)?;
    let main = html! {
        h1 { "Remotes" }
        p.lead { "The indexes that collections pull from. A remote is asked when somebody wants what the store has not." }
        @if remotes.is_empty() {
            p { "There are none that you may see. " code { "wcas remote add NAME URL" } " adds one." }
        } @else {
            (table(&remotes, &held, "../../", server.now()))
            p.quiet { "Latency is the mean of all answers and failures so far. What a remote said when it failed is for " code { "wcas remote list" } "." }
        }
    };
    let trail = vec![("./".to_owned(), "Remotes".to_owned())];
    Ok(Page { title: "Remotes".to_owned(), root: root(request.uri().path()), trail, main })
}

/// Shows remotes with what they answered so far.
pub(super) fn table(remotes: &[&RemoteReport], held: &StatsReport, up: &str, now: i64) -> Markup {
    let columns = [
        Text("Remote"),
        Text("Health"),
        Text("For"),
        Text("URL"),
        Number("Had it"),
        Number("Had not"),
        Number("Failed"),
        Number("Latency"),
        Number("Pulled"),
        Text("Last answer"),
        Text("Last failure"),
        Number("To be sent"),
    ];
    let body = table_with(
        "Each remote, what it had and had not, and how long it took",
        &columns,
        html! {
            @for remote in remotes {
                @let stats = held.remotes.iter().find(|stats| stats.name == remote.name.as_str());
                (row(remote, stats.cloned().unwrap_or_default(), up, now))
            }
        },
    );
    scrolling("remotes", "Remotes", body)
}

fn row(remote: &RemoteReport, stats: RemoteStats, up: &str, now: i64) -> Markup {
    html! {
        tr {
            th scope="row" { (remote.name) }
            td { (super::health(remote.health)) }
            td { a href={ (up) (remote.collection) "/" } { (remote.collection) } }
            td.text { (remote.settings.url) }
            td.n { (words::number(stats.hits)) }
            td.n { (words::number(stats.misses)) }
            td.n { (words::number(stats.failures)) }
            td.n { (latency(&stats)) }
            td.n { (words::bytes(stats.bytes)) }
            td { @if let Some(at) = remote.ok_at { (words::time(at, now)) } @else { "none yet" } }
            td { @if let Some(at) = remote.failed_at { (words::time(at, now)) } @else { "none" } }
            td.n { (words::number(remote.write_back.as_ref().map_or(0, |waits| waits.waiting))) }
        }
    }
}

fn latency(stats: &RemoteStats) -> String {
    let asked = stats.hits + stats.misses + stats.failures;
    let mean = stats.milliseconds.checked_div(asked);
    mean.map_or_else(|| "–".to_owned(), |mean| format!("{} ms", words::number(mean)))
}
