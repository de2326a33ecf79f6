//! `/_/health/`: how the store and the server do, for who runs them.

use super::frame::{Page, root};
use crate::error::Result;
use crate::server::{Request, Server};
use maud::html;

/// Makes the page.
pub(super) fn page(server: &Server, request: &Request) -> Result<Page> {
    let _ = server;
    let main = html! { h1 { "Health" } };
    let trail = vec![("./".to_owned(), "Health".to_owned())];
    Ok(Page { title: "Health".to_owned(), root: root(request.uri().path()), trail, main })
}
