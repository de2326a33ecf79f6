//! What every verb is told: the time, the name of whoever asks, and where to show progress.
//!
//! Nothing below the command line and the server reads a clock, an environment or a terminal.

use crate::meter::Meter;
use crate::remote::LazyClient;
use std::sync::Arc;

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
    /// Starts a piece of work of so many items.
    fn start(&self, what: &str, total: u64);
    /// Starts a piece of work on so many files, of so many bytes together.
    fn start_files(&self, what: &str, _files: u64, bytes: u64) {
        self.start(what, bytes);
    }
    /// Begins a file of the work; its meter tells how far it has come.
    fn begin(&self, _file: &Arc<Meter>) {}
    /// Ends a file of the work.
    fn end(&self, file: &Arc<Meter>) {
        self.add(file.size());
    }
    /// Adds items done.
    fn add(&self, done: u64);
    /// Ends the piece of work.
    fn finish(&self);
}

impl<'a> dyn Progress + 'a {
    /// Does the work on one file of this size; what is read of it on the way is seen at once.
    pub fn on<T>(&self, name: &str, size: u64, work: impl FnOnce() -> T) -> T {
        let meter = Meter::new(name, size);
        self.begin(&meter);
        let done = meter.during(work);
        self.end(&meter);
        done
    }
}

/// Shows nothing.
impl Progress for () {
    fn start(&self, _what: &str, _total: u64) {}
    fn add(&self, _done: u64) {}
    fn finish(&self) {}
}
