//! How much of the torture is done: a little in every run of the tests, an hour when somebody asks for it.

use std::time::{Duration, Instant, UNIX_EPOCH};

/// Seconds for each part; unset, a part takes its usual small share.
const SECONDS: &str = "WCAS_TORTURE_SECONDS";
/// A seed, to do again what was done.
const SEED: &str = "WCAS_TORTURE_SEED";

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

    /// Returns the first half of what is left.
    pub(crate) fn half(self) -> Self {
        let left = self.end.saturating_duration_since(Instant::now());
        Self { end: self.end - left / 2 }
    }

    /// Tells whether there is time for another round.
    pub(crate) fn is_left(self) -> bool {
        Instant::now() < self.end
    }

    /// Tells whether to go on after so many: as long as there is time, in a plain `cargo test` for no more than `usual` of them, so
    /// that a faster machine tries no others than one where they were seen to be good.
    pub(crate) fn goes_on(self, tried: usize, usual: usize) -> bool {
        self.is_left() && (is_hunt() || tried < usual)
    }
}

/// Tells whether somebody hunts for faults, instead of asking whether a change made one.
pub(crate) fn is_hunt() -> bool {
    std::env::var_os(SECONDS).is_some()
}

/// The seed of chance: what `WCAS_TORTURE_SEED` says; else, when somebody hunts for [`SECONDS`], one that nobody had before, and in a
/// plain `cargo test` always the same: a change that broke nothing must not fail by chance.
pub(crate) fn seed() -> u64 {
    let number = |name| std::env::var(name).ok().filter(|text| !text.is_empty());
    match (number(SEED), number(SECONDS)) {
        (Some(text), _) => text.parse().expect(SEED),
        (None, Some(_)) => {
            let now = UNIX_EPOCH.elapsed().map_or(0, |since| since.as_nanos() as u64);
            now ^ u64::from(std::process::id()) << 32
        }
        (None, None) => 1,
    }
}

/// Returns a setting of whoever runs the tests.
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
