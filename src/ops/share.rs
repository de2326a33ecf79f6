//! `share` and `unshare`: a store of one machine becomes the first node of a shared one, and a node a store of its own.

use crate::context::Context;
use crate::error::{Error, Result};
use crate::fs;
use crate::keep::elsewhere::{TRANSFERS, fetch_all};
use crate::keep::snapshot;
use crate::manifest::{Access, Actor, BlobRow, Manifest, State};
use crate::parallel;
use crate::share::{Generation, Location, Share};
use crate::store::{ExclusiveStore, Membership, Store, node_name};
use crate::words::reason;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// So many blobs are put at a time, whose rows then say so at once: an interrupted command goes on there.
const BATCH: usize = 64;

/// What `share` did.
#[derive(Debug, Default, Serialize)]
pub struct ShareReport {
    /// Where the share is.
    pub share: String,
    /// How many blobs were put into it.
    pub blobs: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Blobs whose bytes can't be put: no node has them.
    pub problems: Vec<String>,
}

/// Makes a store of one machine the first node of a shared one, at a place where none is yet.
pub fn share(root: &Path, context: &Context<'_>, actor: &Actor, location: Location) -> Result<ShareReport> {
    let location = Share::find_log(location)?;
    let share = Share::at(&location)?;
    let store = Store::open(root)?;
    if let Some(share) = store.share() {
        return Err(Error::Refused(format!("{} is a node of {} already", root.display(), share.url())));
    }
    store.require_writable()?;
    let taken = || {
        let url = share.url();
        Error::Refused(format!(
            "there is a shared store at {url}: `wcas init --share {url}` makes another node of it, and `wcas import` brings what is here"
        ))
    };
    match share.id()? {
        None => share.prepare()?,
        // This command was cut off at its end.
        Some(id) if id == store.id() && share.newest_record(&id)?.is_none() => {}
        Some(_) => return Err(taken()),
    }
    let own = store.id().to_owned();
    let mut report = ShareReport { share: share.url().to_owned(), ..ShareReport::default() };
    // Others may go on meanwhile; what they bring is put below.
    put_blobs(&store.manifest, &store.blobs, &share, context, &mut report)?;
    drop(store);
    let alone = Store::alone(root)?;
    let manifest = opened(&alone, actor)?;
    // What was wrong before is wrong still, or isn't any more.
    report.problems.clear();
    put_blobs(&manifest, &alone.blobs, &share, context, &mut report)?;
    let transaction = manifest.write()?;
    transaction.become_node(&node_name(alone.root()), &fs::machine(), context.now)?;
    transaction.commit()?;
    snapshot::put(&share, &manifest, &alone.root().join("staging"))?;
    // From here on others can join.
    if share.make_as(&own)? != own {
        return Err(taken());
    }
    alone.set_membership(Some(Membership { location, share: own }))?;
    drop((manifest, alone));
    let mut store = Store::open(root)?;
    store.manifest.set_actor(actor.clone());
    let transaction = store.manifest.write()?;
    transaction.set_meta("shared_at", &context.now.to_string())?;
    transaction.commit()?;
    Ok(report)
}

fn opened(alone: &ExclusiveStore, actor: &Actor) -> Result<Manifest> {
    let mut manifest = Manifest::open(&alone.manifest_path(), Access::Write, fs::lock_wait())?;
    manifest.set_actor(actor.clone());
    Ok(manifest)
}

/// Puts all blobs into a share that it doesn't have yet.
fn put_blobs(
    manifest: &Manifest,
    blobs: &crate::blobs::Blobs,
    share: &Share,
    context: &Context<'_>,
    report: &mut ShareReport,
) -> Result<()> {
    let rows = manifest.blobs()?.into_iter().filter(|row| row.generation.is_none());
    let (here, lost): (Vec<BlobRow>, Vec<BlobRow>) = rows.partition(|row| row.state == State::Live);
    report.problems.extend(lost.iter().map(|row| format!("{}: its bytes are lost", row.blake3)));
    context.progress.start_files("sharing", here.len() as u64, here.iter().map(|row| row.size).sum());
    let put = |(row, name): &(&BlobRow, String)| -> crate::share::Result<Option<Generation>> {
        let file = match blobs.open(&row.blake3) {
            Err(error) if error.is_not_found() => return Ok(None),
            file => file?,
        };
        let put = || share.put_blob(&file, &blobs.path(&row.blake3), &row.blake3);
        context.progress.on(name, row.size, put).map(Some)
    };
    for batch in here.chunks(BATCH) {
        let put = parallel::map(TRANSFERS, &manifest.named(batch), put);
        let transaction = manifest.write()?;
        for (row, put) in batch.iter().zip(put) {
            match put {
                Ok(Some(generation)) => {
                    transaction.set_object(row.id, generation.as_str())?;
                    report.blobs += 1;
                    report.bytes += row.size;
                }
                Ok(None) => {
                    report.problems.push(format!("{}: its bytes are lost; `wcas verify` tells more", row.blake3));
                }
                Err(crate::share::Error::WrongBytes(path)) => {
                    report.problems.push(format!("{path}: its bytes are wrong; `wcas verify` tells more"));
                }
                Err(error) => return Err(error.into()),
            }
        }
        transaction.commit()?;
    }
    context.progress.finish();
    Ok(())
}

/// What `unshare` did.
#[derive(Debug, Default, Serialize)]
pub struct UnshareReport {
    /// The store.
    #[serde(serialize_with = "crate::fs::text::path")]
    pub store: PathBuf,
    /// How many blobs were fetched.
    pub blobs: usize,
    /// Their bytes.
    pub bytes: u64,
}

/// Makes a node a store of its own: what it lacks is fetched, and the share is left as it is.
pub fn unshare(store: Store, context: &Context<'_>, actor: &Actor) -> Result<UnshareReport> {
    let root = store.root().to_owned();
    let mut report = UnshareReport { store: root.clone(), ..UnshareReport::default() };
    if store.is_leaving()? {
        drop(store);
        Store::alone_as_it_is(&root)?.set_membership(None)?;
        return Ok(report);
    }
    if store.share().is_none() {
        return Err(Error::Refused(format!("{} is no node of a shared store", root.display())));
    }
    store.require_up_to_date()?;
    fetch_rest(&store, context, &mut report)?;
    drop(store);
    let alone = Store::alone_as_it_is(&root)?;
    let manifest = opened(&alone, actor)?;
    let left = manifest.blobs()?.iter().filter(|row| row.state == State::Elsewhere).count();
    if left > 0 {
        return Err(Error::Refused(format!("{left} files have come to the shared store meanwhile: run it again")));
    }
    let transaction = manifest.write()?;
    transaction.leave_share()?;
    transaction.commit()?;
    alone.set_membership(None)?;
    Ok(report)
}

/// Fetches all that isn't here.
fn fetch_rest(store: &Store, context: &Context<'_>, report: &mut UnshareReport) -> Result<()> {
    let rows: Vec<BlobRow> = store.manifest.blobs()?.into_iter().filter(|row| row.state == State::Elsewhere).collect();
    for (row, fetched) in rows.iter().zip(fetch_all(store, context, &rows)?) {
        let why = match fetched {
            Ok(true) => None,
            Ok(false) => Some("the share hasn't got it".to_owned()),
            Err(error) => Some(reason(&error)),
        };
        if let Some(why) = why {
            return Err(Error::Unfetched { blake3: row.blake3, why });
        }
        report.blobs += 1;
        report.bytes += row.size;
    }
    Ok(())
}
