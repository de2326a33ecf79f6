//! `wcas log`

use super::app::App;
use super::look::Look;
use super::print::{number, text};
use super::{End, print, units};
use clap::Subcommand;
use serde_json::Value;
use std::io::Write;
use std::time::Duration;
use wcas::error::Result;
use wcas::manifest::{ActorKind, Link, RecordFilter};
use wcas::ops;
use wcas::ops::record::{LogCheck, RecordReport};

/// So often a log that is followed is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// Tell what was done to the store, by whom, from where
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
#[command(
    after_help = "Records are made with what they tell of, in one transaction, and each carries the digest of those before it.\n\
                        Example: wcas log --collection released --since 7d"
)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// Only what was done to this collection
    #[arg(long, value_name = "C")]
    collection: Option<String>,
    /// Only what was done to this project
    #[arg(long, value_name = "P")]
    project: Option<wcas::name::ProjectName>,
    /// Only what was done in this time
    #[arg(long, value_name = "TIME", value_parser = units::seconds)]
    since: Option<i64>,
    /// Only this kind: import, upload, pull, invalidate, guard, remote, token, …
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,
    /// Only what this user or token did: a name or number, `anonymous`, `unknown`
    #[arg(long, value_name = "WHO")]
    by: Option<String>,
    /// Only the newest N
    #[arg(long, value_name = "N", value_parser = units::whole::<u64>)]
    limit: Option<u64>,
    /// Print what comes, too, until interrupted
    #[arg(long)]
    follow: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check that no record was changed, dropped or put in
    Verify {
        /// A head that was kept elsewhere must be in it: NUMBER:DIGEST, as `wcas log verify` prints it
        #[arg(long, value_name = "HEAD")]
        expect: Option<Link>,
    },
    /// Forget old records; one tells of it, and what is left stays a chain
    Prune {
        /// Forget what is older than this
        #[arg(long, value_name = "TIME", value_parser = units::seconds)]
        older_than: i64,
    },
}

pub(super) fn run(app: &App, args: Args) -> Result<End> {
    match args.command {
        Some(Command::Verify { expect }) => verify(app, expect.as_ref()),
        Some(Command::Prune { older_than }) => prune(app, older_than),
        None => tell(app, args),
    }
}

fn tell(app: &App, args: Args) -> Result<End> {
    let store = app.open()?;
    let mut filter = RecordFilter {
        after: 0,
        since: args.since.map(|age| app.now.saturating_sub(age)),
        collection: args.collection,
        project: args.project.map(|project| project.to_string()),
        kind: args.kind,
        by: args.by,
        limit: args.limit,
    };
    if !args.follow {
        let heading = [
            number("NUMBER"),
            text("AT"),
            text("KIND").least(2),
            text("WHO"),
            text("FROM").least(3),
            text("COMMAND").least(1),
            text("WHAT"),
        ];
        app.long_table(
            ("log", "records"),
            heading,
            (|record: &RecordReport| row(record, print::time(record.at)), "no record is like that"),
            |show| ops::record::each_record(&store, &filter, show),
        )?;
        return Ok(End::Done);
    }
    loop {
        let seen = store.manifest.version()?;
        let mut records = Vec::new();
        ops::record::each_record(&store, &filter, &mut |record| {
            records.push(record);
            Ok(())
        })?;
        (filter.after, filter.limit) = (records.last().map_or(filter.after, |record| record.number), None);
        app.answer(|out| records.iter().try_for_each(|record| follow(app, record, out)))?;
        while store.manifest.version()? == seen {
            std::thread::sleep(LOOK);
        }
    }
}

/// Prints one record of those that go on coming: a line, as JSON where that was asked for.
fn follow(app: &App, record: &RecordReport, out: &mut dyn Write) -> std::io::Result<()> {
    if app.json {
        serde_json::to_writer(&mut *out, record)?;
        return writeln!(out);
    }
    // What others chose, such as a reason, must not look like a record of its own, wherever it is read.
    // A line that stands there for long says when, not how long ago.
    writeln!(print::Lines::new(out, Look::default()), "{}", row(record, print::date(record.at)).join("  "))
}

fn row(record: &RecordReport, at: String) -> [String; 7] {
    let by = &record.by;
    let who = match (by.kind, by.id) {
        (ActorKind::User, Some(id)) => format!("{} (uid {id})", by.name),
        (ActorKind::Token, Some(id)) => format!("token {} ({id})", by.name),
        _ => by.kind.to_string(),
    };
    let number = record.number.to_string();
    let cells = [number, at, record.kind.clone(), who, record.from.clone(), record.command.clone(), what(record)];
    cells.map(|cell| print::escaped(&cell).into_owned())
}

/// Returns in words what became of what.
fn what(record: &RecordReport) -> String {
    let mut words: Vec<String> = Vec::new();
    words.extend(record.collection.clone());
    words.extend(record.name.clone());
    words.extend(record.filename.clone().or_else(|| record.project.clone()));
    words.extend(record.sha256.map(|sha256| format!("(sha256 {})", &sha256.to_string()[..12])));
    let fields = |value: &Value| match value {
        Value::Object(fields) => {
            // What is off or empty goes without saying.
            let said = fields
                .iter()
                .filter(|(_, value)| !matches!(value.as_i64(), Some(0)) && !matches!(value.as_str(), Some("")));
            said.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>()
        }
        other => vec![other.to_string()],
    };
    match (&record.before, &record.after) {
        (None, Some(after)) => {
            words.push("+".to_owned());
            words.extend(fields(after));
        }
        (Some(before), None) => {
            words.push("-".to_owned());
            words.extend(fields(before));
        }
        (Some(before), Some(after)) => {
            let names = [before, after].into_iter().filter_map(Value::as_object).flat_map(|fields| fields.keys());
            let names: std::collections::BTreeSet<&String> = names.collect();
            words.extend(names.iter().map(|name| format!("{name}: {} -> {}", before[*name], after[*name])));
        }
        (None, None) => {}
    }
    words.join(" ")
}

fn verify(app: &App, expected: Option<&Link>) -> Result<End> {
    let store = app.open()?;
    let check = ops::record::verify_log(&store, expected)?;
    app.report("log-verify", &check, |out| {
        writeln!(out, "{}, head {}", print::count(check.records as usize, "record"), check.head)
    })?;
    Ok(complain(app, &check))
}

fn prune(app: &App, age: i64) -> Result<End> {
    let store = app.open()?;
    match ops::record::prune_log(&store, &app.context(), age)? {
        Ok(report) => {
            app.done("log-prune", &report, |out| {
                writeln!(out, "forgot {}", print::count(report.records as usize, "record"))?;
                if report.shared > 0 {
                    writeln!(out, "{} of the share's log went", print::count(report.shared as usize, "record"))?;
                }
                Ok(())
            })?;
            Ok(End::Done)
        }
        Err(check) => {
            app.warn("nothing was pruned, for the log is not whole:");
            Ok(complain(app, &check))
        }
    }
}

fn complain(app: &App, check: &LogCheck) -> End {
    for problem in &check.problems {
        app.warn(&format!("{}: {}", problem.kind, problem.detail));
    }
    if check.problems.is_empty() { End::Done } else { End::Problems }
}
