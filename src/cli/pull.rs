//! `wcas pull`

use super::app::App;
use super::select::Tags;
use super::{End, miss, print};
use std::path::PathBuf;
use wcas::catalog::ownership::OwnProjects;
use wcas::error::Result;
use wcas::intake::Target;
use wcas::name::{CollectionName, RemoteName};
use wcas::ops;
use wcas::ops::pull::{PullOptions, PullReport, Want};
use wcas::requirement::Spec;

/// Fetch listed distributions from the remotes of collections
///
/// What a collection of the search order has is not fetched. Files go to the collection whose remote has them, checked against the
/// page's digest, and guarded like any import. An interrupted pull goes on where it was.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: wcas pull -r requirements.txt --variant cuda --python 3.12 --platform manylinux_2_28_x86_64"
)]
pub(super) struct Args {
    /// `torch==2.5.1`, `torch`, a filename
    specs: Vec<Spec>,
    /// A requirements file as pip reads it, or a lock file: pylock.toml, uv.lock, poetry.lock; may be given several times
    #[arg(short, long, value_name = "FILE")]
    requirements: Vec<PathBuf>,
    /// The collections to search, each followed by its fallbacks [default: shared]
    #[arg(long, value_name = "C", conflicts_with = "variant", value_delimiter = ',')]
    collection: Vec<CollectionName>,
    /// Search as this variant does
    #[arg(long, value_name = "V")]
    variant: Option<CollectionName>,
    /// Only from this remote; with --collection into that one collection
    #[arg(long, value_name = "REMOTE")]
    from: Option<RemoteName>,
    /// How many downloads run at a time
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u8).range(1..=64))]
    downloads: u8,
    #[command(flatten)]
    tags: Tags,
}

pub(super) fn run(app: &App, args: Args) -> Result<End> {
    let tags = args.tags.filter()?;
    let set = ops::requirements::wants(&args.requirements, &tags)?;
    for note in &set.notes {
        app.note(note);
    }
    for refused in &set.refused {
        app.warn(refused);
    }
    let typed = args.specs.into_iter().map(|spec| Want::typed(spec, &tags));
    let wants: Vec<Want> = typed.chain(set.wants).collect();
    if wants.is_empty() && set.refused.is_empty() && args.requirements.is_empty() {
        return Err(wcas::Error::Refused("nothing to pull: name a distribution, or a file with -r".to_owned()));
    }
    let target = match (&args.from, args.collection.as_slice()) {
        (Some(_), [one]) => Some(Target::Collection(one.clone())),
        (Some(_), [_, _, ..]) => {
            let why = "--from with several collections: say the one that the files go to";
            return Err(wcas::Error::Refused(why.to_owned()));
        }
        _ => None,
    };
    let collections = if args.collection.is_empty() { vec![CollectionName::shared()] } else { args.collection };
    let options = PullOptions {
        wants,
        collections,
        variant: args.variant,
        own: OwnProjects::Stored,
        from: args.from,
        target,
        downloads: args.downloads.into(),
    };
    let report = ops::pull::pull(&app.open()?, &app.context(), &options)?;
    let end = tell(app, &report)?;
    Ok(if set.refused.is_empty() { end } else { End::Problems })
}

/// Prints what a pull did.
pub(super) fn tell(app: &App, report: &PullReport) -> Result<End> {
    let verbose = app.verbose;
    app.done("pull", report, |out| {
        for pulled in report.distributions.iter().filter(|_| verbose) {
            let from = pulled.remote.as_ref().map_or("the store", RemoteName::as_str);
            writeln!(out, "{} from {from} into {}", pulled.filename, pulled.collection)?;
        }
        let fetched = report.distributions.iter().filter(|pulled| pulled.remote.is_some()).count();
        let there = report.distributions.len() - fetched;
        let size = print::size(report.downloaded_bytes);
        let fetched = print::count(fetched, "distribution");
        writeln!(out, "{fetched} pulled ({size} downloaded), {there} there already{}", app.cost(None))
    })?;
    for note in &report.notes {
        app.note(&format!("{}: {}", note.remote, note.text));
    }
    for unmet in &report.missing {
        app.warn(&format!("no match for {} ({})", unmet.requirement, unmet.place));
        unmet.quarantine.iter().for_each(|reason| app.warn(&format!("  {reason}")));
        for note in &unmet.notes {
            app.warn(&format!("  {}: {}", note.remote, note.text));
        }
        miss::tell(app, &unmet.miss);
    }
    Ok(if report.missing.is_empty() { End::Done } else { End::Problems })
}
