//! What stands in a tree, which anybody may have changed since it was made.

use super::simple::SimpleTree;
use crate::fs;
use rayon::prelude::*;
use std::collections::HashMap;
use std::path::Path;

/// What readers find in a project's folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Standing {
    /// How many files.
    pub files: usize,
    /// How many of their `.metadata`.
    pub sidecars: usize,
}

impl SimpleTree {
    /// Looks at the folder of each project that is shown; `None`: a page is gone, a link leads nowhere, or the folder itself is gone.
    pub fn standing(&self) -> HashMap<String, Option<Standing>> {
        let simple = self.dir().join("simple");
        let names: Vec<&String> = self.shown().collect();
        names.into_par_iter().map(|name| (name.clone(), standing_in(&simple.join(name)))).collect()
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
        match name.to_str()? {
            _ if is_page => pages += 1,
            name if name.ends_with(".metadata") => standing.sidecars += 1,
            name if name.ends_with(".json") => {}
            _ => standing.files += 1,
        }
    }
    (pages == 2).then_some(standing)
}
