//! Which answer a request's conditions and range ask for (RFC 9110, sections 13 and 14). Pure: headers in, a verdict out.
//!
//! A request for several ranges gets the whole: no client of an index asks so, and a multipart answer is larger than two requests.
//! What can't be understood is as if it weren't there.

use http::Method;
use http::header::{
    HeaderMap, HeaderName, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, RANGE,
};
use std::ops::Range;
use std::time::UNIX_EPOCH;

/// What an answer is about to carry.
#[derive(Debug, Clone, Copy)]
pub(super) struct Representation<'a> {
    /// Its strong validator, with its quotes.
    pub(super) etag: &'a str,
    /// When it last changed, in seconds since 1970, where that is told.
    pub(super) modified: Option<i64>,
    /// Its size, where parts of it may be asked for.
    pub(super) size: Option<u64>,
}

/// What to answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// 200, all of it.
    Whole,
    /// 206, these bytes: at least one.
    Part(Range<u64>),
    /// 304.
    NotModified,
    /// 412.
    Failed,
    /// 416.
    Unsatisfiable,
}

/// Judges the conditions of a request, in the order of section 13.2.2.
pub(super) fn judge(method: &Method, headers: &HeaderMap, of: &Representation<'_>) -> Verdict {
    let since = |name| date(headers, name).zip(of.modified);
    if headers.contains_key(IF_MATCH) {
        if !tags(headers, IF_MATCH).any(|tag| tag == "*" || tag == of.etag) {
            return Verdict::Failed;
        }
    } else if since(IF_UNMODIFIED_SINCE).is_some_and(|(date, modified)| modified > date) {
        return Verdict::Failed;
    }
    if headers.contains_key(IF_NONE_MATCH) {
        let opaque = |tag: &str| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == of.etag;
        if tags(headers, IF_NONE_MATCH).any(opaque) {
            return Verdict::NotModified;
        }
    } else if since(IF_MODIFIED_SINCE).is_some_and(|(date, modified)| modified <= date) {
        return Verdict::NotModified;
    }
    match of.size {
        Some(size) if *method == Method::GET && is_unchanged(headers, of) => part(headers, size),
        _ => Verdict::Whole,
    }
}

/// Tells whether a part may be put beside what the client has: it said of which bytes it has the rest, or took the risk.
fn is_unchanged(headers: &HeaderMap, of: &Representation<'_>) -> bool {
    match headers.get(IF_RANGE).map(|value| value.as_bytes().trim_ascii()) {
        None => true,
        // A weak validator never equals our strong one.
        Some(value) if value.starts_with(b"\"") || value.starts_with(b"W/") => value == of.etag.as_bytes(),
        Some(_) => of.modified.is_some_and(|modified| date(headers, IF_RANGE) == Some(modified)),
    }
}

fn part(headers: &HeaderMap, size: u64) -> Verdict {
    let mut values = headers.get_all(RANGE).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return Verdict::Whole };
    let Some(ranges) = value.to_str().ok().and_then(ranges) else { return Verdict::Whole };
    match ranges[..] {
        [RequestedRange::From(first, _)] if first >= size => Verdict::Unsatisfiable,
        [RequestedRange::From(first, last)] => Verdict::Part(first..last.saturating_add(1).min(size)),
        [RequestedRange::Last(0)] => Verdict::Unsatisfiable,
        // The end of nothing is nothing, and no range can say so.
        [RequestedRange::Last(_)] if size == 0 => Verdict::Whole,
        [RequestedRange::Last(count)] => Verdict::Part(size.saturating_sub(count)..size),
        _ => Verdict::Whole,
    }
}

/// One range of a request.
#[derive(Debug, Clone, Copy)]
enum RequestedRange {
    /// From a byte until another, both included.
    From(u64, u64),
    /// So many at the end.
    Last(u64),
}

/// Reads all ranges; one bad one makes the header mean nothing.
fn ranges(value: &str) -> Option<Vec<RequestedRange>> {
    let (unit, list) = value.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let parts = list.split(',').map(str::trim).filter(|part| !part.is_empty());
    let asked = parts.map(|part| match part.split_once('-')? {
        ("", count) => Some(RequestedRange::Last(number(count)?)),
        (first, "") => Some(RequestedRange::From(number(first)?, u64::MAX)),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            (first <= last).then_some(RequestedRange::From(first, last))
        }
    });
    asked.collect::<Option<Vec<_>>>().filter(|asked| !asked.is_empty())
}

/// Reads a number; one that is too large is as large as any file can be.
fn number(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}

/// Returns the tags of all lines of a header; a comma within quotes parts nothing.
fn tags(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    let lines = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    lines.flat_map(|line| {
        let mut is_quoted = false;
        let parts = line.split(move |letter| {
            is_quoted ^= letter == '"';
            letter == ',' && !is_quoted
        });
        parts.map(str::trim)
    })
}

/// Returns the date of a header, in seconds since 1970.
fn date(headers: &HeaderMap, name: HeaderName) -> Option<i64> {
    let date = httpdate::parse_http_date(headers.get(name)?.to_str().ok()?).ok()?;
    i64::try_from(date.duration_since(UNIX_EPOCH).ok()?.as_secs()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use proptest::prelude::*;

    const ETAG: &str = "\"abc\"";
    /// 2024-12-31 23:59:59.
    const MODIFIED: i64 = 1_735_689_599;
    const THEN: &str = "Tue, 31 Dec 2024 23:59:59 GMT";
    const BEFORE: &str = "Tue, 31 Dec 2024 23:59:58 GMT";
    const LATER: &str = "Wed, 01 Jan 2025 00:00:00 GMT";

    fn judged(method: &Method, lines: &[(HeaderName, &str)], size: u64) -> Verdict {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        judge(method, &headers, &Representation { etag: ETAG, modified: Some(MODIFIED), size: Some(size) })
    }

    fn get(lines: &[(HeaderName, &str)]) -> Verdict {
        judged(&Method::GET, lines, 100)
    }

    #[test]
    fn if_none_match_compares_weakly_in_lists_and_lines() {
        for value in ["\"abc\"", "W/\"abc\"", "*", "\"x\", \"abc\"", "\"x,y\",W/\"abc\"", "\"a,b\" , \"abc\""] {
            assert_eq!(get(&[(IF_NONE_MATCH, value)]), Verdict::NotModified, "{value}");
        }
        for value in ["\"x\"", "abc", "", "\"abc", "\"x,\"abc\"\"", "\"ABC\"", "é"] {
            assert_eq!(get(&[(IF_NONE_MATCH, value)]), Verdict::Whole, "{value}");
        }
        assert_eq!(get(&[(IF_NONE_MATCH, "\"x\""), (IF_NONE_MATCH, "\"abc\"")]), Verdict::NotModified);
        assert_eq!(judged(&Method::HEAD, &[(IF_NONE_MATCH, ETAG)], 100), Verdict::NotModified);
    }

    #[test]
    fn a_date_counts_only_without_a_tag() {
        assert_eq!(get(&[(IF_MODIFIED_SINCE, THEN)]), Verdict::NotModified);
        assert_eq!(get(&[(IF_MODIFIED_SINCE, LATER)]), Verdict::NotModified);
        assert_eq!(get(&[(IF_MODIFIED_SINCE, BEFORE)]), Verdict::Whole);
        assert_eq!(get(&[(IF_MODIFIED_SINCE, "yesterday")]), Verdict::Whole);
        assert_eq!(get(&[(IF_MODIFIED_SINCE, THEN), (IF_NONE_MATCH, "\"x\"")]), Verdict::Whole);
        let undated = Representation { etag: ETAG, modified: None, size: None };
        let headers = HeaderMap::from_iter([(IF_MODIFIED_SINCE, HeaderValue::from_static(LATER))]);
        assert_eq!(judge(&Method::GET, &headers, &undated), Verdict::Whole);
    }

    #[test]
    fn preconditions_compare_strongly() {
        for (name, value, verdict) in [
            (IF_MATCH, "\"abc\"", Verdict::Whole),
            (IF_MATCH, "*", Verdict::Whole),
            (IF_MATCH, "\"x\", \"abc\"", Verdict::Whole),
            (IF_MATCH, "W/\"abc\"", Verdict::Failed),
            (IF_MATCH, "\"x\"", Verdict::Failed),
            (IF_UNMODIFIED_SINCE, THEN, Verdict::Whole),
            (IF_UNMODIFIED_SINCE, BEFORE, Verdict::Failed),
            (IF_UNMODIFIED_SINCE, "soon", Verdict::Whole),
        ] {
            assert_eq!(get(&[(name.clone(), value)]), verdict, "{name}: {value}");
        }
        assert_eq!(get(&[(IF_MATCH, ETAG), (IF_UNMODIFIED_SINCE, BEFORE)]), Verdict::Whole, "the tag decides");
    }

    #[test]
    fn one_range_is_answered_by_its_bytes() {
        for (value, part) in [
            ("bytes=0-0", 0..1),
            ("bytes=0-49", 0..50),
            ("bytes=50-", 50..100),
            ("bytes=99-", 99..100),
            ("bytes=50-1000", 50..100),
            ("bytes=0-99999999999999999999999", 0..100),
            ("bytes=-1", 99..100),
            ("bytes=-100", 0..100),
            ("bytes=-16384", 0..100),
            ("Bytes=0-9", 0..10),
            ("bytes= 0-9", 0..10),
            ("bytes=0-9,", 0..10),
        ] {
            assert_eq!(get(&[(RANGE, value)]), Verdict::Part(part), "{value}");
        }
    }

    #[test]
    fn what_is_no_range_or_more_than_one_gets_the_whole() {
        for value in [
            "bytes=",
            "bytes=-",
            "bytes=a-b",
            "bytes=5-4",
            "bytes=1",
            "bytes=+1-2",
            "bytes=1-2-3",
            "bytes 0-1",
            "0-1",
            "lines=0-1",
            "bytes=0-1,5-4",
            "bytes=0-1,x",
            "bytes=--1",
            "bytes=0x1-2",
            "é",
            "bytes=0-0,-1",
            "bytes=0-1,4-5",
        ] {
            assert_eq!(get(&[(RANGE, value)]), Verdict::Whole, "{value}");
        }
        assert_eq!(get(&[(RANGE, "bytes=0-1"), (RANGE, "bytes=4-5")]), Verdict::Whole);
        assert_eq!(judged(&Method::HEAD, &[(RANGE, "bytes=0-1")], 100), Verdict::Whole, "HEAD has no parts");
    }

    #[test]
    fn a_range_behind_the_end_cannot_be_satisfied() {
        for value in ["bytes=100-", "bytes=100-200", "bytes=99999999999999999999-", "bytes=-0"] {
            assert_eq!(get(&[(RANGE, value)]), Verdict::Unsatisfiable, "{value}");
        }
        assert_eq!(judged(&Method::GET, &[(RANGE, "bytes=0-")], 0), Verdict::Unsatisfiable);
        assert_eq!(judged(&Method::GET, &[(RANGE, "bytes=-5")], 0), Verdict::Whole);
    }

    #[test]
    fn if_range_by_tag_is_strong_and_by_date_exact() {
        for (value, is_part) in [
            ("\"abc\"", true),
            (THEN, true),
            ("W/\"abc\"", false),
            ("\"x\"", false),
            (BEFORE, false),
            (LATER, false),
            ("soon", false),
            ("", false),
        ] {
            let verdict = if is_part { Verdict::Part(5..100) } else { Verdict::Whole };
            assert_eq!(get(&[(RANGE, "bytes=5-"), (IF_RANGE, value)]), verdict, "{value}");
        }
    }

    #[test]
    fn what_is_not_modified_is_so_with_a_range_too() {
        assert_eq!(get(&[(RANGE, "bytes=0-1"), (IF_NONE_MATCH, ETAG)]), Verdict::NotModified);
        assert_eq!(get(&[(RANGE, "bytes=500-"), (IF_MATCH, "\"x\"")]), Verdict::Failed);
    }

    proptest! {
        #[test]
        fn a_part_is_never_empty_and_never_beyond_the_end(value in "bytes=[0-9,-]{0,24}", size in 0u64..200) {
            if let Verdict::Part(part) = judged(&Method::GET, &[(RANGE, &value)], size) {
                prop_assert!(part.start < part.end && part.end <= size);
            }
        }
    }
}
