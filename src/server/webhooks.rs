//! What webhooks are told, while the server runs: soon after it is there, whoever made it.
//!
//! One thread with a handle of its own looks and sends. No request waits for it, and it may be cut off anywhere: what isn't said to be
//! taken is sent again.

use super::{Complain, Server, stores};
use crate::manifest::Rows;
use crate::ops::webhook::{self, DeliverReport};
use crate::store::Store;
use std::fmt::{self, Write as _};
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

/// So often it is looked for what is due.
const LOOK: Duration = Duration::from_secs(1);
/// So long nothing is done after the store could not be used; twice as long after each further time.
const PAUSE: Duration = Duration::from_secs(1);
/// And no longer than this.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Sends until it is dropped.
#[derive(Debug)]
#[must_use = "it ends when it is dropped"]
pub struct Webhooks(#[expect(dead_code, reason = "its end is heard by the thread")] mpsc::Sender<()>);

impl Webhooks {
    /// Starts to send what the server's store has for webhooks; `base_url` is where the server's pages are, as others see it.
    pub fn start(server: Arc<Server>, base_url: Option<String>, complain: Complain) -> Self {
        let (end, ended) = mpsc::channel();
        thread::spawn(move || {
            let (mut store, mut pause) = (None, PAUSE);
            // Nothing is ever said: the channel's end is the word.
            while ended.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
                match send(&server, &mut store, base_url.as_deref()) {
                    Ok(report) => {
                        pause = PAUSE;
                        tell(&report, complain);
                    }
                    Err(error) => {
                        complain(&format!("webhooks: {}", crate::words::reason(&error)));
                        // A handle that failed is not used again.
                        store = None;
                        thread::sleep(pause);
                        pause = (pause * 2).min(LONGEST_PAUSE);
                    }
                }
            }
        });
        Self(end)
    }
}

fn send(server: &Server, kept: &mut Option<Store>, base_url: Option<&str>) -> crate::error::Result<DeliverReport> {
    let actor = server.stores.actor().at("serve: webhooks");
    let store = stores::reopened(kept, server.stores.root(), &actor)?;
    let report = if store.is_writable() {
        webhook::deliver(&store, &server.context(), &|| server.now(), base_url)?
    } else {
        DeliverReport::default()
    };
    *kept = Some(store);
    Ok(report)
}

fn tell(report: &DeliverReport, complain: Complain) {
    for failed in &report.failed {
        let status = failed.status.map(|status| format!("status {status} ")).unwrap_or_default();
        let answer = failed.answer.as_deref().unwrap_or_default();
        let next = if failed.next_at.is_some() { "tried again" } else { "given up" };
        complain(&format!("webhooks: delivery {} to {}: {status}{answer}; {next}", failed.id, failed.url));
    }
}

/// Writes how much waits, for Prometheus.
pub(super) fn metrics(out: &mut String, rows: &Rows) -> fmt::Result {
    // What can't be read is not told, as the totals are not.
    let Ok(counts) = webhook::waiting(rows) else { return Ok(()) };
    for (name, help, is_waiting) in [
        ("wcas_webhooks_waiting", "Changes that webhooks are to be told.", true),
        ("wcas_webhooks_failed", "Changes that webhooks were not told, in the last 30 days.", false),
    ] {
        writeln!(out, "# HELP {name} {help}\n# TYPE {name} gauge")?;
        for (collection, waiting, failed) in &counts {
            let count = if is_waiting { waiting } else { failed };
            writeln!(out, "{name}{{collection=\"{collection}\"}} {count}")?;
        }
    }
    Ok(())
}
