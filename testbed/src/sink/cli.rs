//! `testbed sink`: the sink as a program of its own.

use std::io::Write;
use std::net::SocketAddr;
use std::thread;

use anyhow::Context;
use contract::signature::Secrets;

use super::Sink;

/// Receive an agent's deliveries, remember every id, misbehave on demand.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where to listen; port 0 takes any free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:1250")]
    listen: SocketAddr,
    /// The shared secrets with which both signatures of a request must verify; without it any request is taken.
    #[arg(long, env = "JITSI_WEBHOOK_SECRET", hide_env_values = true, value_parser = Secrets::parse)]
    secret: Option<Secrets>,
}

/// Runs a sink until the process is stopped.
pub fn run(args: &Args, out: &mut impl Write) -> anyhow::Result<()> {
    let sink = Sink::start_with(args.listen, args.secret.clone())
        .with_context(|| format!("cannot listen on {}; is the port free?", args.listen))?;
    writeln!(out, "listening on {0}\n  GET {0}/testbed/summary\n  PUT {0}/testbed/faults", sink.url())?;
    out.flush()?;
    loop {
        thread::park();
    }
}
