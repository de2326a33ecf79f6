//! The end of an answer that was pending: what a remote gave is in the store by then, and is answered from there like any file.

use super::answer::unavailable;
use super::flow::{FlowEnd, Status, Trouble};
use super::pending::Pending;
use super::{Answer, Server, builder_index, feed, files};
use http::StatusCode;

/// Makes the answer that was pending.
pub(super) fn finish(server: &Server, mut pending: Pending) -> Answer {
    let Some((cache, mut offers)) = pending.builder.take() else {
        if matches!(pending.feed.status(), Status::Failed(_)) && !pending.others.is_empty() {
            let Pending { request, address, others, .. } = pending;
            return files::given_or(feed::whole_for_metadata(server, &request, &address, others));
        }
        return finished(server, pending);
    };
    let Pending { request, address, .. } = &pending;
    match (pending.feed.status(), offers.pop_front()) {
        (Status::Done(FlowEnd::File(_)), _) => builder_index::file(server, request, &cache, address),
        (Status::Failed(_), Some(next)) => {
            offers.push_front(next);
            let begun = feed::whole(server, request, &cache, address, offers);
            builder_index::softened(files::given_or(begun))
        }
        (Status::Running, _) => {
            builder_index::softened(unavailable("a remote has not given the file yet; it is being fetched"))
        }
        _ => builder_index::softened(finished(server, pending)),
    }
}

fn finished(server: &Server, pending: Pending) -> Answer {
    match pending.feed.status() {
        Status::Failed(trouble) => feed::troubled(server, &pending.request, trouble),
        // It is in the store: given like any file, if it is listed still.
        Status::Done(FlowEnd::File(sha256)) => {
            let Pending { request, address, .. } = &pending;
            let given = match address.sha256 {
                Some(_) => files::local(server, request, address),
                None => files::unhashed(server, request, address, &sha256),
            };
            files::given_or(given)
        }
        Status::Done(FlowEnd::Metadata(bytes)) => feed::metadata(server, &pending.request, &bytes),
        Status::Running if !pending.is_ready() => {
            let text = "has not given the file yet; it is being fetched".to_owned();
            let (status, remote) = (StatusCode::SERVICE_UNAVAILABLE, Some(pending.offer.remote.name));
            feed::troubled(server, &pending.request, Trouble { status, text, remote, cause: None })
        }
        Status::Running => feed::running(server, pending),
    }
}
