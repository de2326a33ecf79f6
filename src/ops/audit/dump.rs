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
use std::rc::Rc;
use std::str::FromStr;
use url::Url;

/// What was read of a dump.
#[derive(Debug, Default)]
pub(super) struct Dump {
    /// The records that are about wanted projects, by project.
    pub(super) advisories: BTreeMap<ProjectName, Vec<Rc<Advisory>>>,
    /// How many bytes those have.
    kept: u64,
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
        OsvPlace::Path(path) if is_record => dump.take_alone(&name, &whole(&fs::open(path)?, path)?, wanted)?,
        OsvPlace::Path(path) => dump.read_archive(&fs::open(path)?, &name, wanted)?,
        OsvPlace::Url(url) if is_record => {
            dump.take_alone(&name, &fetched(context, url, budget::OSV_RECORD)?, wanted)?;
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

fn refused(place: &str, why: &str) -> Error {
    Error::Refused(format!("{place} can't be read as a dump: {why}"))
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
                Ok(bytes) => self
                    .take(&path.display().to_string(), &bytes, wanted)
                    .map_err(|excess| refused(&dir.display().to_string(), &excess.to_string()))?,
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
        let refused = |why: String| refused(place, &why);
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
                Ok(bytes) => self.take(&name, &bytes, wanted).map_err(|excess| refused(excess.to_string()))?,
                Err(error) => self.problem(reason(&error)),
            }
        }
        Ok(())
    }

    /// Takes the one record that there is.
    fn take_alone(&mut self, name: &str, bytes: &[u8], wanted: &BTreeSet<&ProjectName>) -> Result<()> {
        self.take(name, bytes, wanted).map_err(|excess| refused(name, &excess.to_string()))
    }

    fn take(&mut self, name: &str, bytes: &[u8], wanted: &BTreeSet<&ProjectName>) -> std::result::Result<(), Excess> {
        let advisory = match Advisory::parse(bytes) {
            Ok(Some(advisory)) => advisory,
            Ok(None) => return Ok(()),
            Err(error) => {
                self.problem(format!("{name}: {error}"));
                return Ok(());
            }
        };
        self.records += 1;
        let projects: BTreeSet<ProjectName> = advisory.projects().filter(|name| wanted.contains(name)).collect();
        if projects.is_empty() {
            return Ok(());
        }
        self.kept += bytes.len() as u64;
        if self.kept > budget::OSV_KEPT.limit {
            return Err(Excess(budget::OSV_KEPT));
        }
        // A record may be about any number of projects.
        let advisory = Rc::new(advisory.prepared());
        for project in projects {
            let known = self.advisories.entry(project).or_default();
            if known.len() as u64 == budget::OSV_PROJECT.limit {
                return Err(Excess(budget::OSV_PROJECT));
            }
            known.push(advisory.clone());
        }
        Ok(())
    }

    fn problem(&mut self, problem: String) {
        match self.problems.len() < TOLD {
            true => self.problems.push(problem),
            false => self.more_problems += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(names: &[String]) -> Vec<u8> {
        let affected = names.iter().map(|name| serde_json::json!({"package": {"ecosystem": "PyPI", "name": name}}));
        let record =
            serde_json::json!({"id": "A", "details": "x".repeat(1000), "affected": affected.collect::<Vec<_>>()});
        record.to_string().into_bytes()
    }

    #[test]
    fn a_record_of_many_projects_is_kept_once_and_one_project_has_so_many() {
        let names: Vec<ProjectName> = (0..50).map(|number| format!("p{number}").parse().unwrap()).collect();
        let wanted: BTreeSet<&ProjectName> = names.iter().collect();
        let mut dump = Dump::default();
        let of_all = record(&names.iter().map(ToString::to_string).collect::<Vec<_>>());
        dump.take("a", &of_all, &wanted).unwrap();
        assert_eq!((dump.advisories.len(), dump.kept), (50, of_all.len() as u64));
        assert_eq!(Rc::strong_count(&dump.advisories[&names[0]][0]), 50);
        let of_one = record(&["p0".to_owned()]);
        let taken = (0..budget::OSV_PROJECT.limit).find_map(|_| dump.take("b", &of_one, &wanted).err());
        assert_eq!(taken, Some(Excess(budget::OSV_PROJECT)));
        dump.kept = budget::OSV_KEPT.limit;
        assert_eq!(dump.take("c", &of_one, &wanted), Err(Excess(budget::OSV_KEPT)));
        assert_eq!(dump.take("d", &record(&["other".to_owned()]), &wanted), Ok(()), "what isn't kept takes nothing");
    }
}
