//! Where a server listens, as people write it.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, ToSocketAddrs};
use std::str::FromStr;

/// `ADDRESS:PORT`, `NAME:PORT`, or `:PORT` for every IPv4 address of the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ListenAddress {
    host: String,
    port: u16,
}

impl ListenAddress {
    /// Listens there. A name may have several addresses: the first that is the machine's own, an IPv4 one before others, since
    /// `localhost` is 127.0.0.1 for most clients.
    pub(super) fn bind(&self) -> io::Result<TcpListener> {
        let mut found: Vec<SocketAddr> = match self.host.as_str() {
            "" => vec![(Ipv4Addr::UNSPECIFIED, self.port).into()],
            host => (host, self.port).to_socket_addrs()?.collect(),
        };
        found.sort_by_key(SocketAddr::is_ipv6);
        TcpListener::bind(&*found)
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl FromStr for ListenAddress {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORM: &str =
            "write ADDRESS:PORT, as in 127.0.0.1:8080, [::1]:8080, localhost:8080, or :8080 for all of the machine's";
        if let Ok(address) = text.parse::<SocketAddr>() {
            return Ok(Self { host: address.ip().to_string(), port: address.port() });
        }
        let (host, port) = text.rsplit_once(':').ok_or(FORM)?;
        let is_name = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
        // `+80` is a number for Rust, and nobody's port.
        let port = port.parse().ok().filter(|_| port.bytes().all(|byte| byte.is_ascii_digit()));
        match port {
            Some(port) if is_name => Ok(Self { host: host.to_owned(), port }),
            _ => Err(FORM),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_bare_ports_are_addresses_too() {
        for (text, shown) in [
            ("127.0.0.1:8080", "127.0.0.1:8080"),
            ("[::1]:0", "[::1]:0"),
            ("localhost:8080", "localhost:8080"),
            (":8080", ":8080"),
            ("builder-1.example:65535", "builder-1.example:65535"),
        ] {
            assert_eq!(text.parse::<ListenAddress>().map(|address| address.to_string()), Ok(shown.to_owned()));
        }
        for text in [
            "",
            "8080",
            "localhost",
            "127.0.0.1",
            "::1:8080",
            "localhost:",
            "localhost:http",
            "a:65536",
            "a:+80",
            "http://a:80",
            "a b:80",
        ] {
            assert!(text.parse::<ListenAddress>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_name_is_the_machines_own_address_and_no_host_all_of_them() {
        let at = |text: &str| text.parse::<ListenAddress>().unwrap().bind().unwrap().local_addr().unwrap().ip();
        assert!(at("localhost:0").is_loopback());
        assert!(at(":0").is_unspecified());
        assert!("nowhere.invalid:0".parse::<ListenAddress>().unwrap().bind().is_err());
    }
}
