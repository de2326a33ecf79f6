//! `remote`: the indexes that collections pull from, as people set them. Nothing here asks one.

use super::push::{self, WriteBackReport};
use crate::catalog::at::{collection_row, remote_row};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::manifest::{CollectionId, RemoteRow, RemoteSettings, Transaction};
use crate::name::{CollectionName, RemoteName};
use crate::requirement::ProjectPattern;
use crate::signed::signers::Signers;
use crate::store::Store;
use crate::supply::REVISION_TEXT;
use serde::Serialize;
use std::collections::HashMap;
use url::Url;

/// How a remote is, as far as the last thing heard of it tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// Nobody asked it yet.
    Unknown,
    /// Its last answer could be used.
    Ok,
    /// It gave no answer, or none that could be used.
    Failing,
}

impl Health {
    /// Returns the word that stands in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Ok => "ok",
            Self::Failing => "failing",
        }
    }
}

/// A remote as people see it.
#[derive(Debug, Clone, Serialize)]
pub struct RemoteReport {
    /// Its name.
    pub name: RemoteName,
    /// The collection that pulls from it.
    pub collection: CollectionName,
    /// Its settings.
    #[serde(flatten)]
    pub settings: RemoteSettings,
    /// How it is.
    pub health: Health,
    /// When it last gave an answer, in seconds since 1970.
    pub ok_at: Option<i64>,
    /// When it last failed.
    pub failed_at: Option<i64>,
    /// How it last failed.
    pub failure: Option<String>,
    /// What waits to be sent there, if anything does.
    pub write_back: Option<WriteBackReport>,
}

impl From<RemoteRow> for RemoteReport {
    fn from(row: RemoteRow) -> Self {
        let health = match row.ok_at {
            _ if row.is_failing() => Health::Failing,
            Some(_) => Health::Ok,
            None => Health::Unknown,
        };
        Self {
            name: row.name,
            collection: row.collection_name,
            settings: row.settings,
            health,
            ok_at: row.ok_at,
            failed_at: row.failed_at,
            failure: row.failure,
            write_back: None,
        }
    }
}

/// What `remote set` changes: `None` leaves as it is, `Some(None)` takes away.
#[derive(Debug, Clone, Default)]
pub struct RemoteChange {
    /// Another URL: what was seen of the remote so far is forgotten.
    pub url: Option<String>,
    /// Another collection; made when there is none.
    pub collection: Option<CollectionName>,
    /// See [`RemoteSettings::priority`].
    pub priority: Option<i64>,
    /// See [`RemoteSettings::only`].
    pub only: Option<Vec<ProjectPattern>>,
    /// See [`RemoteSettings::except`].
    pub except: Option<Vec<ProjectPattern>>,
    /// See [`RemoteSettings::min_age`].
    pub min_age: Option<Option<i64>>,
    /// See [`RemoteSettings::not_found`].
    pub not_found: Option<Vec<u16>>,
    /// See [`RemoteSettings::follow_hosts`].
    pub follow_hosts: Option<Vec<String>>,
    /// See [`RemoteSettings::allow_insecure`].
    pub allow_insecure: Option<bool>,
    /// See [`RemoteSettings::trust_unhashed`].
    pub trust_unhashed: Option<bool>,
    /// See [`RemoteSettings::is_listed`].
    pub is_listed: Option<bool>,
    /// See [`RemoteSettings::is_optional`].
    pub is_optional: Option<bool>,
    /// See [`RemoteSettings::auth`].
    pub auth: Option<Option<String>>,
    /// See [`RemoteSettings::is_ours`].
    pub is_ours: Option<bool>,
    /// See [`RemoteSettings::writes_back`].
    pub writes_back: Option<bool>,
    /// See [`RemoteSettings::upload_url`].
    pub upload_url: Option<Option<String>>,
    /// See [`RemoteSettings::signed_by`]. Even where it says the same again, which lists were seen before is forgotten.
    pub signed_by: Option<Option<String>>,
}

impl RemoteChange {
    fn apply(&self, old: RemoteSettings) -> RemoteSettings {
        let new = self.clone();
        RemoteSettings {
            url: new.url.unwrap_or(old.url),
            priority: new.priority.unwrap_or(old.priority),
            only: new.only.unwrap_or(old.only),
            except: new.except.unwrap_or(old.except),
            min_age: new.min_age.unwrap_or(old.min_age),
            not_found: new.not_found.unwrap_or(old.not_found),
            follow_hosts: new.follow_hosts.unwrap_or(old.follow_hosts),
            allow_insecure: new.allow_insecure.unwrap_or(old.allow_insecure),
            trust_unhashed: new.trust_unhashed.unwrap_or(old.trust_unhashed),
            is_listed: new.is_listed.unwrap_or(old.is_listed),
            is_optional: new.is_optional.unwrap_or(old.is_optional),
            auth: new.auth.unwrap_or(old.auth),
            is_ours: new.is_ours.unwrap_or(old.is_ours),
            writes_back: new.writes_back.unwrap_or(old.writes_back),
            upload_url: new.upload_url.unwrap_or(old.upload_url),
            signed_by: new.signed_by.unwrap_or(old.signed_by),
        }
    }
}

/// Lists all remotes, those of a collection in the order in which they are asked.
pub fn remotes(store: &Store) -> Result<Vec<RemoteReport>> {
    let mut rows = store.manifest.remotes()?;
    let mut waiting: HashMap<_, _> = push::waiting(&store.manifest)?.into_iter().collect();
    rows.sort_by(|a, b| {
        let key = |row: &RemoteRow| (row.collection_name.clone(), row.settings.priority, row.name.clone());
        key(a).cmp(&key(b))
    });
    let report = |row: RemoteRow| RemoteReport { write_back: waiting.remove(&row.name), ..row.into() };
    Ok(rows.into_iter().map(report).collect())
}

/// Adds a remote to a collection, `shared` when the change names none; the collection is made when there is none.
pub fn add_remote(
    store: &Store,
    context: &Context<'_>,
    name: &RemoteName,
    settings: &RemoteChange,
) -> Result<RemoteReport> {
    let checked = check(settings.apply(RemoteSettings::default()))?;
    store.require_writable()?;
    let transaction = store.manifest.write()?;
    if let Some(row) = transaction.find_remote(name)? {
        let text =
            format!("the remote {name} is there already ({}); `wcas remote set {name}` changes it", row.settings.url);
        return Err(Error::Refused(text));
    }
    let collection = settings.collection.clone().unwrap_or_else(CollectionName::shared);
    transaction.insert_remote(name, find_or_make(&transaction, context, &collection)?, &checked)?;
    let report = remote_row(&transaction, name)?.into();
    transaction.commit()?;
    Ok(report)
}

/// Changes a remote.
pub fn set_remote(
    store: &Store,
    context: &Context<'_>,
    name: &RemoteName,
    change: &RemoteChange,
) -> Result<RemoteReport> {
    store.require_writable()?;
    let transaction = store.manifest.write()?;
    let row = remote_row(&transaction, name)?;
    let collection = match &change.collection {
        Some(collection) => find_or_make(&transaction, context, collection)?,
        None => row.collection,
    };
    update(&transaction, &row, collection, &check(change.apply(row.settings.clone()))?)?;
    if change.signed_by.is_some() {
        // By hand: whoever says again whom to trust begins anew with them, also where revisions count from one again.
        forget_lists(&transaction, &row)?;
    }
    let report = remote_row(&transaction, name)?.into();
    transaction.commit()?;
    Ok(report)
}

/// Writes a remote's settings. Where the URL is another, what was seen so far is another index's, and forgotten.
pub(super) fn update(
    transaction: &Transaction<'_>,
    row: &RemoteRow,
    collection: CollectionId,
    settings: &RemoteSettings,
) -> Result<()> {
    transaction.update_remote(row.id, collection, settings)?;
    if row.settings.writes_back && !settings.writes_back {
        transaction.clear_waiting(row.id, 0)?;
    }
    transaction.forget_refusals(collection)?;
    if settings.url != row.settings.url {
        transaction.set_remote_layout(row.id, None)?;
        transaction.forget_remote_pages(row.id)?;
    }
    if settings.url != row.settings.url || settings.signed_by != row.settings.signed_by {
        forget_lists(transaction, row)?;
    }
    Ok(())
}

/// Forgets which signed lists a remote had, and what it said of files without them.
fn forget_lists(transaction: &Transaction<'_>, row: &RemoteRow) -> Result<()> {
    transaction.forget_remote_list(row.id)?;
    transaction.forget_page_failures(row.id, "")?;
    transaction.forget_metadata_of_remote(row.id)?;
    Ok(())
}

/// Removes a remote. What came from it stays, and so do its counts.
pub fn remove_remote(store: &Store, name: &RemoteName) -> Result<RemoteReport> {
    store.require_writable()?;
    let transaction = store.manifest.write()?;
    let row = remote_row(&transaction, name)?;
    transaction.delete_remote(row.id)?;
    transaction.commit()?;
    Ok(row.into())
}

fn find_or_make(transaction: &Transaction<'_>, context: &Context<'_>, name: &CollectionName) -> Result<CollectionId> {
    if transaction.find_collection(name)?.is_none() {
        transaction.insert_collection(name, context.now)?;
    }
    Ok(collection_row(transaction, name)?.id)
}

/// Checks what people say of a remote, and brings it into the form that is stored.
pub(super) fn check(mut settings: RemoteSettings) -> Result<RemoteSettings> {
    settings.url = check_url(&settings.url)?;
    settings.upload_url = settings.upload_url.as_deref().map(check_url).transpose()?;
    if settings.writes_back && !settings.is_ours {
        let text = "what is built here is sent to no stranger's server: say --ours as well, if the remote is a cache of your own \
                    organisation, or else --no-write-back";
        return Err(Error::Refused(text.to_owned()));
    }
    if settings.writes_back && push::upload_url(&settings).is_none() {
        let text = "nothing can be sent there: its URL is not that of a wcas (https://cache.example/NAME/simple/), so say where it \
                    takes uploads with --upload-url";
        return Err(Error::Refused(text.to_owned()));
    }
    settings.signed_by = settings.signed_by.as_deref().map(check_signers).transpose()?;
    if settings.signed_by.is_some() && crate::remote::beside_pages(&settings.url, REVISION_TEXT).is_none() {
        let text = format!(
            "--signed-by is for collections of another wcas, whose URL is https://index.example/NAME/simple/: \
             {} doesn't tell where the signed list is",
            settings.url
        );
        return Err(Error::Refused(text));
    }
    if settings.min_age.is_some_and(|seconds| seconds < 0) {
        return Err(Error::Refused("a minimum age can't be negative".to_owned()));
    }
    // 304 is the answer that nothing changed.
    if let Some(code) = settings.not_found.iter().find(|code| !(300..600).contains(*code) || **code == 304) {
        return Err(Error::Refused(format!("{code} is no status of a redirect or an error, 300 to 599 without 304")));
    }
    for host in &mut settings.follow_hosts {
        let url = url::Url::parse(&format!("https://{host}/"));
        let parsed = url.ok().filter(|url| url.path() == "/" && url.port().is_none() && url.username().is_empty());
        match parsed.as_ref().and_then(|url| url.host_str()) {
            Some(parsed) => *host = parsed.to_owned(),
            None => return Err(Error::Refused(format!("{host:?} is no host: write files.index.example"))),
        }
    }
    settings.follow_hosts.sort_unstable();
    settings.follow_hosts.dedup();
    settings.not_found.sort_unstable();
    settings.not_found.dedup();
    if let Some(auth) = &settings.auth {
        let is_name = |name: &str| {
            let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
            name.bytes().next().is_some_and(|first| !first.is_ascii_digit()) && name.bytes().all(inner)
        };
        if auth != "netrc" && !auth.strip_prefix("env:").is_some_and(is_name) {
            // What was given may be the secret itself: it is not repeated.
            let text = "credentials are found by `netrc`, or by `env:VAR` in the variable VAR; they are never stored";
            return Err(Error::Refused(text.to_owned()));
        }
    }
    Ok(settings)
}

/// Checks who may sign, and takes only what says so: no comments.
fn check_signers(text: &str) -> Result<String> {
    let signers = Signers::parse(text).map_err(|error| Error::Refused(error.to_string()))?;
    if signers.is_empty() {
        let text =
            "the file of allowed signers names nobody, so nothing would be taken; `--signed-by none` asks for no list";
        return Err(Error::Refused(text.to_owned()));
    }
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    Ok(lines.collect::<Vec<_>>().join("\n"))
}

/// Checks a remote's URL. What may be a secret is not repeated in an error.
fn check_url(text: &str) -> Result<String> {
    let refuse = |why: String| Err(Error::Refused(why));
    let url = match Url::parse(text) {
        Ok(url) => url,
        Err(error) => return refuse(format!("this is not a URL ({error}); write https://index.example/simple/")),
    };
    if !matches!(url.scheme(), "http" | "https") {
        return refuse(format!("a remote's URL begins with https:// or http://, not {}:", url.scheme()));
    }
    if url.host_str().is_none_or(str::is_empty) {
        return refuse("the URL names no host; write https://index.example/simple/".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        let hint = "say --auth netrc, or --auth env:VAR and put them in that variable";
        return refuse(format!("the URL has credentials in it, which would be stored: {hint}"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return refuse("a remote's URL ends with its path: no `?` (which may hold a secret) and no `#`".to_owned());
    }
    Ok(url.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_http_with_a_host_and_nothing_secret() {
        for good in ["https://index.example/simple/", "http://127.0.0.1:8080/", "https://index.example/a%20b/c"] {
            assert_eq!(check_url(good).unwrap(), good);
        }
        assert_eq!(check_url("HTTPS://Index.Example").unwrap(), "https://index.example/");
        for bad in [
            "",
            "index.example/simple",
            "ftp://index.example/",
            "file:///etc",
            "https://",
            "https://me:hunter2@index.example/",
            "https://hunter2@index.example/",
            "https://index.example/?token=hunter2",
            "https://index.example/#hunter2",
        ] {
            let text = check_url(bad).unwrap_err().to_string();
            assert!(!text.contains("hunter2"), "{text}");
        }
    }

    #[test]
    fn settings_that_make_no_sense_are_refused_without_repeating_secrets() {
        let good = RemoteSettings { url: "https://index.example/".to_owned(), ..RemoteSettings::default() };
        assert_eq!(check(good.clone()).unwrap(), good);
        for auth in ["netrc", "env:TOKEN", "env:_t1"] {
            assert!(check(RemoteSettings { auth: Some(auth.to_owned()), ..good.clone() }).is_ok(), "{auth}");
        }
        for auth in ["", "hunter2", "env:", "env:1A", "env:A B", "netrc:hunter2"] {
            let text = check(RemoteSettings { auth: Some(auth.to_owned()), ..good.clone() }).unwrap_err().to_string();
            assert!(!text.contains("hunter2"), "{text}");
        }
        assert!(check(RemoteSettings { not_found: vec![200], ..good.clone() }).is_err());
        let url = "https://cache.example/cuda/simple/".to_owned();
        let writes_back = |is_ours| RemoteSettings { writes_back: true, is_ours, url: url.clone(), ..good.clone() };
        assert!(check(writes_back(true)).is_ok());
        let unknown = RemoteSettings { url: good.url.clone(), ..writes_back(true) };
        assert!(check(unknown.clone()).unwrap_err().to_string().contains("--upload-url"));
        assert!(check(RemoteSettings { upload_url: Some(url.clone()), ..unknown }).is_ok());
        assert!(check(writes_back(false)).unwrap_err().to_string().contains("--ours"));
        let upload_url = Some("https://me:hunter2@index.example/legacy/".to_owned());
        let text = check(RemoteSettings { upload_url, ..good.clone() }).unwrap_err().to_string();
        assert!(!text.contains("hunter2"), "{text}");
        let codes = check(RemoteSettings { not_found: vec![410, 403, 403], ..good }).unwrap().not_found;
        assert_eq!(codes, [403, 410]);
    }
}
