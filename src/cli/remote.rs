//! `wcas remote`

use super::app::App;
use super::print::{Column, dash, number, text};
use super::settings::{Rule, rule, switch};
use super::{End, print, units};
use clap::Subcommand;
use serde::Serialize;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use wcas::error::Result;
use wcas::name::{CollectionName, ProjectName, RemoteName};
use wcas::ops::push::WriteBackReport;
use wcas::ops::remote::{Health, RemoteChange, RemoteReport};
use wcas::requirement::ProjectPattern;
use wcas::{Error, ops};

/// Say which other indexes a collection pulls from, and in which order
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: wcas remote add mirror https://index.example/simple/ --collection shared")]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Add a remote to a collection; it is not asked yet
    Add {
        /// Its name
        name: RemoteName,
        /// Its URL, with or without /simple/, or that of a page with links to files
        url: String,
        #[command(flatten)]
        settings: Settings,
    },
    /// Change a remote; `none` takes a rule away
    Set {
        /// The remote
        name: RemoteName,
        /// Another URL; what was seen of the remote so far is forgotten
        #[arg(long)]
        url: Option<String>,
        #[command(flatten)]
        settings: Settings,
    },
    /// Remove a remote; what came from it stays
    Remove {
        /// The remote
        name: RemoteName,
    },
    /// List remotes, those of a collection in the order in which they are asked
    List,
    /// Ask a remote what it speaks, how fast, and what its pages lack
    Test {
        /// The remote
        name: RemoteName,
        /// The project whose page is looked at [default: one that it names, or that the collection has]
        #[arg(long, value_name = "P")]
        project: Option<ProjectName>,
    },
}

#[derive(Debug, clap::Args)]
struct Settings {
    /// The collection that pulls from it [default for a new one: shared]; made when there is none
    #[arg(long, value_name = "C")]
    collection: Option<CollectionName>,
    /// The lower is asked first [default for a new one: 0]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = units::whole::<i64>)]
    priority: Option<i64>,
    /// Ask it only for these projects: names, `*` stands for any part; may be given several times
    #[arg(long, value_name = "PATTERN", value_delimiter = ',')]
    only: Vec<String>,
    /// Never ask it for these projects
    #[arg(long, value_name = "PATTERN", value_delimiter = ',')]
    except: Vec<String>,
    /// Take only files that were uploaded at least this long ago
    #[arg(long, value_name = "TIME", value_parser = rule(units::seconds))]
    min_age: Option<Rule<i64>>,
    /// A status that means "not found" there, beside 404; may be given several times
    #[arg(long, value_name = "STATUS", value_delimiter = ',')]
    not_found: Vec<String>,
    /// Another host whose pages are believed where the remote sends to it; may be given several times; `none` for no host
    #[arg(long, value_name = "HOST", value_delimiter = ',')]
    follow_host: Vec<String>,
    /// Take files without a digest over plain http, too
    #[arg(long, overrides_with = "no_allow_insecure")]
    allow_insecure: bool,
    /// Refuse files without a digest over plain http
    #[arg(long)]
    no_allow_insecure: bool,
    /// Take files without a digest
    #[arg(long, overrides_with = "no_trust_unhashed")]
    trust_unhashed: bool,
    /// Refuse files without a digest
    #[arg(long)]
    no_trust_unhashed: bool,
    /// Its root page names all its projects: others are not asked for
    #[arg(long, overrides_with = "no_listed")]
    listed: bool,
    /// Its root page may name not all its projects
    #[arg(long)]
    no_listed: bool,
    /// While it can't be asked, farther remotes and collections answer
    #[arg(long, overrides_with = "no_optional")]
    optional: bool,
    /// While it can't be asked, nobody farther away answers for it: it may hide what they have
    #[arg(long)]
    no_optional: bool,
    /// Where credentials are: `netrc`, or `env:VAR`; they are never stored
    #[arg(long, value_name = "WHERE")]
    auth: Option<String>,
    /// It is a cache of your own organisation: asked along the whole search order
    #[arg(long, overrides_with = "theirs")]
    ours: bool,
    /// It is a stranger's index, which is the default
    #[arg(long)]
    theirs: bool,
    /// Send there, too, what is built here; only for one that is --ours
    #[arg(long, overrides_with = "no_write_back")]
    write_back: bool,
    /// Send nothing there; what waits for it is dropped
    #[arg(long)]
    no_write_back: bool,
    /// Where files are uploaded to, where the remote's own URL doesn't tell (that of a wcas does)
    #[arg(long, value_name = "URL")]
    upload_url: Option<String>,
    /// Take only what a list says that one of these signed: a file as `ssh-keygen -Y verify -f` reads it; for collections of another wcas
    #[arg(long, value_name = "KEYS")]
    signed_by: Option<PathBuf>,
}

impl Settings {
    fn change(self, url: Option<String>) -> Result<RemoteChange> {
        Ok(RemoteChange {
            url,
            collection: self.collection,
            priority: self.priority,
            only: list(&self.only)?,
            except: list(&self.except)?,
            min_age: self.min_age.map(|rule| rule.0),
            not_found: list(&self.not_found)
                .map_err(|_| Error::Refused(format!("{:?} is no status: write 403", self.not_found.join(","))))?,
            follow_hosts: list(&self.follow_host)?,
            allow_insecure: switch(self.allow_insecure, self.no_allow_insecure),
            trust_unhashed: switch(self.trust_unhashed, self.no_trust_unhashed),
            is_listed: switch(self.listed, self.no_listed),
            is_optional: switch(self.optional, self.no_optional),
            auth: self.auth.map(|auth| Some(auth).filter(|auth| auth != "none")),
            is_ours: switch(self.ours, self.theirs),
            writes_back: switch(self.write_back, self.no_write_back),
            upload_url: self.upload_url.map(|url| Some(url).filter(|url| url != "none")),
            signed_by: self.signed_by.as_deref().map(signers).transpose()?,
        })
    }
}

/// Reads who may sign.
fn signers(path: &Path) -> Result<Option<String>> {
    if path == Path::new("none") {
        return Ok(None);
    }
    let text = std::fs::read_to_string(path);
    text.map(Some)
        .map_err(|error| Error::Refused(format!("the allowed signers {} can't be read: {error}", path.display())))
}

/// Tells an option that was not given from one that takes all away.
fn list<T: FromStr<Err: Display>>(items: &[String]) -> Result<Option<Vec<T>>> {
    match items {
        [] => Ok(None),
        [none] if none == "none" => Ok(Some(Vec::new())),
        _ => {
            let parse = |item: &String| item.parse().map_err(|error: T::Err| Error::Refused(error.to_string()));
            items.iter().map(parse).collect::<Result<_>>().map(Some)
        }
    }
}

#[derive(Serialize)]
struct ListDocument<'a> {
    remotes: &'a [RemoteReport],
}

pub(super) fn run(app: &App, args: Args) -> Result<End> {
    match args.command {
        Command::Add { name, url, settings } => {
            let change = settings.change(Some(url))?;
            let report = ops::remote::add_remote(&app.open_or_create()?, &app.context(), &name, &change)?;
            app.report("remote-add", &report, |out| writeln!(out, "{}", line(&report)))?;
            warn_of_plain(app, &report);
        }
        Command::Set { name, url, settings } => {
            let report = ops::remote::set_remote(&app.open()?, &app.context(), &name, &settings.change(url)?)?;
            app.report("remote-set", &report, |out| writeln!(out, "{}", line(&report)))?;
            warn_of_plain(app, &report);
        }
        Command::Remove { name } => {
            let report = ops::remote::remove_remote(&app.open()?, &name)?;
            app.report("remote-remove", &report, |_| Ok(()))?;
            app.note(&format!("{} pulls from {name} no longer", report.collection));
        }
        Command::List => {
            let remotes = ops::remote::remotes(&app.open()?)?;
            let (document, heading) = (ListDocument { remotes: &remotes }, HEADING);
            app.table("remote-list", &document, heading, (remotes.iter().map(row), "there are no remotes"))?;
        }
        Command::Test { name, project } => return test(app, &name, project.as_ref()),
    }
    Ok(End::Done)
}

/// Says what plain http means for pages, whose digests nothing vouches for. On the way to this machine itself is nobody.
fn warn_of_plain(app: &App, report: &RemoteReport) {
    let url = url::Url::parse(&report.settings.url).ok().filter(|url| url.scheme() == "http");
    let host = url.as_ref().and_then(|url| url.host()).filter(|host| match host {
        url::Host::Domain(name) => *name != "localhost",
        url::Host::Ipv4(address) => !address.is_loopback(),
        url::Host::Ipv6(address) => !address.is_loopback(),
    });
    if let Some(host) = host {
        app.warn(&format!(
            "pages of {host} come over plain http: whoever is on the way can change them, digests included; use https"
        ));
    }
}

fn test(app: &App, name: &RemoteName, project: Option<&ProjectName>) -> Result<End> {
    let report = wcas::supply::test_remote(&app.open()?, &app.context(), name, project)?;
    app.report("remote-test", &report, |out| {
        writeln!(out, "{name}: {}", report.url)?;
        if let Some(failure) = &report.failure {
            writeln!(out, "  failed: {failure}")?;
        }
        match report.projects {
            Some(count) => {
                writeln!(out, "  root page: {}, {} ms", print::count(count, "project"), report.milliseconds)?
            }
            None if report.ok => writeln!(out, "  root page: names no projects; never say --listed")?,
            None => {}
        }
        if let (Some(layout), Some(sample)) = (report.layout, &report.sample) {
            let of = sample.project.as_ref().map(|project| format!(" of {project}")).unwrap_or_default();
            let version = sample.api_version.as_ref().map(|version| format!(" {version}")).unwrap_or_default();
            let syntax = sample.syntax.unwrap_or("unknown");
            writeln!(out, "  page{of}: {layout}, {syntax}{version}, {} ms", sample.milliseconds)?;
            let has = |count: usize, what: &str| format!("{count} with {what}");
            let facts = [
                has(sample.hashes, "a sha256"),
                has(sample.sizes, "a size"),
                has(sample.metadata, "metadata"),
                has(sample.upload_times, "an upload time"),
            ];
            writeln!(out, "  {}: {}", print::count(sample.files, "file"), facts.join(", "))?;
            for problem in &sample.problems {
                writeln!(out, "  left out: {problem}")?;
            }
        }
        if let Some(list) = &report.signed {
            let files = list.files.map(|count| format!(", {}", print::count(count, "file"))).unwrap_or_default();
            writeln!(out, "  signed list: {}@{} by {}{files}", list.collection, list.revision, list.signer)?;
        }
        if let (Some(failure), Some(at)) = (&report.last_failure, report.last_failed_at) {
            writeln!(out, "  last failure before: {}: {failure}", print::time(at))?;
        }
        Ok(())
    })?;
    Ok(if report.ok { End::Done } else { End::Problems })
}

fn line(report: &RemoteReport) -> String {
    let (collection, rules) = (&report.collection, dash(rules(report)));
    format!(
        "{}: {} for {collection}, priority {}; rules {rules}",
        report.name, report.settings.url, report.settings.priority
    )
}

const HEADING: [Column; 6] = [
    text("COLLECTION"),
    number("PRIORITY").least(1),
    text("REMOTE"),
    text("URL"),
    text("RULES").least(2),
    text("HEALTH"),
];

fn row(report: &RemoteReport) -> [String; 6] {
    let failure = report.failure.as_deref().unwrap_or_default();
    let health = match (report.health, report.failed_at) {
        (Health::Failing, Some(at)) => format!("failing, last {}: {failure}", print::at(at)),
        (health, Some(at)) => format!("{}; failed {}: {failure}", health.as_str(), print::at(at)),
        (health, None) => health.as_str().to_owned(),
    };
    let health = match &report.write_back {
        Some(waits) => format!("{health}; {}", waiting(waits)),
        None => health,
    };
    [
        report.collection.to_string(),
        report.settings.priority.to_string(),
        report.name.to_string(),
        report.settings.url.clone(),
        dash(rules(report)),
        health,
    ]
}

/// Tells what waits to be sent.
fn waiting(waits: &WriteBackReport) -> String {
    let given_up = if waits.given_up > 0 { format!(" ({} given up)", waits.given_up) } else { String::new() };
    let failure = waits.failure.as_ref().map(|failure| format!(": {failure}")).unwrap_or_default();
    format!("{} to be sent{given_up}{failure}", waits.waiting)
}

fn rules(report: &RemoteReport) -> String {
    let words = |word: &str, items: Vec<String>| (!items.is_empty()).then(|| format!("{word} {}", items.join(" ")));
    let texts = |patterns: &[ProjectPattern]| patterns.iter().map(ToString::to_string).collect();
    let rules = [
        words("only", texts(&report.settings.only)),
        words("except", texts(&report.settings.except)),
        report.settings.min_age.map(|seconds| format!("older than {}", units::seconds_text(seconds))),
        words("not found", report.settings.not_found.iter().map(ToString::to_string).collect()),
        words("follows", report.settings.follow_hosts.clone()),
        report.settings.allow_insecure.then(|| "insecure".to_owned()),
        report.settings.trust_unhashed.then(|| "unhashed".to_owned()),
        report.settings.is_listed.then(|| "listed".to_owned()),
        report.settings.is_optional.then(|| "optional".to_owned()),
        report.settings.auth.as_ref().map(|auth| format!("auth {auth}")),
        report.settings.is_ours.then(|| "ours".to_owned()),
        report.settings.writes_back.then(|| "writes back".to_owned()),
        report.settings.upload_url.as_ref().map(|url| format!("uploads to {url}")),
        report.settings.signed_by.as_ref().map(|keys| {
            format!(
                "signed by {}",
                keys.lines().filter_map(|line| line.split_whitespace().next()).collect::<Vec<_>>().join(" ")
            )
        }),
    ];
    rules.into_iter().flatten().collect::<Vec<_>>().join(", ")
}
