//! Ways in which the files of a store go wrong.

use crate::lab::{Lab, OLD};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use std::fmt;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::{FileExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use walkdir::WalkDir;

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Missing,
    /// A file without bytes, a folder without names.
    Empty,
    Half,
    FlippedBit,
    Longer,
    Folder,
    /// To the same bytes elsewhere.
    Link,
    Dangling,
    LinkToItself,
    Fifo,
    /// In a file's place another one's bytes, in a folder's place a file.
    Other,
    /// Only for a user whom permissions bind.
    NoMode,
    /// Something more in a folder.
    StrayFile,
    StrayFolder,
    StrayFifo,
    StrayLink,
    /// The manifest's page of this number with a flipped byte.
    Page(u64),
    /// What lies beside the manifest: its log, the log's index, a journal.
    Beside(&'static str, Bytes),
    /// The manifest of before the last changes.
    Old,
    /// A `wcas.json` of these words.
    Text(&'static str),
}

/// Contents of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bytes {
    Zeros,
    Noise,
    /// Of another store.
    Foreign,
    Folder,
    Fifo,
    Dangling,
}

use Kind::*;

const OF_FILES: [Kind; 11] =
    [Missing, Empty, Half, FlippedBit, Longer, Folder, Link, Dangling, LinkToItself, Fifo, Other];
const OF_FOLDERS: [Kind; 11] =
    [Missing, Empty, Link, Dangling, LinkToItself, Fifo, Other, StrayFile, StrayFolder, StrayFifo, StrayLink];
const TEXTS: [&str; 9] = [
    "",
    "{}",
    "[]",
    "null",
    "{\"store\":",
    "{\"format\":1,\"compat\":[],\"ro_compat\":[],\"incompat\":[\"from-the-future\"]}",
    "{\"format\":1,\"compat\":[],\"ro_compat\":[\"from-the-future\"],\"incompat\":[]}",
    "\0\0\0\0\0\0\0\0",
    "{\"format\":99999999999999999999}",
];

/// A way of damage to one file or folder.
#[derive(Debug, Clone)]
pub(crate) struct Damage {
    /// Relative to the folder that commands run in.
    pub(crate) path: PathBuf,
    pub(crate) kind: Kind,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}", self.kind, self.path.display())
    }
}

/// Returns all damage that can be done to a lab's store.
pub(crate) fn all(lab: &Lab) -> Vec<Damage> {
    let saved = lab.saved();
    let mut all = Vec::new();
    let manifest = PathBuf::from("store/manifest.sqlite");
    for entry in WalkDir::new(saved.join("store")).sort_by_file_name().into_iter().map(Result::unwrap) {
        let path = entry.path().strip_prefix(&saved).unwrap().to_owned();
        let kinds = match entry.file_type() {
            kind if kind.is_dir() => &OF_FOLDERS[..],
            kind if kind.is_file() => &OF_FILES[..],
            _ => &[Missing, Dangling, Folder, Other][..],
        };
        all.extend(kinds.iter().map(|kind| Damage { path: path.clone(), kind: *kind }));
        if !entry.file_type().is_symlink() {
            all.push(Damage { path, kind: NoMode });
        }
    }
    let pages = fs::metadata(saved.join(&manifest)).unwrap().len() / PAGE;
    all.extend((0..pages).map(|page| Damage { path: manifest.clone(), kind: Page(page) }));
    all.push(Damage { path: manifest, kind: Old });
    for name in ["store/manifest.sqlite-wal", "store/manifest.sqlite-shm", "store/manifest.sqlite-journal"] {
        use Bytes::*;
        for bytes in [Zeros, Noise, Foreign, Bytes::Folder, Bytes::Fifo, Bytes::Dangling] {
            all.push(Damage { path: name.into(), kind: Beside(name, bytes) });
        }
    }
    all.extend(TEXTS.iter().map(|text| Damage { path: "store/wcas.json".into(), kind: Text(text) }));
    all
}

/// The size of the manifest's pages.
const PAGE: u64 = 4096;

impl Damage {
    /// Does it; `number` chooses the bit, and the byte of a page. Returns whether it can be: some names are different in each store.
    pub(crate) fn apply(&self, lab: &Lab, number: u64) -> bool {
        let path = lab.work().join(&self.path);
        match (self.kind, path.symlink_metadata()) {
            // A server that runs has its log there.
            (Beside(..), Ok(_)) => remove(&path),
            (Beside(..), Err(_)) => {}
            (_, Err(_)) => return false,
            (_, Ok(_)) => {}
        }
        let elsewhere = lab.work().join("elsewhere");
        let fifo = |path: &Path| mknodat(CWD, path, FileType::Fifo, Mode::from(0o644), 0).unwrap();
        match self.kind {
            Missing => remove(&path),
            Empty if path.is_dir() => empty(&path),
            Empty => overwrite(&path, b""),
            Half => overwrite(&path, &fs::read(&path).unwrap()[..size(&path) / 2]),
            FlippedBit => flip(&path, number % (size(&path).max(1) as u64), number),
            Longer => overwrite(&path, &[fs::read(&path).unwrap(), b"more".to_vec()].concat()),
            Folder => {
                remove(&path);
                fs::create_dir(&path).unwrap();
                fs::write(path.join("inside"), "x").unwrap();
            }
            Link => fs::rename(&path, &elsewhere).and_then(|()| symlink(&elsewhere, &path)).unwrap(),
            Dangling | LinkToItself => {
                remove(&path);
                let to =
                    if self.kind == Dangling { Path::new("nowhere") } else { Path::new(path.file_name().unwrap()) };
                symlink(to, &path).unwrap();
            }
            Fifo => {
                remove(&path);
                fifo(&path);
            }
            Other => {
                remove(&path);
                fs::write(&path, noise(5000, number)).unwrap();
            }
            NoMode => fs::set_permissions(&path, Permissions::from_mode(0o000)).unwrap(),
            StrayFile => fs::write(path.join("README"), "not ours").unwrap(),
            StrayFolder => {
                fs::create_dir(path.join("lost+found")).unwrap();
                fs::write(path.join("lost+found/inside"), "x").unwrap();
            }
            StrayFifo => fifo(&path.join("pipe")),
            StrayLink => symlink("link", path.join("link")).unwrap(),
            Page(page) => flip(&path, page * PAGE + number % PAGE, number),
            Beside(_, bytes) => match bytes {
                Bytes::Zeros => fs::write(&path, vec![0; 32768]).unwrap(),
                Bytes::Noise => fs::write(&path, noise(40_000, number)).unwrap(),
                Bytes::Foreign => fs::write(&path, foreign(lab, &self.path)).unwrap(),
                Bytes::Folder => fs::create_dir(&path).unwrap(),
                Bytes::Fifo => fifo(&path),
                Bytes::Dangling => symlink("nowhere", &path).unwrap(),
            },
            Old => {
                fs::copy(lab.outside(OLD), &path).unwrap();
            }
            Text(text) => overwrite(&path, text.as_bytes()),
        }
        true
    }
}

fn size(path: &Path) -> usize {
    fs::metadata(path).unwrap().len() as usize
}

fn remove(path: &Path) {
    if path.is_dir() && !path.is_symlink() { fs::remove_dir_all(path).unwrap() } else { fs::remove_file(path).unwrap() }
}

fn empty(dir: &Path) {
    fs::read_dir(dir).unwrap().for_each(|entry| remove(&entry.unwrap().path()));
}

/// Writes in place, as what has it open by another name would.
fn overwrite(path: &Path, bytes: &[u8]) {
    let before = fs::metadata(path).unwrap().permissions();
    fs::set_permissions(path, Permissions::from_mode(0o644)).unwrap();
    fs::write(path, bytes).unwrap();
    fs::set_permissions(path, before).unwrap();
}

fn flip(path: &Path, at: u64, number: u64) {
    let before = fs::metadata(path).unwrap();
    fs::set_permissions(path, Permissions::from_mode(0o644)).unwrap();
    let file = File::options().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    if file.read_at(&mut byte, at).unwrap() == 1 {
        byte[0] ^= 1 << (number % 8);
        file.write_all_at(&byte, at).unwrap();
    }
    file.set_modified(before.modified().unwrap()).unwrap();
    fs::set_permissions(path, before.permissions()).unwrap();
}

fn noise(size: usize, seed: u64) -> Vec<u8> {
    crate::support::wheels::noise(size, seed)
}

/// Returns what another store's writer leaves there when it is killed.
fn foreign(lab: &Lab, path: &Path) -> Vec<u8> {
    let beside = lab.outside("foreign").join(path.strip_prefix("store").unwrap());
    fs::read(beside).unwrap_or_else(|_| noise(8192, 1))
}

/// Makes, once, another store whose writer ended while its log was there.
pub(crate) fn prepare(lab: &Lab) {
    let store = lab.outside("foreign");
    if !store.exists() {
        let args = ["--store", store.to_str().unwrap(), "import", "in"];
        drop(lab.finish(lab.command(&args).env("WCAS_FAULT", "kill@60")));
    }
}
