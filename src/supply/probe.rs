//! `remote test`: what another index speaks, how fast, and what its pages lack.

use super::page;
use super::signed_list::{self, ListAnswer, RemoteList};
use crate::catalog::at::remote_row;
use crate::context::Context;
use crate::error::Result;
use crate::index::read::{ListedPage, Syntax};
use crate::manifest::{RemoteRow, Scope};
use crate::name::{CollectionName, ProjectName, RemoteName};
use crate::remote::{Client, Failure, Layout, PageAnswer, Source, discover};
use crate::store::Store;
use crate::words::reason;
use serde::Serialize;
use std::time::Instant;

/// How much of a page says something.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Sample {
    /// The project whose page it is.
    pub project: Option<ProjectName>,
    /// `html` or `json`.
    pub syntax: Option<&'static str>,
    /// The API version that it claims.
    pub api_version: Option<String>,
    /// How long it took, in milliseconds.
    pub milliseconds: u64,
    /// Its files.
    pub files: usize,
    /// Files with a SHA-256 digest.
    pub hashes: usize,
    /// Files with a size.
    pub sizes: usize,
    /// Wheels whose METADATA can be had alone.
    pub metadata: usize,
    /// Files with an upload time.
    pub upload_times: usize,
    /// What was left out, and why.
    pub problems: Vec<String>,
}

/// The list of signed files that a remote must have.
#[derive(Debug, Clone, Serialize)]
pub struct SignedSample {
    /// The collection.
    pub collection: CollectionName,
    /// The revision.
    pub revision: i64,
    /// Who signed it, as the allowed signers call them.
    pub signer: String,
    /// How many files it has; none where it is the list that was there before.
    pub files: Option<usize>,
}

/// What `remote test` found.
#[derive(Debug, Serialize)]
pub struct ProbeReport {
    /// The remote.
    pub name: RemoteName,
    /// Its URL.
    pub url: String,
    /// Whether it answered.
    pub ok: bool,
    /// `simple`: a page for each project; `flat`: one for all.
    pub layout: Option<&'static str>,
    /// How many projects its root page names; none when it has no such page.
    pub projects: Option<usize>,
    /// How long the root page took, in milliseconds.
    pub milliseconds: u64,
    /// A project's page.
    pub sample: Option<Sample>,
    /// Its signed list, where it must have one and has.
    pub signed: Option<SignedSample>,
    /// Why it gave no answer, or none that is taken.
    pub failure: Option<String>,
    /// The last failure before this test, and when.
    pub last_failure: Option<String>,
    /// When that was.
    pub last_failed_at: Option<i64>,
}

/// Asks a remote for its root page and a project's page: that of `project`, else of one that the root page names, else of one that the
/// collection has.
pub fn test_remote(
    store: &Store,
    context: &Context<'_>,
    name: &RemoteName,
    project: Option<&ProjectName>,
) -> Result<ProbeReport> {
    let client = super::client(context)?;
    let remote = remote_row(&store.manifest, name)?;
    let mut report = ProbeReport {
        name: remote.name.clone(),
        url: remote.settings.url.clone(),
        ok: false,
        layout: None,
        projects: None,
        milliseconds: 0,
        sample: None,
        signed: None,
        failure: None,
        last_failure: remote.failure.clone(),
        last_failed_at: remote.failed_at,
    };
    let mut layout = None;
    match probe(store, client, &remote, project, &mut report)? {
        Ok(found) => layout = found,
        Err(failure) => report.failure = Some(failure),
    }
    let list = list(store, context, client, &remote, &mut report)?;
    report.ok = report.failure.is_none();
    if store.is_writable() {
        let transaction = store.manifest.write()?;
        if let Some(list) = &list {
            signed_list::record(&transaction, &remote, list, context.now)?;
        }
        if let Some(layout) = &layout {
            transaction.set_remote_layout(remote.id, Some(&layout.to_string()))?;
        }
        match &report.failure {
            None => transaction.set_remote_ok(remote.id, context.now)?,
            Some(failure) => transaction.set_remote_failure(remote.id, context.now, failure)?,
        }
        transaction.commit()?;
    }
    Ok(report)
}

/// Asks for the signed list that a remote must have.
fn list(
    store: &Store,
    context: &Context<'_>,
    client: &Client,
    remote: &RemoteRow,
    report: &mut ProbeReport,
) -> Result<Option<ListAnswer>> {
    let asked =
        RemoteList::read(&store.manifest, remote, context.now)?.and_then(|list| Ok((list, page::source(remote)?)));
    let (list, source) = match asked {
        Ok((Some(list), source)) => (list, source),
        Ok((None, _)) => return Ok(None),
        Err(why) => {
            report.failure.get_or_insert(why);
            return Ok(None);
        }
    };
    let brought = match list.fetch(client, &source) {
        Ok(brought) => brought,
        Err(failure) => {
            report.failure.get_or_insert(reason(&failure));
            return Ok(None);
        }
    };
    match list.sample(&brought) {
        Ok(sample) => report.signed = Some(sample),
        Err(why) => report.failure = Some(why),
    }
    Ok(Some(brought))
}

fn probe(
    store: &Store,
    client: &Client,
    remote: &RemoteRow,
    project: Option<&ProjectName>,
    report: &mut ProbeReport,
) -> Result<std::result::Result<Option<Layout>, String>> {
    let source = match page::source(remote) {
        Ok(source) => source,
        Err(reason) => return Ok(Err(reason)),
    };
    let start = Instant::now();
    let root = match root_page(client, &source) {
        Ok(root) => root,
        Err(failure) => return Ok(Err(reason(&failure))),
    };
    report.milliseconds = start.elapsed().as_millis() as u64;
    if let Some(root) = root.as_ref().filter(|root| !root.files.is_empty()) {
        report.layout = Some("flat");
        let projects: std::collections::BTreeSet<_> = root.files.iter().map(|file| file.name.project()).collect();
        report.projects = Some(projects.len());
        report.sample = Some(sample(root, None, report.milliseconds));
        return Ok(Ok(None));
    }
    report.projects = root.as_ref().filter(|root| !root.projects.is_empty()).map(|root| root.projects.len());
    let named = project.cloned().or_else(|| root.and_then(|root| root.projects.into_iter().next()));
    let project = match named {
        Some(project) => Some(project),
        None => store.manifest.entries(remote.collection, Scope::Live)?.into_iter().next().map(|entry| entry.project),
    };
    let Some(project) = project else {
        let why = "its root page names no project: say --project with one that it has";
        return Ok(if report.projects.is_some() { Ok(None) } else { Err(why.to_owned()) });
    };
    let start = Instant::now();
    let found = match discover(client, &source, &project) {
        Ok(found) => found,
        Err(failure) => return Ok(Err(reason(&failure))),
    };
    let milliseconds = start.elapsed().as_millis() as u64;
    let Some(layout) = found.layout else {
        return Ok(if report.projects.is_some() {
            Ok(None)
        } else {
            Err(format!("there is no index, and no page of {project}"))
        });
    };
    report.layout = Some(match &layout {
        Layout::Simple(_) => "simple",
        Layout::Flat(_) => "flat",
    });
    report.sample = found.page.map(|(_, page)| sample(&page, Some(project), milliseconds));
    Ok(Ok(Some(layout)))
}

/// Returns the root page: at the URL, or below `simple/`, where an index of its own name may be.
fn root_page(client: &Client, source: &Source) -> std::result::Result<Option<ListedPage>, Failure> {
    let mut url = source.url.clone();
    if !url.path().ends_with('/') {
        url.set_path(&format!("{}/", url.path()));
    }
    for below in ["", "simple/"] {
        let url = url.join(below).expect("a relative path fits any URL with a host");
        let PageAnswer::Page(page) = client.page(source, &url, None)? else { continue };
        // A folder that holds nothing but the index names one project, "simple".
        let is_index = |page: &ListedPage| {
            !page.files.is_empty() || page.projects.iter().any(|project| project.as_str() != "simple")
        };
        if let Some(page) = page.read().ok().filter(is_index) {
            return Ok(Some(page));
        }
    }
    Ok(None)
}

fn sample(page: &ListedPage, project: Option<ProjectName>, milliseconds: u64) -> Sample {
    let count = |has: fn(&crate::index::read::ListedFile) -> bool| page.files.iter().filter(|file| has(file)).count();
    Sample {
        project,
        syntax: page.syntax.map(|syntax| match syntax {
            Syntax::Html => "html",
            Syntax::Json => "json",
        }),
        api_version: page.version.clone(),
        milliseconds,
        files: page.files.len(),
        hashes: count(|file| file.sha256.is_some()),
        sizes: count(|file| file.size.is_some()),
        metadata: count(|file| file.sidecar.is_some()),
        upload_times: count(|file| file.uploaded_at.is_some()),
        problems: page.problems.clone(),
    }
}
