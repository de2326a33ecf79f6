//! `wcas completions`, `wcas man`

use super::End;
use super::app::App;
use clap::Command;
use clap_complete::Shell;
use std::path::PathBuf;
use wcas::error::Result;
use wcas::fs;

/// Print completions for a shell
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: wcas completions bash > /etc/bash_completion.d/wcas")]
pub(super) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

pub(super) fn completions(app: &App, args: CompletionsArgs, command: &mut Command) -> Result<End> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, command, "wcas", &mut script);
    app.answer(|out| out.write_all(&script))?;
    Ok(End::Done)
}

/// Print the manual page, or write all of them
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: wcas man --to /usr/local/share/man/man1")]
pub(super) struct ManArgs {
    /// Write a page for each command into this folder
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
}

pub(super) fn man(app: &App, args: ManArgs, command: Command) -> Result<End> {
    let render = |command: Command| {
        let mut page = Vec::new();
        let done = clap_mangen::Man::new(command).render(&mut page);
        done.map(|()| page).map_err(fs::Error::at("render", "a manual page"))
    };
    let Some(dir) = args.to else {
        let page = render(command)?;
        app.answer(|out| out.write_all(&page))?;
        return Ok(End::Done);
    };
    fs::create_dir_all(&dir)?;
    let mut built = command;
    built.build();
    let mut pages = vec![("wcas".to_owned(), built.clone())];
    while let Some((name, command)) = pages.pop() {
        for child in command.get_subcommands().filter(|child| child.get_name() != "help") {
            pages.push((format!("{name}-{}", child.get_name()), child.clone()));
        }
        // A page's title needs a name of its own, which clap wants to live as long as the program.
        let title: &'static str = Box::leak(name.clone().into_boxed_str());
        fs::write_durable(&dir.join(format!("{name}.1")), &render(command.name(title))?)?;
    }
    Ok(End::Done)
}
