//! Programs that are run and measured.

use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// What a run took.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    /// Seconds on the clock.
    pub(crate) wall: f64,
    /// Seconds of processor time, in the kernel and out of it; steps of 10 ms.
    pub(crate) cpu: f64,
    /// The most memory that it had, in MiB; nought where it was not asked for.
    pub(crate) memory: f64,
}

/// Returns the program that is measured.
pub(crate) fn wcas(store: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wcas"));
    command.arg("--quiet").arg("--store").arg(store).args(arguments);
    command
}

/// Returns a program with arguments, separated by spaces, and paths.
pub(crate) fn program(words: &str, paths: &[&Path]) -> Command {
    let mut words = words.split(' ');
    let mut command = Command::new(words.next().unwrap_or_default());
    command.args(words).args(paths);
    command
}

/// Returns a shell's command line; `$1`, `$2` and so on are the paths.
pub(crate) fn shell(line: &str, paths: &[&Path]) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", line, "sh"]).args(paths);
    command
}

/// Runs a program, its output thrown away, and measures it.
pub(crate) fn measure(command: &mut Command) -> Usage {
    let start = Instant::now();
    let child = quiet(command);
    end(child, start, command)
}

/// Runs a program and measures its memory, too. Looking costs a little time.
pub(crate) fn measure_memory(command: &mut Command) -> Usage {
    let start = Instant::now();
    let child = quiet(command);
    let status = format!("/proc/{}/status", child.id());
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        // A process that has ended tells no longer how much it had.
        let watch = scope.spawn(|| {
            let mut most = 0.0;
            while !is_over.load(Ordering::Relaxed) {
                most = peak(&status).unwrap_or(most);
                thread::sleep(Duration::from_millis(2));
            }
            most
        });
        let usage = end(child, start, command);
        is_over.store(true, Ordering::Relaxed);
        Usage { memory: watch.join().unwrap_or_default(), ..usage }
    })
}

/// Runs a program that prepares or tidies up, which must succeed.
pub(crate) fn run(command: &mut Command) {
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).status();
    let is_done = status.as_ref().is_ok_and(std::process::ExitStatus::success);
    assert!(is_done, "{command:?}: {status:?}");
}

/// Finds a program: by this variable, else in the search path.
pub(crate) fn find(name: &str, variable: &str) -> Option<PathBuf> {
    let named = std::env::var_os(variable).map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    named.or_else(|| std::env::split_paths(&path).map(|dir| dir.join(name)).find(|path| path.is_file()))
}

fn quiet(command: &mut Command) -> Child {
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    child.unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

fn end(mut child: Child, start: Instant, command: &Command) -> Usage {
    let pid = Pid::from_raw(child.id().cast_signed()).expect("a child has a number");
    // Its figures can be read as long as nobody has taken its exit code.
    let ended = waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT);
    let wall = start.elapsed().as_secs_f64();
    ended.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let cpu = cpu(&format!("/proc/{}/stat", child.id())).unwrap_or(f64::NAN);
    let status = child.wait().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    // 3: some of the real wheels may be refused, which costs as much. 4: a miss is an answer.
    assert!(matches!(status.code(), Some(0 | 3 | 4)), "{command:?}: {status}");
    Usage { wall, cpu, memory: 0.0 }
}

/// Returns the processor time of a process and of its children that ended, which Linux tells in hundredths of a second.
fn cpu(stat: &str) -> Option<f64> {
    let text = fs::read_to_string(stat).ok()?;
    // The second field is the program's name and may have spaces; utime, stime, cutime and cstime are the fields 14 to 17.
    let ticks =
        text.rsplit_once(')')?.1.split_whitespace().skip(11).take(4).filter_map(|field| field.parse::<f64>().ok());
    Some(ticks.sum::<f64>() / 100.0)
}

/// Returns the most memory that this process had, in MiB.
pub(crate) fn own_memory() -> f64 {
    peak("/proc/self/status").unwrap_or(f64::NAN)
}

fn peak(status: &str) -> Option<f64> {
    let text = fs::read_to_string(status).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse::<f64>().ok().map(|kilobytes| kilobytes / 1024.0)
}
