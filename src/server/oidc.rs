//! Trusted publishing over HTTP, as the public index has it and its clients ask it: `GET /_/oidc/audience`, then
//! `POST /_/oidc/mint-token` with a CI's token, at the root of the host, whatever collection is uploaded to; and, by clients that have
//! done what they had to do, `POST /_/oidc/burn-token`.
//!
//! Who asks is told what its own token says and lacks. What publishers want is told to the log alone, and neither has a token in it.

use super::answer::{Body, Cause, failure, set};
use super::endpoint::Endpoint;
use super::{Answer, Request, Server, access};
use crate::ops;
use crate::ops::publisher::{Denial, DenialKind};
use crate::token::Secret;
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::{Mutex, PoisonError};

/// So many different texts are logged in so many seconds: on a CI that many share, anybody has tokens that fit no publisher.
const LOG_TEXTS: usize = 10;
const LOG_SECONDS: i64 = 60;

/// What was logged since a time.
#[derive(Debug, Default)]
pub(super) struct Logged(Mutex<(i64, Vec<String>)>);

/// What a CI sends.
#[derive(Deserialize)]
struct Exchange {
    token: String,
}

/// Answers with whom a CI's tokens must be for.
pub(super) fn audience(server: &Server) -> Answer {
    let found = server.stores.borrow().and_then(|store| ops::publisher::audience(&*store.manifest.read()?));
    match found {
        Ok(Some(audience)) => document(StatusCode::OK, &json!({ "audience": audience })),
        Ok(None) => {
            let text = "no CI may publish here: `wcas publisher add` says which may";
            document(StatusCode::NOT_FOUND, &json!({ "message": text }))
        }
        Err(error) => failure(&error),
    }
}

impl Server {
    /// Tells whether a request is for [`Server::exchange`].
    pub(super) fn is_exchange(&self, request: &Request) -> bool {
        matches!(self.endpoint(request), Ok(Endpoint::MintToken | Endpoint::BurnToken))
    }

    /// Answers a CI that wants a token of ours for its own, or needs one no more. It may wait for the disk and for the CI's issuer.
    pub fn exchange(&self, request: &Request, body: &[u8]) -> Answer {
        if let Err(answer) = access::refuse_other_sites(request) {
            return answer;
        }
        let Ok(Exchange { token }) = serde_json::from_slice(body) else {
            let text = "expected a JSON object with a token as its \"token\"";
            return denied(StatusCode::UNPROCESSABLE_ENTITY, "invalid-payload", text);
        };
        let is_back = matches!(self.endpoint(request), Ok(Endpoint::BurnToken));
        if is_back { self.burn(request, &token) } else { self.mint(request, &token) }
    }

    /// Ends a publisher's token before its time. The answer doesn't tell whether there was one.
    fn burn(&self, request: &Request, token: &str) -> Answer {
        if let Some(secret) = Secret::parse(token) {
            let store = self.stores.borrow_for(&access::actor(self, request, "burn-token"));
            if let Err(error) = store.and_then(|store| ops::publisher::burn(&store, &self.context(), &secret)) {
                return failure(&error);
            }
        }
        document(StatusCode::ACCEPTED, &json!({}))
    }

    fn mint(&self, request: &Request, token: &str) -> Answer {
        let secret = match (self.options.random)() {
            Ok(random) => Secret::of(random),
            Err(why) => {
                let mut answer = denied(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "there are no random numbers");
                answer.extensions_mut().insert(Cause(why));
                return answer;
            }
        };
        let store = match self.stores.borrow_for(&access::actor(self, request, "mint-token")) {
            Ok(store) if store.is_writable() => store,
            Ok(_) => return denied(StatusCode::FORBIDDEN, "not-enabled", "the server may only read its store"),
            Err(error) => return failure(&error),
        };
        match ops::publisher::mint(&store, &self.context(), &self.issuers, token, &secret) {
            Ok(Ok(token)) => {
                let done = json!({ "success": true, "token": secret.reveal(), "expires": token.expires_at });
                document(StatusCode::OK, &done)
            }
            Ok(Err(denial)) => self.deny(denial),
            Err(error) => failure(&error),
        }
    }

    fn deny(&self, denial: Denial) -> Answer {
        let (status, code) = match denial.kind {
            DenialKind::Token => (StatusCode::UNPROCESSABLE_ENTITY, "invalid-token"),
            DenialKind::Reuse => (StatusCode::UNPROCESSABLE_ENTITY, "invalid-reuse-token"),
            DenialKind::Publisher => (StatusCode::UNPROCESSABLE_ENTITY, "invalid-publisher"),
            DenialKind::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
        };
        let mut answer = denied(status, code, &denial.text);
        if status == StatusCode::SERVICE_UNAVAILABLE {
            set(&mut answer, RETRY_AFTER, "5");
        }
        if let Some(cause) = denial.cause.filter(|cause| self.refusals.is_new(cause, self.now())) {
            answer.extensions_mut().insert(Cause(cause));
        }
        answer
    }
}

impl Logged {
    fn is_new(&self, text: &str, now: i64) -> bool {
        let mut logged = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !(0..LOG_SECONDS).contains(&(now - logged.0)) {
            *logged = (now, Vec::new());
        }
        let is_new = logged.1.len() < LOG_TEXTS && !logged.1.iter().any(|known| known == text);
        if is_new {
            logged.1.push(text.to_owned());
        }
        is_new
    }
}

/// Answers that no token is given, as the public index does.
pub(super) fn denied(status: StatusCode, code: &str, description: &str) -> Answer {
    let errors = [json!({ "code": code, "description": description })];
    document(status, &json!({ "message": "Token request failed", "errors": errors }))
}

fn document(status: StatusCode, value: &Value) -> Answer {
    let mut answer = Answer::new(Body::Bytes(value.to_string().into()));
    *answer.status_mut() = status;
    set(&mut answer, CONTENT_TYPE, "application/json");
    set(&mut answer, CACHE_CONTROL, "no-store");
    answer
}
