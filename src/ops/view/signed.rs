//! A tree and what was signed: the list and its signature lie beside it, and anybody can compare.

use crate::catalog::at::{RevisionSpec, collection_row};
use crate::catalog::view_contents::Shown;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::fs;
use crate::manifest::Layout;
use crate::name::CollectionName;
use crate::ops::collection::signed::{Newest, SignedReport, digest_of, revision_text};
use crate::signed::RevisionText;
use crate::signed::signers::Signers;
use crate::store::Store;
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The list of a revision.
pub(super) const TEXT: &str = "revision.txt";
/// Its signature.
pub(super) const SIGNATURE: &str = "revision.txt.sig";

/// Puts the list of the revision that a simple tree shows beside it, and its signature. A tree of several collections has none.
pub(super) fn put(store: &Store, shown: &Shown, layout: Layout, path: &Path, revision: i64) -> Result<()> {
    let [text, signature] = [TEXT, SIGNATURE].map(|name| path.join(name));
    let signed = match shown {
        Shown::Collection { name, .. } if layout == Layout::Simple => {
            if is_current(store, name, path, revision)? {
                return Ok(());
            }
            let spec = RevisionSpec { collection: name.clone(), revision: Some(revision.to_string()) };
            Some(revision_text(store, &spec, Newest::Any)?)
        }
        _ => None,
    };
    if !is_ours(&text)? {
        return match signed {
            Some(_) => Err(Error::ViewTarget { path: text, why: "it is there, and no list of ours".to_owned() }),
            None => Ok(()),
        };
    }
    // The old signature goes first: it is never beside a list that it isn't of.
    let wanted = signed.as_ref().and_then(|signed| signed.signature.as_deref());
    if !is_same(&text, signed.as_ref().map(|signed| signed.text.as_str())) || !is_same(&signature, wanted) {
        fs::remove_file(&signature)?;
        match &signed {
            Some(signed) => fs::write_durable(&text, signed.text.as_bytes())?,
            None => _ = fs::remove_file(&text)?,
        }
        if let Some(wanted) = wanted {
            fs::write_durable(&signature, wanted.as_bytes())?;
        }
    }
    Ok(())
}

/// Tells that the list is that of a revision, with the signature that this has; the list's lines are not looked at.
fn is_current(store: &Store, name: &CollectionName, path: &Path, revision: i64) -> Result<bool> {
    let rows = store.manifest.read()?;
    let row = collection_row(&rows, name)?;
    let signature = rows.newest_signature(row.id, revision)?.filter(|found| found.revision == revision);
    let heading = format!("wcas-revision/1\ncollection {name}\nrevision {revision}\n");
    let wanted = signature.as_ref().map(|found| found.signature.as_str());
    Ok(starts_with(&path.join(TEXT), &heading) && is_same(&path.join(SIGNATURE), wanted))
}

fn starts_with(path: &Path, heading: &str) -> bool {
    use std::io::Read as _;
    let mut head = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(heading.len() as u64).read_to_end(&mut head));
    read.is_ok() && head == heading.as_bytes()
}

/// Takes the list away, with a tree.
pub(super) fn remove(path: &Path) -> Result<()> {
    if is_ours(&path.join(TEXT))? {
        fs::remove_file(&path.join(SIGNATURE))?;
        fs::remove_file(&path.join(TEXT))?;
    }
    Ok(())
}

/// Tells whether there is no other's file of that name.
fn is_ours(text: &Path) -> Result<bool> {
    let Some(entry) = fs::entry(text)? else { return Ok(true) };
    Ok(entry.is_file() && starts_with(text, "wcas-revision/"))
}

fn is_same(path: &Path, wanted: Option<&str>) -> bool {
    std::fs::read(path).ok().as_deref() == wanted.map(str::as_bytes)
}

/// Checks that a tree is what was signed: every file of it is listed and has the right bytes, and every listed one is there.
pub fn verify_tree(context: &Context<'_>, dir: &Path, signers: &Signers) -> Result<SignedReport> {
    let mut report = SignedReport::new(None);
    let read = |name: &str| std::fs::read_to_string(dir.join(name));
    let (text, signature) = match (read(TEXT), read(SIGNATURE)) {
        (Ok(text), Ok(signature)) => (text, signature),
        (text, _) => {
            let name = if text.is_err() { TEXT } else { SIGNATURE };
            report.problem("unsigned", None, format!("{} can't be read", dir.join(name).display()));
            return Ok(report);
        }
    };
    let Some(parsed) = report.read(&text, &signature, signers) else { return Ok(report) };
    report.collection = Some(parsed.collection.clone());
    compare(context, dir, &parsed, &mut report)?;
    Ok(report)
}

fn compare(context: &Context<'_>, dir: &Path, parsed: &RevisionText, report: &mut SignedReport) -> Result<()> {
    let simple = dir.join("simple");
    let mut files: BTreeMap<String, PathBuf> = BTreeMap::new();
    for project in fs::names(&simple)? {
        let folder = simple.join(&project);
        if !folder.is_dir() {
            let is_page = ["index.html", "index.json"].iter().any(|page| project == *page);
            if !is_page {
                report.problem("unlisted", project.to_str(), "it belongs to no project");
            }
            continue;
        }
        for name in fs::names(&folder)? {
            let text = name.to_string_lossy().into_owned();
            let is_page = matches!(text.as_str(), "index.html" | "index.json");
            // What pip takes for a wheel's METADATA is told by the wheel; a document about variants by the wheels that it is about.
            let is_beside = text.strip_suffix(".metadata").is_some_and(|of| parsed.find(of).is_some())
                || text.ends_with("-variants.json");
            if !is_page && !is_beside {
                files.insert(text, folder.join(&name));
            }
        }
    }
    context.progress.start("hashing", files.len() as u64);
    let found: Vec<_> = files
        .par_iter()
        .map(|(name, path)| {
            let digest = std::fs::File::open(path).and_then(digest_of);
            context.progress.add(1);
            (name, digest)
        })
        .collect();
    context.progress.finish();
    for (name, digest) in found {
        match (parsed.find(name), digest) {
            (None, _) => report.problem("unlisted", Some(name), "it is not in the signed revision"),
            (Some(listed), Ok(digest)) if listed.sha256 == digest => report.files += 1,
            (Some(_), Ok(digest)) => {
                report.problem("corrupt", Some(name), format!("its bytes have the SHA-256 digest {digest}"));
            }
            (Some(_), Err(error)) => report.problem("corrupt", Some(name), format!("it can't be read: {error}")),
        }
    }
    for file in parsed.files.iter().filter(|file| !files.contains_key(&file.filename)) {
        report.problem("missing", Some(&file.filename), "it is listed and not there");
    }
    Ok(())
}
