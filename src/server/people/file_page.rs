//! `/{view}/projects/{project}/{filename}/`: what is in a file, what its METADATA says, who vouches for it. No remote is asked, nothing
//! is hashed.

use super::act::Desk;
use super::file::{FileSight, details};
use super::frame::{Page, root, scrolling};
use super::{chart, description, words};
use crate::error::Result;
use crate::fs::Signature;
use crate::manifest::{Entry, OperationRow, SignatureRow, State};
use crate::name::ProjectName;
use crate::ops;
use crate::server::discretion::Discretion;
use crate::server::endpoint::ViewName;
use crate::server::verb::Verb;
use crate::server::{Request, Server, access, pages};
use crate::store::Store;
use crate::supply::listing::{Ask, Asking, Listed, Recall, ViewFile};
use crate::wheel::DistributionFilename;
use crate::wheel::members::{Members, RecordCheck, members};
use maud::{Markup, html};
use std::sync::PoisonError;

/// Downloads of so many days are drawn.
const DOWNLOAD_DAYS: i64 = 90;
/// So much of METADATA is shown.
const METADATA_BYTES: usize = 256 * 1024;

/// Makes the page; `None`: the view doesn't list the file.
pub(super) fn page(
    server: &Server,
    request: &Request,
    view: &ViewName,
    (project, filename): (&ProjectName, &str),
) -> Result<Option<Page>> {
    let discretion = Discretion::of(server, request)?;
    let store = server.stores.borrow()?;
    let recall = Recall::default();
    let ask = Ask { asking: Asking::Remembered(&recall), ..server.ask(&store) };
    let Listed::Found(listing) = ask.listing(&view.shown(), project)? else { return Ok(None) };
    let Some(held) = listing.files.iter().find(|held| held.filename() == filename) else { return Ok(None) };
    let histories = ops::histories::histories(&store, project, |name| discretion.may_read(name))?;
    let (now, is_all) = (server.now(), access::readable(server, request)? == access::Readable::All);
    let history = histories.get(filename);
    let sight = FileSight { view, held, history, discretion: &discretion, now, root: "../../../../" };
    let url = format!("../{}", pages::file_url(view, held.sha256().as_ref(), filename));
    let main = html! {
        h1 { (filename) }
        p.lead { "A file of " a href="../" { (project) } " in " (view) "." }
        p { a href=(url) { "Download" } @if let ViewFile::Remote(_) = held { " (it comes from a remote first)" } }
        article.file { (details(&store, &sight)?) }
        @if let ViewFile::Local(entry) = held { (acts(&Desk::of(server, request)?, view, entry)) }
        @match held {
            ViewFile::Local(entry) => {
                (came(&store, entry, discretion.may_read(&entry.collection), is_all, now)?)
                @if discretion.may_read(&entry.collection) { (downloads(&store, entry, now)?) }
                (contents(server, &store, entry)?)
                (metadata(&store, entry)?)
            }
            ViewFile::Remote(_) => p.note { "Only a remote has it, so nothing is known of what is in it. Who asks for the file brings it here." },
        }
    };
    let title = format!("{filename} in {view}");
    let trail = vec![
        ("../../../".to_owned(), view.to_string()),
        ("../".to_owned(), project.to_string()),
        ("./".to_owned(), filename.to_owned()),
    ];
    Ok(Some(Page { title, root: root(request.uri().path()), trail, main }))
}

/// Shows how often a file was downloaded; nothing where it wasn't.
fn downloads(store: &Store, entry: &Entry, now: i64) -> Result<Markup> {
    let today = now.div_euclid(86_400);
    let first = today - DOWNLOAD_DAYS + 1;
    let days = store.manifest.downloads_by_day(&entry.sha256, Some(entry.collection.as_str()), first)?;
    Ok(html! {
        @if !days.is_empty() {
            h2 #downloads { "Downloads" }
            (chart::counts(&days, first, today))
        }
    })
}

/// Leads to what may be done to a file, where it lies.
fn acts(desk: &Desk, view: &ViewName, entry: &Entry) -> Markup {
    let mark = if entry.yanked.is_some() { Verb::Unyank } else { Verb::Yank };
    let verbs = [mark, Verb::Block, Verb::Pin, Verb::Promote];
    html! {
        @if view.at.is_none() { (desk.to_files(("../../../../", view), &entry.collection, &entry.project, &entry.filename, &verbs)) }
    }
}

/// Shows how a file came. Who reads a view gets files of its fallbacks, and needn't know what became of those.
fn came(store: &Store, entry: &Entry, may: bool, is_all: bool, now: i64) -> Result<Markup> {
    let (added, signature) = if may { vouched(store, entry)? } else { (None, None) };
    Ok(html! {
        h2 { "How it came" }
        dl.about {
            @if let Some(OperationRow { revision, .. }) = &added {
                div { dt { "Added" } dd { (words::date(revision.at, now)) ", by " b { (revision.kind) } @if is_all { " of " (revision.who) ": " (revision.what) } } }
            }
            @if let Some(source) = entry.source_url.as_ref().filter(|_| may) { div { dt { "Built from" } dd { (description::linked(source)) } } }
            @if entry.is_prebuilt { div { dt { "Pre-built" } dd { "it was fetched as it is" } } }
            div {
                dt { "Signed" }
                dd {
                    @match &signature {
                        Some(row) => {
                            "revision " (row.revision) " of " (entry.collection) " names it with its digest; signed "
                            (words::date(row.signed_at, now))
                        }
                        None => "no signed revision names it",
                    }
                }
            }
        }
    })
}

/// Returns the revision that brought an entry, and the newest signed one that has it.
fn vouched(store: &Store, entry: &Entry) -> Result<(Option<OperationRow>, Option<SignatureRow>)> {
    let rows = store.manifest.read()?;
    let Some(collection) = rows.find_collection(&entry.collection)? else { return Ok((None, None)) };
    let last = entry.removed.map_or(i64::MAX, |removed| removed - 1);
    let signature = rows.newest_signature(collection.id, last)?.filter(|row| row.revision >= entry.added);
    Ok((rows.revision_row(collection.id, entry.added)?, signature))
}

/// Shows the archive's members.
fn contents(server: &Server, store: &Store, entry: &Entry) -> Result<Markup> {
    let found = {
        let _looking = server.people.looking.lock().unwrap_or_else(PoisonError::into_inner);
        look(store, entry)?
    };
    Ok(html! {
        h2 #contents { "Contents" }
        @match found {
            Ok(found) => (listed(&found)),
            Err(why) => p.note { (why) },
        }
    })
}

/// Looks into a file; else says why not.
fn look(store: &Store, entry: &Entry) -> Result<std::result::Result<Members, String>> {
    let Ok(name) = DistributionFilename::parse(&entry.filename) else {
        return Ok(Err("Its name says nothing.".to_owned()));
    };
    let row = store.manifest.find_blob(&entry.blake3)?.filter(|row| row.state == State::Live);
    let Some(row) = row else {
        return Ok(Err("Its bytes are not in this folder, so it can't be looked into.".to_owned()));
    };
    let file = store.blobs.open(&entry.blake3).ok();
    let Some(file) = file.filter(|file| file.metadata().is_ok_and(|found| row.is_file(&Signature::of(&found)))) else {
        return Ok(Err("Its bytes are not what they were when they were last read; verify tells more.".to_owned()));
    };
    Ok(match members(&file, &name) {
        Ok(Some(found)) => Ok(found),
        Ok(None) => Err("It is packed in a way that is not unpacked here.".to_owned()),
        Err(error) => Err(format!("It can't be read as an archive: {}.", crate::words::reason(&error))),
    })
}

fn listed(found: &Members) -> Markup {
    let body = html! {
        table {
            caption { "The members of the archive, in its order" }
            thead { tr { th scope="col" { "Member" } th.n scope="col" { "Size" } } }
            tbody {
                @for member in &found.list {
                    tr { th.text scope="row" { code { (member.name) } } td.n { (words::bytes(member.size)) } }
                }
            }
        }
    };
    let left = found.count.saturating_sub(found.list.len() as u64);
    html! {
        p {
            (words::counted(found.count, "file")) ", " (words::bytes(found.bytes)) " unpacked"
            @if found.is_cut { ", as far as was looked: there is more" } "."
        }
        @if let Some(record) = &found.record { (compared(record)) }
        @if !found.sboms.is_empty() {
            p { "What it is made of (SBOM):" }
            ul { @for member in &found.sboms { li { code { (member.name) } ", " (words::bytes(member.size)) } } }
        }
        details.more open[found.list.len() <= 40] {
            summary { "The members" }
            (scrolling("members", "The members", body))
            @if left > 0 { p.quiet { (words::number(left)) " more" } }
        }
    }
}

fn compared(record: &RecordCheck) -> Markup {
    html! {
        @match record {
            RecordCheck::Missing => p.note { b { "There is no RECORD." } " Installers refuse such a wheel." },
            RecordCheck::Unread(why) => p.note { "RECORD was not compared: " (why) "." },
            RecordCheck::Compared { named, differences, more } => {
                @if differences.is_empty() {
                    p { span.mark.good { "RECORD fits" } " It names " (words::counted(*named as u64, "file")) ", by name and size; digests are not looked at here." }
                } @else {
                    div.note {
                        p { b { "RECORD does not fit." } " It names " (words::counted(*named as u64, "file")) "." }
                        ul { @for text in differences { li { (text) } } }
                        @if *more > 0 { p { (words::number(*more as u64)) " more" } }
                    }
                }
            }
        }
    }
}

fn metadata(store: &Store, entry: &Entry) -> Result<Markup> {
    let Some(digest) = &entry.metadata_sha256 else { return Ok(html! {}) };
    let Some(bytes) = store.manifest.metadata(digest)? else { return Ok(html! {}) };
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(METADATA_BYTES)]);
    Ok(html! {
        h2 #metadata { "METADATA" }
        details.more {
            summary { (words::bytes(bytes.len() as u64)) }
            pre.prose { code { (text) } }
            @if bytes.len() > METADATA_BYTES { p.quiet { "The rest is left out." } }
        }
    })
}
