//! `wcas prefetch`

use super::app::App;
use super::select::Within;
use super::{End, print};
use wcas::error::Result;
use wcas::ops;
use wcas::requirement::Spec;

/// On a node of a shared store: fetch what is going to be wanted
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: wcas prefetch --collection cuda")]
pub(super) struct Args {
    /// Only these: `torch`, `torch==2.5.1`, a filename, a digest
    specs: Vec<Spec>,
    #[command(flatten)]
    within: Within,
}

pub(super) fn run(app: &App, args: Args) -> Result<End> {
    let store = app.open()?;
    let is_asked = !args.specs.is_empty();
    let report = ops::prefetch::prefetch(&store, &app.context(), &args.within.filter(args.specs)?)?;
    app.done("prefetch", &report, |out| {
        let (files, bytes) = (print::count(report.fetched, "file"), print::size(report.bytes));
        writeln!(out, "fetched {files}, {bytes}; {} of {} are here", report.files - report.problems.len(), report.files)
    })?;
    report.problems.iter().for_each(|problem| app.warn(problem));
    Ok(match (report.files, report.problems.is_empty()) {
        (0, _) if is_asked => End::NotFound,
        (_, true) => End::Done,
        (_, false) => End::Problems,
    })
}
