//! The `testbed` program; `testbed --help` lists what it can do.

use std::io;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// A Jitsi host in a box.
#[derive(Debug, Parser)]
#[command(name = "testbed", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measure agent and API against bare loops in the same run, and compare with the aims.
    Bench(testbed::bench::Args),
    /// Hold a meeting on a real Prosody with a real recording, and show it arrive.
    Demo(testbed::demo::Args),
    /// Tail a file and post its lines in order: the floor that the agent is measured against.
    Floor(testbed::floor::cli::Args),
    /// Run an S3 server that keeps its objects in a directory.
    S3(testbed::s3::cli::Args),
    /// Receive an agent's deliveries, remember every id, misbehave on demand.
    Sink(testbed::sink::cli::Args),
}

fn main() -> ExitCode {
    let mut out = io::stdout();
    let done = match Cli::parse().command {
        Command::Bench(args) => testbed::bench::run(&args, &mut out),
        Command::Demo(args) => testbed::demo::run(&args, &mut out),
        Command::Floor(args) => testbed::floor::cli::run(&args),
        Command::S3(args) => testbed::s3::cli::run(&args, &mut out),
        Command::Sink(args) => testbed::sink::cli::run(&args, &mut out),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing is left to do if the error cannot be shown either.
            let _ = io::Write::write_all(&mut io::stderr(), format!("testbed: {error:#}\n").as_bytes());
            ExitCode::FAILURE
        }
    }
}
