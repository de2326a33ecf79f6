//! `wcas share` and `wcas unshare`

use super::app::App;
use super::place::PlaceArgs;
use super::{End, print};
use wcas::error::Result;
use wcas::ops;

/// Make this store the first node of a shared one
///
/// Its files are put into the share, several at a time, and other machines join by `wcas init --share`. Nothing is lost on the way: an
/// interrupted run goes on where it was. Servers must be stopped for the end of it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: wcas share s3://wheels/team --region eu-central-1")]
pub(super) struct ShareArgs {
    /// What the nodes are to share: s3://bucket/prefix, gs://bucket/prefix, az://container/prefix, or file:///absolute/path
    #[arg(value_name = "URL")]
    share: String,
    #[command(flatten)]
    place: PlaceArgs,
}

/// Make a node of a shared store a store of its own
///
/// What it lacks is fetched; the share and its other nodes stay as they are.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: wcas unshare")]
pub(super) struct UnshareArgs {}

pub(super) fn share(app: &App, args: ShareArgs) -> Result<End> {
    let location = args.place.of(args.share);
    let report = ops::share::share(&app.store_path()?, &app.context(), app.actor(), location)?;
    // It is a node now, and follows the log.
    drop(app.open()?);
    app.done("share", &report, |out| {
        let (blobs, bytes) = (print::count(report.blobs, "blob"), print::size(report.bytes));
        writeln!(out, "shared by {}: {blobs} put there, {bytes}{}", report.share, app.cost(None))
    })?;
    report.problems.iter().for_each(|problem| app.warn(problem));
    Ok(if report.problems.is_empty() { End::Done } else { End::Problems })
}

pub(super) fn unshare(app: &App, _args: UnshareArgs) -> Result<End> {
    let report = ops::share::unshare(app.open()?, &app.context(), app.actor())?;
    app.done("unshare", &report, |out| {
        let (blobs, bytes) = (print::count(report.blobs, "blob"), print::size(report.bytes));
        writeln!(out, "{} is a store of its own: {blobs} fetched, {bytes}{}", report.store.display(), app.cost(None))
    })?;
    Ok(End::Done)
}
