//! What is shown before something is done, and after.

use super::deed::{Deed, Done, MAX_REASON};
use crate::error::{Error, ErrorKind};
use crate::manifest;
use crate::name::CollectionName;
use crate::server::access::SignedIn;
use crate::server::answer::Cause;
use crate::server::people::frame::{Page, root};
use crate::server::people::words;
use crate::server::{Answer, Request};
use crate::store;
use http::StatusCode;
use maud::{Markup, html};

/// So many files are named.
const FILES: usize = 200;

/// Why something isn't done.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    text: String,
    /// What the log is told beside.
    cause: Option<String>,
}

impl Refusal {
    fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Self { status, text: text.into(), cause: None }
    }

    /// The link or the form is wrong.
    pub(super) fn wrong(text: impl std::fmt::Display) -> Self {
        Self::new(StatusCode::BAD_REQUEST, format!("This is not understood: {text}."))
    }

    /// The token is not for this.
    pub(super) fn forbidden(text: &str) -> Self {
        Self::new(StatusCode::FORBIDDEN, text)
    }

    /// There is no such thing.
    pub(super) fn absent(text: String) -> Self {
        Self::new(StatusCode::NOT_FOUND, text)
    }

    /// Returns what an error means for who acts; paths of the server and what its share said are for the log.
    pub(super) fn of(error: &Error) -> Self {
        let of_manifest = match error {
            Error::Manifest(error) | Error::Store(store::Error::Manifest(error)) => Some(error),
            _ => None,
        };
        let refusal = match error {
            Error::NoCollection { name, .. } => return Self::absent(format!("There is no collection {name}.")),
            Error::NoMatch(_) | Error::NoRevision { .. } | Error::NoSuch(_) => {
                return Self::absent(format!("It can't be done: {error}."));
            }
            Error::Refused(text) => return Self::new(StatusCode::CONFLICT, format!("It can't be done: {text}.")),
            Error::Store(store::Error::ReadOnly { .. }) => {
                Self::new(StatusCode::FORBIDDEN, "The server may only read its store, so nothing is changed by it.")
            }
            _ if error.is_full() => Self::new(
                StatusCode::INSUFFICIENT_STORAGE,
                "The server's disk is full, so nothing was changed. Gc frees room.",
            ),
            _ if matches!(of_manifest, Some(manifest::Error::Unsure(_))) => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "The shared store could not be reached to the end, and whether the change counts is not known. The history tells when it can be reached again.",
            ),
            _ if of_manifest.is_some_and(manifest::Error::is_of_log)
                || matches!(of_manifest, Some(manifest::Error::NotJoined))
                || matches!(error, Error::Share(_) | Error::Store(store::Error::Share(_))) =>
            {
                Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "The shared store can't be reached, so nothing was changed. Try again when it can.",
                )
            }
            _ if error.kind() == ErrorKind::Busy => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "The store is busy, and nothing was changed. Try again in a moment.",
            ),
            _ => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "The store failed, and nothing was changed. The server's log says why.",
            ),
        };
        Self { cause: Some(crate::words::reason(error)), ..refusal }
    }

    /// Makes the page.
    pub(super) fn page(&self, request: &Request, at: &CollectionName) -> Answer {
        let main = html! {
            h1 { "Not done" }
            p.note role="alert" { (self.text) }
            p { a href="../../" { "Back to " (at) } }
        };
        let mut answer = page(request, at, "Not done", main, self.status);
        if let Some(cause) = &self.cause {
            answer.extensions_mut().insert(Cause(cause.clone()));
        }
        answer
    }
}

/// What a form has that does something.
pub(super) struct Form<'a> {
    pub(super) at: &'a CollectionName,
    pub(super) deed: &'a Deed,
    /// What would happen.
    pub(super) done: &'a Done,
    /// What the collections are like now.
    pub(super) state: &'a str,
    pub(super) signed: &'a SignedIn,
}

impl Form<'_> {
    /// Makes the page; a warning says why it wasn't done yet.
    pub(super) fn page(&self, request: &Request, warning: Option<(StatusCode, &str)>) -> Answer {
        let Self { at, deed, done, .. } = self;
        let title = title(deed, at);
        let main = html! {
            h1 { (title) "?" }
            @if let Some((_, warning)) = warning { p.note role="alert" { (warning) } }
            p.lead { (meaning(deed, at)) }
            (told(done, false))
            @if done.changes.is_empty() && !matches!(deed, Deed::Mark(_, Some(_))) {
                p { b { "Nothing would change." } }
            } @else { (self.form()) }
            p { a href="../../" { "Leave it as it is" } }
        };
        page(request, at, &title, main, warning.map_or(StatusCode::OK, |(status, _)| status))
    }

    fn form(&self) -> Markup {
        html! {
            form.act method="post" action="./" {
                (proof(self.signed))
                input type="hidden" name="state" value=(self.state);
                @for (name, value) in self.deed.hidden() { input type="hidden" name=(name) value=(value); }
                (self.written())
                button type="submit" { (button(self.deed)) }
            }
        }
    }

    /// Shows what people write.
    fn written(&self) -> Markup {
        let reason = |label: &str, value: &str, is_needed: bool| {
            html! {
                label for="reason" { (label) }
                input #reason type="text" name="reason" value=(value) maxlength=(MAX_REASON) required[is_needed] autocomplete="off";
            }
        };
        match self.deed {
            Deed::Mark(_, Some(text)) => reason("Why, for those who meet it (may be empty)", text, false),
            Deed::Block(_, text) => reason("Why: whoever asks for it is told", text, true),
            Deed::Pin(_, text, days) => html! {
                (reason("What for (may be empty)", text, false))
                label for="days" { "For so many days (empty: until it is taken off)" }
                input #days type="number" name="days" min="1" max="3650" value=[*days];
            },
            Deed::Mark(_, None) | Deed::Promote(..) | Deed::Rollback(_) | Deed::Undo(_) => html! {},
        }
    }
}

/// Makes the page about what was done.
pub(super) fn done(request: &Request, at: &CollectionName, deed: &Deed, done: &Done, revision: i64) -> Answer {
    let title = title(deed, at);
    let main = html! {
        h1 { @if done.changes.is_empty() { "Nothing changed" } @else { "Done" } }
        p.lead { (title) "." }
        (told(done, true))
        p {
            a href="../../" { (at) } " is at revision " (revision) ". "
            // A pin is no change of what a collection has.
            @if !matches!(deed, Deed::Pin(..)) {
                "The " a href={ (root(request.uri().path())) "_/history/" } { "history" } " tells of it. "
            }
            "The store's log names your token."
        }
        @match deed {
            Deed::Block(spec, _) => p.quiet { code { "wcas unblock '" (spec) "' --collection " (at) } " takes the block away." },
            Deed::Pin(spec, ..) => p.quiet { code { "wcas unpin '" (spec) "' --owner NAME" } " takes the pin off; its owner has the name of your token." },
            _ => {}
        }
    };
    page(request, at, "Done", main, StatusCode::OK)
}

/// Asks where files are promoted to.
pub(super) fn choose(request: &Request, at: &CollectionName, spec: &str, names: &[CollectionName]) -> Answer {
    let title = format!("Promote {spec} from {at}");
    let main = html! {
        h1 { (title) }
        @if names.is_empty() { p.note { "There is no other collection that your token may promote into." } }
        @else {
            p.lead { "Nothing is done yet: the next page shows what would happen." }
            form.act method="get" action="./" {
                input type="hidden" name="spec" value=(spec);
                label for="to" { "Into the collection" }
                select #to name="to" { @for name in names { option { (name) } } }
                button type="submit" { "Show what would happen" }
            }
        }
        p { a href="../../" { "Back to " (at) } }
    };
    page(request, at, &title, main, StatusCode::OK)
}

/// Shows a form's proof that it is of this session.
pub(super) fn proof(signed: &SignedIn) -> Markup {
    html! { input type="hidden" name="proof" value=(signed.session.proof.text()); }
}

fn page(request: &Request, at: &CollectionName, title: &str, main: Markup, status: StatusCode) -> Answer {
    let trail = vec![("../../".to_owned(), at.to_string()), ("./".to_owned(), title.to_owned())];
    Page { title: title.to_owned(), root: root(request.uri().path()), trail, main }.answer(status)
}

/// Names the files, and what becomes of each.
fn told(done: &Done, is_done: bool) -> Markup {
    let count = done.changes.len();
    html! {
        @if count > 0 {
            h2 { @if is_done { "What changed: " } @else { "What would change: " } (words::counted(count as u64, "file")) }
            ul.changes {
                @for (filename, word) in done.changes.iter().take(FILES) {
                    li { span.mark.quiet { (word) } " " code { (filename) } }
                }
                @if count > FILES { li.quiet { "and " (words::number((count - FILES) as u64)) " more" } }
            }
        }
        @if done.unchanged > 0 { p.quiet { (words::counted(done.unchanged as u64, "file")) " there already" } }
        @if !done.refused.is_empty() {
            h2 { @if is_done { "What stayed: " } @else { "What would stay: " } (words::counted(done.refused.len() as u64, "file")) }
            ul.changes {
                @for (filename, why) in done.refused.iter().take(FILES) { li { code { (filename) } ": " (why) } }
                @if done.refused.len() > FILES { li.quiet { "and " (words::number((done.refused.len() - FILES) as u64)) " more" } }
            }
        }
    }
}

fn title(deed: &Deed, at: &CollectionName) -> String {
    match deed {
        Deed::Mark(spec, Some(_)) => format!("Yank {spec} in {at}"),
        Deed::Mark(spec, None) => format!("Take the yanked mark off {spec} in {at}"),
        Deed::Block(spec, _) => format!("Block {spec} in {at}"),
        Deed::Pin(spec, ..) => format!("Pin {spec} of {at}"),
        Deed::Promote(spec, to) => format!("Promote {spec} from {at} to {to}"),
        Deed::Rollback(to) => format!("Roll {at} back to revision {to}"),
        Deed::Undo(operation) => format!("Undo operation {operation}"),
    }
}

fn button(deed: &Deed) -> &'static str {
    match deed {
        Deed::Mark(_, Some(_)) => "Yank",
        Deed::Mark(_, None) => "Take the mark off",
        Deed::Block(..) => "Block",
        Deed::Pin(..) => "Pin",
        Deed::Promote(..) => "Promote",
        Deed::Rollback(_) => "Roll back",
        Deed::Undo(_) => "Undo",
    }
}

fn meaning(deed: &Deed, at: &CollectionName) -> Markup {
    match deed {
        Deed::Mark(_, Some(_)) => {
            html! { "Installers take a yanked file only by its exact version. It stays where it is." }
        }
        Deed::Mark(_, None) => html! { "Installers take the files like all others again." },
        Deed::Block(..) => html! {
            "What is blocked is neither offered by " (at) " nor taken, whichever way it would come. Nothing is deleted."
        },
        Deed::Pin(..) => html! { "Gc keeps the bytes, whatever the rules say. The pin's owner is your token." },
        Deed::Promote(_, to) => html! {
            (to) " lists the same bytes, too, as one new revision. What it has with other bytes it keeps."
        },
        Deed::Rollback(_) => html! {
            (at) " gets the content of that revision again, as a new revision. Nothing of its history is lost."
        },
        Deed::Undo(_) => html! {
            "What the operation dropped comes back, and what it brought goes, where nothing was done to that since."
        },
    }
}
