//! The program `packaging`: hands the command line to [`packaging::documents`].

use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// Makes what the packages hold beyond the programs.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write manuals and completions below a directory, at the paths that they have in a package.
    Documents {
        /// The directory, which is made; a directory for each package is made in it.
        directory: PathBuf,
        /// The date that the manuals bear, as in 2026-01-31.
        #[arg(long)]
        date: String,
    },
}

fn main() -> anyhow::Result<()> {
    let Command::Documents { directory, date } = Arguments::parse().command;
    packaging::documents::write(&directory, &date)
}
