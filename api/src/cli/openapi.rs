//! `reflector-api openapi`: the OpenAPI document, for whoever generates a client.

use std::io::Write;
use std::process::ExitCode;

use crate::http::openapi;
use crate::http::router::documented;

/// Prints what `GET /openapi.json` answers. Needs neither configuration nor database.
pub(super) fn run(out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let document = openapi::document(documented().get_openapi(), "");
    serde_json::to_writer_pretty(&mut *out, &document)?;
    writeln!(out)?;
    Ok(ExitCode::SUCCESS)
}
