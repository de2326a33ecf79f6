//! `wcas compare`

use super::app::App;
use super::{End, miss, print};
use std::io::{self, Write};
use wcas::catalog::search::Filter;
use wcas::error::Result;
use wcas::ops::compare::{CompareReport, Side};
use wcas::wheel::accelerator::Needs;
use wcas::wheel::compare::{ChangedField, Difference};
use wcas::{Error, ops};

/// Tell what differs between two wheels: members, METADATA, tags, what native code needs
///
/// Each is a file, a specification that means one distribution of the store, or COLLECTION:SPEC. Members are compared by what is
/// unpacked and by mode; dates and packing of the archive are told apart from that. What is told of native members: libraries, versions of
/// symbols (the glibc that is needed at least), GPU architectures.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: wcas compare old/torch-2.5.1-cp312-cp312-linux_x86_64.whl new/torch-2.5.1-cp312-cp312-linux_x86_64.whl\n\
                        Example: wcas compare nightly:torch==2.5.1 cuda:torch==2.5.1 --exit-code"
)]
pub(super) struct Args {
    /// A file, `torch==2.5.1`, a filename, a digest, or one of these in a collection: `cuda:torch==2.5.1`
    a: String,
    /// The other one
    b: String,
    /// End with 3 where the content differs: what is unpacked, not dates and packing
    #[arg(long)]
    exit_code: bool,
}

/// So many of a list are told, unless all are wanted.
const TOLD: usize = 20;

pub(super) fn run(app: &App, args: Args) -> Result<End> {
    let sides = [Side::parse(&args.a)?, Side::parse(&args.b)?];
    let report = match ops::compare::compare([&sides[0], &sides[1]], || app.open()) {
        Ok(report) => report,
        Err(error) => {
            let is_missed = |filter: &Filter| matches!(&error, Error::NoMatch(spec) if filter.specs.iter().any(|own| own.to_string() == *spec));
            let mut filters = sides.iter().filter_map(Side::filter).filter(is_missed);
            let Some(filter) = filters.next() else { return Err(error) };
            return miss::beside(app, &app.open()?, &filter, error);
        }
    };
    app.report("compare", &report, |out| tell(out, &report, app.verbose))?;
    let differs = report.comparison.difference == Difference::Content;
    Ok(if differs && args.exit_code { End::Problems } else { End::Done })
}

fn tell(out: &mut dyn Write, report: &CompareReport, is_verbose: bool) -> io::Result<()> {
    let told = &report.comparison;
    for (letter, file) in [("A", &report.a), ("B", &report.b)] {
        writeln!(out, "{letter}: {}  {}  blake3 {}", file.name, print::size(file.size), file.blake3)?;
    }
    writeln!(out, "{}", summary(report))?;
    let most = if is_verbose { usize::MAX } else { TOLD };
    let one = |name: &str, size: u64| format!("{name}  {}", print::size(size));
    let added: Vec<String> = told.added.iter().map(|member| one(&member.name, member.size)).collect();
    let gone: Vec<String> = told.gone.iter().map(|member| one(&member.name, member.size)).collect();
    let changed: Vec<String> = told
        .changed
        .iter()
        .map(|member| {
            let [a, b] = member.sizes;
            let content = match (member.sha256[0] == member.sha256[1], a == b) {
                (true, _) => "same content".to_owned(),
                (_, true) => format!("{}, other content", print::size(a)),
                _ => format!("{} -> {} ({:+} bytes)", print::size(a), print::size(b), i128::from(b) - i128::from(a)),
            };
            let [a, b] = &member.modes;
            let mode = if a == b { String::new() } else { format!(", mode {a} -> {b}") };
            format!("{}  {content}{mode}", member.name)
        })
        .collect();
    let lists = [("only in B", &added), ("only in A", &gone), ("changed", &changed)];
    for (title, list) in lists.into_iter().filter(|(_, list)| !list.is_empty()) {
        lines(out, title, list, most)?;
    }
    fields(out, "METADATA", &told.metadata, most)?;
    fields(out, "WHEEL", &told.wheel, most)?;
    let rows = [(&told.record.added, "+"), (&told.record.gone, "-"), (&told.record.changed, "~")];
    let rows: Vec<String> =
        rows.iter().flat_map(|(names, sign)| names.iter().map(move |name| format!("{sign} {name}"))).collect();
    if !rows.is_empty() {
        lines(out, "RECORD", &rows, most)?;
    }
    natives(out, report, most)
}

fn summary(report: &CompareReport) -> String {
    let told = &report.comparison;
    match told.difference {
        Difference::None => "the same bytes".to_owned(),
        Difference::Timestamps => format!("only dates differ, of {}", print::count(told.dates, "member")),
        Difference::Packing => "the same content and modes; the archive is packed otherwise".to_owned(),
        Difference::Content => format!(
            "{} the same, {} changed, {} only in A, {} only in B",
            print::count(told.same, "member"),
            told.changed.len(),
            told.gone.len(),
            told.added.len(),
        ),
    }
}

fn lines(out: &mut dyn Write, title: &str, list: &[String], most: usize) -> io::Result<()> {
    writeln!(out, "{title}:")?;
    for line in list.iter().take(most) {
        writeln!(out, "  {line}")?;
    }
    match list.len().saturating_sub(most) {
        0 => Ok(()),
        more => writeln!(out, "  and {more} more: -v tells all"),
    }
}

fn fields(out: &mut dyn Write, title: &str, fields: &[ChangedField], most: usize) -> io::Result<()> {
    let of = |field: &ChangedField, sign: &str, values: &[String]| {
        values.iter().map(|value| format!("{sign} {}: {value}", field.field)).collect::<Vec<_>>()
    };
    let list: Vec<String> =
        fields.iter().flat_map(|field| [of(field, "-", &field.gone), of(field, "+", &field.added)].concat()).collect();
    if list.is_empty() { Ok(()) } else { lines(out, title, &list, most) }
}

fn natives(out: &mut dyn Write, report: &CompareReport, most: usize) -> io::Result<()> {
    let told = &report.comparison;
    let none = Needs::default();
    let mut list = Vec::new();
    for native in &told.natives {
        let (a, b) = (native.a.as_ref().unwrap_or(&none), native.b.as_ref().unwrap_or(&none));
        let pairs = [
            ("needs", &a.libraries, &b.libraries),
            ("version", &a.versions, &b.versions),
            ("GPU code", &a.architectures, &b.architectures),
            ("problem", &a.problems, &b.problems),
        ];
        for (what, one, other) in pairs {
            let line = |sign: &str, text: &String| format!("{}: {sign} {what} {text}", native.name);
            list.extend(one.iter().filter(|text| !other.contains(text)).map(|text| line("-", text)));
            list.extend(other.iter().filter(|text| !one.contains(text)).map(|text| line("+", text)));
        }
    }
    if !list.is_empty() {
        lines(out, "native code", &list, most)?;
    }
    let [a, b] = &told.glibc;
    let floor = |glibc: &Option<String>| glibc.clone().unwrap_or_else(|| "none".to_owned());
    match (a, b) {
        (None, None) => {}
        _ if a == b => writeln!(out, "glibc at least: {}", floor(a))?,
        _ => writeln!(out, "glibc at least: {} -> {}", floor(a), floor(b))?,
    }
    let [a, b] = told.architectures.each_ref().map(|set| set.iter().cloned().collect::<Vec<_>>().join(" "));
    match (a.is_empty() && b.is_empty(), a == b) {
        (true, _) => Ok(()),
        (_, true) => writeln!(out, "GPU architectures: {a}"),
        _ => writeln!(out, "GPU architectures: {} -> {}", print::dash(a), print::dash(b)),
    }
}
