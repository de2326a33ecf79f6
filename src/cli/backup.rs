//! `wcas backup` and `wcas restore`

use super::app::App;
use super::{End, print, units};
use serde::Serialize;
use wcas::error::Result;
use wcas::ops::backup::{BackupOptions, StateReport};
use wcas::ops::restore::At;
use wcas::share::Location;
use wcas::{fs, ops};

/// Where a backup is.
#[derive(Debug, clap::Args)]
struct Place {
    /// A folder, or a bucket: s3://bucket/prefix, gs://bucket/prefix, az://container/prefix
    #[arg(value_name = "PLACE")]
    place: String,
    /// The bucket's server, where it isn't the provider's own [default: $AWS_ENDPOINT_URL and its like]
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    /// The bucket's region [default: $AWS_REGION or $AWS_DEFAULT_REGION]
    #[arg(long, value_name = "REGION")]
    region: Option<String>,
}

impl Place {
    fn location(self) -> Result<Location> {
        let url = match self.place.contains("://") {
            true => self.place,
            false => {
                let path = fs::absolute(self.place.as_ref())?;
                let text = path.to_str().ok_or_else(|| {
                    wcas::Error::Refused(format!("{}: a backup's path is told as UTF-8", path.display()))
                })?;
                format!("file://{text}")
            }
        };
        Ok(Location { url, endpoint: self.endpoint, region: self.region, log: None })
    }
}

/// Keep all that the store has in another place
///
/// The first run puts every file, later ones what is new, and each the state of the store: collections, history, tokens, log. Run it
/// beside everything else, from cron; an interrupted run loses nothing, and the next one goes on. `wcas restore` makes a store of it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: wcas backup s3://backups/wheels --keep-for 30d")]
pub(super) struct BackupArgs {
    #[command(flatten)]
    place: Place,
    /// Remove states that are older than this, but for the newest, and the files that are in no other
    #[arg(long, value_name = "TIME", value_parser = units::seconds)]
    keep_for: Option<i64>,
    /// Read what is there already, and put again what is wrong
    #[arg(long)]
    verify: bool,
    /// Only tell which states there are
    #[arg(long, conflicts_with_all = ["keep_for", "verify"])]
    list: bool,
}

/// Make a store of a backup
///
/// It is made where no store is, and can be read at once; it can be written when all files are here, each of them checked. An
/// interrupted run is ended by the same command.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: wcas --store /var/lib/wcas restore s3://backups/wheels --at 2026-11-26")]
pub(super) struct RestoreArgs {
    #[command(flatten)]
    place: Place,
    /// As it was then, at the latest: a number of a record that `wcas log` tells, `2026-11-26`, `2026-11-26T18:00:00Z` [default: the newest]
    #[arg(long, value_name = "WHEN", value_parser = at)]
    at: Option<At>,
}

fn at(text: &str) -> std::result::Result<At, String> {
    let wanted = "write a number of a record, or a time such as 2026-11-26 or 2026-11-26T18:00:00Z";
    match text.parse() {
        Ok(number) => Ok(At::Number(number)),
        Err(_) => units::moment(text).map(At::Time).ok_or_else(|| wanted.to_owned()),
    }
}

#[derive(Serialize)]
struct States<'a> {
    states: &'a [StateReport],
}

pub(super) fn backup(app: &App, args: BackupArgs) -> Result<End> {
    let location = args.place.location()?;
    if args.list {
        let states = ops::backup::states(&location)?;
        app.done("backup-list", &States { states: &states }, |out| {
            states
                .iter()
                .try_for_each(|state| writeln!(out, "{}  up to record {}", print::date(state.at), state.number))
        })?;
        return Ok(End::Done);
    }
    let options = BackupOptions { verify: args.verify, keep_for: args.keep_for };
    let report = ops::backup::backup(&app.open()?, &app.context(), &location, &options)?;
    app.done("backup", &report, |out| {
        let (put, bytes) = (print::count(report.put, "file"), print::size(report.bytes));
        writeln!(
            out,
            "{} of {} put into {}, {bytes}{}; up to record {}",
            put,
            report.blobs,
            report.backup,
            app.cost(None),
            report.number
        )?;
        if report.wrong > 0 {
            writeln!(out, "{} that had gone wrong there put again", print::count(report.wrong, "file"))?;
        }
        if report.removed_states > 0 {
            let states = print::count(report.removed_states, "old state");
            writeln!(out, "{states} removed, and {}", print::count(report.removed_blobs, "file"))?;
        }
        Ok(())
    })?;
    report.problems.iter().for_each(|problem| app.warn(problem));
    Ok(if report.problems.is_empty() { End::Done } else { End::Problems })
}

pub(super) fn restore(app: &App, args: RestoreArgs) -> Result<End> {
    let location = args.place.location()?;
    let at = args.at.unwrap_or_default();
    let report = ops::restore::restore(&app.store_path()?, &app.context(), app.actor(), location, at)?;
    app.done("restore", &report, |out| {
        let state = match &report.state {
            Some(state) => format!("as it was {}, up to record {}", print::at(state.at), state.number),
            None => "as an earlier run began it".to_owned(),
        };
        let (files, bytes) = (print::count(report.fetched, "file"), print::size(report.bytes));
        writeln!(
            out,
            "restored {}, {state}: {files} of {} fetched, {bytes}{}",
            report.store.display(),
            report.blobs,
            app.cost(None)
        )
    })?;
    report.problems.iter().for_each(|problem| app.warn(problem));
    Ok(if report.problems.is_empty() { End::Done } else { End::Problems })
}
