//! `wcas`: a content-addressed store for Python wheels.
//!
//! The binary sees only the library's public names. It alone reads the environment, the clock and the terminal.

mod cli;

use std::io::Write as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    // A fault of the program's own, or memory that a library wants and can't have, is a failure like others to whoever runs it.
    std::panic::catch_unwind(cli::main).unwrap_or_else(|_| {
        let what = "wcas: ended by a fault of its own, told above: what was acknowledged stays, and the command may be run again";
        drop(writeln!(std::io::stderr(), "{what}"));
        ExitCode::FAILURE
    })
}
