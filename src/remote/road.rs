//! Which connections a source may lead to: any for its own origin, and for what it redirects to or links only such as are no farther
//! inside than it is itself ([`Zone::may_lead_to`]).
//!
//! Where a source is, its connections tell: whoever owns its name decides what the name means a moment later, so the outermost address
//! that it ever answered from counts, and its own name leads no farther inside than that from then on.

use super::failure::{Failure, PublicUrl, innermost};
use super::zone::{Inward, Lookup, Outward, Zone};
use super::{Client, ClientError, ClientOptions, Source};
use reqwest::blocking::{Client as Http, ClientBuilder, Response};
use std::collections::HashMap;
use std::net::{IpAddr, ToSocketAddrs as _};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use url::{Host, Url};

/// The variables that name proxies.
const PROXIES: [&str; 6] = ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
/// So many origins are remembered.
const MAX_ORIGINS: usize = 4096;

/// Scheme, host and port.
type Origin = (String, String, u16);

/// What clients of one kind share: who goes where.
pub(super) struct Roads {
    tls: rustls::ClientConfig,
    connect: ClientOptions,
    /// The hosts of the environment's proxies. What goes through one is looked up there.
    proxies: Arc<[String]>,
    /// For each zone that a source may be in, what goes to where that may lead.
    outward: [OnceLock<Result<Http, String>>; Zone::ALL.len()],
    /// Where origins answered from, the outermost.
    seen: Mutex<HashMap<Origin, Zone>>,
}

impl Roads {
    pub(super) fn new(options: &ClientOptions, tls: rustls::ClientConfig) -> Self {
        let host = |name: &str| {
            let text = (options.variable)(name).filter(|text| !text.is_empty())?;
            let text = if text.contains("://") { text } else { format!("http://{text}") };
            Url::parse(&text).ok()?.host_str().map(str::to_owned)
        };
        let proxies = PROXIES.into_iter().filter_map(host).collect();
        Self { tls, connect: options.clone(), proxies, outward: Default::default(), seen: Mutex::default() }
    }

    fn seen(&self) -> MutexGuard<'_, HashMap<Origin, Zone>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns what goes to where a source in this zone may lead.
    fn outward(&self, from: Zone) -> Result<&Http, String> {
        let make = || {
            let outward = Outward { from, lookup: self.connect.lookup.clone(), exempt: self.proxies.clone() };
            let builder = builder(&self.connect, self.tls.clone()).dns_resolver(Arc::new(outward));
            builder.build().map_err(|error| innermost(&error))
        };
        self.outward[from as usize].get_or_init(make).as_ref().map_err(Clone::clone)
    }

    /// Returns where a source was seen.
    fn known(&self, source: &Url) -> Option<Zone> {
        literal(source).map(Zone::of).or_else(|| self.seen().get(&origin(source)).copied())
    }

    /// Returns where a source is: where it was seen, else where its name leads now, of several places the outermost.
    fn locate(&self, source: &Url) -> Zone {
        let look = || (self.connect.lookup)(source.host_str()?).ok()?.into_iter().map(Zone::of).min();
        self.known(source).or_else(look).unwrap_or(Zone::Public)
    }
}

/// Begins a client.
pub(super) fn builder(options: &ClientOptions, tls: rustls::ClientConfig) -> ClientBuilder {
    Http::builder()
        .tls_backend_preconfigured(tls)
        .user_agent(concat!("wcas/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .connect_timeout(options.connect_timeout)
        .timeout(options.stall_timeout)
}

/// Makes the client for sources themselves.
pub(super) fn direct(options: &ClientOptions, tls: rustls::ClientConfig) -> Result<Http, ClientError> {
    builder(options, tls).build().map_err(|error| ClientError(error.into()))
}

/// Asks the operating system.
pub(super) fn system() -> Lookup {
    Arc::new(|name| Ok((name, 0).to_socket_addrs()?.map(|address| address.ip()).collect()))
}

impl Client {
    /// Returns what asks for a URL on a source's behalf.
    pub(super) fn road(&self, source: &Source, url: &Url) -> Result<&Http, Failure> {
        let inward = || Failure::Redirect { place: PublicUrl::from(url), why: Inward.to_string() };
        let from = if origin(&source.url) == origin(url) {
            match self.roads.known(&source.url) {
                // It was out there, and is to stay there.
                Some(Zone::Public) if literal(url).is_none() => Zone::Public,
                _ => return Ok(&self.http),
            }
        } else {
            self.roads.locate(&source.url)
        };
        if let Some(address) = literal(url) {
            return if from.may_lead_to(Zone::of(address)) { Ok(&self.http) } else { Err(inward()) };
        }
        self.roads.outward(from).map_err(|why| Failure::Unreachable { place: PublicUrl::from(url), why })
    }

    /// Notes where a source answered from.
    pub(super) fn note_place(&self, source: &Source, url: &Url, response: &Response) {
        if !self.roads.proxies.is_empty() || origin(&source.url) != origin(url) || literal(url).is_some() {
            return;
        }
        if let Some(address) = response.remote_addr() {
            let zone = Zone::of(address.ip());
            let mut seen = self.roads.seen();
            if seen.len() >= MAX_ORIGINS {
                seen.clear();
            }
            seen.entry(origin(url)).and_modify(|known| *known = zone.min(*known)).or_insert(zone);
        }
    }
}

/// Tells whether a request failed because a name's addresses are too far inside.
pub(super) fn is_inward(error: &reqwest::Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.is::<Inward>() {
            return true;
        }
        cause = error.source();
    }
    false
}

fn literal(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        Host::Ipv4(address) => Some(address.into()),
        Host::Ipv6(address) => Some(address.into()),
        Host::Domain(_) => None,
    }
}

fn origin(url: &Url) -> Origin {
    let host = url.host_str().unwrap_or_default().trim_end_matches('.').to_ascii_lowercase();
    (url.scheme().to_owned(), host, url.port_or_known_default().unwrap_or_default())
}
