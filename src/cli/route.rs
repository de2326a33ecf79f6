//! `wcas route`

use super::app::App;
use super::{End, print};
use clap::{Subcommand, ValueEnum};
use pep440_rs::{Operator, Version};
use serde::Serialize;
use std::path::{Path, PathBuf};
use wcas::catalog::ownership::OwnProjects;
use wcas::error::Result;
use wcas::intake::route::Subject;
use wcas::manifest::{self, RouteOverride, VariantRequirement};
use wcas::name::{CollectionName, ProjectName};
use wcas::ops::route::{ExplainReport, RoutesReport, VariantReport, VariantSettings};
use wcas::requirement::Spec;
use wcas::wheel::{DistributionFilename, Kind};
use wcas::{Error, Store, ops};

/// Say where a variant's new distributions go
///
/// `import --variant V` sends each file by the first rule that says something: an override for its project, the variant's
/// requirements (to the collection V), the accelerator that it is bound to (with --detect), the default collection.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: wcas route set cuda --requirements cuda.txt && wcas import --variant cuda wheels/")]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a variant, or change one
    Set {
        /// The variant; what its requirements name goes to the collection of the same name
        variant: CollectionName,
        /// Files that name the variant's own projects: their union takes the place of the set; an empty file is an empty set
        #[arg(long, value_name = "FILE", num_args = 1.., conflicts_with = "no_requirements")]
        requirements: Vec<PathBuf>,
        /// Take the set away
        #[arg(long)]
        no_requirements: bool,
        /// Send what no requirement names where its accelerator is accepted
        #[arg(long, conflicts_with = "no_detect")]
        detect: bool,
        /// Don't look at accelerators
        #[arg(long)]
        no_detect: bool,
        /// How the variant's merged view is put together
        #[arg(long, value_enum)]
        strategy: Option<Strategy>,
        /// Share its own projects' pure wheels (py3-none-any, no accelerator found) with other variants, and take theirs
        #[arg(long, conflicts_with = "no_share_pure")]
        share_pure: bool,
        /// Keep all wheels of its own projects to itself
        #[arg(long)]
        no_share_pure: bool,
    },
    /// Send a project to a collection, whatever else is said
    Override {
        /// The project
        project: ProjectName,
        /// The collection, which must be there
        #[arg(required_unless_present = "remove", conflicts_with = "remove")]
        collection: Option<CollectionName>,
        /// For this variant only, instead of for all
        #[arg(long, value_name = "V")]
        variant: Option<CollectionName>,
        /// Take the override away
        #[arg(long)]
        remove: bool,
    },
    /// Change the collection that takes what no rule sends elsewhere
    Default {
        /// The collection; made by the first import that needs it
        collection: CollectionName,
    },
    /// List variants and overrides
    List,
    /// Show what is said of a variant
    Show {
        /// The variant
        variant: CollectionName,
    },
    /// Delete a variant with its requirements and overrides; its collection stays
    Delete {
        /// The variant
        variant: CollectionName,
    },
    /// Tell where a file or project would go, by which rule, and what else was considered
    Explain {
        /// A file, a filename, or a project: `torch`, `torch==2.5.1`
        #[arg(value_name = "FILE|SPEC")]
        what: String,
        /// The variant
        #[arg(long, value_name = "V")]
        variant: CollectionName,
        /// A file of requirements that takes the place of the variant's set; may be given several times
        #[arg(long, value_name = "FILE")]
        requirements: Vec<PathBuf>,
    },
}

/// How a merged view is put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Strategy {
    /// The nearest collection that has a project hides it in all others
    Nearest,
    /// All files, of one filename the nearest
    Union,
}

impl From<Strategy> for manifest::Strategy {
    fn from(strategy: Strategy) -> Self {
        match strategy {
            Strategy::Nearest => Self::Nearest,
            Strategy::Union => Self::Union,
        }
    }
}

#[derive(Serialize)]
struct DefaultDocument<'a> {
    default: &'a CollectionName,
}

/// Reads files of requirements; what in them names nothing is told. Returns the set and whether all was understood.
pub(super) fn read_requirements(app: &App, paths: &[PathBuf]) -> Result<(Vec<VariantRequirement>, bool)> {
    let set = ops::requirements::names(paths)?;
    for refused in &set.refused {
        app.warn(&format!("refused {refused}"));
    }
    for note in &set.notes {
        app.note(note);
    }
    Ok((set.projects, set.refused.is_empty()))
}

/// Returns the projects that count as a variant's own: those of files, where any are given.
pub(super) fn own(app: &App, paths: &[PathBuf]) -> Result<OwnProjects> {
    match paths {
        [] => Ok(OwnProjects::Stored),
        paths => Ok(OwnProjects::Named(read_requirements(app, paths)?.0)),
    }
}

/// Says when a variant's name may be a slip: the default collection alone would be searched in silence.
pub(super) fn tell_unknown(app: &App, store: &Store, variant: &CollectionName) -> Result<()> {
    if !wcas::catalog::search_order::is_known_variant(store, variant)? {
        app.note(&format!(
            "nothing was said of a variant {variant}, and it has no collection: the default one is searched; see `wcas route list`"
        ));
    }
    Ok(())
}

pub(super) fn run(app: &App, args: Args) -> Result<End> {
    match args.command {
        Command::Set {
            variant,
            requirements,
            no_requirements,
            detect,
            no_detect,
            strategy,
            share_pure,
            no_share_pure,
        } => {
            let (set, is_whole) = match requirements.as_slice() {
                [] => (no_requirements.then_some(None), true),
                paths => read_requirements(app, paths).map(|(set, is_whole)| (Some(Some(set)), is_whole))?,
            };
            let is_detecting = (detect || no_detect).then_some(detect);
            let settings = VariantSettings {
                requirements: set,
                is_detecting,
                strategy: strategy.map(Into::into),
                shares_pure: (share_pure || no_share_pure).then_some(share_pure),
            };
            let report = ops::route::set_variant(&app.open_or_create()?, &variant, settings)?;
            app.done("route-set", &report, |out| {
                let (set, detect) = (report.requirements_in_words(), if report.detect { "on" } else { "off" });
                let pure = if report.shares_pure { "; pure wheels shared" } else { "" };
                writeln!(out, "{variant}: requirements {set}; detection {detect}; strategy {}{pure}", report.strategy)
            })?;
            return Ok(if is_whole { End::Done } else { End::Problems });
        }
        Command::Override { project, collection, variant, .. } => {
            set_override(app, &project, collection.as_ref(), variant.as_ref())?;
        }
        Command::Default { collection } => {
            let store = app.open_or_create()?;
            if !ops::route::set_default_collection(&store, &collection)? {
                app.note(&format!(
                    "there is no collection {collection} yet: the first import that goes there makes it"
                ));
            }
            app.done("route-default", &DefaultDocument { default: &collection }, |out| {
                writeln!(out, "{collection} takes what no rule sends elsewhere")
            })?;
        }
        Command::List => list(app)?,
        Command::Show { variant } => show(app, &ops::route::show_variant(&app.open()?, &variant)?)?,
        Command::Delete { variant } => {
            let report = ops::route::delete_variant(&app.open()?, &variant)?;
            app.report("route-delete", &report, |_| Ok(()))?;
            let kept = if report.has_collection { "; its collection stays" } else { "" };
            app.note(&format!("deleted the variant {variant}{kept}"));
        }
        Command::Explain { what, variant, requirements } => return explain(app, &what, &variant, &requirements),
    }
    Ok(End::Done)
}

fn set_override(
    app: &App,
    project: &ProjectName,
    collection: Option<&CollectionName>,
    variant: Option<&CollectionName>,
) -> Result<()> {
    let store = app.open()?;
    let whose = variant.map_or_else(|| "all variants".to_owned(), |name| format!("variant {name}"));
    match collection {
        Some(collection) => {
            let row = ops::route::set_override(&store, project, variant, collection)?;
            app.done("route-override", &row, |out| writeln!(out, "{project} goes to {collection} for {whose}"))
        }
        None => {
            let row = ops::route::remove_override(&store, project, variant)?;
            app.report("route-override", &row, |_| Ok(()))?;
            app.note(&format!("{project} is not sent to {} for {whose} any more", row.collection));
            Ok(())
        }
    }
}

fn list(app: &App) -> Result<()> {
    let report = ops::route::routes(&app.open()?)?;
    app.report("route-list", &report, |out| {
        let RoutesReport { default, variants, overrides } = &report;
        writeln!(out, "default collection: {default}")?;
        if !variants.is_empty() {
            let row = |row: &VariantReport| {
                let detect = if row.detect { "on" } else { "off" };
                [
                    row.name.to_string(),
                    row.requirements_in_words(),
                    detect.to_owned(),
                    row.strategy.to_string(),
                    names(&row.order),
                ]
            };
            let rows: Vec<_> = variants.iter().map(row).collect();
            writeln!(out)?;
            print::table(out, ["VARIANT", "REQUIREMENTS", "DETECT", "STRATEGY", "SEARCHED"], &rows)?;
        }
        if !overrides.is_empty() {
            let row = |row: &RouteOverride| {
                let variant = row.variant.as_ref().map_or("(all)", CollectionName::as_str);
                [row.project.to_string(), variant.to_owned(), row.collection.to_string()]
            };
            let rows: Vec<_> = overrides.iter().map(row).collect();
            writeln!(out)?;
            print::table(out, ["OVERRIDE", "VARIANT", "COLLECTION"], &rows)?;
        }
        Ok(())
    })
}

fn names(order: &[CollectionName]) -> String {
    let names: Vec<&str> = order.iter().map(CollectionName::as_str).collect();
    if names.is_empty() { "-".to_owned() } else { names.join(", ") }
}

fn show(app: &App, report: &VariantReport) -> Result<()> {
    app.report("route-show", report, |out| {
        let state = if report.has_collection { "" } else { " (made by the first import that needs it)" };
        writeln!(out, "{}", report.name)?;
        writeln!(out, "  collection    {}{state}", report.name)?;
        writeln!(out, "  searched      {}", names(&report.order))?;
        writeln!(out, "  detection     {}", if report.detect { "on" } else { "off" })?;
        writeln!(out, "  strategy      {}", report.strategy)?;
        if report.shares_pure {
            writeln!(out, "  pure wheels   shared")?;
        }
        writeln!(out, "  requirements  {}", report.requirements_in_words())?;
        for row in report.requirements.iter().flatten() {
            writeln!(out, "    {}", row.requirement)?;
        }
        for row in &report.overrides {
            let whose = if row.variant.is_none() { "  (all variants)" } else { "" };
            writeln!(out, "  override      {} to {}{whose}", row.project, row.collection)?;
        }
        Ok(())
    })
}

fn explain(app: &App, what: &str, variant: &CollectionName, requirements: &[PathBuf]) -> Result<End> {
    let (project, version) = named(what)?;
    let store = app.open()?;
    let (given, is_whole) = match requirements {
        [] => (OwnProjects::Stored, true),
        paths => read_requirements(app, paths).map(|(set, is_whole)| (OwnProjects::Named(set), is_whole))?,
    };
    let router = ops::route::router(&store, variant, &given)?;
    let path = Path::new(what);
    let looked = match path.file_name().and_then(|name| DistributionFilename::parse(name.to_str()?).ok()) {
        Some(name) if name.kind() == Kind::Wheel && path.is_file() => {
            Some(wcas::intake::inspection::bound_to(path, &name)?)
        }
        _ => None,
    };
    let subject = Subject {
        version: version.as_ref(),
        bound: looked.as_ref().map(|looked| looked.accelerators.as_slice()),
        is_pure: looked.as_ref().is_some_and(|looked| looked.is_pure),
        ..Subject::of(&project)
    };
    let report = ops::route::explain(&store, &router, &subject)?;
    app.report("route-explain", &report, |out| {
        let ExplainReport { decision, .. } = &report;
        let made = if report.has_collection { "" } else { " (made by the first import that needs it)" };
        writeln!(out, "{project} goes to {}{made}", decision.collection)?;
        writeln!(out, "  {:<12} {}", word(decision.rule), decision.reason)?;
        for considered in &decision.considered {
            writeln!(out, "  {:<12} no: {}", word(considered.rule), considered.because)?;
        }
        writeln!(out, "  {:<12} {}", "searched", names(&report.order))
    })?;
    Ok(if is_whole { End::Done } else { End::Problems })
}

fn word(rule: wcas::intake::route::Rule) -> &'static str {
    match rule {
        wcas::intake::route::Rule::Named => "named",
        wcas::intake::route::Rule::Override => "override",
        wcas::intake::route::Rule::Requirement => "requirement",
        wcas::intake::route::Rule::Accelerator => "accelerator",
        wcas::intake::route::Rule::Prebuilt => "pre-built",
        wcas::intake::route::Rule::Guard => "guard",
        wcas::intake::route::Rule::Default => "default",
    }
}

/// Returns the project of a file, a filename or a specification, and the version, if it names one.
fn named(what: &str) -> Result<(ProjectName, Option<Version>)> {
    let filename = Path::new(what).file_name().and_then(|name| name.to_str()).unwrap_or(what);
    if let Ok(name) = DistributionFilename::parse(filename) {
        return Ok((name.project().clone(), Some(name.version().clone())));
    }
    match what.parse()? {
        Spec::Project { name, specifiers } => {
            let exact = specifiers.iter().find(|specifier| *specifier.operator() == Operator::Equal);
            Ok((name, exact.map(|specifier| specifier.version().clone())))
        }
        _ => Err(Error::Refused(format!("{what:?} names no project: say a file, a filename, or a project"))),
    }
}
