//! Pages for people: about the store, a collection, a project.

use super::answer::plain;
use super::endpoint::ViewName;
use super::{Answer, Request, Server};
use crate::name::ProjectName;
use http::StatusCode;

/// Answers with the page about the store.
pub(super) fn home(server: &Server, request: &Request) -> Answer {
    let _ = (server, request);
    plain(StatusCode::NOT_FOUND, "there is nothing here")
}

/// Answers with the page about a collection.
pub(super) fn collection(server: &Server, request: &Request, view: &ViewName) -> Answer {
    let _ = (server, request, view);
    plain(StatusCode::NOT_FOUND, "there is nothing here")
}

/// Answers with the page about a project.
pub(super) fn project(server: &Server, request: &Request, view: &ViewName, project: &ProjectName) -> Answer {
    let _ = (server, request, view, project);
    plain(StatusCode::NOT_FOUND, "there is nothing here")
}

/// Answers with a style sheet or an icon.
pub(super) fn asset(request: &Request, name: &str) -> Answer {
    let _ = (request, name);
    plain(StatusCode::NOT_FOUND, "there is nothing here")
}
