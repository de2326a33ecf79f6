//! The command line: arguments to plain values, one call of the library, the report printed.
//!
//! Answers go to standard output, everything else to standard error. One file a command.

mod app;
mod audit;
mod aws;
mod backup;
mod collection;
mod compare;
mod complete;
mod config;
mod diff;
mod doctor;
#[cfg(test)]
mod documents;
mod environment;
mod failure;
mod gc;
mod generate;
mod help;
mod import;
mod init;
mod inspect;
mod invalidate;
mod list;
mod listen;
mod log;
mod look;
mod lookup;
mod manual;
mod miss;
mod names;
mod output;
mod pager;
mod pgpass;
mod pin;
mod place;
mod prefetch;
mod print;
mod progress;
mod publisher;
mod pull;
mod push;
mod rebuild;
mod remote;
mod route;
mod run;
mod select;
mod serve;
mod settings;
mod share;
mod show;
mod sign;
mod site;
mod stats;
mod table;
mod token;
mod units;
mod upgrade;
mod verify;
mod view;
mod wants;
mod webhook;

use app::App;
use clap::{ArgMatches, FromArgMatches, Parser, Subcommand};
use signal_hook::consts::{SIGINT, SIGXFSZ};
use signal_hook::flag;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// A content-addressed store for Python wheels: each wheel once, collections as views of it.
#[derive(Debug, Parser)]
#[command(name = "wcas", version = env!("WCAS_VERSION"), max_term_width = 100, subcommand_required = true, arg_required_else_help = true)]
struct Cli {
    /// The store's folder [default: $WCAS_STORE, else `wcas` in the platform's data folder]
    #[arg(long, global = true, value_name = "DIR")]
    store: Option<PathBuf>,
    /// Print one JSON document instead of text
    #[arg(long, global = true)]
    json: bool,
    /// Print no notes and totals, only what was asked for and what is wrong
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// Print more: each file, not only totals
    #[arg(short, long, global = true)]
    verbose: bool,
    #[command(flatten)]
    output: output::Output,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Init(init::Args),
    Share(share::ShareArgs),
    Unshare(share::UnshareArgs),
    Backup(backup::BackupArgs),
    Restore(backup::RestoreArgs),
    Upgrade(upgrade::Args),
    Import(import::Args),
    Inspect(inspect::Args),
    Compare(compare::Args),
    Lookup(lookup::Args),
    Pull(pull::Args),
    Prefetch(prefetch::Args),
    Push(push::Args),
    Run(run::Args),
    View(view::Args),
    List(list::ListArgs),
    Show(show::ShowArgs),
    Why(show::WhyArgs),
    Log(log::Args),
    Stats(stats::Args),
    Wants(wants::Args),
    Audit(audit::Args),
    Collection(collection::Args),
    Remote(remote::Args),
    Config(config::Args),
    Route(route::Args),
    Reserve(names::ReserveArgs),
    Unreserve(names::UnreserveArgs),
    Block(names::BlockArgs),
    Unblock(names::UnblockArgs),
    Invalidate(invalidate::InvalidateArgs),
    Undo(invalidate::UndoArgs),
    Pin(pin::PinArgs),
    Unpin(pin::UnpinArgs),
    Yank(invalidate::YankArgs),
    Unyank(invalidate::UnyankArgs),
    Verify(verify::Args),
    Gc(gc::Args),
    Doctor(doctor::Args),
    Rebuild(rebuild::Args),
    Serve(serve::Args),
    Token(token::Args),
    Publisher(publisher::Args),
    Webhook(webhook::Args),
    Completions(generate::CompletionsArgs),
    Man(generate::ManArgs),
}

/// The exit code of an interrupted command: 128 and the number of SIGINT.
const INTERRUPTED: i32 = 130;

/// How a command ended, beside failing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// Done, or yes.
    Done,
    /// Done, and there were problems or refused inputs.
    Problems,
    /// No such thing.
    NotFound,
    /// As the command that was run says.
    Exit(u8),
}

/// Runs the program.
pub(crate) fn main() -> ExitCode {
    if complete::answered() {
        return ExitCode::SUCCESS;
    }
    let matches = help::command().color(look::colours_of(std::env::args_os())).get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    // A store survives the end of a process at any point, so an interrupt needs no more than its exit code. Without the handler, the
    // signal's default does as well.
    let ends = Arc::new(AtomicBool::new(true));
    let _ = flag::register_conditional_shutdown(SIGINT, INTERRUPTED, ends.clone());
    // A file that grows beyond the shell's limit is an error of its own, with a message, and no end without a word.
    let _ = flag::register(SIGXFSZ, Arc::default());
    #[cfg(debug_assertions)]
    let armed = std::env::var("WCAS_FAULT").is_ok_and(|fault| wcas::fs::fault::arm(&fault));
    #[cfg(debug_assertions)]
    if let Ok(step) = std::env::var("WCAS_STEP") {
        wcas::manifest::try_step(step);
    }
    wcas::parallel::fit_threads();
    wcas::share::on_profile(aws::profile);
    wcas::share::on_password(pgpass::password);
    if let Some(wait) = app::seconds("WCAS_LOCK_WAIT") {
        wcas::fs::set_lock_wait(wait);
    }
    if !cli.quiet {
        wcas::fs::on_wait(print::say);
    }
    let app = App::new(cli.store, cli.json, cli.quiet, cli.verbose, command_name(&matches), ends).showing(cli.output);
    let code = match run_again(&app, &matches, cli.command) {
        Ok(End::Done) => 0,
        Ok(End::Problems) => 3,
        Ok(End::NotFound) => 4,
        Ok(End::Exit(code)) => code,
        Err(error) => app.fail(&error),
    };
    #[cfg(debug_assertions)]
    if armed {
        wcas::fs::fault::trail().iter().for_each(|point| app.note(point));
        app.note(&format!("passed {} fault points", wcas::fs::fault::passed()));
    }
    ExitCode::from(code)
}

/// Returns the command's words, without its arguments.
fn command_name(matches: &ArgMatches) -> String {
    let steps = std::iter::successors(matches.subcommand(), |(_, matches)| matches.subcommand());
    steps.map(|(name, _)| name).collect::<Vec<_>>().join(" ")
}

/// Runs a command, again where another node of a shared store was faster: it decided on what isn't true any longer, and nothing of its
/// last change counts.
fn run_again(app: &App, matches: &ArgMatches, command: Command) -> wcas::error::Result<End> {
    let mut first = Some(command);
    wcas::store::despite_others(|| {
        let again = || Cli::from_arg_matches(matches).unwrap_or_else(|error| error.exit()).command;
        run(app, first.take().unwrap_or_else(again))
    })
}

fn run(app: &App, command: Command) -> wcas::error::Result<End> {
    match command {
        Command::Init(args) => init::run(app, args),
        Command::Share(args) => share::share(app, args),
        Command::Unshare(args) => share::unshare(app, args),
        Command::Backup(args) => backup::backup(app, args),
        Command::Restore(args) => backup::restore(app, args),
        Command::Upgrade(args) => upgrade::run(app, args),
        Command::Import(args) => import::run(app, args),
        Command::Inspect(args) => inspect::run(app, args),
        Command::Compare(args) => compare::run(app, args),
        Command::Lookup(args) => lookup::run(app, args),
        Command::Pull(args) => pull::run(app, args),
        Command::Prefetch(args) => prefetch::run(app, args),
        Command::Push(args) => push::run(app, args),
        Command::Run(args) => run::run(app, args),
        Command::View(args) => view::run(app, args),
        Command::List(args) => list::list(app, args),
        Command::Show(args) => show::show(app, args),
        Command::Why(args) => show::why(app, args),
        Command::Log(args) => log::run(app, args),
        Command::Stats(args) => stats::run(app, args),
        Command::Wants(args) => wants::run(app, args),
        Command::Audit(args) => audit::run(app, args),
        Command::Collection(args) => collection::run(app, args),
        Command::Remote(args) => remote::run(app, args),
        Command::Config(args) => config::run(app, args),
        Command::Route(args) => route::run(app, args),
        Command::Reserve(args) => names::reserve(app, args),
        Command::Unreserve(args) => names::unreserve(app, args),
        Command::Block(args) => names::block(app, args),
        Command::Unblock(args) => names::unblock(app, args),
        Command::Invalidate(args) => invalidate::invalidate(app, args),
        Command::Undo(args) => invalidate::undo(app, args),
        Command::Pin(args) => pin::pin(app, args),
        Command::Unpin(args) => pin::unpin(app, args),
        Command::Yank(args) => invalidate::yank(app, args),
        Command::Unyank(args) => invalidate::unyank(app, args),
        Command::Verify(args) => verify::run(app, args),
        Command::Gc(args) => gc::run(app, args),
        Command::Doctor(args) => doctor::run(app, args),
        Command::Rebuild(args) => rebuild::run(app, args),
        Command::Serve(args) => serve::run(app, args),
        Command::Token(args) => token::run(app, args),
        Command::Publisher(args) => publisher::run(app, args),
        Command::Webhook(args) => webhook::run(app, args),
        Command::Completions(args) => generate::completions(app, args),
        Command::Man(args) => generate::man(app, args, help::command()),
    }
}
