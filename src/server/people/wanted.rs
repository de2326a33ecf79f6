//! `/_/wanted/`: what builders asked caches for in vain.

use super::frame::Heading::{Number, Text};
use super::frame::{Page, root, scrolling, table_with};
use super::words;
use crate::error::Result;
use crate::ops::builder_index::{WantReport, wanted};
use crate::server::access::{self, Readable};
use crate::server::{Request, Server};
use maud::{Markup, html};

/// So many are shown.
const MOST: usize = 100;

/// Makes the page.
pub(super) fn page(server: &Server, request: &Request) -> Result<Page> {
    let may = access::readable(server, request)?;
    let found = match &may {
        // One more is looked for than is shown.
        Readable::All => wanted(&*server.stores.borrow()?, &server.context(), None, MOST + 1)?,
        Readable::Only(name) => wanted(&*server.stores.borrow()?, &server.context(), Some(name), MOST + 1)?,
        Readable::Nothing => Vec::new(),
    };
    let main = html! {
        h1 { "Wanted" }
        p.lead { "What builders asked a cache for, and it has nothing of, the most wanted first. What has come meanwhile is left out." }
        @if found.is_empty() {
            p { "Nothing is wanted." }
        } @else {
            (scrolling("wanted", "Wanted projects", table(&found[..found.len().min(MOST)], server.now())))
            @if found.len() > MOST { p.quiet { "There are more; " code { "wcas wants" } " has them all." } }
        }
    };
    let trail = vec![("./".to_owned(), "Wanted".to_owned())];
    Ok(Page { title: "Wanted".to_owned(), root: root(request.uri().path()), trail, main })
}

fn table(found: &[WantReport], now: i64) -> Markup {
    let columns = [Text("Project"), Text("For"), Number("Times"), Text("First"), Text("Last")];
    table_with(
        "Projects that are asked for in vain",
        &columns,
        html! {
            @for want in found {
                tr {
                    th.text scope="row" { (want.project) }
                    td { a href={ "../../" (want.variant) "/" } { (want.variant) } }
                    td.n { (words::number(want.count)) }
                    td { (words::time(want.first_at, now)) }
                    td { (words::time(want.last_at, now)) }
                }
            }
        },
    )
}
