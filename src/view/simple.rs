//! The tree of PEP 503: a page for each project with its files beside it.
//!
//! ```text
//! DIR/simple                 -> .wcas/g-7            what readers see; changed by one rename
//! DIR/.wcas/g-7/index.html, index.json               the pages that list the projects
//! DIR/.wcas/g-7/requests     -> ../p/requests@1f6c…  one link for each project
//! DIR/.wcas/p/requests@1f6c…/                        pages, files and sidecars of a project; never changed once shown
//! DIR/.wcas/view.json                                whose the tree is
//! ```
//!
//! A project's folder is named by all that its pages show, so that one that didn't change is shown again as it is. Where a single
//! project changed, its one link is replaced; else a generation of links is made and `simple` goes over to it. What was not shown
//! yet may be torn by a power cut: it is made anew.

use super::mark::{Found, Mark, Owner};
use super::{Document, Error, FileLink, LinkMaker, Result};
use crate::fs::{self, Folder};
use rayon::prelude::*;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The mark's name, and the one that it is written under first.
const MARK: [&str; 2] = ["view.json", "view.tmp"];

/// A project as the plan sees it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Project {
    /// Its name.
    pub name: String,
    /// A digest of all that its pages and links show.
    pub fingerprint: String,
}

impl Project {
    fn dir_name(&self) -> String {
        format!("{}@{}", self.name, self.fingerprint)
    }
}

/// What a project's folder holds.
#[derive(Debug)]
pub struct Content {
    /// `index.html`.
    pub html: Vec<u8>,
    /// `index.json`.
    pub json: Vec<u8>,
    /// Its files.
    pub files: Vec<FileLink>,
    /// What is beside them.
    pub documents: Vec<Document>,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimplePlan {
    /// The projects whose folders must be made, by position.
    pub make: Vec<usize>,
    /// How it is shown.
    pub show: Show,
}

/// How a plan becomes visible.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Show {
    /// Readers see it already.
    Nothing,
    /// By replacing the link of this project.
    Link(usize),
    /// By a new generation.
    Generation,
}

/// A tree on disk.
#[derive(Debug)]
pub struct SimpleTree {
    dir: PathBuf,
    root: Option<Folder>,
    /// `.wcas`, a folder of our own; all that is made or removed in it goes through this handle.
    hidden: Option<Folder>,
    projects: Option<Folder>,
    owner: Option<Owner>,
    /// The generation that readers see.
    current: Option<String>,
    shown: HashMap<String, String>,
}

impl SimpleTree {
    /// Looks at the folder, which must exist, and what it shows; one that shows something else is refused.
    pub fn open(dir: &Path) -> Result<Self> {
        let foreign = |why: &str| Error::Foreign { path: dir.to_owned(), why: why.to_owned() };
        let root = Folder::root(dir)?;
        let hidden = own(&root, ".wcas").map_err(|why| foreign(&why))?;
        let (mut projects, mut owner) = (None, None);
        if let Some(hidden) = &hidden {
            if let Some(name) = hidden.names()?.iter().find(|name| !name.to_str().is_some_and(is_made)) {
                return Err(foreign(&format!("`.wcas` in it was not made by wcas: it holds {}", name.display())));
            }
            projects = own(hidden, "p").map_err(|why| foreign(&why))?;
            if let Found::Mark(mark) = Mark::read(hidden, MARK[0])? {
                owner = Some(mark.owner);
            }
        }
        let shown = HashMap::new();
        let mut tree = Self { dir: dir.to_owned(), root: Some(root), hidden, projects, owner, current: None, shown };
        let simple = dir.join("simple");
        if fs::entry(&dir.join(".wcas-view"))?.is_some() {
            return Err(foreign("it is a view with the flat layout; remove that first"));
        }
        let Some(entry) = fs::entry(&simple)? else { return Ok(tree) };
        let target = std::fs::read_link(&simple).ok().filter(|_| entry.is_symlink());
        let generation = target.as_deref().and_then(|target| target.strip_prefix(".wcas").ok()).and_then(Path::to_str);
        let generation = generation.filter(|name| is_generation(name));
        let Some(generation) = generation else { return Err(foreign("`simple` in it was not made by wcas")) };
        let shown = match &tree.hidden {
            Some(hidden) => own(hidden, generation).map_err(|why| foreign(&why))?,
            None => None,
        };
        for name in shown.as_ref().map_or_else(|| Ok(Vec::new()), Folder::names)? {
            let target = shown.as_ref().and_then(|shown| std::fs::read_link(shown.at(&name)).ok()).unwrap_or_default();
            let (Some(name), Some(target)) = (name.to_str(), target.file_name().and_then(|name| name.to_str())) else {
                continue;
            };
            if let Some((_, fingerprint)) = target.rsplit_once('@') {
                tree.shown.insert(name.to_owned(), fingerprint.to_owned());
            }
        }
        tree.current = Some(generation.to_owned());
        Ok(tree)
    }

    /// Returns whose tree it is, if it tells.
    pub fn owner(&self) -> Option<&Owner> {
        self.owner.as_ref()
    }

    /// Tells whether readers see anything.
    pub fn is_shown(&self) -> bool {
        self.current.is_some()
    }

    /// Returns the folder in which the folders of projects are.
    pub fn projects_dir(&self) -> PathBuf {
        self.dir.join(".wcas/p")
    }

    /// Returns the tree's folder.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Returns the projects that are shown, as their folders are made.
    pub fn shown(&self) -> impl Iterator<Item = Project> + '_ {
        self.shown.iter().map(|(name, fingerprint)| Project { name: name.clone(), fingerprint: fingerprint.clone() })
    }

    /// Digests all that it shows.
    pub fn digest(&self) -> String {
        let mut names: Vec<String> = self.shown().map(|project| project.dir_name()).collect();
        names.sort_unstable();
        blake3::hash(names.join("/").as_bytes()).to_hex().to_string()
    }

    /// Notes that a project's folder, which was looked at, is as it was made.
    pub fn confirm(&self, project: &Project) -> Result<()> {
        let dir = self.projects.as_ref().map(|projects| projects.child(&project.dir_name())).transpose()?.flatten();
        Ok(dir.map_or(Ok(()), |dir| dir.stamp(made_at(&project.fingerprint)))?)
    }

    /// Has a project's folder, which isn't as it was made, made anew.
    pub fn forget(&mut self, project: &str) {
        self.shown.insert(project.to_owned(), String::new());
    }

    /// Decides what to make, and how to show it.
    pub fn plan(&self, wanted: &[Project]) -> SimplePlan {
        let is_shown = |project: &Project| self.shown.get(&project.name) == Some(&project.fingerprint);
        let make: Vec<usize> = (0..wanted.len()).filter(|&index| !is_shown(&wanted[index])).collect();
        let is_same_list = self.is_shown()
            && self.shown.len() == wanted.len()
            && wanted.iter().all(|project| self.shown.contains_key(&project.name));
        let show = match make.as_slice() {
            [] if is_same_list => Show::Nothing,
            [index] if is_same_list => Show::Link(*index),
            _ => Show::Generation,
        };
        SimplePlan { make, show }
    }

    /// Removes what readers don't see: left by a run that was killed, or shown before.
    pub fn sweep(&self) -> Result<()> {
        let keep: HashSet<String> =
            self.shown.iter().map(|(name, fingerprint)| format!("{name}@{fingerprint}")).collect();
        let stale = |names: Vec<std::ffi::OsString>, keep: &dyn Fn(&str) -> bool| -> Vec<std::ffi::OsString> {
            names.into_iter().filter(|name| !name.to_str().is_some_and(keep)).collect()
        };
        if let Some(projects) = &self.projects {
            let left = stale(projects.names()?, &|name| keep.contains(name));
            left.par_iter().try_for_each(|name| remove(&projects.at(name)))?;
        }
        if let Some(hidden) = &self.hidden {
            let is_kept =
                |name: &str| name == "p" || name == MARK[0] || !is_made(name) || Some(name) == self.current.as_deref();
            stale(hidden.names()?, &is_kept).iter().try_for_each(|name| remove(&hidden.at(name)))?;
        }
        Ok(())
    }

    /// Makes the folders that everything else goes into, and says whose they are.
    pub fn prepare(&mut self, owner: &Owner) -> Result<()> {
        let root = self.root.as_ref().expect("an opened tree has its folder");
        let hidden = root.make(".wcas")?;
        if self.owner.as_ref() != Some(owner) {
            Mark::new(owner).write(&hidden, MARK[0])?;
            self.owner = Some(owner.clone());
        }
        self.projects = Some(hidden.make("p")?);
        self.hidden = Some(hidden);
        Ok(())
    }

    /// Makes the folder of a project, which readers don't see yet.
    pub fn make(&self, project: &Project, content: &Content, links: &LinkMaker) -> Result<()> {
        let projects = self.projects.as_ref().expect("a tree is prepared before projects are made");
        let dir = projects.make(&project.dir_name())?;
        for file in &content.files {
            links.link_in(&file.blob, &dir, &file.filename)?;
            if let Some(sidecar) = &file.sidecar {
                links.link_in(sidecar, &dir, &format!("{}.metadata", file.filename))?;
            }
        }
        for document in &content.documents {
            fs::write_new(&dir.at(&document.filename), &document.bytes)?;
        }
        fs::write_new(&dir.at("index.json"), &content.json)?;
        fs::write_new(&dir.at("index.html"), &content.html)?;
        Ok(dir.stamp(made_at(&project.fingerprint))?)
    }

    /// Shows what was made, durably, by one rename.
    pub fn show(&mut self, plan: &SimplePlan, wanted: &[Project], number: i64, html: &[u8], json: &[u8]) -> Result<()> {
        let (root, hidden) =
            self.root.as_ref().zip(self.hidden.as_ref()).expect("a tree is prepared before it is shown");
        let temporary = hidden.at("link.tmp");
        let shown;
        let link_of = |project: &Project| Path::new("../p").join(project.dir_name());
        // Another store that made this tree counted its generations apart.
        let mut names = (number..).map(|number| format!("g-{number}"));
        let name = names.find(|name| self.current.as_ref() != Some(name)).unwrap_or_default();
        let (from, to) = match (&plan.show, &self.current) {
            (Show::Nothing, _) => return Ok(()),
            (Show::Link(index), Some(current)) => {
                fs::symlink(&link_of(&wanted[*index]), &temporary)?;
                shown = hidden.make(current)?;
                (temporary, shown.at(&wanted[*index].name))
            }
            _ => {
                let dir = hidden.make(&name)?;
                wanted.par_iter().try_for_each(|project| fs::symlink(&link_of(project), &dir.at(&project.name)))?;
                fs::write_new(&dir.at("index.json"), json)?;
                fs::write_new(&dir.at("index.html"), html)?;
                fs::symlink(&Path::new(".wcas").join(&name), &temporary)?;
                self.current = Some(name);
                (temporary, root.at("simple"))
            }
        };
        // All that the rename will show must be on the disk before it.
        fs::sync_filesystem(&hidden.handle())?;
        fs::rename(&from, &to)?;
        fs::sync_dir(fs::parent(&to))?;
        self.shown = wanted.iter().map(|project| (project.name.clone(), project.fingerprint.clone())).collect();
        Ok(())
    }

    /// Removes the tree: first what readers see, then the rest. Other files in the folder stay.
    pub fn remove(&self) -> Result<()> {
        let Some(root) = &self.root else { return Ok(()) };
        if self.is_shown() {
            fs::remove_file(&root.at("simple"))?;
        }
        // The row goes next, and with it what keeps the blobs: after a power cut no reader may find the tree again. Not only
        // where it was shown, since who removed it may have been cut off.
        fs::sync_dir(&root.handle())?;
        if let Some(hidden) = &self.hidden {
            let is_mark = |name: &str| name == MARK[0];
            let names: Vec<_> = hidden.names()?.into_iter().filter_map(|name| name.into_string().ok()).collect();
            for name in names.iter().filter(|name| is_made(name) && !is_mark(name)) {
                remove(&hidden.at(name))?;
            }
            // Until all else is gone, the rest is known to be ours.
            fs::sync_dir(&hidden.handle())?;
            remove(&hidden.at(MARK[0]))?;
            fs::remove_empty_dir(&root.at(".wcas"))?;
            fs::sync_dir(&root.handle())?;
        }
        Ok(())
    }
}

/// Returns the time that a project's folder gets when it is made, and that any change of what is in it moves on: some second of the
/// years 1980 to 2013, even, since some filesystems keep no others.
pub(super) fn made_at(fingerprint: &str) -> SystemTime {
    const START: u64 = 315_532_800;
    let digest = fingerprint.bytes().fold(0u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte)));
    UNIX_EPOCH + Duration::from_secs(START + u64::from(digest) / 8 * 2)
}

/// Opens a folder that must be one of our own, if it is there; else says why it is none.
fn own(folder: &Folder, name: &str) -> std::result::Result<Option<Folder>, String> {
    match folder.child(name) {
        Ok(None) => Ok(None),
        Ok(Some(child)) if child.is_own().unwrap_or(false) => Ok(Some(child)),
        Ok(Some(_)) => Err(format!("`{name}` in it is another user's")),
        Err(_) => Err(format!("`{name}` in it was not made by wcas: it is no folder")),
    }
}

fn is_generation(name: &str) -> bool {
    name.strip_prefix("g-").is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Tells whether a name in `.wcas` is one that we give.
fn is_made(name: &str) -> bool {
    name == "p" || name == "link.tmp" || MARK.contains(&name) || is_generation(name)
}

/// Removes a file, link or folder by its name in an open folder.
fn remove(path: &Path) -> Result<()> {
    match fs::entry(path)? {
        Some(entry) if entry.is_dir() => fs::remove_tree(path)?,
        _ => fs::remove_file(path).map(drop)?,
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project(name: &str, fingerprint: &str) -> Project {
        Project { name: name.to_owned(), fingerprint: fingerprint.to_owned() }
    }

    #[test]
    fn one_changed_project_is_one_link_and_a_changed_list_is_a_generation() {
        let shown = [("a", "1"), ("b", "1")].map(|(name, fingerprint)| (name.to_owned(), fingerprint.to_owned()));
        let tree = SimpleTree {
            dir: PathBuf::new(),
            root: None,
            hidden: None,
            projects: None,
            owner: None,
            current: Some("g-1".to_owned()),
            shown: HashMap::from(shown),
        };
        let plan = |wanted: &[Project]| tree.plan(wanted);
        assert_eq!(plan(&[project("a", "1"), project("b", "1")]), SimplePlan { make: vec![], show: Show::Nothing });
        assert_eq!(plan(&[project("a", "1"), project("b", "2")]), SimplePlan { make: vec![1], show: Show::Link(1) });
        assert_eq!(
            plan(&[project("a", "2"), project("b", "2")]),
            SimplePlan { make: vec![0, 1], show: Show::Generation }
        );
        assert_eq!(plan(&[project("a", "1")]), SimplePlan { make: vec![], show: Show::Generation });
        assert_eq!(plan(&[project("a", "1"), project("c", "1")]), SimplePlan { make: vec![1], show: Show::Generation });
    }
}
