//! How the server does: for probes, and for Prometheus in its text format, version 0.0.4.

use super::answer::{failure, plain, set};
use super::counters::{BUCKETS, Counters, RequestKind};
use super::feed::Feeds;
use super::{Answer, Server, upkeep, webhooks, write_back};
use crate::fs;
use crate::manifest::StoreTotals;
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use std::fmt::{self, Write as _};
use std::sync::Mutex;

/// So long, in seconds, the totals of the store are taken to hold: they are counted row by row.
const TOTALS_SECONDS: i64 = 15;

/// The totals of the store, and when they were counted.
pub(super) type Totals = Mutex<Option<(i64, StoreTotals)>>;

/// Answers whether the store can be used.
pub(super) fn health(server: &Server) -> Answer {
    let mut answer = match probe_store(server) {
        Ok(()) => match age(server) {
            // What is here is served all the same, as old as it is.
            Some(age) if age >= OLD_SECONDS => {
                plain(StatusCode::OK, format!("ok, without news of the shared store for {age} s"))
            }
            _ => plain(StatusCode::OK, "ok"),
        },
        // Anybody may ask: where the store lies is for the log.
        Err(error) => failure(&error),
    };
    set(&mut answer, CACHE_CONTROL, "no-cache");
    answer
}

/// So old, in seconds, what a node knows of its shared store is told to be.
const OLD_SECONDS: i64 = 10;

/// Returns how old what a node knows of its shared store is, in seconds; `None`: it is no node.
pub(super) fn age(server: &Server) -> Option<i64> {
    let followed_at = server.followed_at.load(std::sync::atomic::Ordering::Relaxed);
    (followed_at > 0).then(|| server.now().saturating_sub(followed_at).max(0))
}

/// Reads a row, and looks for the folder: a filesystem that went away leaves open files behind.
fn probe_store(server: &Server) -> crate::error::Result<()> {
    let store = server.stores.borrow()?;
    store.manifest.losses()?;
    let path = store.root().join("wcas.json");
    match fs::entry(&path)? {
        Some(_) => Ok(()),
        None => Err(crate::store::Error::Absent(store.root().to_owned()).into()),
    }
}

/// Answers with the counters.
pub(super) fn metrics(server: &Server) -> Answer {
    let mut text = String::new();
    let mut written = write(&mut text, &server.counters, totals(server)).and_then(|()| pulls(&mut text, &server.feeds));
    if let Ok(store) = server.stores.borrow() {
        written = written.and_then(|()| write_back::metrics(&mut text, &store.manifest));
        written = written.and_then(|()| webhooks::metrics(&mut text, &store.manifest));
    }
    written = written.and_then(|()| upkeep::write(&mut text, server, age(server)));
    written.expect("memory takes all text");
    let mut answer = plain(StatusCode::OK, "");
    *answer.body_mut() = super::Body::Bytes(text.into());
    set(&mut answer, CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8");
    set(&mut answer, CACHE_CONTROL, "no-cache");
    answer
}

/// Returns the totals of the store; `None` when they can't be read.
fn totals(server: &Server) -> Option<StoreTotals> {
    // One at a time counts; who comes meanwhile gets what it found.
    let mut known = server.totals.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let now = server.now();
    if let Some((at, totals)) = *known
        && (0..TOTALS_SECONDS).contains(&(now - at))
    {
        return Some(totals);
    }
    let totals = server.stores.borrow().ok()?.manifest.blob_totals().ok()?;
    *known = Some((now, totals));
    Some(totals)
}

fn write(out: &mut String, counters: &Counters, totals: Option<StoreTotals>) -> fmt::Result {
    family(out, "wcas_build_info", "gauge", "The program.")?;
    writeln!(out, "wcas_build_info{{version=\"{}\"}} 1", env!("CARGO_PKG_VERSION"))?;
    answers(out, counters)?;
    durations(out, counters)?;
    tallies(out, counters)?;
    for (name, help, count) in [
        ("wcas_sent_bytes_total", "Bytes of bodies sent.", &counters.sent_bytes),
        ("wcas_uploads_total", "Files taken from clients.", &counters.uploads),
        ("wcas_cached_pages_total", "Pages answered from memory.", &counters.cached_pages),
        ("wcas_made_pages_total", "Pages that had to be made.", &counters.made_pages),
        ("wcas_bad_blobs_total", "Files not given since their bytes were missing or wrong.", &counters.bad_blobs),
        ("wcas_redirects_total", "Files that clients were told to fetch from the share's bucket.", &counters.redirects),
        ("wcas_direct_uploads_total", "Files that builders put into the share's bucket.", &counters.direct_uploads),
    ] {
        family(out, name, "counter", help)?;
        writeln!(out, "{name} {}", count.get())?;
    }
    family(out, "wcas_downloads_total", "counter", "Files given, or their beginning, since the server began.")?;
    writeln!(out, "wcas_downloads_total {}", counters.downloads.total())?;
    family(out, "wcas_requests_in_flight", "gauge", "Answers that are being made.")?;
    writeln!(out, "wcas_requests_in_flight {}", counters.in_flight())?;
    if let Some(StoreTotals { count, bytes }) = totals {
        family(out, "wcas_store_blobs", "gauge", "Blobs of the store.")?;
        writeln!(out, "wcas_store_blobs {count}")?;
        family(out, "wcas_store_bytes", "gauge", "Bytes of the blobs of the store.")?;
        writeln!(out, "wcas_store_bytes {bytes}")?;
    }
    Ok(())
}

fn pulls(out: &mut String, feeds: &Feeds) -> fmt::Result {
    family(out, "wcas_pulls_total", "counter", "Files fetched from remotes because a client asked.")?;
    writeln!(out, "wcas_pulls_total {}", feeds.pulled().get())?;
    family(out, "wcas_pulls_in_flight", "gauge", "Files that are being fetched from remotes, or wait for their turn.")?;
    writeln!(out, "wcas_pulls_in_flight {}", feeds.running())
}

fn answers(out: &mut String, counters: &Counters) -> fmt::Result {
    let name = "wcas_requests_total";
    family(out, name, "counter", "Answers, by what was asked for and class of status.")?;
    for asked in RequestKind::ALL {
        for (class, count) in counters.answers(asked).into_iter().enumerate().filter(|(_, count)| *count > 0) {
            writeln!(out, "{name}{{endpoint=\"{}\",status=\"{}xx\"}} {count}", asked.label(), class + 1)?;
        }
    }
    Ok(())
}

fn durations(out: &mut String, counters: &Counters) -> fmt::Result {
    let name = "wcas_request_duration_seconds";
    family(out, name, "histogram", "Time until the head of an answer was made.")?;
    let mut total = 0;
    for (place, count) in counters.durations.iter().enumerate() {
        total += count.get();
        match BUCKETS.get(place) {
            Some(end) => writeln!(out, "{name}_bucket{{le=\"{}\"}} {total}", seconds(*end))?,
            None => writeln!(out, "{name}_bucket{{le=\"+Inf\"}} {total}")?,
        }
    }
    writeln!(out, "{name}_sum {}", seconds(counters.spent_micros.get()))?;
    writeln!(out, "{name}_count {total}")
}

fn tallies(out: &mut String, counters: &Counters) -> fmt::Result {
    // The names are of a-z, 0-9 and few other letters, none of which a label would have to escape.
    let tallies = counters.tallies();
    family(out, "wcas_hits_total", "counter", "Files given, by collection and the remote that they just came from.")?;
    for ((collection, remote), tally) in &tallies {
        writeln!(out, "wcas_hits_total{{collection=\"{collection}\",remote=\"{remote}\"}} {}", tally.hits.get())?;
    }
    family(out, "wcas_misses_total", "counter", "Pages and files that a view was asked for and has not.")?;
    for ((collection, _), tally) in tallies.iter().filter(|((_, remote), _)| remote.is_empty()) {
        writeln!(out, "wcas_misses_total{{collection=\"{collection}\"}} {}", tally.misses.get())?;
    }
    Ok(())
}

fn family(out: &mut String, name: &str, kind: &str, help: &str) -> fmt::Result {
    writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}")
}

fn seconds(micros: u64) -> f64 {
    // Far below the numbers that a float no longer tells apart.
    micros as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_text_is_what_prometheus_reads() {
        let counters = Counters::default();
        counters.answered(RequestKind::Project, 200, Duration::from_micros(400));
        counters.answered(RequestKind::Project, 304, Duration::from_secs(60));
        counters.tally("cuda", "").hit();
        counters.tally("cuda", "mirror").hit();
        counters.tally("shared", "").miss();
        let mut text = String::new();
        write(&mut text, &counters, Some(StoreTotals { count: 3, bytes: 1000 })).unwrap();
        for line in [
            "wcas_requests_total{endpoint=\"project\",status=\"2xx\"} 1",
            "wcas_requests_total{endpoint=\"project\",status=\"3xx\"} 1",
            "wcas_request_duration_seconds_bucket{le=\"0.0001\"} 0",
            "wcas_request_duration_seconds_bucket{le=\"0.001\"} 1",
            "wcas_request_duration_seconds_bucket{le=\"10\"} 1",
            "wcas_request_duration_seconds_bucket{le=\"+Inf\"} 2",
            "wcas_request_duration_seconds_sum 60.0004",
            "wcas_request_duration_seconds_count 2",
            "wcas_hits_total{collection=\"cuda\",remote=\"\"} 1",
            "wcas_hits_total{collection=\"cuda\",remote=\"mirror\"} 1",
            "wcas_misses_total{collection=\"shared\"} 1",
            "wcas_requests_in_flight 0",
            "wcas_store_blobs 3",
            "wcas_store_bytes 1000",
        ] {
            assert!(text.lines().any(|own| own == line), "{line} is not in\n{text}");
        }
        let mut families = Vec::new();
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                families.push(rest.split(' ').next().unwrap().to_owned());
            } else if !line.starts_with('#') {
                let own = families.last().unwrap();
                assert!(line.starts_with(own.as_str()), "{line} is under {own}");
                let value = line.rsplit(' ').next().unwrap();
                assert!(value.parse::<f64>().is_ok(), "{line}");
            }
        }
        let mut once = families.clone();
        once.dedup();
        assert_eq!(once, families, "each family once");
    }
}
