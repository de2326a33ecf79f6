//! Reads the files and folders that a command is made of.

use super::{FileKind, KeyFile};
use crate::blobs::Blobs;
use crate::digest::Digests;
use crate::error::{Error, Result};
use crate::{fs, parallel};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Something to be hashed.
struct Found {
    name: String,
    path: PathBuf,
    kind: FileKind,
}

/// Reads files, and folders with all that is in them but `except`, where the command puts what it makes. A path that is given leads
/// where a link says; links in folders count as what they say. Names are relative to `base`; what lies elsewhere has its own
/// name alone.
pub fn read_key_files(paths: &[PathBuf], base: &Path, except: &Path, jobs: usize) -> Result<Vec<KeyFile>> {
    let except = std::fs::canonicalize(except).ok();
    let mut found = Vec::new();
    for path in paths {
        let label = label(path, base)?;
        let metadata = std::fs::metadata(path).map_err(fs::Error::at("read", path))?;
        if metadata.is_dir() {
            walk(path, &label, except.as_deref(), &mut found)?;
        } else {
            found.push(Found { name: label, path: path.clone(), kind: kind(path, &metadata)? });
        }
    }
    parallel::map(jobs, &found, Found::read).into_iter().collect()
}

/// Returns the name that a path that was given has in the key.
fn label(path: &Path, base: &Path) -> Result<String> {
    let path = fs::absolute(path)?;
    let inner = path.strip_prefix(base).ok();
    text(inner.unwrap_or_else(|| path.file_name().map_or(Path::new(""), Path::new)))
}

fn walk(dir: &Path, label: &str, except: Option<&Path>, found: &mut Vec<Found>) -> Result<()> {
    // The folder itself is real by then; in it, links are left as they are.
    let dir = std::fs::canonicalize(dir).map_err(fs::Error::at("resolve", dir))?;
    let walk = walkdir::WalkDir::new(&dir).min_depth(1).into_iter();
    for entry in walk.filter_entry(|entry| Some(entry.path()) != except) {
        let entry = entry.map_err(|error| {
            let path = error.path().unwrap_or(&dir).to_owned();
            Error::Disk(fs::Error::at("read", path)(error.into()))
        })?;
        if entry.file_type().is_dir() {
            continue;
        }
        let metadata = std::fs::symlink_metadata(entry.path()).map_err(fs::Error::at("look at", entry.path()))?;
        let inner = entry.path().strip_prefix(&dir).expect("a walk stays below its root");
        let name = text(&Path::new(label).join(inner))?;
        found.push(Found { name, kind: kind(entry.path(), &metadata)?, path: entry.into_path() });
    }
    Ok(())
}

fn kind(path: &Path, metadata: &std::fs::Metadata) -> Result<FileKind> {
    match metadata.file_type() {
        kind if kind.is_symlink() => Ok(FileKind::Link),
        kind if kind.is_file() && metadata.permissions().mode() & 0o111 != 0 => Ok(FileKind::Program),
        kind if kind.is_file() => Ok(FileKind::File),
        _ => {
            let text = "is neither a file nor a folder, so it can be no part of a key: name what lies beside it";
            Err(Error::Refused(format!("{} {text}", path.display())))
        }
    }
}

fn text(path: &Path) -> Result<String> {
    path.to_str().map(str::to_owned).ok_or_else(|| {
        Error::Refused(format!("{} is not UTF-8, so it can be no part of a key: rename it", path.display()))
    })
}

impl Found {
    fn read(&self) -> Result<KeyFile> {
        let blake3 = match self.kind {
            FileKind::Link => {
                let target = std::fs::read_link(&self.path).map_err(fs::Error::at("read", &self.path))?;
                Digests::of(target.as_os_str().as_bytes()).blake3
            }
            FileKind::File | FileKind::Program => Blobs::hash(&self.path)?.0,
        };
        Ok(KeyFile { name: self.name.clone(), kind: self.kind, blake3 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{create_dir_all, set_permissions, write};

    #[test]
    fn a_folder_is_all_that_is_in_it_by_relative_names() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let read = |base: &str, paths: &[&str]| {
            let paths: Vec<PathBuf> = paths.iter().map(|path| root.join(path)).collect();
            let mut files = read_key_files(&paths, &root.join(base), &root.join("one/src/out"), 2).unwrap();
            files.sort();
            files
        };
        for copy in ["one", "two"] {
            create_dir_all(root.join(copy).join("src/deep")).unwrap();
            write(root.join(copy).join("src/deep/a.c"), "a").unwrap();
            write(root.join(copy).join("src/run"), "b").unwrap();
            set_permissions(root.join(copy).join("src/run"), PermissionsExt::from_mode(0o755)).unwrap();
            std::os::unix::fs::symlink("../absent", root.join(copy).join("src/link")).unwrap();
        }
        create_dir_all(root.join("one/src/out")).unwrap();
        write(root.join("one/src/out/x.whl"), "made").unwrap();
        let one = read("one", &["one/src"]);
        let names: Vec<(&str, FileKind)> = one.iter().map(|file| (file.name.as_str(), file.kind)).collect();
        let expected = [("src/deep/a.c", FileKind::File), ("src/link", FileKind::Link), ("src/run", FileKind::Program)];
        assert_eq!(names, expected);
        assert_eq!(one, read("two", &["two/src"]), "another checkout is the same");
        assert_eq!(read("one", &["one/src/run"])[0].name, "src/run");
        assert_eq!(read("two", &["one/src/run"])[0].name, "run", "what lies elsewhere has its own name alone");
        std::fs::remove_file(root.join("two/src/link")).unwrap();
        std::os::unix::fs::symlink("../other", root.join("two/src/link")).unwrap();
        assert_ne!(one, read("two", &["two/src"]), "a link is what it says");
    }

    #[test]
    fn what_cannot_be_read_is_told_with_its_path() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("absent");
        let error = read_key_files(std::slice::from_ref(&path), dir.path(), dir.path(), 1).unwrap_err();
        assert!(error.to_string().contains("absent"), "{error}");
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RUSR).unwrap();
        let error = read_key_files(&[path], dir.path(), dir.path(), 1).unwrap_err();
        assert!(error.to_string().contains("neither a file nor a folder"), "{error}");
    }
}
