//! `wcas init`

use super::End;
use super::app::App;
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
    /// What the nodes share: file:///absolute/path, a folder that all of them have mounted
    #[arg(long, value_name = "URL")]
    share: Option<String>,
}

pub(super) fn run(app: &App, args: Args) -> Result<End> {
    let membership = ops::init::prepare(&app.store_path()?, args.share.as_deref())?;
    let report = ops::init::report(&app.create(membership)?)?;
    app.done("init", &report, |out| match (&report.share, report.node) {
        (Some(share), Some(node)) => {
            let (store, records) = (report.store.display(), report.records);
            writeln!(out, "made the store {store}, node {node} of {share} ({records} records)")
        }
        _ => writeln!(out, "made the store {}", report.store.display()),
    })?;
    Ok(End::Done)
}
