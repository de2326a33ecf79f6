//! Where a remote keeps its project pages: below its URL, below `simple/`, or on one flat page. Told apart by what answers.

use super::credentials::is_same_origin;
use super::failure::{Failure, bare};
use super::{Client, Page, PageAnswer, Source};
use crate::index::read::{ListedPage, Syntax};
use crate::name::ProjectName;
use std::fmt;
use std::str::FromStr;
use url::Url;

/// Where a remote's pages are. Written as `simple URL` or `flat URL`, without credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Layout {
    /// A page for each project, in folders below this URL, which ends in a slash.
    Simple(Url),
    /// This one page lists all files.
    Flat(Url),
}

/// A text that is no layout.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a layout: 'simple URL' or 'flat URL'")]
pub struct LayoutError(pub String);

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Simple(url) => write!(f, "simple {url}"),
            Self::Flat(url) => write!(f, "flat {url}"),
        }
    }
}

impl FromStr for Layout {
    type Err = LayoutError;

    fn from_str(text: &str) -> Result<Self, LayoutError> {
        let refused = || LayoutError(text.to_owned());
        let (word, url) = text.split_once(' ').ok_or_else(refused)?;
        let url = url.parse().map_err(|_| refused())?;
        match word {
            "simple" => Ok(Self::Simple(url)),
            "flat" => Ok(Self::Flat(url)),
            _ => Err(refused()),
        }
    }
}

/// What was found out about a remote.
#[derive(Debug, Clone, PartialEq)]
pub struct Discovery {
    /// Where its pages are; `None` if nothing there looks like an index.
    pub layout: Option<Layout>,
    /// The page that lists the project's files, and what it says: fetched already, so it need not be again.
    pub page: Option<(Page, ListedPage)>,
}

/// Returns where a project's page is: normalised and with a slash, which spares redirects.
pub fn project_page_url(layout: &Layout, project: &ProjectName) -> Url {
    match layout {
        Layout::Simple(base) => below(base, project.as_str()),
        Layout::Flat(page) => page.clone(),
    }
}

/// Finds out where a remote's pages are, by asking for a project's page.
///
/// A failure says nothing about the layout, and is returned; so is one to read what is there, where nothing else is. A project page is asked for first: the root page of a large index
/// has many megabytes, and some have none.
pub fn discover(client: &Client, source: &Source, project: &ProjectName) -> Result<Discovery, Failure> {
    let given = bare(&source.url);
    let is_simple =
        given.path_segments().is_some_and(|parts| parts.rev().find(|part| !part.is_empty()) == Some("simple"));
    let own = folder(&given);
    let bases = if is_simple { vec![own.clone()] } else { vec![own.clone(), below(&own, "simple")] };
    let mut weak = None;
    let mut bad = Vec::new();
    for base in &bases {
        let url = below(base, project.as_str());
        let (page, listed) = match fetch_page(client, source, &url)? {
            Look::Page(page, listed) => (*page, listed),
            Look::Absent => continue,
            Look::Bad(failure) => {
                bad.push((base.clone(), failure));
                continue;
            }
        };
        let base = base_of(source, &page.url, project).unwrap_or_else(|| base.clone());
        let found = Discovery { layout: Some(Layout::Simple(base)), page: Some((page, listed)) };
        let listed = found.page.as_ref().map(|(_, listed)| listed);
        // An HTML page without files may be a web application's answer to any question.
        if listed.is_some_and(|listed| !listed.files.is_empty() || listed.syntax == Some(Syntax::Json)) {
            return Ok(found);
        }
        weak.get_or_insert(found);
    }
    if let Some(found) = weak {
        return Ok(found);
    }
    if is_simple {
        // What can't be read is no answer: not even that the project isn't there.
        if let Some((_, failure)) = bad.pop() {
            return Err(failure);
        }
        // The name says it; the root page may be large, and can't say more.
        return Ok(Discovery { layout: Some(Layout::Simple(own)), page: None });
    }
    let mut roots = vec![given, own.clone(), below(&own, "simple")];
    roots.dedup();
    for url in roots {
        let Look::Page(page, listed) = fetch_page(client, source, &url)? else { continue };
        if !listed.files.is_empty() {
            return Ok(Discovery { layout: Some(Layout::Flat(url)), page: Some((*page, listed)) });
        }
        if !listed.projects.is_empty() {
            let base = folder(&url);
            return match bad.into_iter().find(|(tried, _)| *tried == base) {
                Some((_, failure)) => Err(failure),
                None => Ok(Discovery { layout: Some(Layout::Simple(base)), page: None }),
            };
        }
    }
    bad.pop().map_or(Ok(Discovery { layout: None, page: None }), |(_, failure)| Err(failure))
}

/// What is at a URL.
enum Look {
    Page(Box<Page>, ListedPage),
    Absent,
    /// Something, but no page.
    Bad(Failure),
}

/// Fetches and reads a page.
fn fetch_page(client: &Client, source: &Source, url: &Url) -> Result<Look, Failure> {
    let page = match client.page(source, url, None) {
        Ok(PageAnswer::Page(page)) => page,
        Ok(PageAnswer::Absent | PageAnswer::Unchanged) => return Ok(Look::Absent),
        // A bucket refuses what it hasn't got, and may have the one page that the URL is of.
        Err(failure @ Failure::Refused { .. }) if failure.is_lasting() => return Ok(Look::Bad(failure)),
        Err(failure) => return Err(failure),
    };
    Ok(match page.read() {
        Ok(listed) => Look::Page(Box::new(page), listed),
        Err(failure) => Look::Bad(failure),
    })
}

/// Returns the base that a redirect on the same server led to, to go there at once the next time.
fn base_of(source: &Source, page: &Url, project: &ProjectName) -> Option<Url> {
    let end = format!("/{project}/");
    let base = page.path().strip_suffix(&end)?;
    if !is_same_origin(&source.url, page) || page.query().is_some() {
        return None;
    }
    let mut url = page.clone();
    url.set_path(&format!("{base}/"));
    url.set_fragment(None);
    Some(url)
}

/// Returns the URL with a slash at the end of its path.
fn folder(url: &Url) -> Url {
    let mut folder = url.clone();
    if !folder.path().ends_with('/') {
        folder.set_path(&format!("{}/", url.path()));
    }
    folder
}

/// Returns the folder `name` below a folder; a query, as some servers use for access, is kept.
fn below(base: &Url, name: &str) -> Url {
    let mut url = folder(base);
    url.set_path(&format!("{}{name}/", url.path()));
    url
}

/// Takes `…/NAME/simple/` or `…/NAME/cache/simple/` for the pages of a wcas, and returns what it has at `…/NAME/` and a path.
pub fn beside_pages(pages: &str, path: &str) -> Option<Url> {
    let pages: Url = pages.parse().ok()?;
    let mut parts: Vec<&str> = pages.path_segments()?.filter(|part| !part.is_empty()).collect();
    if parts.pop() != Some("simple") {
        return None;
    }
    if parts.len() > 1 && parts.last() == Some(&"cache") {
        parts.pop();
    }
    // An index without a name in its path is no wcas's, and nobody knows where it takes files.
    parts.last()?;
    let path = format!("/{}/{path}", parts.join("/"));
    let mut url = pages;
    url.set_path(&path);
    Some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layout_reads_back_from_its_text() {
        for text in ["simple https://index.example/simple/", "flat https://index.example/whl/links.html"] {
            assert_eq!(text.parse::<Layout>().unwrap().to_string(), text);
        }
        for bad in ["", "simple", "simple index", "tree https://index.example/"] {
            assert_eq!(bad.parse::<Layout>(), Err(LayoutError(bad.to_owned())));
        }
    }

    #[test]
    fn a_project_page_has_the_normalised_name_and_a_slash() {
        let project = "Flask_RESTful".parse().unwrap();
        let url = |layout: &str| project_page_url(&layout.parse().unwrap(), &project).to_string();
        assert_eq!(url("simple https://index.example/a"), "https://index.example/a/flask-restful/");
        assert_eq!(url("simple https://index.example/a/?key=x"), "https://index.example/a/flask-restful/?key=x");
        assert_eq!(url("flat https://index.example/links.html"), "https://index.example/links.html");
    }
}
