//! The two command lines.

use clap::{Command, CommandFactory};

/// The command lines of both programs.
pub fn all() -> [Command; 2] {
    [agent::cli::Arguments::command(), api::cli::command()]
}
