//! How far inside an address is, and a resolver that gives no address farther inside than a remote may lead to.
//!
//! What a remote redirects to, and what its pages link, is asked for from where the store is: that reaches what strangers don't, the
//! machine's own services and a cloud's metadata among it. A name is judged by the addresses that are connected to, not by those that
//! it had a moment before.

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

/// Looks up the addresses of a host's name.
pub type Lookup = Arc<dyn Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync>;

/// How far inside an address is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Zone {
    /// Anybody reaches it.
    Public,
    /// A network's own (RFC 1918, RFC 4193, RFC 6598), or for no use on the internet.
    Private,
    /// A link's own (RFC 3927, RFC 4291): a cloud's metadata, as a rule.
    Link,
    /// The machine's own.
    Loopback,
}

impl Zone {
    pub(super) const ALL: [Self; 4] = [Self::Public, Self::Private, Self::Link, Self::Loopback];

    /// Returns where an address is.
    pub(super) fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self::of_v4(address),
            IpAddr::V6(address) => Self::of_v6(address),
        }
    }

    fn of_v4(address: Ipv4Addr) -> Self {
        let [a, b, c, _] = address.octets();
        match (a, b, c) {
            // A connection to 0.0.0.0 is one to this machine.
            (127 | 0, ..) => Self::Loopback,
            (169, 254, _) => Self::Link,
            (10, ..) | (192, 168, _) | (172, 16..=31, _) | (100, 64..=127, _) => Self::Private,
            // Documentation, tests, broadcasts: IANA's registry of special addresses.
            (192, 0, 0 | 2) | (198, 18..=19, _) | (198, 51, 100) | (203, 0, 113) | (224.., ..) => Self::Private,
            _ => Self::Public,
        }
    }

    fn of_v6(address: Ipv6Addr) -> Self {
        let parts = address.segments();
        let embedded = |high: u16, low: u16| {
            let [[a, b], [c, d]] = [high.to_be_bytes(), low.to_be_bytes()];
            Self::of_v4(Ipv4Addr::new(a, b, c, d))
        };
        match parts {
            [0, 0, 0, 0, 0, 0, 0, 0 | 1] => Self::Loopback,
            // Addresses of the old kind: mapped, compatible, translated (RFC 6052), 6to4.
            [0, 0, 0, 0, 0, 0 | 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => embedded(high, low),
            [0x2002, high, low, ..] => embedded(high, low),
            [0xfe80..=0xfebf, ..] => Self::Link,
            // Everything else that anybody reaches is in 2000::/3.
            [0x2001, 0xdb8, ..] => Self::Private,
            [0x2000..=0x3fff, ..] => Self::Public,
            _ => Self::Private,
        }
    }

    /// Tells whether a remote that is here may lead to an address there: outwards, and to where it is itself.
    pub(super) fn may_lead_to(self, other: Self) -> bool {
        other == Self::Public || other == self || (self, other) == (Self::Loopback, Self::Private)
    }
}

/// A name whose every address is farther inside than the remote that led there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("its addresses are farther inside the network than the remote that led there")]
pub(super) struct Inward;

/// Looks up names for what a remote leads to.
pub(super) struct Outward {
    /// Where the remote is.
    pub(super) from: Zone,
    pub(super) lookup: Lookup,
    /// The proxies' own names: they are where the owner of the machine said.
    pub(super) exempt: Arc<[String]>,
}

impl Outward {
    fn addresses(&self, name: &str) -> Result<Vec<IpAddr>, Box<dyn std::error::Error + Send + Sync>> {
        let mut found = (self.lookup)(name)?;
        if !self.exempt.iter().any(|own| own.eq_ignore_ascii_case(name)) {
            found.retain(|address| self.from.may_lead_to(Zone::of(*address)));
            if found.is_empty() {
                return Err(Inward.into());
            }
        }
        Ok(found)
    }
}

impl Resolve for Outward {
    fn resolve(&self, name: Name) -> Resolving {
        let own = Self { from: self.from, lookup: self.lookup.clone(), exempt: self.exempt.clone() };
        let slot = Arc::<Slot>::default();
        let filled = slot.clone();
        // The system's lookup blocks, and other connections wait on the thread that asks.
        std::thread::spawn(move || {
            let found = own.addresses(name.as_str());
            filled.fill(found.map(|found| Box::new(found.into_iter().map(|ip| SocketAddr::new(ip, 0))) as Addrs));
        });
        Box::pin(Answer(slot))
    }
}

type Found = Result<Addrs, Box<dyn std::error::Error + Send + Sync>>;

/// Where a thread leaves what it found, and who is to be told.
#[derive(Default)]
struct Slot(Mutex<(Option<Found>, Option<Waker>)>);

impl Slot {
    fn fill(&self, found: Found) {
        let waker = {
            let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            slot.0 = Some(found);
            slot.1.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

struct Answer(Arc<Slot>);

impl Future for Answer {
    type Output = Found;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Found> {
        let mut slot = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        match slot.0.take() {
            Some(found) => Poll::Ready(found),
            None => {
                slot.1 = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_has_its_place() {
        for (zone, addresses) in [
            (
                Zone::Public,
                &["1.1.1.1", "192.0.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "::ffff:1.1.1.1"][..],
            ),
            (
                Zone::Private,
                &["10.0.0.1", "172.16.0.1", "172.31.9.9", "192.168.1.1", "100.64.0.1", "fd00::1", "192.0.2.1"],
            ),
            (
                Zone::Private,
                &["255.255.255.255", "224.0.0.1", "ff02::1", "2001:db8::1", "::ffff:10.0.0.1", "64:ff9b::a00:1"],
            ),
            (Zone::Link, &["169.254.169.254", "fe80::1", "::ffff:169.254.169.254", "2002:a9fe:a9fe::1"]),
            (
                Zone::Loopback,
                &["127.0.0.1", "127.9.9.9", "0.0.0.0", "::1", "::", "::ffff:127.0.0.1", "64:ff9b::7f00:1"],
            ),
        ] {
            for address in addresses {
                assert_eq!(Zone::of(address.parse().unwrap()), zone, "{address}");
            }
        }
    }

    #[test]
    fn a_remote_leads_outwards_or_to_where_it_is() {
        use Zone::{Link, Loopback, Private, Public};
        let allowed = |from: Zone| Zone::ALL.into_iter().filter(|to| from.may_lead_to(*to)).collect::<Vec<_>>();
        assert_eq!(allowed(Public), [Public]);
        assert_eq!(allowed(Private), [Public, Private]);
        assert_eq!(allowed(Link), [Public, Link]);
        assert_eq!(allowed(Loopback), [Public, Private, Loopback]);
    }

    #[test]
    fn of_several_addresses_only_those_that_may_be_are_given() {
        let lookup: Lookup = Arc::new(|name| {
            let texts: &[&str] = match name {
                "mixed.example" => &["127.0.0.1", "1.1.1.1", "169.254.169.254"],
                "inner.example" | "proxy.example" => &["10.0.0.1", "::1"],
                _ => return Err(io::Error::other("no such name")),
            };
            Ok(texts.iter().map(|text| text.parse().unwrap()).collect())
        });
        let outward = Outward { from: Zone::Public, lookup, exempt: vec!["proxy.example".to_owned()].into() };
        assert_eq!(outward.addresses("mixed.example").unwrap(), ["1.1.1.1".parse::<IpAddr>().unwrap()]);
        assert!(outward.addresses("inner.example").unwrap_err().is::<Inward>());
        assert_eq!(outward.addresses("Proxy.Example").unwrap_err().to_string(), "no such name");
        assert_eq!(outward.addresses("proxy.example").unwrap().len(), 2);
        assert!(outward.addresses("other.example").is_err());
    }
}
