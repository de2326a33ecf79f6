//! `--signed-by`: of a collection of another wcas only that is taken which a list says that somebody signed who may.
//!
//! The list (`/NAME/revision.txt` and its signature) comes with the pages, and is asked for anew as they are. It decides about files:
//! what it hasn't isn't taken, and its digests are what bytes are compared with, whatever a page says. A list that isn't good, or that is
//! older than the one before, means that nothing of the remote is taken; one that can't be had just now leaves the one before.

use super::patience::{FAILED_SECONDS, MISS_SECONDS};
use super::{REVISION_TEXT, SignedSample, yanks};
use crate::budget;
use crate::digest::Sha256;
use crate::error::Result;
use crate::index::read::{ListedFile, Signed};
use crate::manifest::{RemoteListRow, RemoteRow, Rows, TakenList, Transaction};
use crate::name::CollectionName;
use crate::remote::{Client, Failure, PageAnswer, Source, Validators, beside_pages};
use crate::signed::signers::Signers;
use crate::signed::{self, RevisionText};
use url::Url;

/// What is known of a remote's list, and how to ask for it.
#[derive(Debug)]
pub(crate) struct RemoteList {
    signers: Signers,
    url: Url,
    collection: CollectionName,
    known: Option<RemoteListRow>,
    now: i64,
}

/// What came of asking for a list.
#[derive(Debug)]
pub(crate) enum ListAnswer {
    /// It is what it was.
    Unchanged,
    /// A new one, which may be taken.
    New(Box<NewList>),
    /// None that may be taken.
    Refused(String),
}

/// A list that was signed by somebody who may.
#[derive(Debug)]
pub(crate) struct NewList {
    pub(crate) taken: TakenList,
    pub(crate) text: RevisionText,
}

impl ListAnswer {
    /// Tells why it is not taken.
    pub(crate) fn refusal(&self) -> Option<&str> {
        match self {
            Self::Refused(why) => Some(why),
            Self::Unchanged | Self::New(_) => None,
        }
    }
}

impl RemoteList {
    /// Reads what is known of a remote's list; `None`: it needs none. The inner error tells why it can't be asked for.
    pub(crate) fn read(rows: &Rows, remote: &RemoteRow, now: i64) -> Result<std::result::Result<Option<Self>, String>> {
        let Some(keys) = &remote.settings.signed_by else { return Ok(Ok(None)) };
        let signers = match Signers::parse(keys) {
            Ok(signers) => signers,
            Err(error) => return Ok(Err(format!("its --signed-by can't be read: {error}"))),
        };
        let url = beside_pages(&remote.settings.url, REVISION_TEXT);
        let Some((url, collection)) = url.and_then(|url| Some((url.clone(), collection_of(&url)?))) else {
            return Ok(Err("its URL is not that of a wcas's collection, so there is no signed list".to_owned()));
        };
        Ok(Ok(Some(Self { signers, url, collection, known: rows.remote_list(remote.id)?, now })))
    }

    /// Tells whether it was asked for a moment ago.
    pub(crate) fn is_fresh(&self) -> bool {
        self.known.as_ref().is_some_and(|row| {
            let allowed = if row.refusal.is_some() { FAILED_SECONDS } else { MISS_SECONDS };
            (0..allowed).contains(&self.now.saturating_sub(row.asked_at))
        })
    }

    /// Tells why the one that was asked for last is not taken.
    pub(crate) fn refusal(&self) -> Option<&str> {
        self.known.as_ref().and_then(|row| row.refusal.as_deref())
    }

    /// Asks for it. A failure says nothing of the list.
    pub(crate) fn fetch(&self, client: &Client, source: &Source) -> std::result::Result<ListAnswer, Failure> {
        let taken = self.known.as_ref().and_then(|row| row.taken.as_ref());
        let validators = taken
            .map(|taken| Validators { etag: taken.etag.clone(), last_modified: taken.last_modified.clone() })
            .filter(|validators| *validators != Validators::default());
        let first = self.ask(client, source, validators.as_ref())?;
        // A text and a signature that don't fit may be of two revisions, where one was signed in between.
        let brought = if matches!(first, ListAnswer::Refused(_)) { self.ask(client, source, None)? } else { first };
        Ok(match &brought {
            ListAnswer::New(new) => match taken.and_then(|taken| succession(taken, new)) {
                Some(why) => ListAnswer::Refused(why),
                None => brought,
            },
            _ => brought,
        })
    }

    /// Tells people of what came; the error tells why it isn't taken.
    pub(crate) fn sample(&self, brought: &ListAnswer) -> std::result::Result<SignedSample, String> {
        let (taken, files) = match brought {
            ListAnswer::Refused(why) => return Err(why.clone()),
            ListAnswer::New(new) => (Some(&new.taken), Some(new.text.files.len())),
            ListAnswer::Unchanged => (self.known.as_ref().and_then(|row| row.taken.as_ref()), None),
        };
        let taken = taken.ok_or("it says that its signed list is unchanged, and there was none")?;
        let (collection, signer) = (self.collection.clone(), taken.signer.clone());
        Ok(SignedSample { collection, revision: taken.revision, signer, files })
    }

    fn ask(
        &self,
        client: &Client,
        source: &Source,
        validators: Option<&Validators>,
    ) -> std::result::Result<ListAnswer, Failure> {
        let refused = |why: String| Ok(ListAnswer::Refused(why));
        let limit = budget::SIGNED_LIST.limit;
        let page = match client.text(source, &self.url, validators, limit) {
            Ok(PageAnswer::Page(page)) => page,
            Ok(PageAnswer::Unchanged) => return Ok(ListAnswer::Unchanged),
            Ok(PageAnswer::Absent) => {
                return refused(format!("it has no signed list ({} is not there)", self.url.path()));
            }
            Err(failure @ Failure::TooLarge { .. }) => {
                return refused(format!("its signed list: {failure} ({})", budget::SIGNED_LIST));
            }
            Err(failure) => return Err(failure),
        };
        let mut url = self.url.clone();
        url.set_path(&format!("{}.sig", url.path()));
        let signature = match client.text(source, &url, None, limit) {
            Ok(PageAnswer::Page(page)) => page.body,
            Ok(_) => return refused(format!("its list is not signed ({} is not there)", url.path())),
            Err(failure @ Failure::TooLarge { .. }) => return refused(format!("the signature of its list: {failure}")),
            Err(failure) => return Err(failure),
        };
        let (Ok(text), Ok(signature)) = (String::from_utf8(page.body), String::from_utf8(signature)) else {
            return refused("its signed list, or the signature, is no text".to_owned());
        };
        let (signer, parsed) = match signed::read(&text, &signature, &self.signers) {
            Ok(read) => read,
            Err(error) => return refused(format!("its signed list is not to be trusted: {error}")),
        };
        if parsed.collection != self.collection {
            return refused(format!(
                "its signed list is of {}, and its URL names {}",
                parsed.collection, self.collection
            ));
        }
        let taken = TakenList {
            revision: parsed.revision,
            digest: Sha256::of(text.as_bytes()),
            signer,
            etag: page.validators.etag,
            last_modified: page.validators.last_modified,
        };
        Ok(ListAnswer::New(Box::new(NewList { taken, text: parsed })))
    }
}

/// Tells why a list can't follow the one that was taken before it; `None`: it can.
fn succession(before: &TakenList, new: &NewList) -> Option<String> {
    let (number, of) = (new.taken.revision, &new.text.collection);
    if number < before.revision {
        return Some(format!(
            "its signed list is of {of}@{number}, older than {of}@{}, which was there before",
            before.revision
        ));
    }
    if number == before.revision {
        let is_same = new.taken.digest == before.digest;
        return (!is_same).then(|| format!("its signed list of {of}@{number} is not the one that was there before"));
    }
    // Who signed the one before names it in what comes after it.
    let follows = match &new.text.previous {
        Some((previous, digest)) => {
            *previous > before.revision || (*previous, *digest) == (before.revision, before.digest)
        }
        None => false,
    };
    (!follows).then(|| {
        format!("its signed list of {of}@{number} doesn't follow {of}@{}, which was there before", before.revision)
    })
}

/// Records what came.
pub(crate) fn record(
    transaction: &Transaction<'_>,
    remote: &RemoteRow,
    brought: &ListAnswer,
    now: i64,
) -> crate::manifest::Result<()> {
    let taken = transaction.remote_list(remote.id)?.and_then(|row| row.taken);
    let (refusal, taken) = match brought {
        ListAnswer::Unchanged => (None, taken),
        ListAnswer::Refused(why) => (Some(why.clone()), taken),
        ListAnswer::New(new) => {
            // Another process may have taken a newer one meanwhile.
            if taken.as_ref().is_some_and(|taken| succession(taken, new).is_some()) {
                return Ok(());
            }
            (None, Some(new.taken.clone()))
        }
    };
    let is_known =
        |known: Option<TakenList>| known.map(|known| known.digest) == taken.as_ref().map(|taken| taken.digest);
    let files = match brought {
        ListAnswer::New(new) if !is_known(transaction.remote_list(remote.id)?.and_then(|row| row.taken)) => {
            Some(&new.text.files)
        }
        _ => None,
    };
    transaction.put_remote_list(remote.id, &RemoteListRow { asked_at: now, refusal, taken })?;
    let Some(files) = files else { return Ok(()) };
    yanks::follow(
        transaction,
        remote,
        &yanks::changes_of_list(&transaction.remote_list_yanks(remote.id)?, files),
        now,
    )?;
    transaction.replace_remote_list_files(remote.id, files)
}

/// Lets a remote's list decide about files of its pages. The inner error tells why nothing of the remote is taken. `brought` is what was
/// heard just now, which may not be recorded yet.
pub(crate) fn vouch(
    rows: &Rows,
    remote: &RemoteRow,
    brought: Option<&ListAnswer>,
    files: &mut [ListedFile],
) -> Result<std::result::Result<(), String>> {
    if remote.settings.signed_by.is_none() {
        return Ok(Ok(()));
    }
    let row = rows.remote_list(remote.id)?;
    let refusal = match brought {
        Some(ListAnswer::Refused(why)) => Some(why.clone()),
        Some(ListAnswer::New(_)) => None,
        Some(ListAnswer::Unchanged) if row.as_ref().is_some_and(|row| row.taken.is_some()) => None,
        _ => match row {
            Some(RemoteListRow { refusal: Some(why), .. }) => Some(why),
            Some(RemoteListRow { taken: Some(_), .. }) => None,
            _ => Some("its signed list was not read yet".to_owned()),
        },
    };
    if let Some(why) = refusal {
        return Ok(Err(why));
    }
    for file in files {
        let listed = match brought {
            Some(ListAnswer::New(new)) => new.text.find(file.name.as_str()).cloned(),
            _ => rows.remote_list_file(remote.id, file.name.as_str())?,
        };
        judge(file, listed);
    }
    Ok(Ok(()))
}

/// Lets the list's word stand for the page's: digest, size, yank. Its METADATA is what the wheel has, since nobody signed another.
fn judge(file: &mut ListedFile, listed: Option<signed::ListedFile>) {
    file.sidecar = None;
    file.signed = match listed {
        None => Signed::Refused("the remote's signed list doesn't have it"),
        Some(listed) if file.sha256.is_some_and(|sha256| sha256 != listed.sha256) => {
            Signed::Refused("the page announces another digest than was signed")
        }
        Some(listed) => {
            (file.sha256, file.size, file.yanked) = (Some(listed.sha256), Some(listed.size), listed.yanked);
            Signed::Listed
        }
    };
}

/// Returns the collection that a list's URL names: `…/NAME/revision.txt`, or `…/NAME@REVISION/…`.
fn collection_of(url: &Url) -> Option<CollectionName> {
    let name = url.path_segments()?.rev().nth(1)?;
    name.split('@').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(revision: i64, previous: Option<(i64, Sha256)>, word: &str) -> NewList {
        let text = RevisionText { collection: "released".parse().unwrap(), revision, previous, files: Vec::new() };
        NewList { taken: taken(revision, word), text }
    }

    fn taken(revision: i64, word: &str) -> TakenList {
        let digest = Sha256::of(word.as_bytes());
        TakenList { revision, digest, signer: "me".to_owned(), etag: None, last_modified: None }
    }

    #[test]
    fn a_list_follows_the_one_before_it_or_is_the_same() {
        let before = taken(5, "five");
        let is_taken = |revision, previous: Option<(i64, &str)>, word| {
            let previous = previous.map(|(number, word)| (number, Sha256::of(word.as_bytes())));
            succession(&before, &new(revision, previous, word)).is_none()
        };
        assert!(is_taken(5, None, "five"));
        assert!(is_taken(6, Some((5, "five")), "six"));
        assert!(is_taken(9, Some((7, "seven")), "nine"), "one in between was not seen");
        assert!(!is_taken(5, None, "another five"));
        assert!(!is_taken(4, Some((3, "three")), "four"));
        assert!(!is_taken(6, Some((5, "another five")), "six"), "a history of its own");
        assert!(!is_taken(6, Some((4, "four")), "six"), "one without what was signed");
        assert!(!is_taken(6, None, "six"));
    }

    #[test]
    fn the_url_names_the_collection() {
        let name = |url: &str| collection_of(&beside_pages(url, REVISION_TEXT)?).map(|name| name.to_string());
        assert_eq!(name("https://index.example/released/simple/").as_deref(), Some("released"));
        assert_eq!(name("https://index.example/w/released/cache/simple").as_deref(), Some("released"));
        assert_eq!(name("https://index.example/released@v1/simple/").as_deref(), Some("released"));
        assert_eq!(name("https://index.example/simple/"), None);
    }
}
