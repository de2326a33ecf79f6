//! `wcas config`

use super::app::App;
use super::{End, print};
use clap::Subcommand;
use serde::Serialize;
use std::path::{Path, PathBuf};
use wcas::error::Result;
use wcas::ops;
use wcas::ops::config::{ApplyOptions, Config, ConfigChange, SettingChange};

/// Keep a store's settings in a file: collections, variants, overrides, remotes
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: wcas config show > wcas.toml; wcas config apply wcas.toml --dry-run")]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print all settings as TOML; secrets are never among them
    Show,
    /// Make the store match a file, all or nothing
    ///
    /// A section of the file is complete: remotes that it doesn't list are removed, if it lists any, and so on. A section that
    /// is left out changes nothing. Distributions stay in any case, and so do all collections. Files of requirements that a variant
    /// names (requirements-files) are found beside the file.
    Apply {
        /// The file; `-`: standard input
        file: PathBuf,
        /// Change nothing, print what would change
        #[arg(long)]
        dry_run: bool,
        /// Take the settings of collections away that the file doesn't list, if it lists any
        #[arg(long)]
        prune: bool,
        /// Take away, too, what protects and the file doesn't have: blocks, reservations, what is open, quarantines, who must sign
        #[arg(long)]
        unprotect: bool,
    },
}

#[derive(Serialize)]
struct ShowDocument<'a> {
    config: &'a Config,
}

pub(super) fn run(app: &App, args: Args) -> Result<End> {
    match args.command {
        Command::Show => {
            let config = ops::config::show_config(&app.open()?)?;
            let text = config.to_toml()?;
            app.report_as_is("config-show", &ShowDocument { config: &config }, |out| write!(out, "{text}"))?;
        }
        Command::Apply { file, dry_run, prune, unprotect } => {
            let place = if file == Path::new("-") { PathBuf::from("standard input") } else { file.clone() };
            let mut config = Config::parse(&read(app, &file, &place)?, &place.display().to_string())?;
            for note in config.read_files(file.parent().unwrap_or(Path::new("")))? {
                app.note(&note);
            }
            let store = if dry_run { app.open_or_imagine()? } else { app.open_or_create()? };
            let report = ops::config::apply_config(
                &store,
                &app.context(),
                &config,
                &ApplyOptions { prune, unprotect, dry_run },
            )?;
            app.report("config-apply", &report, |out| {
                report.changes.iter().try_for_each(|change| writeln!(out, "{}", line(change)))
            })?;
            if dry_run && !unprotect && !report.lifted.is_empty() {
                app.warn(&format!("without --unprotect this is refused, since it lifts {}", report.lifted.join(", ")));
            }
            let changes = print::count(report.changes.len(), "change");
            app.note(&match (report.changes.is_empty(), dry_run) {
                (true, _) => "nothing to change".to_owned(),
                (_, true) => format!("{changes} to make"),
                (_, false) => format!("{changes} made"),
            });
        }
    }
    Ok(End::Done)
}

fn read(app: &App, file: &Path, place: &Path) -> Result<String> {
    let bytes = if file == Path::new("-") {
        app.stdin()?.to_vec()
    } else {
        std::fs::read(file).map_err(wcas::fs::Error::at("read", place))?
    };
    let text = String::from_utf8(bytes).map_err(|_| std::io::Error::from(std::io::ErrorKind::InvalidData));
    Ok(text.map_err(wcas::fs::Error::at("read", place))?)
}

fn line(change: &ConfigChange) -> String {
    let sign = match change.change {
        "added" => '+',
        "removed" => '-',
        _ => '~',
    };
    let is_told = change.change != "removed";
    let settings: Vec<String> = change.settings.iter().filter(|_| is_told).map(setting).collect();
    let settings = if settings.is_empty() { String::new() } else { format!(": {}", settings.join(", ")) };
    format!("{sign} {} {}{settings}", change.kind, change.name)
}

fn setting(setting: &SettingChange) -> String {
    let key = &setting.key;
    match (&setting.before, &setting.after) {
        (None, Some(after)) => format!("{key} = {after}"),
        (Some(before), None) => format!("{key} = {before} -> unset"),
        (Some(before), Some(after)) => format!("{key} = {before} -> {after}"),
        (None, None) => key.clone(),
    }
}
