//! Object storage that is asked by HTTP.
//!
//! An object is made by one request, or by the last one of several: nobody sees half of it.

use super::incoming::UNCLAIMED;
use super::listing::Listing;
use super::provider::Provider;
use super::runtime::runtime;
use super::{Bucket, Error, INCOMING, Location, Result, UNFINISHED, checked, is_own};
use crate::digest::Blake3;
use crate::fs;
use crate::meter;
use bytes::Bytes;
use futures_core::Stream;
use object_store::path::Path as Key;
use object_store::signer::{HeaderName, HeaderValue, SignedUrlOptions, Signer};
use object_store::{Attributes, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutPayload, WriteMultipart};
use std::collections::HashMap;
use std::fs::File;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

/// Larger objects are put in parts of this size, so many at a time.
const PART_BYTES: usize = 8 << 20;
const PARTS: usize = 4;

/// So long the difference between the bucket's clock and ours is believed.
const CLOCK_PAUSE: Duration = Duration::from_secs(600);

/// A part of a bucket.
#[derive(Debug)]
pub(super) struct Objects {
    pub(super) client: Arc<Client>,
    location: Location,
    bucket: String,
    /// What all keys begin with.
    pub(super) prefix: String,
}

/// What asks one bucket: connections are kept.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) provider: Provider,
    pub(super) store: Arc<dyn ObjectStore>,
    /// What signs addresses.
    signer: Arc<dyn Signer>,
    runtime: &'static Runtime,
    /// The bucket's time at a moment.
    clock: Mutex<Option<(SystemTime, Instant)>>,
}

impl Client {
    /// Returns the client of a bucket: one for all who ask it in this process.
    fn of(provider: Provider, location: &Location, bucket: &str) -> Result<Arc<Self>> {
        static CLIENTS: OnceLock<Mutex<HashMap<Location, Arc<Client>>>> = OnceLock::new();
        let mut clients = CLIENTS.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(location) {
            return Ok(client.clone());
        }
        let client = Arc::new(Self::new(provider, location, bucket)?);
        clients.insert(location.clone(), client.clone());
        Ok(client)
    }

    fn new(provider: Provider, location: &Location, bucket: &str) -> Result<Self> {
        let (store, signer) = provider.connect(location, bucket)?;
        Ok(Self { provider, store, signer, runtime: runtime()?, clock: Mutex::new(None) })
    }
}

impl Objects {
    pub(super) fn of(provider: Provider, location: &Location, bucket: &str, prefix: &str) -> Result<Self> {
        let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        let client = Client::of(provider, location, bucket)?;
        Ok(Self { client, location: location.clone(), bucket: bucket.to_owned(), prefix })
    }

    /// Returns the name of the bucket.
    pub(super) fn bucket(&self) -> &str {
        &self.bucket
    }

    /// Returns where it is, as it was said.
    pub(super) fn location(&self) -> &Location {
        &self.location
    }

    pub(super) fn key(&self, key: &str) -> Result<Key> {
        Ok(Key::from(format!("{}{}", self.prefix, checked(key)?)))
    }

    /// Waits for what is asked.
    pub(super) fn wait<T>(
        &self,
        act: &'static str,
        key: &str,
        asked: impl Future<Output = object_store::Result<T>>,
    ) -> Result<T> {
        self.client.runtime.block_on(asked).map_err(|source| self.client.provider.failure(act, key, source))
    }

    /// Tells whether an address can be signed that holds for bytes of one SHA-256 alone: Google compares other digests, Azure none.
    pub(super) fn binds_puts(&self) -> bool {
        self.client.provider == Provider::S3
    }

    /// Returns an address at which an object can be fetched for a while.
    pub(super) fn signed_url(&self, key: &str, lasting: Duration) -> Result<String> {
        let location = self.key(key)?;
        let signed = self.client.signer.signed_url(http::Method::GET, &location, lasting);
        Ok(self.wait("sign an address of", key, signed)?.into())
    }

    /// Returns an address at which an object can be put for a while, by a request with this header.
    pub(super) fn signed_put(
        &self,
        key: &str,
        lasting: Duration,
        (name, value): (&'static str, &str),
    ) -> Result<String> {
        let location = self.key(key)?;
        let value = HeaderValue::from_str(value).map_err(|error| Error::Client(error.to_string()))?;
        let options = SignedUrlOptions::new().with_signed_header(HeaderName::from_static(name), value);
        let signed = self.client.signer.signed_url_opts(http::Method::PUT, &location, lasting, &options);
        Ok(self.wait("sign an address of", key, signed)?.into())
    }

    /// Makes an object from a file, once all bytes were copied and were the right ones.
    pub(super) fn upload(
        &self,
        (file, path): (&File, &Path),
        blake3: &Blake3,
        location: &Key,
        attributes: Attributes,
    ) -> Result<()> {
        let key = location.as_ref();
        let size = file.metadata().map_err(fs::Error::at("look at", path))?.len();
        let mut hasher = blake3::Hasher::new();
        let is_right = |hasher: &blake3::Hasher| Blake3::from_bytes(hasher.finalize().into()) == *blake3;
        let wrong = || Error::WrongBytes(path.display().to_string());
        if size <= PART_BYTES as u64 {
            let mut bytes = Vec::new();
            fs::read_parts(file, path, |part| {
                bytes.extend_from_slice(part);
                Ok(())
            })?;
            hasher.update(&bytes);
            if !is_right(&hasher) {
                return Err(wrong());
            }
            self.wait("put", key, self.client.store.put_opts(location, bytes.into(), attributes.into()))?;
            return Ok(());
        }
        let upload = self.wait("put", key, self.client.store.put_multipart_opts(location, attributes.into()))?;
        // Parts go on their way by tasks of the runtime.
        let _guard = self.client.runtime.enter();
        let mut upload = WriteMultipart::new_with_chunk_size(upload, PART_BYTES);
        let mut failure = None;
        let read = fs::read_parts(file, path, |part| {
            if failure.is_none() {
                hasher.update(part);
                upload.write(part);
                failure = self.wait("put", key, upload.wait_for_capacity(PARTS)).err();
            }
            Ok(())
        });
        let failure = read.err().map(Error::from).or(failure).or_else(|| (!is_right(&hasher)).then(wrong));
        match failure {
            Some(failure) => {
                // What can't be taken back now goes by the bucket's own rule for uploads that were never finished.
                let _ = self.wait("take back", key, upload.abort());
                Err(failure)
            }
            None => self.wait("put", key, upload.finish()).map(drop),
        }
    }

    /// Begins to ask something, while others wait for other things.
    pub(super) fn begin<T: Send + 'static>(
        &self,
        asked: impl Future<Output = Option<T>> + Send + 'static,
    ) -> JoinHandle<Option<T>> {
        self.client.runtime.spawn(asked)
    }

    /// Waits for what was begun.
    pub(super) fn end<T>(&self, begun: JoinHandle<Option<T>>) -> Option<T> {
        self.client.runtime.block_on(begun).ok().flatten()
    }

    /// Reads a small object; `None`: it isn't there, or is larger, or can't be read.
    pub(super) fn small(&self, key: &str, limit: usize) -> impl Future<Output = Option<Vec<u8>>> + Send + use<> {
        let (store, location) = (self.client.store.clone(), self.key(key).ok());
        async move {
            let location = location?;
            let mut parts = store.get(&location).await.ok()?.into_stream();
            let mut bytes = Vec::new();
            while let Some(part) = next(&mut parts).await {
                bytes.extend_from_slice(&part.ok()?);
                if bytes.len() > limit {
                    return None;
                }
            }
            Some(bytes)
        }
    }

    /// Begins to make an object, if there is none with this key. Nobody is told whether that was done.
    pub(super) fn begin_create(&self, key: &str, bytes: Vec<u8>) {
        let Ok(location) = self.key(key) else { return };
        let store = self.client.store.clone();
        self.client.runtime.spawn(async move { store.put_opts(&location, bytes.into(), PutMode::Create.into()).await });
    }

    /// Returns what `take` wants of all objects whose keys begin with a folder: all that is told of each would take much more.
    fn list<T>(&self, folder: &str, take: impl Fn(ObjectMeta) -> Option<T>) -> Result<Vec<T>> {
        let prefix = self.key(folder)?;
        let mut listing = Listing::new();
        let excess = self.wait("list", folder, async {
            let mut list = self.client.store.list(Some(&prefix));
            while let Some(meta) = next(&mut list).await {
                if let Some(Err(excess)) = take(meta?).map(|taken| listing.push(folder, taken)) {
                    return Ok(Some(excess));
                }
            }
            Ok(None)
        })?;
        excess.map_or_else(|| Ok(listing.into_found()), Err)
    }
}

/// Waits for a stream's next item.
pub(super) async fn next<T>(stream: &mut (impl Stream<Item = T> + Unpin)) -> Option<T> {
    std::future::poll_fn(|context| Pin::new(&mut *stream).poll_next(context)).await
}

impl Bucket for Objects {
    fn objects(&self) -> Option<&Objects> {
        Some(self)
    }

    fn is_ours(&self) -> Result<bool> {
        let prefix = Key::from(self.prefix.as_str());
        let top = self.wait("list", "it", self.client.store.list_with_delimiter(Some(&prefix)))?;
        let is_ours = |folder: &Key| folder.filename().is_some_and(is_own);
        Ok(top.objects.is_empty() && top.common_prefixes.iter().all(is_ours))
    }

    fn prepare(&self) -> Result<()> {
        Ok(())
    }

    fn create(&self, key: &str, bytes: &[u8]) -> Result<bool> {
        let (payload, location) = (PutPayload::from(Bytes::copy_from_slice(bytes)), self.key(key)?);
        self.wait("make", key, async {
            match self.client.store.put_opts(&location, payload, PutMode::Create.into()).await {
                // Also what a second try of ours is told, where the answer to the first was lost: whoever must know reads the object.
                Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => Ok(false),
                done => done.map(|_| true),
            }
        })
    }

    fn get(&self, key: &str, limit: u64) -> Result<Option<Vec<u8>>> {
        let mut bytes = Vec::new();
        let mut is_large = false;
        let read = self.read(key, &mut |part| {
            is_large = (bytes.len() + part.len()) as u64 > limit;
            if is_large {
                // What comes after it needn't come.
                return Err(fs::Error::at("read", Path::new(key))(std::io::Error::other("it is too large")));
            }
            bytes.extend_from_slice(part);
            Ok(())
        });
        if is_large {
            return Err(Error::WrongBytes(key.to_owned()));
        }
        Ok(read?.then_some(bytes))
    }

    fn put(&self, file: &File, path: &Path, blake3: &Blake3, name: &dyn Fn(SystemTime) -> String) -> Result<()> {
        let key = name(self.now()?);
        self.upload((file, path), blake3, &self.key(&key)?, Attributes::new())
    }

    fn read(&self, key: &str, look: &mut dyn FnMut(&[u8]) -> fs::Result<()>) -> Result<bool> {
        let location = self.key(key)?;
        let mut failure = None;
        let is_there = self.wait("read", key, async {
            let found = match self.client.store.get(&location).await {
                Err(object_store::Error::NotFound { .. }) => return Ok(false),
                found => found?,
            };
            let mut parts = found.into_stream();
            while let Some(part) = next(&mut parts).await {
                let part = part?;
                meter::passed(part.len() as u64);
                if let Err(error) = look(&part) {
                    failure = Some(error);
                    break;
                }
            }
            Ok(true)
        })?;
        failure.map_or(Ok(is_there), |error| Err(error.into()))
    }

    fn size(&self, key: &str) -> Result<Option<u64>> {
        let location = self.key(key)?;
        self.wait("look at", key, async {
            match self.client.store.head(&location).await {
                Err(object_store::Error::NotFound { .. }) => Ok(None),
                found => found.map(|meta| Some(meta.size)),
            }
        })
    }

    fn remove(&self, key: &str) -> Result<()> {
        let location = self.key(key)?;
        self.wait("remove", key, async {
            match self.client.store.delete(&location).await {
                Err(object_store::Error::NotFound { .. }) => Ok(()),
                done => done,
            }
        })
    }

    fn names(&self, folder: &str) -> Result<Vec<String>> {
        self.list(folder, |meta| Some(meta.location.filename()?.to_owned()))
    }

    fn sizes(&self, folder: &str) -> Result<Vec<(String, u64)>> {
        self.list(folder, |meta| Some((meta.location.filename()?.to_owned(), meta.size)))
    }

    fn times(&self, folder: &str) -> Result<Vec<(String, SystemTime)>> {
        self.list(folder, |meta| Some((meta.location.filename()?.to_owned(), meta.last_modified.into())))
    }

    fn now(&self) -> Result<SystemTime> {
        let mut clock = self.client.clock.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((time, at)) = clock.filter(|(_, at)| at.elapsed() < CLOCK_PAUSE) {
            return Ok(time + at.elapsed());
        }
        let key = format!("tmp/clock-{}", fs::unique_name());
        let location = self.key(&key)?;
        let made = self.wait("make", &key, async {
            self.client.store.put(&location, PutPayload::new()).await?;
            self.client.store.head(&location).await
        })?;
        let time = SystemTime::from(made.last_modified);
        *clock = Some((time, Instant::now()));
        drop(clock);
        self.remove(&key)?;
        Ok(time)
    }

    fn tidy(&self) -> Result<()> {
        let now = self.now()?;
        for (folder, limit) in [("tmp", UNFINISHED), (INCOMING, UNCLAIMED)] {
            for (name, made) in self.times(folder)? {
                if now.duration_since(made).is_ok_and(|age| age > limit) {
                    self.remove(&format!("{folder}/{name}"))?;
                }
            }
        }
        Ok(())
    }
}
