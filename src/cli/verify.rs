//! `wcas verify`

use super::app::App;
use super::look::Style;
use super::print::Lines;
use super::{End, print, sign, units};
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;
use wcas::error::Result;
use wcas::name::CollectionName;
use wcas::ops;
use wcas::ops::verify::{BucketOptions, ProblemKind, VerifyOptions};

/// Read every blob and compare it with its name
///
/// What is bad is marked lost, moved to quarantine, and handed out to nobody from then on; nothing is destroyed. Good bytes
/// imported again heal it. Trees on disk are looked at, too: whether all that was made of them is there and leads to files. Exits with 3
/// when problems were found that are not repaired.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: wcas verify --max-age 7d --max-duration 1h")]
pub(super) struct Args {
    /// How many threads read [default: one for each processor]
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "0", default_value = "0", hide_default_value = true, value_parser = units::whole::<usize>)]
    parallel: usize,
    /// Look at existence, size, inode and time only, and read what looks changed
    #[arg(long)]
    quick: bool,
    /// Leave out what was verified in this time
    #[arg(long, value_name = "TIME", value_parser = units::seconds)]
    max_age: Option<i64>,
    /// Stop after this time; the least recently verified come first
    #[arg(long, value_name = "TIME", value_parser = units::duration)]
    max_duration: Option<Duration>,
    /// Read at most so many bytes a second
    #[arg(long, value_name = "BYTES", value_parser = units::rate)]
    rate: Option<u64>,
    /// Look into what is good, too: whether the members of wheels and sdists have the bytes that they say. Inflates all of them
    #[arg(long, conflicts_with = "quick")]
    deep: bool,
    /// Put right bytes in the place of wrong ones, from trees that have copies, and make anew what is missing of trees
    #[arg(long)]
    repair: bool,
    /// On a node of a shared store: the share's objects instead of the files here. All are listed, and compared with what should be
    /// there; then they are read, from where the last run stopped. --repair puts again what this node has
    #[arg(long, conflicts_with_all = ["parallel", "quick", "max_age", "deep"])]
    bucket: bool,
    /// Compare collections with their signed revisions instead: the list, and every listed file's bytes. FILE names who may sign, as
    /// `ssh-keygen -Y verify -f` reads it
    #[arg(long, value_name = "FILE", conflicts_with_all = ["parallel", "quick", "max_age", "max_duration", "rate", "repair", "deep", "bucket"])]
    signed: Option<PathBuf>,
    /// Only these collections [default: all]
    #[arg(long, value_name = "C", requires = "signed", value_delimiter = ',')]
    collection: Vec<CollectionName>,
    /// A tree with its `revision.txt` instead; no store is needed
    #[arg(long, value_name = "DIR", requires = "signed", conflicts_with = "collection")]
    tree: Option<PathBuf>,
}

pub(super) fn run(app: &App, args: Args) -> Result<End> {
    if let Some(signers) = &args.signed {
        return sign::verify(app, signers, &args.collection, args.tree.as_deref());
    }
    if args.bucket {
        return bucket(app, &args);
    }
    let store = app.open()?;
    let options = VerifyOptions {
        threads: args.parallel,
        quick: args.quick,
        max_age: args.max_age,
        max_duration: args.max_duration,
        rate: args.rate,
        repair: args.repair,
        deep: args.deep,
    };
    let report = ops::verify::verify(&store, &app.context(), &options)?;
    let text = |out: &mut Lines<'_>| {
        for problem in &report.problems {
            let state = if problem.repaired { " (repaired)" } else { "" };
            writeln!(out, "{}{state}: {}", word(problem.kind), problem.path.display())?;
            writeln!(out, "  {}", problem.detail)?;
            tell_names(out, &problem.filenames, &problem.collections)?;
            if let Some(path) = &problem.quarantine {
                writeln!(out, "  quarantine: {}", path.display())?;
            }
        }
        for damaged in &report.damaged {
            writeln!(out, "damaged: {}", damaged.filename)?;
            writeln!(out, "  {}: it came so, build or fetch it again", damaged.detail)?;
        }
        for tree in &report.trees {
            writeln!(out, "tree{}: {}", if tree.repaired { " (repaired)" } else { "" }, tree.path.display())?;
            writeln!(out, "  {}", tree.detail)?;
        }
        let rate = print::size((report.bytes as f64 / report.seconds.max(1e-6)) as u64);
        let (blobs, bytes) = (print::count(report.checked, "blob"), print::size(report.bytes));
        let problems = match report.problems.len() + report.damaged.len() + report.trees.len() {
            0 => "all good".to_owned(),
            count => print::count(count, "problem"),
        };
        write!(out, "verified {blobs}, {bytes} in {:.2} s ({rate}/s): ", report.seconds)?;
        end(out, &problems)
    };
    // What is wrong is told even when nothing else should be.
    if report.problems.is_empty() && report.damaged.is_empty() && report.trees.is_empty() {
        app.done("verify", &report, text)?
    } else {
        app.report("verify", &report, text)?
    }
    if report.sidecars_rewritten > 0 {
        let count = print::count(report.sidecars_rewritten, ".metadata file");
        app.note(&format!("{count} had wrong bytes and came back from the manifest"));
    }
    for failure in &report.failures {
        app.warn(failure);
    }
    if report.left > 0 {
        app.note(&format!("{} are left for the next run", print::count(report.left, "blob")));
    }
    Ok(if report.is_good() { End::Done } else { End::Problems })
}

fn word(kind: ProblemKind) -> &'static str {
    match kind {
        ProblemKind::Corrupt => "corrupt",
        ProblemKind::Missing => "missing",
        ProblemKind::Unreadable => "unreadable",
        ProblemKind::Row => "row",
    }
}

/// Ends the line that says how all went.
fn end(out: &mut Lines<'_>, problems: &str) -> std::io::Result<()> {
    out.styled(if problems == "all good" { Style::Good } else { Style::Bad }, problems)?;
    writeln!(out)
}

fn tell_names(out: &mut dyn Write, filenames: &[String], collections: &[CollectionName]) -> std::io::Result<()> {
    if !filenames.is_empty() {
        writeln!(out, "  files: {}", filenames.join(", "))?;
    }
    if !collections.is_empty() {
        let names: Vec<&str> = collections.iter().map(|name| name.as_str()).collect();
        writeln!(out, "  collections: {}", names.join(", "))?;
    }
    Ok(())
}

/// `wcas verify --bucket`
fn bucket(app: &App, args: &Args) -> Result<End> {
    let store = app.open()?;
    let options = BucketOptions { max_duration: args.max_duration, rate: args.rate, repair: args.repair };
    let report = ops::verify::verify_bucket(&store, &app.context(), &options)?;
    let text = |out: &mut Lines<'_>| {
        for problem in &report.problems {
            let state = if problem.repaired { " (repaired)" } else { "" };
            let object = problem.object.clone().unwrap_or_else(|| problem.blake3.to_string());
            writeln!(out, "{}{state}: {object}", word(problem.kind))?;
            writeln!(out, "  {}", problem.detail)?;
            tell_names(out, &problem.filenames, &problem.collections)?;
        }
        let (objects, read) = (print::count(report.objects, "object"), print::size(report.bytes));
        let problems = match report.problems.len() {
            0 => "all good".to_owned(),
            count => print::count(count, "problem"),
        };
        write!(out, "compared {objects}, read {} ({read}) in {:.2} s: ", report.checked, report.seconds)?;
        end(out, &problems)
    };
    // What is wrong is told even when nothing else should be.
    if report.problems.is_empty() {
        app.done("verify-bucket", &report, text)?;
    } else {
        app.report("verify-bucket", &report, text)?;
    }
    if report.orphans > 0 {
        let (count, bytes) = (print::count(report.orphans, "object"), print::size(report.orphan_bytes));
        app.note(&format!("{count} ({bytes}) no file has: gc takes what stays so for a week"));
    }
    report.failures.iter().for_each(|failure| app.warn(failure));
    if report.left > 0 {
        app.note(&format!("{} are left for the next run to read", print::count(report.left, "object")));
    }
    Ok(if report.is_good() { End::Done } else { End::Problems })
}
