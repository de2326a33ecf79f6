//! `/_/search/`: projects by name, in all collections and variants that the requester may read.

use super::frame::{Page, root};
use super::search::SearchQuery;
use super::{projects, words};
use crate::error::Result;
use crate::name::{CollectionName, ProjectName};
use crate::ops;
use crate::server::endpoint::ViewName;
use crate::server::{Request, Server, access};
use maud::html;
use std::collections::BTreeMap;
use std::sync::PoisonError;

/// So many projects are shown.
const MOST: usize = 100;
/// So many names are looked at: each has a list of its projects.
const NAMES: usize = 100;

/// Makes the page.
pub(super) fn page(server: &Server, request: &Request) -> Result<Page> {
    let asked = SearchQuery::read(request.uri().query());
    let found = if asked.text.is_empty() { BTreeMap::new() } else { found(server, request, &asked)? };
    let main = html! {
        h1 { "Search" }
        form.search role="search" method="get" action="./" {
            label for="q" { "A project's name, or a part of it, in all collections" }
            input #q type="search" name="q" value=(asked.text) maxlength="100" autocomplete="off" spellcheck="false";
            button type="submit" { "Search" }
        }
        @if asked.text.is_empty() {
            p.quiet { "What only a remote has is found on the page of its collection." }
        } @else {
            p.quiet { (words::counted(found.len() as u64, "project")) @if found.len() == MOST { ", and maybe more" } }
            ul.found {
                @for (project, names) in &found {
                    li {
                        b { (project) } " in "
                        @for (place, name) in names.iter().enumerate() {
                            @if place > 0 { ", " }
                            a href={ "../../" (name) "/projects/" (project) "/" } { (name) }
                        }
                    }
                }
            }
        }
    };
    let trail = vec![("./".to_owned(), "Search".to_owned())];
    Ok(Page { title: "Search".to_owned(), root: root(request.uri().path()), trail, main })
}

fn found(
    server: &Server,
    request: &Request,
    asked: &SearchQuery,
) -> Result<BTreeMap<ProjectName, Vec<CollectionName>>> {
    let may = access::readable(server, request)?;
    // More names than lists are remembered may be looked at: one search at a time.
    let _turn = server.people.turn.lock().unwrap_or_else(PoisonError::into_inner);
    let names = ops::overview::names(&*server.stores.borrow()?)?;
    let mut found: BTreeMap<ProjectName, Vec<CollectionName>> = BTreeMap::new();
    for name in names.into_iter().filter(|name| may.includes(name)).take(NAMES) {
        let Some(projects) = projects(server, &ViewName { name: name.clone(), at: None })? else { continue };
        for project in asked.of(&projects) {
            if found.len() < MOST || found.contains_key(project) {
                found.entry(project.clone()).or_default().push(name.clone());
            }
        }
    }
    Ok(found)
}
