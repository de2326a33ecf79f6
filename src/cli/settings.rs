//! `wcas collection set`: the settings of a collection, as options and as words.

use super::app::App;
use super::print::{self, dash};
use super::units;
use clap::ValueEnum;
use wcas::catalog::builder_rules::{CacheRules, CacheRulesError};
use wcas::error::Result;
use wcas::manifest::Guard;
use wcas::name::CollectionName;
use wcas::ops::collection::{CollectionReport, Settings};
use wcas::requirement::ProjectPattern;
use wcas::wheel::accelerator::{Accelerator, AcceleratorError};
use wcas::{Error, ops};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The collection
    name: CollectionName,
    /// Where a lookup goes on; may be given several times, in order; `none` for nowhere
    #[arg(long, value_name = "C", value_delimiter = ',')]
    fallback: Vec<String>,
    /// Keep the N highest builds of each project, version, tags and build suffix
    #[arg(long, value_name = "N", value_parser = rule(units::whole::<u32>))]
    keep_builds: Option<Rule<u32>>,
    /// Keep the N highest versions of each project
    #[arg(long, value_name = "N", value_parser = rule(units::whole::<u32>))]
    keep_versions: Option<Rule<u32>>,
    /// Drop what no lookup gave in this time
    #[arg(long, value_name = "TIME", value_parser = rule(units::seconds))]
    unused_for: Option<Rule<i64>>,
    /// Drop the least recently used until the collection's rest has at most this size
    #[arg(long, value_name = "BYTES", value_parser = rule(units::bytes))]
    max_bytes: Option<Rule<u64>>,
    /// The accelerators that its wheels may be bound to: cuda, rocm, oneapi, gaudi; `none`, or `any`
    #[arg(long, value_name = "A", value_delimiter = ',')]
    accelerator: Vec<String>,
    /// What happens to wheels that are bound to another
    #[arg(long, value_enum)]
    guard: Option<Action>,
    /// Wheels that merely carry device code count, too
    #[arg(long, overrides_with = "no_strict")]
    strict: bool,
    /// Only wheels that need an accelerator, or are a part of one, count
    #[arg(long)]
    no_strict: bool,
    /// Whether views have its variant wheels (PEP 825)
    #[arg(long, value_enum)]
    variants: Option<Variants>,
    /// Whether an upload may give a filename that was removed other bytes
    #[arg(long, value_enum)]
    reuse_filenames: Option<Answer>,
    /// What its cache endpoint offers builders: max-build=N, suffix=TEXT, local=own|any|none, files=built|any|fromager, joined by &
    #[arg(long, value_name = "RULES", value_parser = rule(parse_cache))]
    cache: Option<Rule<CacheRules>>,
    /// Ask strangers' remotes for these projects though the collection has, or had, its own: a name, or a part with '*'; may be
    /// given several times; `none` for no project
    #[arg(long, value_name = "PATTERN", value_delimiter = ',')]
    open: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Answer {
    Yes,
    No,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Variants {
    /// Pages list them, with the documents that tell what their labels stand for
    Show,
    /// Pages leave them out, as for clients that mistake them for plain wheels
    Hide,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Action {
    /// They are refused
    Refuse,
    /// They are taken, with a warning
    Warn,
}

/// A rule's value, or its absence.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rule<T>(pub(super) Option<T>);

fn parse_cache(text: &str) -> std::result::Result<CacheRules, String> {
    let rules: CacheRules = text.parse().map_err(|error: CacheRulesError| error.to_string())?;
    if rules.are_of_a_run() {
        return Err("own, prebuilt and builds are said by a run, not by a collection".to_owned());
    }
    Ok(rules)
}

pub(super) fn rule<T>(
    parse: fn(&str) -> std::result::Result<T, String>,
) -> impl Fn(&str) -> std::result::Result<Rule<T>, String> + Clone + Send + Sync + 'static
where
    T: 'static,
{
    move |text| if text == "none" { Ok(Rule(None)) } else { parse(text).map(|value| Rule(Some(value))) }
}

/// Tells a collection's settings in one line.
pub(super) fn rules(row: &CollectionReport) -> String {
    let rules = &row.settings.retention;
    let texts = [
        rules.keep_builds.map(|count| format!("{count} builds")),
        rules.keep_versions.map(|count| format!("{count} versions")),
        rules.unused_for.map(|seconds| format!("used in {} d", seconds / 86_400)),
        rules.max_bytes.map(|bytes| format!("at most {}", print::size(bytes))),
        guard(&row.settings.guard),
        row.settings.hides_variants.then(|| "variants hidden".to_owned()),
        row.settings.reuses_filenames.then(|| "filenames reused".to_owned()),
        row.settings.cache_rules.as_ref().map(|rules| format!("cache {rules}")),
        (!row.settings.open_projects.is_empty()).then(|| {
            let patterns: Vec<&str> = row.settings.open_projects.iter().map(ProjectPattern::as_str).collect();
            format!("open {}", patterns.join("+"))
        }),
    ];
    texts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn guard(guard: &Guard) -> Option<String> {
    let names = guard.accelerators.as_ref()?;
    let names = if names.is_empty() {
        "none".to_owned()
    } else {
        names.iter().map(|own| own.as_str()).collect::<Vec<_>>().join("+")
    };
    let words = [guard.is_warning.then_some("warns"), guard.is_strict.then_some("strict")];
    let words: Vec<&str> = words.into_iter().flatten().collect();
    let words = if words.is_empty() { String::new() } else { format!(" ({})", words.join(", ")) };
    Some(format!("accelerator {names}{words}"))
}

fn accelerator(name: &str) -> Result<Accelerator> {
    name.parse().map_err(|error: AcceleratorError| Error::Refused(error.to_string()))
}

/// Returns what a pair of options, one for and one against, says.
pub(super) fn switch(yes: bool, no: bool) -> Option<bool> {
    if yes || no { Some(yes) } else { None }
}

pub(super) fn set(app: &App, args: Args) -> Result<()> {
    let fallbacks = match args.fallback.as_slice() {
        [] => None,
        [none] if none == "none" => Some(Vec::new()),
        names => {
            Some(names.iter().map(|name| name.parse()).collect::<std::result::Result<_, _>>().map_err(Error::Name)?)
        }
    };
    let open = match args.open.as_slice() {
        [] => None,
        [none] if none == "none" => Some(Vec::new()),
        texts => {
            let parsed = texts.iter().map(|text| text.parse::<ProjectPattern>());
            Some(parsed.collect::<std::result::Result<_, _>>().map_err(|error| Error::Refused(error.to_string()))?)
        }
    };
    let settings = Settings {
        fallbacks,
        keep_builds: args.keep_builds.map(|rule| rule.0),
        keep_versions: args.keep_versions.map(|rule| rule.0),
        unused_for: args.unused_for.map(|rule| rule.0),
        max_bytes: args.max_bytes.map(|rule| rule.0),
        accelerators: match args.accelerator.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            [] => None,
            ["any"] => Some(None),
            ["none"] => Some(Some(Vec::new())),
            ref names => Some(Some(names.iter().map(|name| accelerator(name)).collect::<Result<_>>()?)),
        },
        is_warning: args.guard.map(|action| action == Action::Warn),
        is_strict: switch(args.strict, args.no_strict),
        hides_variants: args.variants.map(|variants| variants == Variants::Hide),
        reuses_filenames: args.reuse_filenames.map(|answer| answer == Answer::Yes),
        cache: args.cache.map(|rule| rule.0),
        open,
    };
    let report = ops::collection::set_collection(&app.open()?, &app.context(), &args.name, &settings)?;
    app.report("collection-set", &report, |out| {
        let fallbacks: Vec<&str> = report.fallbacks.iter().map(CollectionName::as_str).collect();
        writeln!(out, "{}: fallbacks {}; rules {}", report.name, dash(fallbacks.join(", ")), dash(rules(&report)))
    })
}
