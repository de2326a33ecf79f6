//! The names that a server answers for.
//!
//! A web page whose name its owner lets point at 127.0.0.1 reads, in the browser of whoever looks at it, a server that only that
//! machine reaches (DNS rebinding). Such a request has the page's name as its host. One that has an address as its host is none.

use super::answer::plain;
use super::{Answer, Request};
use http::header::HOST;
use http::{StatusCode, Version};
use std::net::IpAddr;

/// The names that a server answers for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hosts {
    /// Any.
    Any,
    /// These, `localhost` and what ends in it, and any address.
    Named(Vec<HostName>),
}

/// A host's name: lowercase, without a port or a dot at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostName(String);

/// A text that is no host's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a host: a name such as wheels.example, without scheme and path")]
pub struct HostError(pub String);

impl std::str::FromStr for HostName {
    type Err = HostError;

    fn from_str(text: &str) -> Result<Self, HostError> {
        match Host::parse(text) {
            Some(Host::Named(name)) => Ok(Self(name)),
            Some(Host::Address) | None => Err(HostError(text.to_owned())),
        }
    }
}

/// A host as a request names it.
#[derive(Debug, PartialEq, Eq)]
enum Host {
    Named(String),
    Address,
}

impl Host {
    /// Reads `name`, `name:port`, `1.2.3.4:port` or `[::1]:port`.
    fn parse(text: &str) -> Option<Self> {
        let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit()) && port.len() <= 5;
        if let Some(rest) = text.strip_prefix('[') {
            let (address, port) = rest.split_once(']')?;
            let is_address = matches!(address.parse(), Ok(IpAddr::V6(_)));
            return (is_address && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port)))
                .then_some(Self::Address);
        }
        let (name, port) = text.split_once(':').unwrap_or((text, ""));
        if name.parse::<IpAddr>().is_ok() && is_port(port) {
            return Some(Self::Address);
        }
        let name = name.strip_suffix('.').unwrap_or(name);
        let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        let is_name = !name.is_empty() && name.len() <= 255 && name.bytes().all(is_letter);
        (is_name && is_port(port)).then(|| Self::Named(name.to_ascii_lowercase()))
    }
}

impl Hosts {
    /// Tells who is answered for by a server that listens here, with these names given.
    pub fn of(listens_at: IpAddr, given: Vec<HostName>) -> Self {
        if given.is_empty() && !listens_at.to_canonical().is_loopback() { Self::Any } else { Self::Named(given) }
    }

    fn has(&self, name: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Named(names) => {
                name == "localhost" || name.ends_with(".localhost") || names.iter().any(|own| own.0 == name)
            }
        }
    }

    /// Refuses a request that is for another host (421, RFC 9110 section 15.5.20), or says of it what can't be (400, RFC 9112 section 3.2).
    pub(super) fn admit(&self, request: &Request) -> Result<(), Answer> {
        let bad = |text: &str| plain(StatusCode::BAD_REQUEST, text);
        let mut said = request.headers().get_all(HOST).iter();
        let host = match (said.next(), said.next()) {
            (Some(host), None) => Some(host.to_str().map_err(|_| bad("the request's Host is none"))?),
            (Some(_), Some(_)) => return Err(bad("the request has more than one Host")),
            (None, _) if request.version() == Version::HTTP_11 => return Err(bad("the request has no Host")),
            (None, _) => None,
        };
        // A request line may name a host as well, and a proxy on the way may have looked at either.
        for host in host.into_iter().chain(request.uri().authority().map(|named| named.as_str())) {
            match Host::parse(host) {
                Some(Host::Address) => {}
                Some(Host::Named(name)) if self.has(&name) => {}
                Some(Host::Named(name)) => {
                    let text =
                        format!("this server does not answer for {name}: `wcas serve --allowed-host {name}` does");
                    return Err(plain(StatusCode::MISDIRECTED_REQUEST, text));
                }
                None => return Err(bad("the request's Host is none")),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::Peer;
    use http::Request;
    use proptest::prelude::*;

    fn status(hosts: &Hosts, uri: &str, said: &[&[u8]]) -> Option<u16> {
        let peer = Peer { address: "127.0.0.1".parse().unwrap(), is_secure: false };
        let mut request = Request::builder().uri(uri);
        for host in said {
            request = request.header(HOST, http::HeaderValue::from_bytes(host).unwrap());
        }
        hosts.admit(&request.body(peer).unwrap()).err().map(|answer| answer.status().as_u16())
    }

    #[test]
    fn loopback_answers_for_itself_and_others_for_any_name_unless_told() {
        let named = |names: &[&str]| names.iter().map(|name| name.parse().unwrap()).collect::<Vec<HostName>>();
        let loopback = Hosts::of("127.0.0.1".parse().unwrap(), Vec::new());
        assert_eq!(loopback, Hosts::of("::ffff:127.0.0.2".parse().unwrap(), Vec::new()));
        let given = Hosts::of("127.0.0.1".parse().unwrap(), named(&["Wheels.Example."]));
        let wide = Hosts::of("0.0.0.0".parse().unwrap(), Vec::new());
        let told = Hosts::of("0.0.0.0".parse().unwrap(), named(&["wheels.example"]));
        for (host, statuses) in [
            ("localhost", [None; 4]),
            ("LOCALHOST:8080", [None; 4]),
            ("x.localhost.", [None; 4]),
            ("127.0.0.1:8080", [None; 4]),
            ("10.1.2.3", [None; 4]),
            ("[::1]:8080", [None; 4]),
            ("wheels.example:8080", [Some(421), None, None, None]),
            ("wheels.example.", [Some(421), None, None, None]),
            ("evil.example", [Some(421), Some(421), None, Some(421)]),
            ("wheels.example.evil.example", [Some(421), Some(421), None, Some(421)]),
            ("evil-localhost", [Some(421), Some(421), None, Some(421)]),
            ("127.0.0.1.evil.example", [Some(421), Some(421), None, Some(421)]),
            ("", [Some(400); 4]),
            ("a b", [Some(400); 4]),
            ("user@localhost", [Some(400); 4]),
            ("localhost:80:80", [Some(400); 4]),
            ("localhost, evil.example", [Some(400); 4]),
            ("[::1", [Some(400); 4]),
            ("[localhost]", [Some(400); 4]),
        ] {
            let found = [&loopback, &given, &wide, &told].map(|hosts| status(hosts, "/", &[host.as_bytes()]));
            assert_eq!(found, statuses, "{host}");
        }
        assert_eq!(status(&wide, "/", &[b"localhost", b"localhost"]), Some(400), "two");
        assert_eq!(status(&wide, "/", &[]), Some(400));
        assert_eq!(status(&wide, "/", &[b"\xff"]), Some(400));
        assert_eq!(status(&loopback, "http://evil.example/", &[b"localhost"]), Some(421), "by the request line");
        for text in ["", "127.0.0.1", "[::1]", "https://wheels.example", "a/b", "*"] {
            assert!(text.parse::<HostName>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_host_confuses(host in proptest::collection::vec(0x20_u8..0x7f, 0..40)) {
            let hosts = Hosts::of("127.0.0.1".parse().unwrap(), Vec::new());
            let found = status(&hosts, "/", &[&host]);
            let text = String::from_utf8(host).unwrap().to_ascii_lowercase();
            prop_assert!(found.is_some() || text.contains("localhost") || text.bytes().any(|byte| byte.is_ascii_digit()));
        }
    }
}
