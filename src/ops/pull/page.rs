//! A remote's page for a project: from the manifest while it is fresh, asked for anew with its validators, used stale when the
//! remote is down.
//!
//! Three steps, so that many pages can be fetched at a time by threads that have no manifest: `prepare` reads, `fetch` asks, `record`
//! writes.

use super::yanks::{self, YankChange};
use crate::error::Result;
use crate::index::read::{self, ListedFile, ListedPage};
use crate::manifest::{PageRow, RemoteRow, Rows, Transaction};
use crate::name::ProjectName;
use crate::ops::reason;
use crate::remote::{Auth, Client, Failure, Layout, Page, PageAnswer, Source, Validators, discover, project_page_url};
use crate::requirement::ProjectPattern;
use std::time::UNIX_EPOCH;
use url::Url;

/// A page is believed for so many seconds without asking again.
pub(in crate::ops) const FRESH_SECONDS: i64 = 600;
/// A page without the answer, and a page that isn't there, are believed for a shorter time: somebody may just have built it.
pub(in crate::ops) const MISS_SECONDS: i64 = 60;

/// A remote that failed is not asked again for so many seconds by those who can do without.
pub(in crate::ops) const FAILED_SECONDS: i64 = 30;

/// A question to a remote, with all that the manifest knows.
#[derive(Debug)]
pub(in crate::ops) struct Question<'a> {
    pub(super) remote: &'a RemoteRow,
    pub(super) source: Source,
    project: &'a ProjectName,
    layout: Option<Layout>,
    cached: Option<PageRow>,
    root: Option<PageRow>,
    now: i64,
}

/// What a remote, or the memory of it, says about a project.
#[derive(Debug)]
pub(in crate::ops) enum Answer {
    /// Its page; with the failure that made the remembered one be used, if it was.
    Page(ListedPage, Option<String>),
    /// It has no such project.
    Absent,
    /// It is not to be asked for this project.
    Excluded,
    /// It could not be asked.
    Failed(String),
}

/// What came over the network, to be remembered.
#[derive(Debug, Default)]
pub(in crate::ops) struct Fetched {
    layout: Option<Layout>,
    pages: Vec<(String, Kept)>,
    /// Files that the page tells no time of, and since when it may have had them.
    untimed: Vec<(String, i64)>,
    /// Files whose yank the page changes.
    yanks: Vec<YankChange>,
    project: String,
    failure: Option<String>,
    /// Whether what failed was the way to the remote, not this page of it.
    is_down: bool,
    asked: bool,
}

#[derive(Debug)]
enum Kept {
    New(PageRow),
    Unchanged,
}

/// Returns what the client needs to know of a remote.
pub(in crate::ops) fn source(remote: &RemoteRow) -> std::result::Result<Source, String> {
    let settings = &remote.settings;
    let auth = match settings.auth.as_deref() {
        None => Auth::None,
        Some("netrc") => Auth::Netrc,
        Some(text) => match text.strip_prefix("env:") {
            Some(variable) => Auth::Variable(variable.to_owned()),
            None => return Err(format!("its --auth {text:?} is neither netrc nor env:VARIABLE")),
        },
    };
    Ok(Source {
        url: Url::parse(&settings.url).map_err(|error| format!("its URL can't be read: {error}"))?,
        auth,
        not_found: settings.not_found.clone(),
        follow_hosts: settings.follow_hosts.clone(),
        allow_insecure: settings.allow_insecure,
        trust_unhashed: settings.trust_unhashed,
    })
}

/// Tells whether a remote's patterns let a project through.
pub(in crate::ops) fn is_included(remote: &RemoteRow, project: &ProjectName) -> bool {
    let any = |patterns: &[ProjectPattern]| patterns.iter().any(|pattern| pattern.matches(project));
    (remote.settings.only.is_empty() || any(&remote.settings.only)) && !any(&remote.settings.except)
}

/// Reads what the manifest knows.
pub(in crate::ops) fn prepare<'a>(
    rows: &Rows,
    remote: &'a RemoteRow,
    project: &'a ProjectName,
    now: i64,
) -> Result<std::result::Result<Question<'a>, Answer>> {
    if !is_included(remote, project) {
        return Ok(Err(Answer::Excluded));
    }
    let source = match source(remote) {
        Ok(source) => source,
        Err(reason) => return Ok(Err(Answer::Failed(reason))),
    };
    // Read anew: the remote's first answer may have told it meanwhile.
    let row = rows.find_remote(&remote.name)?;
    let layout: Option<Layout> = row.and_then(|row| row.layout?.parse().ok());
    let key = key(layout.as_ref(), project);
    let cached = rows.remote_page(remote.id, key)?;
    let root = if remote.settings.is_listed { rows.remote_page(remote.id, "")? } else { None };
    Ok(Ok(Question { remote, source, project, layout, cached, root, now }))
}

/// Tells whether a remote has one page for all projects, as far as is known.
pub(in crate::ops) fn is_flat(remote: &RemoteRow) -> bool {
    remote.layout.as_deref().and_then(|text| text.parse().ok()).is_some_and(|layout| matches!(layout, Layout::Flat(_)))
}

/// Returns the files of a flat remote's page as it is remembered, however old.
pub(in crate::ops) fn flat_files(rows: &Rows, remote: &RemoteRow) -> Result<Vec<ListedFile>> {
    let row = rows.remote_page(remote.id, "")?.filter(|row| !row.is_absent);
    Ok(row.and_then(|row| parse(&row).ok()).map(|page| page.files).unwrap_or_default())
}

/// The name under which a page is kept: a flat layout has one page for all projects.
fn key<'a>(layout: Option<&Layout>, project: &'a ProjectName) -> &'a str {
    match layout {
        Some(Layout::Flat(_)) => "",
        _ => project.as_str(),
    }
}

impl Question<'_> {
    /// Tells which page is asked for. None: that must be found out first, or the root page must, and so only one asks.
    pub(super) fn key(&self, is_known: bool) -> Option<&str> {
        let is_ready = self.layout.is_some() && (!self.remote.settings.is_listed || self.fresh_root().is_some());
        (is_known || is_ready).then(|| key(self.layout.as_ref(), self.project))
    }

    /// Returns the root page as it is remembered, while it is young enough.
    fn fresh_root(&self) -> Option<&PageRow> {
        self.root.as_ref().filter(|row| {
            let allowed = if row.is_absent { MISS_SECONDS } else { FRESH_SECONDS };
            (0..allowed).contains(&self.now.saturating_sub(row.fetched_at))
        })
    }

    /// Answers from memory alone, if what is remembered is young enough. `is_enough` looks whether a page has what is wanted.
    pub(in crate::ops) fn remembered(&self, is_enough: impl Fn(&ListedPage) -> bool) -> Option<Answer> {
        let age = |row: &PageRow| self.now.saturating_sub(row.fetched_at);
        let row = self.cached.as_ref()?;
        if row.is_absent {
            return (0..MISS_SECONDS).contains(&age(row)).then_some(Answer::Absent);
        }
        let page = parse(row).ok()?;
        let allowed = if is_enough(&page) { FRESH_SECONDS } else { MISS_SECONDS };
        (0..allowed).contains(&age(row)).then_some(Answer::Page(page, None))
    }

    /// Returns how a recent question failed, if it did: the remote is left alone for a while.
    pub(in crate::ops) fn recent_failure(&self, rows: &Rows) -> Result<Option<(i64, String)>> {
        let failed = rows.page_failure(self.remote.id, self.project.as_str(), self.now - FAILED_SECONDS)?;
        // What was asked for at a time that is yet to come was asked for by another clock.
        Ok(failed.filter(|(at, _)| *at <= self.now))
    }

    /// Returns what is remembered, however old, and since when.
    pub(in crate::ops) fn kept(&self) -> (Option<i64>, Option<Answer>) {
        let Some(row) = &self.cached else { return (None, None) };
        let answer =
            if row.is_absent { Some(Answer::Absent) } else { parse(row).ok().map(|page| Answer::Page(page, None)) };
        (Some(row.fetched_at), answer)
    }

    /// Asks the remote.
    pub(in crate::ops) fn fetch(&self, client: &Client) -> (Answer, Fetched) {
        let mut fetched = Fetched { project: self.project.to_string(), ..Fetched::default() };
        if self.remote.settings.is_listed && !self.is_named_by_root(client, &mut fetched) {
            return (Answer::Absent, fetched);
        }
        fetched.asked = true;
        let answer = self.ask(client, &mut fetched).unwrap_or_else(|failure| {
            let reason = reason(&failure);
            fetched.failure = Some(reason.clone());
            fetched.is_down = failure.is_down(&self.source.url);
            match self.cached.as_ref().filter(|row| !row.is_absent).map(parse) {
                Some(Ok(page)) => Answer::Page(page, Some(reason)),
                _ => Answer::Failed(reason),
            }
        });
        (answer, fetched)
    }

    fn ask(&self, client: &Client, fetched: &mut Fetched) -> std::result::Result<Answer, Failure> {
        let Some(layout) = &self.layout else { return self.discover(client, fetched) };
        let key = key(Some(layout), self.project).to_owned();
        let known = self.cached.as_ref().filter(|row| !row.is_absent);
        match client.page(&self.source, &project_page_url(layout, self.project), known.map(validators).as_ref())? {
            PageAnswer::Page(page) => {
                let listed = page.read()?;
                fetched.see(&page, &listed, self.now);
                let row = row(page, self.now);
                // Most pages come again as they were.
                if known.is_none_or(|known| known.body != row.body) {
                    let before = known.and_then(|known| parse(known).ok());
                    fetched.yanks = yanks::changes(before.as_ref(), &listed);
                }
                fetched.pages.push((key, Kept::New(row)));
                Ok(Answer::Page(listed, None))
            }
            PageAnswer::Absent => Ok(self.absent(key, fetched)),
            PageAnswer::Unchanged => {
                fetched.pages.push((key, Kept::Unchanged));
                let row = known.expect("validators were sent");
                match parse(row) {
                    Ok(listed) => Ok(Answer::Page(listed, None)),
                    // It could be read when it was kept.
                    Err(error) => Ok(Answer::Failed(error.to_string())),
                }
            }
        }
    }

    /// Asks for the first time: where the pages are is found out on the way.
    fn discover(&self, client: &Client, fetched: &mut Fetched) -> std::result::Result<Answer, Failure> {
        let found = discover(client, &self.source, self.project)?;
        let key = key(found.layout.as_ref(), self.project).to_owned();
        fetched.layout = found.layout;
        let Some((page, listed)) = found.page else { return Ok(self.absent(key, fetched)) };
        fetched.see(&page, &listed, self.now);
        fetched.yanks = yanks::changes(None, &listed);
        fetched.pages.push((key, Kept::New(row(page, self.now))));
        Ok(Answer::Page(listed, None))
    }

    fn absent(&self, key: String, fetched: &mut Fetched) -> Answer {
        fetched.pages.push((key, Kept::New(self.absent_row())));
        Answer::Absent
    }

    fn absent_row(&self) -> PageRow {
        PageRow {
            is_absent: true,
            url: self.remote.settings.url.clone(),
            content_type: None,
            etag: None,
            last_modified: None,
            fetched_at: self.now,
            body: Vec::new(),
        }
    }

    /// Tells whether a remote that lists its projects names this one. Where the list can't be had, it hides nothing.
    fn is_named_by_root(&self, client: &Client, fetched: &mut Fetched) -> bool {
        let url = match &self.layout {
            Some(Layout::Simple(url)) => url.clone(),
            _ => return true,
        };
        let known = self.root.as_ref().filter(|row| !row.is_absent);
        let page = if let Some(row) = self.fresh_root() {
            if row.is_absent { None } else { parse(row).ok() }
        } else {
            match client.page(&self.source, &url, known.map(validators).as_ref()) {
                Ok(PageAnswer::Page(page)) => {
                    let row = row(page, self.now);
                    let listed = parse(&row).ok();
                    fetched.pages.push((String::new(), Kept::New(row)));
                    listed
                }
                Ok(PageAnswer::Unchanged) => {
                    fetched.pages.push((String::new(), Kept::Unchanged));
                    known.and_then(|row| parse(row).ok())
                }
                // For a while nobody asks again, whatever the reason: all projects are asked for meanwhile.
                Ok(PageAnswer::Absent) | Err(_) => {
                    fetched.pages.push((String::new(), Kept::New(self.absent_row())));
                    None
                }
            }
        };
        page.is_none_or(|page| page.projects.is_empty() || page.projects.contains(self.project))
    }
}

impl Fetched {
    /// Tells whether the remote could not be asked.
    pub(in crate::ops) fn is_failed(&self) -> bool {
        self.failure.is_some()
    }

    /// Tells whether the page changes a file's yank.
    pub(in crate::ops) fn has_yanked(&self) -> bool {
        !self.yanks.is_empty()
    }

    /// Notes the files without a time. They are at most as young as the page, where that says how old it is.
    fn see(&mut self, page: &Page, listed: &ListedPage, now: i64) {
        let modified = page.validators.last_modified.as_deref().and_then(|text| httpdate::parse_http_date(text).ok());
        let modified = modified.and_then(|time| time.duration_since(UNIX_EPOCH).ok()?.as_secs().try_into().ok());
        let since = modified.map_or(now, |modified: i64| modified.min(now));
        let untimed = listed.files.iter().filter(|file| file.uploaded_at.is_none());
        self.untimed.extend(untimed.map(|file| (file.name.as_str().to_owned(), since)));
    }

    /// Remembers.
    pub(in crate::ops) fn record(
        self,
        transaction: &Transaction<'_>,
        remote: &RemoteRow,
        now: i64,
    ) -> crate::manifest::Result<()> {
        if let Some(layout) = self.layout {
            transaction.set_remote_layout(remote.id, Some(&layout.to_string()))?;
        }
        for (key, kept) in self.pages {
            match kept {
                Kept::New(row) => transaction.put_remote_page(remote.id, &key, &row)?,
                Kept::Unchanged => transaction.touch_remote_page(remote.id, &key, now)?,
            }
        }
        yanks::follow(transaction, remote, &self.yanks, now)?;
        for (filename, since) in &self.untimed {
            transaction.add_first_seen(remote.id, filename, *since)?;
        }
        match self.failure {
            Some(failure) => {
                transaction.set_remote_failure(remote.id, now, &failure)?;
                let project = if self.is_down { "" } else { &self.project };
                transaction.put_page_failure(remote.id, project, now, &failure)?;
            }
            None if self.asked => {
                transaction.set_remote_ok(remote.id, now)?;
                transaction.forget_page_failures(remote.id, &self.project)?;
            }
            None => {}
        }
        Ok(())
    }
}

fn validators(row: &PageRow) -> Validators {
    Validators { etag: row.etag.clone(), last_modified: row.last_modified.clone() }
}

fn row(page: Page, now: i64) -> PageRow {
    PageRow {
        is_absent: false,
        url: page.url.to_string(),
        content_type: page.content_type,
        etag: page.validators.etag,
        last_modified: page.validators.last_modified,
        fetched_at: now,
        body: page.body,
    }
}

fn parse(row: &PageRow) -> std::result::Result<ListedPage, read::PageError> {
    let base = Url::parse(&row.url).map_err(|error| read::PageError::Foreign(error.to_string()))?;
    read::page(&row.body, row.content_type.as_deref(), &base)
}
