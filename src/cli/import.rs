//! `wcas import`

use super::app::App;
use super::route::read_requirements;
use super::select::Tags;
use super::{End, print};
use clap::ValueEnum;
use serde::Serialize;
use std::collections::{BTreeMap, HashSet};
use std::ffi::OsString;
use std::io::Write;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use wcas::blobs::LinkMode;
use wcas::catalog::ownership::OwnProjects;
use wcas::error::Result;
use wcas::intake::{ImportOptions, ImportReport, Made, Outcome, Target};
use wcas::name::{CollectionName, RemoteName};
use wcas::ops::pull::{PullOptions, Want};
use wcas::store::Error as StoreError;
use wcas::wheel::Trust;
use wcas::{Error, Store, ops};

/// Import wheels and sdists into a collection
///
/// Takes files, folders (recursively) and, for `-`, a list of paths on standard input. Importing unchanged files again costs about
/// a stat each. Bad files are refused and told; the others are imported, all in one revision of each collection that gets any.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: wcas import wheels-repo/downloads --collection cuda")]
pub(super) struct Args {
    /// Files, folders, or `-` for a list on standard input (one path a line, or separated by NUL)
    #[arg(required_unless_present = "fromager", value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Take what a wheels-repo of fromager has: `variants/V` into the collections V, sources that fromager packed again into
    /// built-sdists, all else, and the sdists-repo beside it, by the other options
    #[arg(long, value_name = "WHEELS_REPO", conflicts_with_all = ["paths", "from"])]
    fromager: Option<PathBuf>,
    /// The collection that gets them; made when there is none [default: shared]
    #[arg(long, value_name = "C", conflicts_with = "variant")]
    collection: Option<CollectionName>,
    /// Send each where the variant's rules say, which `wcas route` sets and explains
    #[arg(long, value_name = "V")]
    variant: Option<CollectionName>,
    /// A file that names the variant's own projects for this run, instead of its set; may be given several times
    #[arg(long, value_name = "FILE", requires = "variant", conflicts_with = "collection")]
    requirements: Vec<PathBuf>,
    /// Take PATHs as specifications (`torch==2.5.1`) and fetch them from this remote, into its collection unless another is named
    #[arg(long, value_name = "REMOTE", conflicts_with_all = ["link", "keep_existing"])]
    from: Option<RemoteName>,
    #[command(flatten)]
    tags: Tags,
    /// How bytes come into the store: a hard link is fastest, but an edit in place of the source then corrupts the store
    #[arg(long, value_enum, default_value = "auto")]
    link: Link,
    /// Refuse a filename that the collection has with other bytes, instead of replacing it
    #[arg(long)]
    keep_existing: bool,
    /// What happens where the collection has a filename with other bytes: they are replaced, or kept, which is told and no problem
    #[arg(long, value_enum, default_value = "replace", conflicts_with_all = ["keep_existing", "from"])]
    on_conflict: Conflict,
    /// They were fetched as they are, where others build them from source: they go to the variant's own collection
    #[arg(long, conflicts_with = "from")]
    pre_built: bool,
    /// Where their source, or a pre-built file, came from: kept with it
    #[arg(long, value_name = "URL", conflicts_with_all = ["from", "fromager"])]
    source_url: Option<url::Url>,
    /// Take wheels whose filename adds a local version (+cu126) that their METADATA lacks by their filename; `wcas show` tells it
    #[arg(long, conflicts_with = "from")]
    trust_filename: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Conflict {
    /// The new bytes take their place
    Replace,
    /// They stay
    Keep,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Link {
    /// A clone where the filesystem can, else a copy
    Auto,
    /// A clone, or an error
    Reflink,
    /// A hard link, else a copy
    Hardlink,
    /// A copy
    Copy,
    /// A hard link of a file that is yours and has no other name, else a copy; then the source is removed
    Move,
}

impl From<Link> for LinkMode {
    fn from(link: Link) -> Self {
        match link {
            Link::Auto => Self::Auto,
            Link::Reflink => Self::Reflink,
            Link::Hardlink => Self::Hardlink,
            Link::Copy => Self::Copy,
            Link::Move => Self::Move,
        }
    }
}

pub(super) fn run(app: &App, mut args: Args) -> Result<End> {
    if let Some(remote) = args.from.take() {
        return fetch(app, args, remote);
    }
    if args.tags.is_given() {
        return Err(Error::Refused("--build-tag, --python and --platform choose among what --from gives".to_owned()));
    }
    let mut paths = Vec::new();
    for path in std::mem::take(&mut args.paths) {
        if path == Path::new("-") { paths.extend(listed(app)?) } else { paths.push(path) }
    }
    if let Some(repo) = args.fromager.take() {
        return migrate(app, args, &repo);
    }
    let store =
        if paths.iter().any(|path| path.exists()) { app.open_or_create()? } else { open_for_nothing(app, &paths)? };
    let (target, is_understood) =
        target(app, &store, args.variant.as_ref(), args.collection.clone(), &args.requirements)?;
    let target = target.unwrap_or_else(|| Target::Collection(CollectionName::shared()));
    if let Target::Route(router) = &target
        && !router.is_known
        && router.own.requirements.is_none()
    {
        let (variant, default) = (router.variant(), &router.own.default);
        app.note(&format!(
            "nothing was said of a variant {variant}: what has no override goes to {default}; see `wcas route set`"
        ));
    }
    let report = import_paths(app, &store, &args, &paths, target)?;
    app.done("import", &report, |out| tell(app, &args, &report, out))?;
    Ok(if complain(app, &report) && is_understood { End::Done } else { End::Problems })
}

/// Opens the store where none of the paths to import is there: no store is made for that.
fn open_for_nothing(app: &App, paths: &[PathBuf]) -> Result<Store> {
    match (app.open(), paths.first()) {
        (Err(Error::Store(StoreError::Absent(_))), Some(path)) => {
            let meant = wcas::intake::meant_by(path).map(|hint| format!(": {hint}")).unwrap_or_default();
            Err(Error::NoSuch(format!("file or folder {}, and no store{meant}", path.display())))
        }
        (opened, _) => opened,
    }
}

/// Imports what lies below some paths.
fn import_paths(app: &App, store: &Store, args: &Args, paths: &[PathBuf], target: Target) -> Result<ImportReport> {
    let (mut sources, refused, skipped) = wcas::intake::find_sources(paths, Some(&app.store_path()?));
    let made = Made { is_prebuilt: args.pre_built, source_url: args.source_url.as_ref().map(without_secrets) };
    sources.iter_mut().for_each(|source| source.made = made.clone());
    let options = ImportOptions {
        target,
        link: args.link.into(),
        keep_existing: args.keep_existing || args.on_conflict == Conflict::Keep,
        trust: if args.trust_filename { Trust::Filename } else { Trust::Neither },
    };
    let mut report = wcas::intake::import(store, &app.context(), sources, &options)?;
    if args.on_conflict == Conflict::Keep {
        report.refused.retain(|refused| report.kept.iter().all(|kept| kept.path != refused.path));
    } else {
        // Told among the refused.
        report.kept.clear();
    }
    report.refused.splice(0..0, refused);
    report.skipped = skipped;
    Ok(report)
}

/// Where the sources go that fromager packed again: beside the original ones, whose names they have.
const PACKED_AGAIN: &str = "built-sdists";

/// Imports what a wheels-repo of fromager has, folder by folder: a run that is cut off goes on where it was.
fn migrate(app: &App, args: Args, repo: &Path) -> Result<End> {
    let (found, unnamed) = wcas::intake::find_fromager(repo)?;
    let store = app.open_or_create()?;
    let (target, is_understood) =
        target(app, &store, args.variant.as_ref(), args.collection.clone(), &args.requirements)?;
    let target = target.unwrap_or_else(|| Target::Collection(CollectionName::shared()));
    let mut imports = Vec::new();
    for (variant, folder) in &found.variants {
        imports.push(import_paths(
            app,
            &store,
            &args,
            std::slice::from_ref(folder),
            Target::Collection(variant.clone()),
        )?);
    }
    imports.push(import_paths(app, &store, &args, &found.common, target)?);
    if let Some(folder) = &found.packed_again {
        let target = Target::Collection(PACKED_AGAIN.parse().expect("it is a collection's name"));
        imports.push(import_paths(app, &store, &args, std::slice::from_ref(folder), target)?);
    }
    let mut seen = HashSet::new();
    let again = imports.iter().flat_map(|report| &report.distributions).filter(|row| !seen.insert(row.blake3));
    let (duplicates, duplicate_bytes) = again.fold((0, 0), |(count, bytes), row| (count + 1, bytes + row.size));
    let damaged = imports.iter().map(|report| report.refused.len()).sum();
    let document = Migration { imports: &imports, duplicates, duplicate_bytes, damaged };
    app.done("import-fromager", &document, |out| {
        imports
            .iter()
            .filter(|report| !report.distributions.is_empty())
            .try_for_each(|report| tell(app, &args, report, out))?;
        let saved = print::size(duplicate_bytes);
        writeln!(out, "{} had the bytes of another: {saved} less than before", print::count(duplicates, "file"))
    })?;
    for folder in unnamed {
        app.warn(&format!("skipped {}: {}", folder.path.display(), folder.reason));
    }
    let wholes: Vec<bool> = imports.iter().map(|report| complain(app, report)).collect();
    let is_whole = !wholes.contains(&false);
    Ok(if is_whole && is_understood { End::Done } else { End::Problems })
}

/// What came of a wheels-repo.
#[derive(Serialize)]
struct Migration<'a> {
    imports: &'a [ImportReport],
    /// Files whose bytes another one had.
    duplicates: usize,
    duplicate_bytes: u64,
    /// Files that were refused.
    damaged: usize,
}

fn tell(app: &App, args: &Args, report: &ImportReport, out: &mut dyn Write) -> std::io::Result<()> {
    let mut outcomes: BTreeMap<&str, usize> = BTreeMap::new();
    for distribution in &report.distributions {
        *outcomes.entry(word(distribution.outcome)).or_default() += 1;
        if app.verbose {
            let to = args.variant.as_ref().map(|_| format!(" in {}", distribution.collection)).unwrap_or_default();
            writeln!(out, "{}: {}{to}", word(distribution.outcome), distribution.filename)?;
        }
    }
    let outcomes: Vec<String> = outcomes.iter().map(|(outcome, count)| format!("{count} {outcome}")).collect();
    let count = print::count(report.distributions.len(), "distribution");
    let detail = if outcomes.is_empty() { String::new() } else { format!(" ({})", outcomes.join(", ")) };
    let cost = app.cost(Some(report.distributions.iter().map(|row| row.size).sum()));
    match report.collections.as_slice() {
        [] | [_] => writeln!(out, "{count} in {}@{}{detail}{cost}", report.collection, report.revision),
        several => {
            let names: Vec<String> = several.iter().map(|row| format!("{}@{}", row.name, row.revision)).collect();
            writeln!(out, "{count} in {}{detail}{cost}", names.join(", "))
        }
    }
}

/// Tells what was not taken, and what only with a warning; returns whether nothing was refused.
fn complain(app: &App, report: &ImportReport) -> bool {
    for skipped in report.skipped.iter().take(if app.verbose { usize::MAX } else { 5 }) {
        app.note(&format!("skipped {}: {}", skipped.path.display(), skipped.reason));
    }
    if report.skipped.len() > 5 && !app.verbose {
        app.note(&format!("skipped {} more; --verbose names them", report.skipped.len() - 5));
    }
    for copied in report.copied.iter().take(if app.verbose { usize::MAX } else { 5 }) {
        app.note(&format!("copied {}: {}", copied.path.display(), copied.reason));
    }
    if report.copied.len() > 5 && !app.verbose {
        app.note(&format!("copied {} more; --verbose names them", report.copied.len() - 5));
    }
    for warned in &report.warned {
        app.warn(&format!("warning: {}: {}", warned.path.display(), warned.reason));
    }
    for kept in &report.kept {
        app.note(&format!("kept what {} has as {}: {}", kept.collection, kept.filename, kept.reason));
    }
    for refused in &report.refused {
        app.warn(&format!("refused {}: {}", refused.path.display(), refused.reason));
    }
    report.refused.is_empty()
}

/// Returns where what comes in goes, if that was said, and whether the requirements were understood in full.
fn target(
    app: &App,
    store: &Store,
    variant: Option<&CollectionName>,
    collection: Option<CollectionName>,
    requirements: &[PathBuf],
) -> Result<(Option<Target>, bool)> {
    let Some(variant) = variant else { return Ok((collection.map(Target::Collection), true)) };
    let given = match requirements {
        [] => None,
        paths => Some(read_requirements(app, paths)?),
    };
    let is_understood = given.as_ref().is_none_or(|(_, is_whole)| *is_whole);
    let own = given.map_or(OwnProjects::Stored, |(set, _)| OwnProjects::Named(set));
    Ok((Some(Target::Route(Box::new(ops::route::router(store, variant, &own)?))), is_understood))
}

/// Imports from a remote.
fn fetch(app: &App, args: Args, remote: RemoteName) -> Result<End> {
    let tags = args.tags.filter()?;
    let want = |path: PathBuf| -> Result<Want> { Ok(Want::typed(path.to_string_lossy().parse()?, &tags)) };
    let wants = args.paths.into_iter().map(want).collect::<Result<Vec<_>>>()?;
    let store = app.open()?;
    let (target, is_understood) = target(app, &store, args.variant.as_ref(), args.collection, &args.requirements)?;
    let options = PullOptions {
        wants,
        collections: Vec::new(),
        variant: None,
        own: OwnProjects::Stored,
        from: Some(remote),
        target,
        downloads: 8,
    };
    let end = super::pull::tell(app, &ops::pull::pull(&store, &app.context(), &options)?)?;
    Ok(if is_understood { end } else { End::Problems })
}

/// Takes a URL without what may be a secret in it.
fn without_secrets(url: &url::Url) -> String {
    let mut url = url.clone();
    let _ = url.set_username("").and_then(|()| url.set_password(None));
    url.set_query(None);
    url.to_string()
}

fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::New => "new",
        Outcome::Deduplicated => "deduplicated",
        Outcome::Unchanged => "unchanged",
        Outcome::Replaced => "replaced",
        Outcome::Healed => "healed",
    }
}

/// Reads paths from standard input.
fn listed(app: &App) -> Result<Vec<PathBuf>> {
    let bytes = app.stdin()?;
    let separator = if bytes.contains(&0) { 0 } else { b'\n' };
    let paths = bytes.split(|byte| *byte == separator).map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    Ok(paths.filter(|line| !line.is_empty()).map(|line| OsString::from_vec(line.to_vec()).into()).collect())
}
