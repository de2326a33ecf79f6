//! `wcas show`, `wcas why`

use super::app::App;
use super::look::Style;
use super::miss::{self, Miss};
use super::print::{Lines, text};
use super::route::{Strategy, own, tell_unknown};
use super::select::Selection;
use super::{End, print};
use serde::Serialize;
use std::path::PathBuf;
use wcas::catalog::merge::Fate;
use wcas::catalog::ownership::OwnProjects;
use wcas::catalog::search::Filter;
use wcas::catalog::search_order::Sense;
use wcas::catalog::view_contents::Shown;
use wcas::catalog::wish::Wish;
use wcas::error::Result;
use wcas::name::CollectionName;
use wcas::ops::list::{ShowReport, WhyReport};
use wcas::ops::sight::SeenFile;
use wcas::wheel::VariantLabel;
use wcas::{Error, Store, ops};

/// Show distributions whole
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: wcas show torch==2.5.1")]
pub(super) struct ShowArgs {
    #[command(flatten)]
    selection: Selection,
}

/// Tell who keeps a blob, since when, and what would free it
///
/// With --variant it tells of each file in the collections that the variant searches whether the variant sees it, and if not, what
/// hides it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: wcas why torch==2.5.1 --collection cuda")]
pub(super) struct WhyArgs {
    #[command(flatten)]
    selection: Selection,
    /// Tell what this variant sees
    #[arg(long, value_name = "V", conflicts_with = "collection")]
    variant: Option<CollectionName>,
    /// How the variant's view is merged, instead of as the variant says
    #[arg(long, value_enum, requires = "variant")]
    strategy: Option<Strategy>,
    /// A file that names the variant's own projects, instead of its set; may be given several times
    #[arg(long, value_name = "FILE", requires = "variant")]
    requirements: Vec<PathBuf>,
}

#[derive(Serialize)]
struct ShowDocument<'a> {
    distributions: &'a [ShowReport],
    /// What nothing matches.
    #[serde(skip_serializing_if = "<[Miss]>::is_empty")]
    misses: &'a [Miss],
}

#[derive(Serialize)]
struct WhyDocument<'a> {
    blobs: &'a [WhyReport],
    /// What nothing matches.
    #[serde(skip_serializing_if = "<[Miss]>::is_empty")]
    misses: &'a [Miss],
}

pub(super) fn show(app: &App, args: ShowArgs) -> Result<End> {
    let store = app.open()?;
    let filter = args.selection.filter()?;
    let found = match ops::list::show(&store, &filter) {
        Ok(found) => found,
        Err(error) => {
            let document =
                |misses: &[Miss]| app.report("show", &ShowDocument { distributions: &[], misses }, |_| Ok(()));
            return miss::of_filter(app, &store, &filter, error, document);
        }
    };
    app.report("show", &ShowDocument { distributions: &found, misses: &[] }, |out| {
        for (index, report) in found.iter().enumerate() {
            if index > 0 {
                writeln!(out)?;
            }
            show_one(out, report)?;
        }
        Ok(())
    })?;
    Ok(End::Done)
}

fn show_one(out: &mut Lines<'_>, report: &ShowReport) -> std::io::Result<()> {
    out.styled(Style::Heading, &report.filename)?;
    writeln!(out)?;
    let mut line = |name: &str, value: &str| {
        if value.is_empty() {
            return Ok(());
        }
        out.styled(Style::Dim, &format!("  {name:<16}"))?;
        writeln!(out, " {value}")
    };
    let collections: Vec<String> =
        report.collections.iter().map(|(name, added)| format!("{name} (since @{added})")).collect();
    line("key", &report.key)?;
    line("collections", &collections.join(", "))?;
    line("project", report.project.as_str())?;
    line("version", &report.version)?;
    if let Some(said) = &report.version_in_metadata {
        line("in METADATA", &format!("{said}: the filename was trusted"))?;
    }
    line("build tag", &report.build_tag.as_ref().map(ToString::to_string).unwrap_or_default())?;
    line("tags", &report.tags)?;
    line("variant label", report.variant_label.as_ref().map(VariantLabel::as_str).unwrap_or_default())?;
    line("size", &format!("{} ({} bytes)", print::size(report.size), report.size))?;
    line("sha256", &report.sha256.to_string())?;
    line("blake3", &report.blake3.to_string())?;
    line("state", report.state.as_str())?;
    line("path", &report.path.display().to_string())?;
    line("uploaded", &print::time(report.uploaded_at))?;
    line("verified", &report.verified_at.map_or_else(|| "never".to_owned(), print::time))?;
    line("used", &report.used_at.map_or_else(|| "never".to_owned(), print::time))?;
    if report.downloads > 0 {
        line("downloads", &report.downloads.to_string())?;
    }
    line("requires python", report.requires_python.as_deref().unwrap_or_default())?;
    line("summary", report.summary.as_deref().unwrap_or_default())?;
    for requirement in &report.requires_dist {
        line("requires", requirement)?;
    }
    line("pinned by", &report.pinned_by.join(", "))?;
    for (collection, reason) in &report.yanked {
        line("yanked", &format!("in {collection}: {reason}"))?;
    }
    for collection in &report.prebuilt_in {
        line("pre-built", &format!("for {collection}"))?;
    }
    for (collection, url) in &report.source_urls {
        line("source", &format!("{url} (for {collection})"))?;
    }
    for (collection, origin) in &report.origins {
        let vouched = if origin.is_unhashed { " (no digest vouched for it)" } else { "" };
        line("from", &format!("{} for {collection}: {}{vouched}", origin.remote, origin.url))?;
        line("provenance", origin.provenance.as_deref().unwrap_or_default())?;
    }
    Ok(())
}

pub(super) fn why(app: &App, args: WhyArgs) -> Result<End> {
    if let Some(variant) = &args.variant {
        return sight(app, variant, args.strategy, &own(app, &args.requirements)?, &args.selection.filter()?);
    }
    let store = app.open()?;
    let filter = args.selection.filter()?;
    let found = match ops::list::why(&store, &app.context(), &filter) {
        Ok(found) => found,
        Err(error) => {
            let document = |misses: &[Miss]| app.report("why", &WhyDocument { blobs: &[], misses }, |_| Ok(()));
            return miss::of_filter(app, &store, &filter, error, document);
        }
    };
    app.report("why", &WhyDocument { blobs: &found, misses: &[] }, |out| {
        for report in &found {
            let names =
                if report.filenames.is_empty() { "(no filename)".to_owned() } else { report.filenames.join(", ") };
            out.styled(Style::Heading, &names)?;
            writeln!(out, "  {}  {}  {}", print::size(report.size), report.state, report.blake3)?;
            if report.reasons.is_empty() {
                writeln!(out, "  nothing keeps it: gc takes it once its grace has passed")?;
            }
            for reason in &report.reasons {
                let since = reason.since.map(|at| format!(" since {}", print::time(at))).unwrap_or_default();
                writeln!(out, "  {:<10} {}{since}", reason.kind, reason.by)?;
                out.styled(Style::Dim, &format!("  {:<10} freed by:", ""))?;
                writeln!(out, " {}", reason.freed_by)?;
            }
        }
        Ok(())
    })?;
    Ok(End::Done)
}

fn sight(
    app: &App,
    variant: &CollectionName,
    strategy: Option<Strategy>,
    own: &OwnProjects,
    filter: &Filter,
) -> Result<End> {
    let store = app.open()?;
    tell_unknown(app, &store, variant)?;
    let report = match ops::sight::sight(&store, &app.context(), variant, strategy.map(Into::into), own, filter) {
        Ok(report) => report,
        Err(error) => return unseen(app, &store, (variant, own), filter, error),
    };
    app.report("why", &report, |out| {
        let row = |file: &SeenFile| [file.collection.to_string(), file.filename.clone(), fate(&file.fate)];
        let rows: Vec<_> = report.files.iter().map(row).collect();
        if !rows.is_empty() {
            print::table(out, [text("COLLECTION"), text("FILENAME"), text("FATE")], &rows)?;
        }
        for remote in &report.remotes {
            let when = remote.fetched_at.map(|at| format!(", page of {}", print::time(at))).unwrap_or_default();
            writeln!(out, "remote {} of {}: {}{when}", remote.remote, remote.collection, remote.state)?;
            for file in &remote.files {
                writeln!(out, "  {}: {}", file.filename, file.verdict)?;
            }
            for problem in &remote.problems {
                writeln!(out, "  left out of its page: {problem}")?;
            }
        }
        Ok(())
    })?;
    Ok(End::Done)
}

/// Tells that a variant sees nothing of a specification, and what is near.
fn unseen(
    app: &App,
    store: &Store,
    (variant, own): (&CollectionName, &OwnProjects),
    filter: &Filter,
    error: Error,
) -> Result<End> {
    let Error::NoMatch(missed) = &error else { return Err(error) };
    let mut specs = filter.specs.iter().filter(|spec| missed.starts_with(&format!("{spec} in ")));
    let Some(spec) = specs.next() else { return Err(error) };
    let shown = Shown::Variant { name: variant.clone(), sense: Sense::Variant, strategy: None, own: own.clone() };
    let miss = miss::of_view(store, &shown, &Wish::new(spec.clone(), filter.tags.clone()))?;
    app.fail_near(&error, vec![miss]);
    Ok(End::NotFound)
}

fn fate(fate: &Fate) -> String {
    match fate {
        Fate::Listed => "listed".to_owned(),
        Fate::Yanked { reason } if reason.is_empty() => "listed, yanked".to_owned(),
        Fate::Yanked { reason } => format!("listed, yanked: {reason}"),
        Fate::Shadowed { by } => format!("shadowed by {by}"),
        Fate::Withheld { reason } => format!("left out: {reason}"),
        Fate::Foreign { reason } => format!("held back: {reason}"),
        Fate::Lost => "left out: its bytes are lost".to_owned(),
    }
}
