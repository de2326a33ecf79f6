//! Files that a remote lists, and the store has not, or not under that digest.

use super::local;
use crate::catalog::view_contents::Shown;
use crate::digest::Sha256;
use crate::error::Result;
use crate::name::CollectionName;
use crate::server::access::{self, Readable};
use crate::server::answer::set;
use crate::server::endpoint::FileAddress;
use crate::server::{Answer, Request, Server, discretion, feed};
use crate::store::Store;
use crate::supply::Offer;
use crate::supply::listing::{Ask, Asking, Recall, Sought, ViewFile};
use crate::wheel::DistributionFilename;
use http::StatusCode;
use http::header::CACHE_CONTROL;
use std::collections::HashSet;

/// Answers with a file that the store has not, or not under its digest, and a remote lists.
pub(super) fn of_remote(server: &Server, request: &Request, address: &FileAddress) -> Result<Option<Answer>> {
    let sought = {
        let store = server.stores.borrow()?;
        let readable = access::readable(server, request)?;
        let views = views(&store, address, &readable)?;
        let recall = Recall::default();
        let mut ask = server.ask(&store);
        if address.view.is_none() && is_own(&store, &address.filename)? {
            ask.asking = Asking::Remembered(&recall);
        }
        let sought = ask.seek(&views, address.sha256.as_ref(), &address.filename)?;
        if let (true, Sought::Listed(ViewFile::Remote(offer))) = (address.is_metadata, &sought) {
            let offers = disputed(ask, &views, address, offer)?;
            if !offers.is_empty() {
                return feed::whole_for_metadata(server, request, address, offers);
            }
        }
        sought
    };
    match sought {
        Sought::Listed(ViewFile::Remote(offer)) => feed::answer(server, request, address, *offer),
        Sought::Listed(ViewFile::Local(entry)) if address.sha256.is_none() => {
            unhashed(server, request, address, &entry.sha256)
        }
        Sought::Listed(ViewFile::Local(_)) | Sought::Nowhere => Ok(None),
        Sought::Unavailable(notes) => Ok(Some(discretion::unasked(server, request, &notes)?)),
    }
}

/// Returns all offers of a file if remotes of several views tell other METADATA of it: an address without a view doesn't say which of
/// them is believed, and the file itself, which its digest vouches for, settles it.
fn disputed(ask: Ask<'_>, views: &[Shown], address: &FileAddress, first: &Offer) -> Result<Vec<Offer>> {
    let (mut offers, recall) = (vec![first.clone()], Recall::default());
    let announced = |offer: &Offer| offer.file.sidecar.and_then(|sidecar| sidecar.sha256);
    for view in views {
        let ask = Ask { asking: Asking::Remembered(&recall), ..ask };
        let sought = ask.seek(std::slice::from_ref(view), address.sha256.as_ref(), &address.filename)?;
        if let Sought::Listed(ViewFile::Remote(offer)) = sought
            && offers.iter().all(|known| known.remote.id != offer.remote.id)
        {
            offers.push(*offer);
        }
    }
    let is_disputed = offers.iter().any(|offer| announced(offer) != announced(first));
    Ok(if is_disputed { offers } else { Vec::new() })
}

/// Tells whether a collection owns a file's project: whoever may not read that collection, and the remotes of others, needn't hear of
/// the name. A remote that has it, too, is known by its pages.
fn is_own(store: &Store, filename: &str) -> Result<bool> {
    let Ok(name) = DistributionFilename::parse(filename) else { return Ok(false) };
    let (rows, project) = (store.manifest.read()?, name.project());
    if rows.reservations(None)?.iter().any(|reservation| reservation.pattern.matches(project)) {
        return Ok(true);
    }
    for collection in rows.collections()? {
        if rows.owned_project(collection.id, project)?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Answers with a file of the store, asked for at an address without a digest: that may give other bytes tomorrow.
pub(in crate::server) fn unhashed(
    server: &Server,
    request: &Request,
    address: &FileAddress,
    sha256: &Sha256,
) -> Result<Option<Answer>> {
    let mut answer = local(server, request, &FileAddress { sha256: Some(*sha256), ..address.clone() })?;
    if let Some(answer) = answer.as_mut().filter(|answer| answer.status() != StatusCode::TEMPORARY_REDIRECT) {
        set(answer, CACHE_CONTROL, "no-cache");
    }
    Ok(answer)
}

/// Returns the views that may list a file: those of remotes are asked for that.
fn views(store: &Store, address: &FileAddress, readable: &Readable) -> Result<Vec<Shown>> {
    if let Some(view) = &address.view {
        return Ok(vec![view.shown()]);
    }
    if let Readable::Only(name) = readable {
        return Ok(vec![Shown::known(name.clone())]);
    }
    let rows = store.manifest.read()?;
    let mut names: Vec<CollectionName> = rows.remotes()?.into_iter().map(|row| row.collection_name).collect();
    names.extend(rows.collections()?.into_iter().map(|row| row.name));
    names.extend(rows.variants()?.into_iter().map(|row| row.name));
    let mut known = HashSet::new();
    names.retain(|name| known.insert(name.clone()));
    Ok(names.into_iter().map(Shown::known).collect())
}
