//! The `reflector-agent` program: parses the command line and calls one subcommand.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    match agent::cli::Arguments::try_parse() {
        Ok(arguments) => agent::cli::main(&arguments),
        Err(error) => agent::cli::misused(&error),
    }
}
