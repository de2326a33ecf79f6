//! What is known of remotes without asking them: for `why`.

use super::choose::FileQuery;
use super::listing::Recall;
use super::page;
use crate::catalog::ownership::Ownership;
use crate::catalog::reach::{Matter, Reach};
use crate::catalog::wish::Wish;
use crate::error::Result;
use crate::index::read::{ListedFile, ListedPage};
use crate::manifest::{CollectionRow, RemoteRow};
use crate::name::{CollectionName, ProjectName, RemoteName};
use crate::store::Store;
use pep440_rs::Version;
use serde::Serialize;

/// What a remote has of a specification, as far as is remembered.
#[derive(Debug, Clone, Serialize)]
pub struct RemoteSight {
    /// The remote.
    pub remote: RemoteName,
    /// The collection that pulls from it.
    pub collection: CollectionName,
    /// Whether and why it is asked, and how it answered last.
    pub state: String,
    /// When its page was last fetched or found unchanged.
    pub fetched_at: Option<i64>,
    /// The files of its remembered page that are meant.
    pub files: Vec<RemoteFile>,
    /// What was left out of that page, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
}

/// A file of a remote.
#[derive(Debug, Clone, Serialize)]
pub struct RemoteFile {
    /// Its filename.
    pub filename: String,
    /// `can be pulled`, or why not.
    pub verdict: String,
}

/// Tells what the remotes of these collections have of a specification, without asking them.
pub(crate) fn remotes_of(
    store: &Store,
    order: &[&CollectionRow],
    own: &Ownership,
    wish: &Wish,
    now: i64,
) -> Result<Vec<RemoteSight>> {
    let Some(project) = wish.project() else { return Ok(Vec::new()) };
    let wanted = FileQuery { wish, now };
    let mut seen = Vec::new();
    let rows = &store.manifest;
    let reach = Reach::read(rows, order, Some(own), &project, Matter::Files)?.behind_nearer(rows, order)?;
    for (place, collection) in order.iter().enumerate() {
        for remote in rows.remotes_of(collection.id)? {
            seen.push(sight(store, &remote, &project, (&reach, place), &wanted)?);
        }
    }
    Ok(seen)
}

fn sight(
    store: &Store,
    remote: &RemoteRow,
    project: &ProjectName,
    (reach, place): (&Reach<'_>, usize),
    wanted: &FileQuery<'_>,
) -> Result<RemoteSight> {
    let mut sight = RemoteSight {
        remote: remote.name.clone(),
        collection: remote.collection_name.clone(),
        state: String::new(),
        fetched_at: None,
        files: Vec::new(),
        problems: Vec::new(),
    };
    if let Some(reason) = reach.objection(place, remote) {
        sight.state = format!("not asked: {reason}");
        return Ok(sight);
    }
    let question = match page::prepare(&store.manifest, remote, project, wanted.now)? {
        Ok(question) => question,
        Err(page::Answer::Failed(reason)) => {
            sight.state = reason;
            return Ok(sight);
        }
        Err(_) => {
            sight.state = format!("not asked: its patterns leave {project} out");
            return Ok(sight);
        }
    };
    let down = remote.is_failing().then(|| remote.failure.as_deref().unwrap_or("unknown"));
    let (fetched_at, answer) = question.kept(&store.manifest)?;
    sight.fetched_at = fetched_at;
    sight.state = match (&answer, down) {
        (Some(page::Answer::Failed(why)), _) => format!("nothing of it is taken: {why}"),
        (_, Some(why)) => format!("down: {why}"),
        (None, None) => "not asked yet".to_owned(),
        (Some(page::Answer::Absent), None) => format!("has no {project}"),
        (Some(_), None) => "has a page".to_owned(),
    };
    if let (Some(page::Answer::Page(page, _)), Ok(source)) = (&answer, page::source(remote)) {
        let (good, unfit) = wanted.choose(remote, &source, page);
        let file = |file: &ListedFile, verdict: String| RemoteFile { filename: file.name.as_str().to_owned(), verdict };
        let verdict =
            |file: &ListedFile| reach.file_objection(remote, file).unwrap_or_else(|| "can be pulled".to_owned());
        sight.files.extend(good.into_iter().map(|good| file(good, verdict(good))));
        sight.files.extend(unfit.into_iter().map(|(bad, why)| file(bad, why.to_string())));
        sight.problems.clone_from(&page.problems);
    }
    Ok(sight)
}

/// Returns the versions of a project that may be pulled from a remote, as far as is remembered of it. A flat remote's one page is read
/// once for all projects that are looked for.
pub(crate) fn remembered_versions(
    store: &Store,
    remote: &RemoteRow,
    project: &ProjectName,
    (recall, now): (&Recall, i64),
) -> Result<Vec<Version>> {
    let wish = Wish::of_project(project.clone());
    let Ok(source) = page::source(remote) else { return Ok(Vec::new()) };
    let page = match recall.files(store, remote, project)? {
        Some(files) if remote.includes(project) => ListedPage { files, ..ListedPage::default() },
        Some(_) => return Ok(Vec::new()),
        None => {
            let Ok(question) = page::prepare(&store.manifest, remote, project, now)? else { return Ok(Vec::new()) };
            let Some(page::Answer::Page(page, _)) = question.kept(&store.manifest)?.1 else { return Ok(Vec::new()) };
            page
        }
    };
    let (good, _) = FileQuery { wish: &wish, now }.choose(remote, &source, &page);
    Ok(good.into_iter().map(|file| file.name.version().clone()).collect())
}
