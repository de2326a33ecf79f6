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
        names.into_par_iter().map(|name| (name.clone(), look(&simple.join(name)))).collect()
    }
}

fn look(dir: &Path) -> Option<Standing> {
    let mut standing = Standing::default();
    let mut pages = 0;
    let names = fs::names(dir).ok()?;
    for name in names {
        // At the end of a link, too, there must be a file.
        let found = std::fs::metadata(dir.join(&name)).ok().filter(|found| found.is_file())?;
        match name.to_str()? {
            "index.html" | "index.json" => pages += usize::from(found.len() > 0),
            name if name.ends_with(".metadata") => standing.sidecars += 1,
            name if name.ends_with(".json") => {}
            _ => standing.files += 1,
        }
    }
    (pages == 2).then_some(standing)
}
