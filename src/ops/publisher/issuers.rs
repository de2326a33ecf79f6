//! The keys of issuers, found by what OpenID Connect calls discovery (OpenID Connect Discovery 1.0 §4): asked for when a token wants
//! one, kept for a while, by one thread at a time, within budgets. Nobody is asked but the issuers that publishers name.

use crate::budget::{self, Excess};
use crate::error::{Error, Result};
use crate::remote::{LazyClient, Source};
use crate::signed::jwk::{self, Key};
use crate::signed::jwt::Unverified;
use crate::words::reason;
use serde::Deserialize;
use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use url::{Host, Url};

/// So long keys are kept, where their server says nothing of it.
const KEPT: Duration = Duration::from_secs(600);
/// And no longer, whatever it says.
const KEPT_AT_MOST: Duration = Duration::from_secs(86_400);
/// For a key that isn't among those that are kept an issuer is asked again, but not more often than this.
const AGAIN: Duration = Duration::from_secs(60);
/// So long an issuer is left alone that gave nothing.
const PAUSE: Duration = Duration::from_secs(10);

/// What is known of issuers' keys.
#[derive(Debug, Default)]
pub struct Issuers {
    known: Mutex<HashMap<String, KnownKeys>>,
    moved: Condvar,
}

#[derive(Debug, Default)]
struct KnownKeys {
    keys: Arc<[Key]>,
    /// Until when they are believed.
    until: Option<Instant>,
    asked: Option<Instant>,
    /// Why nothing came when it was asked last.
    failure: Option<String>,
    is_asking: bool,
    /// How many threads ask, or wait for who does.
    waiting: u64,
}

/// Why there is no key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The issuer has none of this name and kind.
    Unknown,
    /// The issuer can't be asked: why, for the server's owner.
    Failed(String),
    /// Too many wait for issuers.
    Busy(Excess),
}

/// A place among those who wait for an issuer; where it is this thread that asks, it ends that, too.
struct Wait<'a> {
    issuers: &'a Issuers,
    issuer: &'a str,
    is_asking: bool,
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        if let Some(known) = self.issuers.known().get_mut(self.issuer) {
            known.waiting -= 1;
            known.is_asking &= !self.is_asking;
        }
        self.issuers.moved.notify_all();
    }
}

impl KnownKeys {
    fn is_fresh(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| now < until)
    }

    /// Returns what is known of a key without asking; `None`: the issuer is to be asked.
    fn find(&self, token: &Unverified<'_>, now: Instant) -> Option<std::result::Result<Key, Trouble>> {
        let is_it = |key: &&Key| key.id() == token.key_id() && key.algorithm() == token.algorithm();
        if let Some(key) = self.keys.iter().find(is_it).filter(|_| self.is_fresh(now)) {
            return Some(Ok(key.clone()));
        }
        let since = now.saturating_duration_since(self.asked?);
        match &self.failure {
            Some(why) => (since < PAUSE).then(|| Err(Trouble::Failed(why.clone()))),
            None => (since < AGAIN).then_some(Err(Trouble::Unknown)),
        }
    }
}

impl Issuers {
    fn known(&self) -> MutexGuard<'_, HashMap<String, KnownKeys>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the key that a token names, of an issuer that a publisher names.
    pub(super) fn key(
        &self,
        client: &LazyClient,
        issuer: &str,
        token: &Unverified<'_>,
    ) -> std::result::Result<Key, Trouble> {
        let end = Instant::now() + Duration::from_secs(budget::ISSUER_TIME.limit);
        let mut known = self.known();
        if let Some(found) = known.entry(issuer.to_owned()).or_default().find(token, Instant::now()) {
            return found;
        }
        let own = known.get(issuer).map_or(0, |known| known.waiting);
        if !budget::is_fair(budget::ISSUER_WAITS.limit, known.values().map(|known| known.waiting).sum(), own) {
            return Err(Trouble::Busy(Excess(budget::ISSUER_WAITS)));
        }
        known.entry(issuer.to_owned()).or_default().waiting += 1;
        let mut wait = Wait { issuers: self, issuer, is_asking: false };
        loop {
            let now = Instant::now();
            let entry = known.entry(issuer.to_owned()).or_default();
            let found = entry.find(token, now);
            let is_asked = std::mem::replace(&mut entry.is_asking, found.is_none());
            if let Some(found) = found {
                entry.is_asking = is_asked;
                drop(known);
                return found;
            }
            if !is_asked {
                break;
            }
            let left = end.saturating_duration_since(now);
            if left.is_zero() {
                drop(known);
                return Err(Trouble::Failed(format!("no keys came within the time ({})", budget::ISSUER_TIME)));
            }
            known = self.moved.wait_timeout(known, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        wait.is_asking = true;
        drop(known);
        let fetched = fetch(client, issuer, end);
        let mut known = self.known();
        let entry = known.entry(issuer.to_owned()).or_default();
        entry.take_answer(fetched, Instant::now());
        let found = entry.find(token, Instant::now()).unwrap_or(Err(Trouble::Unknown));
        drop(known);
        drop(wait);
        found
    }
}

impl KnownKeys {
    /// Takes what an issuer said. Keys that are still good stay where nothing new comes.
    fn take_answer(&mut self, fetched: std::result::Result<(Vec<Key>, Duration), String>, now: Instant) {
        self.asked = Some(now);
        match fetched {
            Ok((keys, kept)) => {
                (self.keys, self.until, self.failure) = (keys.into(), Some(now + kept), None);
            }
            Err(why) => self.failure = Some(why),
        }
    }
}

/// What an issuer says of itself, as far as it is needed.
#[derive(Deserialize)]
struct Configuration {
    issuer: String,
    jwks_uri: String,
}

/// Asks an issuer for its keys: where they are, and then for them.
fn fetch(client: &LazyClient, issuer: &str, end: Instant) -> std::result::Result<(Vec<Key>, Duration), String> {
    let url = check(issuer).map_err(|error| error.to_string())?;
    let source = Source::new(url.clone());
    let client = client.get().map_err(|error| reason(error))?.until(end);
    let get = |url: &Url| {
        let document = client.document(&source, url, budget::ISSUER_BYTES.limit);
        document.map_err(|failure| match &failure {
            crate::remote::Failure::TooLarge { .. } => format!("{failure} ({})", budget::ISSUER_BYTES),
            crate::remote::Failure::TimedOut { .. } => format!("{failure} ({})", budget::ISSUER_TIME),
            _ => reason(&failure),
        })
    };
    let place = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
    let place = Url::parse(&place).map_err(|error| error.to_string())?;
    let document = get(&place)?;
    let configuration: Configuration = serde_json::from_slice(&document.body)
        .map_err(|_| format!("{place} is no configuration of an issuer (OpenID Connect Discovery)"))?;
    if configuration.issuer != issuer {
        return Err(format!("{place} is the configuration of another issuer, {:?}", configuration.issuer));
    }
    let keys =
        Url::parse(&configuration.jwks_uri).ok().filter(|keys| is_allowed(keys) && keys.scheme() == url.scheme());
    let keys =
        keys.ok_or_else(|| format!("{place} names no place for keys that is asked: {:?}", configuration.jwks_uri))?;
    let document = get(&keys)?;
    let kept = document.max_age.unwrap_or(KEPT).clamp(AGAIN, KEPT_AT_MOST);
    let found =
        jwk::parse(&document.body).map_err(|error| format!("{}: {}", configuration.jwks_uri, reason(&error)))?;
    Ok((found, kept))
}

/// Tells whether a URL may be asked for keys: by https, or on this machine.
fn is_allowed(url: &Url) -> bool {
    let is_loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => return false,
    };
    let has_credentials = !url.username().is_empty() || url.password().is_some();
    (url.scheme() == "https" || (url.scheme() == "http" && is_loopback)) && !has_credentials
}

/// Checks an issuer's name, which is a URL without more than a path. What may be a secret is not repeated.
pub(super) fn check(issuer: &str) -> Result<Url> {
    let url = Url::parse(issuer).ok().filter(|url| url.query().is_none() && url.fragment().is_none());
    url.filter(is_allowed).ok_or_else(|| {
        let text = "an issuer is the https:// URL that its tokens name (iss), without credentials, `?` and `#`: keys that come by plain \
                    http are anybody's (on this machine, for tests, http is taken)";
        Error::Refused(text.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    /// A token that names a key.
    fn token(kid: &str) -> String {
        let coded = |text: &str| URL_SAFE_NO_PAD.encode(text);
        format!("{}.{}.AAAA", coded(&format!("{{\"alg\":\"RS256\",\"kid\":\"{kid}\"}}")), coded("{}"))
    }

    fn keys(kid: &str) -> Vec<Key> {
        let n = URL_SAFE_NO_PAD.encode([0xc3; 256]);
        let text = format!("{{\"keys\":[{{\"kty\":\"RSA\",\"kid\":\"{kid}\",\"n\":\"{n}\",\"e\":\"AQAB\"}}]}}");
        jwk::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn keys_are_asked_for_when_they_are_old_or_unknown_but_not_all_the_time() {
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        let (old, new) = (token("old"), token("new"));
        let [old, new] = [&old, &new].map(|text| Unverified::parse(text).unwrap());
        let mut known = KnownKeys::default();
        assert_eq!(known.find(&old, at(0)), None, "nobody asked yet");
        known.take_answer(Ok((keys("old"), Duration::from_secs(600))), at(0));
        assert_eq!(known.find(&old, at(599)).unwrap().unwrap().id(), "old");
        // What isn't there is asked for again, once a minute.
        assert_eq!(known.find(&new, at(59)), Some(Err(Trouble::Unknown)));
        assert_eq!(known.find(&new, at(60)), None);
        known.take_answer(Err("down".to_owned()), at(60));
        let down = Some(Err(Trouble::Failed("down".to_owned())));
        assert_eq!(known.find(&new, at(69)), down);
        assert_eq!(known.find(&new, at(70)), None);
        assert_eq!(known.find(&old, at(69)).unwrap().unwrap().id(), "old", "what is good still stays");
        // Keys that are too old are believed no more, whoever is down.
        assert_eq!(known.find(&old, at(600)), None);
        known.take_answer(Err("down".to_owned()), at(600));
        assert_eq!(known.find(&old, at(601)), down);
        known.take_answer(Ok((keys("new"), Duration::from_secs(600))), at(610));
        assert_eq!(known.find(&old, at(611)), Some(Err(Trouble::Unknown)), "it was withdrawn");
        assert_eq!(known.find(&new, at(611)).unwrap().unwrap().id(), "new");
    }

    #[test]
    fn an_issuer_is_asked_by_https_or_is_on_this_machine() {
        for good in [
            "https://ci.example",
            "https://ci.example/",
            "https://ci.example/a/b",
            "http://127.0.0.1:9/x",
            "http://[::1]/",
        ] {
            assert!(check(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "ci.example",
            "http://ci.example",
            "http://10.0.0.1/",
            "ftp://127.0.0.1/",
            "https://a:hunter2@ci.example",
            "https://ci.example/?a=hunter2",
            "https://ci.example/#hunter2",
        ] {
            assert!(!check(bad).unwrap_err().to_string().contains("hunter2"), "{bad}");
        }
    }
}
