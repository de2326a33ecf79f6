//! Pages for people: about the store, a collection, a project. HTML from the server, without scripts.
//!
//! They show what the same requester gets from the index, and name no collection that may not be read.

mod assets;
mod chart;
mod frame;
mod home;
mod words;

use super::Scope;
use super::access;
use super::answer::{failure, plain};
use super::endpoint::{Endpoint, ViewName};
use super::{Answer, Request, Server};
use crate::error::Result;
use crate::name::{CollectionName, ProjectName};
use crate::ops::{self, StatsReport};
use http::StatusCode;
use std::sync::{Arc, Mutex, PoisonError};

/// What is counted row by row is taken to hold so long, in seconds, while no collection changes.
const HOLDINGS_SECONDS: i64 = 60;

/// What the store holds, when that was counted, and at which stamp.
#[derive(Debug, Default)]
pub(super) struct Holdings(Mutex<Option<(i64, u64, Arc<StatsReport>)>>);

/// Answers with the page about the store.
pub(super) fn home(server: &Server, request: &Request) -> Answer {
    home::page(server, request).map_or_else(|error| failure(&error), |page| page.answer(StatusCode::OK))
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
    let _ = request;
    assets::answer(name)
}

/// Tells whether a requester may know of a collection.
fn may_read(server: &Server, request: &Request, name: &CollectionName) -> bool {
    let view = ViewName { name: name.clone(), at: None };
    access::permit(server, request, Scope::Read, &Endpoint::Collection(view)).is_ok()
}

/// Returns what the store holds, counted when something has changed.
fn holdings(server: &Server, stamp: u64) -> Result<Arc<StatsReport>> {
    // One at a time counts; who comes meanwhile gets what it found.
    let mut known = server.holdings.0.lock().unwrap_or_else(PoisonError::into_inner);
    let now = server.now();
    if let Some((at, of, report)) = &*known
        && *of == stamp
        && (0..HOLDINGS_SECONDS).contains(&(now - at))
    {
        return Ok(report.clone());
    }
    let report = Arc::new(ops::stats(&*server.stores.borrow()?)?);
    *known = Some((now, stamp, report.clone()));
    Ok(report)
}
