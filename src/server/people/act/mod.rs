//! `/{view}/actions/{verb}/`: what a holder of a token with the scope admin does by the pages.
//!
//! A link shows what would happen, tried on a copy of the manifest; only a form does it, by the verbs of the command line. A form is
//! taken from a page of our own alone (`access::refuse_other_sites`), with the session's proof in it, and where nothing has happened to
//! its collections since it was shown.

mod account;
mod deed;
mod fields;
mod links;
mod pages;

use self::deed::{Deed, Done};
use self::fields::Fields;
pub(super) use self::links::{Desk, Line};
use self::pages::{Form, Refusal};
use crate::context::Context;
use crate::error::Result;
use crate::manifest::{Actor, ActorKind};
use crate::name::CollectionName;
use crate::server::access::{self, SignedIn};
use crate::server::answer::{failure, plain, set};
use crate::server::endpoint::Endpoint;
use crate::server::verb::{Account, Verb};
use crate::server::{Answer, Request, Server};
use crate::store::{MayConflict as _, Store};
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, REFERRER_POLICY};
use std::sync::PoisonError;

/// What browsers send a form as.
const FORM: &str = "application/x-www-form-urlencoded";

/// Where something is to be done, and by whom.
struct Asked<'a> {
    server: &'a Server,
    request: &'a Request,
    at: &'a CollectionName,
    signed: SignedIn,
}

/// Answers with the page for signing in and out.
pub(in crate::server) fn account(server: &Server, request: &Request, account: Account) -> Answer {
    if !server.options.has_actions {
        return super::lost(request, "There is nothing here.");
    }
    finished(match account {
        Account::SignIn => account::page(server, request),
        Account::SignOut => Ok(account::moved(request, None)),
    })
}

/// Answers with what an action would do, and the form that does it.
pub(in crate::server) fn action(server: &Server, request: &Request, at: &CollectionName, verb: Verb) -> Answer {
    if !server.options.has_actions {
        return super::lost(request, "There is nothing here.");
    }
    finished(asked(server, request, at).and_then(|asked| match asked {
        Some(asked) => asked.show(verb),
        None => Ok(account::missing(request)),
    }))
}

impl Server {
    /// Tells whether what is posted is for [`Server::act`].
    pub(in crate::server) fn is_act(&self, request: &Request) -> bool {
        matches!(self.endpoint(request), Ok(Endpoint::Account(_) | Endpoint::Action(..)))
    }

    /// Takes a form of the pages: somebody signs in or out, or does what a page has shown.
    pub fn act(&self, request: &Request, body: &[u8]) -> Answer {
        let endpoint = match self.endpoint(request) {
            Ok(endpoint) => endpoint,
            Err(answer) => return answer,
        };
        let request = &*self.below_base(request);
        if !self.options.has_actions {
            return super::lost(request, "There is nothing here.");
        }
        if let Err(answer) = access::refuse_other_sites(request) {
            return answer;
        }
        let kind = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if !kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case(FORM)) {
            return plain(StatusCode::UNSUPPORTED_MEDIA_TYPE, format!("a form is expected, as {FORM}"));
        }
        let fields = match Fields::read(body) {
            Ok(fields) => fields,
            Err(text) => return plain(StatusCode::BAD_REQUEST, text),
        };
        finished(match &endpoint {
            Endpoint::Account(Account::SignIn) => account::sign_in(self, request, &fields),
            Endpoint::Account(Account::SignOut) => account::sign_out(self, request, &fields),
            Endpoint::Action(view, verb) => asked(self, request, &view.name).and_then(|asked| match asked {
                Some(asked) => asked.take(*verb, &fields),
                None => Ok(account::missing(request)),
            }),
            _ => Ok(super::lost(request, "There is nothing here.")),
        })
    }
}

fn asked<'a>(server: &'a Server, request: &'a Request, at: &'a CollectionName) -> Result<Option<Asked<'a>>> {
    let signed = access::signed_in(server, request)?;
    Ok(signed.map(|signed| Asked { server, request, at, signed }))
}

/// Sets what all these answers have: nobody keeps them, and forms tell where they come from.
fn finished(answer: Result<Answer>) -> Answer {
    let mut answer = answer.unwrap_or_else(|error| failure(&error));
    set(&mut answer, CACHE_CONTROL, "no-store");
    set(&mut answer, REFERRER_POLICY, "same-origin");
    answer
}

impl Asked<'_> {
    /// Shows what would be done.
    fn show(&self, verb: Verb) -> Result<Answer> {
        let fields = match Fields::read(self.request.uri().query().unwrap_or_default().as_bytes()) {
            Ok(fields) => fields,
            Err(text) => return Ok(self.refuse(&Refusal::wrong(text))),
        };
        let deed = match self.deed(verb, &fields)? {
            Ok(Some(deed)) => deed,
            Ok(None) => return self.choose(&fields),
            Err(refusal) => return Ok(self.refuse(&refusal)),
        };
        self.confirm(&deed, None)
    }

    /// Reads what is to be done, as far as it may be.
    fn deed(&self, verb: Verb, fields: &Fields) -> Result<std::result::Result<Option<Deed>, Refusal>> {
        // Who has no right here isn't told what there is.
        if !deed::is_for(&self.signed.token, self.at) {
            return Ok(Err(Refusal::forbidden("Your token is for another collection.")));
        }
        let store = self.server.stores.borrow()?;
        if store.manifest.find_collection(self.at)?.is_none() {
            return Ok(Err(Refusal::absent(format!("There is no collection {}.", self.at))));
        }
        if let Err(error) = store.require_writable() {
            return Ok(Err(Refusal::of(&error.into())));
        }
        let deed = match Deed::read(verb, fields) {
            Ok(Some(deed)) => deed,
            Ok(None) => return Ok(Ok(None)),
            Err(text) => return Ok(Err(Refusal::wrong(text))),
        };
        Ok(match deed.objection(&store, self.at, &self.signed.token) {
            Ok(None) => Ok(Some(deed)),
            Ok(Some(text)) => Err(Refusal::forbidden(&text)),
            Err(error) => Err(Refusal::of(&error)),
        })
    }

    /// Shows what would be done, with a form that does it; `warning` says why it wasn't done.
    fn confirm(&self, deed: &Deed, warning: Option<(StatusCode, &str)>) -> Result<Answer> {
        let tried = {
            // A copy of a manifest takes its room: one at a time.
            let _turn = self.server.people.turn.lock().unwrap_or_else(PoisonError::into_inner);
            self.rehearse(deed)
        };
        Ok(match tried {
            Ok((state, done)) => {
                let form = Form { at: self.at, deed, done: &done, state: &state, signed: &self.signed };
                form.page(self.request, warning)
            }
            Err(error) => self.refuse(&Refusal::of(&error)),
        })
    }

    fn rehearse(&self, deed: &Deed) -> Result<(String, Done)> {
        let store = Store::open_to_rehearse(self.server.stores.root())?;
        let state = deed.state(&store, self.at)?;
        let done = deed.perform(&store, &self.server.context(), self.at, &self.signed.token)?;
        Ok((state, done))
    }

    /// Does what a form says.
    fn take(&self, verb: Verb, fields: &Fields) -> Result<Answer> {
        if !self.signed.session.proof.is(fields.get("proof")) {
            let text = "The form is not one of your session's. Nothing was changed; go back and open the page anew.";
            return Ok(self.refuse(&Refusal::forbidden(text)));
        }
        let deed = match self.deed(verb, fields)? {
            Ok(Some(deed)) => deed,
            Ok(None) => return self.choose(fields),
            Err(refusal) => return Ok(self.refuse(&refusal)),
        };
        if let Some(lack) = deed.lack() {
            return self.confirm(&deed, Some((StatusCode::BAD_REQUEST, lack)));
        }
        let changed =
            "Something has happened since this was shown, so nothing was done. This is what would happen now.";
        match self.perform(&deed, fields.get("state")) {
            Ok(Some(done)) => self.done(&deed, &done),
            Ok(None) => self.confirm(&deed, Some((StatusCode::CONFLICT, changed))),
            Err(error) if error.is_conflict() => self.confirm(&deed, Some((StatusCode::CONFLICT, changed))),
            Err(error) => Ok(self.refuse(&Refusal::of(&error))),
        }
    }

    /// Does it, unless the collections are not as they were shown.
    fn perform(&self, deed: &Deed, state: &str) -> Result<Option<Done>> {
        let token = &self.signed.token;
        let actor = Actor {
            kind: ActorKind::Token,
            id: Some(token.id.number()),
            name: token.name.clone(),
            origin: self.request.body().address.to_string(),
            command: "page".to_owned(),
        };
        let _turn = self.server.people.acting.lock().unwrap_or_else(PoisonError::into_inner);
        let store = self.server.stores.borrow_for(&actor)?;
        // Other nodes of a share count, too.
        store.catch_up()?;
        if deed.state(&store, self.at)? != state {
            return Ok(None);
        }
        let who = actor.to_string();
        let context = Context { who: &who, ..self.server.context() };
        deed.perform(&store, &context, self.at, token).map(Some)
    }

    fn done(&self, deed: &Deed, done: &Done) -> Result<Answer> {
        let store = self.server.stores.borrow()?;
        let revision = store.manifest.find_collection(self.at)?.map_or(0, |row| row.revision);
        Ok(pages::done(self.request, self.at, deed, done, revision))
    }

    /// Asks where files are promoted to.
    fn choose(&self, fields: &Fields) -> Result<Answer> {
        let rows = self.server.stores.borrow()?.manifest.collections()?;
        let names = rows.into_iter().map(|row| row.name);
        let names: Vec<_> = names.filter(|name| name != self.at && deed::takes(&self.signed.token, name)).collect();
        Ok(pages::choose(self.request, self.at, fields.get("spec"), &names))
    }

    fn refuse(&self, refusal: &Refusal) -> Answer {
        refusal.page(self.request, self.at)
    }
}
