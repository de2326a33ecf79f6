//! `wcas webhook`

use super::End;
use super::app::App;
use super::print::{self, number, text};
use clap::{Subcommand, ValueEnum};
use serde::Serialize;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};
use wcas::Error;
use wcas::error::Result;
use wcas::manifest::{DeliveryState, WebhookSettings};
use wcas::name::CollectionName;
use wcas::ops::webhook::{self, DeliveryReport, WebhookReport};

/// Tell other programs by HTTP when a collection changes
#[derive(Debug, clap::Args)]
#[command(
    after_help = "What is to be told is in the store with the change that it tells of, and is sent by `wcas serve`, or by \
                  `wcas webhook deliver` where no server runs: at least once, in order, again for three days where it fails.\n\
                  Example: wcas webhook add https://hook.example/wcas --collection cuda --secret-file /etc/wcas/hook.key"
)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Add a webhook; one of this URL is changed, and turned on again where its receiver said that it is gone
    Add {
        /// Where it is told, https://…
        url: String,
        /// The collection whose changes are told
        #[arg(long, value_name = "C")]
        collection: CollectionName,
        /// The file with the secret that signs what is sent; the store keeps its path, not the secret [default: nothing signs]
        #[arg(long, value_name = "FILE")]
        secret_file: Option<PathBuf>,
        /// Tell of revisions with such changes only; may be given more than once [default: all]
        #[arg(long = "events", value_name = "EVENT", value_enum, value_delimiter = ',')]
        events: Vec<Event>,
    },
    /// List webhooks
    List {
        /// Only those of this collection
        #[arg(long, value_name = "C")]
        collection: Option<CollectionName>,
    },
    /// Remove a webhook, with what it was to be told
    Remove {
        /// Its URL
        url: String,
        /// Its collection
        #[arg(long, value_name = "C")]
        collection: CollectionName,
    },
    /// Send a test at once, and tell how that went
    Test {
        /// Its URL
        url: String,
        /// Its collection
        #[arg(long, value_name = "C")]
        collection: CollectionName,
    },
    /// List what webhooks are to be told, and were in the last 30 days, the newest first
    Deliveries {
        /// Only to this URL
        url: Option<String>,
        /// Only of this collection
        #[arg(long, value_name = "C")]
        collection: Option<CollectionName>,
        /// Only those that are so far
        #[arg(long, value_enum, value_name = "STATE")]
        state: Option<State>,
        /// Only the newest N
        #[arg(long, value_name = "N", default_value_t = 50, value_parser = super::units::positive::<u32>)]
        limit: u32,
    },
    /// Let what was told, or given up, be sent again
    Redeliver {
        /// The delivery's number, as `webhook deliveries` lists it
        #[arg(value_name = "NUMBER")]
        number: i64,
    },
    /// Send what is due, once, where no server does
    Deliver {
        /// Where the server's pages are, for the link in what is sent [default: only the path is told]
        #[arg(long, value_name = "URL")]
        base_url: Option<String>,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Event {
    /// A file came
    Added,
    /// A file went
    Removed,
    /// A file has other bytes under its name
    Replaced,
    /// A file was yanked, or is yanked no more
    Yanked,
}

impl Event {
    fn name(self) -> String {
        let name = match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Replaced => "replaced",
            Self::Yanked => "yanked",
        };
        name.to_owned()
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum State {
    /// It is to be sent
    Waiting,
    /// It was taken
    Delivered,
    /// It was given up
    Failed,
    /// The webhook is not told of such changes
    Skipped,
}

impl From<State> for DeliveryState {
    fn from(state: State) -> Self {
        match state {
            State::Waiting => Self::Waiting,
            State::Delivered => Self::Delivered,
            State::Failed => Self::Failed,
            State::Skipped => Self::Skipped,
        }
    }
}

#[derive(Serialize)]
struct Webhooks<'a> {
    webhooks: &'a [WebhookReport],
}

#[derive(Serialize)]
struct Deliveries<'a> {
    deliveries: &'a [DeliveryReport],
}

pub(super) fn run(app: &App, args: Args) -> Result<End> {
    match args.command {
        Command::Add { url, collection, secret_file, events } => {
            let secret_file = secret_file.map(absolute).transpose()?;
            let settings = WebhookSettings { secret_file, events: events.into_iter().map(Event::name).collect() };
            let (report, is_new) = webhook::add_webhook(&app.open()?, &collection, &url, &settings)?;
            app.done("webhook-add", &report, |out| {
                let does = if is_new { "is told" } else { "was there already: now it is told" };
                writeln!(out, "{} {does} of {}", report.url, told(&report))
            })?;
            if report.secret_file.is_none() {
                app.note("nothing shows the receiver that it is told by this store: --secret-file lets it be signed");
            }
        }
        Command::List { collection } => {
            let webhooks = webhook::webhooks(&app.open()?, collection.as_ref())?;
            let heading = [
                text("URL"),
                text("COLLECTION"),
                text("TOLD"),
                number("WAITING"),
                number("FAILED"),
                text("LAST").least(1),
            ];
            let rows = (webhooks.iter().map(row), "there are no webhooks");
            app.table("webhook-list", &Webhooks { webhooks: &webhooks }, heading, rows)?;
        }
        Command::Remove { url, collection } => {
            let report = webhook::remove_webhook(&app.open()?, &collection, &url)?;
            app.report("webhook-remove", &report, |_| Ok(()))?;
            let left = print::count(usize::try_from(report.waiting).unwrap_or(usize::MAX), "change");
            let left = if report.waiting == 0 { String::new() } else { format!("; {left} it was not told") };
            app.note(&format!("{} hears of {collection} no longer{left}", report.url));
        }
        Command::Test { url, collection } => {
            let report = webhook::test(&app.open()?, &app.context(), &collection, &url)?;
            app.report("webhook-test", &report, |out| writeln!(out, "{}: {}", report.url, outcome(&report)))?;
            return Ok(if report.state == DeliveryState::Delivered { End::Done } else { End::Problems });
        }
        Command::Deliveries { url, collection, state, limit } => {
            let state = state.map(Into::into);
            let found = webhook::deliveries(&app.open()?, collection.as_ref(), url.as_deref(), state, limit)?;
            let heading = [
                number("NUMBER"),
                text("COLLECTION"),
                number("REVISION"),
                text("STATE"),
                number("TRIES"),
                text("SINCE").least(1),
                text("URL"),
                text("ANSWER"),
            ];
            let rows = (found.iter().map(delivery), "there are no deliveries");
            app.table("webhook-deliveries", &Deliveries { deliveries: &found }, heading, rows)?;
        }
        Command::Redeliver { number } => {
            let report = webhook::redeliver(&app.open()?, &app.context(), number)?;
            app.done("webhook-redeliver", &report, |out| {
                writeln!(out, "delivery {number} waits to be sent to {} again", report.url)
            })?;
        }
        Command::Deliver { base_url } => return deliver(app, base_url.as_deref()),
    }
    Ok(End::Done)
}

fn deliver(app: &App, base_url: Option<&str>) -> Result<End> {
    let base_url = base_url.map(webhook::check_base_url).transpose()?;
    let clock = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs().cast_signed();
    let report = webhook::deliver(&app.open()?, &app.context(), &clock, base_url.as_deref())?;
    app.done("webhook-deliver", &report, |out| {
        let skipped = if report.skipped == 0 { String::new() } else { format!(", {} skipped", report.skipped) };
        writeln!(out, "{} delivered{skipped}", report.delivered)
    })?;
    for failed in &report.failed {
        app.warn(&format!("delivery {} to {}: {}", failed.id, failed.url, outcome(failed)));
    }
    Ok(if report.failed.is_empty() { End::Done } else { End::Problems })
}

/// Returns a file's path from the root, as the store keeps it.
fn absolute(path: PathBuf) -> Result<String> {
    let path = wcas::fs::absolute(&path)?;
    let text = path.to_str().map(str::to_owned);
    text.ok_or_else(|| Error::Refused(format!("the store can't keep the path {}: it isn't UTF-8", path.display())))
}

fn row(report: &WebhookReport) -> [String; 6] {
    let last = report.delivered_at.map_or_else(|| "-".to_owned(), print::time);
    let told = if report.is_gone { "nothing: it is gone (410)".to_owned() } else { events(report) + signed(report) };
    let (waiting, failed) = (report.waiting.to_string(), report.failed.to_string());
    [report.url.clone(), report.collection.to_string(), told, waiting, failed, last]
}

fn events(report: &WebhookReport) -> String {
    if report.events.is_empty() { "all changes".to_owned() } else { report.events.join(", ") }
}

fn signed(report: &WebhookReport) -> &'static str {
    if report.secret_file.is_some() { ", signed" } else { "" }
}

fn told(report: &WebhookReport) -> String {
    let changes = if report.events.is_empty() { "all changes".to_owned() } else { format!("files {}", events(report)) };
    format!("{changes} in {}{}", report.collection, signed(report))
}

fn delivery(report: &DeliveryReport) -> [String; 8] {
    [
        report.id.to_string(),
        report.collection.to_string(),
        report.revision.map_or_else(|| "test".to_owned(), |revision| revision.to_string()),
        report.state.to_string(),
        report.tries.to_string(),
        print::time(report.ended_at.unwrap_or(report.queued_at)),
        report.url.clone(),
        answer(report),
    ]
}

/// Says what the receiver answered last.
fn answer(report: &DeliveryReport) -> String {
    let text = report.answer.clone().unwrap_or_default();
    match (report.status, text.is_empty()) {
        (Some(status), true) => status.to_string(),
        (Some(status), false) => format!("{status}: {text}"),
        (None, _) => text,
    }
}

fn outcome(report: &DeliveryReport) -> String {
    let state = match (report.state, report.next_at) {
        (DeliveryState::Waiting, Some(at)) => format!("failed, and is tried again after {}", print::date(at)),
        (DeliveryState::Failed, _) if report.revision.is_some() => "failed, and is given up".to_owned(),
        (state, _) => state.to_string(),
    };
    let answer = answer(report);
    if answer.is_empty() { state } else { format!("{state} ({answer})") }
}
