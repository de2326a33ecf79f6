//! Whether an HTML page without a file is an index at all.
//!
//! An empty project is remembered as such; a login form or an error page that came with status 200 must not be. In doubt a page
//! is no index: then the next place is asked, and nothing is remembered.

use super::ListedPage;

/// Words in the titles of index pages and directory listings, in lower case.
const TITLES: [&str; 6] =
    ["links for", "simple index", "simple list", "index of", "directory listing", "simple repository"];

/// What a page shows, beside its links.
#[derive(Default)]
pub(super) struct Looks {
    pub(super) is_html: bool,
    pub(super) has_text: bool,
    pub(super) has_anchor: bool,
    pub(super) has_form: bool,
    /// A link to an egg or the like: files that are not ours, but an index has them.
    pub(super) has_other_file: bool,
    pub(super) status: Option<String>,
    pub(super) status_reason: Option<String>,
    pub(super) title: String,
}

impl Looks {
    /// Returns why a page can't be an index, if so.
    pub(super) fn foreign(&self, page: &ListedPage) -> Option<String> {
        let title = self.title.to_ascii_lowercase();
        let is_marked = page.version.is_some() || TITLES.iter().any(|word| title.contains(word));
        if is_marked || !page.files.is_empty() || !page.problems.is_empty() {
            return None;
        }
        let is_blank = self.is_html && !self.has_text && !self.has_anchor;
        let reason = if self.has_form {
            "it has a form or a script, and no file"
        } else if !page.projects.is_empty() || self.has_other_file || is_blank {
            return None;
        } else if self.is_html || self.has_anchor {
            "it has no link to a file or a project"
        } else {
            "it is neither HTML nor JSON"
        };
        let title: String =
            self.title.lines().find(|line| !line.trim().is_empty()).unwrap_or("").trim().chars().take(80).collect();
        Some(if title.is_empty() { reason.to_owned() } else { format!("{reason}; its title is {title:?}") })
    }
}
