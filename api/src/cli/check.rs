//! `reflector-api check`.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use super::configuration::{self, Settings};
use super::{EXIT_CONFIG, service_user};
use crate::config::{self, Database};
use crate::db::{connect, embedded};
use crate::queue::Queue;
use crate::recordings::scan::Buckets;
use crate::storage::Storage;
use crate::storage::reading::Reading;
use crate::whereby;

/// Writes every finding to `out`; this is the same check that `serve` begins with. Then it uses what the service would use: the object
/// storage as uploads will or as links do, its queue, and Whereby's API.
pub(super) fn run(settings: &Settings, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    service_user::look_as_it(settings)?;
    let named = RefCell::new(Vec::new());
    let read_file = |path: &Path| {
        named.borrow_mut().push(path.to_owned());
        std::fs::read(path)
    };
    let (config, mut findings) = match configuration::read_by(&settings.variables, &read_file) {
        Ok((config, warnings)) => (Some(config), warnings),
        Err(findings) => (None, findings),
    };
    findings.extend(settings.findings.iter().cloned());
    for finding in &findings {
        writeln!(out, "{finding}")?;
    }
    let named = named.take();
    let hidden = named.iter().filter(|path| settings.are_the_services && is_hidden(path));
    for oddity in &settings.oddities {
        writeln!(out, "warning: {oddity}")?;
    }
    let mut is_complete = findings.is_empty() && settings.oddities.is_empty();
    for path in hidden {
        is_complete = false;
        writeln!(
            out,
            "warning: {0} is where the service does not see it: /home, /root and temporary files are hidden from it; move the file to \
             /etc/reflector-api, with chown root:reflector-api and chmod 640",
            path.display()
        )?;
    }
    let Some(config) = config.filter(|_| settings.findings.is_empty()) else {
        return Ok(ExitCode::from(EXIT_CONFIG));
    };
    let mut works = ask_database(&config.database, out)?;
    let buckets = Buckets::of(&config).all;
    if let Some(settings) = config.storage {
        works &= use_storage(settings, &buckets, out)?;
    }
    if let Some(settings) = config.queue {
        works &= ask_queue(settings, out)?;
    }
    if let Ok(settings) = &config.whereby.meetings {
        works &= ask_whereby(settings, out)?;
    }
    if works && is_complete {
        writeln!(out, "The configuration is complete.")?;
    }
    Ok(if works { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Whether the unit's sandbox hides what is there (`ProtectHome=`, `PrivateTmp=`).
fn is_hidden(path: &Path) -> bool {
    ["/home", "/root", "/run/user", "/tmp", "/var/tmp"].iter().any(|hidden| path.starts_with(hidden))
}

/// The private Postgres is left alone: the service may run it.
fn ask_database(database: &Database, out: &mut impl Write) -> anyhow::Result<bool> {
    let (variable, error) = match database {
        Database::Server(url) => ("DATABASE_URL", connect::probe_address(url.expose()).err()),
        Database::Embedded => ("REFLECTOR_API_STATE_DIR", embedded::is_installed().err().map(Into::into)),
    };
    if let Some(error) = &error {
        writeln!(out, "error: {variable}: {error:#}")?;
    }
    Ok(error.is_none())
}

fn use_storage(
    settings: config::Storage,
    buckets: &BTreeSet<String>,
    out: &mut impl Write,
) -> anyhow::Result<bool> {
    let storage = Storage::new(settings)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let tried = if storage.settings().takes_uploads {
        let rehearsed = runtime.block_on(storage.rehearse());
        rehearsed.map(|()| format!("an object was written, read and removed in {storage}."))
    } else {
        runtime.block_on(storage.try_reading()).map(|reading| of_reading(&storage, reading))
    };
    match tried {
        Ok(said) => writeln!(out, "The object storage works: {said}")?,
        Err(error) => {
            let (variable, advice) = storage.advice(&error);
            writeln!(out, "error: {variable}: {storage} cannot be used: {error}; {advice}")?;
            return Ok(false);
        }
    }
    for bucket in buckets {
        match runtime.block_on(storage.keeps_removed(bucket)) {
            Ok(true) => writeln!(
                out,
                "warning: the bucket {bucket} makes versions: a recording that this service removes stays there as an earlier version; \
                 give the bucket a rule that removes those (docs/operations.md has one)"
            )?,
            Err(error) if error.is_denied() => writeln!(
                out,
                "Whether the bucket {bucket} makes versions, which would keep what is removed, is not known: the key in {} lacks \
                 s3:GetBucketVersioning.",
                storage.settings().key_variables[0]
            )?,
            // A storage that does not know the question makes none.
            Ok(false) | Err(_) => {}
        }
    }
    Ok(true)
}

/// Nothing is written: that is for Whereby.
fn of_reading(storage: &Storage, reading: Reading) -> String {
    let [key, _] = storage.settings().key_variables;
    match reading {
        Reading::WithList => format!("the key in {key} reads and lists {storage}, which is Whereby's."),
        Reading::WithoutList => format!(
            "it knows the key in {key} for {storage}, which is Whereby's. Without s3:ListBucket recordings that nobody tells of are not \
             looked for, and whether the key may read (s3:GetObject) is seen with the first one."
        ),
    }
}

/// Takes no message: whoever runs this may not be the service.
fn ask_queue(settings: config::Queue, out: &mut impl Write) -> anyhow::Result<bool> {
    let queue = Queue::new(settings)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match runtime.block_on(queue.attributes()) {
        Ok(attributes) => {
            writeln!(out, "The queue answers: {} messages wait in {queue}.", attributes.waiting)?;
            if !attributes.has_redrive {
                writeln!(
                    out,
                    "warning: AWS_PROCESS_RECORDING_QUEUE_URL: {queue} has no redrive policy: a message that cannot be read comes back \
                     until it is too old; give the queue one"
                )?;
            }
            Ok(true)
        }
        Err(error) => {
            let (variable, advice) = queue.advice(&error);
            writeln!(out, "error: {variable}: {queue} cannot be used: {error}; {advice}")?;
            Ok(false)
        }
    }
}

fn ask_whereby(settings: &config::WherebyMeetings, out: &mut impl Write) -> anyhow::Result<bool> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let answer = runtime.block_on(whereby::rehearse(settings));
    match &answer {
        Ok(()) => writeln!(out, "Whereby takes the key: its rooms were listed.")?,
        Err(error) => writeln!(out, "error: WHEREBY_API_KEY: {error}")?,
    }
    Ok(answer.is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_sandbox_hides_is_known_by_its_place() {
        for (path, hidden) in [
            ("/home/jo/key.pem", true),
            ("/root/key.pem", true),
            ("/tmp/key.pem", true),
            ("/var/tmp/key.pem", true),
            ("/etc/reflector-api/key.pem", false),
            ("/homes/key.pem", false),
        ] {
            assert_eq!(is_hidden(Path::new(path)), hidden, "{path}");
        }
    }
}
