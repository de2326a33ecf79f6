//! Work on many files at a time, in their order, by as many threads as can be had.

use rayon::{ThreadBuilder, ThreadPoolBuilder};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread::{Builder, Scope, ScopedJoinHandle};

/// Whether this process may have no thread but its first.
static IS_ALONE: AtomicBool = AtomicBool::new(false);
/// With so many threads to be had beside those that are wanted, all is as usual.
const SPARE_THREADS: u64 = 64;

/// Fits the threads that the whole process shares to what a limit leaves: they are begun when they are first wanted, and that they
/// can't be would end the process.
pub fn fit_threads() {
    let wanted = std::thread::available_parallelism().map_or(1, usize::from);
    if crate::fs::threads_left().is_none_or(|left| left > wanted as u64 * 4 + SPARE_THREADS) {
        return;
    }
    // A pool that can't be made can't be tried again: the threads come first, and then as large a pool.
    let mut threads: Vec<mpsc::Sender<ThreadBuilder>> = (0..wanted).map_while(|_| begin().ok()).collect();
    let pool = ThreadPoolBuilder::new();
    // Either fails where a pool is there already.
    let _ = match threads.len() {
        0 => {
            IS_ALONE.store(true, Ordering::Relaxed);
            pool.num_threads(1).use_current_thread().build_global()
        }
        count => pool.num_threads(count).spawn_handler(|thread| give(threads.pop(), thread)).build_global(),
    };
}

/// Begins a thread that waits for what it has to do.
fn begin() -> io::Result<mpsc::Sender<ThreadBuilder>> {
    let (sender, receiver) = mpsc::channel::<ThreadBuilder>();
    Builder::new().spawn(move || receiver.recv().map(ThreadBuilder::run)).map(|_| sender)
}

fn give(to: Option<mpsc::Sender<ThreadBuilder>>, thread: ThreadBuilder) -> io::Result<()> {
    to.and_then(|to| to.send(thread).ok()).ok_or_else(|| io::Error::other("there is no thread left"))
}

/// Begins a thread; `None`: there is none to be had, and the caller does the work.
pub(crate) fn spawn<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    act: impl FnOnce() -> T + Send + 'scope,
) -> Option<ScopedJoinHandle<'scope, T>> {
    if IS_ALONE.load(Ordering::Relaxed) { None } else { Builder::new().spawn_scoped(scope, act).ok() }
}

/// Calls `act` for each item, by so many threads that each take the next one, and returns the results in the items' order.
///
/// A pool that splits a list in halves would start with the first and the middle item: here the first items, the largest files,
/// are really begun first.
pub(crate) fn map<T: Sync, R: Send>(threads: usize, items: &[T], act: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let threads = threads.clamp(1, items.len().max(1));
    if threads == 1 {
        return items.iter().map(act).collect();
    }
    let next = AtomicUsize::new(0);
    let (sender, receiver) = mpsc::channel();
    let work = |sender: mpsc::Sender<(usize, R)>| {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(index) else { return };
            if sender.send((index, act(item))).is_err() {
                return;
            }
        }
    };
    std::thread::scope(|scope| {
        let work = &work;
        let begun = (0..threads).map_while(|_| {
            let sender = sender.clone();
            spawn(scope, move || work(sender))
        });
        if begun.count() == 0 {
            work(sender.clone());
        }
    });
    drop(sender);
    let mut results: Vec<(usize, R)> = receiver.into_iter().collect();
    results.sort_unstable_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn results_come_in_the_order_of_the_items() {
        let items: Vec<u64> = (0..1000).collect();
        for threads in [0, 1, 2, 7] {
            let doubled = super::map(threads, &items, |item| item * 2);
            assert!(doubled.iter().zip(&items).all(|(double, item)| *double == item * 2) && doubled.len() == 1000);
        }
        assert!(super::map(4, &[] as &[u64], |item| *item).is_empty());
    }
}
