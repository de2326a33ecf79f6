//! `wcas collection diff`, and what a rollback would do: by project, with versions and sizes.

use super::app::App;
use super::print::{self, Lines, number, text};
use std::io::{self, Write};
use wcas::catalog::at::RevisionSpec;
use wcas::error::Result;
use wcas::name::CollectionName;
use wcas::ops;
use wcas::ops::collection::{DiffReport, DiffTotals, ProjectChange};

/// So many versions of a project are told in a line.
const TOLD: usize = 3;

/// Prints what differs: in numbers alone where those are asked for.
pub(super) fn diff(app: &App, from: &RevisionSpec, to: &RevisionSpec, is_stat: bool) -> Result<()> {
    let report = ops::collection::diff(&app.open()?, from, to)?;
    if report.changes.is_empty() {
        app.note("nothing differs");
    }
    app.report(
        "collection-diff",
        &report,
        |out| {
            if is_stat { stat(out, &report) } else { print(out, &report, app.verbose) }
        },
    )
}

/// Gives a collection an older content again, or tells what that would change.
pub(super) fn rollback(app: &App, name: &CollectionName, revision: &str, is_dry_run: bool) -> Result<()> {
    if is_dry_run {
        let report = ops::collection::rollback_plan(&app.open()?, name, revision)?;
        app.report("collection-rollback", &report, |out| {
            if let Some(diff) = report.diff.as_ref().filter(|diff| !diff.changes.is_empty()) {
                print(out, diff, app.verbose)?;
            }
            let changes = format!("{} added, {} removed", report.added, report.removed);
            writeln!(out, "{name}@{} would have the content of {name}@{}: {changes}", report.revision, report.to)
        })?;
        app.note("nothing was changed");
        return Ok(());
    }
    let report = ops::collection::rollback(&app.open()?, &app.context(), name, revision)?;
    app.report("collection-rollback", &report, |out| {
        let changes = format!("{} added, {} removed", report.added, report.removed);
        writeln!(out, "{name}@{} has the content of {name}@{}: {changes}", report.revision, report.to)
    })
}

fn print(out: &mut Lines<'_>, report: &DiffReport, is_verbose: bool) -> io::Result<()> {
    if report.changes.is_empty() {
        return Ok(());
    }
    let row = |of: &ProjectChange| [of.change.to_owned(), of.project.to_string(), versions(of), growth(of.bytes)];
    let rows: Vec<_> = report.projects.iter().map(row).collect();
    print::table(out, [text("CHANGE"), text("PROJECT"), text("VERSIONS"), number("SIZE")], &rows)?;
    for change in report.changes.iter().filter(|_| is_verbose) {
        let sign = match change.change {
            "added" => '+',
            "removed" => '-',
            _ => '~',
        };
        let word = if sign == '~' { format!("  ({})", change.change) } else { String::new() };
        writeln!(out, "{sign} {}{word}", change.filename)?;
    }
    Ok(())
}

/// Says which versions a project had and has: those that both have are told only where nothing else is to tell.
fn versions(of: &ProjectChange) -> String {
    let only = |these: &[String], others: &[String]| -> Vec<String> {
        these.iter().filter(|version| !others.contains(version)).cloned().collect()
    };
    let (gone, come) = (only(&of.before, &of.after), only(&of.after, &of.before));
    match (of.change, gone.is_empty(), come.is_empty()) {
        ("added", ..) => some(&come),
        ("removed", ..) => some(&gone),
        (_, false, false) => format!("{} → {}", some(&gone), some(&come)),
        (_, true, false) => format!("{} comes", some(&come)),
        (_, false, true) => format!("{} goes", some(&gone)),
        _ => format!("{} ({})", some(&of.after), files(of)),
    }
}

/// Says what became of the files of versions that stay.
fn files(of: &ProjectChange) -> String {
    let counts = [
        (of.added, "more"),
        (of.removed, "fewer"),
        (of.replaced, "with other bytes"),
        (of.yanked, "with another yank mark"),
    ];
    let told = counts.into_iter().filter(|(count, _)| *count > 0);
    told.map(|(count, word)| format!("{} {word}", print::count(count, "file"))).collect::<Vec<_>>().join(", ")
}

fn some(versions: &[String]) -> String {
    let told: Vec<&str> = versions.iter().rev().take(TOLD).rev().map(String::as_str).collect();
    let more = versions.len() - told.len();
    if more == 0 { told.join(", ") } else { format!("{} and {more} older", told.join(", ")) }
}

fn growth(bytes: i64) -> String {
    let sign = if bytes < 0 { '-' } else { '+' };
    format!("{sign}{}", print::size(bytes.unsigned_abs()))
}

fn stat(out: &mut dyn Write, report: &DiffReport) -> io::Result<()> {
    let DiffTotals { projects_added, projects_removed, projects_changed, .. } = report.totals;
    let DiffTotals { added, removed, replaced, yanked, bytes_added, bytes_removed, .. } = report.totals;
    writeln!(out, "{} to {}", report.from, report.to)?;
    writeln!(out, "projects  {projects_added} added, {projects_removed} removed, {projects_changed} changed")?;
    let marked = if yanked == 0 { String::new() } else { format!(", {yanked} with another yank mark") };
    writeln!(out, "files     {added} added, {removed} removed, {replaced} with other bytes{marked}")?;
    let (come, gone) = (print::size(bytes_added), print::size(bytes_removed));
    let grown = i64::try_from(bytes_added).unwrap_or(i64::MAX) - i64::try_from(bytes_removed).unwrap_or(i64::MAX);
    writeln!(out, "bytes     {} ({come} come, {gone} go)", growth(grown))
}
