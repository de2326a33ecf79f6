//! Budgets: how much of the machine anything from outside may take, in one place, with names and defaults.
//!
//! Whoever refuses something for being too much says which budget it was, as `… (budget page-files)`; `wcas serve --help` lists them
//! all. Nothing here measures: the module that takes bytes counts them, and compares.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// A limit with a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// What refusals call it.
    pub name: &'static str,
    /// The most that is taken.
    pub limit: u64,
    /// What is counted.
    pub unit: Unit,
    /// What it is about, for people.
    pub what: &'static str,
}

/// What a budget counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Bytes, told in KiB or MiB.
    Bytes,
    /// Things.
    Count,
    /// A factor.
    Times,
    /// Seconds.
    Seconds,
}

const fn bytes(name: &'static str, limit: u64, what: &'static str) -> Budget {
    Budget { name, limit, unit: Unit::Bytes, what }
}

const fn count(name: &'static str, limit: u64, what: &'static str) -> Budget {
    Budget { name, limit, unit: Unit::Count, what }
}

const fn seconds(name: &'static str, limit: u64, what: &'static str) -> Budget {
    Budget { name, limit, unit: Unit::Seconds, what }
}

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// The largest page of a remote, unpacked.
pub const PAGE_BYTES: Budget = bytes("page-bytes", 64 * MIB, "a remote's page, unpacked");
/// The most files of one page.
pub const PAGE_FILES: Budget = count("page-files", 200_000, "files on a remote's page");
/// The most projects of one page.
pub const PAGE_PROJECTS: Budget = count("page-projects", 2_000_000, "projects on a remote's root page");
/// How many times its own size reading a page may take.
pub const PAGE_MEMORY: Budget = Budget {
    name: "page-memory",
    limit: 4,
    unit: Unit::Times,
    what: "memory for reading a page, by its unpacked size; a short one: page-short",
};
/// The memory that reading a short page may take: 64 times its size, and so much at most, since a file takes what it takes.
pub const PAGE_SHORT: Budget =
    bytes("page-short", 128 * MIB, "memory for reading a page of at most 2 MiB, by its size 64 times");
/// The memory of all pages that are read at a time.
pub const PAGES_AT_ONCE: Budget = bytes("pages-at-once", 512 * MIB, "memory of all pages that are read at a time");
/// The largest signed list of a remote.
pub const SIGNED_LIST: Budget = bytes("signed-list", 32 * MIB, "a remote's list of signed files");
/// The most attributes of one tag of a page: those of an index have ten.
pub const TAG_ATTRIBUTES: Budget = count("tag-attributes", 100, "attributes of a tag on a remote's page");
/// The longest link on a page.
pub const LINK_BYTES: Budget = bytes("link-bytes", 16 * KIB, "a link on a remote's page");
/// The most of a form before the bytes of a part: its boundary and its head.
pub const FORM_HEAD: Budget = bytes("form-head", 64 * KIB, "a form before the bytes of a part");
/// The most parts of a form.
pub const FORM_PARTS: Budget = count("form-parts", 4096, "parts of a form");
/// The most of a form beyond the largest file that is taken.
pub const FORM_BYTES: Budget = bytes("form-bytes", 16 * MIB, "a form, beyond the largest file that is taken");

/// The largest directory of a zip archive.
pub const ZIP_DIRECTORY: Budget = bytes("zip-directory", 64 * MIB, "a zip archive's directory");
/// The largest METADATA or PKG-INFO.
pub const METADATA_BYTES: Budget = bytes("metadata-bytes", 16 * MIB, "METADATA, or another member that is read whole");
/// What unpacking an sdist may give, besides [`SDIST_RATIO`].
pub const SDIST_BYTES: Budget =
    bytes("sdist-bytes", 256 * MIB, "an sdist, unpacked, and sdist-ratio for each packed byte");
/// How many bytes each one of a packed sdist may give.
pub const SDIST_RATIO: Budget = Budget {
    name: "sdist-ratio",
    limit: 100,
    unit: Unit::Times,
    what: "an sdist's unpacked bytes for each packed one",
};
/// What the members of an uploaded wheel may give, inflated, besides [`MEMBERS_RATIO`].
pub const MEMBERS_BYTES: Budget =
    bytes("members-bytes", 256 * MIB, "an uploaded wheel's members, inflated, and members-ratio for each packed byte");
/// How many bytes each one of an uploaded wheel may give: its members are inflated for their CRCs.
pub const MEMBERS_RATIO: Budget = Budget {
    name: "members-ratio",
    limit: 100,
    unit: Unit::Times,
    what: "an uploaded wheel's inflated bytes for each packed one",
};
/// The most members of a wheel that a deep look reads.
pub const DEEP_MEMBERS: Budget = count("deep-members", 100_000, "members of a wheel in a deep look");
/// What a deep look may inflate of a wheel, besides [`DEEP_RATIO`].
pub const DEEP_BYTES: Budget = bytes("deep-bytes", 64 * MIB, "a wheel, inflated, and deep-ratio for each packed byte");
/// How many bytes a deep look may inflate for each one of the wheel: device code, the best of real members, stays below 30.
pub const DEEP_RATIO: Budget =
    Budget { name: "deep-ratio", limit: 32, unit: Unit::Times, what: "a wheel's inflated bytes for each packed one" };
/// The most that is kept of what a deep look finds in one wheel.
pub const DEEP_EVIDENCE: Budget = bytes("deep-evidence", 16 * MIB, "evidence that a deep look keeps of a wheel");
/// The memory of all members that are looked at deeply at a time.
pub const DEEP_AT_ONCE: Budget =
    bytes("deep-at-once", 256 * MIB, "memory of all members that are looked at deeply at a time");
/// The most names in the dynamic section of one ELF file.
pub const ELF_NAMES: Budget = count("elf-names", 1024, "libraries that an ELF file needs");
/// The largest dynamic section of an ELF file.
pub const ELF_DYNAMIC: Budget = bytes("elf-dynamic", MIB, "an ELF file's dynamic section");
/// The largest record of a dump of vulnerabilities.
pub const OSV_RECORD: Budget = bytes("osv-record", 16 * MIB, "a record of a dump of vulnerabilities");
/// The largest dump of vulnerabilities, unpacked.
pub const OSV_BYTES: Budget = bytes("osv-bytes", 4096 * MIB, "a dump of vulnerabilities, unpacked");
/// The records of a dump that are kept: those of projects that the collection has, by their bytes.
pub const OSV_KEPT: Budget = bytes("osv-kept", 256 * MIB, "a dump's records of projects that are there");
/// The most of them of one project: each is compared with those before it.
pub const OSV_PROJECT: Budget = count("osv-project", 10_000, "records of one project in a dump of vulnerabilities");
/// The most files of a lock file, for each package that has them.
pub const LOCK_FILES: Budget = count("lock-files", 200_000, "files of a lock file's packages");
/// The largest dump of vulnerabilities that is fetched: it is held in memory.
pub const OSV_FETCH: Budget = bytes("osv-fetch", 512 * MIB, "a dump of vulnerabilities that is fetched");
/// The most objects of one folder of a share: their names are in memory at a time.
pub const SHARE_LISTED: Budget = count("share-listed", 10_000_000, "objects that a share lists in a folder");
/// What unpacking a snapshot of a share or a state of a backup may give, besides [`SNAPSHOT_RATIO`].
pub const SNAPSHOT_BYTES: Budget = bytes(
    "snapshot-bytes",
    256 * MIB,
    "a share's snapshot or a backup's state, unpacked, and snapshot-ratio for each packed byte",
);
/// How many bytes each one of a packed snapshot may give: those of real stores, in which digests don't pack, stay below 10.
pub const SNAPSHOT_RATIO: Budget = Budget {
    name: "snapshot-ratio",
    limit: 100,
    unit: Unit::Times,
    what: "a snapshot's unpacked bytes for each packed one",
};
/// The most notes of a builder in one wheel.
pub const BUILD_NOTES: Budget = count("build-notes", 8, "notes of a builder in a wheel");

/// What of the disk stays free when uploads and downloads come in.
pub const DISK_SPARE: Budget = bytes("disk-spare", 64 * MIB, "the disk, which stays free");
/// How much room on the disk an upload or a download asks for at a time.
pub const DISK_STEP: Budget = bytes("disk-step", 16 * MIB, "room on the disk for one file, asked for at a time");

/// The most requests that wait for pages of remotes at a time; one remote's may take at most as many as it leaves free.
pub const REMOTE_WAITS: Budget = count("remote-waits", 256, "requests that wait for remotes; half of them for one");
/// The most files that are fetched at a time; one remote's may take at most as many as it leaves free.
pub const REMOTE_FILES: Budget =
    count("remote-files", 16, "files fetched from remotes at a time; half of them from one");
/// The most METADATA that is fetched at a time, shared alike.
pub const REMOTE_SIDECARS: Budget =
    count("remote-sidecars", 32, "METADATA fetched from remotes at a time; half of it from one");
/// The most files that are given while they come from a shared store's bucket.
pub const SHARE_FILES: Budget = count("share-files", 16, "files given while they come from a shared store's bucket");
/// The least that a transfer from a remote brings.
pub const LEAST_RATE: Budget = bytes("least-rate", 4 * KIB, "a transfer from a remote in each second, at least");

/// The least that an upload brings, while the server waits for it.
pub const UPLOAD_RATE: Budget = bytes("upload-rate", 4 * KIB, "an upload in each second of --client-timeout, at least");

/// The most files for which a token was given addresses in a bucket, and that no server has taken yet.
pub const DIRECT_FILES: Budget =
    count("direct-files", 1000, "files of one token that may lie in the bucket and were not taken, for a day");
/// The most bytes of them, as they were announced.
pub const DIRECT_BYTES: Budget =
    bytes("direct-bytes", 262_144 * MIB, "such files of one token, as they were announced");
/// The most pages for people, and documents for mirrors, that are made or on their way at a time; one address has at most as many as it
/// leaves free.
pub const WIDE_PAGES: Budget = count(
    "wide-pages",
    64,
    "pages for people and documents for mirrors, until they are sent; half of them for one address",
);
/// How many of them read whole collections or projects at a time.
pub const WIDE_READS: Budget = count("wide-reads", 4, "of those that read whole collections or projects at a time");

/// The most projects that a remote is remembered not to have: those that were asked for last.
pub const ABSENT_PAGES: Budget = count("absent-pages", 5000, "projects that a remote is remembered not to have");
/// The most files of a remote whose first sight is remembered: gc keeps the oldest.
pub const FIRST_SEEN: Budget = count("first-seen", 500_000, "files of a remote whose first sight is remembered");
/// The most projects that builders asked a variant's cache for in vain and that are remembered.
pub const WANTS: Budget = count("wants", 2000, "projects remembered that a cache was asked for in vain");
/// The largest `variant.json` of a wheel.
pub const VARIANT_BYTES: Budget = bytes("variant-bytes", 64 * KIB, "a wheel's variant.json");

/// The largest form of the pages for people.
pub const ACTION_BYTES: Budget = bytes("action-bytes", 16 * KIB, "a form of the pages");
/// The largest request for a token: it holds a CI's.
pub const JWT_BYTES: Budget = bytes("jwt-bytes", 16 * KIB, "a request for a token");
/// How long a CI's token may be good yet: what was used is remembered for so long.
pub const JWT_LIFE: Budget = seconds("jwt-life", 86_400, "a CI's token, from now to its end");
/// The largest document of an issuer.
pub const ISSUER_BYTES: Budget = bytes("issuer-bytes", 256 * KIB, "an issuer's document");
/// The most keys of an issuer.
pub const ISSUER_KEYS: Budget = count("issuer-keys", 100, "keys of an issuer");
/// How long an issuer may take to tell its keys.
pub const ISSUER_TIME: Budget = seconds("issuer-time", 10, "an issuer's keys, to come");
/// The most requests for tokens that wait for issuers; one issuer's may be at most as many as it leaves free.
pub const ISSUER_WAITS: Budget = count("issuer-waits", 16, "requests that wait for issuers; half of them for one");
/// The most numbers of a CI's used tokens, two each, that are remembered: as long as those are good, and a day.
pub const JWT_USED: Budget =
    count("jwt-used", 100_000, "numbers of a CI's tokens, remembered as used while they are good, and a day");
/// The most tokens of publishers that hold at a time; one publisher has at most as many as it leaves free.
pub const PUBLISHER_TOKENS: Budget =
    count("publisher-tokens", 1000, "tokens of publishers that hold at a time; half of them of one");

/// All budgets, in the order in which they are told.
pub const ALL: &[&Budget] = &[
    &PAGE_BYTES,
    &PAGE_FILES,
    &PAGE_PROJECTS,
    &PAGE_MEMORY,
    &PAGE_SHORT,
    &PAGES_AT_ONCE,
    &SIGNED_LIST,
    &TAG_ATTRIBUTES,
    &LINK_BYTES,
    &FORM_HEAD,
    &FORM_PARTS,
    &FORM_BYTES,
    &ZIP_DIRECTORY,
    &METADATA_BYTES,
    &SDIST_BYTES,
    &SDIST_RATIO,
    &MEMBERS_BYTES,
    &MEMBERS_RATIO,
    &DEEP_MEMBERS,
    &DEEP_BYTES,
    &DEEP_RATIO,
    &DEEP_EVIDENCE,
    &DEEP_AT_ONCE,
    &ELF_NAMES,
    &ELF_DYNAMIC,
    &OSV_RECORD,
    &OSV_BYTES,
    &OSV_KEPT,
    &OSV_PROJECT,
    &LOCK_FILES,
    &OSV_FETCH,
    &SHARE_LISTED,
    &SNAPSHOT_BYTES,
    &SNAPSHOT_RATIO,
    &BUILD_NOTES,
    &DISK_SPARE,
    &DISK_STEP,
    &REMOTE_WAITS,
    &REMOTE_FILES,
    &REMOTE_SIDECARS,
    &SHARE_FILES,
    &LEAST_RATE,
    &UPLOAD_RATE,
    &DIRECT_FILES,
    &DIRECT_BYTES,
    &WIDE_PAGES,
    &WIDE_READS,
    &ABSENT_PAGES,
    &FIRST_SEEN,
    &WANTS,
    &VARIANT_BYTES,
    &ACTION_BYTES,
    &JWT_BYTES,
    &JWT_LIFE,
    &JWT_USED,
    &ISSUER_BYTES,
    &ISSUER_KEYS,
    &ISSUER_TIME,
    &ISSUER_WAITS,
    &PUBLISHER_TOKENS,
];

impl Budget {
    /// Returns what stands between the limit and what it is about.
    fn joint(&self) -> &'static str {
        if self.unit == Unit::Count { " " } else { " of " }
    }

    /// Returns the limit for people.
    pub fn amount(&self) -> String {
        let limit = self.limit;
        match self.unit {
            Unit::Bytes if limit.is_multiple_of(MIB) => format!("{} MiB", limit / MIB),
            Unit::Bytes if limit.is_multiple_of(KIB) => format!("{} KiB", limit / KIB),
            Unit::Bytes => format!("{limit} bytes"),
            Unit::Count => limit.to_string(),
            Unit::Times => format!("{limit} times"),
            Unit::Seconds => format!("{limit} s"),
        }
    }
}

/// More came than a budget has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("more than {}{}{} ({})", .0.amount(), .0.joint(), .0.what, .0)]
pub struct Excess(pub Budget);

/// Counts down what is left of a budget, from any thread.
#[derive(Debug)]
pub struct Account {
    budget: Budget,
    left: AtomicU64,
}

impl Account {
    /// Opens an account of a budget with so much in it: its limit, or one that grows with what was sent.
    pub const fn new(budget: Budget, amount: u64) -> Self {
        Self { budget, left: AtomicU64::new(amount) }
    }

    /// Takes so much. Once there was too little, there is nothing for anybody.
    pub fn spend(&self, amount: u64) -> Result<(), Excess> {
        let spent = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(amount));
        if spent.is_err() {
            self.left.store(0, Ordering::Relaxed);
        }
        spent.map(drop).map_err(|_| Excess(self.budget))
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "budget {}", self.name)
    }
}

/// Returns all budgets as a table for people.
pub fn table() -> String {
    let lines = ALL.iter().map(|budget| format!("  {:<18} {:>9}  {}\n", budget.name, budget.amount(), budget.what));
    lines.collect()
}

/// Tells whether somebody who holds `own` of `limit` places, of which `used` are taken, may have one more: nobody has more than are
/// free, so that one alone gets half, and there is a place for who comes next.
pub const fn is_fair(limit: u64, used: u64, own: u64) -> bool {
    used < limit && own < limit - used
}

/// Shares out an amount among threads: who wants more than is left waits.
#[derive(Debug)]
pub struct Gate {
    limit: u64,
    used: Mutex<u64>,
    freed: Condvar,
}

/// A part of a gate's amount; it goes back when the value is dropped.
#[derive(Debug)]
#[must_use]
pub struct Hold<'a> {
    gate: &'a Gate,
    amount: u64,
}

impl Gate {
    /// Returns a gate for so much.
    pub const fn new(limit: u64) -> Self {
        Self { limit, used: Mutex::new(0), freed: Condvar::new() }
    }

    fn used(&self) -> MutexGuard<'_, u64> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until so much is free, and takes it. Whoever holds a part must not ask for another: two such would wait for each other.
    pub fn hold(&self, amount: u64) -> Hold<'_> {
        // What is more than all there is goes alone.
        let amount = amount.min(self.limit);
        let mut used = self.used();
        while self.limit - *used < amount {
            used = self.freed.wait(used).unwrap_or_else(PoisonError::into_inner);
        }
        *used += amount;
        Hold { gate: self, amount }
    }
}

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        *self.gate.used() -= self.amount;
        self.gate.freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn each_budget_has_a_name_of_its_own_and_is_told() {
        let names: BTreeSet<_> = ALL.iter().map(|budget| budget.name).collect();
        assert_eq!(names.len(), ALL.len());
        let table = table();
        assert!(ALL.iter().all(|budget| table.contains(budget.name) && budget.limit > 0), "{table}");
        assert_eq!(PAGE_BYTES.amount(), "64 MiB");
    }

    #[test]
    fn one_gets_half_and_the_next_one_still_gets_something() {
        let mut own = [0; 4];
        for index in 0..own.len() {
            while is_fair(16, own.iter().sum(), own[index]) {
                own[index] += 1;
            }
        }
        assert_eq!(own, [8, 4, 2, 1]);
        assert!(!is_fair(16, 16, 0) && !is_fair(16, 20, 0));
    }

    #[test]
    fn no_more_is_held_at_a_time_than_there_is() {
        let (gate, held) = (Gate::new(10), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for amount in [4, 7, 10, 1, 25, 3, 3, 9] {
                let (gate, held) = (&gate, &held);
                scope.spawn(move || {
                    for _ in 0..200 {
                        let hold = gate.hold(amount);
                        assert!(held.fetch_add(hold.amount, Ordering::SeqCst) + hold.amount <= 10);
                        held.fetch_sub(hold.amount, Ordering::SeqCst);
                    }
                });
            }
        });
        assert_eq!(*gate.used(), 0);
    }
}
