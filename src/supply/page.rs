//! A remote's page for a project: from the manifest while it is fresh, asked for anew with its validators, used stale when the
//! remote is down.
//!
//! Three steps, so that many pages can be fetched at a time by threads that have no manifest: `prepare` reads, `fetch` asks, `record`
//! writes.

mod record;

use super::patience::{FAILED_SECONDS, FRESH_SECONDS, MISS_SECONDS};
use super::signed_list::{self, ListAnswer, RemoteList};
use super::yanks::{self, YankChange};
use crate::error::Result;
use crate::index::read::{self, ListedFile, ListedPage, Signed};
use crate::manifest::{PageFailure, PageRow, RemoteRow, Rows, Setback};
use crate::name::ProjectName;
use crate::remote::{Auth, Client, Failure, Layout, Page, PageAnswer, Source, Validators, discover, project_page_url};
use crate::words::reason;
use url::Url;

/// A question to a remote, with all that the manifest knows.
#[derive(Debug)]
pub(crate) struct Question<'a> {
    pub(crate) remote: &'a RemoteRow,
    pub(crate) source: Source,
    project: &'a ProjectName,
    layout: Option<Layout>,
    cached: Option<PageRow>,
    root: Option<PageRow>,
    /// What the remote's signed list needs, where it must have one.
    list: Option<RemoteList>,
    now: i64,
}

/// What a remote, or the memory of it, says about a project.
#[derive(Debug)]
pub(crate) enum Answer {
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
pub(crate) struct Fetched {
    layout: Option<Layout>,
    pages: Vec<(String, KeptPage)>,
    /// Files that the page tells no time of, and since when it may have had them.
    untimed: Vec<(String, i64)>,
    /// Files whose yank the page changes; where there must be a signed list, only that does.
    yanks: Vec<YankChange>,
    project: String,
    failure: Option<PageFailure>,
    list: Option<ListAnswer>,
    answer: Option<Answer>,
    /// Whether what failed was the way to the remote, not this page of it.
    is_down: bool,
    /// Whether to ask again may help.
    is_passing: bool,
    asked: bool,
}

#[derive(Debug)]
enum KeptPage {
    New(PageRow),
    Unchanged,
}

/// Returns what the client needs to know of a remote.
pub(crate) fn source(remote: &RemoteRow) -> std::result::Result<Source, String> {
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

/// Reads what the manifest knows.
pub(crate) fn prepare<'a>(
    rows: &Rows,
    remote: &'a RemoteRow,
    project: &'a ProjectName,
    now: i64,
) -> Result<std::result::Result<Question<'a>, Answer>> {
    if !remote.includes(project) {
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
    let list = match RemoteList::read(rows, remote, now)? {
        Ok(list) => list,
        Err(reason) => return Ok(Err(Answer::Failed(reason))),
    };
    Ok(Ok(Question { remote, source, project, layout, cached, root, list, now }))
}

/// Tells whether a remote has one page for all projects, as far as is known.
pub(crate) fn is_flat(remote: &RemoteRow) -> bool {
    remote.layout.as_deref().and_then(|text| text.parse().ok()).is_some_and(|layout| matches!(layout, Layout::Flat(_)))
}

/// Returns the files of a flat remote's page as it is remembered, however old.
pub(crate) fn flat_files(rows: &Rows, remote: &RemoteRow) -> Result<Vec<ListedFile>> {
    let row = rows.remote_page(remote.id, "")?.filter(|row| !row.is_absent);
    let mut files = row.and_then(|row| parse(&row).ok()).map(|page| page.files).unwrap_or_default();
    let is_vouched = signed_list::vouch(rows, remote, None, &mut files)?.is_ok();
    Ok(if is_vouched { files } else { Vec::new() })
}

/// The name under which a page is kept: a flat layout has one page for all projects.
fn key<'a>(layout: Option<&Layout>, project: &'a ProjectName) -> &'a str {
    match layout {
        Some(Layout::Flat(_)) => "",
        _ => project.as_str(),
    }
}

impl Question<'_> {
    /// Tells which page is asked for. None: that must be found out first, or the root page or the signed list must, and so only one asks.
    pub(crate) fn key(&self, is_known: bool) -> Option<&str> {
        let has_root = !self.remote.settings.is_listed || self.fresh_root().is_some();
        let has_list = self.list.as_ref().is_none_or(RemoteList::is_fresh);
        let is_ready = self.layout.is_some() && has_root && has_list;
        (is_known || is_ready).then(|| key(self.layout.as_ref(), self.project))
    }

    /// Returns the root page as it is remembered, while it is young enough.
    fn fresh_root(&self) -> Option<&PageRow> {
        self.root.as_ref().filter(|row| {
            let allowed = if row.is_absent { MISS_SECONDS } else { FRESH_SECONDS };
            (0..allowed).contains(&self.now.saturating_sub(row.fetched_at))
        })
    }

    /// Answers from memory alone, if what is remembered is young enough. `is_wanted` tells which files are.
    pub(crate) fn remembered(&self, rows: &Rows, is_wanted: impl Fn(&ListedFile) -> bool) -> Result<Option<Answer>> {
        let Some(row) = &self.cached else { return Ok(None) };
        let is_younger = |seconds: i64| (0..seconds).contains(&self.now.saturating_sub(row.fetched_at));
        if row.is_absent {
            return Ok(is_younger(MISS_SECONDS).then_some(Answer::Absent));
        }
        let Ok(page) = parse(row) else { return Ok(None) };
        let Answer::Page(page, _) = vouched(rows, self.remote, None, Answer::Page(page, None))? else {
            return Ok(None);
        };
        let is_enough = page.files.iter().any(|file| !matches!(file.signed, Signed::Refused(_)) && is_wanted(file));
        let allowed = if is_enough { FRESH_SECONDS } else { MISS_SECONDS };
        Ok(is_younger(allowed).then_some(Answer::Page(page, None)))
    }

    /// Returns how a recent question failed, if it did: the remote is left alone for a while.
    pub(crate) fn recent_failure(&self, rows: &Rows) -> Result<Option<PageFailure>> {
        let failed = rows.page_failure(self.remote.id, self.project.as_str(), self.now - FAILED_SECONDS)?;
        // What was asked for at a time that is yet to come was asked for by another clock.
        Ok(failed.filter(|failure| failure.failed_at <= self.now))
    }

    /// Returns what is remembered, however old, and since when.
    pub(crate) fn kept(&self, rows: &Rows) -> Result<(Option<i64>, Option<Answer>)> {
        let Some(row) = &self.cached else { return Ok((None, None)) };
        let answer =
            if row.is_absent { Some(Answer::Absent) } else { parse(row).ok().map(|page| Answer::Page(page, None)) };
        let answer = answer.map(|answer| vouched(rows, self.remote, None, answer)).transpose()?;
        Ok((Some(row.fetched_at), answer))
    }

    /// Asks the remote.
    pub(crate) fn fetch(&self, client: &Client) -> Fetched {
        let mut fetched = Fetched { project: self.project.to_string(), ..Fetched::default() };
        if self.remote.settings.is_listed && !self.is_named_by_root(client, &mut fetched) {
            return Fetched { answer: Some(Answer::Absent), ..fetched };
        }
        fetched.asked = true;
        let answer = self.ask(client, &mut fetched).unwrap_or_else(|failure| {
            let mut reason = reason(&failure);
            if failure.is_forbidden() {
                // What stores of objects say of a key that isn't there, to whoever may not list them.
                let name = &self.remote.name;
                reason.push_str(&format!(" (if that means there is none: `wcas remote set {name} --not-found 403`)"));
            }
            fetched.failure = Some(PageFailure {
                failed_at: self.now,
                reason: reason.clone(),
                setback: match failure {
                    // Of what a redirect leads to nothing is told, not even how it refuses.
                    _ if failure.is_lasting() && failure.is_of(&self.source.url) => Setback::Lasting,
                    _ if failure.is_slow() => Setback::Slow,
                    _ => Setback::Passing,
                },
            });
            fetched.is_down = failure.is_down(&self.source.url);
            fetched.is_passing = failure.is_passing();
            match self.cached.as_ref().filter(|row| !row.is_absent).map(parse) {
                Some(Ok(page)) => Answer::Page(page, Some(reason)),
                _ => Answer::Failed(reason),
            }
        });
        Fetched { answer: Some(answer), ..fetched }
    }

    fn ask(&self, client: &Client, fetched: &mut Fetched) -> std::result::Result<Answer, Failure> {
        if let Some(why) = self.ask_for_list(client, fetched)? {
            return Ok(Answer::Failed(why));
        }
        let Some(layout) = &self.layout else { return self.discover(client, fetched) };
        let key = key(Some(layout), self.project).to_owned();
        let known = self.cached.as_ref().filter(|row| !row.is_absent);
        match client.page(&self.source, &project_page_url(layout, self.project), known.map(validators).as_ref())? {
            PageAnswer::Page(page) => {
                let listed = page.read()?;
                fetched.see(&page, &listed, self.now);
                let row = row(page, self.now);
                // Most pages come again as they were.
                if self.list.is_none() && known.is_none_or(|known| known.body != row.body) {
                    let before = known.and_then(|known| parse(known).ok());
                    fetched.yanks = yanks::changes(before.as_ref(), &listed);
                }
                fetched.pages.push((key, KeptPage::New(row)));
                Ok(Answer::Page(listed, None))
            }
            PageAnswer::Absent => Ok(self.absent(key, fetched)),
            PageAnswer::Unchanged => {
                fetched.pages.push((key, KeptPage::Unchanged));
                let row = known.expect("validators were sent");
                match parse(row) {
                    Ok(listed) => Ok(Answer::Page(listed, None)),
                    // It could be read when it was kept.
                    Err(error) => Ok(Answer::Failed(error.to_string())),
                }
            }
        }
    }

    /// Asks for the signed list that the remote must have, if that was not done a moment ago. Returns why nothing of the remote is taken,
    /// so that nothing else is asked for.
    fn ask_for_list(&self, client: &Client, fetched: &mut Fetched) -> std::result::Result<Option<String>, Failure> {
        let Some(list) = &self.list else { return Ok(None) };
        let refusal = if list.is_fresh() {
            list.refusal().map(str::to_owned)
        } else {
            let brought = list.fetch(client, &self.source)?;
            let refusal = brought.refusal().map(str::to_owned);
            fetched.list = Some(brought);
            refusal
        };
        if let Some(why) = &refusal {
            let failure = PageFailure { failed_at: self.now, reason: why.clone(), setback: Setback::Passing };
            (fetched.failure, fetched.is_down) = (Some(failure), true);
        }
        Ok(refusal)
    }

    /// Asks for the first time: where the pages are is found out on the way.
    fn discover(&self, client: &Client, fetched: &mut Fetched) -> std::result::Result<Answer, Failure> {
        let found = discover(client, &self.source, self.project)?;
        let key = key(found.layout.as_ref(), self.project).to_owned();
        fetched.layout = found.layout;
        let Some((page, listed)) = found.page else { return Ok(self.absent(key, fetched)) };
        fetched.see(&page, &listed, self.now);
        if self.list.is_none() {
            fetched.yanks = yanks::changes(None, &listed);
        }
        fetched.pages.push((key, KeptPage::New(row(page, self.now))));
        Ok(Answer::Page(listed, None))
    }

    fn absent(&self, key: String, fetched: &mut Fetched) -> Answer {
        fetched.pages.push((key, KeptPage::New(self.absent_row())));
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
                    fetched.pages.push((String::new(), KeptPage::New(row)));
                    listed
                }
                Ok(PageAnswer::Unchanged) => {
                    fetched.pages.push((String::new(), KeptPage::Unchanged));
                    known.and_then(|row| parse(row).ok())
                }
                // For a while nobody asks again, whatever the reason: all projects are asked for meanwhile.
                Ok(PageAnswer::Absent) | Err(_) => {
                    fetched.pages.push((String::new(), KeptPage::New(self.absent_row())));
                    None
                }
            }
        };
        page.is_none_or(|page| page.projects.is_empty() || page.projects.contains(self.project))
    }
}

/// Lets a remote's signed list decide about the files of an answer.
fn vouched(rows: &Rows, remote: &RemoteRow, brought: Option<&ListAnswer>, answer: Answer) -> Result<Answer> {
    let Answer::Page(mut page, stale) = answer else { return Ok(answer) };
    Ok(match signed_list::vouch(rows, remote, brought, &mut page.files)? {
        Ok(()) => Answer::Page(page, stale),
        Err(why) => Answer::Failed(why),
    })
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
