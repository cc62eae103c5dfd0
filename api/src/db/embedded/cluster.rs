//! Makes the database directory, once.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use super::binaries::Binaries;
use super::owner::Owner;
use super::place::{Place, failed};
use super::{Error, NAME};

/// Makes the data directory if there is none. It is made under another name and renamed when it is whole, so that a start that
/// was cut off leaves nothing that looks like a database.
pub(super) async fn ensure(place: &Place, owner: &Owner, binaries: &Binaries) -> Result<(), Error> {
    if place.data_version().is_some() {
        return Ok(());
    }
    let unfinished = place.data.with_file_name("data.unfinished");
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished).map_err(failed("remove", &unfinished))?;
    }
    tracing::info!("making a private PostgreSQL in {}", place.data.display());
    initdb(&unfinished, owner, binaries).await?;
    fs::rename(&unfinished, &place.data).map_err(failed("rename", &unfinished))
}

/// Whoever can reach the socket may connect as the one user there is: the socket's directory is the lock.
async fn initdb(directory: &Path, owner: &Owner, binaries: &Binaries) -> Result<(), Error> {
    let refused = |output: String| Error::Initdb { directory: directory.to_owned(), output };
    let output = owner
        .command(binaries.initdb())
        .current_dir("/")
        .stdin(Stdio::null())
        .arg("--pgdata")
        .arg(directory)
        .args(["--username", NAME, "--auth-local", "trust", "--auth-host", "reject"])
        .args(["--encoding", "UTF8", "--locale", "C.UTF-8", "--data-checksums"])
        .output()
        .await
        .map_err(|error| refused(error.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stderr, output.stdout].map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned());
    Err(refused(gist(&said.join("\n"))))
}

/// The lines that say why, of all that `initdb` says of its progress; everything if there are none.
fn gist(said: &str) -> String {
    let is_reason =
        |line: &&str| ["FATAL:", "PANIC:", "error:", "DETAIL:"].iter().any(|mark| line.contains(mark));
    let reasons: Vec<_> = said.lines().map(str::trim).filter(is_reason).collect();
    let lines = if reasons.is_empty() { said.lines().map(str::trim).collect() } else { reasons };
    let gist = lines.join("; ");
    if said.contains("No space left on device") { format!("{gist}; make room on that disk") } else { gist }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_all_that_initdb_says_only_the_reason_is_told() {
        let full = "creating directory /x ... ok\nselecting default time zone ... Etc/UTC\n\
                    initdb: error: could not write to file \"/x/pg_wal\": No space left on device\n\
                    initdb: removing data directory \"/x\"";
        for (said, expected) in [
            (
                full,
                "initdb: error: could not write to file \"/x/pg_wal\": No space left on device; make room on that disk",
            ),
            ("FATAL:  could not map memory\nchild process exited", "FATAL:  could not map memory"),
            ("Killed\n by somebody", "Killed; by somebody"),
        ] {
            assert_eq!(gist(said), expected);
        }
    }
}
