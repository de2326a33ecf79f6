//! `wcas collection sign` and `revision`, `wcas verify --signed`: what collections hold, signed by OpenSSH's own keys.

use super::app::App;
use super::{End, print};
use serde::Serialize;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use wcas::catalog::at::RevisionSpec;
use wcas::error::{Error, Result};
use wcas::name::CollectionName;
use wcas::ops;
use wcas::ops::collection::{Newest, SignedReport};
use wcas::signed::NAMESPACE;
use wcas::signed::signers::Signers;

/// Prints the text of a revision, or its signature.
pub(super) fn revision(app: &App, spec: &RevisionSpec, wants_signature: bool) -> Result<End> {
    let store = app.open()?;
    let newest = if wants_signature { Newest::Signed } else { Newest::Any };
    let found = ops::collection::revision_text(&store, spec, newest)?;
    if wants_signature && found.signature.is_none() {
        return Err(Error::NoSuch(format!("signature of {spec}; `wcas collection sign {spec} --key FILE` makes one")));
    }
    app.report("collection-revision", &found, |out| {
        let text = if wants_signature { found.signature.as_deref().unwrap_or_default() } else { found.text.as_str() };
        out.write_all(text.as_bytes())
    })?;
    Ok(End::Done)
}

/// Signs a revision by the system's `ssh-keygen`, which knows agents, hardware and passphrases.
pub(super) fn sign(app: &App, spec: &RevisionSpec, key: &Path) -> Result<End> {
    let store = app.open()?;
    store.require_writable()?;
    let text = ops::collection::revision_text(&store, spec, Newest::Any)?;
    let signature = ssh_sign(key, &text.text)?;
    let kept = ops::collection::keep_signature(&store, &app.context(), &text, &signature)?;
    app.done("collection-sign", &kept, |out| {
        writeln!(out, "signed {}@{} (sha256 {})", kept.collection, kept.revision, kept.digest)
    })?;
    Ok(End::Done)
}

fn ssh_sign(key: &Path, text: &str) -> Result<String> {
    let failed = |why: String| {
        let source = std::io::Error::other(format!("`ssh-keygen -Y sign`: {why}"));
        Error::Disk(wcas::fs::Error { act: "sign with", path: key.to_owned(), source })
    };
    let mut command = Command::new("ssh-keygen");
    command.args(["-Y", "sign", "-n", NAMESPACE, "-f"]).arg(key);
    // Its questions and complaints go to the terminal.
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut child = child.map_err(|error| failed(format!("{error}; OpenSSH is needed to sign")))?;
    let written = child.stdin.take().map_or(Ok(()), |mut stdin| stdin.write_all(text.as_bytes()));
    let output = child.wait_with_output().map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        return Err(failed(output.status.to_string()));
    }
    written.map_err(|error| failed(error.to_string()))?;
    String::from_utf8(output.stdout).map_err(|_| failed("it printed no signature".to_owned()))
}

#[derive(Serialize)]
struct Document<'a> {
    signed: &'a [SignedReport],
}

/// Compares collections, or a tree, with what was signed.
pub(super) fn verify(app: &App, signers: &Path, collections: &[CollectionName], tree: Option<&Path>) -> Result<End> {
    let text = std::fs::read_to_string(signers).map_err(wcas::fs::Error::at("read", signers))?;
    let signers = Signers::parse(&text).map_err(|error| Error::Refused(error.to_string()))?;
    let reports = match tree {
        Some(dir) => vec![ops::view::verify_tree(&app.context(), dir, &signers)?],
        None => ops::collection::verify_signed(&app.open()?, &app.context(), collections, &signers)?,
    };
    app.report("verify-signed", &Document { signed: &reports }, |out| {
        for report in &reports {
            let place = report.collection.as_ref().map_or("the tree", |name| name.as_str());
            if let (Some(revision), Some(signer)) = (report.revision, &report.signer) {
                let files = print::count(report.files, "file");
                writeln!(out, "{place}: revision {revision}, signed by {}: {files}", print::escaped(signer))?;
            }
            for problem in &report.problems {
                let file = problem.filename.as_ref().map(|name| format!("{name}: ")).unwrap_or_default();
                writeln!(out, "{place}: {}: {}", problem.kind, print::escaped(&format!("{file}{}", problem.detail)))?;
            }
        }
        Ok(())
    })?;
    let is_good = reports.iter().all(|report| report.problems.is_empty());
    Ok(if is_good { End::Done } else { End::Problems })
}
