//! What every command shares: the store's place, the clock, where output goes, and how errors are told.

use super::environment::store_place;
use super::failure::Failure;
use super::look;
use super::miss::Miss;
use super::output::Output;
use super::pager::{self, Screen, is_broken_pipe, unwritten};
use super::print::{self, Column, Lines};
use super::progress::{self, Bar, Telling};
use serde::Serialize;
use std::cell::OnceCell;
use std::io::{self, BufWriter, IsTerminal, Read, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use wcas::context::Context;
use wcas::error::Result;
use wcas::manifest::{Actor, ActorKind};
use wcas::remote::{ClientOptions, LazyClient};
use wcas::{Error, Store};

pub(super) struct App {
    store: Option<PathBuf>,
    pub(super) json: bool,
    quiet: bool,
    pub(super) verbose: bool,
    pub(super) now: i64,
    who: String,
    actor: Actor,
    bar: Bar,
    has_pager: bool,
    started: Instant,
    client: LazyClient,
    /// The umask of the shell, for programs that are started.
    pub(super) umask: wcas::fs::Umask,
    /// Whether an interrupt ends the process.
    interrupts_end: Arc<AtomicBool>,
    /// What came by standard input, once it was read: a command may be run again.
    stdin: OnceCell<Vec<u8>>,
}

#[derive(Serialize)]
struct Document<'a, T> {
    schema: String,
    #[serde(flatten)]
    report: &'a T,
}

impl App {
    pub(super) fn new(
        store: Option<PathBuf>,
        json: bool,
        quiet: bool,
        verbose: bool,
        command: String,
        interrupts_end: Arc<AtomicBool>,
    ) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let user = ["USER", "LOGNAME"].iter().find_map(|name| std::env::var(name).ok());
        let host = wcas::fs::host_name();
        let id = wcas::fs::user_id();
        // The variable is whatever its owner says; the number is not.
        let name = wcas::fs::user_name(id).or(user.clone()).unwrap_or_else(|| "unknown".to_owned());
        // cron and containers may set none.
        let who = format!("{}@{host}", user.as_deref().unwrap_or(&name));
        let actor = Actor { kind: ActorKind::User, id: Some(id.into()), name, origin: host.clone(), command };
        Self {
            store,
            json,
            quiet,
            verbose,
            now: now.cast_signed(),
            who,
            actor,
            bar: Bar::new(Telling::Never, quiet, verbose, ""),
            started: Instant::now(),
            has_pager: true,
            client: LazyClient::new(client_options()),
            umask: wcas::fs::set_umask(),
            interrupts_end,
            stdin: OnceCell::new(),
        }
    }

    /// Shows answers as it is wanted.
    pub(super) fn showing(mut self, output: Output) -> Self {
        look::set(output.color, self.now);
        self.bar = Bar::new(output.progress, self.quiet, self.verbose, &self.actor.command);
        self.has_pager = !output.no_pager && !self.json;
        self
    }

    /// Returns the store's folder.
    pub(super) fn store_path(&self) -> Result<PathBuf> {
        store_place(self.store.clone())
    }

    pub(super) fn open(&self) -> Result<Store> {
        self.joined(Store::open(&self.store_path()?)?)
    }

    /// Opens the store for a command that changes it, or only tells what it would do.
    pub(super) fn open_or_rehearse(&self, is_dry_run: bool) -> Result<Store> {
        if is_dry_run { self.open_to_rehearse() } else { self.open() }
    }

    /// Opens the store as a reader, to try on a copy what a command would do.
    pub(super) fn open_to_rehearse(&self) -> Result<Store> {
        Ok(self.acting(Store::open_to_rehearse(&self.store_path()?)?))
    }

    /// Opens the store, or an imagined one where there is none, to try on a copy what a command would do.
    pub(super) fn open_or_imagine(&self) -> Result<Store> {
        Ok(self.acting(Store::open_or_imagine(&self.store_path()?)?))
    }

    /// Opens the store for a command that gives room back.
    pub(super) fn open_to_free_room(&self) -> Result<Store> {
        self.joined(Store::open_to_free_room(&self.store_path()?)?)
    }

    pub(super) fn open_or_create(&self) -> Result<Store> {
        self.joined(Store::open_or_create(&self.store_path()?)?)
    }

    /// Makes a store, as a node of a share where one is said.
    pub(super) fn create(&self, share: Option<wcas::store::Membership>) -> Result<Store> {
        Store::create(&self.store_path()?, share)?;
        self.open()
    }

    /// Lets a store that was made as a node of a share be one, and tells where it can't follow it.
    fn joined(&self, store: Store) -> Result<Store> {
        let store = self.acting(store);
        store.join()?;
        if let Some(why) = store.behind() {
            self.note(&format!("the shared store's log can't be followed, so what is told may be old: {why}"));
        }
        Ok(store)
    }

    fn acting(&self, mut store: Store) -> Store {
        store.manifest.set_actor(self.actor.clone());
        store
    }

    pub(super) fn context(&self) -> Context<'_> {
        let jobs = std::thread::available_parallelism().map_or(1, usize::from);
        Context { now: self.now, who: &self.who, jobs, progress: &self.bar, client: Some(&self.client) }
    }

    /// Returns who asks, for the log.
    pub(super) fn actor(&self) -> &Actor {
        &self.actor
    }

    /// Returns another client, for a command that keeps it; a page takes no longer than this.
    pub(super) fn new_client(&self, page_deadline: std::time::Duration) -> LazyClient {
        LazyClient::new(ClientOptions { page_deadline, ..client_options() })
    }

    /// Takes interrupts from the default handler, for a command that ends by its own.
    pub(super) fn own_interrupts(&self) {
        self.interrupts_end.store(false, Ordering::SeqCst);
    }

    /// Gives interrupts back to the default handler.
    pub(super) fn leave_interrupts(&self) {
        self.interrupts_end.store(true, Ordering::SeqCst);
    }

    /// Writes a document to standard output, as it is: programs read it. To a terminal what would not be shown goes as escapes.
    pub(super) fn answer(&self, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<()> {
        if !io::stdout().is_terminal() {
            return self.raw(write);
        }
        let mut document = Vec::new();
        write(&mut document).map_err(wcas::fs::Error::at("write", "standard output"))?;
        self.raw(|out| Lines::new(out, look::of_answers()).write_all(&document))
    }

    fn raw(&self, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<()> {
        self.buffered((1 << 16, None), |out| write(out).map_err(unwritten))
    }

    /// Writes text for people, by a pager where it is an answer that may be long.
    fn text(&self, command: &str, write: impl FnOnce(&mut Lines<'_>) -> io::Result<()>) -> Result<()> {
        let pager = pager::of(command, self.has_pager);
        self.buffered((1 << 16, pager), |out| write(&mut Lines::new(out, look::of_answers())).map_err(unwritten))
    }

    /// Writes an answer. Whoever reads it may leave when he has enough: that is no error, and changes nothing of how the command ends.
    fn buffered(&self, of: (usize, Option<String>), write: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<()> {
        match self.written(of, write) {
            Err(error) if is_broken_pipe(&error) => Ok(()),
            done => done,
        }
    }

    fn written(
        &self,
        (capacity, pager): (usize, Option<String>),
        write: impl FnOnce(&mut dyn Write) -> Result<()>,
    ) -> Result<()> {
        let screen = Screen::new(pager, &self.umask, &self.interrupts_end);
        let mut out = BufWriter::with_capacity(capacity, screen);
        let done = write(&mut out).and_then(|()| out.flush().map_err(unwritten));
        // What could not be written must not be tried again when the buffer is dropped.
        let (screen, _) = out.into_parts();
        let ended = screen.end().map_err(unwritten);
        done.and(ended)
    }

    /// Prints a report as JSON where that was asked for; else as `text` writes it.
    pub(super) fn report<T: Serialize>(
        &self,
        command: &str,
        report: &T,
        text: impl FnOnce(&mut Lines<'_>) -> io::Result<()>,
    ) -> Result<()> {
        if self.json { self.document(command, report) } else { self.text(command, text) }
    }

    /// Prints a list as a table. One that is empty is an answer, too: a note says so, and programs get nothing, or an empty list.
    pub(super) fn table<T: Serialize, const N: usize>(
        &self,
        command: &str,
        report: &T,
        columns: [impl Into<Column>; N],
        (rows, if_empty): (impl IntoIterator<Item = [String; N]>, &str),
    ) -> Result<()> {
        if self.json {
            return self.document(command, report);
        }
        let rows: Vec<[String; N]> = rows.into_iter().collect();
        if rows.is_empty() {
            self.note(if_empty);
            return Ok(());
        }
        self.text(command, |out| print::table(out, columns, &rows))
    }

    /// Prints a list that may be longer than one wants to hold, row by row as `walk` shows them; in a document it is the array of
    /// this name. Returns whether it was empty.
    pub(super) fn long_table<T: Serialize, const N: usize>(
        &self,
        (command, name): (&str, &str),
        columns: [impl Into<Column>; N],
        (row, if_empty): (impl Fn(&T) -> [String; N], &str),
        walk: impl FnOnce(&mut dyn FnMut(T) -> Result<()>) -> Result<()>,
    ) -> Result<bool> {
        let mut count = 0;
        self.buffered((LONG_BYTES, pager::of(command, self.has_pager)), |out| {
            if !self.json {
                let mut table = print::Table::new(columns);
                let look = look::of_answers();
                walk(&mut |item| {
                    count += 1;
                    table.add(&mut Lines::new(out, look), row(&item)).map_err(unwritten)
                })?;
                return table.end(&mut Lines::new(out, look)).map_err(unwritten);
            }
            // What fails before the first row leaves no document behind.
            let opening = format!("{{\"schema\":\"wcas.{command}/1\",\"{name}\":[");
            walk(&mut |item| {
                let before = if count == 0 { &opening } else { "," };
                count += 1;
                out.write_all(before.as_bytes()).map_err(unwritten)?;
                serde_json::to_writer(&mut *out, &item).map_err(|error| unwritten(error.into()))
            })?;
            writeln!(out, "{}]}}", if count == 0 { &opening } else { "" }).map_err(unwritten)
        })?;
        if count == 0 && !self.json {
            self.note(if_empty);
        }
        Ok(count == 0)
    }

    /// Prints a report whose text is for programs, too: a path, a document.
    pub(super) fn report_as_is<T: Serialize>(
        &self,
        command: &str,
        report: &T,
        text: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<()> {
        if self.json { self.document(command, report) } else { self.answer(text) }
    }

    /// Prints what somebody must take: that nobody reads any more is an error, too.
    pub(super) fn report_to_somebody<T: Serialize>(&self, command: &str, report: &T, text: &str) -> Result<()> {
        let write =
            |out: &mut dyn Write| if self.json { document(out, command, report) } else { writeln!(out, "{text}") };
        self.written((1 << 16, None), |out| write(out).map_err(unwritten))
    }

    fn document<T: Serialize>(&self, command: &str, report: &T) -> Result<()> {
        self.raw(|out| document(out, command, report))
    }

    /// Prints what an action did: as JSON where that was asked for, as text unless nothing should be said.
    pub(super) fn done<T: Serialize>(
        &self,
        command: &str,
        report: &T,
        text: impl FnOnce(&mut Lines<'_>) -> io::Result<()>,
    ) -> Result<()> {
        if self.quiet && !self.json { Ok(()) } else { self.report(command, report, text) }
    }

    /// Returns what work cost, for the end of the line that tells of it; nothing where that line is for programs.
    pub(super) fn cost(&self, bytes: Option<u64>) -> String {
        let is_told = self.verbose || io::stdout().is_terminal();
        if is_told { progress::cost(bytes, self.started.elapsed()) } else { String::new() }
    }

    /// Says something that is no answer.
    pub(super) fn note(&self, text: &str) {
        if !self.quiet {
            self.warn(text);
        }
    }

    /// Says what is wrong, even when notes are not wanted.
    pub(super) fn warn(&self, text: &str) {
        print::say(text);
    }

    /// Returns all of standard input.
    pub(super) fn stdin(&self) -> Result<&[u8]> {
        if self.stdin.get().is_none() {
            let mut bytes = Vec::new();
            io::stdin().lock().read_to_end(&mut bytes).map_err(wcas::fs::Error::at("read", "standard input"))?;
            let _ = self.stdin.set(bytes);
        }
        Ok(self.stdin.get().map(Vec::as_slice).unwrap_or_default())
    }

    /// Asks a question on the terminal; without one the answer is no.
    pub(super) fn confirm(&self, question: &str) -> bool {
        if !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
            return false;
        }
        let _ = write!(io::stderr(), "{} [y/N] ", print::escaped(question));
        let mut line = String::new();
        io::stdin().read_line(&mut line).is_ok() && matches!(line.trim(), "y" | "Y" | "yes")
    }

    /// Tells an error with its causes and what to do next, and returns the exit code.
    pub(super) fn fail(&self, error: &Error) -> u8 {
        self.fail_near(error, Vec::new())
    }

    /// Tells an error, and what is near to the specifications that it is about.
    pub(super) fn fail_near(&self, error: &Error, misses: Vec<Miss>) -> u8 {
        self.bar.clear();
        let told = Failure::of(error, misses);
        told.lines(self.quiet).iter().for_each(|line| self.warn(line));
        if self.json {
            let _ = writeln!(io::stderr(), "{}", told.document());
        }
        told.exit_code
    }
}

fn document<T: Serialize>(out: &mut dyn Write, command: &str, report: &T) -> io::Result<()> {
    serde_json::to_writer(&mut *out, &Document { schema: format!("wcas.{command}/1"), report })?;
    writeln!(out)
}

/// So much of a long list is held before its reader has to take it: while rows come, the manifest is kept from shrinking its log, and
/// a pager may stand for hours.
const LONG_BYTES: usize = 64 << 20;

/// Returns a time in seconds that the environment says.
pub(super) fn seconds(name: &str) -> Option<std::time::Duration> {
    let number = std::env::var(name).ok()?.parse().ok()?;
    std::time::Duration::try_from_secs_f64(number).ok()
}

/// Returns how remotes are asked: as the environment says.
fn client_options() -> ClientOptions {
    let default = ClientOptions::default();
    let netrc = std::env::var_os("NETRC").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".netrc"));
    ClientOptions {
        connect_timeout: seconds("WCAS_CONNECT_TIMEOUT").unwrap_or(default.connect_timeout),
        stall_timeout: seconds("WCAS_STALL_TIMEOUT").unwrap_or(default.stall_timeout),
        netrc: netrc.or_else(home),
        variable: std::sync::Arc::new(|name| std::env::var(name).ok()),
        ..default
    }
}
