//! The `reflector-agent` program: parses the command line and calls one subcommand.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    agent::cli::main(&agent::cli::Arguments::parse())
}
