//! `wcas collection`

use super::app::App;
use super::print::{dash, number, text};
use super::settings::{self, rules};
use super::{End, diff, miss, print, sign};
use clap::Subcommand;
use serde::Serialize;
use wcas::catalog::at::RevisionSpec;
use wcas::catalog::search::Filter;
use wcas::error::Result;
use wcas::manifest::StatusRow;
use wcas::name::{CollectionName, ProjectName};
use wcas::ops;
use wcas::ops::collection::{CollectionReport, LogReport};
use wcas::ops::promote::{PromoteOptions, PromoteReport, RefusedPromotion};
use wcas::requirement::{ProjectPattern, Spec};
use wcas::status::Status;

/// Create, list, compare and change collections and their history
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: wcas collection diff cuda@41 cuda")]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Create an empty collection
    Create {
        /// Its name
        name: CollectionName,
    },
    /// List collections
    List,
    /// Tell of one collection: its rules, and whose names are its own
    Show {
        /// The collection
        name: CollectionName,
    },
    /// Delete a collection with its history; what only it had is left to gc
    Delete {
        /// The collection
        name: CollectionName,
        /// Delete it even if it has distributions
        #[arg(short, long)]
        yes: bool,
    },
    /// Copy a collection's references into another; no byte moves
    Copy {
        /// The collection, maybe at a revision or snapshot: cuda, cuda@41, cuda@release
        from: RevisionSpec,
        /// The collection that gets them; made when there is none
        to: CollectionName,
        /// Replace what it has under the same name with other bytes, instead of keeping it
        #[arg(long)]
        replace: bool,
    },
    /// Promote distributions: from a builder's collection to a variant's, from there to the released one
    Promote {
        /// The collection, maybe at a revision or snapshot: cuda, cuda@41, cuda@release; it keeps what it has
        from: RevisionSpec,
        /// The collection that gets them, as one revision; made when there is none
        to: CollectionName,
        /// Only these: `torch`, `torch==2.5.1`, a filename, a digest
        specs: Vec<Spec>,
        /// Print what would be done, and do nothing
        #[arg(long)]
        dry_run: bool,
        /// Replace what it has under the same name with other bytes, instead of refusing
        #[arg(long)]
        replace: bool,
    },
    /// Tell what differs between two collections or revisions, by project; with --verbose by file, too
    Diff {
        /// cuda, cuda@41, cuda@release
        from: RevisionSpec,
        /// cuda, cuda@41, cuda@release
        to: RevisionSpec,
        /// Print the sums only
        #[arg(long)]
        stat: bool,
    },
    /// Tell a collection's history, newest first
    Log {
        /// The collection
        name: CollectionName,
    },
    /// Give a collection the content of an older revision again, as a new revision
    Rollback {
        /// The collection
        name: CollectionName,
        /// A revision's number or a snapshot's name
        revision: String,
        /// Print what would change, and change nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Keep a revision whole under a name
    Snapshot {
        /// The collection, maybe at a revision: cuda, cuda@41
        collection: RevisionSpec,
        /// The snapshot's name
        name: String,
        /// Let the snapshot go instead
        #[arg(long)]
        delete: bool,
    },
    /// Print what a revision holds, as the text that is signed
    Revision {
        /// The collection, maybe at a revision: cuda, cuda@41
        collection: RevisionSpec,
        /// Print the signature instead: that of the newest signed revision, where none is named
        #[arg(long)]
        signature: bool,
    },
    /// Sign what a revision holds, with a key of OpenSSH (Ed25519)
    Sign {
        /// The collection, maybe at a revision: cuda, cuda@41
        collection: RevisionSpec,
        /// The key, as `ssh-keygen -Y sign -f` takes it: a private key, or a public one whose private half an agent has
        #[arg(long, value_name = "FILE")]
        key: std::path::PathBuf,
    },
    /// Change a collection's fallbacks, its rules for gc and its guard; `none` takes a rule away
    Set(settings::Args),
    /// Tell or change the status of projects (PEP 792): of one in quarantine no file is offered
    Status(StatusArgs),
}

#[derive(Debug, clap::Args)]
struct StatusArgs {
    /// The collection
    name: CollectionName,
    /// The project; without one, all that aren't simply active are listed
    project: Option<ProjectName>,
    /// Its status from now on: active, deprecated (as active, with a word), archived (no more uploads), quarantined (no file is offered)
    status: Option<Status>,
    /// Why, for people and clients
    #[arg(long, value_name = "TEXT", requires = "status")]
    reason: Option<String>,
}

#[derive(Serialize)]
struct ListDocument<'a> {
    collections: &'a [CollectionReport],
}

#[derive(Serialize)]
struct LogDocument<'a> {
    collection: &'a CollectionName,
    revisions: &'a [LogReport],
}

#[derive(Serialize)]
struct DeleteDocument<'a> {
    collection: &'a CollectionName,
    distributions: u64,
}

#[derive(Serialize)]
struct SnapshotDocument<'a> {
    collection: &'a CollectionName,
    name: &'a str,
    revision: i64,
}

pub(super) fn run(app: &App, args: Args) -> Result<End> {
    match args.command {
        Command::Create { name } => {
            let report = ops::collection::create_collection(&app.open_or_create()?, &app.context(), &name)?;
            app.report("collection-create", &report, |out| writeln!(out, "{}", report.name))?;
        }
        Command::List => list(app)?,
        Command::Show { name } => show(app, &name)?,
        Command::Delete { name, yes } => {
            let distributions = ops::collection::delete_collection(&app.open()?, &name, yes)?;
            let document = DeleteDocument { collection: &name, distributions };
            app.report("collection-delete", &document, |_| Ok(()))?;
            app.note(&format!("deleted {name} with {}", print::count(distributions as usize, "distribution")));
        }
        Command::Copy { from, to, replace } => return copy(app, &from, &to, replace),
        Command::Promote { from, to, specs, dry_run, replace } => {
            return promote(app, &PromoteOptions { from, to, specs, replace, is_dry_run: dry_run });
        }
        Command::Diff { from, to, stat } => diff::diff(app, &from, &to, stat)?,
        Command::Log { name } => log(app, &name)?,
        Command::Rollback { name, revision, dry_run } => diff::rollback(app, &name, &revision, dry_run)?,
        Command::Snapshot { collection, name, delete } => snapshot(app, &collection, &name, delete)?,
        Command::Revision { collection, signature } => return sign::revision(app, &collection, signature),
        Command::Sign { collection, key } => return sign::sign(app, &collection, &key),
        Command::Set(args) => settings::set(app, args)?,
        Command::Status(args) => status(app, args)?,
    }
    Ok(End::Done)
}

fn list(app: &App) -> Result<()> {
    let collections = ops::collection::collections(&app.open()?)?;
    let rows = collections.iter().map(|row| {
        let fallbacks: Vec<&str> = row.fallbacks.iter().map(CollectionName::as_str).collect();
        let snapshots: Vec<String> =
            row.snapshots.iter().map(|(name, revision)| format!("{name}@{revision}")).collect();
        [
            row.name.to_string(),
            row.revision.to_string(),
            row.distributions.to_string(),
            dash(fallbacks.join(", ")),
            dash(rules(row)),
            dash(snapshots.join(", ")),
        ]
    });
    let heading = [
        text("COLLECTION"),
        number("REVISION"),
        number("DISTRIBUTIONS"),
        text("FALLBACKS").least(1),
        text("RULES").least(2),
        text("SNAPSHOTS").least(3),
    ];
    let document = ListDocument { collections: &collections };
    app.table("collection-list", &document, heading, (rows, "there are no collections"))
}

fn show(app: &App, name: &CollectionName) -> Result<()> {
    let report = ops::collection::collection(&app.open()?, name)?;
    app.report("collection-show", &report, |out| {
        let patterns =
            |patterns: &[ProjectPattern]| dash(patterns.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "));
        let fallbacks: Vec<&str> = report.fallbacks.iter().map(CollectionName::as_str).collect();
        let snapshots: Vec<&str> = report.snapshots.keys().map(String::as_str).collect();
        let rows = [
            ("revision", report.revision.to_string()),
            ("distributions", report.distributions.to_string()),
            ("fallbacks", dash(fallbacks.join(", "))),
            ("rules", dash(rules(&report))),
            ("own projects", format!("{} (closed to strangers' remotes)", report.owned_projects)),
            ("reserved", patterns(&report.reserved)),
            ("open", patterns(&report.settings.open_projects)),
            ("blocks", report.blocks.to_string()),
            ("snapshots", dash(snapshots.join(", "))),
        ];
        rows.iter().try_for_each(|(name, text)| writeln!(out, "{name:<14} {text}"))
    })
}

fn copy(app: &App, from: &RevisionSpec, to: &CollectionName, replace: bool) -> Result<End> {
    let report = ops::promote::copy_collection(&app.open()?, &app.context(), from, to, replace)?;
    app.report("collection-copy", &report, |out| {
        let counts = format!("{} copied, {} unchanged", report.copied.len(), report.unchanged);
        writeln!(out, "{}@{} to {to}@{}: {counts}", report.from, report.from_revision, report.revision)
    })?;
    for filename in &report.refused {
        app.warn(&format!("{to} has {filename} with other bytes and keeps it; --replace takes the new ones"));
    }
    for barred in &report.barred {
        app.warn(&format!("refused {}: {}", barred.filename, barred.reason));
    }
    Ok(if report.refused.is_empty() && report.barred.is_empty() { End::Done } else { End::Problems })
}

fn promote(app: &App, options: &PromoteOptions) -> Result<End> {
    let store = app.open_or_rehearse(options.is_dry_run)?;
    let report = match ops::promote::promote(&store, &app.context(), options) {
        Ok(report) => report,
        Err(error) => {
            let (collections, specs) = (vec![options.from.clone()], options.specs.clone());
            return miss::beside(app, &store, &Filter { collections, specs, ..Filter::default() }, error);
        }
    };
    app.report("collection-promote", &report, |out| {
        if report.dry_run || app.verbose {
            report.added.iter().try_for_each(|filename| writeln!(out, "+ {filename}"))?;
            report.replaced.iter().try_for_each(|filename| writeln!(out, "~ {filename}  (replaced)"))?;
        }
        let counts =
            [(report.added.len(), "added"), (report.replaced.len(), "replaced"), (report.unchanged, "unchanged")];
        let counts = counts.map(|(count, word)| format!("{count} {word}")).join(", ");
        let would = if report.dry_run { "would be: " } else { "" };
        let PromoteReport { from, from_revision, to, revision, .. } = &report;
        writeln!(out, "{from}@{from_revision} to {to}@{revision}: {would}{counts}")
    })?;
    for RefusedPromotion { filename, reason } in &report.refused {
        app.warn(&format!("refused {filename}: {reason}"));
    }
    Ok(if report.refused.is_empty() { End::Done } else { End::Problems })
}

fn log(app: &App, name: &CollectionName) -> Result<()> {
    let revisions = ops::collection::log(&app.open()?, name)?;
    let rows = revisions.iter().map(|row| {
        let mut what = row.what.clone();
        if let Some(operation) = row.undone_by {
            what.push_str(&format!(" (undone by {operation})"));
        }
        if !row.is_whole {
            what.push_str(" (gc has taken files)");
        }
        for snapshot in &row.snapshots {
            what.push_str(&format!(" [{snapshot}]"));
        }
        let changes = format!("+{} -{}", row.added, row.removed);
        [
            row.revision.to_string(),
            print::time(row.at),
            row.operation.map_or_else(|| "-".to_owned(), |number| number.to_string()),
            row.kind.clone(),
            changes,
            row.who.clone(),
            what,
        ]
    });
    let heading = [
        number("REVISION"),
        text("TIME"),
        number("OPERATION").least(3),
        text("KIND").least(1),
        text("CHANGES"),
        text("WHO").least(2),
        text("WHAT"),
    ];
    let document = LogDocument { collection: name, revisions: &revisions };
    app.table("collection-log", &document, heading, (rows, "nothing was ever done to it"))
}

fn snapshot(app: &App, spec: &RevisionSpec, name: &str, delete: bool) -> Result<()> {
    let store = app.open()?;
    if delete {
        let revision = ops::collection::delete_snapshot(&store, &spec.collection, name)?;
        let document = SnapshotDocument { collection: &spec.collection, name, revision };
        app.report("collection-snapshot", &document, |_| Ok(()))?;
        app.note(&format!("{} has no snapshot {name} any more", spec.collection));
        return Ok(());
    }
    let revision = ops::collection::snapshot(&store, &app.context(), spec, name)?;
    let document = SnapshotDocument { collection: &spec.collection, name, revision };
    app.report("collection-snapshot", &document, |out| {
        writeln!(out, "{}@{name} is {}@{revision}", spec.collection, spec.collection)
    })
}

fn status(app: &App, args: StatusArgs) -> Result<()> {
    let StatusArgs { name, project, status, reason } = args;
    let report = match (project, status) {
        (Some(project), Some(status)) => {
            ops::status::set_project_status(&app.open()?, &app.context(), &name, StatusRow { project, status, reason })?
        }
        (project, _) => ops::status::project_status(&app.open()?, &name, project.as_ref())?,
    };
    let rows = report
        .projects
        .iter()
        .map(|row| [row.project.to_string(), row.status.to_string(), dash(row.reason.clone().unwrap_or_default())]);
    app.table(
        "collection-status",
        &report,
        ["PROJECT", "STATUS", "REASON"],
        (rows, "no other status than active is set"),
    )
}
