//! `wcas audit`

use super::app::App;
use super::print::dash;
use super::{End, print};
use wcas::catalog::at::RevisionSpec;
use wcas::error::Result;
use wcas::name::CollectionName;
use wcas::ops::audit::{AuditOptions, OsvPlace, VersionLicenses, Vulnerability};
use wcas::{Error, ops};

/// Tell what is known of a collection's distributions: vulnerabilities, licences, a bill of materials
///
/// Vulnerabilities are those of a dump of OSV (https://osv.dev): the records of PyPI as a zip archive, or a folder of JSON files. A
/// version is compared as PEP 440 says; a build of it (2.5.1+cu126) counts as the version. No network is asked, unless --osv is a URL: then
/// the dump is fetched from there each time, into memory, and nobody is told what the collection has.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: wcas audit --collection cuda --osv all.zip --ignore CVE-2026-1234\n\
                        Example: wcas audit --collection cuda --osv https://osv.example/PyPI/all.zip\n\
                        Example: wcas audit --collection cuda@release --licenses\n\
                        Example: wcas audit --collection cuda@release --sbom > cuda.cdx.json\n\
                        The dump is PyPI/all.zip of OSV's data exports: https://google.github.io/osv.dev/data/")]
pub(super) struct Args {
    /// The collection, maybe at a revision or snapshot: cuda, cuda@41, cuda@release [default: shared]
    #[arg(long, value_name = "C")]
    collection: Option<RevisionSpec>,
    /// A dump of OSV's records: a zip archive, a folder of JSON files, one record; or the URL of an archive, a record, or a folder (with /
    /// at its end) that has the archive all.zip
    #[arg(long, value_name = "PATH|URL")]
    osv: Option<OsvPlace>,
    /// A vulnerability that says nothing here, by any of its names; may be given several times
    #[arg(long, value_name = "ID", requires = "osv", value_delimiter = ',')]
    ignore: Vec<String>,
    /// Tell the licences that METADATA has
    #[arg(long)]
    licenses: bool,
    /// Print a bill of materials instead: CycloneDX 1.6, the same for the same revision
    #[arg(long, conflicts_with_all = ["osv", "licenses"])]
    sbom: bool,
}

pub(super) fn run(app: &App, args: Args) -> Result<End> {
    let of = args.collection.unwrap_or_else(|| RevisionSpec { collection: CollectionName::shared(), revision: None });
    if args.osv.is_none() && !args.licenses && !args.sbom {
        return Err(Error::Refused("say what is to be told: --osv PATH|URL, --licenses or --sbom".to_owned()));
    }
    let store = app.open()?;
    if args.sbom {
        let document = ops::audit::sbom(&store, &of)?;
        app.answer(|out| {
            serde_json::to_writer_pretty(&mut *out, &document)?;
            writeln!(out)
        })?;
        return Ok(End::Done);
    }
    let options = AuditOptions { osv: args.osv.as_ref(), ignored: &args.ignore, tells_licenses: args.licenses };
    let report = ops::audit::audit(&store, &app.context(), &of, &options)?;
    app.report("audit", &report, |out| {
        if !report.vulnerabilities.is_empty() {
            let rows: Vec<_> = report.vulnerabilities.iter().map(row).collect();
            print::table(out, ["PROJECT", "VERSION", "ID", "SEVERITY", "FIXED", "SUMMARY"], &rows)?;
        }
        let licenses = report.licenses.as_deref().unwrap_or_default();
        if !licenses.is_empty() {
            if !report.vulnerabilities.is_empty() {
                writeln!(out)?;
            }
            let rows: Vec<_> = licenses.iter().map(license_row).collect();
            print::table(out, ["PROJECT", "VERSION", "LICENSE"], &rows)?;
        }
        Ok(())
    })?;
    for problem in &report.problems {
        app.warn(&format!("not read: {problem}"));
    }
    if let Some(records) = report.records {
        let (found, of) = (report.vulnerabilities.len(), print::count(report.distributions, "distribution"));
        let ignored = if report.ignored > 0 { format!(", {} ignored", report.ignored) } else { String::new() };
        let found = match found {
            1 => "1 vulnerability".to_owned(),
            found => format!("{found} vulnerabilities"),
        };
        app.note(&format!(
            "{found}{ignored} in {of} of {}@{}; {records} records read",
            report.collection, report.revision
        ));
    }
    let is_bad = !report.vulnerabilities.is_empty() || !report.problems.is_empty();
    Ok(if is_bad { End::Problems } else { End::Done })
}

fn row(own: &Vulnerability) -> [String; 6] {
    let names: Vec<&str> = std::iter::once(&own.id)
        .chain(own.aliases.iter().filter(|name| name.starts_with("CVE-")))
        .map(String::as_str)
        .collect();
    [
        own.project.to_string(),
        own.version.clone(),
        names.join(" "),
        dash(own.severity.clone().unwrap_or_default()),
        dash(own.fixed.first().cloned().unwrap_or_default()),
        own.summary.clone(),
    ]
}

fn license_row(own: &VersionLicenses) -> [String; 3] {
    let mut words: Vec<String> = own.licenses.iter().filter_map(|licenses| licenses.word()).collect();
    words.dedup();
    if own.silent > 0 && !words.is_empty() {
        words.push(format!("({} without)", print::count(own.silent, "file")));
    }
    [own.project.to_string(), own.version.clone(), dash(words.join(" | "))]
}
