//! Who may do what: tokens, and what anybody may do without one.
//!
//! Clients send credentials by host (netrc, keyrings), so that a server behind a shared name gets those of others. What doesn't look
//! like a token of ours is therefore taken for none at all; a token that is unknown, has ended or was revoked is refused even where
//! anybody may read, or else nobody would notice. Only who has its secret hears which of these it is.

use super::answer::{failure, plain, set, varies};
use super::endpoint::{Endpoint, Section};
use super::sessions::Session;
use super::{Anonymous, Answer, Request, Server};
use crate::error;
use crate::manifest::{Actor, ActorKind, TokenId, TokenRow, TokenState};
use crate::name::CollectionName;
use crate::token::{Scope, Secret};
use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use http::header::{AUTHORIZATION, CACHE_CONTROL, HOST, ORIGIN, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// A token's use is noted so often, in seconds.
const USED_SECONDS: i64 = 60;

/// The tokens, as the manifest had them when it was looked at last.
#[derive(Debug, Default)]
pub(super) struct Tokens(Mutex<KnownTokens>);

#[derive(Debug, Default)]
struct KnownTokens {
    version: Option<i64>,
    rows: Arc<Vec<TokenRow>>,
    noted: HashMap<TokenId, i64>,
}

/// Who asks.
enum Caller {
    /// Without a token.
    Nobody,
    /// With one that holds.
    Holder(Box<TokenRow>),
    /// With one that doesn't, and why.
    Stranger(String),
}

/// Which views a requester may read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Readable {
    /// All.
    All,
    /// This one.
    Only(CollectionName),
    /// None.
    Nothing,
}

/// Tells whether a request may do something at an endpoint; else the answer that it gets: 401 without a token, 403 with too little of one.
pub(super) fn permit(server: &Server, request: &Request, scope: Scope, endpoint: &Endpoint) -> Result<(), Answer> {
    if matches!(
        endpoint,
        Endpoint::Health
            | Endpoint::Asset(_)
            | Endpoint::Audience
            | Endpoint::MintToken
            | Endpoint::BurnToken
            // They ask who is signed in.
            | Endpoint::Account(_)
            | Endpoint::Action(..)
    ) {
        return Ok(());
    }
    let is_open = is_open(server, scope);
    match caller(server, request).map_err(|error| failure(&error))? {
        Caller::Stranger(why) => Err(unauthorized(why)),
        Caller::Nobody if is_open => Ok(()),
        Caller::Nobody => Err(unauthorized(format!("a token with the scope {scope} is needed here, as the password"))),
        Caller::Holder(token) if is_open || reaches(&token, scope, endpoint) => Ok(()),
        Caller::Holder(token) => {
            let place = token.collection.map_or_else(|| "all collections".to_owned(), |name| name.to_string());
            let only = if token.is_blind { ", and not to read" } else { "" };
            // Whoever uploads named it; who only reads is told of no other collection, not even its own words.
            let named = endpoint.view().filter(|_| scope != Scope::Read);
            let asked = named.map(|view| format!(" for {}", view.name)).unwrap_or_default();
            let text =
                format!("the token {} allows to {} {place}{only}; this takes {scope}{asked}", token.name, token.scope);
            Err(plain(StatusCode::FORBIDDEN, text))
        }
    }
}

/// Returns the number and the name of a request's token, if it has one that holds.
pub(super) fn asker(server: &Server, request: &Request) -> Option<(i64, String)> {
    match caller(server, request) {
        Ok(Caller::Holder(token)) => Some((token.id.number(), token.name)),
        Ok(Caller::Nobody) => {
            signed_in(server, request).ok()?.map(|signed| (signed.token.id.number(), signed.token.name))
        }
        _ => None,
    }
}

/// Who is signed in to the pages.
pub(super) struct SignedIn {
    /// The token that was shown for that.
    pub(super) token: TokenRow,
    /// What came of it.
    pub(super) session: Session,
}

/// Returns who is signed in to the pages, if a request's cookie tells of somebody whose token still holds.
pub(super) fn signed_in(server: &Server, request: &Request) -> error::Result<Option<SignedIn>> {
    let now = server.now();
    let session = server.sessions.of(request, now).filter(|_| server.options.has_actions);
    let Some(session) = session else { return Ok(None) };
    let rows = rows(server)?;
    let token = rows.iter().find(|row| row.digest == session.token && objection(row, now).is_none());
    let Some(token) = token else {
        server.sessions.end(request);
        return Ok(None);
    };
    note(server, request, token, now);
    Ok(Some(SignedIn { token: token.clone(), session }))
}

/// Takes a token that somebody signs in with; else tells why not.
pub(super) fn accept(server: &Server, request: &Request, text: &str) -> error::Result<Result<TokenRow, String>> {
    let Some(secret) = Secret::parse(text.trim()) else {
        return Ok(Err("this is no token of this server: those begin with wcas_".to_owned()));
    };
    Ok(match holder(server, request, &secret)? {
        Caller::Holder(token) => objection(&token, server.now()).map_or(Ok(*token), Err),
        Caller::Stranger(why) => Err(why),
        Caller::Nobody => Err("the token is unknown".to_owned()),
    })
}

/// Tells why nobody signs in with a token.
fn objection(token: &TokenRow, now: i64) -> Option<String> {
    let name = &token.name;
    if !token.is_live(now) {
        return Some(format!("the token {name} holds no longer"));
    }
    if token.scope < Scope::Admin {
        return Some(format!("the token {name} has the scope {}; this takes admin", token.scope));
    }
    token.is_blind.then(|| format!("the token {name} doesn't read, and what is done here is seen first"))
}

/// Refuses what a page of another site lets somebody's browser send: it comes from where that browser is, with what it keeps.
///
/// Browsers say where a request comes from (Fetch Metadata; RFC 6454); package clients say nothing of it.
pub(super) fn refuse_other_sites(request: &Request) -> Result<(), Answer> {
    let headers = request.headers();
    let text = |value: &HeaderValue| value.to_str().map(str::to_owned).unwrap_or_default();
    let is_own_site = |site: &HeaderValue| matches!(site.as_bytes(), b"same-origin" | b"none");
    let host = headers.get(HOST).map(text).unwrap_or_default();
    let is_own_origin = |origin: &HeaderValue| {
        // `null` is an origin that won't be named.
        text(origin).split_once("://").is_some_and(|(_, named)| named.eq_ignore_ascii_case(&host))
    };
    let is_foreign = headers.get_all("sec-fetch-site").iter().any(|site| !is_own_site(site))
        || headers.get_all(ORIGIN).iter().any(|origin| !is_own_origin(origin));
    if is_foreign {
        return Err(plain(StatusCode::FORBIDDEN, "a page of another site may not send this"));
    }
    Ok(())
}

/// Marks an answer as one for its asker alone, where nobody may read without a token: a cache on the way gives it to others else.
pub(super) fn keep_private(server: &Server, answer: &mut Answer) {
    if is_open(server, Scope::Read) {
        return;
    }
    let told = answer.headers().get(CACHE_CONTROL).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !told.split(',').any(|word| matches!(word.trim(), "private" | "no-store")) {
        let value = if told.is_empty() { "private".to_owned() } else { format!("private, {told}") };
        set(answer, CACHE_CONTROL, &value);
    }
    varies(answer, "Authorization");
    if server.options.has_actions {
        varies(answer, "Cookie");
    }
}

/// Tells which views a requester may read.
pub(super) fn readable(server: &Server, request: &Request) -> error::Result<Readable> {
    if is_open(server, Scope::Read) {
        return Ok(Readable::All);
    }
    Ok(match caller(server, request)? {
        Caller::Holder(token) if token.is_blind => Readable::Nothing,
        Caller::Holder(token) => token.collection.map_or(Readable::All, Readable::Only),
        Caller::Nobody | Caller::Stranger(_) => Readable::Nothing,
    })
}

/// Returns the token that limits where uploads go, for who may not do that without one.
pub(super) fn limits(server: &Server, request: &Request, scope: Scope) -> Result<Option<TokenId>, Answer> {
    if is_open(server, scope) {
        return Ok(None);
    }
    match caller(server, request).map_err(|error| failure(&error))? {
        Caller::Holder(token) => Ok(Some(token.id)),
        // It ended since it was permitted.
        Caller::Stranger(why) => Err(unauthorized(why)),
        Caller::Nobody => Err(unauthorized(format!("a token with the scope {scope} is needed here, as the password"))),
    }
}

/// Returns who asks, for the log.
pub(super) fn actor(server: &Server, request: &Request, command: &str) -> Actor {
    let (origin, command) = (request.body().address.to_string(), command.to_owned());
    match caller(server, request) {
        Ok(Caller::Holder(token)) => {
            Actor { kind: ActorKind::Token, id: Some(token.id.number()), name: token.name, origin, command }
        }
        _ => Actor { kind: ActorKind::Anonymous, id: None, name: "anonymous".to_owned(), origin, command },
    }
}

/// Tells whether anybody may do something.
fn is_open(server: &Server, scope: Scope) -> bool {
    match scope {
        Scope::Read => server.options.anonymous >= Anonymous::Read,
        Scope::Upload => server.options.anonymous >= Anonymous::Upload,
        Scope::Admin => false,
    }
}

/// Tells whether a token allows something at an endpoint.
fn reaches(token: &TokenRow, scope: Scope, endpoint: &Endpoint) -> bool {
    // They tell of all collections.
    if matches!(endpoint, Endpoint::Metrics) {
        return token.collection.is_none();
    }
    if matches!(endpoint, Endpoint::Section(Section::Health)) {
        return token.collection.is_none() && !token.is_blind;
    }
    // What the others show is cut to what may be read.
    let view = endpoint.view();
    let is_within = match (&token.collection, view) {
        (Some(only), Some(view)) => *only == view.name,
        _ => true,
    };
    is_within && token.scope >= scope && !(token.is_blind && scope == Scope::Read)
}

fn unauthorized(text: impl Into<String>) -> Answer {
    let mut answer = plain(StatusCode::UNAUTHORIZED, text);
    set(&mut answer, WWW_AUTHENTICATE, "Basic realm=\"wcas\"");
    answer
}

fn caller(server: &Server, request: &Request) -> error::Result<Caller> {
    if let Some(secret) = secret(request.headers()) {
        return holder(server, request, &secret);
    }
    // A browser shows its cookie whoever made it ask: it lets nothing but read, unless a form's proof goes with it.
    let is_reading = matches!(*request.method(), Method::GET | Method::HEAD);
    let signed = if is_reading { signed_in(server, request)? } else { None };
    Ok(signed.map_or(Caller::Nobody, |signed| Caller::Holder(Box::new(signed.token))))
}

/// Returns whose secret it is.
fn holder(server: &Server, request: &Request, secret: &Secret) -> error::Result<Caller> {
    let now = server.now();
    let rows = rows(server)?;
    // All are compared, so that the time doesn't tell which one it is, or that there is none.
    let found = rows.iter().fold(None, |found, row| if secret.has_digest(&row.digest) { Some(row) } else { found });
    let Some(row) = found else { return Ok(Caller::Stranger("the token is unknown".to_owned())) };
    let name = &row.name;
    Ok(match row.state(now) {
        TokenState::Live => {
            note(server, request, row, now);
            Caller::Holder(Box::new(row.clone()))
        }
        TokenState::Revoked(at) => Caller::Stranger(format!("the token {name} was revoked on {}", day(at))),
        TokenState::Expired(at) => {
            // A CI gets the next one by itself.
            let advice =
                if row.publisher.is_some() { "run the job again" } else { "ask for a new one (`wcas token create`)" };
            Caller::Stranger(format!("the token {name} expired on {}: {advice}", day(at)))
        }
        TokenState::Orphaned => {
            let place = row.collection.as_ref().map(ToString::to_string).unwrap_or_default();
            Caller::Stranger(format!("the token {name} ended with the collection {place} that it was for"))
        }
    })
}

/// Returns a moment as people read it, in UTC.
fn day(seconds: i64) -> String {
    crate::index::rfc3339(seconds)
}

/// Returns the tokens; they are read again when the manifest has changed.
fn rows(server: &Server) -> error::Result<Arc<Vec<TokenRow>>> {
    let version = server.stores.version()?;
    let known = || server.tokens.0.lock().unwrap_or_else(PoisonError::into_inner);
    {
        let known = known();
        if known.version == Some(version) {
            return Ok(Arc::clone(&known.rows));
        }
    }
    let rows = Arc::new(server.stores.borrow()?.manifest.read()?.tokens()?);
    let mut known = known();
    known.rows = Arc::clone(&rows);
    known.version = Some(version);
    Ok(rows)
}

/// Notes that a token is in use, now and then.
fn note(server: &Server, request: &Request, row: &TokenRow, now: i64) {
    let is_recent = |at: i64| (0..USED_SECONDS).contains(&(now - at));
    if row.used_at.is_some_and(is_recent) {
        return;
    }
    let mut known = server.tokens.0.lock().unwrap_or_else(PoisonError::into_inner);
    if !known.noted.get(&row.id).copied().is_some_and(is_recent) {
        known.noted.insert(row.id, now);
        server.counters.token_used(row.id, now, request.body().address);
    }
}

/// Returns the secret that a request carries: as the password of any user (or as the user, without a password), or as a bearer's.
fn secret(headers: &HeaderMap) -> Option<Secret> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, rest) = value.split_once(' ')?;
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Secret::parse(rest);
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    const ANY_PADDING: GeneralPurposeConfig =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let decoded = GeneralPurpose::new(&base64::alphabet::STANDARD, ANY_PADDING).decode(rest).ok()?;
    let text = String::from_utf8(decoded).ok()?;
    let (user, password) = text.split_once(':')?;
    Secret::parse(if password.is_empty() { user } else { password })
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::engine::general_purpose::STANDARD;
    use http::HeaderValue;
    use proptest::prelude::*;

    fn headers(value: &[u8]) -> HeaderMap {
        let value = HeaderValue::from_bytes(value).unwrap();
        HeaderMap::from_iter([(AUTHORIZATION, value)])
    }

    #[test]
    fn a_secret_comes_as_a_password_or_as_a_bearers() {
        let secret_text = Secret::of([7; 32]).reveal().to_owned();
        let basic = |text: String| format!("Basic {}", STANDARD.encode(text));
        for value in [
            basic(format!("__token__:{secret_text}")),
            basic(format!("me@example.org:{secret_text}")),
            basic(format!(":{secret_text}")),
            basic(format!("{secret_text}:")),
            basic(format!("u:{secret_text}")).replace("Basic", "basic").trim_end_matches('=').to_owned(),
            format!("Bearer {secret_text}"),
            format!("bearer  {secret_text} "),
        ] {
            assert_eq!(secret(&headers(value.as_bytes())), Secret::parse(&secret_text), "{value}");
        }
        for value in [
            basic("user:password".to_owned()),
            basic(secret_text.clone()),
            secret_text,
            "Digest x".to_owned(),
            String::new(),
        ] {
            assert_eq!(secret(&headers(value.as_bytes())), None, "{value}");
        }
    }

    proptest! {
        #[test]
        fn no_header_confuses(value in proptest::collection::vec(0x20_u8..0x7f, 0..80), kind in 0..3) {
            let scheme: &[u8] = [&b"Basic "[..], b"Bearer ", b""][kind as usize];
            prop_assert_eq!(secret(&headers(&[scheme, &value].concat())), None);
        }
    }
}
