//! What every verb is told: the time, the name of whoever asks, and where to show progress.
//!
//! Nothing below the command line and the server reads a clock, an environment or a terminal.

use crate::remote::LazyClient;

/// What every verb is told: the time, the name of whoever asks, and where to show progress.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// Seconds since 1970.
    pub now: i64,
    /// Who asks, for the log.
    pub who: &'a str,
    /// How many files are worked on at a time.
    pub jobs: usize,
    /// Where progress goes.
    pub progress: &'a dyn Progress,
    /// Asks remotes; `None`: no remote is asked.
    pub client: Option<&'a LazyClient>,
}

/// Shows how far long work has come.
pub trait Progress: Sync {
    /// Starts a piece of work of so many bytes or items.
    fn start(&self, what: &str, total: u64);
    /// Adds bytes or items done.
    fn add(&self, done: u64);
    /// Ends the piece of work.
    fn finish(&self);
}

/// Shows nothing.
impl Progress for () {
    fn start(&self, _what: &str, _total: u64) {}
    fn add(&self, _done: u64) {}
    fn finish(&self) {}
}
