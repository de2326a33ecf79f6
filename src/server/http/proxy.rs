//! What a proxy in front says of the client, believed only from proxies that are trusted.

use crate::server::Peer;
use http::HeaderMap;
use std::net::{IpAddr, SocketAddr};

/// The proxies whose `X-Forwarded-…` headers are believed.
#[derive(Debug, Clone, Default)]
pub struct Proxies(pub Vec<IpAddr>);

impl Proxies {
    /// Returns who asks, by the connection's address and, from a trusted proxy, by what it says.
    pub(super) fn peer(&self, connection: SocketAddr, is_tls: bool, headers: &HeaderMap) -> Peer {
        let address = connection.ip().to_canonical();
        if !self.0.contains(&address) {
            return Peer { address, is_secure: is_tls };
        }
        // The last address is the one that the proxy itself saw; those before it are the client's words.
        let last = |name: &str| {
            let value = headers.get_all(name).into_iter().next_back()?.to_str().ok()?;
            Some(value.rsplit(',').next().unwrap_or(value).trim().to_owned())
        };
        let client = last("x-forwarded-for").and_then(|text| text.parse().ok());
        let is_secure = last("x-forwarded-proto").map_or(is_tls, |scheme| scheme.eq_ignore_ascii_case("https"));
        Peer { address: client.unwrap_or(address), is_secure }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(trusted: &[&str], from: &str, headers: &[(&'static str, &'static str)]) -> (String, bool) {
        let proxies = Proxies(trusted.iter().map(|text| text.parse().unwrap()).collect());
        let mut map = HeaderMap::new();
        headers.iter().for_each(|(name, value)| {
            map.append(*name, value.parse().unwrap());
        });
        let peer = proxies.peer(from.parse().unwrap(), false, &map);
        (peer.address.to_string(), peer.is_secure)
    }

    #[test]
    fn only_a_trusted_proxy_is_believed() {
        let said = [("x-forwarded-for", "203.0.113.9"), ("x-forwarded-proto", "https")];
        assert_eq!(seen(&["127.0.0.1"], "127.0.0.1:9", &said), ("203.0.113.9".to_owned(), true));
        assert_eq!(seen(&["127.0.0.1"], "127.0.0.2:9", &said), ("127.0.0.2".to_owned(), false));
        assert_eq!(seen(&["127.0.0.1"], "[::ffff:127.0.0.1]:9", &said).0, "203.0.113.9");
    }

    #[test]
    fn what_the_client_put_before_the_proxys_own_word_is_not_believed() {
        let said = [("x-forwarded-for", "10.0.0.1, 203.0.113.9")];
        assert_eq!(seen(&["127.0.0.1"], "127.0.0.1:9", &said).0, "203.0.113.9");
        let garbage = [("x-forwarded-for", "who knows")];
        assert_eq!(seen(&["127.0.0.1"], "127.0.0.1:9", &garbage).0, "127.0.0.1");
    }
}
