//! Budgets: how much of the machine anything from outside may take, in one place, with names and defaults.
//!
//! Whoever refuses something for being too much says which budget it was, as `… (budget page-files)`; `wcas serve --help` lists them
//! all. Nothing here measures: the module that takes bytes counts them, and compares.

use std::fmt;
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
}

const fn bytes(name: &'static str, limit: u64, what: &'static str) -> Budget {
    Budget { name, limit, unit: Unit::Bytes, what }
}

const fn count(name: &'static str, limit: u64, what: &'static str) -> Budget {
    Budget { name, limit, unit: Unit::Count, what }
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
    what: "memory for reading a page, by its unpacked size",
};
/// The memory of all pages that are read at a time.
pub const PAGES_AT_ONCE: Budget = bytes("pages-at-once", 512 * MIB, "memory of all pages that are read at a time");
/// The longest link on a page.
pub const LINK_BYTES: Budget = bytes("link-bytes", 16 * KIB, "a link on a remote's page");
/// The most of a form before the bytes of a part: its boundary and its head.
pub const FORM_HEAD: Budget = bytes("form-head", 64 * KIB, "a form before the bytes of a part");
/// The most parts of a form.
pub const FORM_PARTS: Budget = count("form-parts", 4096, "parts of a form");
/// The most of a form beyond the largest file that is taken.
pub const FORM_BYTES: Budget = bytes("form-bytes", 16 * MIB, "a form, beyond the largest file that is taken");

/// All budgets, in the order in which they are told.
pub const ALL: &[&Budget] = &[
    &PAGE_BYTES,
    &PAGE_FILES,
    &PAGE_PROJECTS,
    &PAGE_MEMORY,
    &PAGES_AT_ONCE,
    &LINK_BYTES,
    &FORM_HEAD,
    &FORM_PARTS,
    &FORM_BYTES,
];

impl Budget {
    /// Returns the limit for people.
    pub fn amount(&self) -> String {
        let limit = self.limit;
        match self.unit {
            Unit::Bytes if limit.is_multiple_of(MIB) => format!("{} MiB", limit / MIB),
            Unit::Bytes if limit.is_multiple_of(KIB) => format!("{} KiB", limit / KIB),
            Unit::Bytes => format!("{limit} bytes"),
            Unit::Count => limit.to_string(),
            Unit::Times => format!("{limit} times"),
        }
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
    use std::sync::atomic::{AtomicU64, Ordering};

    #[test]
    fn each_budget_has_a_name_of_its_own_and_is_told() {
        let names: BTreeSet<_> = ALL.iter().map(|budget| budget.name).collect();
        assert_eq!(names.len(), ALL.len());
        let table = table();
        assert!(ALL.iter().all(|budget| table.contains(budget.name) && budget.limit > 0), "{table}");
        assert_eq!(PAGE_BYTES.amount(), "64 MiB");
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
