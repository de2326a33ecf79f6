//! The links to actions on other pages: only for who is signed in, and only where his token reaches.

use super::deed::is_for;
use crate::error::Result;
use crate::manifest::{RevisionRow, TokenRow};
use crate::name::{CollectionName, ProjectName};
use crate::server::endpoint::ViewName;
use crate::server::verb::Verb;
use crate::server::{Request, Server, access};
use maud::{Markup, html};

/// Who is signed in, as far as pages offer something for that.
#[derive(Debug, Default)]
pub(in crate::server::people) struct Desk {
    token: Option<TokenRow>,
    /// Whether anybody could sign in.
    is_open: bool,
}

impl Desk {
    /// Reads who is signed in.
    pub(in crate::server::people) fn of(server: &Server, request: &Request) -> Result<Self> {
        let token = access::signed_in(server, request)?.map(|signed| signed.token);
        Ok(Self { token, is_open: server.options.has_actions })
    }

    /// Tells whether something may be done to all of a collection.
    pub(in crate::server::people) fn acts_on(&self, at: &CollectionName) -> bool {
        self.token.as_ref().is_some_and(|token| is_for(token, at) && token.projects.is_empty())
    }

    /// Tells whether something may be done to a project of a collection.
    fn acts_on_project(&self, at: &CollectionName, project: &ProjectName) -> bool {
        let is_own = |token: &TokenRow| {
            token.projects.is_empty() || token.projects.iter().any(|pattern| pattern.matches(project))
        };
        self.token.as_ref().is_some_and(|token| is_for(token, at) && is_own(token))
    }

    /// Leads to the page for signing in, or tells who is.
    pub(in crate::server::people) fn account(&self, root: &str) -> Markup {
        html! {
            @if self.is_open {
                p.quiet {
                    @match &self.token {
                        Some(token) => { "Signed in by the token " a href={ (root) "_/sign-in/" } { (token.name) } },
                        None => a href={ (root) "_/sign-in/" } { "Sign in to change collections" },
                    }
                }
            }
        }
    }

    /// Leads to what may be done to one file, or to a version of a project.
    pub(in crate::server::people) fn to_files(
        &self,
        (root, view): (&str, &ViewName),
        at: &CollectionName,
        project: &ProjectName,
        spec: &str,
        verbs: &[Verb],
    ) -> Markup {
        if !self.acts_on_project(at, project) {
            return html! {};
        }
        html! {
            p.pager {
                @if view.name != *at { span.quiet { "In " (at) } }
                @for verb in verbs {
                    a href=(href(root, at, *verb, &[("spec", spec)])) { (name(*verb)) span.hidden { " " (spec) } }
                }
            }
        }
    }

    /// Leads from a line of a collection's history to what may be done with it.
    pub(in crate::server::people) fn to_history(&self, root: &str, at: &CollectionName, line: &Line) -> Markup {
        if !self.acts_on(at) {
            return html! {};
        }
        let (revision, operation) = (line.revision.to_string(), line.operation.to_string());
        html! {
            @if line.is_whole {
                a href=(href(root, at, Verb::Rollback, &[("to", &revision)])) { "Roll back" span.hidden { " to " (at) " " (revision) } }
                " "
            }
            @if line.can_undo {
                a href=(href(root, at, Verb::Undo, &[("operation", &operation)])) { "Undo" span.hidden { " " (at) " " (revision) } }
            }
        }
    }
}

/// A line of a collection's history.
pub(in crate::server::people) struct Line {
    revision: i64,
    operation: i64,
    /// Whether all files of the revision are there still.
    is_whole: bool,
    /// Whether it changed files, and wasn't taken back yet.
    can_undo: bool,
}

impl Line {
    pub(in crate::server::people) fn of(row: &RevisionRow, is_whole: bool) -> Self {
        let can_undo = row.undone_by.is_none() && row.added + row.removed > 0;
        Self { revision: row.number, operation: row.operation.number(), is_whole, can_undo }
    }
}

fn href(root: &str, at: &CollectionName, verb: Verb, fields: &[(&str, &str)]) -> String {
    let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    format!("{root}{at}/actions/{}/?{query}", verb.as_str())
}

fn name(verb: Verb) -> &'static str {
    match verb {
        Verb::Yank => "Yank",
        Verb::Unyank => "Take the yanked mark off",
        Verb::Block => "Block",
        Verb::Pin => "Pin",
        Verb::Promote => "Promote",
        Verb::Rollback => "Roll back",
        Verb::Undo => "Undo",
    }
}
