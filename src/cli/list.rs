//! `wcas list`

use super::app::App;
use super::miss::{self, Miss};
use super::print::{number, text};
use super::select::Within;
use super::{End, print};
use clap::ValueEnum;
use serde::Serialize;
use std::cmp::Reverse;
use std::str::FromStr;
use wcas::catalog::search::Filter;
use wcas::catalog::wish::Wish;
use wcas::error::Result;
use wcas::ops::list::Listed;
use wcas::ops::outdated::NewerVersions;
use wcas::requirement::{ProjectPattern, Spec};
use wcas::{Store, ops};

/// List distributions
///
/// By collection, project, version and build, unless told otherwise.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: wcas list --collection cuda torch\n\
                         Example: wcas list 'nvidia-*' --sort size\n\
                         Example: wcas list --collection shared@release --outdated")]
pub(super) struct ListArgs {
    /// Only these: `torch`, `torch==2.5.1`, a filename, a digest, or projects by a pattern, `nvidia-*` (in quotes)
    specs: Vec<Named>,
    #[command(flatten)]
    within: Within,
    /// In this order: `name` and `version` by project and version over all collections, the highest version first for `version`; the
    /// largest, the newest or the most often downloaded first for `size`, `time` and `downloads`
    #[arg(long, value_enum, value_name = "KEY")]
    sort: Option<Key>,
    /// The other way round
    #[arg(long, requires = "sort")]
    reverse: bool,
    /// Only those of whose project a newer release is in the same collection, or at its remotes as far as is remembered: none is asked
    #[arg(long)]
    outdated: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Key {
    /// By project and version
    Name,
    /// The highest version first
    Version,
    /// The largest first
    Size,
    /// The newest first
    Time,
    /// The most often downloaded first, as this folder's server counts it
    Downloads,
}

/// What a list may be asked for.
#[derive(Debug, Clone)]
pub(super) enum Named {
    Spec(Spec),
    Pattern(ProjectPattern),
}

impl FromStr for Named {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        // A star behind an operator stands for versions; one in a filename is none.
        let is_pattern = text.contains('*') && !text.contains(|c: char| c.is_whitespace() || "=<>!~/".contains(c));
        match is_pattern {
            true => text.parse().map(Self::Pattern).map_err(|error: wcas::requirement::PatternError| error.to_string()),
            false => text.parse().map(Self::Spec).map_err(|error: wcas::requirement::SpecError| error.to_string()),
        }
    }
}

#[derive(Serialize)]
struct MissDocument<'a> {
    distributions: [(); 0],
    misses: &'a [Miss],
}

pub(super) fn list(app: &App, args: ListArgs) -> Result<End> {
    let store = app.open()?;
    let is_asked = !args.specs.is_empty();
    let (mut specs, mut patterns) = (Vec::new(), Vec::new());
    for named in args.specs {
        match named {
            Named::Spec(spec) => specs.push(spec),
            Named::Pattern(pattern) => patterns.push(pattern),
        }
    }
    let filter = args.within.filter_of(specs, patterns)?;
    // Of what is named there are few; of all there may be more than one wants to hold.
    let must_hold = args.sort.is_some() || (!filter.specs.is_empty() && filter.patterns.is_empty());
    let mut held = if must_hold { Some(ops::list::list(&store, &filter)?) } else { None };
    if held.as_ref().is_some_and(|rows| rows.is_empty() && !filter.specs.is_empty()) {
        return missed(app, &store, &filter);
    }
    let mut newer = NewerVersions::new(&store, app.now);
    if let (Some(rows), Some(key)) = (&mut held, args.sort) {
        if key == Key::Downloads {
            ops::list::count_downloads(&store, rows)?;
        }
        sort(rows, key, args.reverse);
    }
    let mut judge = |mut listed: Listed, show: &mut dyn FnMut(Listed) -> Result<()>| {
        if args.outdated {
            listed.newer = newer.than(&listed.collection, &listed.project, &listed.version)?;
        }
        if listed.newer.is_some() || !args.outdated { show(listed) } else { Ok(()) }
    };
    let walk = |show: &mut dyn FnMut(Listed) -> Result<()>| match held {
        Some(rows) => rows.into_iter().try_for_each(|listed| judge(listed, show)),
        None => ops::list::each_listed(&store, &filter, &mut |listed| judge(listed, show)),
    };
    let names = ("list", "distributions");
    let heading = [
        text("COLLECTION"),
        text("PROJECT").least(2),
        text("VERSION").least(1),
        text("BUILD").least(3),
        number("SIZE"),
        text("FILENAME"),
    ];
    let is_empty = if args.outdated {
        let [collection, project, version, build, size, filename] = heading;
        let heading = [collection, project, version, build, size, text("NEWER"), filename];
        let row = |listed: &Listed| {
            let [collection, project, version, build, size, filename] = row(listed);
            [collection, project, version, build, size, newer_text(listed), filename]
        };
        app.long_table(names, heading, (row, "nothing is outdated, as far as is known"), walk)?
    } else if args.sort == Some(Key::Downloads) {
        let [collection, project, version, build, size, filename] = heading;
        let heading = [collection, project, version, build, size, number("DOWNLOADS"), filename];
        let row = |listed: &Listed| {
            let [collection, project, version, build, size, filename] = row(listed);
            let downloads = listed.downloads.unwrap_or(0).to_string();
            [collection, project, version, build, size, downloads, filename]
        };
        app.long_table(names, heading, (row, "nothing is listed"), walk)?
    } else {
        app.long_table(names, heading, (row, "nothing is listed"), walk)?
    };
    // That nothing is outdated is an answer.
    Ok(if is_empty && is_asked && !args.outdated { End::NotFound } else { End::Done })
}

/// Tells why nothing is listed of what was named.
fn missed(app: &App, store: &Store, filter: &Filter) -> Result<End> {
    let of = |spec: &Spec| miss::of_wish(store, &filter.collections, &Wish::new(spec.clone(), filter.tags.clone()));
    let misses = filter.specs.iter().map(of).collect::<Result<Vec<_>>>()?;
    if app.json {
        app.report("list", &MissDocument { distributions: [], misses: &misses }, |_| Ok(()))?;
    } else {
        app.note("nothing is listed");
    }
    misses.iter().for_each(|missed| miss::tell(app, &missed.near));
    Ok(End::NotFound)
}

fn sort(rows: &mut [Listed], key: Key, is_reversed: bool) {
    let version = |listed: &Listed| listed.version.parse::<pep440_rs::Version>().ok();
    match key {
        Key::Name => rows.sort_by_cached_key(|row| (row.project.clone(), version(row), row.filename.clone())),
        Key::Version => {
            rows.sort_by_cached_key(|row| (Reverse(version(row)), row.project.clone(), row.filename.clone()))
        }
        Key::Size => rows.sort_by_key(|row| Reverse(row.size)),
        Key::Time => rows.sort_by_key(|row| Reverse(row.uploaded_at)),
        Key::Downloads => rows.sort_by_key(|row| Reverse(row.downloads)),
    }
    if is_reversed {
        rows.reverse();
    }
}

fn newer_text(listed: &Listed) -> String {
    let Some(newer) = &listed.newer else { return "-".to_owned() };
    match &newer.remote {
        Some(remote) => format!("{} (at {remote})", newer.version),
        None => newer.version.clone(),
    }
}

fn row(listed: &Listed) -> [String; 6] {
    let mut filename = listed.filename.clone();
    if !listed.state.is_available() {
        filename.push_str("  (bytes lost)");
    }
    if listed.yanked.is_some() {
        filename.push_str("  (yanked)");
    }
    [
        listed.collection.to_string(),
        listed.project.to_string(),
        listed.version.clone(),
        listed.build_tag.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string),
        print::size(listed.size),
        filename,
    ]
}
