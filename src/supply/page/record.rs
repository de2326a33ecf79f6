//! What came over the network is remembered, as far as the remote's signed list lets it.

use super::{Answer, Fetched, KeptPage, vouched};
use crate::error::Result;
use crate::index::read::ListedPage;
use crate::manifest::{RemoteRow, Rows, Setback, Transaction};
use crate::remote::Page;
use crate::supply::signed_list::{self, ListAnswer};
use crate::supply::yanks;
use std::time::UNIX_EPOCH;

impl Fetched {
    /// Tells whether the remote could not be asked.
    pub(crate) fn is_failed(&self) -> bool {
        self.failure.is_some()
    }

    /// Notes that whoever asked was in a hurry: others may wait longer.
    pub(in crate::supply) fn set_late(&mut self) {
        if let Some(failure) = self.failure.as_mut().filter(|failure| failure.setback == Setback::Slow) {
            failure.setback = Setback::Late;
        }
    }

    /// Tells whether it could not, and may be able to a moment later.
    pub(in crate::supply) fn is_passing(&self) -> bool {
        self.is_passing
    }

    /// Tells whether it could not, and waiting won't help.
    pub(crate) fn is_lasting(&self) -> bool {
        self.failure.as_ref().is_some_and(|failure| failure.setback == Setback::Lasting)
    }

    /// Tells whether the page, or a new signed list, may change a file's yank.
    pub(crate) fn has_yanked(&self) -> bool {
        !self.yanks.is_empty() || matches!(self.list, Some(ListAnswer::New(_)))
    }

    /// Notes the files without a time. They are at most as young as the page, where that says how old it is.
    pub(crate) fn see(&mut self, page: &Page, listed: &ListedPage, now: i64) {
        let modified = page.validators.last_modified.as_deref().and_then(|text| httpdate::parse_http_date(text).ok());
        let modified = modified.and_then(|time| time.duration_since(UNIX_EPOCH).ok()?.as_secs().try_into().ok());
        let since = modified.map_or(now, |modified: i64| modified.min(now));
        let untimed = listed.files.iter().filter(|file| file.uploaded_at.is_none());
        self.untimed.extend(untimed.map(|file| (file.name.as_str().to_owned(), since)));
    }

    /// Returns what the remote said, as far as its signed list lets it.
    pub(crate) fn answer(&mut self, rows: &Rows, remote: &RemoteRow) -> Result<Answer> {
        let answer = self.answer.take().unwrap_or(Answer::Absent);
        vouched(rows, remote, self.list.as_ref(), answer)
    }

    /// Remembers.
    pub(crate) fn record(
        self,
        transaction: &Transaction<'_>,
        remote: &RemoteRow,
        now: i64,
    ) -> crate::manifest::Result<()> {
        if let Some(list) = &self.list {
            signed_list::record(transaction, remote, list, now)?;
        }
        if let Some(layout) = self.layout {
            transaction.set_remote_layout(remote.id, Some(&layout.to_string()))?;
        }
        for (key, kept) in self.pages {
            match kept {
                KeptPage::New(row) => transaction.put_remote_page(remote.id, &key, &row)?,
                KeptPage::Unchanged => transaction.touch_remote_page(remote.id, &key, now)?,
            }
        }
        yanks::follow(transaction, remote, &self.yanks, now)?;
        for (filename, since) in &self.untimed {
            transaction.add_first_seen(remote.id, filename, *since)?;
        }
        match self.failure {
            Some(failure) => {
                transaction.set_remote_failure(remote.id, now, &failure.reason)?;
                let project = if self.is_down { "" } else { &self.project };
                transaction.put_page_failure(remote.id, project, &failure)?;
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
