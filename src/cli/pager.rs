//! Answers that are longer than the screen go to a pager.

use super::look;
use std::io::{self, IsTerminal, Write};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use wcas::Error;
use wcas::fs::Umask;

/// The answers that may be long and are for reading; what else is printed tells what was done.
const READ: [&str; 23] = [
    "list",
    "show",
    "why",
    "log",
    "stats",
    "wants",
    "doctor",
    "inspect",
    "compare",
    "audit",
    "collection-list",
    "collection-show",
    "collection-log",
    "collection-diff",
    "remote-list",
    "route-list",
    "route-show",
    "tokens",
    "publisher-list",
    "webhook-list",
    "webhook-deliveries",
    "pin",
    "block",
];

/// Returns the pager's command line for an answer to a command, unless it is to be printed as it is.
pub(super) fn of(command: &str, is_wanted: bool) -> Option<String> {
    let is_read = is_wanted && READ.contains(&command) && io::stdout().is_terminal() && look::is_able();
    is_read.then(|| chosen(&|name| std::env::var(name).ok()))?
}

/// Returns the pager that the environment says; an empty one, and `cat`, is none.
fn chosen(variable: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    let said = variable("WCAS_PAGER").or_else(|| variable("PAGER")).unwrap_or_else(|| "less".to_owned());
    let said = said.trim();
    (!said.is_empty() && said != "cat").then(|| said.to_owned())
}

/// Returns how a pager is started: by a shell only where its words need one.
fn command(line: &str) -> Command {
    let needs_shell = line.contains(|c| "|&;<>()$`\\\"'*?[#~=%".contains(c));
    let mut words = line.split_whitespace();
    let mut command = match words.next().filter(|_| !needs_shell) {
        Some(program) => {
            let mut command = Command::new(program);
            command.args(words);
            command
        }
        None => {
            let mut command = Command::new("sh");
            command.args(["-c", line]);
            command
        }
    };
    // It ends at once where all is on the screen, shows colours, and leaves the text there.
    if std::env::var_os("LESS").is_none() {
        command.env("LESS", "FRX");
    }
    command.stdin(Stdio::piped());
    command
}

/// Standard output: what fits on the screen, or has no pager, as it is, what is longer by the pager.
pub(super) struct Screen<'a> {
    /// The pager, until it is started.
    pager: Option<String>,
    umask: &'a Umask,
    /// Whether an interrupt ends the process: not while somebody reads by a pager, which has interrupts of its own.
    interrupts_end: &'a Arc<AtomicBool>,
    head: Vec<u8>,
    child: Option<Child>,
}

impl<'a> Screen<'a> {
    pub(super) fn new(pager: Option<String>, umask: &'a Umask, interrupts_end: &'a Arc<AtomicBool>) -> Self {
        Self { pager, umask, interrupts_end, head: Vec::new(), child: None }
    }

    /// Tells whether the head takes more lines than the screen has beside the shell's next prompt.
    fn is_long(&self) -> bool {
        let (columns, lines) = look::of_answers().size.unwrap_or((80, 24));
        let taken = self.head.split_inclusive(|byte| *byte == b'\n').map(|line| 1 + line.len() / (columns + 1));
        taken.sum::<usize>() >= lines
    }

    fn start(&mut self) -> io::Result<()> {
        let Some(line) = self.pager.take() else { return Ok(()) };
        let mut command = command(&line);
        self.interrupts_end.store(false, Ordering::SeqCst);
        self.child = self.umask.during(|| command.spawn()).ok();
        if self.child.is_none() {
            self.interrupts_end.store(true, Ordering::SeqCst);
        }
        self.give_head()
    }

    fn give_head(&mut self) -> io::Result<()> {
        let head = std::mem::take(&mut self.head);
        self.to().write_all(&head)
    }

    fn to(&mut self) -> Box<dyn Write + '_> {
        match self.child.as_mut().and_then(|child| child.stdin.as_mut()) {
            Some(stdin) => Box::new(stdin),
            None => Box::new(io::stdout()),
        }
    }

    /// Ends the answer, and waits until its reader has read enough of it.
    pub(super) fn end(mut self) -> io::Result<()> {
        self.pager = None;
        let given = self.give_head().and_then(|()| self.to().flush());
        let Some(mut child) = self.child.take() else { return given };
        drop(child.stdin.take());
        let _ = child.wait();
        self.interrupts_end.store(true, Ordering::SeqCst);
        Ok(())
    }
}

impl Write for Screen<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.pager.is_none() {
            return self.to().write(bytes);
        }
        self.head.extend_from_slice(bytes);
        if self.is_long() {
            self.start()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.pager.is_none() { self.to().flush() } else { Ok(()) }
    }
}

/// Returns the error of an answer that could not be written.
pub(super) fn unwritten(source: io::Error) -> Error {
    Error::Disk(wcas::fs::Error { act: "write", path: "standard output".into(), source })
}

/// Whoever read standard output has had enough: that is no error.
pub(super) fn is_broken_pipe(error: &Error) -> bool {
    let kind = match error {
        Error::Disk(error) => error.source.kind(),
        _ => return false,
    };
    kind == io::ErrorKind::BrokenPipe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pager_is_what_the_environment_says() {
        for (own, general, pager) in [
            (None, None, Some("less")),
            (None, Some("more"), Some("more")),
            (None, Some(""), None),
            (Some("less -S"), Some("more"), Some("less -S")),
            (Some(""), Some("more"), None),
            (Some(" cat "), None, None),
            (None, Some("cat"), None),
        ] {
            let variable = |name: &str| match name {
                "WCAS_PAGER" => own.map(str::to_owned),
                "PAGER" => general.map(str::to_owned),
                _ => None,
            };
            assert_eq!(chosen(&variable).as_deref(), pager, "{own:?} {general:?}");
        }
    }
}
