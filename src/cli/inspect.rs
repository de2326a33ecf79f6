//! `wcas inspect`

use super::app::App;
use super::print::Lines;
use super::{End, print};
use std::io;
use std::path::PathBuf;
use wcas::error::Result;
use wcas::ops;
use wcas::ops::inspect::InspectedFile;

/// Tell what wheels are bound to: CUDA, ROCm, oneAPI, Gaudi, or nothing
///
/// Looks at names, METADATA and what the builder noted; with --deep also at the headers of every native member, which are inflated as a
/// stream. A wheel *requires* an accelerator (a library that it doesn't bring), *is* its own library, *carries* code for it and works
/// without, or only *mentions* it. Needs no store.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: wcas inspect --deep dist/torchvision-*.whl")]
pub(super) struct Args {
    /// Wheels, sdists, or blobs
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Read all members: the headers of native ones, and whether the bytes of each are those that were packed
    #[arg(long)]
    deep: bool,
}

pub(super) fn run(app: &App, args: Args) -> Result<End> {
    let report = ops::inspect::inspect(&args.files, args.deep);
    app.report("inspect", &report, |out| {
        for (index, file) in report.files.iter().enumerate() {
            if index > 0 {
                writeln!(out)?;
            }
            tell(out, file, app.verbose)?;
        }
        Ok(())
    })?;
    for refused in &report.refused {
        app.warn(&format!("refused {}: {}", refused.path.display(), refused.reason));
    }
    let problems = report.files.iter().any(|file| !file.inspection.problems.is_empty());
    Ok(if problems || !report.refused.is_empty() { End::Problems } else { End::Done })
}

/// The findings of each accelerator that are told, unless all are wanted.
const TOLD: usize = 3;

fn tell(out: &mut Lines<'_>, file: &InspectedFile, is_verbose: bool) -> io::Result<()> {
    let inspection = &file.inspection;
    let look = if inspection.is_deep { "deep look" } else { "quick look" };
    let bonds: Vec<String> =
        file.accelerators.iter().map(|bond| format!("{} {}", bond.strength, bond.accelerator)).collect();
    let none = if file.is_conclusive { "no accelerator" } else { "no accelerator seen" };
    let answer = if bonds.is_empty() { none.to_owned() } else { bonds.join(", ") };
    writeln!(out, "{}: {answer} ({look})", file.filename)?;
    let (mut rows, mut more) = (Vec::new(), inspection.more_findings);
    for bond in &file.accelerators {
        for (index, finding) in file.findings(bond.accelerator).enumerate() {
            if index >= TOLD && !is_verbose {
                more += 1;
                continue;
            }
            rows.push([
                finding.accelerator.to_string(),
                finding.strength.to_string(),
                finding.member.clone().unwrap_or_else(|| "(filename)".to_owned()),
                finding.evidence.clone(),
            ]);
        }
    }
    if !rows.is_empty() {
        print::table(out, ["ACCELERATOR", "STRENGTH", "MEMBER", "EVIDENCE"], &rows)?;
    }
    if more > 0 {
        writeln!(out, "and {more} more")?;
    }
    if !inspection.architectures.is_empty() {
        writeln!(out, "architectures: {}", inspection.architectures.join(" "))?;
    }
    if inspection.unread > 0 {
        let members = print::count(inspection.unread, "native member");
        let hint = if inspection.is_deep { "could not be read" } else { "not read: --deep tells more" };
        writeln!(out, "{members} {hint}")?;
    }
    for problem in &inspection.problems {
        writeln!(out, "problem: {problem}")?;
    }
    Ok(())
}
