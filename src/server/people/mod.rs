//! Pages for people: about the store, a collection, a project. HTML from the server, without scripts.
//!
//! They show what the same requester gets from the index, and name no collection that may not be read.

mod about;
mod act;
mod assets;
mod atom;
mod chart;
mod collection;
mod description;
mod difference;
mod file;
mod file_page;
mod frame;
mod growth;
mod history;
mod home;
mod lanes;
mod matrix;
mod names;
mod needs;
mod operations;
mod outline;
mod project;
mod remotes;
mod search;
mod search_all;
mod setup;
mod tags;
mod wanted;
mod words;

use super::answer::{failure, plain, set};
use super::bounded_cache::BoundedCache;
use super::discretion::{self, Discretion};
use super::endpoint::{Section, ViewName};
use super::segment::encoded;
use super::verb::{Account, Verb};
use super::{Answer, Request, Server, measured, near, pages};
use crate::error::Result;
use crate::name::{CollectionName, ProjectName};
use crate::ops::remote::Health;
use crate::ops::stats::StatsReport;
use crate::supply::PullNote;
use http::StatusCode;
use http::header::{ACCEPT, RETRY_AFTER};
use maud::{Markup, html};
use std::sync::{Arc, Mutex};

/// The projects of so many views are remembered.
const VIEWS: usize = 32;
/// The versions of so many projects.
const PROJECTS: usize = 2048;

/// The projects of views, with their stamps.
type Projects = BoundedCache<ViewName, (u64, Arc<Vec<ProjectName>>)>;

/// What is remembered for pages.
#[derive(Debug)]
pub(super) struct Remembered {
    projects: Projects,
    outlines: outline::Outlines,
    versions: BoundedCache<(ViewName, ProjectName), needs::Versions>,
    /// One archive at a time is looked into: a directory may take 64 MiB of memory.
    looking: Mutex<()>,
    /// What reads whole collections does it one at a time.
    turn: Mutex<()>,
    /// Forms do what they do one at a time, each to what its page has shown.
    acting: Mutex<()>,
}

impl Default for Remembered {
    fn default() -> Self {
        Self {
            projects: BoundedCache::of_things(VIEWS),
            outlines: outline::Outlines::default(),
            versions: BoundedCache::of_things(PROJECTS),
            looking: Mutex::default(),
            turn: Mutex::default(),
            acting: Mutex::default(),
        }
    }
}

/// Answers with the page about the store; programs get its names.
pub(super) fn home(server: &Server, request: &Request) -> Answer {
    if names::is_asked(request.headers()) {
        return names::answer(server, request).unwrap_or_else(|error| failure(&error));
    }
    home::page(server, request).map_or_else(|error| failure(&error), |page| page.answer(StatusCode::OK))
}

/// Answers with a page about all collections.
pub(super) fn section(server: &Server, request: &Request, section: Section) -> Answer {
    let page = match section {
        Section::Remotes => remotes::page(server, request),
        Section::History => history::page(server, request),
        Section::Wanted => wanted::page(server, request),
        Section::Health => operations::page(server, request),
        Section::Search => search_all::page(server, request),
    };
    let setting = frame::Setting { section: Some(section), feed: None };
    page.map_or_else(|error| failure(&error), |page| page.answer_in(setting, StatusCode::OK))
}

/// Answers with the page about a collection.
pub(super) fn collection(server: &Server, request: &Request, view: &ViewName) -> Answer {
    match collection::page(server, request, view) {
        Ok(Some((page, feed))) => page.answer_in(frame::Setting { section: None, feed }, StatusCode::OK),
        // A snapshot that is called like a comparison goes before it.
        Ok(None) => match difference::asked(view) {
            Some(revisions) => difference::answer(server, request, view, revisions),
            None => lost(request, &format!("There is no collection {view}.")),
        },
        Err(error) => failure(&error),
    }
}

/// Answers with the feed of what happened to a collection.
pub(super) fn changes(server: &Server, request: &Request, view: &ViewName) -> Answer {
    atom::answer(server, request, view)
}

/// Answers with the page about a project.
pub(super) fn project(server: &Server, request: &Request, view: &ViewName, project: &ProjectName) -> Answer {
    match project::page(server, request, view, project) {
        Ok(Ok((page, notes))) => {
            let mut answer = page.answer(StatusCode::OK);
            discretion::log(server, &mut answer, &notes);
            answer
        }
        Ok(Err(project::NoProject::Unknown)) => lost_project(server, request, view, project),
        Ok(Err(project::NoProject::Unavailable(notes))) => {
            unanswered(server, request, view, project, &notes).unwrap_or_else(|error| failure(&error))
        }
        Err(error) => failure(&error),
    }
}

/// Answers with the page about a file.
pub(super) fn file(server: &Server, request: &Request, view: &ViewName, file: (&ProjectName, &str)) -> Answer {
    match file_page::page(server, request, view, file) {
        Ok(Some(page)) => page.answer(StatusCode::OK),
        Ok(None) => {
            lost(request, &format!("{view} does not list {}, as far as is known without asking remotes.", file.1))
        }
        Err(error) => failure(&error),
    }
}

/// Answers that a remote which may have a project can't be asked: it may well be there.
fn unanswered(
    server: &Server,
    request: &Request,
    view: &ViewName,
    project: &ProjectName,
    notes: &[PullNote],
) -> Result<Answer> {
    let discretion = Discretion::of(server, request)?;
    let hidden: Vec<String> = discretion::farther(&discretion, notes).iter().map(ToString::to_string).collect();
    let main = html! {
        h1 { (project) }
        @if hidden.is_empty() {
            p.lead { "The store has nothing of it, and a remote that may have it can't be asked. Try again in a minute." }
        } @else {
            p.lead {
                "A remote that is nearer can't be asked, and may hide what " (hidden.join(", ")) " has of it. Try again in a minute; "
                "a remote that is set --optional lets farther ones answer."
            }
        }
        @for subject in subjects(&discretion, notes) { p.note { (subject) " failed. The server's log says why." } }
    };
    let trail = vec![("../../".to_owned(), view.to_string()), ("./".to_owned(), project.to_string())];
    let root = frame::root(request.uri().path());
    let page = frame::Page { title: format!("{project} in {view}"), root, trail, main };
    let mut answer = page.answer(StatusCode::SERVICE_UNAVAILABLE);
    set(&mut answer, RETRY_AFTER, "30");
    discretion::log(server, &mut answer, notes);
    Ok(answer)
}

/// Returns the remotes that notes are about, each once, as a sentence begins.
fn subjects(discretion: &Discretion, notes: &[PullNote]) -> Vec<String> {
    let name = |note: &PullNote| match discretion.may_name(&note.remote) {
        true => format!("The remote {}", note.remote),
        false => "A remote".to_owned(),
    };
    let mut subjects: Vec<String> = notes.iter().map(name).collect();
    subjects.dedup();
    subjects
}

/// Answers with the page for signing in and out.
pub(super) fn account(server: &Server, request: &Request, account: Account) -> Answer {
    act::account(server, request, account)
}

/// Answers with what an action would do.
pub(super) fn action(server: &Server, request: &Request, at: &CollectionName, verb: Verb) -> Answer {
    act::action(server, request, at, verb)
}

/// Answers with a style sheet or an icon.
pub(super) fn asset(request: &Request, name: &str) -> Answer {
    let _ = request;
    assets::answer(name)
}

fn wants_html(request: &Request) -> bool {
    request
        .headers()
        .get(ACCEPT)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|accept| accept.contains("text/html"))
}

/// Answers that there is nothing: a page for those who can show one, else a line.
pub(super) fn lost(request: &Request, text: &str) -> Answer {
    if !wants_html(request) {
        return plain(StatusCode::NOT_FOUND, text.trim_end_matches('.'));
    }
    lost_page(request, &html! { p.lead { (text) } })
}

/// Answers that a view hasn't got a project, and names those that may have been meant.
fn lost_project(server: &Server, request: &Request, view: &ViewName, project: &ProjectName) -> Answer {
    let text = format!("{view} has no project {project}");
    if !wants_html(request) {
        return near::no_project(server, view, project, text);
    }
    let similar = near::similar(server, view, project);
    let said = html! {
        p.lead { (text) "." }
        @if !similar.is_empty() {
            p {
                "Did you mean "
                @for (place, name) in similar.iter().enumerate() {
                    @if place > 0 { " or " }
                    a href={ "../" (name) "/" } { (name) }
                }
                "?"
            }
        }
    };
    lost_page(request, &said)
}

fn lost_page(request: &Request, said: &Markup) -> Answer {
    let root = frame::root(request.uri().path());
    let main = html! {
        h1 { "Not found" }
        (said)
        p { a href=(root) { "All collections" } }
    };
    let trail = vec![(".".to_owned(), "Not found".to_owned())];
    frame::Page { title: "Not found".to_owned(), root, trail, main }.answer(StatusCode::NOT_FOUND)
}

/// Returns what the store holds, counted when something has changed.
fn holdings(server: &Server, stamp: u64) -> Result<Arc<StatsReport>> {
    measured::stats(server, stamp)
}

/// Returns the projects of a view, found once while it stays the same; `None`: there is no such view.
fn projects(server: &Server, view: &ViewName) -> Result<Option<Arc<Vec<ProjectName>>>> {
    let Some(stamp) = pages::stamp(server, view, server.stores.version()?)? else { return Ok(None) };
    if let Some((_, names)) = server.people.projects.get(view).filter(|(of, _)| *of == stamp) {
        return Ok(Some(names));
    }
    let Some(projects) = crate::supply::listing::projects(&*server.stores.borrow()?, &view.shown())? else {
        return Ok(None);
    };
    let names: Arc<Vec<ProjectName>> = Arc::new(projects.into_iter().map(|(name, _)| name).collect());
    server.people.projects.insert(view.clone(), (stamp, names.clone()));
    Ok(Some(names))
}

/// Returns where a file's page is, from its project's.
fn file_page(filename: &str) -> String {
    format!("{}/", encoded(filename))
}

/// Shows how a remote is.
fn health(health: Health) -> Markup {
    match health {
        Health::Ok => html! { span.mark.good { "ok" } },
        Health::Failing => html! { span.mark.bad { "failing" } },
        Health::Unknown => html! { span.mark.quiet { "not asked yet" } },
    }
}
