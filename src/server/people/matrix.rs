//! Which builds there are: a table of versions by interpreter, platform and accelerator, each with what became of it here.

use super::frame::scrolling;
use super::{file_page, tags};
use crate::catalog::view_contents::HeldBack;
use crate::error::Result;
use crate::manifest::State;
use crate::name::{CollectionName, ProjectName};
use crate::ops::histories::FileHistory;
use crate::store::Store;
use crate::supply::listing::ViewFile;
use crate::wheel::accelerator::{Accelerator, named_by_label};
use crate::wheel::{DistributionFilename, Kind};
use maud::{Markup, html};
use pep440_rs::Version;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// So many columns are shown; what fits into none of them is counted.
const COLUMNS: usize = 48;
/// So many builds are named in one cell.
const IN_CELL: usize = 4;

/// What became of a build.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    Here,
    Remote,
    Yanked,
    Elsewhere,
    Held,
    Blocked,
    Lost,
}

impl Fate {
    const ALL: [Self; 7] =
        [Self::Here, Self::Remote, Self::Yanked, Self::Elsewhere, Self::Held, Self::Blocked, Self::Lost];

    fn word(self) -> &'static str {
        match self {
            Self::Here => "here",
            Self::Remote => "remote",
            Self::Yanked => "yanked",
            Self::Elsewhere => "elsewhere",
            Self::Held => "held back",
            Self::Blocked => "blocked",
            Self::Lost => "lost",
        }
    }

    fn meaning(self) -> &'static str {
        match self {
            Self::Here => "the store has it",
            Self::Remote => "only a remote has it; it comes when somebody asks for it",
            Self::Yanked => "offered to who asks for this very version",
            Self::Elsewhere => "another collection has it, and this one doesn't offer it",
            Self::Held => "not offered here, as told below",
            Self::Blocked => "it must not come back",
            Self::Lost => "its bytes are lost",
        }
    }

    fn class(self) -> &'static str {
        match self {
            Self::Here => "good",
            Self::Remote | Self::Elsewhere => "plain",
            Self::Yanked | Self::Held => "warn",
            Self::Blocked | Self::Lost => "bad",
        }
    }
}

/// A column: source distributions come last.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Column {
    is_sdist: bool,
    /// The interpreter's version, by which columns are in order.
    numbers: Vec<u32>,
    python: String,
    platform: String,
    accelerator: Option<Accelerator>,
}

/// A build in a cell.
#[derive(Debug)]
struct Build {
    fate: Fate,
    filename: String,
    label: String,
    /// Where its page is, as the project's page links to it.
    href: Option<String>,
}

/// What a project has, as far as who asks may know it.
pub(super) struct Builds<'a> {
    pub(super) project: &'a ProjectName,
    pub(super) listed: &'a [ViewFile],
    pub(super) histories: &'a BTreeMap<String, FileHistory>,
    pub(super) held_back: &'a [HeldBack],
    /// How often builders asked for the project in vain.
    pub(super) wanted: Option<u64>,
}

/// The table, before it is written.
#[derive(Default)]
struct Table {
    columns: BTreeSet<Column>,
    rows: BTreeMap<Version, BTreeMap<Column, Vec<Build>>>,
}

/// Shows the table: so many of the newest versions.
pub(super) fn section(store: &Store, builds: &Builds<'_>, most: usize) -> Result<Markup> {
    let table = builds.table(store)?;
    if table.rows.is_empty() {
        return Ok(html! {});
    }
    let count = table.rows.len();
    let rows: Vec<_> = table.rows.iter().rev().take(most).collect();
    let used: BTreeSet<&Column> = rows.iter().flat_map(|(_, cells)| cells.keys()).collect();
    let columns: Vec<&Column> = table.columns.iter().filter(|column| used.contains(column)).collect();
    let (shown, left) = columns.split_at(columns.len().min(COLUMNS));
    let fates: BTreeSet<Fate> =
        rows.iter().flat_map(|(_, cells)| cells.values().flatten()).map(|build| build.fate).collect();
    Ok(html! {
        section aria-labelledby="builds" {
            h2 #builds { "Builds" }
            @if let Some(count) = builds.wanted {
                p.note { b { "Wanted." } " Builders asked a cache for it " (super::words::counted(count, "time")) ", and it was not there." }
            }
            (scrolling("matrix", "Builds by version", written(&rows, shown)))
            ul.key {
                @for fate in Fate::ALL.into_iter().filter(|fate| fates.contains(fate)) {
                    li { span class={ "mark " (fate.class()) } { (fate.word()) } " " (fate.meaning()) }
                }
                li { "–: no such build is known" }
            }
            @if !left.is_empty() { p.quiet { (left.len()) " more kinds of builds are left out." } }
            @if count > rows.len() { p { a href="./?all" { "All " (super::words::counted(count as u64, "version")) } } }
        }
    })
}

fn written(rows: &[(&Version, &BTreeMap<Column, Vec<Build>>)], columns: &[&Column]) -> Markup {
    html! {
        table.matrix {
            caption { "Versions, newest first, by interpreter, platform and accelerator" }
            thead {
                tr {
                    th scope="col" { "Version" }
                    @for column in columns {
                        th scope="col" {
                            @if column.is_sdist { "Source" } @else {
                                (column.python) br; (column.platform)
                                @if let Some(accelerator) = column.accelerator { br; (accelerator_words(accelerator)) }
                            }
                        }
                    }
                }
            }
            tbody {
                @for (version, cells) in rows {
                    tr {
                        th scope="row" { (version) }
                        @for column in columns { td { (cell(cells.get(*column).map_or(&[][..], Vec::as_slice))) } }
                    }
                }
            }
        }
    }
}

fn cell(builds: &[Build]) -> Markup {
    html! {
        @if builds.is_empty() { span.quiet { "–" } }
        @for (place, build) in builds.iter().take(IN_CELL).enumerate() {
            @if place > 0 { br; }
            span class={ "mark " (build.fate.class()) } {
                @match &build.href {
                    // The name tells links apart that are called alike.
                    Some(href) => a href=(href) title=(build.filename) { (build.fate.word()) span.hidden { ": " (build.filename) } },
                    None => (build.fate.word()),
                }
            }
            @if !build.label.is_empty() { " " small { (build.label) } }
        }
        @if builds.len() > IN_CELL { br; small.quiet { (builds.len() - IN_CELL) " more" } }
    }
}

fn accelerator_words(accelerator: Accelerator) -> &'static str {
    match accelerator {
        Accelerator::Cuda => "CUDA",
        Accelerator::Rocm => "ROCm",
        Accelerator::Oneapi => "oneAPI",
        Accelerator::Gaudi => "Gaudi",
    }
}

impl Builds<'_> {
    fn table(&self, store: &Store) -> Result<Table> {
        let bound = store.manifest.read()?.bound_files(Some(self.project))?;
        let bound: HashMap<&str, &[Accelerator]> =
            bound.iter().map(|file| (file.filename.as_str(), file.accelerators.as_slice())).collect();
        let mut table = Table::default();
        let mut known = BTreeSet::new();
        for held in self.listed {
            let (yanked, fate) = match held {
                ViewFile::Local(entry) => (entry.yanked.is_some(), Fate::Here),
                ViewFile::Remote(offer) => (offer.file.yanked.is_some(), Fate::Remote),
            };
            let (filename, fate) = (held.filename(), if yanked { Fate::Yanked } else { fate });
            known.insert(filename);
            table.add(filename, fate, Some(file_page(filename)), &bound);
        }
        for held in self.held_back.iter().filter(|held| known.insert(held.filename.as_str())) {
            let is_blocked = held.reason.contains(" is blocked: ");
            table.add(&held.filename, if is_blocked { Fate::Blocked } else { Fate::Held }, None, &bound);
        }
        for (filename, history) in self.histories.iter().filter(|(filename, _)| !known.contains(filename.as_str())) {
            let Some(entry) = history.live.iter().min_by_key(|entry| entry.state == State::Lost) else { continue };
            let fate = if entry.state == State::Lost { Fate::Lost } else { Fate::Elsewhere };
            let href = self.elsewhere(&entry.collection, filename);
            table.add(filename, fate, Some(href).filter(|_| fate == Fate::Elsewhere), &bound);
        }
        Ok(table)
    }

    fn elsewhere(&self, collection: &CollectionName, filename: &str) -> String {
        format!("../../../{collection}/projects/{}/{}", self.project, file_page(filename))
    }
}

impl Table {
    fn add(&mut self, filename: &str, fate: Fate, href: Option<String>, bound: &HashMap<&str, &[Accelerator]>) {
        let Ok(name) = DistributionFilename::parse(filename) else { return };
        // Builds of one version for several accelerators stand side by side.
        let version = name.version().clone().without_local();
        let local = name.version().local().iter().map(ToString::to_string).collect::<Vec<_>>().join(".");
        let of_build = || name.build_tag().and_then(|tag| named_by_label(&tag.to_string()));
        let of_file = bound.get(filename).and_then(|all| all.first().copied());
        let (numbers, python, platform) = tags::in_brief(name.tags()).unwrap_or_default();
        let is_sdist = name.kind() == Kind::Sdist;
        let accelerator = of_file.or_else(|| named_by_label(&local)).or_else(of_build).filter(|_| !is_sdist);
        let column = Column { is_sdist, numbers, python, platform, accelerator };
        let parts = [
            (!local.is_empty()).then(|| format!("+{local}")),
            name.build_tag().map(|tag| format!("build {tag}")),
            name.variant().map(ToString::to_string),
        ];
        let label: Vec<String> = parts.into_iter().flatten().collect();
        self.columns.insert(column.clone());
        let build = Build { fate, filename: filename.to_owned(), label: label.join(", "), href };
        self.rows.entry(version).or_default().entry(column).or_default().push(build);
    }
}
