//! `wcas rebuild`

use super::app::App;
use super::{End, print};
use wcas::error::Result;
use wcas::name::CollectionName;
use wcas::ops;
use wcas::ops::rebuild::RebuildOptions;

/// Make a lost or damaged manifest again, from the blobs' own bytes
///
/// Filenames come from the links below named/ and from the wheels themselves; all go into one collection. A damaged manifest is
/// moved aside, not deleted. What collections, history and pins were is known only to a backup.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: wcas rebuild --collection recovered")]
pub(super) struct Args {
    /// The collection that gets what is found
    #[arg(long, default_value = "recovered", value_name = "C")]
    collection: CollectionName,
    /// Rebuild even though the manifest is there and sound
    #[arg(long)]
    force: bool,
}

pub(super) fn run(app: &App, args: Args) -> Result<End> {
    let options = RebuildOptions { collection: args.collection, force: args.force, actor: app.actor().clone() };
    let report = ops::rebuild::rebuild(&app.store_path()?, &app.context(), &options)?;
    app.report("rebuild", &report, |out| {
        let (files, blobs) =
            (print::count(report.distributions.len(), "distribution"), print::count(report.blobs, "blob"));
        writeln!(out, "{files} of {blobs} in {}@{}{}", report.collection, report.revision, app.cost(None))
    })?;
    if report.guessed > 0 {
        let count = print::count(report.guessed, "filename");
        app.note(&format!(
            "{count} come from the wheels' own bytes: the order of their tags may differ from what it was"
        ));
    }
    for blob in &report.unnamed {
        app.warn(&format!("no filename could be told for {}; it is pinned (owner rebuild)", blob.blake3));
    }
    for problem in &report.problems {
        app.warn(&format!("{}: {}", problem.path.display(), problem.reason));
    }
    if let Some(path) = &report.damaged_manifest {
        app.note(&format!("the old manifest is {}", path.display()));
    }
    Ok(if report.problems.is_empty() { End::Done } else { End::Problems })
}
