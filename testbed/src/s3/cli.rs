//! `testbed s3`: the server as a program of its own.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::thread;

use anyhow::Context;

use super::{BUCKET, Keys, S3};

/// Run an S3 server that keeps its objects in a directory.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where objects are kept.
    #[arg(long, value_name = "DIRECTORY")]
    directory: PathBuf,
    /// Where to listen; port 0 takes any free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9000")]
    listen: SocketAddr,
    /// The id of the access key; without it a key is made and printed.
    #[arg(long, env = "AWS_ACCESS_KEY_ID", requires = "secret_key")]
    access_key: Option<String>,
    /// The access key's secret.
    #[arg(long, env = "AWS_SECRET_ACCESS_KEY", hide_env_values = true, requires = "access_key")]
    secret_key: Option<String>,
}

/// Runs a server until the process is stopped.
pub fn run(args: &Args, out: &mut impl Write) -> anyhow::Result<()> {
    let given = args.access_key.clone().zip(args.secret_key.clone());
    let is_new = given.is_none();
    let keys = given.map_or_else(Keys::random, |(access_key, secret_key)| Keys { access_key, secret_key });
    let server = S3::start_with(args.listen, &args.directory, keys)
        .with_context(|| format!("cannot listen on {}; is the port free?", args.listen))?;
    writeln!(out, "listening on {} with the bucket {BUCKET}", server.url())?;
    if is_new {
        let Keys { access_key, secret_key } = server.keys();
        writeln!(
            out,
            "  export AWS_ACCESS_KEY_ID={access_key}\n  export AWS_SECRET_ACCESS_KEY={secret_key}"
        )?;
    }
    out.flush()?;
    loop {
        thread::park();
    }
}
