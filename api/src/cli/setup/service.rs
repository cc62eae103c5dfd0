//! The package's service, by way of `systemctl`: it starts and answers, or it is said why not.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

const UNIT: &str = "reflector-api.service";

/// How long it may take to answer once it says that it serves.
const PATIENCE: Duration = Duration::from_secs(10);

/// What became of the service.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Brought {
    /// It runs, with what was written.
    Up,
    /// It was left alone; why, and what the operator may do.
    Left(&'static str),
    /// It does not start; why, as far as it is known.
    Down(String),
}

/// What is to be done with the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Start,
    Restart,
    Leave,
    Explain(&'static str),
}

/// The service as it was before anything was written.
pub(super) enum Before {
    /// There is no systemd that could run it.
    NoSystemd,
    /// What `systemctl show` said.
    Shown(String),
}

impl Before {
    pub(super) fn look() -> Self {
        let runs = Path::new("/run/systemd/system").is_dir();
        if runs { Self::Shown(show()) } else { Self::NoSystemd }
    }

    /// Lets the service run with what was written; `changed`: whether that is anything new.
    ///
    /// One that did not run may have been started by its path unit meanwhile, with everything that was written. It is waited for: a
    /// restart would end it amid the making of its database.
    pub(super) fn bring_up(&self, changed: bool) -> Brought {
        let Self::Shown(said) = self else {
            return Brought::Left(
                "systemd does not run here: start the service with `reflector-api serve`, in the environment that the file says",
            );
        };
        match plan(said, changed) {
            Action::Leave => Brought::Up,
            Action::Explain(why) => Brought::Left(why),
            Action::Start => outcome(systemctl(&["start", UNIT]), &show()),
            Action::Restart => outcome(systemctl(&["restart", UNIT]), &show()),
        }
    }
}

fn plan(said: &str, changed: bool) -> Action {
    match (property(said, "LoadState"), property(said, "UnitFileState"), property(said, "ActiveState")) {
        ("masked", ..) => Action::Explain(
            "the service is masked, so it was left alone: sudo systemctl unmask reflector-api && sudo systemctl start reflector-api",
        ),
        ("loaded", _, "active" | "reloading") if !changed => Action::Leave,
        ("loaded", _, "active" | "reloading" | "deactivating") => Action::Restart,
        // It starts with what was there before.
        ("loaded", _, "activating") if changed => Action::Restart,
        ("loaded", "disabled", _) => Action::Explain(
            "the service is disabled, so it was left alone: sudo systemctl enable --now reflector-api",
        ),
        ("loaded", ..) => Action::Start,
        _ => Action::Explain(
            "there is no reflector-api.service here: install the package, or run `reflector-api serve` in the environment that the file says",
        ),
    }
}

/// `systemctl` waits until the service serves or has failed. A condition that does not hold is no failure to it.
fn outcome(done: Result<String, String>, after: &str) -> Brought {
    let (state, status) = (property(after, "ActiveState"), property(after, "StatusText"));
    match done {
        Ok(_) if state == "active" => Brought::Up,
        Ok(said) | Err(said) => {
            let why = if status.is_empty() { said.lines().next().unwrap_or_default() } else { status };
            Brought::Down(format!("it is {state}; {why}").trim_end_matches([';', ' ']).to_owned())
        }
    }
}

fn property<'a>(said: &'a str, name: &str) -> &'a str {
    said.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('=')).unwrap_or_default()
}

fn show() -> String {
    systemctl(&["show", UNIT, "--property=LoadState,UnitFileState,ActiveState,StatusText"])
        .unwrap_or_default()
}

/// What it said; an error when it was not content or cannot be run.
fn systemctl(arguments: &[&str]) -> Result<String, String> {
    let mut command = Command::new("systemctl");
    command.args(["--no-ask-password", "--no-pager"]).args(arguments).env("LC_ALL", "C").stdin(Stdio::null());
    let output = command.output().map_err(|error| format!("systemctl cannot be run: {error}"))?;
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    if output.status.success() { Ok(said) } else { Err(said) }
}

/// Whether the service answers at `listen`, and is healthy.
pub(super) fn answers(listen: SocketAddr) -> std::io::Result<()> {
    let mut stream = TcpStream::connect_timeout(&listen, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let status = answer.lines().next().unwrap_or_default();
    if status.split(' ').nth(1) == Some("200") {
        return Ok(());
    }
    Err(std::io::Error::other(format!("it says {status:?}")))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn said(load: &str, file: &str, active: &str) -> String {
        format!("LoadState={load}\nUnitFileState={file}\nActiveState={active}\nStatusText=\n")
    }

    #[test]
    fn a_service_is_restarted_only_where_it_ran_before_and_left_alone_where_its_operator_wants_it_not_to_run()
    {
        for (load, file, active, changed, expected) in [
            // Its path unit may start it at once, and makes its database then.
            ("loaded", "enabled", "inactive", true, Action::Start),
            ("loaded", "enabled", "inactive", false, Action::Start),
            ("loaded", "enabled", "failed", true, Action::Start),
            ("loaded", "enabled", "active", true, Action::Restart),
            ("loaded", "enabled", "active", false, Action::Leave),
            ("loaded", "enabled", "activating", true, Action::Restart),
            ("loaded", "enabled", "activating", false, Action::Start),
            ("loaded", "disabled", "active", true, Action::Restart),
        ] {
            let planned = plan(&said(load, file, active), changed);
            assert_eq!(planned, expected, "{load} {file} {active} {changed}");
        }
        for (load, file, active, why) in [
            ("masked", "masked", "inactive", "masked"),
            ("loaded", "disabled", "inactive", "disabled"),
            ("not-found", "", "inactive", "install the package"),
            ("", "", "", "install the package"),
        ] {
            let planned = plan(&said(load, file, active), true);
            assert!(matches!(planned, Action::Explain(text) if text.contains(why)), "{load}: {planned:?}");
        }
    }

    #[test]
    fn only_a_service_that_is_active_is_up() {
        let active = said("loaded", "enabled", "active");
        assert_eq!(outcome(Ok(String::new()), &active), Brought::Up);
        let failed = said("loaded", "enabled", "failed");
        let told = "ActiveState=failed\nStatusText=the settings are wrong\n";
        let skipped = said("loaded", "enabled", "inactive");
        for (done, after, expected) in [
            (Err("Job failed.\nSee …".to_owned()), failed.as_str(), "it is failed; Job failed."),
            (Err("Job failed.".to_owned()), told, "it is failed; the settings are wrong"),
            (Ok(String::new()), skipped.as_str(), "it is inactive"),
        ] {
            assert_eq!(outcome(done, after), Brought::Down(expected.to_owned()));
        }
    }

    fn answering(status: &'static str) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut head = [0; 1024];
            let _ = stream.read(&mut head).unwrap();
            stream.write_all(format!("HTTP/1.1 {status}\r\n\r\n").as_bytes()).unwrap();
        });
        address
    }

    #[test]
    fn a_service_answers_when_it_is_healthy() {
        answers(answering("200 OK")).unwrap();
        let error = answers(answering("503 Service Unavailable")).unwrap_err();
        assert!(error.to_string().contains("503"), "{error}");
    }
}
