//! The two command lines.

use clap::CommandFactory;

/// The command lines of both programs, complete with what clap adds to them.
pub fn all() -> [clap::Command; 2] {
    [agent::cli::Arguments::command(), api::cli::command()].map(|mut program| {
        program.build();
        program
    })
}
