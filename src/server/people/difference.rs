//! `/{collection}@{from}...{to}/`: what differs between two revisions, as their own pages show them.

use super::frame::{Page, Setting, root, scrolling};
use super::{lost, words};
use crate::error::{Error, Result};
use crate::ops::collection::{ComparedProject, Comparison, FileBytes, compare};
use crate::server::accept::items;
use crate::server::answer::{failure, set};
use crate::server::endpoint::{Section, ViewName};
use crate::server::{Answer, Body, Request, Server};
use bytes::Bytes;
use http::StatusCode;
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, VARY};
use maud::{Markup, html};
use std::sync::PoisonError;

/// So many files are told on a page, and so many in JSON.
const ON_PAGE: usize = 1000;
const IN_JSON: usize = 20_000;

/// Reads which revisions a name means to compare.
pub(super) fn asked(view: &ViewName) -> Option<(&str, &str)> {
    view.at.as_deref()?.split_once("...")
}

/// Answers what differs, in JSON for who asks for it.
pub(super) fn answer(server: &Server, request: &Request, view: &ViewName, (from, to): (&str, &str)) -> Answer {
    let is_json = wants_json(request);
    let most = if is_json { IN_JSON } else { ON_PAGE };
    let made = || -> Result<Comparison> {
        // Both revisions are read whole: one at a time.
        let _turn = server.people.turn.lock().unwrap_or_else(PoisonError::into_inner);
        compare(&*server.stores.borrow()?, &view.name, from, to, most)
    };
    match made() {
        Ok(found) if is_json => json(&found),
        Ok(found) => {
            let setting = Setting { section: Some(Section::History), feed: None };
            page(request, view, &found).answer_in(setting, StatusCode::OK)
        }
        Err(Error::NoRevision { .. } | Error::NoCollection { .. }) => {
            lost(request, &format!("There are no revisions {from} and {to} of a collection {}.", view.name))
        }
        Err(error) => failure(&error),
    }
}

fn wants_json(request: &Request) -> bool {
    let pairs = url::form_urlencoded::parse(request.uri().query().unwrap_or("").as_bytes());
    let format = pairs.filter(|(name, _)| name == "format").map(|(_, value)| value.into_owned()).next();
    if let Some(format) = format {
        return matches!(format.as_str(), "json" | "application/json");
    }
    let weight = |wanted: &str| {
        let found = items(request.headers(), ACCEPT).find(|(name, _)| name.eq_ignore_ascii_case(wanted));
        found.map_or(0, |(_, weight)| weight.unwrap_or(1000))
    };
    weight("application/json") > weight("text/html")
}

fn json(found: &Comparison) -> Answer {
    let mut bytes = serde_json::to_vec(found).unwrap_or_default();
    bytes.push(b'\n');
    let mut answer = Answer::new(Body::Bytes(Bytes::from(bytes)));
    set(&mut answer, CONTENT_TYPE, "application/json");
    set(&mut answer, CACHE_CONTROL, "no-cache");
    set(&mut answer, VARY, "Accept, Authorization");
    answer
}

fn page(request: &Request, view: &ViewName, found: &Comparison) -> Page {
    let (name, up) = (&view.name, "../");
    let title = format!("{name}, {} to {}", found.from, found.to);
    let main = html! {
        h1 { "What differs in " (name) }
        p.lead {
            "From revision " a href={ (up) (name) "@" (found.from) "/" } { (found.from) } " to revision "
            a href={ (up) (name) "@" (found.to) "/" } { (found.to) } ". What is withheld now is in neither. "
            a href={ (up) (name) "@" (found.to) "..." (found.from) "/" } { "The other way round" } ", "
            a href="./?format=json" { "as JSON" } "."
        }
        dl.facts {
            div { dt { "Projects" } dd { (words::number(found.projects.len() as u64)) @if !found.is_whole { " and more" } } }
            div { dt { "Files" } dd { (words::number(found.changed_files as u64)) } }
            div { dt { "Came" } dd { (words::bytes(found.added_bytes)) } }
            div { dt { "Went" } dd { (words::bytes(found.removed_bytes)) } }
        }
        @if found.projects.is_empty() {
            p { "Nothing differs." }
        } @else {
            (scrolling("projects", "Projects that differ", projects(found)))
            @if !found.is_whole {
                p.note { "This is too much for a page. JSON has more; " code { "wcas collection diff" } " has all." }
            }
            h2 { "Files" }
            @for project in &found.projects { (files(view, found, project)) }
        }
    };
    let trail =
        vec![(format!("{up}{name}/"), name.to_string()), ("./".to_owned(), format!("{}…{}", found.from, found.to))];
    Page { title, root: root(request.uri().path()), trail, main }
}

fn projects(found: &Comparison) -> Markup {
    html! {
        table {
            caption { "Projects that differ" }
            thead {
                tr {
                    th scope="col" { "Project" }
                    th scope="col" { "Change" }
                    th scope="col" { "Versions that came" }
                    th scope="col" { "Versions that went" }
                    th.n scope="col" { "Other bytes" }
                    th.n scope="col" { "Files" }
                }
            }
            tbody {
                @for project in &found.projects {
                    tr {
                        th.text scope="row" { a href={ "#p-" (project.project) } { (project.project) } }
                        td { (mark(project.change)) }
                        td.wrap { (project.new_versions.join(", ")) }
                        td.wrap { (project.old_versions.join(", ")) }
                        td.n { (words::number(project.files.iter().filter(|file| file.change == "replaced").count() as u64)) }
                        td.n { (words::number(project.files.len() as u64)) }
                    }
                }
            }
        }
    }
}

fn files(view: &ViewName, found: &Comparison, project: &ComparedProject) -> Markup {
    let at = if project.change == "removed" { found.from } else { found.to };
    html! {
        section.file aria-labelledby={ "p-" (project.project) } {
            h3 id={ "p-" (project.project) } {
                a href={ "../" (view.name) "@" (at) "/projects/" (project.project) "/" } { (project.project) }
            }
            ul.changes {
                @for file in &project.files {
                    li { (mark(file.change)) " " span.wrap { (file.filename) } " " (sizes(file.before, file.after)) }
                }
            }
        }
    }
}

fn sizes(before: Option<FileBytes>, after: Option<FileBytes>) -> Markup {
    html! {
        span.quiet {
            @match (before, after) {
                (Some(old), Some(new)) if old.sha256 != new.sha256 => {
                    (words::bytes(old.size)) " → " (words::bytes(new.size)) ", "
                    code { (short(old)) } " → " code { (short(new)) }
                }
                (old, new) => { @if let Some(bytes) = new.or(old) { (words::bytes(bytes.size)) } }
            }
        }
    }
}

fn short(bytes: FileBytes) -> String {
    bytes.sha256.to_string()[..12].to_owned()
}

fn mark(change: &str) -> Markup {
    let (class, text) = match change {
        "added" => ("mark good", "added"),
        "removed" => ("mark bad", "removed"),
        "replaced" => ("mark warn", "other bytes"),
        "yanked" => ("mark warn", "other mark"),
        _ => ("mark", "changed"),
    };
    html! { span class=(class) { (text) } }
}
