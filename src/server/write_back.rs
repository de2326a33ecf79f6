//! What was built here goes to remotes of our own while the server runs: soon after it is queued, whoever queued it.
//!
//! One thread with a handle of its own looks at the queue and sends. No request waits for it, and it may be cut off anywhere: what
//! isn't said to be there is sent again by the next one.

use super::{Server, stores};
use crate::manifest::Rows;
use crate::name::RemoteName;
use crate::ops;
use crate::ops::push::{PushOptions, PushReport};
use crate::store::Store;
use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

/// So often the queue is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// So long a remote is left alone after a failure; twice as long after each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// And no longer than this.
const LONGEST_PAUSE: Duration = Duration::from_secs(600);

/// Hears what went wrong, a line each.
pub type Complain = fn(&str);

/// Sends until it is dropped.
#[derive(Debug)]
#[must_use = "it ends when it is dropped"]
pub struct WriteBack(#[expect(dead_code, reason = "its end is heard by the thread")] mpsc::Sender<()>);

impl WriteBack {
    /// Starts to send what waits in the server's store.
    pub fn start(server: Arc<Server>, complain: Complain) -> Self {
        let (end, ended) = mpsc::channel();
        thread::spawn(move || {
            let mut sender = Sender { server, complain, store: None, pauses: Pauses::default() };
            // Nothing is ever said: the channel's end is the word.
            while ended.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
                sender.send_waiting();
            }
        });
        Self(end)
    }
}

/// How often remotes failed in a row, and until when they are left alone.
#[derive(Debug, Default)]
struct Pauses(HashMap<RemoteName, (u32, Instant)>);

impl Pauses {
    fn is_over(&self, remote: &RemoteName, now: Instant) -> bool {
        self.0.get(remote).is_none_or(|(_, until)| *until <= now)
    }

    /// Notes how a run went; returns for how long the remote is left alone.
    fn note(&mut self, remote: &RemoteName, is_failed: bool, now: Instant) -> Option<Duration> {
        if !is_failed {
            self.0.remove(remote);
            return None;
        }
        let (failures, until) = self.0.entry(remote.clone()).or_insert((0, now));
        let pause = FIRST_PAUSE.saturating_mul(1 << (*failures).min(16)).min(LONGEST_PAUSE);
        *failures += 1;
        *until = now + pause;
        Some(pause)
    }
}

/// The thread's own things.
struct Sender {
    server: Arc<Server>,
    complain: Complain,
    /// The handle, once it could be opened.
    store: Option<Store>,
    pauses: Pauses,
}

impl Sender {
    /// Sends what waits and may be tried.
    fn send_waiting(&mut self) {
        if let Err(error) = self.try_to_send() {
            (self.complain)(&format!("write-back: {}", crate::words::reason(&error)));
            // A handle that failed is not used again; the next look comes no sooner for that.
            self.store = None;
            thread::sleep(FIRST_PAUSE);
        }
    }

    fn try_to_send(&mut self) -> crate::error::Result<()> {
        let actor = self.server.stores.actor().at("serve: write back");
        let store = stores::reopened(&mut self.store, self.server.stores.root(), &actor)?;
        if store.is_writable() {
            for (remote, waits) in ops::push::waiting(&store.manifest)? {
                if waits.waiting > waits.given_up && self.pauses.is_over(&remote, Instant::now()) {
                    let options = PushOptions { remotes: vec![remote.clone()], ..PushOptions::default() };
                    let report = ops::push::push(&store, &self.server.context(), &options)?;
                    self.tell(&remote, &report);
                }
            }
        }
        self.store = Some(store);
        Ok(())
    }

    fn tell(&mut self, remote: &RemoteName, report: &PushReport) {
        let is_failed = report.failed.iter().any(|failed| !failed.is_given_up) || !report.left_alone.is_empty();
        let pause = self.pauses.note(remote, is_failed, Instant::now());
        let again = pause.map(|pause| format!("; tried again in {}", humantime::format_duration(pause)));
        for failed in report.failed.iter().filter(|failed| failed.is_given_up) {
            let text = format!("write-back: {remote} refuses {}: {}; given up", failed.filename, failed.reason);
            (self.complain)(&text);
        }
        // One of those that failed alike is enough.
        if let Some(failed) = report.failed.iter().find(|failed| !failed.is_given_up) {
            let again = again.unwrap_or_default();
            (self.complain)(&format!("write-back: {} to {remote}: {}{again}", failed.filename, failed.reason));
        }
    }
}

/// Writes how much waits, for Prometheus.
pub(super) fn metrics(out: &mut String, rows: &Rows) -> Result<(), fmt::Error> {
    // What can't be read is not told, as the totals are not.
    let Ok(waiting) = ops::push::waiting(rows) else { return Ok(()) };
    for (name, help, count) in [
        ("wcas_write_back_waiting", "Files that are to go to a remote.", true),
        ("wcas_write_back_given_up", "Those of them that the remote refused too often.", false),
    ] {
        writeln!(out, "# HELP {name} {help}\n# TYPE {name} gauge")?;
        for (remote, waits) in &waiting {
            let value = if count { waits.waiting } else { waits.given_up };
            writeln!(out, "{name}{{remote=\"{remote}\"}} {value}")?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remote_that_fails_is_left_alone_longer_and_longer() {
        let (remote, now) = ("team".parse().unwrap(), Instant::now());
        let mut pauses = Pauses::default();
        assert!(pauses.is_over(&remote, now));
        let seconds: Vec<u64> =
            (0..12).map(|_| pauses.note(&remote, true, now).expect("it failed").as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600]);
        assert!(!pauses.is_over(&remote, now + Duration::from_secs(599)));
        assert!(pauses.is_over(&remote, now + Duration::from_secs(600)));
        assert_eq!(pauses.note(&remote, false, now), None);
        assert!(pauses.is_over(&remote, now));
    }
}
