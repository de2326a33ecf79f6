//! Index pages: root and project, HTML and JSON, and the documents about variant wheels.

use super::answer::plain;
use super::endpoint::ViewName;
use super::{Answer, Request, Server};
use crate::digest::Sha256;
use crate::name::ProjectName;
use http::StatusCode;

/// Answers with the list of projects.
pub(super) fn root(server: &Server, request: &Request, view: &ViewName) -> Answer {
    let _ = (server, request, view);
    plain(StatusCode::NOT_FOUND, "there is nothing here")
}

/// Answers with the files of a project.
pub(super) fn project(server: &Server, request: &Request, view: &ViewName, project: &ProjectName) -> Answer {
    let _ = (server, request, view, project);
    plain(StatusCode::NOT_FOUND, "there is nothing here")
}

/// Answers with what the variant wheels of a version say of their variants.
pub(super) fn variants(
    server: &Server,
    request: &Request,
    view: &ViewName,
    sha256: Option<&Sha256>,
    filename: &str,
) -> Answer {
    let _ = (server, request, view, sha256, filename);
    plain(StatusCode::NOT_FOUND, "there is nothing here")
}

impl Server {
    /// Answers from memory what can be, in microseconds; anything else is `None`.
    pub fn cached(&self, request: &Request) -> Option<Answer> {
        let _ = request;
        None
    }
}
