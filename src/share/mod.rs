//! What the nodes of a shared store have in common: a bucket with the blobs, and the log of what was committed.
//!
//! ```text
//! wcas.json                          what kind of share this is; made once
//! log/<number>.json                  records, from 1 on, each made once and never changed; or they are in PostgreSQL, which has
//! log/<number>.<generation>.json     the large ones here
//! log/<number>.segment               a hundred records, up to this one, for those who are far behind
//! log/<number>.<generation>.digests  what old records were that went, up to this one
//! blobs/<2>/<blake3>.<generation>    bytes; a generation is given once and never again
//! snapshots/<number>.<generation>.<blake3>   all that was true after a record: a new node begins with it
//! incoming/<token>-<sha256>          what uploaders put by themselves, until it is a blob
//! tmp/                               objects on their way (of a folder)
//! ```
//!
//! Buckets and databases are asked with the feature `shared` alone; without it `absent/` is in the place of what asks them, and a share is
//! in a folder.
//!
//! The rules that keep a committed blob's object in place are the manifest's and [`crate::keep`]'s; a bucket only stores.

mod ahead;
mod backup;
mod check;
#[cfg(feature = "shared")]
mod client;
#[cfg(feature = "shared")]
mod connector;
mod error;
mod folder;
mod incoming;
mod listing;
mod location;
mod log;
#[cfg(feature = "shared")]
mod objects;
#[cfg(not(feature = "shared"))]
#[path = "absent/objects.rs"]
mod objects;
#[cfg(feature = "shared")]
mod postgres;
#[cfg(not(feature = "shared"))]
#[path = "absent/postgres.rs"]
mod postgres;
mod provider;
mod prune;
#[cfg(feature = "shared")]
mod runtime;
mod segment;
mod site;
mod snapshot;

use crate::digest::Blake3;
use crate::fs::{self, unique_name};
use ahead::Ahead;
pub use backup::BackupLock;
pub use check::Object;
pub use error::{Error, Result};
use folder::Folder;
pub use incoming::{Incoming, SignedPut};
pub use location::Location;
use location::Place;
use objects::Objects;
use postgres::Postgres;
pub use postgres::{FindPassword, on_password};
pub use provider::{Profile, on_profile};
use serde::{Deserialize, Serialize};
pub use site::{Headers, Listed, Site};
pub use snapshot::{SNAPSHOTS, Snapshot};
use std::fmt::Debug;
use std::fs::File;
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

/// What a share has at its top, beside `wcas.json`.
const FOLDERS: [&str; 4] = ["log", "blobs", "snapshots", "tmp"];
/// What a bucket has as well, once uploaders put files into it.
const INCOMING: &str = "incoming";

/// After this time nobody is at work any more on what lies in `tmp/`.
const UNFINISHED: Duration = Duration::from_secs(7 * 86_400);

/// The features without which this program can't understand a share.
const INCOMPATIBLE: [&str; 3] = [BUCKET_LOG, POSTGRES_LOG, BACKUP];
/// The features that say where the log is.
const BUCKET_LOG: &str = "log-v1";
const POSTGRES_LOG: &str = "log-postgres-v1";
/// The feature that says that there is none: this is a backup.
const BACKUP: &str = "backup-v1";
/// No `wcas.json` is longer.
const MAX_BYTES: u64 = 1 << 20;

/// Object storage, as far as a share needs it. Keys have parts that a log or a state says, which others may have written: each passes
/// [`checked`] before it is one.
trait Bucket: Debug + Send + Sync {
    /// Tells whether there is nothing but what shares have.
    fn is_ours(&self) -> Result<bool>;
    /// Makes what a new share's objects go into.
    fn prepare(&self) -> Result<()>;
    /// Makes an object, durably, if there is none with this key. Returns whether it was made.
    fn create(&self, key: &str, bytes: &[u8]) -> Result<bool>;
    /// Returns a small object.
    fn get(&self, key: &str, limit: u64) -> Result<Option<Vec<u8>>>;
    /// Makes a large object from a file, durably, under the key that `name` makes of the bucket's time, once all bytes were copied and
    /// were the right ones.
    fn put(&self, file: &File, path: &Path, blake3: &Blake3, name: &dyn Fn(SystemTime) -> String) -> Result<()>;
    /// Shows a large object part by part. Returns whether it is there.
    fn read(&self, key: &str, look: &mut dyn FnMut(&[u8]) -> fs::Result<()>) -> Result<bool>;
    /// Returns the size of an object; `None`: it isn't there.
    fn size(&self, key: &str) -> Result<Option<u64>>;
    /// Removes an object; one that isn't there is fine.
    fn remove(&self, key: &str) -> Result<()>;
    /// Returns the names of all objects below a folder, without the folders that they are in.
    fn names(&self, folder: &str) -> Result<Vec<String>>;
    /// Returns the same with the sizes of the objects.
    fn sizes(&self, folder: &str) -> Result<Vec<(String, u64)>>;
    /// Returns the same with the bucket's times of their making.
    fn times(&self, folder: &str) -> Result<Vec<(String, SystemTime)>>;
    /// Returns the bucket's time.
    fn now(&self) -> Result<SystemTime>;
    /// Removes what was begun long ago and never finished.
    fn tidy(&self) -> Result<()>;
    /// Returns itself where it is a part of a bucket, and no folder.
    fn objects(&self) -> Option<&Objects> {
        None
    }
}

/// The end of an object's key: when it was put, by the bucket's clock, and what no other has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generation(String);

impl Generation {
    fn new(at: SystemTime) -> Self {
        Self(format!("{}{}", digits(at), &unique_name()[..16]))
    }

    /// Returns it as the manifest keeps it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Format {
    share: String,
    #[serde(default)]
    incompat: Vec<String>,
    /// Where the log is, if it isn't in the bucket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    log: Option<String>,
}

impl Format {
    fn is_backup(&self) -> bool {
        self.incompat.iter().any(|feature| feature == BACKUP)
    }
}

/// A share.
#[derive(Debug)]
pub struct Share {
    url: String,
    bucket: Box<dyn Bucket>,
    /// Where the log is, if it isn't in the bucket.
    log: Option<(String, Postgres)>,
    ahead: Mutex<Ahead>,
}

impl Share {
    /// Takes a place. Nothing is asked yet.
    pub fn at(location: &Location) -> Result<Self> {
        let bucket: Box<dyn Bucket> = match location.place()? {
            Place::Folder(path) => Box::new(Folder::at(path)),
            Place::Bucket { provider, bucket, prefix } => Box::new(Objects::of(provider, location, bucket, prefix)?),
        };
        let log = location.log.as_ref().map(|url| Ok::<_, Error>((url.clone(), Postgres::at(url)?))).transpose()?;
        Ok(Self { url: location.url.trim_end_matches('/').to_owned(), bucket, log, ahead: Mutex::default() })
    }

    /// Returns where it is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns what tells the share from all others; `None`: there is none yet.
    pub fn id(&self) -> Result<Option<String>> {
        match self.format()? {
            Some(format) if format.is_backup() => Err(Error::Backup(self.url.clone())),
            found => Ok(found.map(|format| format.share)),
        }
    }

    fn format(&self) -> Result<Option<Format>> {
        let Some(text) = self.bucket.get("wcas.json", MAX_BYTES)? else { return Ok(None) };
        let url = || self.url.clone();
        let format: Format = serde_json::from_slice(&text).map_err(|source| Error::Format { url: url(), source })?;
        match format.incompat.iter().find(|feature| !INCOMPATIBLE.contains(&feature.as_str())) {
            Some(feature) => Err(Error::Feature { url: url(), feature: feature.clone() }),
            None => Ok(Some(format)),
        }
    }

    /// Makes sure that this is the share that a node follows.
    pub fn require(&self, expected: &str) -> Result<()> {
        match self.id()? {
            None => Err(Error::Absent(self.url.clone())),
            Some(found) if found == expected => Ok(()),
            Some(found) => Err(Error::Other { url: self.url.clone(), found, expected: expected.to_owned() }),
        }
    }

    /// Makes the share, if there is none; returns what tells it from all others. Of two who do so at once one is faster.
    pub fn make(&self) -> Result<String> {
        if let Some(id) = self.id()? {
            return Ok(id);
        }
        self.prepare()?;
        self.make_as(&unique_name())
    }

    /// Makes the share under this name, if there is none; returns the name of the one that is there.
    pub fn make_as(&self, id: &str) -> Result<String> {
        let feature = if self.log.is_some() { POSTGRES_LOG } else { BUCKET_LOG };
        let log = self.log.as_ref().map(|(url, _)| url.clone());
        let format = Format { share: id.to_owned(), incompat: vec![feature.to_owned()], log };
        let text = serde_json::to_vec_pretty(&format).expect("plain strings make JSON");
        self.bucket.create("wcas.json", &text)?;
        self.id()?.ok_or_else(|| Error::Unfit { url: self.url.clone(), why: "what was written isn't there" })
    }

    /// Makes sure that a share can be here, and begins it: nobody can join before it is made.
    pub fn prepare(&self) -> Result<()> {
        if !self.bucket.is_ours()? {
            return Err(Error::Foreign(self.url.clone()));
        }
        self.bucket.prepare()?;
        if let Some((_, log)) = &self.log {
            log.prepare()?;
        }
        self.probe()
    }

    /// Tries what the log rests on: of two who make an object one makes it, and what was made is read. With the log elsewhere the second
    /// is enough.
    fn probe(&self) -> Result<()> {
        let unfit = |why| Err(Error::Unfit { url: self.url.clone(), why });
        let key = format!("tmp/probe-{}", unique_name());
        let made = self.bucket.create(&key, b"one")?;
        let again = self.bucket.create(&key, b"two")?;
        let found = self.bucket.get(&key, MAX_BYTES)?;
        self.bucket.remove(&key)?;
        match (made, again, found.as_deref()) {
            (true, false, Some(b"one")) => Ok(()),
            (true, true, Some(b"two")) if self.log.is_some() => Ok(()),
            (_, true, _) => {
                unfit("an object that is there is made again; `--log postgres://…` keeps the log elsewhere")
            }
            _ => unfit("what was written isn't what is read"),
        }
    }

    /// Puts a blob's bytes into the bucket, under a generation that no other commit is offered.
    pub fn put_blob(&self, file: &File, path: &Path, blake3: &Blake3) -> Result<Generation> {
        let given = std::cell::OnceCell::new();
        self.bucket
            .put(file, path, blake3, &|at| blob_key(blake3, given.get_or_init(|| Generation::new(at)).as_str()))?;
        Ok(given.into_inner().unwrap_or_else(|| Generation::new(SystemTime::UNIX_EPOCH)))
    }

    /// Shows a blob's bytes part by part; whoever takes them checks them. Returns whether it is there.
    pub fn read_blob(
        &self,
        blake3: &Blake3,
        generation: &str,
        look: &mut dyn FnMut(&[u8]) -> fs::Result<()>,
    ) -> Result<bool> {
        self.bucket.read(&blob_key(blake3, generation), look)
    }

    /// Tells whether objects of its own are at a URL, or below it.
    fn has_its_own_at(&self, url: &str) -> bool {
        let Some(rest) = url.strip_prefix(&self.url) else { return false };
        let top = rest.strip_prefix('/').map(|rest| rest.split('/').next().unwrap_or_default());
        rest.is_empty() || top.is_some_and(is_own)
    }

    /// Tells whether it is in a bucket, and no folder.
    pub fn is_in_bucket(&self) -> bool {
        self.bucket.objects().is_some()
    }

    /// Makes sure that addresses of its objects can be signed with the credentials that there are.
    pub fn try_signing(&self, lasting: Duration) -> Result<()> {
        self.bucket.objects().map_or(Ok(()), |objects| objects.signed_url("wcas.json", lasting).map(drop))
    }

    /// Returns an address at which anybody can fetch a blob's object for a while; `None`: it is in a folder.
    pub fn signed_url(&self, blake3: &Blake3, generation: &str, lasting: Duration) -> Result<Option<String>> {
        let objects = self.bucket.objects();
        objects.map(|objects| objects.signed_url(&blob_key(blake3, generation), lasting)).transpose()
    }

    /// Returns the error that says that a blob's object has other bytes than it is named after.
    pub fn wrong_bytes(&self, blake3: &Blake3, generation: &str) -> Error {
        Error::WrongBytes(blob_key(blake3, generation))
    }

    /// Returns all objects of blobs: digest and generation.
    pub fn blobs(&self) -> Result<Vec<(Blake3, String)>> {
        Ok(self.bucket.names("blobs")?.iter().filter_map(|name| parse_name(name)).collect())
    }

    /// Returns what generations that were given so many seconds ago begin with: those that are less were given before.
    pub fn fence(&self, seconds: i64) -> Result<String> {
        let ago = Duration::from_secs(seconds.unsigned_abs());
        Ok(digits(self.bucket.now()?.checked_sub(ago).unwrap_or(SystemTime::UNIX_EPOCH)))
    }

    /// Returns the bucket's time, in seconds since 1970.
    pub fn time(&self) -> Result<i64> {
        let since = self.bucket.now()?.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Ok(since.as_secs().cast_signed())
    }

    /// Removes what was begun long ago and never finished.
    pub fn tidy(&self) -> Result<()> {
        self.bucket.tidy()
    }

    /// Removes the object of a blob: `name` is its digest, a point and its generation. No object is called otherwise, whoever wrote into the
    /// log that it is to go.
    pub fn remove_blob(&self, name: &str) -> Result<()> {
        if parse_name(name).is_none() {
            return Ok(());
        }
        self.bucket.remove(&format!("blobs/{}/{name}", name.get(..2).unwrap_or_default()))
    }
}

/// Tells whether a share has a folder of this name at its top.
fn is_own(folder: &str) -> bool {
    FOLDERS.contains(&folder) || folder == INCOMING
}

/// Tells whether a key, of which names from outside may be parts, leads to an object of its place and not to one beside it.
fn is_within(key: &str) -> bool {
    let is_plain =
        |part: &str| !matches!(part, "" | "." | "..") && !part.contains(|c: char| c == '\\' || c.is_control());
    key.split('/').all(is_plain)
}

/// Returns a key of a share, if it is one.
fn checked(key: &str) -> Result<&str> {
    if is_within(key) { Ok(key) } else { Err(Error::WrongBytes(key.to_owned())) }
}

/// Returns a time as generations begin with it.
fn digits(at: SystemTime) -> String {
    format!("{:011x}", at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis())
}

/// Returns the digest and generation that an object's name is made of.
fn parse_name(name: &str) -> Option<(Blake3, String)> {
    let (digest, generation) = name.split_once('.')?;
    let is_plain = is_within(generation) && !generation.contains('/');
    Some((digest.parse().ok().filter(|_| is_plain)?, generation.to_owned()))
}

fn blob_key(blake3: &Blake3, generation: &str) -> String {
    let name = blake3.to_string();
    format!("blobs/{}/{name}.{generation}", &name[..2])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_leads_out_of_a_share_whatever_a_log_says() {
        let dir = tempfile::tempdir().unwrap();
        let (root, outside) = (dir.path().join("share"), dir.path().join("outside"));
        std::fs::write(&outside, "precious").unwrap();
        let url = format!("file://{}", root.display());
        let share = Share::at(&Location { url, endpoint: None, region: None, log: None }).unwrap();
        share.prepare().unwrap();
        let blake3 = Blake3::from_bytes([7; 32]);
        // As if a folder of the digest's name, and what follows the point, were there.
        let shard = root.join("blobs/07");
        std::fs::create_dir_all(shard.join(format!("{blake3}.x"))).unwrap();
        let mut seen = Vec::new();
        let read = share.read_blob(&blake3, "x/../../../../outside", &mut |part| {
            seen.extend_from_slice(part);
            Ok(())
        });
        assert!(matches!(read, Err(Error::WrongBytes(_))) && seen.is_empty(), "{read:?}");
        for name in ["../../outside", "07/../../../outside", "outside", &format!("{blake3}.x/../../../../outside"), ""]
        {
            assert!(share.remove_blob(name).is_ok(), "{name}: the next one is looked at");
        }
        for key in ["../outside", "/etc/passwd", "log/../../outside", "log//1", "log/.", "", "a\0b", "..\\outside"] {
            assert!(matches!(share.bucket.get(key, 100), Err(Error::WrongBytes(_))), "{key}");
            assert!(share.bucket.remove(key).is_err() && share.bucket.size(key).is_err(), "{key}");
        }
        assert_eq!(std::fs::read_to_string(outside).unwrap(), "precious");
        assert_eq!(parse_name(&format!("{blake3}.ab12")), Some((blake3, "ab12".to_owned())));
    }
}
