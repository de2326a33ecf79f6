//! Records of known vulnerabilities: a dump, of which each line is a record.

use super::saw;
use super::site::Site;
use std::fs;
use std::path::Path;
use tempfile::TempDir;
use wcas::Store;
use wcas::catalog::at::RevisionSpec;
use wcas::context::Context;
use wcas::name::CollectionName;
use wcas::ops::audit::{AuditOptions, AuditReport, OsvPlace, audit};
use wcas::server::Anonymous;

pub(super) const WORDS: &[&str] = &[
    "{\"id\":\"PYSEC-1\",\"affected\":[{\"package\":{\"ecosystem\":\"PyPI\",\"name\":\"demo\"},\"versions\":[\"1.0\"]}]}",
    "\n",
    "\"id\":\"GHSA-1\"",
    "\"aliases\":[\"CVE-1\",\"PYSEC-1\"]",
    "\"withdrawn\":\"2024-01-01T00:00:00Z\"",
    "\"affected\":[",
    "{\"package\":{\"ecosystem\":\"PyPI\",\"name\":\"demo\"}}",
    "\"ecosystem\":\"PyPI:x\"",
    "\"name\":\"Demo\"",
    "\"ranges\":[{\"type\":\"ECOSYSTEM\",\"events\":[",
    "\"type\":\"GIT\"",
    "\"type\":\"SEMVER\"",
    "{\"introduced\":\"0\"}",
    "{\"introduced\":\"0.5\"}",
    "{\"fixed\":\"1.5\"}",
    "{\"fixed\":\"1.0+cu121\"}",
    "{\"last_affected\":\"1.0\"}",
    "{\"introduced\":null}",
    "\"versions\":[\"1.0\",\"0.9\"]",
    "\"summary\":\"bad\"",
    "\"details\":\"\\n\\nworse\"",
    "\"severity\":[{\"type\":\"CVSS_V3\",\"score\":\"CVSS:3.1/AV:N\"}]",
    "\"database_specific\":{\"severity\":\"HIGH\"}",
    "\\u0000",
    "\\ud800",
    "null",
    "[]",
    "{}",
    ",",
    "1!0",
    "9999999999999999999999",
];

struct Bench {
    store: Store,
    dir: TempDir,
    #[expect(dead_code, reason = "its folder goes when the value does")]
    site: Site,
}

impl Bench {
    fn new() -> Self {
        let site = Site::new(Anonymous::Read);
        Self { store: Store::open(&site.store()).expect("a store"), dir: TempDir::new().expect("a folder"), site }
    }

    /// Makes the dump anew: a record's name is its place, or what is left to the last.
    fn dump(&self, lines: &[&str], is_turned: bool) -> std::path::PathBuf {
        let dump = self.dir.path().join("dump");
        drop(fs::remove_dir_all(&dump));
        fs::create_dir(&dump).expect("a folder");
        for (at, line) in lines.iter().enumerate() {
            let at = if is_turned { lines.len() - at } else { at };
            fs::write(dump.join(format!("{at:03}.json")), line).expect("a file");
        }
        dump
    }
}

pub(super) fn check(input: &[u8]) {
    thread_local! {
        static BENCH: Bench = Bench::new();
    }
    let Ok(text) = std::str::from_utf8(input) else { return };
    let lines: Vec<&str> = text.lines().take(8).collect();
    BENCH.with(|bench| check_dump(bench, &lines));
}

fn asked(bench: &Bench, dump: &Path, ignored: &[String]) -> Result<AuditReport, wcas::Error> {
    let cuda = RevisionSpec::from("cuda".parse::<CollectionName>().expect("a name"));
    let context = Context { now: 1_800_000_000, who: "torture", jobs: 1, progress: &(), client: None };
    let place = OsvPlace::Path(dump.to_owned());
    audit(&bench.store, &context, &cuda, &AuditOptions { osv: Some(&place), ignored, tells_licenses: false })
}

fn check_dump(bench: &Bench, lines: &[&str]) {
    let report = match asked(bench, &bench.dump(lines, false), &[]) {
        Ok(report) => report,
        Err(error) => return saw(error.to_string().rsplit(": ").next().unwrap_or_default()),
    };
    saw(format!(
        "{} {} {}",
        report.vulnerabilities.is_empty(),
        report.vulnerabilities.len() > 1,
        report.problems.is_empty()
    ));
    assert!(report.records.unwrap_or_default() + report.problems.len() <= lines.len());
    let mut names = Vec::new();
    for found in &report.vulnerabilities {
        assert_eq!(found.project.as_str(), "demo");
        assert!(!found.filenames.is_empty() && !found.aliases.contains(&found.id), "{found:?}");
        assert!(found.summary.lines().count() <= 1 && found.summary.chars().count() <= 200, "{found:?}");
        assert!(!found.fixed.contains(&found.version), "{found:?}");
        saw(format!("{} {} {}", found.fixed.is_empty(), found.severity.is_some(), found.aliases.is_empty()));
        names.push(found.id.clone());
    }
    // In which order a dump has its records says nothing.
    let turned = asked(bench, &bench.dump(lines, true), &[]).expect("it could be read the other way round");
    let in_order = |report: &AuditReport| {
        let mut told: Vec<String> = report.vulnerabilities.iter().map(|found| format!("{found:?}")).collect();
        told.sort();
        told
    };
    assert_eq!(in_order(&turned), in_order(&report));
    // What is to be ignored by its name is, and nothing else.
    let rest = asked(bench, &bench.dir.path().join("dump"), &names).expect("it could be read before");
    assert_eq!((rest.vulnerabilities.len(), rest.ignored), (0, report.vulnerabilities.len()));
}
