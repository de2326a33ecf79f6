//! What all pages have: head, way back, main part, foot, and the headers that keep foreign text harmless.

use super::assets;
use crate::server::answer::set;
use crate::server::endpoint::Section;
use crate::server::{Answer, Body};
use bytes::Bytes;
use http::StatusCode;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
};
use maud::{DOCTYPE, Markup, html};

/// Nothing but our own style sheet and images: no script at all, so that text which slipped through could do nothing.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'self'; \
                      frame-ancestors 'none'";

/// A page.
pub(super) struct Page {
    /// What it is about.
    pub(super) title: String,
    /// The way from the page to the server's root, relative: `./`, `../`, …
    pub(super) root: String,
    /// The pages above it, after the root: where they are, and how they are called.
    pub(super) trail: Vec<(String, String)>,
    /// What it says; the heading is in it.
    pub(super) main: Markup,
}

/// Returns the way from a path to the server's root, however deep a proxy has put it.
pub(super) fn root(path: &str) -> String {
    match path.bytes().filter(|byte| *byte == b'/').count() {
        0 | 1 => "./".to_owned(),
        depth => "../".repeat(depth - 1),
    }
}

/// What a page is a part of, and what goes with it.
#[derive(Debug, Clone, Default)]
pub(super) struct Setting {
    /// The page about all collections that it is; `None`: it is one about collections.
    pub(super) section: Option<Section>,
    /// Where programs read what happened to what it is about.
    pub(super) feed: Option<String>,
}

impl Page {
    /// Makes the answer.
    pub(super) fn answer(self, status: StatusCode) -> Answer {
        self.answer_in(Setting::default(), status)
    }

    /// Makes the answer of a page in a setting.
    pub(super) fn answer_in(self, setting: Setting, status: StatusCode) -> Answer {
        let mut answer = Answer::new(Body::Bytes(Bytes::from(self.document(&setting).into_string())));
        *answer.status_mut() = status;
        set(&mut answer, CONTENT_TYPE, "text/html; charset=utf-8");
        set(&mut answer, CONTENT_SECURITY_POLICY, POLICY);
        set(&mut answer, REFERRER_POLICY, "no-referrer");
        set(&mut answer, X_CONTENT_TYPE_OPTIONS, "nosniff");
        set(&mut answer, CACHE_CONTROL, "private, no-cache");
        set(&mut answer, VARY, "Accept, Authorization");
        answer
    }

    fn document(self, setting: &Setting) -> Markup {
        let Self { title, root, trail, main } = self;
        let is_home = trail.is_empty();
        html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    title { (title) @if !is_home { " · wcas" } }
                    link rel="icon" type="image/svg+xml" href={ (root) "-/" (assets::icon_name()) };
                    link rel="stylesheet" href={ (root) "-/" (assets::style_name()) };
                    @if let Some(feed) = &setting.feed {
                        link rel="alternate" type="application/atom+xml" title={ "Changes of " (title) } href=(feed);
                    }
                }
                body {
                    a.skip href="#main" { "Skip to the content" }
                    header.top {
                        (bar(&root, is_home, setting.section))
                        nav aria-label="Breadcrumb" {
                            ol {
                                li { (step(&root, html! { b { "wcas" } }, is_home)) }
                                @for (place, (href, name)) in trail.iter().enumerate() {
                                    li { (step(href, html! { (name) }, place + 1 == trail.len())) }
                                }
                            }
                        }
                    }
                    main #main tabindex="-1" { (main) }
                    footer {
                        p { "wcas " (env!("CARGO_PKG_VERSION")) ", a content-addressed store for Python wheels" }
                        p { a href={ (root) "metrics" } { "Metrics" } " · " a href={ (root) "healthz" } { "Probe" } }
                    }
                }
            }
        }
    }
}

/// Names the pages that each page leads to, and marks the one that this is, or is a part of.
fn bar(root: &str, is_home: bool, here: Option<Section>) -> Markup {
    let home = if is_home { "page" } else { "true" };
    html! {
        nav.bar aria-label="Pages" {
            ul {
                li { a href=(root) aria-current=[here.is_none().then_some(home)] { "Collections" } }
                @for section in Section::ALL {
                    li {
                        a href={ (root) "_/" (section.as_str()) "/" } aria-current=[(here == Some(section)).then_some("page")] {
                            (name(section))
                        }
                    }
                }
            }
        }
    }
}

/// Returns what a page is called.
pub(super) fn name(section: Section) -> &'static str {
    match section {
        Section::Remotes => "Remotes",
        Section::History => "History",
        Section::Wanted => "Wanted",
        Section::Health => "Health",
        Section::Search => "Search",
    }
}

fn step(href: &str, name: Markup, is_here: bool) -> Markup {
    html! { @if is_here { a href=(href) aria-current="page" { (name) } } @else { a href=(href) { (name) } } }
}

/// The heading of a column: of text, or of numbers.
pub(super) enum Heading {
    Text(&'static str),
    Number(&'static str),
}

/// Makes a table of rows: what it is, and what its columns are.
pub(super) fn table_with(caption: &str, columns: &[Heading], rows: Markup) -> Markup {
    html! {
        table {
            caption { (caption) }
            thead {
                tr {
                    @for column in columns {
                        @match column {
                            Heading::Text(heading) => th scope="col" { (heading) },
                            Heading::Number(heading) => th.n scope="col" { (heading) },
                        }
                    }
                }
            }
            tbody { (rows) }
        }
    }
}

/// Puts a table into a region of its own that scrolls sideways, and that the keyboard reaches.
pub(super) fn scrolling(id: &str, label: &str, table: Markup) -> Markup {
    html! { div.scroll #(id) role="region" aria-label=(label) tabindex="0" { (table) } }
}

#[cfg(test)]
mod tests {
    use super::root;

    #[test]
    fn the_way_back_is_as_long_as_the_path_is_deep() {
        let ways = ["", "/", "/cuda", "/cuda/", "/cuda/projects/torch/"].map(root);
        assert_eq!(ways, ["./", "./", "./", "../", "../../../"]);
    }
}
