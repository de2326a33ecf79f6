//! The trees on disk: anybody may have changed what stands there since it was made.

use super::VerifyReport;
use crate::context::Context;
use crate::error::Result;
use crate::ops::view;
use crate::store::Store;
use crate::words::reason;
use serde::Serialize;
use std::path::PathBuf;

/// A tree that isn't as it was made.
#[derive(Debug, Clone, Serialize)]
pub struct DamagedTree {
    /// Its folder.
    #[serde(serialize_with = "crate::fs::text::path")]
    pub path: PathBuf,
    /// What is wrong.
    pub detail: String,
    /// Whether it was made anew.
    pub repaired: bool,
}

/// Looks at all trees, and makes anew what is missing of them where that is asked for. It comes last: right bytes are in place again.
pub(super) fn look(store: &Store, context: &Context<'_>, repair: bool, report: &mut VerifyReport) -> Result<()> {
    for row in store.manifest.views()? {
        // Who deleted a tree whole wanted that, or its disk isn't mounted: `doctor` tells of it, and no byte is wrong.
        if view::is_away(&row) {
            continue;
        }
        let Some(mut detail) = view::damage(store, &row)? else { continue };
        let mut repaired = false;
        if repair && store.is_writable() {
            match view::mend(store, context, &row.path) {
                Ok(is_whole) => repaired = is_whole,
                Err(error) => detail = format!("{detail}; and then: {}", reason(&error)),
            }
        }
        report.trees.push(DamagedTree { path: PathBuf::from(row.path), detail, repaired });
    }
    Ok(())
}
