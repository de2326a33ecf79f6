//! An upload: one file that a client of the server sent, on the terms of uploads.

use super::{ImportOptions, ImportedDistribution, Objection, Source, Target, Terms, import_on};
use crate::blobs::LinkMode;
use crate::digest::Sha256;
use crate::error::Result;
use crate::fs::{self, Signature};
use crate::ops::{Context, reason};
use crate::store::Store;
use crate::wheel;
use std::path::Path;

/// What became of an upload.
#[derive(Debug)]
pub enum Upload {
    /// It is in a collection, which may have had it; with what its guard warns of.
    Taken(Box<ImportedDistribution>, Option<String>),
    /// The collection has other bytes under its name, with this digest.
    Existing(Option<Sha256>),
    /// It isn't taken, for this reason.
    Refused(String),
}

/// Takes a file that lies in staging, and moves it into the store. With `is_replacing` it may take the place of other bytes.
pub fn upload(
    store: &Store,
    context: &Context<'_>,
    path: &Path,
    filename: &str,
    target: Target,
    is_replacing: bool,
) -> Result<Upload> {
    let metadata = std::fs::metadata(path).map_err(fs::Error::at("look at", path))?;
    let source = Source {
        path: path.to_owned(),
        filename: filename.to_owned(),
        signature: Signature::of(&metadata),
        origin: None,
        yanked: None,
    };
    if filename.ends_with(".whl")
        && let Err(error) = wheel::check_members(&fs::open(path)?)
    {
        return Ok(Upload::Refused(reason(&error)));
    }
    let options = ImportOptions { target, link: LinkMode::Move, keep_existing: !is_replacing };
    let (mut report, mut objections) = import_on(store, context, vec![source], &options, Terms::Upload)?;
    // Where the file lay is nothing for a client.
    let clean = |text: String| text.replace(&path.display().to_string(), filename);
    Ok(match (report.distributions.pop(), objections.pop(), report.refused.pop()) {
        (Some(distribution), ..) => {
            let warned = report.warned.pop().map(|warned| clean(warned.reason));
            Upload::Taken(Box::new(distribution), warned)
        }
        (None, Some((_, Objection::Existing(sha256))), _) => Upload::Existing(sha256),
        (None, Some((_, Objection::Other(reason))), _) => Upload::Refused(clean(reason)),
        (None, None, refused) => {
            let nothing = || "nothing was imported".to_owned();
            Upload::Refused(refused.map_or_else(nothing, |refused| clean(refused.reason)))
        }
    })
}
