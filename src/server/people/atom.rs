//! `/{collection}/changes.atom`: what happened to a collection, newest first, for programs that read feeds (RFC 4287).

use super::setup;
use crate::digest::Sha256;
use crate::error::Result;
use crate::name::CollectionName;
use crate::ops::activity::Change;
use crate::server::access::{self, Readable};
use crate::server::answer::{Body, failure, plain, set, varies, without_bytes};
use crate::server::conditional::{Representation, Verdict, judge};
use crate::server::endpoint::ViewName;
use crate::server::{Answer, Request, Server, measured};
use crate::words::counted;
use bytes::Bytes;
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG};

/// Answers with the feed of a collection.
pub(super) fn answer(server: &Server, request: &Request, view: &ViewName) -> Answer {
    match feed(server, request, view) {
        Ok(Some(text)) => conditional(request, text),
        Ok(None) => plain(StatusCode::NOT_FOUND, format!("there is no collection {view}")),
        Err(error) => failure(&error),
    }
}

fn conditional(request: &Request, text: String) -> Answer {
    let bytes = Bytes::from(text);
    let etag = format!("\"{}\"", Sha256::of(&bytes));
    let of = Representation { etag: &etag, modified: None, size: Some(bytes.len() as u64) };
    let mut answer = match judge(request.method(), request.headers(), &of) {
        Verdict::Whole | Verdict::Part(_) => {
            let mut answer = Answer::new(Body::Bytes(bytes));
            set(&mut answer, CONTENT_TYPE, "application/atom+xml; charset=utf-8");
            answer
        }
        verdict => without_bytes(&verdict, &of),
    };
    set(&mut answer, ETAG, &etag);
    set(&mut answer, CACHE_CONTROL, "max-age=0, must-revalidate");
    // Links are those under which it was asked for, and who may read all is told more.
    varies(&mut answer, "Host");
    varies(&mut answer, "Authorization");
    answer
}

/// Makes the feed; `None`: there is no such collection.
fn feed(server: &Server, request: &Request, view: &ViewName) -> Result<Option<String>> {
    let Some(own) = server.stores.borrow()?.manifest.find_collection(&view.name)? else { return Ok(None) };
    let activity = measured::activity(server, Some(&view.name), None)?;
    let is_all = access::readable(server, request)? == Readable::All;
    let url = setup::url(server, request, view);
    let updated = activity.changes.first().map_or(own.created_at, |change| change.row.revision.at);
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<feed xmlns=\"http://www.w3.org/2005/Atom\">\n\
         <title>Changes of {name}</title>\n<id>{id}</id>\n<updated>{updated}</updated>\n<author><name>wcas</name></author>\n\
         <link rel=\"self\" type=\"application/atom+xml\" href=\"{url}changes.atom\"/>\n\
         <link rel=\"alternate\" type=\"text/html\" href=\"{url}\"/>\n",
        name = escaped(view.name.as_str()),
        id = id(&view.name, own.created_at, None),
        updated = super::words::rfc3339(updated),
        url = escaped(&url),
    );
    for change in &activity.changes {
        let id = id(&view.name, own.created_at, Some(change));
        text.push_str(&entry(change, &id, &url, is_all));
    }
    text.push_str("</feed>\n");
    Ok(Some(text))
}

fn entry(change: &Change, id: &str, url: &str, is_all: bool) -> String {
    let revision = &change.row.revision;
    let number = revision.number;
    let parent = url.strip_suffix('/').unwrap_or(url);
    let href = match (change.can_compare, change.is_whole) {
        (true, _) => format!("{parent}@{}...{number}/", number - 1),
        (false, true) => format!("{parent}@{number}/"),
        (false, false) => url.to_owned(),
    };
    let files = |count: i64| counted(usize::try_from(count).unwrap_or(0), "file");
    // The words may name other collections.
    let what = if is_all { format!("{} {}", revision.kind, revision.what) } else { revision.kind.clone() };
    let size = format!("{} added, {} removed", files(revision.added), files(revision.removed));
    let snapshots: String = change.snapshots.iter().map(|name| format!(". Snapshot {name}")).collect();
    format!(
        "<entry>\n<title>{name}@{number}: {what}</title>\n<id>{id}</id>\n<updated>{updated}</updated>\n\
         <link rel=\"alternate\" type=\"text/html\" href=\"{href}\"/>\n<summary>{size}{snapshots}.</summary>\n</entry>\n",
        name = escaped(change.row.collection.as_str()),
        what = escaped(&what),
        updated = super::words::rfc3339(revision.at),
        href = escaped(&href),
        snapshots = escaped(&snapshots),
    )
}

/// Returns what a feed or a change is called for good, whatever the server is called: a UUID of our own kind (RFC 9562, version 8).
fn id(name: &CollectionName, created_at: i64, change: Option<&Change>) -> String {
    let of = change.map(|change| (change.row.revision.number, change.row.revision.at));
    let digest = Sha256::of(format!("wcas {name} {created_at} {of:?}").as_bytes()).to_string();
    format!(
        "urn:uuid:{}-{}-8{}-8{}-{}",
        &digest[..8],
        &digest[8..12],
        &digest[13..16],
        &digest[17..20],
        &digest[20..32]
    )
}

/// Writes text into XML: what XML has no way to write becomes a replacement character.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\t' | '\n' | '\r' => safe.push(' '),
            letter if letter.is_control() || matches!(letter, '\u{fffe}' | '\u{ffff}') => safe.push('\u{fffd}'),
            letter => safe.push(letter),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_is_text_in_xml() {
        assert_eq!(escaped("<a b=\"c\">&amp;\n\0\u{ffff}é"), "&lt;a b=&quot;c&quot;&gt;&amp;amp; \u{fffd}\u{fffd}é");
    }

    #[test]
    fn an_id_is_a_uuid_and_stays() {
        let name = "cuda".parse().unwrap();
        let one = id(&name, 5, None);
        assert_eq!((one.len(), one.as_bytes()[23]), (45, b'8'), "{one}");
        assert_eq!(one, id(&name, 5, None));
        assert_ne!(one, id(&name, 6, None));
    }
}
