//! One file to one remote: asked for by its digest where the remote understands that, else sent.

use super::dialect::{Dialect, Meaning, of_reference, of_upload};
use super::form::{self, Fields, Sums};
use super::{MAX_REFUSALS, queue, upload_url};
use crate::context::Context;
use crate::digest::Sha256;
use crate::error::Result;
use crate::fs;
use crate::keep::health::{open_blob, read_through};
use crate::manifest::{Entry, RemoteRow, WaitingRow};
use crate::meter;
use crate::remote::{
    Client, Failure, Layout, PageAnswer, Source, UploadAnswer, UploadContent, UploadForm, discover, project_page_url,
};
use crate::store::Store;
use crate::supply::page;
use crate::wheel::Metadata;
use crate::words::reason;
use std::fs::File;
use std::io::{Seek as _, SeekFrom};
use url::Url;

/// What became of a file that waits.
#[derive(Debug)]
pub(super) enum Fate {
    /// It was sent and taken.
    Sent(Box<Entry>),
    /// The remote had it.
    There(Box<Entry>),
    /// Nobody wants it there any more.
    Unwanted(String),
    /// It waits on.
    Failed {
        /// Why.
        reason: String,
        /// How many refusals that counts for; 0: a failure that passes.
        refusals: u32,
    },
}

/// A remote that is sent to, and what is found out about it on the way.
pub(super) struct Sending<'a> {
    store: &'a Store,
    client: &'a Client,
    remote: &'a RemoteRow,
    /// The remote as it is read.
    pages: Source,
    /// The remote as it is written to.
    uploads: Source,
    dialect: Dialect,
}

/// Returns the entry that a row means, or why it is to be sent no more.
pub(super) fn wanted(
    store: &Store,
    remote: &RemoteRow,
    row: &WaitingRow,
) -> Result<std::result::Result<Entry, String>> {
    let entry = store.manifest.find_entry(row.collection, &row.filename)?.filter(|entry| entry.blob == row.blob);
    let Some(entry) = entry else { return Ok(Err("its collection has it no more".to_owned())) };
    Ok(match queue::unwanted(remote, &entry) {
        Some(reason) => Err(reason),
        None => Ok(entry),
    })
}

impl<'a> Sending<'a> {
    /// Makes ready to send to a remote; an error says why nothing can be sent.
    pub(super) fn to(
        store: &'a Store,
        context: &'a Context<'a>,
        remote: &'a RemoteRow,
    ) -> std::result::Result<Self, String> {
        let client = context.client.ok_or("nothing is sent while remotes are left alone")?;
        let client = client.get().map_err(|error| reason(error))?;
        let pages = page::source(remote)?;
        let name = &remote.name;
        let url = upload_url(&remote.settings)
            .ok_or_else(|| format!("where it takes files is not known: `wcas remote set {name} --upload-url URL`"))?;
        let uploads = Source { url, ..pages.clone() };
        Ok(Self { store, client, remote, pages, uploads, dialect: Dialect::Unknown })
    }

    /// Sends a file, unless the remote has it or nobody wants it there any more.
    pub(super) fn send(&mut self, row: &WaitingRow) -> Result<Fate> {
        let entry = match wanted(self.store, self.remote, row)? {
            Ok(entry) => Box::new(entry),
            Err(reason) => return Ok(Fate::Unwanted(reason)),
        };
        let bad = || Fate::Unwanted("its bytes are missing or wrong".to_owned());
        let Some((file, signature)) = open_blob(self.store, &entry.blake3)? else { return Ok(bad()) };
        if self.dialect != Dialect::Other {
            match self.refer(&entry) {
                Meaning::There => return Ok(Fate::There(entry)),
                Meaning::Wanted(dialect) => self.dialect = dialect,
                other => return Ok(failed(other)),
            }
        }
        let path = self.store.blobs.path(&entry.blake3);
        let sums = Sums::of(&file, &path)?;
        if sums.sha256 != entry.sha256 {
            // Looked at once more, and recorded, so that nothing else hands the bytes out.
            read_through(self.store, &entry.blake3)?;
            return Ok(bad());
        }
        (&file).seek(SeekFrom::Start(0)).map_err(fs::Error::at("read", &path))?;
        let metadata = entry.metadata_sha256.map(|sha256| self.store.manifest.metadata(&sha256)).transpose()?.flatten();
        let metadata = metadata.and_then(|bytes| Metadata::parse(&bytes).ok());
        let fields = form::upload(&entry, metadata.as_ref(), &sums);
        Ok(match self.upload(&entry, fields, file, signature.size) {
            Meaning::There => Fate::Sent(entry),
            Meaning::Doubtful(reason) => match self.listed(&entry) {
                Some(sha256) if sha256 == entry.sha256 => Fate::There(entry),
                Some(sha256) => {
                    failed(Meaning::Conflict(format!("{reason} (it has other bytes, with sha256 digest {sha256})")))
                }
                None => failed(Meaning::Refused(reason)),
            },
            other => failed(other),
        })
    }

    /// Asks a remote by digest whether it has a file, or has its bytes and takes them.
    fn refer(&self, entry: &Entry) -> Meaning {
        let form = UploadForm { fields: form::reference(entry), sha256: entry.sha256, content: None };
        let place = match self.dialect {
            Dialect::Wcas => keeping(&self.uploads.url),
            _ => self.uploads.url.clone(),
        };
        let answer = self.client.upload(&self.uploads, &place, form, &|_| {});
        understood(answer, |answer| of_reference(answer, &entry.sha256))
    }

    fn upload(&self, entry: &Entry, fields: Fields, file: File, size: u64) -> Meaning {
        let content = UploadContent { filename: entry.filename.clone(), file, size };
        let form = UploadForm { fields, sha256: entry.sha256, content: Some(content) };
        let url = if self.dialect == Dialect::Wcas { keeping(&self.uploads.url) } else { self.uploads.url.clone() };
        let answer = self.client.upload(&self.uploads, &url, form, &meter::reached);
        understood(answer, |answer| of_upload(answer, self.dialect, &entry.sha256))
    }

    /// Returns the digest that the remote's own page has for a file's name, if it has one.
    fn listed(&self, entry: &Entry) -> Option<Sha256> {
        let layout = self.remote.layout.as_deref().and_then(|text| text.parse::<Layout>().ok());
        let page = match layout {
            Some(layout) => {
                let url = project_page_url(&layout, &entry.project);
                match self.client.page(&self.pages, &url, None).ok()? {
                    PageAnswer::Page(page) => page.read().ok()?,
                    PageAnswer::Unchanged | PageAnswer::Absent => return None,
                }
            }
            None => discover(self.client, &self.pages, &entry.project).ok()?.page?.1,
        };
        page.files.into_iter().find(|file| file.name.as_str() == entry.filename)?.sha256
    }
}

/// Returns where a wcas takes a file and keeps what it has under its name, without calling that an error.
fn keeping(url: &Url) -> Url {
    let mut url = url.clone();
    url.set_query(Some("on_conflict=keep"));
    url
}

fn understood(
    answer: std::result::Result<UploadAnswer, Failure>,
    understand: impl FnOnce(&UploadAnswer) -> Meaning,
) -> Meaning {
    match answer {
        Ok(answer) => understand(&answer),
        Err(failure) => Meaning::Failed(reason(&failure)),
    }
}

/// Returns what an answer means for a file that wasn't taken.
fn failed(meaning: Meaning) -> Fate {
    let (reason, refusals) = match meaning {
        Meaning::Conflict(reason) => (reason, MAX_REFUSALS),
        Meaning::Refused(reason) | Meaning::Doubtful(reason) => (reason, 1),
        Meaning::Failed(reason) => (reason, 0),
        Meaning::There | Meaning::Wanted(_) => ("its answer made no sense".to_owned(), 1),
    };
    Fate::Failed { reason, refusals }
}
