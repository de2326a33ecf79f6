//! Settings of clients, ready to be copied, with the URL under which this very page was asked for.

use crate::server::Server;
use crate::server::endpoint::ViewName;
use crate::server::{Anonymous, Request};
use http::header::HOST;
use maud::{Markup, html};
use url::{Host, Url};

/// Returns the URL of a view as the requester reaches it.
pub(super) fn url(server: &Server, request: &Request, view: &ViewName) -> String {
    let scheme = if request.body().is_secure { "https" } else { "http" };
    let host = request.headers().get(HOST).and_then(|value| value.to_str().ok()).filter(|host| is_host(host));
    format!("{scheme}://{}{}/{view}/", host.unwrap_or("THIS-SERVER"), server.options.base_path)
}

/// Returns the host that pip has to be told to trust: it takes nothing by plain http from another machine else.
pub(super) fn trusted_host(url: &str) -> Option<String> {
    let url = Url::parse(url).ok().filter(|url| url.scheme() == "http")?;
    let is_own = match url.host()? {
        Host::Domain(name) => name == "localhost" || name.ends_with(".localhost"),
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    };
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    (!is_own).then(|| format!("{}{port}", url.host_str().unwrap_or_default()))
}

/// Tells whether a text may stand for a host and port in settings: a client could send anything.
fn is_host(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
    !text.is_empty() && text.len() <= 255 && text.bytes().all(is_plain)
}

/// What settings of clients are made of.
struct Place {
    /// The view's URL, with a slash at its end.
    url: String,
    /// What the index is called in settings: clients make names of variables of it.
    name: String,
    /// The host and port that pip has to be told to trust.
    trusted: Option<String>,
    /// The host alone, as a netrc names it.
    host: String,
    /// Whether reading takes a token.
    needs_token: bool,
}

impl Place {
    fn of(server: &Server, request: &Request, view: &ViewName) -> Self {
        let url = url(server, request, view);
        let host = Url::parse(&url).ok().and_then(|url| url.host_str().map(str::to_owned));
        Self {
            name: view.to_string().replace(['@', '.'], "-"),
            trusted: trusted_host(&url),
            host: host.unwrap_or_else(|| "THIS-SERVER".to_owned()),
            needs_token: server.options.anonymous < Anonymous::Read,
            url,
        }
    }

    /// Returns a line that is there only where pip has to be told to trust the host.
    fn trust(&self, line: impl Fn(&str) -> String) -> String {
        self.trusted.as_deref().map(line).unwrap_or_default()
    }

    /// Tells whether the address leads to the asker's own machine.
    fn is_own(&self) -> bool {
        self.host == "localhost" || self.host.starts_with("127.") || self.host == "[::1]"
    }
}

/// Shows the settings of each client.
pub(super) fn settings(server: &Server, request: &Request, view: &ViewName) -> Markup {
    let place = Place::of(server, request, view);
    let may_upload = view.at.is_none();
    html! {
        @if place.needs_token {
            p { "A token is needed to read: user " code { "__token__" } ", the token as the password. A netrc or a keyring keeps it out of settings and of command lines." }
        } @else if may_upload && server.options.anonymous < Anonymous::Upload {
            p { "Reading takes no token. Uploads do: user " code { "__token__" } ", the token as the password." }
        }
        @if place.is_own() {
            p.quiet { "This address is for this machine alone. Other machines and containers need one that leads here: ask for this page under it, and copy again." }
        }
        @if place.trusted.is_some() {
            p.quiet { "This server is reached without TLS. pip takes nothing so from another machine, unless it is told to trust it; a token would be readable on the way." }
        }
        @if place.needs_token { (tokens(&place)) }
        (tools(&place, view, may_upload))
        (machines(&place))
        @if may_upload { (uploads(&place)) }
    }
}

/// Shows where a token is kept.
fn tokens(Place { url, host, .. }: &Place) -> Markup {
    html! {
        (setting("A token in a netrc", "~/.netrc, which only you may read (chmod 600)", &format!(
            "machine {host}\nlogin __token__\npassword TOKEN\n"
        )))
        (setting("A token in a keyring", "it asks for the token; pip and uv must be told to look there", &format!(
            "keyring set {url}simple/ __token__\nexport PIP_KEYRING_PROVIDER=subprocess UV_KEYRING_PROVIDER=subprocess\n\
             export PIP_INDEX_URL={} UV_DEFAULT_INDEX={}\n",
            with_user(url), with_user(url)
        )))
    }
}

/// Returns the index's URL with the user that each token has: a keyring is asked for a user's password.
fn with_user(url: &str) -> String {
    format!("{}simple/", url.replacen("://", "://__token__@", 1))
}

/// Shows the settings of tools that install.
fn tools(place: &Place, view: &ViewName, may_upload: bool) -> Markup {
    let Place { url, name, needs_token, .. } = place;
    let trusted = place.trust(|host| format!("trusted-host = {host}\n"));
    let unverified = place.trust(|_| "verify_ssl = false\n".to_owned());
    let publish = if may_upload { format!("publish-url = \"{url}legacy/\"\n") } else { String::new() };
    html! {
        (setting("pip", "pip.conf", &format!("[global]\nindex-url = {url}simple/\n{trusted}")))
        (setting("uv", "pyproject.toml", &format!(
            "[[tool.uv.index]]\nname = \"{name}\"\nurl = \"{url}simple/\"\n{publish}default = true\n"
        )))
        (setting("Poetry", "pyproject.toml", &format!(
            "[[tool.poetry.source]]\nname = \"{name}\"\nurl = \"{url}simple/\"\npriority = \"primary\"\n"
        )))
        @if *needs_token {
            (setting("Poetry's token", "on the command line; it asks for the token", &format!(
                "poetry config http-basic.{name} __token__\n"
            )))
        }
        (setting("PDM", "pyproject.toml", &format!(
            "[[tool.pdm.source]]\nname = \"pypi\"\nurl = \"{url}simple/\"\n{unverified}"
        )))
        (setting("conda", "environment.yml: what pip installs into it", &format!(
            "dependencies:\n  - python\n  - pip\n  - pip:\n      - --index-url {url}simple/\n{}      - PROJECT\n",
            place.trust(|host| format!("      - --trusted-host {host}\n"))
        )))
        (setting("fromager", "on the command line", &format!(
            "fromager --variant {} bootstrap --cache-wheel-server-url {url}cache/simple/ -r requirements.txt\n", view.name
        )))
    }
}

/// Shows the settings of machines that build.
fn machines(place: &Place) -> Markup {
    let Place { url, host, needs_token, .. } = place;
    let of_pip = place.trust(|host| format!(" \\\n    PIP_TRUSTED_HOST={host}"));
    let secret = if *needs_token { "--mount=type=secret,id=netrc,target=/root/.netrc " } else { "" };
    let how = match needs_token {
        true => "Dockerfile; build with: docker build --secret id=netrc,src=$HOME/.netrc .",
        false => "Dockerfile",
    };
    let variables = |indent: &str| {
        let trusted = place.trust(|host| format!("{indent}PIP_TRUSTED_HOST: \"{host}\"\n"));
        format!("{indent}PIP_INDEX_URL: {url}simple/\n{indent}UV_DEFAULT_INDEX: {url}simple/\n{trusted}")
    };
    // The shell's own printf: no other process sees the token among its arguments.
    let netrc =
        format!("umask 077; printf 'machine {host}\\nlogin __token__\\npassword %s\\n' \"$WCAS_TOKEN\" > ~/.netrc");
    let of_github = match needs_token {
        true => format!(
            "    steps:\n      - run: {netrc}\n        env:\n          WCAS_TOKEN: ${{{{ secrets.WCAS_TOKEN }}}}\n      - run: pip install PROJECT\n"
        ),
        false => "    steps:\n      - run: pip install PROJECT\n".to_owned(),
    };
    let of_gitlab = if *needs_token { format!("    - {netrc}\n") } else { String::new() };
    html! {
        (setting("Docker", how, &format!(
            "ENV PIP_INDEX_URL={url}simple/ \\\n    UV_DEFAULT_INDEX={url}simple/{of_pip}\nRUN {secret}pip install PROJECT\n"
        )))
        (setting("GitHub Actions", ".github/workflows/build.yml", &format!(
            "jobs:\n  build:\n    runs-on: ubuntu-latest\n    env:\n{}{of_github}", variables("      ")
        )))
        (setting("GitLab CI", if *needs_token { ".gitlab-ci.yml; WCAS_TOKEN is a masked variable" } else { ".gitlab-ci.yml" }, &format!(
            "build:\n  variables:\n{}  script:\n{of_gitlab}    - pip install PROJECT\n", variables("    ")
        )))
    }
}

/// Shows the settings of tools that upload.
fn uploads(Place { url, name, .. }: &Place) -> Markup {
    html! {
        (setting("twine", ".pypirc, which only you may read (chmod 600)", &format!(
            "[distutils]\nindex-servers = {name}\n\n[{name}]\nrepository = {url}legacy/\nusername = __token__\npassword = TOKEN\n"
        )))
        (setting("uv publish", "on the command line; the shell asks for the token", &format!(
            "read -rs UV_PUBLISH_TOKEN && export UV_PUBLISH_TOKEN\nuv publish --publish-url {url}legacy/\n"
        )))
    }
}

fn setting(client: &str, place: &str, text: &str) -> Markup {
    html! {
        details open[client == "pip" || client == "uv"] {
            summary { b { (client) } span.quiet { ", " (place) } }
            pre tabindex="0" role="region" aria-label={ "Settings of " (client) } { code { (text) } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{is_host, trusted_host};

    #[test]
    fn pip_is_told_to_trust_another_machine_by_plain_http_alone() {
        for (url, host) in [
            ("http://wheels.example:8080/cuda/", Some("wheels.example:8080")),
            ("http://10.1.2.3/cuda/", Some("10.1.2.3")),
            ("http://[2001:db8::1]:8080/cuda/", Some("[2001:db8::1]:8080")),
            ("https://wheels.example/cuda/", None),
            ("http://127.0.0.1:8080/cuda/", None),
            ("http://[::1]:8080/cuda/", None),
            ("http://localhost:8080/cuda/", None),
            ("http://this-server/cuda/", Some("this-server")),
        ] {
            assert_eq!(trusted_host(url).as_deref(), host, "{url}");
        }
    }

    #[test]
    fn a_host_that_could_be_anything_else_in_settings_is_none() {
        for good in ["wheels.example", "127.0.0.1:8080", "[::1]:8080", "a-b_c"] {
            assert!(is_host(good), "{good}");
        }
        for bad in ["", "a b", "a\"", "a/b", "a@b", "a\n[x]", "<b>", &"a".repeat(256)] {
            assert!(!is_host(bad), "{bad}");
        }
    }
}
