//! How the store is, for Prometheus: the numbers of the page about health.
//!
//! A family is told even where it has no number: so a rule that names it is known to be spelled well.

use super::{Server, measured};
use crate::ops;
use crate::ops::growth::HeldAt;
use crate::ops::panel::{Due, Glance, Panel};
use crate::ops::remote::{Health, RemoteReport};
use crate::ops::stats::RemoteStats;
use std::fmt::{self, Write as _};

/// A number that may be unknown.
type Gauge = (&'static str, &'static str, Option<i64>);

/// Writes the numbers; what can't be read is not told.
pub(super) fn write(out: &mut String, server: &Server, age: Option<i64>) -> fmt::Result {
    let glance = server.stores.borrow().ok().and_then(|store| ops::panel::glance(&store).ok());
    let panel = measured::panel(server, None).ok();
    let held = measured::growth(server, None).ok().and_then(|growth| growth.days.last().copied());
    let now = |read: fn(&Glance) -> Option<i64>| glance.as_ref().and_then(read);
    let lately = |read: fn(&Panel) -> Option<i64>| panel.as_deref().and_then(read);
    let grown = |read: fn(HeldAt) -> u64| held.and_then(|day| whole(read(day)));
    let gauges: [Gauge; 12] = [
        ("wcas_shared_log_age_seconds", "How long ago the shared store's log was read to its end.", age),
        (
            "wcas_disk_free_bytes",
            "Bytes that can be written on the store's filesystem.",
            now(|own| whole(own.free_bytes?)),
        ),
        ("wcas_last_gc_timestamp_seconds", "When gc last ran.", now(|own| own.gc_at)),
        ("wcas_lost_blobs", "Blobs whose bytes are missing or wrong.", now(|own| whole(own.lost))),
        (
            "wcas_quarantined_files",
            "Files with wrong bytes that were moved away, ever.",
            now(|own| whole(own.quarantined)),
        ),
        ("wcas_sessions", "Commands that write, or were cut off.", now(|own| whole(own.sessions.len() as u64))),
        ("wcas_last_verify_timestamp_seconds", "When verify last read a file.", lately(|own| own.verified_at)),
        ("wcas_verified_since_timestamp_seconds", "Since when all files were read.", lately(|own| own.verified_since)),
        ("wcas_unverified_files", "Files that were never read since they came.", lately(|own| whole(own.unverified))),
        ("wcas_kept_bytes", "Bytes of blobs that a collection has.", grown(|day| day.kept)),
        ("wcas_saved_bytes", "Bytes that sharing saves.", grown(|day| day.saved)),
        ("wcas_removed_bytes", "Bytes of blobs that no collection has, and are there still.", grown(|day| day.removed)),
    ];
    for (name, help, value) in gauges {
        family(out, name, "gauge", help)?;
        if let Some(value) = value {
            writeln!(out, "{name} {value}")?;
        }
    }
    due(out, panel.as_deref().map_or(&[], |panel| &panel.due))?;
    remotes(out, server)
}

fn whole(number: u64) -> Option<i64> {
    i64::try_from(number).ok()
}

fn due(out: &mut String, all: &[Due]) -> fmt::Result {
    let known = || all.iter().filter_map(|due| Some((&due.collection, due.files?)));
    family(out, "wcas_retention_due_files", "gauge", "Files that retention would take, by collections with rules.")?;
    for (collection, (files, _)) in known() {
        writeln!(out, "wcas_retention_due_files{{collection=\"{collection}\"}} {files}")?;
    }
    family(out, "wcas_retention_due_bytes", "gauge", "Their bytes, which others may share.")?;
    for (collection, (_, bytes)) in known() {
        writeln!(out, "wcas_retention_due_bytes{{collection=\"{collection}\"}} {bytes}")?;
    }
    Ok(())
}

/// Writes how remotes do; their names have no letter that a label would have to escape.
fn remotes(out: &mut String, server: &Server) -> fmt::Result {
    let Ok(store) = server.stores.borrow() else { return Ok(()) };
    let reports = ops::remote::remotes(&store).unwrap_or_default();
    let counts = ops::stats::remotes(&store).unwrap_or_default();
    family(
        out,
        "wcas_remote_up",
        "gauge",
        "Whether a remote's last answer could be used; without a number: nobody asked.",
    )?;
    for RemoteReport { name, health, .. } in reports.iter().filter(|remote| remote.health != Health::Unknown) {
        writeln!(out, "wcas_remote_up{{remote=\"{name}\"}} {}", u8::from(*health == Health::Ok))?;
    }
    family(out, "wcas_remote_last_answer_timestamp_seconds", "gauge", "When a remote last gave an answer.")?;
    for (name, at) in reports.iter().filter_map(|remote| Some((&remote.name, remote.ok_at?))) {
        writeln!(out, "wcas_remote_last_answer_timestamp_seconds{{remote=\"{name}\"}} {at}")?;
    }
    // Counts of remotes that are gone have any name that one ever had; all were remotes' names.
    let known: Vec<&RemoteStats> =
        counts.iter().filter(|stats| reports.iter().any(|remote| remote.name.as_str() == stats.name)).collect();
    family(out, "wcas_remote_answers_total", "counter", "What remotes answered, ever, by outcome.")?;
    for stats in &known {
        for (outcome, count) in [("hit", stats.hits), ("miss", stats.misses), ("failure", stats.failures)] {
            writeln!(out, "wcas_remote_answers_total{{remote=\"{}\",outcome=\"{outcome}\"}} {count}", stats.name)?;
        }
    }
    family(out, "wcas_remote_answer_seconds_total", "counter", "The time that remotes' answers took, ever.")?;
    for stats in &known {
        let seconds = stats.milliseconds as f64 / 1000.0;
        writeln!(out, "wcas_remote_answer_seconds_total{{remote=\"{}\"}} {seconds}", stats.name)?;
    }
    family(out, "wcas_remote_received_bytes_total", "counter", "Bytes that came from remotes, ever.")?;
    for stats in &known {
        writeln!(out, "wcas_remote_received_bytes_total{{remote=\"{}\"}} {}", stats.name, stats.bytes)?;
    }
    Ok(())
}

fn family(out: &mut String, name: &str, kind: &str, help: &str) -> fmt::Result {
    writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}")
}
