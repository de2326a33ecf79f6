//! `wcas stats`

use super::app::App;
use super::print::{Column, number, text};
use super::{End, print};
use wcas::error::Result;
use wcas::ops;

/// Count blobs, bytes, what sharing saves, and lookups
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: wcas stats --json")]
pub(super) struct Args {}

const COLLECTIONS: [Column; 6] = [
    text("COLLECTION"),
    number("REVISION").least(1),
    number("DISTRIBUTIONS"),
    number("SIZE"),
    number("ITS OWN").least(2),
    number("SHARED").least(3),
];

const REMOTES: [Column; 6] = [
    text("REMOTE"),
    number("HITS"),
    number("MISSES"),
    number("FAILURES"),
    number("SIZE").least(1),
    number("TIME").least(2),
];

pub(super) fn run(app: &App, _args: Args) -> Result<End> {
    let report = ops::stats::stats(&app.open()?, app.now)?;
    app.report("stats", &report, |out| {
        let (blobs, entries) = (&report.blobs, &report.entries);
        writeln!(out, "{}, {}", print::count(blobs.count as usize, "blob"), print::size(blobs.bytes))?;
        let entries = format!("{} distributions in collections, {}", entries.count, print::size(entries.bytes));
        writeln!(out, "{entries}: {} saved by sharing", print::size(report.saved_bytes))?;
        let verified = report
            .verified_since
            .map_or_else(|| "not all verified yet".to_owned(), |at| format!("all verified since {}", print::time(at)));
        writeln!(out, "{verified}")?;
        if !report.collections.is_empty() {
            writeln!(out)?;
            let rows: Vec<[String; 6]> = report
                .collections
                .iter()
                .map(|row| {
                    [
                        row.name.to_string(),
                        row.revision.to_string(),
                        row.distributions.to_string(),
                        print::size(row.bytes),
                        print::size(row.unique_bytes),
                        print::size(row.shared_bytes),
                    ]
                })
                .collect();
            print::table(out, COLLECTIONS, &rows)?;
        }
        let lookups = &report.lookups;
        writeln!(out)?;
        let rate = lookups.hit_rate * 100.0;
        let (hits, misses) = (lookups.hits, lookups.misses);
        writeln!(out, "lookups: hits {hits}, misses {misses} ({rate:.1} % hits); stored {}", lookups.stores)?;
        if !report.remotes.is_empty() {
            writeln!(out)?;
            let rows: Vec<[String; 6]> = report
                .remotes
                .iter()
                .map(|row| {
                    [
                        row.name.clone(),
                        row.hits.to_string(),
                        row.misses.to_string(),
                        row.failures.to_string(),
                        print::size(row.bytes),
                        format!("{:.1} s", row.milliseconds as f64 / 1000.0),
                    ]
                })
                .collect();
            print::table(out, REMOTES, &rows)?;
        }
        Ok(())
    })?;
    Ok(End::Done)
}
