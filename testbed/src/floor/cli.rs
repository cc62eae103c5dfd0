//! `testbed floor`: the bare loop as a process of its own, so that its cost can be read like the agent's.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context;

/// Tail a file and post its lines in order: the floor that the agent is measured against.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The file to tail; it must exist.
    #[arg(long, value_name = "FILE")]
    spool: PathBuf,
    /// Where what was read is made durable before it is sent.
    #[arg(long, value_name = "FILE")]
    log: PathBuf,
    /// The sink's address.
    #[arg(long, value_name = "ADDRESS")]
    sink: SocketAddr,
}

/// Runs until the process is stopped.
pub fn run(args: &Args) -> anyhow::Result<()> {
    super::run(&args.spool, &args.log, args.sink)
        .with_context(|| format!("cannot go on between {} and {}", args.spool.display(), args.sink))
}
