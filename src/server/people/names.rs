//! `/` for programs: the names that are served, as JSON, for who asks for that and not for HTML.

use super::holdings;
use crate::error::Result;
use crate::ops;
use crate::server::accept::items;
use crate::server::answer::set;
use crate::server::{Answer, Body, Request, Server, access};
use http::HeaderMap;
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, VARY, X_CONTENT_TYPE_OPTIONS};
use serde::Serialize;

const JSON: &str = "application/json";

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    names: Vec<Name<'a>>,
}

/// A collection or variant; a variant without a collection of its own has no revision and lists nothing.
#[derive(Serialize)]
struct Name<'a> {
    name: &'a str,
    revision: Option<i64>,
    distributions: Option<u64>,
}

/// Tells whether a program asks: it names JSON, and no HTML, as browsers do.
pub(super) fn is_asked(headers: &HeaderMap) -> bool {
    let wanted: Vec<&str> =
        items(headers, ACCEPT).filter(|(_, weight)| *weight != Some(0)).map(|(name, _)| name).collect();
    let names = |form: &str| wanted.iter().any(|name| name.eq_ignore_ascii_case(form));
    names(JSON) && !names("text/html")
}

/// Answers with the names that the request may read.
pub(super) fn answer(server: &Server, request: &Request) -> Result<Answer> {
    let today = server.now().div_euclid(86_400);
    let overview = ops::overview::overview(&*server.stores.borrow()?, today)?;
    let held = holdings(server, overview.stamp)?;
    let may = access::readable(server, request)?;
    let names = overview.names.iter().filter(|served| may.includes(&served.name)).map(|served| {
        let stats = held.collections.iter().find(|stats| stats.name == served.name);
        Name {
            name: served.name.as_str(),
            revision: stats.map(|stats| stats.revision),
            distributions: stats.map(|stats| stats.distributions),
        }
    });
    let document = Document { schema: "wcas.served/1", names: names.collect() };
    let mut answer =
        Answer::new(Body::Bytes(serde_json::to_vec(&document).expect("names and numbers are JSON").into()));
    set(&mut answer, CONTENT_TYPE, JSON);
    set(&mut answer, X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(&mut answer, CACHE_CONTROL, "private, no-cache");
    set(&mut answer, VARY, "Accept, Authorization");
    Ok(answer)
}
