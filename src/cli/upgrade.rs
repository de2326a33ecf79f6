//! `wcas upgrade`

use super::End;
use super::app::App;
use wcas::error::Result;
use wcas::ops;

/// Let the nodes of a shared store write what only this version and newer ones can read
///
/// Once for all nodes, when each has this version: an older one reads on, and writes nothing more. A store of one machine needs no such
/// word: it is brought up to date when it is opened.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: wcas upgrade")]
pub(super) struct Args {}

pub(super) fn run(app: &App, _args: Args) -> Result<End> {
    let report = ops::upgrade::upgrade(&app.open()?)?;
    app.done("upgrade", &report, |out| {
        let (from, to) = (report.from, report.to);
        match &report.share {
            None => writeln!(
                out,
                "there is nothing to do: the manifest has schema {to}, and is brought up to date when it is opened"
            ),
            Some(share) if from == to => writeln!(out, "there is nothing to do: {share} has schema {to}"),
            Some(share) => {
                writeln!(out, "{share} has schema {to} from now on, and had {from}: nodes with an older wcas only read")
            }
        }
    })?;
    Ok(End::Done)
}
