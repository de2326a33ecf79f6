//! `/_/sign-in/` and `/_/sign-out/`: a token for a session, and its end.

use super::fields::Fields;
use super::pages::proof;
use crate::error::Result;
use crate::server::access::{self, SignedIn};
use crate::server::answer::{Body, Cause, set, unavailable};
use crate::server::people::frame::{Page, root};
use crate::server::people::words;
use crate::server::{Answer, Request, Server, sessions};
use bytes::Bytes;
use http::StatusCode;
use http::header::{LOCATION, SET_COOKIE};
use maud::{Markup, html};

/// Makes the page.
pub(super) fn page(server: &Server, request: &Request) -> Result<Answer> {
    let signed = access::signed_in(server, request)?;
    let main = match &signed {
        Some(signed) => held(signed, server.now()),
        None => asked(request, None),
    };
    Ok(answer(request, main, StatusCode::OK))
}

/// Takes a token.
pub(super) fn sign_in(server: &Server, request: &Request, fields: &Fields) -> Result<Answer> {
    let token = match access::accept(server, request, fields.get("token"))? {
        Ok(token) => token,
        Err(why) => return Ok(answer(request, asked(request, Some(&why)), StatusCode::FORBIDDEN)),
    };
    let random = match (server.options.random)() {
        Ok(random) => random,
        Err(why) => {
            let mut answer = unavailable("there are no random numbers");
            answer.extensions_mut().insert(Cause(why));
            return Ok(answer);
        }
    };
    server.sessions.end(request);
    let cookie = server.sessions.begin(random, token.digest, server.now());
    Ok(moved(request, Some(Some(&cookie))))
}

/// Ends a session.
pub(super) fn sign_out(server: &Server, request: &Request, fields: &Fields) -> Result<Answer> {
    if let Some(signed) = access::signed_in(server, request)? {
        if !signed.session.proof.is(fields.get("proof")) {
            let main = html! {
                h1 { "Not signed out" }
                p.lead { "The form is not one of your session's. " a href="../sign-in/" { "Go back" } " and open the page anew." }
            };
            return Ok(answer(request, main, StatusCode::FORBIDDEN));
        }
        server.sessions.end(request);
    }
    Ok(moved(request, Some(None)))
}

/// Leads to the page for signing in; gives a cookie, or takes it away.
pub(super) fn moved(request: &Request, cookie: Option<Option<&str>>) -> Answer {
    let mut answer = Answer::new(Body::Bytes(Bytes::new()));
    *answer.status_mut() = StatusCode::SEE_OTHER;
    set(&mut answer, LOCATION, "../sign-in/");
    if let Some(cookie) = cookie {
        set(&mut answer, SET_COOKIE, &sessions::set_cookie(request, cookie));
    }
    answer
}

/// Answers who does something without being signed in, whatever it is.
pub(super) fn missing(request: &Request) -> Answer {
    let root = root(request.uri().path());
    let main = html! {
        h1 { "Sign in first" }
        p.lead { "You are not signed in, or no longer: a session ends after eight hours, with its token, and with the server. Nothing was changed." }
        p { a href={ (root) "_/sign-in/" } { "Sign in" } }
    };
    let trail = vec![("./".to_owned(), "Sign in first".to_owned())];
    Page { title: "Sign in first".to_owned(), root, trail, main }.answer(StatusCode::FORBIDDEN)
}

fn answer(request: &Request, main: Markup, status: StatusCode) -> Answer {
    let trail = vec![("./".to_owned(), "Sign in".to_owned())];
    Page { title: "Sign in".to_owned(), root: root(request.uri().path()), trail, main }.answer(status)
}

fn asked(request: &Request, why: Option<&str>) -> Markup {
    let peer = request.body();
    html! {
        h1 { "Sign in" }
        p.lead { "For who changes collections by these pages: yank, block, pin, promote, roll back, undo." }
        @if let Some(why) = why { p.note #why role="alert" { "Not signed in: " (why) "." } }
        @if !peer.is_secure && !peer.address.is_loopback() {
            p.note { b { "Nothing encrypts the way to this server." } " Whoever is on it reads the token, and can act with it." }
        }
        form.act method="post" action="./" {
            label for="token" { "A token of the scope admin" }
            input #token type="password" name="token" required maxlength="100" autocomplete="off" spellcheck="false" aria-describedby=[why.map(|_| "why")];
            button type="submit" { "Sign in" }
        }
        p.quiet { code { "wcas token create --collection NAME --scope admin" } " makes one." }
    }
}

fn held(signed: &SignedIn, now: i64) -> Markup {
    let token = &signed.token;
    html! {
        h1 { "Signed in" }
        dl.about {
            div { dt { "Token" } dd { (token.name) } }
            div {
                dt { "For" }
                dd {
                    @match &token.collection {
                        Some(name) => a href={ "../../" (name) "/" } { (name) },
                        None => "all collections",
                    }
                    @if !token.projects.is_empty() {
                        ", of them "
                        @for (place, pattern) in token.projects.iter().enumerate() {
                            @if place > 0 { ", " }
                            (pattern)
                        }
                    }
                }
            }
            div { dt { "Until" } dd { (words::date(signed.session.until, now)) } }
        }
        p { "Actions are on the pages of files and projects, of collections, and in the " a href="../history/" { "history" } ". Each is shown before it is done." }
        form.act method="post" action="../sign-out/" {
            (proof(signed))
            button type="submit" { "Sign out" }
        }
    }
}
