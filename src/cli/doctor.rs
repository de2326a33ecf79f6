//! `wcas doctor`

use super::app::App;
use super::look::Style;
use super::{End, print};
use wcas::error::Result;
use wcas::ops;
use wcas::ops::doctor::Severity;

/// Look at the store's health: filesystem, locks, permissions, rows against names, leftovers, trees
///
/// Reads no blob's bytes (that is `verify`) and changes nothing. Exits with 3 when there are problems; notes are none.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: wcas doctor --json")]
pub(super) struct Args {}

pub(super) fn run(app: &App, _args: Args) -> Result<End> {
    let report = match app.open() {
        Ok(store) => ops::doctor::doctor(&store, &app.context())?,
        Err(error) => ops::doctor::diagnose(&app.store_path()?, error)?,
    };
    let problems = report.findings.iter().filter(|finding| finding.severity == Severity::Problem).count();
    app.report("doctor", &report, |out| {
        let clones = if report.reflink { "clones files" } else { "copies files (it can't clone)" };
        let writable = if report.is_writable { "" } else { ", read-only" };
        let free = print::size(report.free_bytes);
        writeln!(out, "{}: {}{writable}, {clones}, {free} free", report.store.display(), report.filesystem)?;
        if let Some(share) = &report.share {
            let node = share.node.map_or("no node yet".to_owned(), |number| format!("node {number}"));
            let log = share.log.as_ref().map_or(String::new(), |log| format!(", its log at {log}"));
            let records = print::count(share.records as usize, "record");
            let objects = share.objects.map_or(String::new(), |count| format!(", {}", print::count(count, "object")));
            writeln!(out, "{node} of {}{log}, {records} known{objects}", share.url)?;
        }
        for finding in &report.findings {
            match finding.severity {
                Severity::Problem => out.styled(Style::Bad, "problem")?,
                _ => out.styled(Style::Warning, "note")?,
            }
            writeln!(out, ": {}: {}", finding.kind, finding.detail)?;
            if let Some(path) = &finding.path {
                writeln!(out, "  at {}", path.display())?;
            }
            writeln!(out, "  {}", finding.advice)?;
        }
        let notes = print::count(report.findings.len() - problems, "note");
        let style = if problems == 0 { Style::Good } else { Style::Bad };
        out.styled(style, &print::count(problems, "problem"))?;
        writeln!(out, ", {notes}")
    })?;
    Ok(if problems == 0 { End::Done } else { End::Problems })
}
