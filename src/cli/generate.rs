//! `wcas completions`, `wcas man`

use super::app::App;
use super::{End, complete, manual};
use clap::Command;
use clap_complete::Shell;
use std::path::PathBuf;
use wcas::error::Result;
use wcas::fs;

/// Print what makes a shell complete commands, options, and the store's names
///
/// What is printed asks the program itself while somebody types. Collections, variants, remotes, projects, revisions, tokens and
/// publishers are read from the store that the line or the environment names; nothing is written, and nothing is waited for.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: wcas completions bash > /etc/bash_completion.d/wcas\n\
                        Example: wcas completions zsh > ~/.zfunc/_wcas\n\
                        Example: wcas completions fish > ~/.config/fish/completions/wcas.fish")]
pub(super) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

pub(super) fn completions(app: &App, args: CompletionsArgs) -> Result<End> {
    let script = complete::register(&args.shell.to_string()).map_err(fs::Error::at("render", "a script"))?;
    app.answer(|out| out.write_all(&script))?;
    Ok(End::Done)
}

/// Print the manual page, or write all of them
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: wcas man | man -l -\n\
                        Example: wcas man --to /usr/local/share/man/man1")]
pub(super) struct ManArgs {
    /// Write a page for each command into this folder
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
}

pub(super) fn man(app: &App, args: ManArgs, command: Command) -> Result<End> {
    let failed = fs::Error::at("render", "a manual page");
    let Some(dir) = args.to else {
        let page = manual::page("wcas", &command).map_err(failed)?;
        app.answer(|out| out.write_all(&page))?;
        return Ok(End::Done);
    };
    let pages = manual::pages(command).map_err(failed)?;
    fs::create_dir_all(&dir)?;
    for (name, page) in pages {
        fs::write_durable(&dir.join(format!("{name}.1")), &page)?;
    }
    Ok(End::Done)
}
