//! Lock files: what a resolver wrote down, with the digest of each file. `pylock.toml` (PEP 751), `uv.lock`, `poetry.lock`.
//!
//! They are text from elsewhere: a file counts only if its name is that of a wheel or sdist of its package and a SHA-256 digest binds
//! it. What is no file of an index (a checkout, a folder, an archive at a URL) is told and left out.

use crate::budget::{self, Excess};
use crate::digest::Sha256;
use crate::error::{Error, Result};
use crate::name::ProjectName;
use crate::requirement::{Environment, Marker};
use crate::wheel::DistributionFilename;
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What a lock file says.
#[derive(Debug, Default)]
pub(super) struct LockFile {
    pub(super) packages: Vec<LockedPackage>,
    /// What was left out, and why.
    pub(super) notes: Vec<String>,
    /// What can't be met, and why.
    pub(super) refused: Vec<String>,
}

/// A package with the files that it may be installed from.
#[derive(Debug)]
pub(super) struct LockedPackage {
    pub(super) name: ProjectName,
    pub(super) version: Option<String>,
    /// Where it is for: where one of these holds; anywhere, when empty.
    markers: Vec<Marker>,
    pub(super) requires_python: Option<String>,
    pub(super) files: Vec<LockedFile>,
}

/// A file and its digest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct LockedFile {
    pub(super) filename: String,
    pub(super) sha256: Sha256,
}

impl LockedPackage {
    /// Tells whether it is for an environment; where that isn't known, it is.
    pub(super) fn applies(&self, environment: &Environment) -> bool {
        self.markers.is_empty() || self.markers.iter().any(|marker| marker.evaluate(environment) != Some(false))
    }
}

/// The kinds that are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Pylock,
    Uv,
    Poetry,
}

/// Reads a lock file; `None`: it is none, but a file of requirements. The name decides, else what is in it.
pub(super) fn read(path: &Path, bytes: &[u8]) -> Result<Option<LockFile>> {
    let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    let refuse = |why: &str| Error::Refused(format!("{}: {why}", path.display()));
    let is_pylock = name == "pylock.toml" || (name.starts_with("pylock.") && name.ends_with(".toml"));
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(_) if is_pylock || name == "uv.lock" || name == "poetry.lock" => return Err(refuse("it is not UTF-8")),
        Err(_) => return Ok(None),
    };
    let has = |line: &str| text.lines().any(|own| own.trim_end() == line);
    let kind = match &*name {
        "uv.lock" => Kind::Uv,
        "poetry.lock" => Kind::Poetry,
        _ if is_pylock => Kind::Pylock,
        _ if !name.ends_with(".toml") && !name.ends_with(".lock") => return Ok(None),
        _ if has("[[packages]]") => Kind::Pylock,
        _ if has("[[package]]") && has("[metadata]") => Kind::Poetry,
        _ if has("[[package]]") => Kind::Uv,
        _ if name.ends_with(".toml") => {
            return Err(refuse(
                "it is no lock file: pylock.toml (PEP 751), uv.lock and poetry.lock are read, and requirements files",
            ));
        }
        _ => return Ok(None),
    };
    let found = match kind {
        Kind::Pylock => parse::<Pylock>(path, text)?.read(),
        Kind::Uv => parse::<UvLock>(path, text)?.read(),
        Kind::Poetry => parse::<PoetryLock>(path, text)?.read(),
    };
    let mut found = found.map_err(|why| refuse(&why))?;
    for told in found.notes.iter_mut().chain(&mut found.refused) {
        *told = format!("{}: {told}", path.display());
    }
    Ok(Some(found))
}

fn parse<'a, T: Deserialize<'a>>(path: &Path, text: &'a str) -> Result<T> {
    toml::from_str(text).map_err(|error: toml::de::Error| {
        let line = error.span().map_or(0, |span| text[..span.start.min(text.len())].matches('\n').count() + 1);
        Error::Refused(format!("{}:{line}: {}", path.display(), error.message()))
    })
}

/// A package as a lock file of any kind has it.
#[derive(Default)]
struct Found<'a> {
    name: &'a str,
    version: Option<&'a str>,
    markers: Vec<&'a str>,
    requires_python: Option<&'a str>,
    /// Why it is no package of an index.
    other: Option<String>,
    /// Filenames, each with its digests as `algorithm:digits`.
    files: Vec<(String, Vec<String>)>,
}

impl LockFile {
    fn add(&mut self, found: Found<'_>) {
        let told = found.version.map_or_else(|| found.name.to_owned(), |version| format!("{} {version}", found.name));
        let Ok(name) = found.name.parse::<ProjectName>() else {
            return self.refused.push(format!("{:?} is not a project name", found.name));
        };
        if let Some(other) = found.other {
            return self.notes.push(format!("left out {told}: {other}"));
        }
        let mut markers = Vec::new();
        for text in found.markers {
            match text.parse::<Marker>() {
                Ok(marker) => markers.push(marker),
                // What isn't understood shuts nothing out.
                Err(error) => {
                    self.notes.push(format!("{told}: {error}; it is taken for any target"));
                    markers = vec![Marker::default()];
                    break;
                }
            }
        }
        let mut files = BTreeSet::new();
        for (filename, hashes) in found.files {
            let parsed = DistributionFilename::parse_of(&filename, &name);
            if !parsed.is_ok_and(|parsed| *parsed.project() == name) {
                self.notes.push(format!("left out {filename:?} of {told}: it is no wheel or sdist of {name}"));
                continue;
            }
            match hashes.iter().find_map(|hash| hash.strip_prefix("sha256:")?.parse().ok()) {
                Some(sha256) => drop(files.insert(LockedFile { filename, sha256 })),
                None => self.notes.push(format!("left out {filename} of {told}: it has no sha256 digest there")),
            }
        }
        if files.is_empty() {
            return self.refused.push(format!("{told}: it names no file with a sha256 digest"));
        }
        self.packages.push(LockedPackage {
            name,
            version: found.version.map(str::to_owned),
            markers,
            requires_python: found.requires_python.map(str::to_owned),
            files: files.into_iter().collect(),
        });
    }
}

/// Returns the last segment of a URL or path, decoded.
fn last_segment(place: &str) -> String {
    let path = place.split(['?', '#']).next().unwrap_or(place);
    percent_decode_str(path.rsplit(['/', '\\']).next().unwrap_or(path)).decode_utf8_lossy().into_owned()
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Pylock {
    lock_version: String,
    #[serde(default)]
    packages: Vec<PylockPackage>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct PylockPackage {
    name: String,
    version: Option<String>,
    marker: Option<String>,
    requires_python: Option<String>,
    vcs: Option<toml::Table>,
    directory: Option<toml::Table>,
    archive: Option<toml::Table>,
    sdist: Option<PylockFile>,
    #[serde(default)]
    wheels: Vec<PylockFile>,
}

#[derive(Deserialize)]
struct PylockFile {
    name: Option<String>,
    url: Option<String>,
    path: Option<String>,
    #[serde(default)]
    hashes: BTreeMap<String, String>,
}

impl Pylock {
    fn read(&self) -> std::result::Result<LockFile, String> {
        if self.lock_version.split('.').next() != Some("1") {
            return Err(format!("its lock-version is {}, and 1 is known here", self.lock_version));
        }
        let mut lock = LockFile::default();
        for package in &self.packages {
            let other = match (&package.vcs, &package.directory, &package.archive) {
                (Some(_), ..) => Some("it is a checkout"),
                (_, Some(_), _) => Some("it is a folder"),
                (.., Some(_)) => Some("it is an archive of its own: fetch it, and import it"),
                _ => None,
            };
            let files = package.wheels.iter().chain(&package.sdist).map(|file| {
                let place = file.url.as_deref().or(file.path.as_deref()).map(last_segment);
                let hashes = file.hashes.iter().map(|(kind, digits)| format!("{}:{digits}", kind.to_ascii_lowercase()));
                (file.name.clone().or(place).unwrap_or_default(), hashes.collect())
            });
            lock.add(Found {
                name: &package.name,
                version: package.version.as_deref(),
                markers: package.marker.as_deref().into_iter().collect(),
                requires_python: package.requires_python.as_deref(),
                other: other.map(str::to_owned),
                files: files.collect(),
            });
        }
        Ok(lock)
    }
}

#[derive(Deserialize)]
struct UvLock {
    version: u32,
    #[serde(default)]
    package: Vec<UvPackage>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct UvPackage {
    name: String,
    version: Option<String>,
    #[serde(default)]
    source: BTreeMap<String, toml::Value>,
    #[serde(default)]
    resolution_markers: Vec<String>,
    sdist: Option<UvFile>,
    #[serde(default)]
    wheels: Vec<UvFile>,
}

#[derive(Deserialize)]
struct UvFile {
    filename: Option<String>,
    url: Option<String>,
    path: Option<String>,
    hash: Option<String>,
}

impl UvLock {
    fn read(&self) -> std::result::Result<LockFile, String> {
        if self.version != 1 {
            return Err(format!("its version is {}, and 1 is known here", self.version));
        }
        let mut lock = LockFile::default();
        for package in &self.package {
            let other = package.source.keys().find(|kind| *kind != "registry").and_then(|kind| match kind.as_str() {
                "editable" | "virtual" | "directory" => Some("it is a folder"),
                "git" => Some("it is a checkout"),
                "url" | "path" => Some("it is a file of its own: fetch it, and import it"),
                // What goes with a registry.
                _ => None,
            });
            let files = package.wheels.iter().chain(&package.sdist).map(|file| {
                let place = file.url.as_deref().or(file.path.as_deref()).map(last_segment);
                (file.filename.clone().or(place).unwrap_or_default(), file.hash.iter().cloned().collect())
            });
            lock.add(Found {
                name: &package.name,
                version: package.version.as_deref(),
                markers: package.resolution_markers.iter().map(String::as_str).collect(),
                requires_python: None,
                other: other.map(str::to_owned),
                files: files.collect(),
            });
        }
        Ok(lock)
    }
}

#[derive(Deserialize)]
struct PoetryLock {
    #[serde(default)]
    package: Vec<PoetryPackage>,
    #[serde(default)]
    metadata: PoetryMetadata,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
struct PoetryMetadata {
    lock_version: Option<String>,
    /// Where older ones have the files.
    #[serde(default)]
    files: BTreeMap<String, Vec<PoetryFile>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct PoetryPackage {
    name: String,
    version: String,
    #[serde(default)]
    files: Vec<PoetryFile>,
    source: Option<PoetrySource>,
    /// A text, or one for each group that wants it.
    markers: Option<toml::Value>,
}

#[derive(Deserialize)]
struct PoetryFile {
    file: String,
    hash: String,
}

#[derive(Deserialize)]
struct PoetrySource {
    #[serde(rename = "type")]
    kind: Option<String>,
}

impl PoetryLock {
    fn read(&self) -> std::result::Result<LockFile, String> {
        let version = self.metadata.lock_version.as_deref().unwrap_or("1");
        if !matches!(version.split('.').next(), Some("1" | "2")) {
            return Err(format!("its lock-version is {version}, and 1 and 2 are known here"));
        }
        let mut lock = LockFile::default();
        // Packages of one name share the files at the end: many of both are more than the text has bytes.
        let old = |package: &PoetryPackage| self.metadata.files.get(&package.name).map_or(&[][..], Vec::as_slice);
        let count: usize = self.package.iter().map(|package| package.files.len() + old(package).len()).sum();
        if count as u64 > budget::LOCK_FILES.limit {
            return Err(Excess(budget::LOCK_FILES).to_string());
        }
        for package in &self.package {
            let kind = package.source.as_ref().and_then(|source| source.kind.as_deref());
            let other = match kind {
                None | Some("legacy") => None,
                Some("git") => Some("it is a checkout".to_owned()),
                Some("directory") => Some("it is a folder".to_owned()),
                Some("file" | "url") => Some("it is a file of its own: fetch it, and import it".to_owned()),
                Some(kind) => Some(format!("its source is {kind:?}")),
            };
            let markers = match &package.markers {
                Some(toml::Value::String(text)) => vec![text.as_str()],
                Some(toml::Value::Table(groups)) => groups.values().filter_map(toml::Value::as_str).collect(),
                _ => Vec::new(),
            };
            let files = package
                .files
                .iter()
                .chain(old(package))
                .map(|file| (last_segment(&file.file), vec![file.hash.clone()]));
            lock.add(Found {
                name: &package.name,
                version: Some(&package.version),
                markers,
                requires_python: None,
                other,
                files: files.collect(),
            });
        }
        Ok(lock)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(path: &str, text: &str) -> String {
        match read(Path::new(path), text.as_bytes()) {
            Ok(Some(lock)) => {
                let packages = lock.packages.iter().map(|package| {
                    let files: Vec<&str> = package.files.iter().map(|file| file.filename.as_str()).collect();
                    format!("{} {}", package.name, files.join(" "))
                });
                packages.chain(lock.notes.clone()).chain(lock.refused.clone()).collect::<Vec<_>>().join("\n")
            }
            Ok(None) => "requirements".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    const DIGEST: &str = "abababababababababababababababababababababababababababababababab";

    #[test]
    fn a_lock_is_known_by_its_name_or_by_what_is_in_it() {
        let pylock = "lock-version = '1.0'\ncreated-by = 'x'\n[[packages]]\nname = 'demo'\ndirectory = {path = '.'}\n";
        for name in ["pylock.toml", "pylock.dev.toml", "other.toml", "some.lock"] {
            assert_eq!(text(name, pylock), format!("{name}: left out demo: it is a folder"));
        }
        assert_eq!(text("requirements.lock", "demo==1.0\n"), "requirements");
        assert_eq!(text("requirements.txt", pylock), "requirements");
        assert!(text("pyproject.toml", "[project]\nname = 'x'\n").contains("no lock file"));
        assert!(text("uv.lock", "version = 1\n[[package]]\nname = 3\n").starts_with("uv.lock:3: "));
        assert_eq!(text("uv.lock", "version = 2\n"), "uv.lock: its version is 2, and 1 is known here");
        assert_eq!(
            text("pylock.toml", "lock-version = '2.0'\n"),
            "pylock.toml: its lock-version is 2.0, and 1 is known here"
        );
        assert_eq!(
            text("poetry.lock", "[metadata]\nlock-version = '3.1'\n"),
            "poetry.lock: its lock-version is 3.1, and 1 and 2 are known here"
        );
    }

    #[test]
    fn a_file_counts_with_its_digest_and_as_a_file_of_its_package() {
        let lock = format!(
            "version = 1\n[[package]]\nname = 'demo'\nversion = '1.0'\nsource = {{ registry = 'https://index.example/simple' }}\n\
             sdist = {{ url = 'https://index.example/demo-1.0.tar.gz', hash = 'sha256:{DIGEST}' }}\n\
             wheels = [{{ url = 'https://index.example/a/demo-1.0%2Bcpu-py3-none-any.whl#x', hash = 'sha256:{DIGEST}' }},\n\
             {{ url = 'https://index.example/other-1.0-py3-none-any.whl', hash = 'sha256:{DIGEST}' }},\n\
             {{ url = 'https://index.example/../../demo-1.0-py2-none-any.whl', hash = 'md5:00' }}]\n\
             [[package]]\nname = 'me'\nsource = {{ editable = '.' }}\n\
             [[package]]\nname = 'bare'\nversion = '1'\nsource = {{ registry = 'x' }}\n"
        );
        let expected = "demo demo-1.0+cpu-py3-none-any.whl demo-1.0.tar.gz\n\
             uv.lock: left out \"other-1.0-py3-none-any.whl\" of demo 1.0: it is no wheel or sdist of demo\n\
             uv.lock: left out demo-1.0-py2-none-any.whl of demo 1.0: it has no sha256 digest there\n\
             uv.lock: left out me: it is a folder\n\
             uv.lock: bare 1: it names no file with a sha256 digest";
        assert_eq!(text("uv.lock", &lock), expected);
    }

    #[test]
    fn packages_of_one_name_do_not_multiply_their_files() {
        let package = "[[package]]\nname = 'a'\nversion = '1'\n".repeat(2000);
        let file = format!("{{file = 'a-1-py3-none-any.whl', hash = 'sha256:{DIGEST}'}},");
        let lock =
            format!("{package}[metadata]\nlock-version = '1.1'\n[metadata.files]\na = [{}]\n", file.repeat(2000));
        assert_eq!(
            text("poetry.lock", &lock),
            "poetry.lock: more than 200000 files of a lock file's packages (budget lock-files)"
        );
    }

    #[test]
    fn poetry_has_its_files_beside_the_package_or_at_the_end() {
        let file = format!("{{file = 'demo-1.0-py3-none-any.whl', hash = 'sha256:{DIGEST}'}}");
        let new = format!(
            "[[package]]\nname = 'demo'\nversion = '1.0'\nfiles = [{file}]\n[metadata]\nlock-version = '2.1'\n"
        );
        let old = format!(
            "[[package]]\nname = 'demo'\nversion = '1.0'\n[metadata]\nlock-version = '1.1'\n[metadata.files]\ndemo = [{file}]\n"
        );
        for lock in [new, old] {
            assert_eq!(text("poetry.lock", &lock), "demo demo-1.0-py3-none-any.whl");
        }
    }
}
