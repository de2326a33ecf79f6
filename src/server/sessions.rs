//! Who is signed in to the pages: a browser shows a cookie, and its session stands for a token.
//!
//! A cookie is a random number and never the token. Sessions are in memory alone, so that a server that starts anew knows none, and of
//! a cookie only the digest is kept. Whether the token still holds is asked anew with each request (`access`).

use super::Request;
use crate::digest::Blake3;
use http::header::COOKIE;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// So long a session lasts, in seconds: a day's work.
pub(super) const SECONDS: i64 = 8 * 3600;
/// So many sessions a token has at a time; one more ends the oldest of them.
const OF_TOKEN: usize = 8;
/// So many there are at a time; one more ends the oldest.
const MOST: usize = 1024;

/// The cookie's name. Over TLS it begins so that browsers take it from this host alone, over TLS, and for all paths.
const PLAIN_NAME: &str = "wcas-session";
const SECURE_NAME: &str = "__Host-wcas-session";

/// What the proof that a form is ours is derived for.
const PROOF_CONTEXT: &str = "wcas 2026 forms of pages";

/// The sessions, by the digests of their cookies.
#[derive(Debug, Default)]
pub(super) struct Sessions(Mutex<HashMap<Blake3, Session>>);

/// A session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Session {
    /// The digest of the token's secret: a number may be another token's in a store that is put back.
    pub(super) token: Blake3,
    /// When it ends, in seconds since 1970.
    pub(super) until: i64,
    /// What a form of the session has in it: who doesn't see its pages can't know that.
    pub(super) proof: Proof,
}

/// A text that only pages of one session have.
#[derive(Debug, Clone, Copy)]
pub(super) struct Proof(blake3::Hash);

impl PartialEq for Proof {
    /// In a time that doesn't tell how much of it is alike: that is the equality of `blake3::Hash`.
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for Proof {}

impl Proof {
    fn of(cookie: &str) -> Self {
        Self(blake3::derive_key(PROOF_CONTEXT, cookie.as_bytes()).into())
    }

    /// Returns the text for a form.
    pub(super) fn text(&self) -> String {
        self.0.to_hex().to_string()
    }

    /// Tells whether a form has this text.
    pub(super) fn is(&self, text: &str) -> bool {
        blake3::Hash::from_hex(text).is_ok_and(|other| self.0 == other)
    }
}

impl Sessions {
    /// Begins a session; returns its cookie's value.
    pub(super) fn begin(&self, random: [u8; 32], token: Blake3, now: i64) -> String {
        let cookie = Blake3::from_bytes(random).to_string();
        let mut known = self.known();
        known.retain(|_, session| session.is_on(now));
        let drop_oldest = |known: &mut HashMap<Blake3, Session>, most: usize, of: Option<Blake3>| {
            let is_of = |session: &Session| of.is_none_or(|token| session.token == token);
            if known.values().filter(|session| is_of(session)).count() >= most {
                let oldest =
                    known.iter().filter(|(_, session)| is_of(session)).min_by_key(|(_, session)| session.until);
                let oldest = oldest.map(|(key, _)| *key);
                oldest.map(|key| known.remove(&key));
            }
        };
        drop_oldest(&mut known, OF_TOKEN, Some(token));
        drop_oldest(&mut known, MOST, None);
        let session = Session { token, until: now.saturating_add(SECONDS), proof: Proof::of(&cookie) };
        known.insert(digest(&cookie), session);
        cookie
    }

    /// Returns a request's session.
    pub(super) fn of(&self, request: &Request, now: i64) -> Option<Session> {
        let key = digest(cookie(request)?);
        self.known().get(&key).filter(|session| session.is_on(now)).copied()
    }

    /// Ends a request's session.
    pub(super) fn end(&self, request: &Request) {
        if let Some(cookie) = cookie(request) {
            self.known().remove(&digest(cookie));
        }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Blake3, Session>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Session {
    /// Tells whether it lasts. A clock that was put back doesn't make it longer.
    fn is_on(&self, now: i64) -> bool {
        (1..=SECONDS).contains(&(self.until - now))
    }
}

fn digest(cookie: &str) -> Blake3 {
    Blake3::from_bytes(*blake3::hash(cookie.as_bytes()).as_bytes())
}

fn name(request: &Request) -> &'static str {
    if request.body().is_secure { SECURE_NAME } else { PLAIN_NAME }
}

/// Returns the cookie that a browser shows; of two of one name, none.
fn cookie(request: &Request) -> Option<&str> {
    let name = name(request);
    let texts = request.headers().get_all(COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    let pairs = texts.flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let mut found = pairs.filter(|(own, _)| *own == name).map(|(_, value)| value);
    let value = found.next()?;
    found.next().is_none().then_some(value)
}

/// Returns the header that gives a browser a cookie, or takes it away.
pub(super) fn set_cookie(request: &Request, cookie: Option<&str>) -> String {
    let (value, seconds) = cookie.map_or(("", 0), |value| (value, SECONDS));
    let secure = if request.body().is_secure { "; Secure" } else { "" };
    format!("{}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}", name(request))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::Peer;
    use std::net::{IpAddr, Ipv4Addr};

    fn request(cookies: &[&str], is_secure: bool) -> Request {
        let mut request = Request::new(Peer { address: IpAddr::V4(Ipv4Addr::LOCALHOST), is_secure });
        for cookie in cookies {
            request.headers_mut().append(COOKIE, cookie.parse().unwrap());
        }
        request
    }

    fn shown(cookie: &str) -> Request {
        request(&[&format!("other=1; {PLAIN_NAME}={cookie}")], false)
    }

    fn token(number: u8) -> Blake3 {
        Blake3::from_bytes([number; 32])
    }

    #[test]
    fn a_session_is_known_by_its_cookie_until_its_time_is_up() {
        let sessions = Sessions::default();
        let cookie = sessions.begin([1; 32], token(1), 1000);
        let session = sessions.of(&shown(&cookie), 1000).unwrap();
        assert_eq!((session.token, session.until), (token(1), 1000 + SECONDS));
        assert!(session.proof.is(&session.proof.text()) && !session.proof.text().contains(&cookie));
        assert!(sessions.of(&shown(&cookie), 999 + SECONDS).is_some());
        assert_eq!(sessions.of(&shown(&cookie), 1000 + SECONDS), None);
        assert_eq!(sessions.of(&shown(&cookie), 999), None, "by a clock that was put back it would last longer");
        sessions.end(&shown(&cookie));
        assert_eq!(sessions.of(&shown(&cookie), 1001), None);
    }

    #[test]
    fn a_cookie_of_another_name_or_kind_opens_nothing() {
        let sessions = Sessions::default();
        let cookie = sessions.begin([1; 32], token(1), 1000);
        let plain = format!("{PLAIN_NAME}={cookie}");
        let secure = format!("{SECURE_NAME}={cookie}");
        let is_known = |cookies: &[&str], is_secure: bool| sessions.of(&request(cookies, is_secure), 1000).is_some();
        assert!(is_known(&[&plain], false) && is_known(&[&secure], true) && is_known(&["a=b", &plain], false));
        assert!(!is_known(&[&plain], true), "anybody on the way can set a plain one");
        for cookies in [vec![], vec![secure.as_str()], vec![plain.as_str(), plain.as_str()], vec!["wcas-session=", "x"]]
        {
            assert!(!is_known(&cookies, false), "{cookies:?}");
        }
    }

    #[test]
    fn sessions_are_bounded_and_one_token_takes_none_of_others() {
        let sessions = Sessions::default();
        let other = sessions.begin([255; 32], token(2), 10);
        let cookies: Vec<String> =
            (0..=OF_TOKEN).map(|at| sessions.begin([at as u8; 32], token(1), 100 + at as i64)).collect();
        assert_eq!(sessions.of(&shown(&cookies[0]), 200), None);
        assert!(cookies[1..].iter().chain([&other]).all(|cookie| sessions.of(&shown(cookie), 200).is_some()));
        for at in 0..MOST {
            let mut random = [9; 32];
            random[..8].copy_from_slice(&at.to_le_bytes());
            sessions.begin(random, Blake3::from_bytes(random), 1000);
        }
        assert_eq!(sessions.known().len(), MOST);
        assert_eq!(sessions.of(&shown(&other), 1000), None);
    }

    #[test]
    fn proofs_are_of_one_session() {
        let sessions = Sessions::default();
        let proof = |number: u8| {
            let cookie = sessions.begin([number; 32], token(1), 0);
            sessions.of(&shown(&cookie), 1).unwrap().proof
        };
        let (one, other) = (proof(1), proof(2));
        assert!(!one.is(&other.text()) && !one.is("") && !one.is("0") && !one.is(&"é".repeat(32)));
    }
}
