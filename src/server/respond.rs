//! From a request to its answer: which module answers what.

use super::access::{self, Scope};
use super::answer::{Body, Reason, plain, set};
use super::endpoint::{Astray, Endpoint};
use super::{Answer, Request, Server, endpoint, files, metrics, pages, people};
use bytes::Bytes;
use http::header::{ALLOW, LOCATION};
use http::{Method, StatusCode};

impl Server {
    /// Answers a request without its body; one with an upload goes to [`Server::upload`]. It may wait for the disk and for remotes.
    pub fn respond(&self, request: &Request) -> Answer {
        let endpoint = match self.endpoint(request) {
            Ok(endpoint) => endpoint,
            Err(answer) => return answer,
        };
        if ![Method::GET, Method::HEAD].contains(request.method()) {
            return not_allowed(&endpoint);
        }
        if let Err(answer) = access::permit(self, request, Scope::Read, &endpoint) {
            return answer;
        }
        let mut answer = match &endpoint {
            Endpoint::Root(view) => pages::root(self, request, view),
            Endpoint::Project(view, project) => pages::project(self, request, view, project),
            Endpoint::Variants(view, sha256, filename) => {
                pages::variants(self, request, view, sha256.as_ref(), filename)
            }
            Endpoint::File(address) => files::file(self, request, address),
            Endpoint::Health => metrics::health(self),
            Endpoint::Metrics => metrics::metrics(self),
            Endpoint::Legacy(_) => not_allowed(&endpoint),
            Endpoint::Home => people::home(self, request),
            Endpoint::Collection(view) => people::collection(self, request, view),
            Endpoint::ProjectPage(view, project) => people::project(self, request, view, project),
            Endpoint::Asset(name) => people::asset(request, name),
        };
        if request.method() == Method::HEAD {
            // The headers are those of GET; hyper keeps the length that they tell.
            *answer.body_mut() = Body::Bytes(Bytes::new());
        }
        answer
    }

    /// Returns what a request's path asks for, or the answer that it asks for nothing.
    pub(super) fn endpoint(&self, request: &Request) -> Result<Endpoint, Answer> {
        let path = request.uri().path();
        let base = &self.options.base_path;
        let path = path.strip_prefix(base.as_str()).filter(|rest| rest.starts_with('/')).unwrap_or(path);
        // An upload's body would be lost on the way: twine and uv stop at any redirect.
        let is_upload = request.method() == Method::POST;
        let parsed = if is_upload { endpoint::parse_upload(path) } else { endpoint::parse(path) };
        parsed.map_err(|astray| match astray {
            Astray::Moved(_) if is_upload => plain(StatusCode::NOT_FOUND, "there is nothing here"),
            Astray::NotFound => plain(StatusCode::NOT_FOUND, "there is nothing here"),
            Astray::Moved(mut location) => {
                if let Some(query) = request.uri().query() {
                    location = format!("{location}?{query}");
                }
                let mut answer = plain(StatusCode::MOVED_PERMANENTLY, "it is called otherwise");
                answer.extensions_mut().remove::<Reason>();
                set(&mut answer, LOCATION, &location);
                answer
            }
        })
    }
}

fn not_allowed(endpoint: &Endpoint) -> Answer {
    let allow = match endpoint {
        Endpoint::Legacy(_) => "POST",
        Endpoint::Collection(_) | Endpoint::Root(_) => "GET, HEAD, POST",
        _ => "GET, HEAD",
    };
    let mut answer = plain(StatusCode::METHOD_NOT_ALLOWED, format!("this takes {allow}"));
    set(&mut answer, ALLOW, allow);
    answer
}
