//! Who owns the store's files and may write to them, and whether they are what they should be.

use super::Examination;
use crate::digest::Blake3;
use crate::error::Result;
use crate::fs;
use crate::words::counted;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Folders of the store, and the one kind of thing that lies in each.
const FOLDERS: [(&str, Kind); 8] = [
    ("blobs", Kind::Folder),
    ("documents", Kind::Folder),
    ("filenames", Kind::File),
    ("locks", Kind::File),
    ("metadata", Kind::Folder),
    ("named", Kind::Folder),
    ("quarantine", Kind::Any),
    ("staging", Kind::Folder),
];
const SESSIONS: &str = "sessions";
const ALL_MAY_WRITE: u32 = 0o002;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    File,
    Folder,
    Link,
    Any,
}

impl Kind {
    fn fits(self, found: &std::fs::Metadata) -> bool {
        match self {
            Self::File => found.is_file(),
            Self::Folder => found.is_dir(),
            Self::Link => found.is_symlink(),
            Self::Any => true,
        }
    }
}

/// What was found to differ from what this store makes.
#[derive(Debug, Default)]
struct Odd {
    writable: Vec<PathBuf>,
    foreign: Vec<PathBuf>,
    kinds: Vec<PathBuf>,
}

impl Odd {
    /// Looks at one name. What can't be looked at lies in a folder that is told of, or that is its owner's to look at.
    fn check_path(&mut self, path: &Path, kind: Kind, owner: u32) {
        let Ok(Some(found)) = fs::entry(path) else { return };
        if !kind.fits(&found) {
            self.kinds.push(path.to_owned());
        }
        if !found.is_symlink() && found.mode() & ALL_MAY_WRITE != 0 {
            self.writable.push(path.to_owned());
        }
        if found.uid() != owner {
            self.foreign.push(path.to_owned());
        }
    }

    fn look_below(&mut self, dir: &Path, kind: Kind, owner: u32) {
        let is_folder = matches!(fs::entry(dir), Ok(Some(found)) if found.is_dir());
        let names = if is_folder { fs::names(dir).unwrap_or_default() } else { Vec::new() };
        names.iter().for_each(|name| self.check_path(&dir.join(name), kind, owner));
    }
}

impl Examination<'_> {
    /// Looks at owners, permissions and kinds of all but the blobs; theirs are known by now.
    pub(super) fn rights(&mut self, blobs: Vec<(PathBuf, u32)>) -> Result<()> {
        let root = self.store.root().to_owned();
        let Some(owner) = fs::entry(&root)?.map(|found| found.uid()) else { return Ok(()) };
        let mut odd = Odd::default();
        odd.check_path(&root, Kind::Folder, owner);
        for name in fs::names(&root)? {
            let folder = FOLDERS.iter().find(|(folder, _)| name == *folder);
            odd.check_path(&root.join(&name), folder.map_or(Kind::File, |_| Kind::Folder), owner);
        }
        for (folder, kind) in FOLDERS {
            odd.look_below(&root.join(folder), kind, owner);
        }
        odd.kinds.retain(|path| *path != root.join("locks").join(SESSIONS));
        odd.check_path(&root.join("locks").join(SESSIONS), Kind::Folder, owner);
        odd.look_below(&root.join("locks").join(SESSIONS), Kind::File, owner);
        odd.look_below(&root.join("blobs/b3"), Kind::Folder, owner);
        for shard in fs::names(&root.join("metadata")).unwrap_or_default() {
            odd.look_below(&root.join("metadata").join(shard), Kind::File, owner);
        }
        for shard in fs::names_of(&root.join("named"), std::fs::FileType::is_dir).unwrap_or_default() {
            let shard = root.join("named").join(shard);
            for name in fs::names(&shard).unwrap_or_default() {
                // A link, or the folder of the links of one blob, named by its digest.
                let is_digest = name.to_str().is_some_and(|name| name.parse::<Blake3>().is_ok());
                odd.check_path(&shard.join(&name), if is_digest { Kind::Folder } else { Kind::Link }, owner);
                if is_digest {
                    odd.look_below(&shard.join(&name), Kind::Link, owner);
                }
            }
        }
        odd.foreign.extend(blobs.into_iter().filter(|(_, uid)| *uid != owner).map(|(path, _)| path));
        let Odd { writable, foreign, kinds } = odd;
        let path = root.display();
        if let Some(first) = kinds.first() {
            let detail =
                format!("{} of the store's own that is a link, a pipe or another thing", counted(kinds.len(), "name"));
            self.problem("kind", Some(first), detail, "nothing of this store's making: remove it by hand");
        }
        if let Some(first) = writable.first() {
            let detail = format!("{} that every user may write to, files or folders", counted(writable.len(), "name"));
            self.problem("writable", Some(first), detail, &format!("chmod -R o-w {path}"));
        }
        if let Some(first) = foreign.first() {
            let detail =
                format!("{} of another owner than the store, who can change the bytes", counted(foreign.len(), "file"));
            self.problem("owner", Some(first), detail, &format!("chown -R {owner} {path}, then `wcas verify`"));
        }
        Ok(())
    }
}
