//! How far long work has come: a bar on a terminal, now and then a line, or documents for programs.
//!
//! A thread looks at the work a few times a second, so that a large file moves while it is read, and nothing waits for a terminal.

use super::table::cut;
use super::{look, print};
use serde::Serialize;
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};
use unicode_width::UnicodeWidthStr;
use wcas::context::Progress;
use wcas::meter::Meter;

/// How progress is told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Telling {
    /// A bar on a terminal; elsewhere with --verbose a line every 30 seconds
    #[default]
    Auto,
    /// Not at all
    Never,
    /// A JSON document a line, on standard error
    Json,
}

/// Where progress goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shown {
    Nowhere,
    Bar,
    Lines,
    Documents,
}

impl Shown {
    /// Returns how long is waited until the work is looked at again.
    fn pause(self) -> Duration {
        match self {
            Self::Nowhere | Self::Lines => Duration::from_secs(30),
            Self::Bar => Duration::from_millis(200),
            Self::Documents => Duration::from_millis(100),
        }
    }
}

pub(super) struct Bar {
    shown: Shown,
    command: String,
    running: Mutex<Option<Running>>,
}

/// A piece of work that is shown.
struct Running {
    work: Arc<Work>,
    /// When it is dropped, the thread ends.
    stop: mpsc::Sender<()>,
    thread: JoinHandle<()>,
}

/// What a piece of work is, and how far it has come.
struct Work {
    what: String,
    items: u64,
    bytes: u64,
    done: AtomicU64,
    done_bytes: AtomicU64,
    begun: Mutex<Vec<Arc<Meter>>>,
}

/// A look at a piece of work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Look {
    event: &'static str,
    command: String,
    what: String,
    /// The one of the files that are worked on that began first.
    file: Option<String>,
    done: u64,
    total: u64,
    bytes: u64,
    bytes_total: u64,
}

impl Work {
    fn begun(&self) -> MutexGuard<'_, Vec<Arc<Meter>>> {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn look(&self, event: &'static str, command: &str) -> Look {
        let begun = self.begun();
        let bytes = self.done_bytes.load(Ordering::Relaxed) + begun.iter().map(|file| file.passed()).sum::<u64>();
        Look {
            event,
            command: command.to_owned(),
            what: self.what.clone(),
            file: begun.first().map(|file| file.name().to_owned()),
            done: self.done.load(Ordering::Relaxed),
            total: self.items,
            bytes,
            bytes_total: self.bytes.max(bytes),
        }
    }
}

/// How fast work goes on: the newest seconds count most.
#[derive(Debug, Default)]
struct Pace {
    at: f64,
    bytes: u64,
    rate: Option<f64>,
}

impl Pace {
    /// So many seconds ago counts a third.
    const MEMORY: f64 = 5.0;

    fn look(&mut self, at: f64, bytes: u64) {
        let passed = at - self.at;
        if passed <= 0.0 {
            return;
        }
        let now = bytes.saturating_sub(self.bytes) as f64 / passed;
        let weight = 1.0 - (-passed / Self::MEMORY).exp();
        self.rate = Some(self.rate.map_or(now, |before| before + (now - before) * weight));
        (self.at, self.bytes) = (at, bytes);
    }
}

impl Look {
    /// Returns in words how far the work has come.
    fn numbers(&self, pace: &Pace) -> String {
        let mut words = Vec::new();
        if self.total > 0 {
            words.push(format!("{}/{}", self.done, self.total));
        }
        if self.bytes_total > 0 {
            words.push(format!("{}/{}", print::size(self.bytes), print::size(self.bytes_total)));
            let rate = pace.rate.filter(|rate| *rate >= 1.0);
            words.extend(rate.map(|rate| format!("{}/s", print::size(rate as u64))));
            let left = rate.map(|rate| (self.bytes_total - self.bytes) as f64 / rate);
            words.extend(left.filter(|left| *left >= 1.0).map(|left| format!("{} left", duration(left as u64))));
        }
        words.join("  ")
    }

    /// Returns how much is done of how much.
    fn position(&self) -> (u64, u64) {
        if self.bytes_total > 0 { (self.bytes, self.bytes_total) } else { (self.done, self.total) }
    }
}

/// Returns a time in its largest unit.
fn duration(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        _ => format!("{} h", seconds / 3600),
    }
}

impl Bar {
    pub(super) fn new(telling: Telling, is_quiet: bool, is_verbose: bool, command: &str) -> Self {
        let shown = match telling {
            Telling::Json => Shown::Documents,
            Telling::Auto if is_quiet => Shown::Nowhere,
            Telling::Auto if look::can_draw() => Shown::Bar,
            Telling::Auto if is_verbose => Shown::Lines,
            Telling::Auto | Telling::Never => Shown::Nowhere,
        };
        Self { shown, command: command.to_owned(), running: Mutex::new(None) }
    }

    /// Ends what is shown.
    pub(super) fn clear(&self) {
        let running = self.running().take();
        let Some(Running { work, stop, thread }) = running else { return };
        drop(stop);
        let _ = thread.join();
        if self.shown == Shown::Documents {
            tell(&work.look("end", &self.command));
        }
    }

    fn running(&self) -> MutexGuard<'_, Option<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, what: &str, items: u64, bytes: u64) {
        if self.shown == Shown::Nowhere || (items, bytes) == (0, 0) {
            return;
        }
        self.clear();
        let work = Arc::new(Work {
            what: what.to_owned(),
            items,
            bytes,
            done: AtomicU64::default(),
            done_bytes: AtomicU64::default(),
            begun: Mutex::default(),
        });
        let (stop, stopped) = mpsc::channel();
        let (shown, command, own) = (self.shown, self.command.clone(), work.clone());
        // Without a thread there is no progress, and the work goes on.
        if let Ok(thread) = Builder::new().spawn(move || show(shown, &command, &own, &stopped)) {
            *self.running() = Some(Running { work, stop, thread });
        }
    }

    fn with(&self, change: impl FnOnce(&Work)) {
        if self.shown != Shown::Nowhere
            && let Some(running) = self.running().as_ref()
        {
            change(&running.work);
        }
    }
}

/// Shows a piece of work until it ends. What is over before it can be seen isn't shown.
fn show(shown: Shown, command: &str, work: &Work, stopped: &mpsc::Receiver<()>) {
    let begun = Instant::now();
    let mut pace = Pace::default();
    while stopped.recv_timeout(shown.pause()) == Err(mpsc::RecvTimeoutError::Timeout) {
        let look = work.look("progress", command);
        pace.look(begun.elapsed().as_secs_f64(), look.bytes);
        match shown {
            Shown::Nowhere => {}
            Shown::Bar => print::draw(&drawn(&look, &pace, look::columns_of_notes())),
            Shown::Lines => print::say(&line(&look, &pace)),
            Shown::Documents => tell(&look),
        }
    }
    print::undraw();
}

/// So many columns of a file's name are shown.
const NAME: usize = 32;
/// A bar has no fewer columns, and no more.
const BAR: (usize, usize) = (8, 40);

/// Returns the line that shows on a terminal of so many columns how far work has come: with a bar where there is room for it.
fn drawn(look: &Look, pace: &Pace, columns: usize) -> String {
    // A line that ends in the last column would go on in the next line on some.
    let room = columns.saturating_sub(1);
    let file = look.file.as_deref().map(print::escaped).unwrap_or_default();
    let numbers = look.numbers(pace);
    let named = format!("{} {}", look.what, cut(&file, NAME));
    let named = named.trim_end();
    let left = room.saturating_sub(named.width() + numbers.width() + 4);
    if left >= BAR.0 {
        let (done, all) = look.position();
        let length = left.min(BAR.1);
        let full = if all == 0 { 0 } else { (length as f64 * done.min(all) as f64 / all as f64) as usize };
        return format!("{named} [{}{}] {numbers}", "=".repeat(full), " ".repeat(length - full));
    }
    let short = if named.width() + numbers.width() + 2 <= room { named } else { &look.what };
    cut(&format!("{short}  {numbers}"), room).into_owned()
}

fn line(look: &Look, pace: &Pace) -> String {
    let numbers = look.numbers(pace).replace("  ", ", ").replace('/', " of ").replace(" of s", "/s");
    let file = look.file.as_ref().map(|file| format!(", at {file}")).unwrap_or_default();
    format!("{}: {numbers}{file}", look.what)
}

/// Tells a program.
fn tell(look: &Look) {
    let Ok(line) = serde_json::to_string(look) else { return };
    // Names come from strangers, and a terminal obeys what is in them.
    let line = if io::stderr().is_terminal() { print::escaped(&line) } else { line.into() };
    let _ = io::stderr().write_all(format!("{line}\n").as_bytes());
}

impl Progress for Bar {
    fn start(&self, what: &str, total: u64) {
        self.run(what, total, 0);
    }

    fn start_files(&self, what: &str, files: u64, bytes: u64) {
        self.run(what, files, bytes);
    }

    fn begin(&self, file: &Arc<Meter>) {
        self.with(|work| work.begun().push(file.clone()));
    }

    fn end(&self, file: &Arc<Meter>) {
        self.with(|work| {
            // Both at once, for whoever looks.
            let mut begun = work.begun();
            begun.retain(|own| !Arc::ptr_eq(own, file));
            work.done.fetch_add(1, Ordering::Relaxed);
            // What was not read, since it is known, is done as well.
            work.done_bytes.fetch_add(file.size().max(file.passed()), Ordering::Relaxed);
        });
    }

    fn add(&self, done: u64) {
        self.with(|work| _ = work.done.fetch_add(done, Ordering::Relaxed));
    }

    fn finish(&self) {
        self.clear();
    }
}

/// Returns what work cost, for the end of the line that tells of it: ", 12.4 MB, in 1.2 s".
pub(super) fn cost(bytes: Option<u64>, time: Duration) -> String {
    let bytes = bytes.map(|bytes| format!(", {}", print::size(bytes))).unwrap_or_default();
    format!("{bytes}, in {:.1} s", time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn work(items: u64, bytes: u64) -> Bar {
        let bar = Bar { shown: Shown::Lines, command: "import".to_owned(), running: Mutex::default() };
        bar.run("importing", items, bytes);
        bar
    }

    fn look(bar: &Bar) -> Look {
        bar.running().as_ref().unwrap().work.look("progress", "import")
    }

    #[test]
    fn a_large_file_moves_while_it_is_read_and_counts_whole_when_it_ends() {
        let bar = work(3, 1000);
        let progress: &dyn Progress = &bar;
        let name = "big-1.0.whl";
        progress.on(name, 900, || {
            wcas::meter::passed(250);
            let seen = look(&bar);
            assert_eq!((seen.file.as_deref(), seen.done, seen.bytes), (Some(name), 0, 250));
            wcas::meter::passed(10_000);
            assert_eq!(look(&bar).bytes, 900, "a file that is read twice is no larger for that");
        });
        progress.on("known-1.0.whl", 60, || ());
        progress.on("unknown-size", 0, || wcas::meter::passed(70));
        let seen = look(&bar);
        assert_eq!((seen.file, seen.done, seen.total, seen.bytes, seen.bytes_total), (None, 3, 3, 1030, 1030));
        progress.finish();
        assert!(bar.running().is_none());
    }

    #[test]
    fn items_are_counted_where_there_are_no_bytes() {
        let bar = work(5, 0);
        bar.add(2);
        assert_eq!(look(&bar).numbers(&Pace::default()), "2/5");
        assert_eq!(look(&bar).position(), (2, 5));
        assert!(work(0, 0).running().is_none());
    }

    #[test]
    fn a_line_fits_the_terminal_and_has_a_bar_where_there_is_room() {
        let bar = work(3, 1000);
        let progress: &dyn Progress = &bar;
        progress.on("demo_with_a_long_name-1.0-py3-none-any.whl", 1000, || {
            wcas::meter::passed(500);
            let seen = look(&bar);
            let drawn = |columns| drawn(&seen, &Pace::default(), columns);
            let name = "demo_with_a_long_name-1.0-py3-n…";
            assert_eq!(drawn(79), format!("importing {name} [=======        ] 0/3  500 B/1.0 kB"));
            assert_eq!(drawn(70), format!("importing {name}  0/3  500 B/1.0 kB"));
            assert_eq!(drawn(40), "importing  0/3  500 B/1.0 kB");
            assert_eq!(drawn(20), "importing  0/3  50…");
            assert!((0..300).all(|columns| drawn(columns).width() < columns.max(2)));
        });
    }

    #[test]
    fn rate_and_time_left_are_told_once_they_are_known() {
        let bar = work(10, 3_000_000_000);
        let at = |bytes| Look { bytes, done: 4, ..look(&bar) };
        let mut pace = Pace::default();
        assert_eq!(at(0).numbers(&pace), "4/10  0 B/3.0 GB");
        pace.look(1.0, 0);
        assert_eq!(at(0).numbers(&pace), "4/10  0 B/3.0 GB", "what stands still has no end");
        let mut pace = Pace::default();
        pace.look(2.0, 200_000_000);
        assert_eq!(at(200_000_000).numbers(&pace), "4/10  200.0 MB/3.0 GB  100.0 MB/s  28 s left");
        assert_eq!(line(&at(200_000_000), &pace), "importing: 4 of 10, 200.0 MB of 3.0 GB, 100.0 MB/s, 28 s left");
        pace.look(2.0, 400_000_000);
        assert_eq!(pace.bytes, 200_000_000, "no time has passed");
        for (seconds, text) in [(119, "119 s"), (120, "2 min"), (7199, "119 min"), (7200, "2 h")] {
            assert_eq!(duration(seconds), text);
        }
    }
}
