//! `serve --watch`: a thread of its own looks at folders and imports what appears there, beside the requests.
//!
//! It has a handle of its own on the store, and one processor; the requests see what it imports as they see every change.

use super::http::Line;
use super::{Clock, stores};
use crate::context::Context;
use crate::error::Result;
use crate::intake::{ImportReport, Outcome};
use crate::manifest::Actor;
use crate::ops::watch::{Watch, WatchOptions, WatchReport};
use crate::store::Store;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

/// How often the folders are looked at.
const POLL: Duration = Duration::from_millis(250);

/// How long the end waits for an import. One that takes longer is cut off, which a store survives at any point.
const END: Duration = Duration::from_secs(1);

/// The thread that watches; it ends when the value is dropped.
#[derive(Debug)]
pub struct Watching {
    stop: Sender<()>,
    ended: Receiver<()>,
}

/// Starts to watch; `say` takes a line about what happened.
pub fn watch(root: &Path, options: WatchOptions, clock: Clock, actor: Actor, say: Line) -> Result<Watching> {
    let store = stores::open(root, &actor)?;
    let watch = Watch::new(&store, options.clone())?;
    let (stop, stopped) = mpsc::channel();
    let (ending, ended) = mpsc::channel();
    thread::spawn(move || {
        let mut sight = WatchedFolder { store, watch, options };
        sight.run(&clock, &actor, &stopped, &say);
        // Nobody may wait any more.
        let _ = ending.send(());
    });
    Ok(Watching { stop, ended })
}

impl Drop for Watching {
    fn drop(&mut self) {
        // Either fails when the thread has ended already.
        let _ = self.stop.send(());
        let _ = self.ended.recv_timeout(END);
    }
}

/// A store, and what of the folders is known to be in it.
struct WatchedFolder {
    store: Store,
    watch: Watch,
    options: WatchOptions,
}

impl WatchedFolder {
    fn run(&mut self, clock: &Clock, actor: &Actor, stopped: &Receiver<()>, say: &Line) {
        let who = actor.to_string();
        let mut told = String::new();
        loop {
            let mut wait = POLL;
            match self.follow(actor) {
                Ok(()) => {
                    told.clear();
                    let context = Context { now: clock(), who: &who, jobs: 1, progress: &(), client: None };
                    let report = self.watch.import_ready(&self.store, &context, Instant::now());
                    tell(&report, say);
                    wait = if report.has_more { Duration::ZERO } else { POLL };
                }
                Err(error) => {
                    let text = format!(
                        "watch: the store can't be opened, and it is tried again: {}",
                        crate::words::reason(&error)
                    );
                    if text != told {
                        say(&text);
                        told = text;
                    }
                }
            }
            if stopped.recv_timeout(wait) != Err(RecvTimeoutError::Timeout) {
                return;
            }
        }
    }

    /// Opens the store again if its manifest was replaced: what was imported may not be in it.
    fn follow(&mut self, actor: &Actor) -> Result<()> {
        if !self.store.is_current() {
            self.store = stores::open(self.store.root(), actor)?;
            self.watch = Watch::new(&self.store, self.options.clone())?;
        }
        Ok(())
    }
}

fn tell(report: &WatchReport, say: &Line) {
    for problem in &report.problems {
        say(&format!("watch: {}: {}", problem.path.display(), problem.reason));
    }
    if let Some(failure) = &report.failure {
        say(&format!("watch: nothing can be imported now, and it is tried again: {failure}"));
    }
    if let Some(import) = &report.import {
        for warned in &import.warned {
            say(&format!("watch: warning: {}: {}", warned.path.display(), warned.reason));
        }
        if let Some(text) = changes(import) {
            say(&format!("watch: {text}"));
        }
    }
}

/// Returns in words what an import changed; what was there already is nothing to tell.
fn changes(import: &ImportReport) -> Option<String> {
    let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for distribution in &import.distributions {
        let word = match distribution.outcome {
            Outcome::Unchanged => continue,
            Outcome::New | Outcome::Deduplicated => "new",
            Outcome::Replaced => "replaced",
            Outcome::Healed => "healed",
        };
        *counts.entry((distribution.collection.as_str(), word)).or_default() += 1;
    }
    let texts: Vec<String> =
        counts.into_iter().map(|((collection, word), count)| format!("{count} {word} in {collection}")).collect();
    (!texts.is_empty()).then(|| texts.join(", "))
}
