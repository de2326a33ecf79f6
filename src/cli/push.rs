//! `wcas push`

use super::app::App;
use super::{End, print};
use wcas::error::Result;
use wcas::name::{CollectionName, RemoteName};
use wcas::ops;
use wcas::ops::push::{PushOptions, PushReport, Pushed, Selection};
use wcas::requirement::Spec;

/// Send what was built here to the remotes that are written back to
///
/// Imports and uploads into a collection queue what they add for its remotes with --write-back; this sends the queue, as `wcas serve`
/// does by itself. What a remote has is not sent. Nothing is sent to a stranger's remote, and nothing that came from a remote.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: wcas push            # from cron: what waits\n\
                        wcas push team --all --dry-run # what would go to a new cache")]
pub(super) struct Args {
    /// The remotes [default: all that are written back to]
    remotes: Vec<RemoteName>,
    /// Queue all that was built here and is in the remote's collection first
    #[arg(long, conflicts_with_all = ["spec", "collection"])]
    all: bool,
    /// Queue what was built here and is in this collection first
    #[arg(long, value_name = "C")]
    collection: Option<CollectionName>,
    /// Only this of the collection: `torch==2.5.1`, a filename, a digest; may be given several times
    #[arg(long, value_name = "SPEC")]
    spec: Vec<Spec>,
    /// Try again what a remote refused too often
    #[arg(long, conflicts_with = "forget")]
    retry: bool,
    /// Drop what a remote refused too often
    #[arg(long)]
    forget: bool,
    /// Only say what would be sent
    #[arg(long)]
    dry_run: bool,
}

pub(super) fn run(app: &App, args: Args) -> Result<End> {
    let is_selecting = args.all || args.collection.is_some() || !args.spec.is_empty();
    let options = PushOptions {
        remotes: args.remotes,
        selection: is_selecting.then_some(Selection { collection: args.collection, specs: args.spec }),
        retries: args.retry,
        forgets: args.forget,
        is_dry_run: args.dry_run,
    };
    let store = app.open_or_rehearse(args.dry_run)?;
    if options.remotes.is_empty() && !ops::remote::remotes(&store)?.iter().any(|remote| remote.settings.writes_back) {
        app.note("no remote is written back to: name one of yours, or say `wcas remote set NAME --ours --write-back`");
    }
    let report = ops::push::push(&store, &app.context(), &options)?;
    tell(app, &report, args.dry_run)
}

/// Prints what a push did.
fn tell(app: &App, report: &PushReport, is_dry_run: bool) -> Result<End> {
    let verbose = app.verbose || is_dry_run;
    app.done("push", report, |out| {
        let word = if report.dry_run { "would send" } else { "sent" };
        for Pushed { filename, remote, size, .. } in report.sent.iter().filter(|_| verbose) {
            writeln!(out, "{word} {filename} to {remote} ({})", print::size(*size))?;
        }
        for Pushed { filename, remote, .. } in report.there.iter().filter(|_| verbose) {
            writeln!(out, "{filename} is there in {remote}")?;
        }
        let size = print::size(report.sent.iter().map(|file| file.size).sum());
        let sent = print::count(report.sent.len(), "distribution");
        let rest = if report.dry_run { String::new() } else { format!(", {} there already", report.there.len()) };
        let left = match (report.dry_run, report.left, report.given_up) {
            (true, ..) | (_, 0, _) => String::new(),
            (_, left, 0) => format!(", {left} still to go"),
            (_, left, given_up) => format!(", {left} still to go ({given_up} given up)"),
        };
        writeln!(out, "{word} {sent} ({size}){rest}{left}{}", app.cost(None))
    })?;
    for withheld in &report.withheld {
        app.note(&format!("not sent to {}: {}: {}", withheld.remote, withheld.filename, withheld.reason));
    }
    for failed in &report.failed {
        let end = if failed.is_given_up { "; given up" } else { "" };
        app.warn(&format!("{} didn't take {}: {}{end}", failed.remote, failed.filename, failed.reason));
    }
    for left in &report.left_alone {
        app.warn(&format!("{}: {}", left.remote, left.reason));
    }
    Ok(if report.failed.is_empty() { End::Done } else { End::Problems })
}
