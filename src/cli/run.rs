//! `wcas run`

use super::app::App;
use super::{End, print};
use serde::Serialize;
use signal_hook::consts::SIGTERM;
use signal_hook::flag;
use signal_hook::iterator::Signals;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use wcas::digest::{Blake3, Digests};
use wcas::error::Result;
use wcas::name::CollectionName;
use wcas::ops::destination::Destination;
use wcas::ops::run::{Interpreter, RunFile, RunInputs};
use wcas::{Error, Store, ops};

/// Run a command that makes wheels, unless it made them of the same inputs before
///
/// The inputs are the files and folders of --key, the command's words, and what else is named. Where a run of the same inputs is
/// recorded, and the collection still has all that it made, those files are put into --out and nothing is run. Else the command is
/// run, and the wheels and sdists that are new or changed in --out are imported and recorded.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: wcas run --key setup.py src --key-env CUDA_HOME --python python3.12 --out dist -- \
                        python3.12 setup.py bdist_wheel -d dist")]
pub(super) struct Args {
    /// Files and folders whose contents count
    #[arg(long, value_name = "FILE", num_args = 1.., required = true)]
    key: Vec<PathBuf>,
    /// Environment variables whose values count
    #[arg(long, value_name = "NAME", num_args = 1..)]
    key_env: Vec<String>,
    /// The interpreter whose version, implementation and platform count
    #[arg(long, value_name = "PY")]
    python: Option<PathBuf>,
    /// Any other words that count, such as a compiler's version
    #[arg(long, value_name = "TEXT", num_args = 1..)]
    tag: Vec<String>,
    /// The folder where the command puts what it makes
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// The collection that gets what is made; made when there is none [default: shared]
    #[arg(long, value_name = "C", conflicts_with = "variant")]
    collection: Option<CollectionName>,
    /// Send what is made where the variant's rules say, and look for it in its order
    #[arg(long, value_name = "V")]
    variant: Option<CollectionName>,
    /// Say what differs from the nearest earlier run of the same command, where nothing fits
    #[arg(long)]
    explain: bool,
    /// Run the command whatever is recorded
    #[arg(long)]
    force: bool,
    /// The command, and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
}

#[derive(Serialize)]
struct Document<'a> {
    hit: bool,
    key: Blake3,
    files: &'a [RunFile],
    exit_code: u8,
}

/// What is asked of an interpreter.
const PROBE: &str = "import json, platform, sys, sysconfig
print(json.dumps({
    'implementation': sys.implementation.name,
    'version': platform.python_version(),
    'abi': sysconfig.get_config_var('SOABI') or '',
    'platform': sysconfig.get_platform(),
    'libc': '-'.join(platform.libc_ver()),
}))";

pub(super) fn run(app: &App, args: Args) -> Result<End> {
    let store = app.open_or_create()?;
    let inputs = inputs(app, &args)?;
    let key = inputs.key();
    let collection = || Destination::Collection(args.collection.clone().unwrap_or_else(CollectionName::shared));
    let destination = args.variant.clone().map_or_else(collection, Destination::Variant);
    let take = || match args.force {
        true => Ok(None),
        false => ops::run::take_run(&store, &app.context(), &key, &destination, &args.out),
    };
    if let Some(files) = take()? {
        return hit(app, &args, key, &files);
    }
    store.require_writable()?;
    let lock =
        store.locks().run(&key, || app.note("another run of the same inputs is at work; waiting for its end"))?;
    // It may have ended since the first look.
    let end = match take()? {
        Some(files) => hit(app, &args, key, &files),
        None => miss(app, &store, &args, &inputs, &destination),
    };
    lock.remove()?;
    end
}

/// Reads all that counts.
fn inputs(app: &App, args: &Args) -> Result<RunInputs> {
    let base = std::env::current_dir().map_err(wcas::fs::Error::at("look at", "the current folder"))?;
    let files = ops::run::read_key_files(&args.key, &base, &args.out, app.context().jobs)?;
    let value = |name: &String| {
        let digest = std::env::var_os(name).map(|value| Digests::of(value.as_bytes()).blake3);
        (name.clone(), digest)
    };
    let variables: BTreeMap<String, Option<Blake3>> = args.key_env.iter().map(value).collect();
    let interpreter = args.python.as_deref().map(probe).transpose()?;
    Ok(RunInputs::new(args.command.clone(), files, variables, interpreter, args.tag.clone()))
}

/// Asks an interpreter what it is.
fn probe(python: &Path) -> Result<Interpreter> {
    let refuse = |why: String| Error::Refused(format!("{} doesn't tell what it is: {why}", python.display()));
    let output = Command::new(python).args(["-I", "-c", PROBE]).stdin(Stdio::null()).output();
    let output = output.map_err(|error| refuse(error.to_string()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(refuse(said.lines().last().unwrap_or("it failed").to_owned()));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| refuse(error.to_string()))
}

fn hit(app: &App, args: &Args, key: Blake3, files: &[RunFile]) -> Result<End> {
    app.note(&format!("hit: {} in {}", print::count(files.len(), "file"), args.out.display()));
    tell(app, &Document { hit: true, key, files, exit_code: 0 })?;
    Ok(End::Done)
}

/// Runs the command, and imports and records what it made.
fn miss(app: &App, store: &Store, args: &Args, inputs: &RunInputs, destination: &Destination) -> Result<End> {
    if args.explain {
        explain(app, store, inputs)?;
    }
    let key = inputs.key();
    let begun = ops::run::begin_run(store, &app.context(), &key, &args.out)?;
    let code = execute(app, &args.command)?;
    if code != 0 {
        app.warn(&format!("the command failed with exit code {code}: nothing is imported"));
        tell(app, &Document { hit: false, key, files: &[], exit_code: code })?;
        return Ok(End::Exit(code));
    }
    let Some(report) = ops::run::finish_run(store, &app.context(), inputs, destination, &begun)? else {
        app.warn(&format!("the command made no wheel and no sdist in {}: nothing is recorded", args.out.display()));
        tell(app, &Document { hit: false, key, files: &[], exit_code: 1 })?;
        return Ok(End::Exit(1));
    };
    for warned in &report.import.warned {
        app.warn(&format!("warning: {}: {}", warned.path.display(), warned.reason));
    }
    for refused in &report.import.refused {
        app.warn(&format!("refused {}: {}", refused.path.display(), refused.reason));
    }
    let count = print::count(report.files.len(), "file");
    if report.is_recorded {
        app.note(&format!("made: {count} in {}", args.out.display()));
    } else {
        app.warn(&format!("{count} imported, but not all that was made: the next run makes it again"));
    }
    let end = if report.is_recorded { End::Done } else { End::Problems };
    let exit_code = if report.is_recorded { 0 } else { 3 };
    tell(app, &Document { hit: false, key, files: &report.files, exit_code })?;
    Ok(end)
}

fn explain(app: &App, store: &Store, inputs: &RunInputs) -> Result<()> {
    match ops::run::explain_run(store, inputs)? {
        None => app.warn("miss: there is no earlier run of this command"),
        Some(differences) if differences.is_empty() => {
            app.warn(
                "miss: an earlier run had the same inputs, but what it made isn't all there, or --force was given",
            );
        }
        Some(differences) => {
            app.warn("miss: in the nearest earlier run of this command");
            differences.iter().for_each(|text| app.warn(&format!("  {text}")));
        }
    }
    Ok(())
}

/// Runs a command to its end, and returns its exit code as a shell counts it.
fn execute(app: &App, words: &[String]) -> Result<u8> {
    let (program, rest) = words.split_first().expect("clap wants a word");
    let refuse = |error: std::io::Error| Error::Refused(format!("{program} can't be run: {error}"));
    let mut command = Command::new(OsStr::new(program));
    command.args(rest);
    if app.json {
        // Standard output is the document's.
        command.stdout(std::io::stderr().as_fd().try_clone_to_owned().map_err(refuse)?);
    }
    // A terminal's interrupt goes to the command, too: its end is waited for. A request to end is passed on.
    app.own_interrupts();
    let is_over = Arc::new(AtomicBool::new(false));
    flag::register_conditional_default(SIGTERM, is_over.clone()).map_err(refuse)?;
    let mut signals = Signals::new([SIGTERM]).map_err(refuse)?;
    let handle = signals.handle();
    let mut child = app.umask.during(|| command.spawn()).map_err(refuse)?;
    let pid = rustix::process::Pid::from_child(&child);
    // Without a thread more, the signal ends this process alone.
    let passing = std::thread::Builder::new().spawn(move || {
        for _ in &mut signals {
            // It fails only where the command has just ended.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
    });
    let status = child.wait();
    handle.close();
    // Nothing is left to be passed on.
    let _ = passing.map(std::thread::JoinHandle::join);
    app.leave_interrupts();
    is_over.store(true, Ordering::SeqCst);
    let status = status.map_err(refuse)?;
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
    Ok(u8::try_from(code).unwrap_or(u8::MAX))
}

/// Prints the document, where it was asked for.
fn tell(app: &App, document: &Document<'_>) -> Result<()> {
    app.report("run", document, |_| Ok(()))
}
