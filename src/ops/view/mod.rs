//! `view`: a collection at a revision or what a variant sees, printed as a page or list, or written as a tree or site.

mod changes;
mod make;
mod page;
mod place;
mod signed;
mod site;
mod tree;

pub use page::{Format, ViewOptions, ViewReport, view};
pub use place::{DropReport, drop_tree};
pub(super) use place::{damage, is_away, is_unfinished, mend};
pub use signed::verify_tree;
pub use site::{DropSiteReport, SiteOptions, SiteReport, drop_site, view_site};
pub(super) use tree::copies;
pub use tree::{TreeOptions, TreeReport, view_tree};

use crate::catalog::listed_file::line as file;
use crate::manifest::Entry;

/// Takes out the entries whose bytes are lost, and returns their filenames.
fn split_lost(entries: &mut Vec<Entry>) -> Vec<String> {
    let lost = entries.extract_if(.., |entry| !entry.state.is_available());
    lost.map(|entry| entry.filename).collect()
}

/// The longest name, in bytes, that can have `.metadata` after it: common filesystems have names of 255.
const LONGEST_NAME: usize = 255 - ".metadata".len();

/// Tells whether a tree can have a file's METADATA beside it: of very long names `NAME.metadata` is too long.
fn has_sidecar(entry: &Entry) -> bool {
    entry.filename.len() <= LONGEST_NAME
}
