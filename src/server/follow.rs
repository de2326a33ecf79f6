//! A server on a node of a shared store reads what other nodes commit, beside the requests.

use super::http::Line;
use super::{Server, stores};
use crate::store::Store;
use crate::words::reason;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{self, Sender, TryRecvError};
use std::thread;
use std::time::Duration;

/// How often the log is asked for its next record, where nobody says that there is one.
const PAUSE: Duration = Duration::from_millis(500);

/// The thread that follows; it ends with the value.
#[derive(Debug)]
pub struct Following {
    _stop: Sender<()>,
}

/// Starts to follow the share of the server's store, if it is a node of one. `say` is told when the log can't be followed, and when it can
/// be again.
pub fn follow(server: Arc<Server>, say: Line) -> Option<Following> {
    let mut kept = server.stores.borrow().ok()?.share().is_some().then_some(None)?;
    server.followed_at.store(server.now(), Relaxed);
    let (stop, stopped) = mpsc::channel();
    thread::spawn(move || {
        let mut failure = None;
        loop {
            let found = once(&server, &mut kept).err();
            if found.is_none() {
                server.followed_at.store(server.now(), Relaxed);
            }
            if found != failure {
                say(found.as_deref().unwrap_or("the shared store's log is followed again"));
                failure = found;
            }
            match kept.as_ref().and_then(|store: &Store| store.share()) {
                Some(share) => share.wait(PAUSE),
                None => thread::sleep(PAUSE),
            }
            if stopped.try_recv() != Err(TryRecvError::Empty) {
                return;
            }
        }
    });
    Some(Following { _stop: stop })
}

fn once(server: &Server, kept: &mut Option<Store>) -> Result<(), String> {
    let told = |why: String| format!("the shared store's log can't be followed, what is served gets old: {why}");
    let store =
        stores::reopened(kept, server.stores.root(), server.stores.actor()).map_err(|error| told(reason(&error)))?;
    let done = store.catch_up().map_err(|error| told(reason(&error)));
    *kept = Some(store);
    done
}
