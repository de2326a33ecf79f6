//! `wcas view`

use super::app::App;
use super::route::{Strategy, own, tell_unknown};
use super::{End, miss, print, site};
use clap::ValueEnum;
use std::path::{Path, PathBuf};
use wcas::catalog::at::RevisionSpec;
use wcas::catalog::search_order::Sense;
use wcas::catalog::view_contents::{Shown, WithheldFile};
use wcas::catalog::wish::Wish;
use wcas::error::Result;
use wcas::manifest::{Layout, LinkKind};
use wcas::name::{CollectionName, ProjectName};
use wcas::ops::view::{TreeOptions, ViewOptions};
use wcas::{Error, ops};

/// Print a collection as a page or list, or write it as a tree
///
/// Without --to the page goes to standard output; give its file a name that ends in .html, since pip ignores any other. With --to
/// a tree is written that any static web server serves; again, only what changed is made anew, and readers see the old or the new
/// tree, never a mixture. With --to s3://bucket/prefix a static site is written, which the bucket's web server shows: no page there
/// names a file that isn't.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: wcas view --collection cuda > cuda.html && pip install --no-index --find-links cuda.html torch\n\
                  Example: wcas view --collection cuda --to /srv/www/cuda && pip install --index-url file:///srv/www/cuda/simple torch"
)]
pub(super) struct Args {
    /// The collection, maybe at a revision or snapshot: cuda, cuda@41, cuda@release [default: shared]
    #[arg(long, value_name = "C", conflicts_with = "variant")]
    pub(super) collection: Option<RevisionSpec>,
    /// A revision's number or a snapshot's name, instead of the newest
    #[arg(long, value_name = "REV", conflicts_with = "variant")]
    pub(super) at: Option<String>,
    /// All that a variant sees, merged: its collection, the fallbacks and the default one; a nearer one hides a project
    #[arg(long, value_name = "V")]
    pub(super) variant: Option<CollectionName>,
    /// How it is merged, instead of as the variant says
    #[arg(long, value_enum, requires = "variant")]
    pub(super) strategy: Option<Strategy>,
    /// A file that names the variant's own projects, instead of its set; may be given several times
    #[arg(long, value_name = "FILE", requires = "variant")]
    pub(super) requirements: Vec<PathBuf>,
    /// How to print it
    #[arg(long, value_enum, default_value = "html", conflicts_with = "to")]
    format: Format,
    /// Print one project's page
    #[arg(long, value_name = "P", conflicts_with = "to")]
    project: Option<ProjectName>,
    /// What links begin with, before `/FILENAME`, instead of file:// paths into the store
    #[arg(long, value_name = "URL", conflicts_with = "to")]
    base_url: Option<String>,
    /// Write a tree into this folder, or a static site to s3://bucket/prefix (gs://, az://) or file:///folder
    #[arg(long, value_name = "DIR|URL")]
    pub(super) to: Option<PathBuf>,
    /// The site's bucket's server, where it isn't Amazon's [default: the share's, where the bucket is, or $AWS_ENDPOINT_URL]
    #[arg(long, value_name = "URL")]
    pub(super) endpoint: Option<String>,
    /// The bucket's region [default: the share's, where the bucket is, or $AWS_REGION or $AWS_DEFAULT_REGION]
    #[arg(long, value_name = "REGION")]
    pub(super) region: Option<String>,
    /// How the tree's files have their bytes [default: symlink]; an edit in place through a hard link corrupts the store
    #[arg(long, value_enum, requires = "to")]
    pub(super) link: Option<Link>,
    /// How the tree is arranged
    #[arg(long, value_enum, default_value = "simple", requires = "to")]
    pub(super) layout: LayoutArg,
    /// Take the place of a tree that shows something else, or leave one without files
    #[arg(long, requires = "to")]
    pub(super) replace: bool,
    /// Remove a tree that the store knows, and let its blobs go, or a site that the store made
    #[arg(long, value_name = "DIR|URL", conflicts_with_all = ["to", "at", "project", "base_url", "variant"])]
    pub(super) remove: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A page for pip and uv, an anchor for each file
    Html,
    /// A JSON document (PEP 691, 700)
    Json,
    /// Lines `name==version --hash=sha256:…`
    Requirements,
    /// A lock file, pylock.toml (PEP 751), of the newest version of each project
    Pylock,
    /// A path for each file
    Paths,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Link {
    /// Relative symbolic links
    Symlink,
    /// Hard links, else copies
    Hardlink,
    /// Clones, else copies
    Reflink,
    /// Copies
    Copy,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum LayoutArg {
    /// DIR/simple/PROJECT/ with pages, files and .metadata beside each other (PEP 503, 658)
    Simple,
    /// All files in DIR with one page, for --find-links
    Flat,
    /// All files in DIR/downloads, as in a wheels-repo of fromager
    Fromager,
}

/// So many files that are left out are named.
const TOLD: usize = 10;

pub(super) fn run(app: &App, args: Args) -> Result<End> {
    let location = site::location(&args)?;
    if let Some(path) = &args.remove {
        return match location {
            Some(location) => site::remove(app, &location),
            None => remove(app, path),
        };
    }
    match (args.to.clone(), location) {
        (Some(_), Some(location)) => site::write(app, args, location),
        (Some(to), None) => tree(app, args, to),
        (None, _) => page(app, args),
    }
}

fn remove(app: &App, path: &Path) -> Result<End> {
    let report = ops::view::drop_tree(&app.open()?, path)?;
    app.report("view-remove", &report, |_| Ok(()))?;
    match &report.other {
        Some(other) => {
            app.note(&format!("forgot the view {}; what is there now stays: {other}", report.removed.display()))
        }
        None => app.note(&format!("removed the view {}", report.removed.display())),
    }
    for name in &report.left {
        app.note(&format!("left {name}: it was changed since the view made it"));
    }
    Ok(End::Done)
}

fn page(app: &App, args: Args) -> Result<End> {
    let store = app.open()?;
    if let Some(variant) = &args.variant {
        tell_unknown(app, &store, variant)?;
    }
    let format = match args.format {
        // --json says it of every command's answer.
        _ if app.json => ops::view::Format::Json,
        Format::Html => ops::view::Format::Html,
        Format::Json => ops::view::Format::Json,
        Format::Requirements => ops::view::Format::Requirements,
        Format::Pylock => ops::view::Format::Pylock,
        Format::Paths => ops::view::Format::Paths,
    };
    if format == ops::view::Format::Html {
        warn_of_name(app);
    }
    let options = ViewOptions {
        shown: shown(app, args.collection, args.at, args.variant, args.strategy, &args.requirements)?,
        project: args.project,
        format,
        base_url: args.base_url,
    };
    let mut report = Ok((Vec::new(), Vec::new(), 0));
    let written = app.answer(|out| {
        report =
            ops::view::view(&store, &options, out).map(|report| (report.left_out, report.withheld, report.unlocked));
        Ok(())
    });
    let (left_out, withheld, unlocked) = match (report, &options.project) {
        (Err(error @ Error::NoMatch(_)), Some(project)) => {
            let missed = miss::of_view(&store, &options.shown, &Wish::of_project(project.clone()))?;
            app.warn(&format!("wcas: {error}"));
            return missed.tell(app, "view-miss");
        }
        (report, _) => report?,
    };
    written?;
    if unlocked > 0 {
        let count = print::count(unlocked, "file");
        app.note(&format!(
            "left out {count} of older versions or variants: an installer takes one version of a project"
        ));
    }
    Ok(tell_left_out(app, &left_out, &withheld))
}

fn tree(app: &App, args: Args, to: PathBuf) -> Result<End> {
    let store = app.open()?;
    if let Some(variant) = &args.variant {
        tell_unknown(app, &store, variant)?;
    }
    let options = TreeOptions {
        shown: shown(app, args.collection, args.at, args.variant, args.strategy, &args.requirements)?,
        // What else lies in a wheels-repo is fromager's own: it links `simple` to the downloads by itself.
        to: if args.layout == LayoutArg::Fromager { to.join("downloads") } else { to },
        link: match args.link.unwrap_or(Link::Symlink) {
            Link::Symlink => LinkKind::Symlink,
            Link::Hardlink => LinkKind::Hardlink,
            Link::Reflink => LinkKind::Reflink,
            Link::Copy => LinkKind::Copy,
        },
        layout: match args.layout {
            LayoutArg::Simple => Layout::Simple,
            LayoutArg::Flat | LayoutArg::Fromager => Layout::Flat,
        },
        replace: args.replace,
    };
    let report = ops::view::view_tree(&store, &app.context(), &options)?;
    app.done("view", &report, |out| {
        let (files, projects) = (print::count(report.files, "file"), print::count(report.projects, "project"));
        let path = report.path.display();
        let sources: Vec<String> =
            report.collections.iter().map(|row| format!("{}@{}", row.name, row.revision)).collect();
        let cost = app.cost(None);
        writeln!(out, "{path}: {}, {files} of {projects}, {} made anew{cost}", sources.join(" + "), report.made)
    })?;
    for name in &report.theirs {
        app.note(&format!("left {name} as it is: somebody else put it there, with the right bytes"));
    }
    if report.is_new && options.link == LinkKind::Hardlink {
        app.note(
            "the tree's files are hard links: an edit in place of one corrupts the store (`wcas verify` finds it)",
        );
    }
    Ok(tell_left_out(app, &report.left_out, &report.withheld))
}

pub(super) fn shown(
    app: &App,
    collection: Option<RevisionSpec>,
    at: Option<String>,
    variant: Option<CollectionName>,
    strategy: Option<Strategy>,
    requirements: &[PathBuf],
) -> Result<Shown> {
    Ok(match variant {
        Some(name) => {
            let (strategy, own) = (strategy.map(Into::into), own(app, requirements)?);
            Shown::Variant { name, sense: Sense::Variant, strategy, own }
        }
        None => {
            let RevisionSpec { collection: name, revision } =
                collection.unwrap_or_else(|| CollectionName::shared().into());
            if let (Some(at), Some(revision)) = (&at, &revision) {
                return Err(Error::Refused(format!("--at {at} and {name}@{revision}: say the revision once")));
            }
            Shown::Collection { name, at: at.or(revision) }
        }
    })
}

pub(super) fn tell_left_out(app: &App, left_out: &[String], withheld: &[WithheldFile]) -> End {
    let told = if app.verbose { withheld.len() } else { TOLD };
    for file in withheld.iter().take(told) {
        app.note(&format!("left out {}: {}", file.filename, file.reason));
    }
    if withheld.len() > told {
        app.note(&format!("left out {} more; --verbose names them", withheld.len() - told));
    }
    for filename in left_out {
        app.warn(&format!("left out {filename}: its bytes are lost; import it again, or `wcas verify --repair`"));
    }
    if left_out.is_empty() { End::Done } else { End::Problems }
}

/// Tells when standard output is a file that pip would not read as a page.
fn warn_of_name(app: &App) {
    let Ok(target) = std::fs::read_link("/proc/self/fd/1") else { return };
    let is_page = |path: &Path| path.extension().is_some_and(|extension| extension == "html" || extension == "htm");
    if target.is_file() && !is_page(&target) {
        app.note(&format!("pip reads a page only from a file named *.html, and not from {}", target.display()));
    }
}
