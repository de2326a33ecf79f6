//! `wcas`: a content-addressed store for Python wheels.
//!
//! The binary sees only the library's public names. It alone reads the environment, the clock and the terminal.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
