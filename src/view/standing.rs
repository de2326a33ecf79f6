//! What stands in a tree, which anybody may have changed since it was made.

use super::simple::{Project, SimpleTree, made_at};
use crate::fs;
use rayon::prelude::*;
use std::collections::{BTreeSet, HashMap};
use std::path::Path;

/// What readers find in a project's folder, beside pages and documents.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Standing {
    /// Its files.
    pub files: BTreeSet<String>,
    /// Their `.metadata`.
    pub sidecars: BTreeSet<String>,
}

impl SimpleTree {
    /// Looks at the folder of each project that is shown; `None`: a page is gone, a link leads nowhere, or the folder itself is gone.
    pub fn standing(&self) -> HashMap<Project, Option<Standing>> {
        self.standing_of(self.shown().collect())
    }

    /// Looks at the folders that may not be as they were made, since something came, went or got another name in them, a page is empty,
    /// or, where files are symlinks, one leads nowhere.
    pub fn altered(&self, has_symlinks: bool) -> HashMap<Project, Option<Standing>> {
        let simple = self.dir().join("simple");
        let shown: Vec<Project> = self.shown().collect();
        let is_as_made = |project: &Project| {
            let dir = simple.join(&project.name);
            let is_page = |name| std::fs::metadata(dir.join(name)).is_ok_and(|page| page.is_file() && page.len() > 0);
            let time = std::fs::metadata(&dir).and_then(|folder| folder.modified());
            time.is_ok_and(|time| time == made_at(&project.fingerprint))
                && is_page("index.html")
                && is_page("index.json")
                && (!has_symlinks || standing_in(&dir).is_some())
        };
        self.standing_of(shown.into_par_iter().filter(|project| !is_as_made(project)).collect())
    }

    fn standing_of(&self, projects: Vec<Project>) -> HashMap<Project, Option<Standing>> {
        let simple = self.dir().join("simple");
        let look = |project: Project| {
            let standing = standing_in(&simple.join(&project.name));
            (project, standing)
        };
        projects.into_par_iter().map(look).collect()
    }
}

fn standing_in(dir: &Path) -> Option<Standing> {
    let mut standing = Standing::default();
    let mut pages = 0;
    for (kind, name) in fs::kinds(dir).ok()? {
        let is_page = name == "index.html" || name == "index.json";
        // What the folder itself says costs nothing more. At the end of a link, too, there must be a file, and pages say something.
        if is_page || !kind.is_file() {
            let found = std::fs::metadata(dir.join(&name)).ok()?;
            (found.is_file() && (!is_page || found.len() > 0)).then_some(())?;
        }
        match name.into_string().ok()? {
            _ if is_page => pages += 1,
            name if name.ends_with(".metadata") => _ = standing.sidecars.insert(name),
            name if name.ends_with(".json") => {}
            name => _ = standing.files.insert(name),
        }
    }
    (pages == 2).then_some(standing)
}
