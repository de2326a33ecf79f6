//! What the server's owner reads of each request: a line in the form that was asked for. No line has a secret in it.

use super::connection::Connections;
use super::{HttpOptions, Line};
use crate::index::rfc3339;
use crate::server::{Request, access};
use http::header::{self, HeaderName};
use http::{Response, StatusCode};
use http_body::Body;
use serde::Serialize;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, UNIX_EPOCH};

/// A form of the lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccessForm {
    /// Address, method, target, status, length and duration, as soon as the answer is known.
    Line,
    /// The combined log format of web servers, when the answer has gone out.
    Combined,
    /// A JSON document, when the answer has gone out.
    Json,
}

/// Where the lines go, and in which form.
pub struct AccessLog {
    /// Their form.
    pub form: AccessForm,
    /// Takes them.
    pub line: Line,
}

/// A request and its answer, as far as a line tells of them.
#[derive(Debug, Serialize)]
pub(super) struct Record {
    schema: &'static str,
    time: String,
    #[serde(skip)]
    seconds: i64,
    address: IpAddr,
    token: Option<Token>,
    method: String,
    target: String,
    protocol: String,
    status: u16,
    /// Of the answer's body; what went out.
    bytes: u64,
    /// From the request's head to the answer's last byte.
    duration_ms: f64,
    referer: Option<String>,
    user_agent: Option<String>,
    /// What a client that may not do something was told.
    refused: Option<String>,
}

#[derive(Debug, Serialize)]
struct Token {
    id: i64,
    name: String,
}

/// A line that is written when its answer is gone: sent, or cut off.
pub(super) struct Entry {
    record: Record,
    start: Instant,
    connections: Arc<Connections>,
}

impl Entry {
    /// Counts bytes that went out.
    pub(super) fn add(&mut self, bytes: usize) {
        self.record.bytes += bytes as u64;
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let Some(log) = &self.connections.options.access_log else { return };
        self.record.duration_ms = (self.start.elapsed().as_secs_f64() * 1e6).round() / 1e3;
        (log.line)(&match log.form {
            AccessForm::Json => json(&self.record),
            _ => combined(&self.record),
        });
    }
}

/// What is known of a request before its answer.
pub(super) enum Asked {
    Line(String),
    Record(Box<Record>),
}

impl Asked {
    /// Notes a request, where there is a log; the token is looked up only of who is `admitted`.
    pub(super) async fn of(connections: &Connections, request: &Request, is_admitted: bool) -> Option<Self> {
        let peer = request.body();
        if connections.options.access_log.as_ref()?.form == AccessForm::Line {
            return Some(Self::Line(format!("{} {} {}", peer.address, request.method(), request.uri())));
        }
        let is_known = is_admitted && request.headers().contains_key(header::AUTHORIZATION);
        let token = if is_known { token(connections, request).await } else { None };
        let text = |name: HeaderName| {
            request.headers().get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
        };
        let seconds = connections.server.now();
        Some(Self::Record(Box::new(Record {
            schema: "wcas.access/1",
            time: rfc3339(seconds),
            seconds,
            address: peer.address,
            token,
            method: request.method().to_string(),
            target: request.uri().to_string(),
            protocol: format!("{:?}", request.version()),
            status: 0,
            bytes: 0,
            duration_ms: 0.0,
            referer: text(header::REFERER),
            user_agent: text(header::USER_AGENT),
            refused: None,
        })))
    }

    /// Writes the line, or returns the one that is written when the answer is gone.
    pub(super) fn answered<B: Body>(
        self,
        connections: &Arc<Connections>,
        answer: &Response<B>,
        start: Instant,
    ) -> Option<Entry> {
        let (status, refused) = (answer.status(), refused(answer));
        match self {
            Self::Line(line) => {
                write_line(&connections.options, &line, answer, start.elapsed());
                None
            }
            Self::Record(record) => {
                let record = Record { status: status.as_u16(), refused: refused.map(str::to_owned), ..*record };
                Some(Entry { record, start, connections: connections.clone() })
            }
        }
    }
}

fn write_line<B: Body>(options: &HttpOptions, line: &str, answer: &Response<B>, took: Duration) {
    let Some(log) = &options.access_log else { return };
    // Of a body that is at hand hyper says the length later.
    let said = answer.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let exact = said.is_none().then(|| answer.body().size_hint().exact()).flatten().map(|size| size.to_string());
    let length = said.or(exact.as_deref()).unwrap_or("-");
    let why = refused(answer).map(|text| format!(" ({text})")).unwrap_or_default();
    (log.line)(&format!("{line} {} {length} {took:.1?}{why}", answer.status().as_u16()));
}

/// Returns the number and name of a request's token, if it holds; that may wait for the disk.
async fn token(connections: &Connections, request: &Request) -> Option<Token> {
    let (server, request) = (connections.server.clone(), request.clone());
    let (id, name) = connections.waiting(move || access::asker(&server, &request)).await.ok()??;
    Some(Token { id, name })
}

/// Returns what a client that may not do something is told, in the printable ASCII that a reason phrase is.
fn refused<T>(answer: &Response<T>) -> Option<&str> {
    let is_refused =
        matches!(answer.status(), StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::MISDIRECTED_REQUEST);
    let phrase = answer.extensions().get::<hyper::ext::ReasonPhrase>().filter(|_| is_refused)?;
    std::str::from_utf8(phrase.as_bytes()).ok()
}

/// Returns a client's text as other web servers put it between quotes.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => quoted.extend(['\\', byte.into()]),
            b' '..=b'~' => quoted.push(byte.into()),
            _ => quoted.push_str(&format!("\\x{byte:02x}")),
        }
    }
    quoted
}

/// Returns a line in the combined log format: `ADDRESS - NAME [TIME] "REQUEST" STATUS BYTES "REFERER" "AGENT"`.
fn combined(record: &Record) -> String {
    let said = |text: &Option<String>| text.as_deref().map_or_else(|| "-".to_owned(), quoted);
    // A name with a space in it would be two fields.
    let name = record.token.as_ref().map_or_else(|| "-".to_owned(), |token| quoted(&token.name).replace(' ', "_"));
    format!(
        "{} - {name} [{}] \"{} {} {}\" {} {} \"{}\" \"{}\"",
        record.address,
        day_and_time(record.seconds),
        record.method,
        quoted(&record.target),
        record.protocol,
        record.status,
        record.bytes,
        said(&record.referer),
        said(&record.user_agent),
    )
}

/// Returns a moment as that format has it: `27/Nov/2026:16:00:00 +0000`.
fn day_and_time(seconds: i64) -> String {
    let date = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds.try_into().unwrap_or(0)));
    let parts: Vec<&str> = date.split(' ').collect();
    match parts[..] {
        [_, day, month, year, time, _] => format!("{day}/{month}/{year}:{time} +0000"),
        _ => "-".to_owned(),
    }
}

/// Returns a document in ASCII: a terminal's escapes would make another one of it.
fn json(record: &Record) -> String {
    let text = serde_json::to_string(record).unwrap_or_default();
    let mut line = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter.is_ascii() && letter != '\x7f' {
            true => line.push(letter),
            false => letter.encode_utf16(&mut [0; 2]).iter().for_each(|unit| line.push_str(&format!("\\u{unit:04x}"))),
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(target: &str, name: &str) -> Record {
        Record {
            schema: "wcas.access/1",
            time: rfc3339(1_800_000_000),
            seconds: 1_800_000_000,
            address: IpAddr::from([10, 0, 0, 1]),
            token: Some(Token { id: 3, name: name.to_owned() }),
            method: "GET".to_owned(),
            target: target.to_owned(),
            protocol: "HTTP/1.1".to_owned(),
            status: 200,
            bytes: 12,
            duration_ms: 1.5,
            referer: None,
            user_agent: Some("pip \"ü\"\n".to_owned()),
            refused: None,
        }
    }

    #[test]
    fn combined_lines_have_their_fields_whatever_a_client_sends() {
        assert_eq!(
            combined(&record("/cuda/a\"b\\c", "the ci")),
            "10.0.0.1 - the_ci [15/Jan/2027:08:00:00 +0000] \"GET /cuda/a\\\"b\\\\c HTTP/1.1\" 200 12 \"-\" \
             \"pip \\\"\\xc3\\xbc\\\"\\x0a\""
        );
        assert_eq!(day_and_time(-1), "01/Jan/1970:00:00:00 +0000");
    }

    #[test]
    fn a_document_is_ascii_and_says_the_same() {
        let line = json(&record("/cuda/", "bäcker \u{1f40d}\u{202e}\x7f"));
        assert!(line.is_ascii() && !line.contains('\x7f'), "{line}");
        let read: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(read["token"], serde_json::json!({"id": 3, "name": "bäcker \u{1f40d}\u{202e}\x7f"}));
        assert_eq!((read["time"].as_str(), read["bytes"].as_u64()), (Some("2027-01-15T08:00:00Z"), Some(12)));
        assert_eq!(read["seconds"], serde_json::Value::Null);
    }
}
