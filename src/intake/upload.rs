//! An upload: one file that a client of the server sent, on the terms of uploads.

use super::{ImportOptions, ImportPolicy, ImportedDistribution, Made, Objection, Source, Target, import_on};
use crate::blobs::LinkMode;
use crate::context::Context;
use crate::digest::Sha256;
use crate::error::Result;
use crate::fs::{self, Signature};
use crate::keep::health::is_usable;
use crate::manifest::{Entry, TokenId};
use crate::store::Store;
use crate::wheel::{self, DistributionFilename, Trust};
use crate::words::reason;
use std::path::Path;

/// What became of an upload.
#[derive(Debug)]
pub enum Upload {
    /// It is in a collection, which may have had it; with what its guard warns of.
    Taken(Box<ImportedDistribution>, Option<String>),
    /// The collection has other bytes under its name, with this digest.
    Existing(Option<Sha256>),
    /// Who sent it may not put it where it goes: this says what would let them.
    Forbidden(String),
    /// It isn't taken, for this reason.
    Refused(String),
}

/// How an upload is taken.
#[derive(Debug, Clone)]
pub struct UploadTerms {
    /// Where it goes.
    pub target: Target,
    /// It may take the place of other bytes.
    pub is_replacing: bool,
    /// Whether it comes from a builder, and not from people: those build again what was invalidated.
    pub is_builders: bool,
    /// The token whose reach counts wherever it goes; `None`: nobody's.
    pub token: Option<TokenId>,
    /// What its builder says of it.
    pub made: Made,
}

/// Takes a file that lies in staging, and moves it into the store.
pub fn upload(store: &Store, context: &Context<'_>, path: &Path, filename: &str, terms: UploadTerms) -> Result<Upload> {
    let metadata = std::fs::metadata(path).map_err(fs::Error::at("look at", path))?;
    let source = Source {
        path: path.to_owned(),
        filename: filename.to_owned(),
        signature: Signature::of(&metadata),
        origin: None,
        yanked: None,
        made: terms.made.clone(),
    };
    if let Ok(name) = DistributionFilename::parse(filename)
        && let Err(error) = wheel::check_sent(&fs::open(path)?, &name)
    {
        return Ok(Upload::Refused(reason(&error)));
    }
    let options = options(&terms, LinkMode::Move);
    import_one(
        store,
        context,
        source,
        &options,
        ImportPolicy::Upload { is_builders: terms.is_builders, token: terms.token },
    )
}

/// Takes a file that the store has already, without its bytes coming again; `None`: it hasn't, or its bytes are bad.
///
/// Who asks must be allowed to see it: else a digest alone would open what others keep to themselves.
pub fn refer(store: &Store, context: &Context<'_>, entry: &Entry, terms: UploadTerms) -> Result<Option<Upload>> {
    let Some(row) = store.manifest.blob(entry.blob)? else { return Ok(None) };
    if !is_usable(store, &row)? {
        return Ok(None);
    }
    let path = store.blobs.path(&row.blake3);
    let metadata = std::fs::metadata(&path).map_err(fs::Error::at("look at", &path))?;
    let source = Source {
        path,
        filename: entry.filename.clone(),
        signature: Signature::of(&metadata),
        origin: entry.origin.clone(),
        yanked: None,
        made: terms.made.clone(),
    };
    let options = options(&terms, LinkMode::Auto);
    let terms = ImportPolicy::Upload { is_builders: terms.is_builders, token: terms.token };
    import_one(store, context, source, &options, terms).map(Some)
}

fn options(terms: &UploadTerms, link: LinkMode) -> ImportOptions {
    ImportOptions { target: terms.target.clone(), link, keep_existing: !terms.is_replacing, trust: Trust::Neither }
}

fn import_one(
    store: &Store,
    context: &Context<'_>,
    source: Source,
    options: &ImportOptions,
    terms: ImportPolicy,
) -> Result<Upload> {
    let (path, filename) = (source.path.clone(), source.filename.clone());
    let (mut report, mut objections) = import_on(store, context, vec![source], options, terms)?;
    // Where the file lay is nothing for a client.
    let clean = |text: String| text.replace(&path.display().to_string(), &filename);
    Ok(match (report.distributions.pop(), objections.pop().map(|objected| objected.objection), report.refused.pop()) {
        (Some(distribution), ..) => {
            let warned = report.warned.pop().map(|warned| clean(warned.reason));
            Upload::Taken(Box::new(distribution), warned)
        }
        (None, Some(Objection::Existing(sha256)), _) => Upload::Existing(sha256),
        (None, Some(Objection::Forbidden(reason)), _) => Upload::Forbidden(clean(reason)),
        (None, Some(Objection::Other(reason)), _) => Upload::Refused(clean(reason)),
        (None, None, refused) => {
            let nothing = || "nothing was imported".to_owned();
            Upload::Refused(refused.map_or_else(nothing, |refused| clean(refused.reason)))
        }
    })
}
