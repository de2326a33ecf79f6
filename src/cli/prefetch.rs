//! `wcas prefetch`

use super::app::App;
use super::select::Within;
use super::{End, print};
use std::path::PathBuf;
use wcas::error::Result;
use wcas::ops;
use wcas::requirement::Spec;

/// On a node of a shared store: fetch what is going to be wanted
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: wcas prefetch --collection cuda")]
pub(super) struct Args {
    /// Only these: `torch`, `torch==2.5.1`, a filename, a digest
    specs: Vec<Spec>,
    /// What a requirements file or lock file (pylock.toml, uv.lock, poetry.lock) names, all builds of it that --python and --platform
    /// leave; may be given several times
    #[arg(short, long, value_name = "FILE")]
    requirements: Vec<PathBuf>,
    #[command(flatten)]
    within: Within,
}

pub(super) fn run(app: &App, args: Args) -> Result<End> {
    let store = app.open()?;
    let is_asked = !args.specs.is_empty();
    let filter = args.within.filter(args.specs)?;
    let set = ops::requirements::wants(&args.requirements, &filter.tags)?;
    set.notes.iter().for_each(|note| app.note(note));
    set.refused.iter().for_each(|refused| app.warn(refused));
    if !args.requirements.is_empty() && set.wants.is_empty() && filter.specs.is_empty() {
        return Err(wcas::Error::Refused(
            "nothing to fetch: the files name no requirement that counts here".to_owned(),
        ));
    }
    let report = ops::prefetch::prefetch(&store, &app.context(), &filter, &set.wants)?;
    app.done("prefetch", &report, |out| {
        let (files, bytes) = (print::count(report.fetched, "file"), print::size(report.bytes));
        let there = format!("{} of {} are here", report.here, report.files);
        writeln!(out, "fetched {files}, {bytes}{}; {there}", app.cost(None))
    })?;
    report.problems.iter().for_each(|problem| app.warn(problem));
    Ok(match (report.files, report.problems.is_empty() && set.refused.is_empty()) {
        (0, _) if is_asked => End::NotFound,
        (_, true) => End::Done,
        (_, false) => End::Problems,
    })
}
