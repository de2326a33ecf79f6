//! Finds the files to import: given by name, below folders, behind symlinks.

use crate::fs::Signature;
use crate::manifest::Origin;
use crate::requirement::Spec;
use crate::wheel::{DistributionFilename, Kind};
use crate::words::reason;
use serde::Serialize;
use std::collections::HashSet;
use std::error::Error as StdError;
use std::path::{Path, PathBuf};

/// A file to import.
#[derive(Debug, Clone)]
pub struct Source {
    /// Where it is.
    pub path: PathBuf,
    /// Its name, which says what it is.
    pub filename: String,
    /// Its stat.
    pub signature: Signature,
    /// Where it came from, when it was downloaded.
    pub origin: Option<Origin>,
    /// The reason of its yank there, maybe empty.
    pub yanked: Option<String>,
    /// What a builder says of it.
    pub made: Made,
}

/// What a builder says of a distribution.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Made {
    /// It was fetched as it is, where others build from source.
    pub is_prebuilt: bool,
    /// Where its source, or the pre-built file, came from, without credentials.
    pub source_url: Option<String>,
}

/// An input that was not imported.
#[derive(Debug, Clone, Serialize)]
pub struct Refused {
    /// Where it is.
    #[serde(serialize_with = "crate::fs::text::path")]
    pub path: PathBuf,
    /// Why not.
    pub reason: String,
}

impl Refused {
    /// Takes the reason from an error and its causes.
    pub(super) fn new(path: &Path, error: &dyn StdError) -> Self {
        Self { path: path.to_owned(), reason: reason(error) }
    }
}

/// Something in a folder that is not meant for the store.
#[derive(Debug, Clone, Serialize)]
pub struct Skipped {
    /// Where it is.
    #[serde(serialize_with = "crate::fs::text::path")]
    pub path: PathBuf,
    /// Why it was passed over.
    pub reason: String,
}

/// Finds the files to import below these paths. A path that is given must be a distribution; what else lies in folders is passed
/// over. Folders are read recursively, in order; symlinks lead to files, not to folders. The folder `except` (the store) is left
/// out.
pub fn find_sources(paths: &[PathBuf], except: Option<&Path>) -> (Vec<Source>, Vec<Refused>, Vec<Skipped>) {
    let mut finder = Finder { except: except.and_then(|path| std::fs::canonicalize(path).ok()), ..Finder::default() };
    for path in paths {
        match std::fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => finder.walk(path),
            Ok(metadata) if metadata.is_file() => finder.take_file(path, &metadata, true),
            Ok(_) => finder.refuse(path, "neither a file nor a folder"),
            Err(error) => finder.refuse(path, &meant_by(path).unwrap_or_else(|| error.to_string())),
        }
    }
    (finder.sources, finder.refused, finder.skipped)
}

/// Says what to do about a path that isn't there and looks like something else: a URL, or what names distributions.
pub fn meant_by(path: &Path) -> Option<String> {
    let text = path.to_str()?;
    if let Some(name) = ["https://", "http://"].iter().find_map(|scheme| text.strip_prefix(scheme)) {
        let last = name.split(['?', '#']).next().and_then(|name| name.rsplit('/').next()).unwrap_or_default();
        let decoded = percent_encoding::percent_decode_str(last).decode_utf8_lossy();
        let Ok(filename) = DistributionFilename::parse(&decoded) else {
            return Some(
                "a URL is no file: `wcas remote add NAME URL` makes an index a remote, and `wcas pull SPEC --from NAME` takes from it"
                    .to_owned(),
            );
        };
        return Some(format!(
            "a URL is no file: `wcas pull '{}=={}' --from REMOTE` takes it from an index that `wcas remote add` named, checked by its \
             digest; or fetch it, check it, and import the file {}",
            filename.project(),
            filename.version(),
            filename.as_str(),
        ));
    }
    // A path has no operator in it, but by chance.
    let is_spec = text.contains(['=', '<', '>', '~', '!']) && matches!(text.parse(), Ok(Spec::Project { .. }));
    is_spec.then(|| {
        format!("no such file; `wcas pull '{text}'` takes what that names from the collection's remotes, `wcas import '{text}' --from REMOTE` from one")
    })
}

#[derive(Default)]
struct Finder {
    except: Option<PathBuf>,
    sources: Vec<Source>,
    refused: Vec<Refused>,
    skipped: Vec<Skipped>,
    known: HashSet<(i64, i64, String)>,
}

impl Finder {
    fn walk(&mut self, dir: &Path) {
        let except = self.except.clone();
        let is_store = |path: &Path| except.is_some() && std::fs::canonicalize(path).ok() == except;
        let walk = walkdir::WalkDir::new(dir).sort_by_file_name().into_iter();
        for entry in walk.filter_entry(|entry| !(entry.file_type().is_dir() && is_store(entry.path()))) {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    let path = error.path().unwrap_or(dir).to_owned();
                    let reason = error.io_error().map_or_else(|| error.to_string(), ToString::to_string);
                    self.refuse(&path, &reason);
                    continue;
                }
            };
            if entry.file_type().is_dir() {
                continue;
            }
            let path = entry.path();
            match std::fs::metadata(path) {
                Ok(metadata) if metadata.is_file() => self.take_file(path, &metadata, false),
                Ok(metadata) if metadata.is_dir() => self.skip(path, "a symlink to a folder"),
                Ok(_) => self.skip(path, "not a regular file"),
                Err(_) if entry.path_is_symlink() => self.skip(path, "a symlink that leads nowhere"),
                Err(error) => self.refuse(path, &error.to_string()),
            }
        }
    }

    fn take_file(&mut self, path: &Path, metadata: &std::fs::Metadata, is_given: bool) {
        let Some(filename) = path.file_name().and_then(|name| name.to_str()) else {
            return self.refuse(path, "the name is not UTF-8");
        };
        let kind = Kind::meant_by(filename);
        let (is_wheel, is_sdist) = (kind == Some(Kind::Wheel), kind == Some(Kind::Sdist));
        let parsed = DistributionFilename::parse(filename);
        match (is_given, is_wheel, is_sdist && parsed.is_ok()) {
            (_, true, _) | (_, _, true) => {}
            (true, ..) if is_sdist => {}
            (true, ..) => return self.refuse(path, "not a wheel (.whl) or sdist (.tar.gz, .zip)"),
            (false, ..) => return self.skip(path, "not a wheel or sdist"),
        }
        let signature = Signature::of(metadata);
        // The same file behind several paths is one source.
        if self.known.insert((signature.device, signature.inode, filename.to_owned())) {
            let (path, filename) = (path.to_owned(), filename.to_owned());
            self.sources.push(Source { path, filename, signature, origin: None, yanked: None, made: Made::default() });
        }
    }

    fn refuse(&mut self, path: &Path, reason: &str) {
        self.refused.push(Refused { path: path.to_owned(), reason: reason.to_owned() });
    }

    fn skip(&mut self, path: &Path, reason: &str) {
        self.skipped.push(Skipped { path: path.to_owned(), reason: reason.to_owned() });
    }
}
