//! Which answers may cost much: pages for people and documents for mirrors. Pure.
//!
//! Anybody may ask for them, by any number of addresses that nobody asked for before; so they are made so many at a time, and what
//! installers ask for waits for none of them.

use super::endpoint::Endpoint;

/// Tells whether an answer may read whole collections or projects, or is long.
pub(super) fn is_wide(endpoint: &Endpoint) -> bool {
    reads_widely(endpoint)
        || matches!(endpoint, Endpoint::Collection(_) | Endpoint::ProjectPage(..) | Endpoint::Mirror(..))
}

/// Tells whether an answer asks no remote, and reads whole collections or many rows of them.
pub(super) fn reads_widely(endpoint: &Endpoint) -> bool {
    match endpoint {
        // Two revisions are compared one such request at a time, for which nobody else waits.
        Endpoint::Collection(view) => !view.at.as_ref().is_some_and(|at| at.contains("...")),
        Endpoint::Home
        | Endpoint::Section(_)
        | Endpoint::FilePage(..)
        | Endpoint::Changes(_)
        | Endpoint::Revision(..) => true,
        // A list of the newest revision's projects is kept as long as it holds.
        Endpoint::Root(view) => view.at.is_some(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::endpoint::parse;

    #[test]
    fn pages_that_read_whole_collections_are_wide_and_what_installers_ask_for_is_not() {
        for path in [
            "/",
            "/_/search/",
            "/_/history/",
            "/cuda/",
            "/cuda@3/",
            "/cuda@3...6/",
            "/cuda@3/simple/",
            "/cuda/projects/torch/",
            "/cuda/projects/torch/a.whl/",
            "/cuda/pypi/torch/json",
            "/cuda/changes.atom",
            "/cuda@3/revision.txt",
        ] {
            assert!(is_wide(&parse(path).unwrap()), "{path}");
        }
        for path in ["/healthz", "/metrics", "/cuda/simple/", "/cuda@3/simple/torch/", "/cuda/cache/simple/torch/"] {
            assert!(!is_wide(&parse(path).unwrap()), "{path}");
        }
        assert!(!reads_widely(&parse("/cuda@3...6/").unwrap()), "others don't wait for it");
    }
}
