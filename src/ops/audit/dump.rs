//! A dump of OSV's records: a folder of JSON files, or a zip archive of them, here or at a URL.

use super::osv::Advisory;
use crate::budget::{self, Account, Budget, Excess};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::fs;
use crate::meter::{self, Meter};
use crate::name::ProjectName;
use crate::remote::{Failure, PublicUrl, Source};
use crate::supply;
use crate::wheel::zip::{Archive, ReadAt};
use crate::words::reason;
use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use url::Url;

/// What was read of a dump.
#[derive(Debug, Default)]
pub(super) struct Dump {
    /// The records that are about wanted projects, by project.
    pub(super) advisories: BTreeMap<ProjectName, Vec<Advisory>>,
    /// How many records of PyPI there were.
    pub(super) records: usize,
    /// What could not be read.
    pub(super) problems: Vec<String>,
    /// How many more there were.
    pub(super) more_problems: usize,
}

/// So many problems are told.
const TOLD: usize = 20;

/// Where a dump is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OsvPlace {
    /// A zip archive, a folder of JSON files, or one record.
    Path(PathBuf),
    /// A zip archive, or one record, at a server.
    Url(Url),
}

impl FromStr for OsvPlace {
    type Err = String;

    /// Reads a URL where it has `://`, and a path elsewhere. What ends in a slash is a folder of OSV's data exports, which has an archive.
    fn from_str(text: &str) -> std::result::Result<Self, String> {
        if !text.contains("://") {
            return Ok(Self::Path(text.into()));
        }
        let url = Url::parse(text).map_err(|error| format!("this can't be read as a URL: {error}"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err("a dump is fetched by https:// or http://, or is a file or folder".to_owned());
        }
        let archive = if url.path().ends_with('/') { url.join(ARCHIVE) } else { Ok(url) };
        archive.map(Self::Url).map_err(|error| error.to_string())
    }
}

/// The archive of all records in a folder of OSV's data exports.
const ARCHIVE: &str = "all.zip";

/// Reads the records about these projects.
pub(super) fn read(context: &Context<'_>, place: &OsvPlace, wanted: &BTreeSet<&ProjectName>) -> Result<Dump> {
    let mut dump = Dump::default();
    let name = match place {
        OsvPlace::Path(path) => path.display().to_string(),
        OsvPlace::Url(url) => PublicUrl::from(url).to_string(),
    };
    let is_record = name.to_ascii_lowercase().ends_with(".json");
    match place {
        OsvPlace::Path(path) if path.is_dir() => dump.read_folder(path, wanted)?,
        OsvPlace::Path(path) if is_record => dump.take(&name, &whole(&fs::open(path)?, path)?, wanted),
        OsvPlace::Path(path) => dump.read_archive(&fs::open(path)?, &name, wanted)?,
        OsvPlace::Url(url) if is_record => {
            dump.take(&name, &fetched(context, url, budget::OSV_RECORD)?, wanted);
        }
        OsvPlace::Url(url) => {
            dump.read_archive(fetched(context, url, budget::OSV_FETCH)?.as_slice(), &name, wanted)?;
        }
    }
    if dump.records == 0 {
        let why = dump.problems.first().map(|problem| format!(": {problem}")).unwrap_or_default();
        return Err(Error::Refused(format!("{name} has no OSV record of PyPI{why}")));
    }
    Ok(dump)
}

/// Fetches a dump. Nothing of it is kept: the next audit is to know what is known then.
fn fetched(context: &Context<'_>, url: &Url, most: Budget) -> Result<Vec<u8>> {
    let client = supply::client(context)?;
    let (progress, meter) = (context.progress, OnceCell::new());
    let name = url.path().rsplit('/').next().unwrap_or_default();
    let tell = |size: u64, came: u64| {
        let meter = meter.get_or_init(|| {
            progress.start_files("fetching", 1, size);
            let meter = Meter::new(name, size);
            progress.begin(&meter);
            meter
        });
        meter.during(|| meter::reached(came));
    };
    let bytes = client.whole(&Source::new(url.clone()), url, most.limit, &tell);
    if let Some(meter) = meter.get() {
        progress.end(meter);
        progress.finish();
    }
    bytes.map_err(|failure| {
        let budget = if matches!(failure, Failure::TooLarge { .. }) { format!(" ({most})") } else { String::new() };
        Error::Fetch(format!("{}{budget}", reason(&failure)))
    })
}

/// Reads a file that is no larger than a record may be.
fn whole(file: &File, path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let most = budget::OSV_RECORD.limit;
    file.take(most + 1).read_to_end(&mut bytes).map_err(fs::Error::at("read", path))?;
    if bytes.len() as u64 > most {
        return Err(Error::Refused(format!("{}: {}", path.display(), Excess(budget::OSV_RECORD))));
    }
    Ok(bytes)
}

impl Dump {
    fn read_folder(&mut self, dir: &Path, wanted: &BTreeSet<&ProjectName>) -> Result<()> {
        let mut names = fs::names(dir)?;
        names.sort();
        for name in names {
            let path = dir.join(&name);
            if !name.to_string_lossy().ends_with(".json") || path.is_dir() {
                continue;
            }
            let read = fs::open(&path).map_err(Error::from).and_then(|file| whole(&file, &path));
            match read {
                Ok(bytes) => self.take(&path.display().to_string(), &bytes, wanted),
                Err(error) => self.problem(reason(&error)),
            }
        }
        Ok(())
    }

    fn read_archive<R: ReadAt + ?Sized>(
        &mut self,
        file: &R,
        place: &str,
        wanted: &BTreeSet<&ProjectName>,
    ) -> Result<()> {
        let refused = |why: String| Error::Refused(format!("{place} can't be read as a dump: {why}"));
        let archive = Archive::open(file).map_err(|error| refused(reason(&error)))?;
        let account = Account::new(budget::OSV_BYTES, budget::OSV_BYTES.limit);
        for entry in archive.entries() {
            let entry = entry.map_err(|error| refused(reason(&error)))?;
            if !entry.name.ends_with(b".json") {
                continue;
            }
            let name = String::from_utf8_lossy(entry.name);
            account.spend(entry.size).map_err(|excess| refused(excess.to_string()))?;
            match archive.read(&entry, budget::OSV_RECORD.limit) {
                Ok(bytes) => self.take(&name, &bytes, wanted),
                Err(error) => self.problem(reason(&error)),
            }
        }
        Ok(())
    }

    fn take(&mut self, name: &str, bytes: &[u8], wanted: &BTreeSet<&ProjectName>) {
        let advisory = match Advisory::parse(bytes) {
            Ok(Some(advisory)) => advisory,
            Ok(None) => return,
            Err(error) => return self.problem(format!("{name}: {error}")),
        };
        self.records += 1;
        let projects: BTreeSet<ProjectName> = advisory.projects().filter(|name| wanted.contains(name)).collect();
        if projects.is_empty() {
            return;
        }
        let advisory = advisory.prepared();
        for project in projects {
            self.advisories.entry(project).or_default().push(advisory.clone());
        }
    }

    fn problem(&mut self, problem: String) {
        match self.problems.len() < TOLD {
            true => self.problems.push(problem),
            false => self.more_problems += 1,
        }
    }
}
