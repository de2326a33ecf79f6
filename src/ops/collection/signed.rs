//! Signed revisions: the text of what a collection holds, its signature, and whether the store still fits it.
//!
//! A text is made when it is asked for: nothing is computed at an import. What was signed is kept with its digest, and the newest text
//! itself, for gc may take what the revision had.

use crate::catalog::at::{RevisionSpec, collection_row, collection_rows, resolve};
use crate::context::Context;
use crate::digest::Sha256;
use crate::error::{Error, Result};
use crate::manifest::{CollectionRow, Rows, Scope, SignatureRow};
use crate::meter;
use crate::name::CollectionName;
use crate::signed::signers::Signers;
use crate::signed::sshsig::Signature;
use crate::signed::{self, ListedFile, NAMESPACE, ReadError, RevisionText};
use crate::store::Store;
use rayon::prelude::*;
use serde::Serialize;
use std::io::Read;

/// A revision's text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SignedText {
    /// The collection.
    pub collection: CollectionName,
    /// The revision.
    pub revision: i64,
    /// The digest of the text.
    pub digest: Sha256,
    /// The text.
    pub text: String,
    /// Its signature, armoured.
    pub signature: Option<String>,
    /// When that came, in seconds since 1970.
    pub signed_at: Option<i64>,
}

/// Which revision of a collection is meant, where none is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Newest {
    /// The newest one.
    Any,
    /// The newest one that is signed, where one is; so text and signature fit together whatever is imported in between.
    Signed,
}

/// Returns the text of a revision, and its signature if there is one.
pub fn revision_text(store: &Store, spec: &RevisionSpec, newest: Newest) -> Result<SignedText> {
    text_of(&*store.manifest.read()?, spec, newest)
}

fn text_of(rows: &Rows, spec: &RevisionSpec, newest: Newest) -> Result<SignedText> {
    let row = collection_row(rows, &spec.collection)?;
    let number = match (&spec.revision, newest) {
        (None, Newest::Signed) => {
            rows.newest_signature(row.id, row.revision)?.map_or(row.revision, |found| found.revision)
        }
        (None, Newest::Any) => row.revision,
        // The text of a signed revision may be there when its entries are not.
        (Some(asked), _) => match asked.parse() {
            Ok(number) if kept(rows, &row, number)?.is_some() => number,
            _ => resolve(rows, &row, Some(asked))?,
        },
    };
    let found = rows.newest_signature(row.id, number)?.filter(|found| found.revision == number);
    let text = match found.as_ref().and_then(|found| found.text.clone()) {
        Some(text) => text,
        None => made(rows, &row, number)?,
    };
    Ok(SignedText {
        collection: row.name,
        revision: number,
        digest: Sha256::of(text.as_bytes()),
        text,
        signed_at: found.as_ref().map(|found| found.signed_at),
        signature: found.map(|found| found.signature),
    })
}

/// Returns the signature of a revision whose text is kept.
fn kept(rows: &Rows, row: &CollectionRow, number: i64) -> Result<Option<SignatureRow>> {
    let found = rows.newest_signature(row.id, number)?;
    Ok(found.filter(|found| found.revision == number && found.text.is_some()))
}

/// Makes the text of a revision from its entries.
fn made(rows: &Rows, row: &CollectionRow, number: i64) -> Result<String> {
    let scope = if number == row.revision { Scope::Live } else { Scope::At(number) };
    let previous = rows.newest_signature(row.id, number - 1)?.map(|found| (found.revision, found.digest));
    let files = rows.listed_files(row.id, scope)?;
    let text = RevisionText { collection: row.name.clone(), revision: number, previous, files };
    Ok(text.render())
}

/// Keeps a signature of a revision's text.
pub fn keep_signature(
    store: &Store,
    context: &Context<'_>,
    signed: &SignedText,
    signature: &str,
) -> Result<SignedText> {
    store.require_writable()?;
    let refuse = |why: String| Error::Refused(format!("the signature is not kept: {why}"));
    let parsed = Signature::parse(signature).map_err(|error| refuse(error.to_string()))?;
    parsed.verify(NAMESPACE, signed.text.as_bytes()).map_err(|error| refuse(error.to_string()))?;
    let transaction = store.manifest.write()?;
    let row = collection_row(&transaction, &signed.collection)?;
    let newest = transaction.newest_signature(row.id, i64::MAX)?;
    // A text names the signed one before it, so that those that were signed can't change any more.
    if let Some(newest) = newest.filter(|newest| newest.revision > signed.revision) {
        return Err(refuse(format!("revision {} is signed already, and it is newer", newest.revision)));
    }
    let spec = RevisionSpec { collection: row.name.clone(), revision: Some(signed.revision.to_string()) };
    if text_of(&transaction, &spec, Newest::Any)?.digest != signed.digest {
        return Err(refuse(format!("{spec} is not what was signed")));
    }
    let row_of = SignatureRow {
        revision: signed.revision,
        digest: signed.digest,
        previous: transaction.newest_signature(row.id, signed.revision - 1)?.map(|found| found.revision),
        signature: signature.to_owned(),
        signed_at: context.now,
        text: Some(signed.text.clone()),
    };
    transaction.insert_signature(row.id, &row_of)?;
    let kept = text_of(&transaction, &spec, Newest::Any)?;
    transaction.commit()?;
    Ok(kept)
}

/// Something that doesn't fit what was signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SignedProblem {
    /// `unsigned`, `signature`, `signer`, `changed`, `unlisted`, `missing`, `corrupt`.
    pub kind: &'static str,
    /// The file.
    pub filename: Option<String>,
    /// The same in words.
    pub detail: String,
}

/// Whether a collection, or a tree, is what somebody signed.
#[derive(Debug, Serialize)]
pub struct SignedReport {
    /// The collection.
    pub collection: Option<CollectionName>,
    /// The revision that is signed.
    pub revision: Option<i64>,
    /// Who signed it, as the file of allowed signers calls them.
    pub signer: Option<String>,
    /// How many files were compared with the list.
    pub files: usize,
    /// What doesn't fit.
    pub problems: Vec<SignedProblem>,
}

impl SignedReport {
    pub(crate) fn new(collection: Option<CollectionName>) -> Self {
        Self { collection, revision: None, signer: None, files: 0, problems: Vec::new() }
    }

    pub(crate) fn problem(&mut self, kind: &'static str, filename: Option<&str>, detail: impl Into<String>) {
        self.problems.push(SignedProblem { kind, filename: filename.map(str::to_owned), detail: detail.into() });
    }

    /// Reads a text and finds out who signed it; `None`: nobody who may, and the problem says why.
    pub(crate) fn read(&mut self, text: &str, signature: &str, signers: &Signers) -> Option<RevisionText> {
        match signed::read(text, signature, signers) {
            Ok((signer, parsed)) => {
                (self.signer, self.revision) = (Some(signer), Some(parsed.revision));
                Some(parsed)
            }
            Err(error) => {
                let kind = if error == ReadError::Signer { "signer" } else { "signature" };
                self.problem(kind, None, error.to_string());
                None
            }
        }
    }
}

/// Checks that collections are what was signed: the newest signature of each, its list against the entries now, and every listed file's
/// bytes against their digest. All collections, where none is named.
pub fn verify_signed(
    store: &Store,
    context: &Context<'_>,
    names: &[CollectionName],
    signers: &Signers,
) -> Result<Vec<SignedReport>> {
    let transaction = store.manifest.read()?;
    let rows = collection_rows(&transaction, names)?;
    rows.iter().map(|row| check(store, context, &transaction, row, signers)).collect()
}

fn check(
    store: &Store,
    context: &Context<'_>,
    rows: &Rows,
    row: &CollectionRow,
    signers: &Signers,
) -> Result<SignedReport> {
    let mut report = SignedReport::new(Some(row.name.clone()));
    let spec = RevisionSpec { collection: row.name.clone(), revision: None };
    let now = rows.listed_files(row.id, Scope::Live)?;
    if rows.newest_signature(row.id, i64::MAX)?.is_none() {
        report.problem("unsigned", None, format!("no revision of {} is signed", row.name));
        return Ok(report);
    }
    let signed = text_of(rows, &spec, Newest::Signed)?;
    let signature = signed.signature.unwrap_or_default();
    let Some(parsed) = report.read(&signed.text, &signature, signers) else { return Ok(report) };
    if (&parsed.collection, parsed.revision) != (&row.name, signed.revision) {
        report.problem("signature", None, format!("it was made for {}@{}", parsed.collection, parsed.revision));
        return Ok(report);
    }
    let is_whole = signed.revision >= row.complete_since && signed.revision <= row.revision;
    if is_whole && made(rows, row, signed.revision)? != signed.text {
        let text = format!("{} at revision {} is not what was signed", row.name, signed.revision);
        report.problem("changed", None, text);
    }
    for file in &now {
        match parsed.find(&file.filename) {
            Some(listed) if (listed.sha256, listed.size) == (file.sha256, file.size) => {}
            Some(_) => report.problem("changed", Some(&file.filename), "it has other bytes now than were signed"),
            None => report.problem("unlisted", Some(&file.filename), "it is not in the signed revision"),
        }
    }
    let files: Vec<&ListedFile> = now.iter().filter(|file| parsed.find(&file.filename).is_some()).collect();
    context.progress.start_files("hashing", files.len() as u64, files.iter().map(|file| file.size).sum());
    let blobs = files.iter().map(|file| Ok((*file, rows.find_blob_by_sha256(&file.sha256)?)));
    let blobs = blobs.collect::<Result<Vec<_>>>()?;
    let own = &store.blobs;
    let bad: Vec<_> = blobs
        .into_par_iter()
        .filter_map(|(file, blob)| {
            let state = blob.as_ref().filter(|blob| blob.state.is_available());
            let opened = state.and_then(|blob| own.open(&blob.blake3).ok());
            let found =
                context.progress.on(&file.filename, file.size, || opened.and_then(|bytes| digest_of(bytes).ok()));
            match found {
                Some(digest) if digest == file.sha256 => None,
                Some(digest) => Some((file, format!("its bytes have the SHA-256 digest {digest}"))),
                None => Some((file, "its bytes can't be read".to_owned())),
            }
        })
        .collect();
    context.progress.finish();
    for (file, detail) in bad {
        report.problem("corrupt", Some(&file.filename), detail);
    }
    report.files = files.len();
    Ok(report)
}

/// Returns the SHA-256 digest of what can be read.
pub(crate) fn digest_of(mut bytes: impl Read) -> std::io::Result<Sha256> {
    use sha2::Digest as _;
    let (mut hasher, mut part) = (sha2::Sha256::new(), vec![0; 1 << 17]);
    loop {
        match bytes.read(&mut part)? {
            0 => return Ok(Sha256::from_bytes(hasher.finalize().into())),
            count => {
                hasher.update(&part[..count]);
                meter::passed(count as u64);
            }
        }
    }
}
