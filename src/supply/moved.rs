//! A file that isn't where a remembered page has it: the page is asked once more, and the file at its new link.
//!
//! Files move to other hosts and folders, and links that are signed end. Both look like a file that isn't there.

use super::page;
use super::task::Task;
use crate::context::Context;
use crate::remote::{Client, Failure};
use crate::store::Store;

/// What says that a link leads nowhere, or that it has ended.
fn is_astray(failure: &Failure) -> bool {
    match failure {
        Failure::Absent { .. } => true,
        Failure::Refused { status, .. } => matches!(status, 400 | 401 | 403),
        _ => false,
    }
}

/// Returns the same file by another link, if the remote's page has one by now. `None`: there is nothing else to try.
pub(crate) fn moved<'a>(
    store: &Store,
    context: &Context<'_>,
    client: &Client,
    task: &Task<'a>,
    failure: &Failure,
) -> Option<Task<'a>> {
    if !is_astray(failure) {
        return None;
    }
    let (remote, project, now) = (task.remote, task.file.name.project(), context.now);
    // What fails here leaves the first failure to be told.
    let question = page::prepare(&store.manifest, remote, project, now).ok()?.ok()?;
    let mut fetched = question.fetch(client);
    let answer = fetched.answer(&store.manifest, remote).ok()?;
    if store.is_writable() {
        let _ = store.manifest.write_relaxed(|transaction| fetched.record(transaction, remote, now));
    }
    let page::Answer::Page(page, None) = answer else { return None };
    let file = page.files.into_iter().find(|file| {
        file.name == task.file.name && file.sha256 == task.file.sha256 && file.digests == task.file.digests
    })?;
    (file.url != task.file.url).then(|| Task { file, ..task.clone() })
}
