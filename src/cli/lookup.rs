//! `wcas lookup`

use super::app::App;
use super::route::{own, tell_unknown};
use super::select::Tags;
use super::{End, miss};
use std::path::PathBuf;
use wcas::catalog::at::RevisionSpec;
use wcas::catalog::wish::Wish;
use wcas::error::Result;
use wcas::name::CollectionName;
use wcas::ops::lookup::LookupOptions;
use wcas::requirement::Spec;
use wcas::{Store, ops};

/// Print the path of the best match for a specification
///
/// Searches the collections in the order given, each followed by its fallbacks; the first that has a match answers. The highest
/// version wins, then the highest build tag; an exactly equal version comes before one with a local part. A collection that has no
/// match asks its remotes, in order, and keeps what they give; whatever is wrong with a remote is a note. Exits with 4 on a miss.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: wcas lookup torch==2.5.1 --collection cuda --python 3.12 --platform linux_x86_64")]
pub(super) struct Args {
    /// `torch==2.5.1`, `torch>=2,<3`, `torch`, a filename, or a digest
    spec: Spec,
    /// A collection to search; may be given several times, in order [default: shared]. Of C@41 or C@release that revision is
    /// searched, without fallbacks and remotes
    #[arg(long, value_name = "C", value_delimiter = ',')]
    collection: Vec<RevisionSpec>,
    /// Search where `import --variant` sends: the project's override, the variant's collection, its fallbacks, the default one
    #[arg(long, value_name = "V", conflicts_with = "collection")]
    variant: Option<CollectionName>,
    /// A file that names the variant's own projects for this run, instead of its set; may be given several times
    #[arg(long, value_name = "FILE", requires = "variant", conflicts_with = "collection")]
    requirements: Vec<PathBuf>,
    #[command(flatten)]
    tags: Tags,
    /// Answer that there is nothing, whatever there is: the lookup is counted as a miss
    #[arg(long)]
    no_cache: bool,
    /// Print METADATA instead of the path; of a remote's file nothing else is fetched
    #[arg(long)]
    metadata: bool,
    /// Ask no remote
    #[arg(long)]
    offline: bool,
}

pub(super) fn run(app: &App, args: Args) -> Result<End> {
    let store = app.open()?;
    let options = LookupOptions {
        wish: Wish::new(args.spec, args.tags.filter()?),
        collections: args.collection,
        variant: args.variant,
        own: own(app, &args.requirements)?,
        force_miss: args.no_cache,
        is_offline: args.offline,
    };
    if let Some(variant) = &options.variant {
        tell_unknown(app, &store, variant)?;
    }
    if args.metadata {
        return metadata(app, &store, &options);
    }
    let report = ops::lookup::lookup(&store, &app.context(), &options)?;
    for filename in &report.unusable {
        app.warn(&format!(
            "{filename} is listed, but its bytes are missing or wrong: import it again, or `wcas verify --repair`"
        ));
    }
    for note in &report.remotes {
        app.note(&format!("{}: {}", note.remote, note.text));
    }
    report.notes.iter().for_each(|note| app.note(note));
    app.report_as_is("lookup", &report, |out| match &report.path {
        Some(path) => out.write_all(path.as_os_str().as_encoded_bytes()).and_then(|()| writeln!(out)),
        None => Ok(()),
    })?;
    if !report.hit {
        app.note(&format!("no match for {}", options.wish.spec));
    }
    report.miss.iter().for_each(|near| miss::tell_rest(app, near, &report.notes, &report.unusable));
    Ok(if report.hit { End::Done } else { End::NotFound })
}

fn metadata(app: &App, store: &Store, options: &LookupOptions) -> Result<End> {
    let report = ops::lookup::metadata(store, &app.context(), options)?;
    for note in &report.remotes {
        app.note(&format!("{}: {}", note.remote, note.text));
    }
    report.notes.iter().for_each(|note| app.note(note));
    app.report_as_is("lookup-metadata", &report, |out| {
        write!(out, "{}", report.metadata.as_deref().unwrap_or_default())
    })?;
    if !report.hit {
        app.note(&format!("no match for {}", options.wish.spec));
    }
    report.miss.iter().for_each(|near| miss::tell_rest(app, near, &report.notes, &[]));
    Ok(if report.hit { End::Done } else { End::NotFound })
}
