//! `reflector-api serve`.

use std::io::Write;
use std::net::SocketAddr;
use std::process::ExitCode;

use super::{configuration, logging};
use crate::app;

/// Threads that run requests. The work is waiting; more would only cost memory.
const WORKERS: usize = 2;

/// The command's options.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Address and port to serve on, in place of `REFLECTOR_API_LISTEN` [default: 127.0.0.1:1250]
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
}

/// Serves until told to stop.
pub(super) fn run(arguments: &Arguments, err: &mut impl Write) -> anyhow::Result<ExitCode> {
    let mut variables = configuration::environment();
    if let Some(listen) = arguments.listen {
        variables.insert("REFLECTOR_API_LISTEN".to_owned(), listen.to_string());
    }
    let config = match configuration::read_or_explain(&variables, err)? {
        Ok(config) => config,
        Err(code) => return Ok(code),
    };
    logging::start(&config.log)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(WORKERS).enable_all().build()?;
    runtime.block_on(app::serve(config))?;
    Ok(ExitCode::SUCCESS)
}
