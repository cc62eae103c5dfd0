//! Starts, finds, watches and stops the server process.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::Child;

use super::PORT;
use super::binaries::Binaries;
use super::owner::Owner;
use super::place::Place;

/// A server process: one that we started, or one that an earlier process of ours left running.
#[derive(Debug)]
pub(super) enum Postmaster {
    Started(Child),
    Adopted(Pid),
}

impl Postmaster {
    /// The server that is running on this data already, if there is one.
    pub(super) fn running(place: &Place) -> Option<Self> {
        let pid = pid_in_file(&place.data)?;
        works_in(pid, &place.data).then_some(Self::Adopted(pid))
    }

    /// Starts a server. In its own process group, so that an interrupt at the terminal reaches us alone and we stop it in order.
    pub(super) fn start(place: &Place, owner: &Owner, binaries: &Binaries) -> io::Result<Self> {
        remove_misleading_pid_file(&place.data)?;
        let log = OpenOptions::new().create(true).write(true).truncate(true).open(place.start_log())?;
        let mut command = owner.command(binaries.postgres());
        command.current_dir("/").process_group(0).stdin(Stdio::null());
        command.stdout(log.try_clone()?).stderr(log).arg("-D").arg(&place.data);
        for (name, value) in settings(&place.socket) {
            command.arg("-c").arg(format!("{name}={value}"));
        }
        command.spawn().map(Self::Started)
    }

    /// Whether the process has ended.
    pub(super) fn has_ended(&mut self) -> bool {
        match self {
            Self::Started(child) => !matches!(child.try_wait(), Ok(None)),
            Self::Adopted(pid) => kill(*pid, None).is_err(),
        }
    }

    /// Asks the server to stop: `SIGINT` ends sessions and writes everything, `SIGQUIT` only the former.
    pub(super) fn signal(&self, signal: Signal) {
        let pid = match self {
            Self::Started(child) => child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw),
            Self::Adopted(pid) => Some(*pid),
        };
        // A process that is gone already needs no signal.
        let _ = pid.map(|pid| kill(pid, signal));
    }
}

/// What differs from Postgres's defaults: no TCP, little memory, a log that stays small, no just-in-time compiler for statements
/// that take microseconds.
fn settings(socket: &Path) -> Vec<(&'static str, String)> {
    let fixed = [
        ("listen_addresses", ""),
        ("unix_socket_permissions", "0700"),
        ("max_connections", "40"),
        ("shared_buffers", "48MB"),
        ("max_wal_size", "512MB"),
        ("jit", "off"),
        ("logging_collector", "on"),
        ("log_filename", "postgres-%a.log"),
        ("log_truncate_on_rotation", "on"),
        ("log_rotation_age", "1d"),
    ];
    let fixed = fixed.into_iter().map(|(name, value)| (name, value.to_owned()));
    let own = [("unix_socket_directories", quoted(socket)), ("port", PORT.to_string())];
    fixed.chain(own).collect()
}

/// The setting is a list: a directory with a comma or a blank in its name must stand in quotes.
fn quoted(directory: &Path) -> String {
    format!("\"{}\"", directory.display().to_string().replace('"', "\"\""))
}

/// The process id in the first line of `postmaster.pid`.
fn pid_in_file(data: &Path) -> Option<Pid> {
    let text = fs::read_to_string(data.join("postmaster.pid")).ok()?;
    text.lines().next()?.trim().parse().ok().filter(|pid| *pid > 1).map(Pid::from_raw)
}

/// Whether the process is a server of this data: each of them makes the data directory its working directory.
fn works_in(pid: Pid, data: &Path) -> bool {
    fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|directory| directory == data)
}

/// After a reboot another process may have the number that the file names, and Postgres would take it for a server. The file is
/// removed only when nothing at all works in the data directory: it also guards against sessions that outlived their server. A process
/// that cannot be looked at may be one: the service, in its sandbox, does not see what root has started as its user.
fn remove_misleading_pid_file(data: &Path) -> io::Result<()> {
    let Some(pid) = pid_in_file(data) else { return Ok(()) };
    let is_misleading =
        kill(pid, None).is_ok() && !is_hidden(pid) && !processes().any(|pid| works_in(pid, data));
    if is_misleading { fs::remove_file(data.join("postmaster.pid")) } else { Ok(()) }
}

fn is_hidden(pid: Pid) -> bool {
    let directory = PathBuf::from(format!("/proc/{pid}"));
    may_not_look(&fs::read_link(directory.join("cwd")), directory.exists())
}

/// Whether a process that lives, with this working directory, is kept from us. One that has ended and waits for its parent is listed,
/// and has none.
fn may_not_look(directory: &io::Result<PathBuf>, is_listed: bool) -> bool {
    match directory {
        Ok(_) => false,
        Err(error) => !is_listed || error.kind() == io::ErrorKind::PermissionDenied,
    }
}

fn processes() -> impl Iterator<Item = Pid> {
    let entries = fs::read_dir(PathBuf::from("/proc")).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok().map(Pid::from_raw))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_hidden_when_it_is_not_listed_or_may_not_be_looked_at() {
        let error = |kind: io::ErrorKind| Err(io::Error::from(kind));
        for (directory, is_listed, expected) in [
            (Ok(PathBuf::from("/")), true, false),
            (error(io::ErrorKind::NotFound), true, false),
            (error(io::ErrorKind::NotFound), false, true),
            (error(io::ErrorKind::PermissionDenied), true, true),
        ] {
            assert_eq!(may_not_look(&directory, is_listed), expected, "{directory:?} {is_listed}");
        }
    }
}
