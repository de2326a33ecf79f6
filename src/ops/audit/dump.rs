//! A dump of OSV's records: a folder of JSON files, or a zip archive of them.

use super::osv::Advisory;
use crate::budget::{self, Account, Excess};
use crate::error::{Error, Result};
use crate::fs;
use crate::name::ProjectName;
use crate::wheel::zip::Archive;
use crate::words::reason;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::path::Path;

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

/// Reads the records about these projects.
pub(super) fn read(path: &Path, wanted: &BTreeSet<&ProjectName>) -> Result<Dump> {
    let mut dump = Dump::default();
    if path.is_dir() {
        dump.read_folder(path, wanted)?;
    } else {
        let file = fs::open(path)?;
        match path.extension().is_some_and(|end| end.eq_ignore_ascii_case("json")) {
            true => dump.take(&path.display().to_string(), &whole(&file, path)?, wanted),
            false => dump.read_archive(&file, path, wanted)?,
        }
    }
    if dump.records == 0 {
        let why = dump.problems.first().map(|problem| format!(": {problem}")).unwrap_or_default();
        return Err(Error::Refused(format!("{} has no OSV record of PyPI{why}", path.display())));
    }
    Ok(dump)
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

    fn read_archive(&mut self, file: &File, path: &Path, wanted: &BTreeSet<&ProjectName>) -> Result<()> {
        let refused = |why: String| Error::Refused(format!("{} can't be read as a dump: {why}", path.display()));
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
