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

/// Shows the settings of each client.
pub(super) fn settings(server: &Server, request: &Request, view: &ViewName) -> Markup {
    let url = url(server, request, view);
    let may_upload = view.at.is_none();
    let trusted = trusted_host(&url).map(|host| format!("trusted-host = {host}\n")).unwrap_or_default();
    // Clients make names of variables of it.
    let name = view.to_string().replace(['@', '.'], "-");
    let publish = if may_upload { format!("publish-url = \"{url}legacy/\"\n") } else { String::new() };
    html! {
        @if server.options.anonymous < Anonymous::Read {
            p { "A token is needed to read: user " code { "__token__" } ", the token as the password." }
        } @else if may_upload && server.options.anonymous < Anonymous::Upload {
            p { "Reading takes no token. Uploads do: user " code { "__token__" } ", the token as the password." }
        }
        (setting("pip", "pip.conf", &format!("[global]\nindex-url = {url}simple/\n{trusted}")))
        (setting("uv", "pyproject.toml", &format!(
            "[[tool.uv.index]]\nname = \"{name}\"\nurl = \"{url}simple/\"\n{publish}default = true\n"
        )))
        (setting("Poetry", "pyproject.toml", &format!(
            "[[tool.poetry.source]]\nname = \"{name}\"\nurl = \"{url}simple/\"\npriority = \"primary\"\n"
        )))
        (setting("fromager", "on the command line", &format!(
            "fromager --variant {} bootstrap --cache-wheel-server-url {url}cache/simple/ -r requirements.txt\n", view.name
        )))
        @if may_upload {
            (setting("twine", ".pypirc", &format!(
                "[distutils]\nindex-servers = {name}\n\n[{name}]\nrepository = {url}legacy/\nusername = __token__\npassword = TOKEN\n"
            )))
        }
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
