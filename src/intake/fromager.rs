//! What lies where in a `wheels-repo` of fromager.

use super::Skipped;
use crate::error::{Error, Result};
use crate::name::CollectionName;
use std::path::{Path, PathBuf};

/// The folders of a `wheels-repo`, and of the `sdists-repo` beside it, that have distributions of their own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FromagerRepo {
    /// Built, fetched and half-way moved wheels, and the sources.
    pub common: Vec<PathBuf>,
    /// What was routed to a variant.
    pub variants: Vec<(CollectionName, PathBuf)>,
    /// The sources that fromager packed again, patched: they have the names of the original ones and other bytes.
    pub packed_again: Option<PathBuf>,
}

/// Finds the folders below a `wheels-repo`, or below the folder that has one; `simple` has links to them, which are no wheels more.
pub fn find_fromager(path: &Path) -> Result<(FromagerRepo, Vec<Skipped>)> {
    let inner = path.join("wheels-repo");
    let wheels = if inner.is_dir() { inner } else { path.to_owned() };
    let mut repo = FromagerRepo::default();
    let folders = ["downloads", "prebuilt", "build"].map(|name| wheels.join(name));
    repo.common.extend(folders.into_iter().filter(|folder| folder.is_dir()));
    let mut skipped = Vec::new();
    if let Ok(entries) = std::fs::read_dir(wheels.join("variants")) {
        let mut folders: Vec<PathBuf> =
            entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
        folders.sort();
        for folder in folders {
            let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            match name.parse() {
                Ok(name) => repo.variants.push((name, folder)),
                Err(error) => {
                    skipped.push(Skipped { path: folder, reason: format!("no variant can be called so: {error}") });
                }
            }
        }
    }
    if repo.common.is_empty() && repo.variants.is_empty() {
        let text = "has none of downloads, prebuilt, build and variants: it is no wheels-repo of fromager";
        return Err(Error::Refused(format!("{} {text}", wheels.display())));
    }
    let sdists = wheels.canonicalize().ok().and_then(|wheels| Some(wheels.parent()?.join("sdists-repo")));
    let folder = |name: &str| sdists.as_ref().map(|sdists| sdists.join(name)).filter(|folder| folder.is_dir());
    repo.common.extend(folder("downloads"));
    repo.packed_again = folder("builds");
    Ok((repo, skipped))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::create_dir_all;

    #[test]
    fn all_folders_with_distributions_are_found_and_no_links() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        assert!(find_fromager(&root).is_err());
        for name in ["downloads", "build/71", "prebuilt", "simple/demo", "variants/cuda", "variants/Not A Name"] {
            create_dir_all(root.join("wheels-repo").join(name)).unwrap();
        }
        create_dir_all(root.join("sdists-repo/downloads")).unwrap();
        create_dir_all(root.join("sdists-repo/builds")).unwrap();
        let (repo, skipped) = find_fromager(&root).unwrap();
        let wheels = root.join("wheels-repo");
        let common = ["downloads", "prebuilt", "build"].map(|name| wheels.join(name));
        let common: Vec<PathBuf> = common.into_iter().chain([root.join("sdists-repo/downloads")]).collect();
        let variants = vec![("cuda".parse().unwrap(), wheels.join("variants/cuda"))];
        let packed_again = Some(root.join("sdists-repo/builds"));
        assert_eq!(repo, FromagerRepo { common, variants, packed_again });
        assert_eq!(skipped.len(), 1);
        assert_eq!(find_fromager(&wheels).unwrap().0, repo, "its own path does as well");
    }
}
