//! `wcas init`

use super::End;
use super::app::App;
use super::place::PlaceArgs;
use wcas::error::Result;
use wcas::ops;

/// Make a store, alone or as a node of a shared one
///
/// A store of one machine is made by the first import, too. With --share the store is a node: it has a manifest of its own that follows
/// the share's log, and the bytes of the files that are used here; all nodes have the same collections. The share is made by its first
/// node.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: wcas --store /var/lib/wcas init --share file:///mnt/share/wheels")]
pub(super) struct Args {
    /// What the nodes share: s3://bucket/prefix, gs://bucket/prefix, az://container/prefix, or file:///absolute/path,
    /// a folder that all of them have mounted
    #[arg(long, value_name = "URL")]
    share: Option<String>,
    #[command(flatten)]
    place: PlaceArgs,
}

pub(super) fn run(app: &App, args: Args) -> Result<End> {
    let location = args.share.map(|url| args.place.of(url));
    let membership = ops::init::prepare(&app.store_path()?, location)?;
    let report = ops::init::report(&app.create(membership)?)?;
    app.done("init", &report, |out| match (&report.share, report.node) {
        (Some(share), Some(node)) => {
            let records = super::print::count(usize::try_from(report.records).unwrap_or(0), "record");
            writeln!(out, "made the store {}, node {node} of {share} ({records})", report.store.display())
        }
        _ => writeln!(out, "made the store {}", report.store.display()),
    })?;
    Ok(End::Done)
}
