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
use std::rc::Rc;

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

/// Reads the records about these projects.
pub(super) fn read(path: &Path, wanted: &BTreeSet<&ProjectName>) -> Result<Dump> {
    let mut dump = Dump::default();
    if path.is_dir() {
        dump.read_folder(path, wanted)?;
    } else {
        let file = fs::open(path)?;
        match path.extension().is_some_and(|end| end.eq_ignore_ascii_case("json")) {
            true => {
                let taken = dump.take(&path.display().to_string(), &whole(&file, path)?, wanted);
                taken.map_err(|excess| refused(path, &excess.to_string()))?;
            }
            false => dump.read_archive(&file, path, wanted)?,
        }
    }
    if dump.records == 0 {
        let why = dump.problems.first().map(|problem| format!(": {problem}")).unwrap_or_default();
        return Err(Error::Refused(format!("{} has no OSV record of PyPI{why}", path.display())));
    }
    Ok(dump)
}

fn refused(path: &Path, why: &str) -> Error {
    Error::Refused(format!("{} can't be read as a dump: {why}", path.display()))
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
                    .map_err(|excess| refused(dir, &excess.to_string()))?,
                Err(error) => self.problem(reason(&error)),
            }
        }
        Ok(())
    }

    fn read_archive(&mut self, file: &File, path: &Path, wanted: &BTreeSet<&ProjectName>) -> Result<()> {
        let refused = |why: String| refused(path, &why);
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
