//! Whose credentials go where: to the source's own scheme, host and port, and nowhere else.

use super::failure::{Failure, PublicUrl};
use super::netrc::{self, Login};
use super::{Auth, Client, Source};
use percent_encoding::percent_decode_str;
use reqwest::blocking::RequestBuilder;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use std::io::ErrorKind;
use url::Url;

/// The variable that says which variables may hold credentials, where it is set: on a node of a share the log says which one a remote
/// wants, and where it is sent, so that this machine's owner has a word, too.
const ALLOWED: &str = "WCAS_AUTH_VARIABLES";

/// Returns whether two URLs have the same scheme, host and port.
pub(super) fn is_same_origin(one: &Url, other: &Url) -> bool {
    one.scheme() == other.scheme()
        && one.host() == other.host()
        && one.port_or_known_default() == other.port_or_known_default()
}

/// What goes into an `Authorization` header.
pub(super) enum Authorization {
    Basic(Login),
    Header(HeaderValue),
}

impl Authorization {
    /// Adds the header to a request.
    pub(super) fn put(self, request: RequestBuilder) -> RequestBuilder {
        match self {
            Self::Basic(login) => request.basic_auth(login.user, Some(login.password)),
            Self::Header(value) => request.header(AUTHORIZATION, value),
        }
    }
}

impl Client {
    /// Returns the credentials for a request of a source's to `url`, which a page or a redirect may have named.
    pub(super) fn authorization(&self, source: &Source, url: &Url) -> Result<Option<Authorization>, Failure> {
        if !is_same_origin(&source.url, url) {
            return Ok(None);
        }
        let failed = |why: String| Failure::Credentials { place: PublicUrl::from(url), why };
        let login = match &source.auth {
            Auth::None => in_url(&source.url),
            Auth::Netrc => {
                let text = self.netrc().map_err(|why| failed(why.to_owned()))?;
                text.and_then(|text| netrc::find(text, url.host_str().unwrap_or_default()))
            }
            Auth::Variable(name) => {
                let said = (self.options.variable)(ALLOWED);
                if said.is_some_and(|said| said.split(',').all(|allowed| allowed.trim() != name)) {
                    return Err(failed(format!("the variable {name} is not among those that {ALLOWED} names")));
                }
                let value = (self.options.variable)(name).filter(|value| !value.trim().is_empty());
                let value = value.ok_or_else(|| failed(format!("the variable {name} is not set")))?;
                let authorization = in_variable(value.trim());
                return authorization.map(Some).ok_or_else(|| failed(format!("the variable {name} holds no header")));
            }
        };
        Ok(login.map(Authorization::Basic))
    }

    /// Returns the netrc file's text, read once; `None` where there is no file.
    fn netrc(&self) -> Result<Option<&str>, &str> {
        let Some(path) = &self.options.netrc else { return Ok(None) };
        let read = self.netrc.get_or_init(|| match std::fs::read(path) {
            Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(format!("cannot read {}: {error}", path.display())),
        });
        read.as_ref().map(Option::as_deref).map_err(String::as_str)
    }
}

/// Reads what a variable holds: a whole header, `user:password`, or a token.
fn in_variable(value: &str) -> Option<Authorization> {
    let scheme = value.split_once(' ').map(|(scheme, _)| scheme);
    let is_header =
        scheme.is_some_and(|scheme| ["basic", "bearer"].iter().any(|known| scheme.eq_ignore_ascii_case(known)));
    if let (false, Some((user, password))) = (is_header, value.split_once(':')) {
        return Some(Authorization::Basic(Login { user: user.to_owned(), password: password.to_owned() }));
    }
    let text = if is_header { value.to_owned() } else { format!("Bearer {value}") };
    let mut header = HeaderValue::from_str(&text).ok()?;
    header.set_sensitive(true);
    Some(Authorization::Header(header))
}

fn in_url(url: &Url) -> Option<Login> {
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let (user, password) = (url.username(), url.password());
    (!user.is_empty() || password.is_some())
        .then(|| Login { user: decoded(user), password: decoded(password.unwrap_or_default()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_holds_a_header_a_pair_or_a_token() {
        let read = |value| match in_variable(value) {
            Some(Authorization::Header(header)) => header.to_str().unwrap().to_owned(),
            Some(Authorization::Basic(login)) => format!("{}/{}", login.user, login.password),
            None => "nothing".to_owned(),
        };
        let values = ["Bearer a:b", "basic Zm9v", "joe:a:b c", "token", "to\nken"];
        assert_eq!(values.map(read), ["Bearer a:b", "basic Zm9v", "joe/a:b c", "Bearer token", "nothing"]);
    }

    #[test]
    fn credentials_in_a_url_are_decoded() {
        let login = |url: &str| in_url(&url.parse().unwrap()).map(|login| (login.user, login.password));
        let pair = |user: &str, password: &str| Some((user.to_owned(), password.to_owned()));
        assert_eq!(login("https://j%40e:p%3Aw@index.example/"), pair("j@e", "p:w"));
        assert_eq!(login("https://token@index.example/"), pair("token", ""));
        assert_eq!(login("https://index.example/"), None);
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        let same = |one: &str, other: &str| is_same_origin(&one.parse().unwrap(), &other.parse().unwrap());
        assert!(same("https://index.example/a", "https://x:y@INDEX.example:443/b?c"));
        for other in ["http://index.example/a", "https://index.example:444/a", "https://a.index.example/a"] {
            assert!(!same("https://index.example/a", other), "{other}");
        }
    }
}
