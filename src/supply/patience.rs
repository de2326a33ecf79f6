//! How long one remote keeps a lookup waiting: a moment, as long as somebody else may have the file.
//!
//! A lookup goes along its order twice, if it must. First each remote has a moment to say what it has; whoever is late, or fails in a way
//! that may pass, is asked again, with all patience, when nobody else had anything. What was slow a moment ago, for another lookup, isn't
//! asked at all.

use crate::manifest::RemoteId;
use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::time::Duration;

/// How long a remote may take while others may have the file.
const MOMENT: Duration = Duration::from_secs(3);

/// A page is believed for so many seconds without asking again.
pub(crate) const FRESH_SECONDS: i64 = 600;
/// A page without the answer, and a page that isn't there, are believed for a shorter time: somebody may just have built it.
pub(crate) const MISS_SECONDS: i64 = 60;

/// A remote that failed is not asked again for so many seconds by those who can do without.
pub(crate) const FAILED_SECONDS: i64 = 30;

/// The patience of one lookup.
#[derive(Debug, Default)]
pub(crate) struct Patience {
    is_last_try: Cell<bool>,
    late: RefCell<HashSet<RemoteId>>,
}

impl Patience {
    /// Begins the second round. Returns whether anybody is to be asked in it.
    pub(crate) fn try_again(&self) -> bool {
        let is_first = !self.is_last_try.replace(true);
        is_first && !self.late.borrow().is_empty()
    }

    /// Tells whether this is the round in which nobody is waited for.
    pub(crate) fn is_first_try(&self) -> bool {
        !self.is_last_try.get()
    }

    /// Tells whether a remote is asked in this round.
    pub(crate) fn admits(&self, remote: RemoteId) -> bool {
        self.is_first_try() || self.late.borrow().contains(&remote)
    }

    /// Returns how long a remote may take in this round; `None`: as long as it likes.
    pub(crate) fn limit(&self) -> Option<Duration> {
        self.is_first_try().then_some(MOMENT)
    }

    /// Notes that a remote is to be asked again, should nobody have the file.
    pub(crate) fn put_off(&self, remote: RemoteId) {
        self.late.borrow_mut().insert(remote);
    }
}
