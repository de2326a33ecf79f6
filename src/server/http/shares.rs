//! Shares: nobody, by address or token, takes all connections, all uploads, or more requests a second than the owner allows.

use crate::budget;
use crate::server::Answer;
use crate::server::answer::unavailable;
use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::sync::Notify;

/// So many addresses are remembered for their requests of the last second.
const MAX_REMEMBERED: usize = 10_000;

/// Such a part of the connections is kept for who comes next.
const SPARE_PART: u64 = 64;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns what counts as one address: of IPv6, a network of 64 bits, which is what one machine gets.
pub(super) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() >> 64 << 64).into()),
        address => address,
    }
}

/// Places that many want, of which nobody gets more than are free.
#[derive(Debug)]
pub(super) struct Places<K: Eq + Hash> {
    limit: u64,
    taken: Mutex<HashMap<K, u64>>,
}

/// A place; it is free again when this goes.
#[derive(Debug)]
pub(super) struct Permit<K: Eq + Hash>(Arc<Places<K>>, Option<K>);

impl<K: Eq + Hash + Clone> Places<K> {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit: limit as u64, taken: Mutex::default() }
    }

    /// Takes a place for somebody, unless he has his share.
    pub(super) fn take(self: &Arc<Self>, who: K) -> Option<Permit<K>> {
        let mut taken = lock(&self.taken);
        let own = taken.get(&who).copied().unwrap_or(0);
        if !budget::is_fair(self.limit, taken.values().sum(), own) {
            return None;
        }
        taken.insert(who.clone(), own + 1);
        Some(Permit(self.clone(), Some(who)))
    }
}

impl<K: Eq + Hash> Drop for Permit<K> {
    fn drop(&mut self) {
        let Some(who) = self.1.take() else { return };
        let mut taken = lock(&self.0.taken);
        if let Some(own) = taken.get_mut(&who) {
            *own -= 1;
            if *own == 0 {
                taken.remove(&who);
            }
        }
    }
}

/// The place of an answer that is large: in memory until its client has taken it, however slowly.
#[derive(Debug, Clone)]
pub(super) struct Place(#[expect(dead_code, reason = "it is held")] pub(super) Arc<Permit<IpAddr>>);

/// Answers who wants more such answers at a time than there are places for him.
pub(super) fn too_wide() -> Answer {
    unavailable(format!("there are too many requests for pages like this just now ({})", budget::WIDE_PAGES))
}

/// A connection, as far as others must know of it.
#[derive(Debug, Default)]
pub(super) struct Guest {
    /// Whether a request of it is being answered, to the end of the answer's body.
    pub(super) is_busy: AtomicBool,
    /// Whether there ever was one.
    pub(super) has_asked: AtomicBool,
    /// Asks it to go.
    pub(super) leave: Notify,
}

/// A request of a connection that is being answered.
pub(super) struct Busy(Arc<Guest>);

impl Busy {
    pub(super) fn begin(guest: Arc<Guest>) -> Self {
        guest.is_busy.store(true, Ordering::Relaxed);
        guest.has_asked.store(true, Ordering::Relaxed);
        Self(guest)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.is_busy.store(false, Ordering::Relaxed);
    }
}

/// The connections by address. When few places are left, the address that has most of them loses the oldest on which nothing is asked.
#[derive(Debug)]
pub(super) struct Guests {
    limit: u64,
    all: Mutex<HashMap<IpAddr, VecDeque<Arc<Guest>>>>,
}

impl Guests {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit: limit as u64, all: Mutex::default() }
    }

    /// Lets a connection in. `None`: few places are left, its address has the most, and on all of them something is asked.
    pub(super) fn enter(&self, address: IpAddr) -> Option<Arc<Guest>> {
        let mut all = lock(&self.all);
        let used: u64 = all.values().map(|guests| guests.len() as u64).sum();
        if used + (self.limit / SPARE_PART).max(1) >= self.limit {
            let own = all.get(&address).map_or(0, VecDeque::len);
            if let Some(guests) = all.values_mut().max_by_key(|guests| guests.len()) {
                match guests.iter().position(|guest| !guest.is_busy.load(Ordering::Relaxed)) {
                    Some(at) => guests.remove(at).into_iter().for_each(|oldest| oldest.leave.notify_one()),
                    None if own == guests.len() => return None,
                    None => {}
                }
            }
        }
        let guest = Arc::new(Guest::default());
        all.entry(address).or_default().push_back(guest.clone());
        Some(guest)
    }

    /// Forgets a connection that has ended.
    pub(super) fn left(&self, address: IpAddr, guest: &Arc<Guest>) {
        let mut all = lock(&self.all);
        if let Some(own) = all.get_mut(&address) {
            own.retain(|other| !Arc::ptr_eq(other, guest));
            if own.is_empty() {
                all.remove(&address);
            }
        }
    }
}

/// Requests a second: each address saves up those of one second.
#[derive(Debug)]
pub(super) struct Rate {
    per_second: f64,
    buckets: Mutex<HashMap<IpAddr, (Instant, f64)>>,
}

impl Rate {
    pub(super) fn new(per_second: u32) -> Self {
        Self { per_second: f64::from(per_second), buckets: Mutex::default() }
    }

    /// Tells whether a request is within the rate, and counts it.
    pub(super) fn admits(&self, address: IpAddr, now: Instant) -> bool {
        let mut buckets = lock(&self.buckets);
        if buckets.len() >= MAX_REMEMBERED {
            // Who asked nothing for a second has all of it again.
            buckets.retain(|_, (at, _)| now.saturating_duration_since(*at).as_secs() < 1);
        }
        let (at, left) = buckets.get(&address).copied().unwrap_or((now, self.per_second));
        let saved = now.saturating_duration_since(at).as_secs_f64() * self.per_second;
        let left = (left + saved).min(self.per_second.max(1.0));
        let is_admitted = left >= 1.0;
        buckets.insert(address, (now, if is_admitted { left - 1.0 } else { left }));
        is_admitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn address(text: &str) -> IpAddr {
        network(text.parse().unwrap())
    }

    #[test]
    fn nobody_takes_all_places() {
        let places = Arc::new(Places::new(16));
        let one: Vec<_> = std::iter::from_fn(|| places.take("one")).take(100).collect();
        let other: Vec<_> = std::iter::from_fn(|| places.take("other")).take(100).collect();
        assert_eq!((one.len(), other.len()), (8, 4));
        drop(one);
        assert!(places.take("one").is_some());
        drop(other);
        assert!(lock(&places.taken).is_empty());
    }

    #[test]
    fn when_few_places_are_left_who_has_most_loses_the_oldest_idle_one() {
        let guests = Guests::new(8);
        let (one, other) = (address("192.0.2.1"), address("192.0.2.2"));
        let own: Vec<_> = (0..6).map(|_| guests.enter(one).unwrap()).collect();
        let late = guests.enter(other).unwrap();
        own[0].is_busy.store(true, Ordering::Relaxed);
        let there = |guest: &Arc<Guest>| lock(&guests.all)[&one].iter().any(|other| Arc::ptr_eq(other, guest));
        let second = guests.enter(other).unwrap();
        assert!(there(&own[0]) && !there(&own[1]) && there(&own[2]), "the other's came, and one of the many went");
        let more = guests.enter(one).unwrap();
        assert!(!there(&own[2]) && there(&more));
        own.iter().chain([&more]).for_each(|guest| guest.is_busy.store(true, Ordering::Relaxed));
        assert!(guests.enter(one).is_none() && guests.enter(other).is_some());
        own.iter().chain([&more]).for_each(|guest| guests.left(one, guest));
        [late, second].iter().for_each(|guest| guests.left(other, guest));
        assert!(!lock(&guests.all).contains_key(&one));
    }

    #[test]
    fn an_address_gets_so_many_requests_a_second() {
        let (rate, begin) = (Rate::new(5), Instant::now());
        let (one, other) = (address("2001:db8::1"), address("2001:db8:0:1::1"));
        assert_eq!(one, address("2001:db8::ffff"));
        let admitted = |who, at| (0..20).filter(|_| rate.admits(who, begin + Duration::from_millis(at))).count();
        assert_eq!((admitted(one, 0), admitted(one, 0), admitted(other, 0)), (5, 0, 5));
        assert_eq!((admitted(one, 400), admitted(one, 5000)), (2, 5));
    }
}
