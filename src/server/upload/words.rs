//! How an upload's answer is put: as a text, or as JSON for clients that ask for it (uv shows its `code`).

use crate::server::answer::Reason;
use crate::server::{Answer, Body};
use http::HeaderMap;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use serde::Serialize;

#[derive(Serialize)]
struct Words<'a> {
    message: &'a str,
    code: String,
    title: &'a str,
}

/// Puts an answer as the request asks for it.
pub(in crate::server) fn worded(headers: &HeaderMap, mut answer: Answer) -> Answer {
    put_as_json(headers, &mut answer);
    if answer.status().is_success() {
        answer.extensions_mut().remove::<Reason>();
    }
    answer
}

fn put_as_json(headers: &HeaderMap, answer: &mut Answer) {
    const JSON: &str = "application/json";
    let asks = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).any(|value| value.contains(JSON));
    let is_json = answer.headers().get(CONTENT_TYPE).is_some_and(|value| value == JSON);
    let Some(Reason(text)) = answer.extensions().get::<Reason>().filter(|_| asks && !is_json) else { return };
    let status = answer.status();
    let title = status.canonical_reason().unwrap_or("Error");
    let code = if status.is_success() { status.as_u16().to_string() } else { format!("{} {text}", status.as_u16()) };
    let words = serde_json::to_vec(&Words { message: text, code, title }).expect("texts are JSON");
    *answer.body_mut() = Body::Bytes(words.into());
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
}
