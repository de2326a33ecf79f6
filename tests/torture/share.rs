//! How much of the torture is done: a little in every run of the tests, an hour when somebody asks for it.

use std::time::{Duration, Instant};

/// Seconds for each part; unset, a part takes its usual small share.
const SECONDS: &str = "WCAS_TORTURE_SECONDS";

/// The time that a part has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Share {
    end: Instant,
}

impl Share {
    /// Starts a part that takes `usual` unless it is told otherwise.
    pub(crate) fn start(usual: Duration) -> Self {
        let asked = std::env::var(SECONDS).ok().map(|text| Duration::from_secs(text.parse().expect(SECONDS)));
        Self { end: Instant::now() + asked.unwrap_or(usual) }
    }

    /// Tells whether there is time for another round.
    pub(crate) fn is_left(self) -> bool {
        Instant::now() < self.end
    }
}
