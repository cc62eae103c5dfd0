//! The service, by way of `systemctl`: it starts, or it is said why not.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// The service's unit.
const UNIT: &str = "reflector-agent.service";

/// How long systemd may take: its own limit for a start is shorter.
const PATIENCE: Duration = Duration::from_mins(2);

/// What became of the service.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Brought {
    /// It runs, with what was written.
    Up(&'static str),
    /// It was left alone; what the operator may do.
    Left(String),
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
    /// What `systemctl show` said; `None`: nothing.
    Shown(Option<String>),
}

impl Before {
    pub(super) fn look() -> Self {
        let runs = Path::new("/run/systemd/system").exists();
        if runs { Self::Shown(show()) } else { Self::NoSystemd }
    }

    /// Lets the service run with what was written; `changed`: whether that is anything new.
    ///
    /// One that did not run may have been started by its path unit meanwhile, with everything that was written: the secret
    /// came last. It is waited for, and not started twice.
    pub(super) fn bring_up(&self, changed: bool) -> Brought {
        let said = match self {
            Self::NoSystemd => {
                let next = "systemd does not run here: start the agent with `reflector-agent run`";
                return Brought::Left(next.into());
            }
            Self::Shown(None) => {
                return Brought::Left(format!("systemctl cannot be asked: `systemctl restart {UNIT}`"));
            }
            Self::Shown(Some(said)) => said,
        };
        match plan(said, changed) {
            Action::Leave => Brought::Up("runs as before"),
            Action::Explain(why) => Brought::Left(why.to_owned()),
            Action::Start => {
                // One that has failed too often is tried again, too.
                let _ = systemctl(&["reset-failed", UNIT]);
                outcome(systemctl(&["start", UNIT]), show(), "was started")
            }
            Action::Restart => outcome(systemctl(&["restart", UNIT]), show(), "was restarted"),
        }
    }
}

fn plan(said: &str, changed: bool) -> Action {
    match (property(said, "LoadState"), property(said, "UnitFileState"), property(said, "ActiveState")) {
        ("masked", ..) => Action::Explain(
            "the service is masked, so it was not started: `systemctl unmask reflector-agent && systemctl start reflector-agent`",
        ),
        ("loaded", _, "active" | "reloading") if !changed => Action::Leave,
        ("loaded", _, "active" | "reloading" | "activating" | "deactivating") => Action::Restart,
        ("loaded", "disabled", _) => Action::Explain(
            "the service is disabled, so it was not started: `systemctl enable --now reflector-agent`",
        ),
        ("loaded", ..) => Action::Start,
        _ => Action::Explain(
            "there is no reflector-agent.service here: install the package, or start the agent with `reflector-agent run`",
        ),
    }
}

/// `systemctl` waits until the service is ready or has failed. A condition that does not hold is no failure to it.
fn outcome(done: Option<(bool, String)>, after: Option<String>, what: &'static str) -> Brought {
    let after = after.unwrap_or_default();
    let state = property(&after, "ActiveState");
    match done {
        None => Brought::Down(format!("systemd did not answer for {} minutes", PATIENCE.as_secs() / 60)),
        Some((true, _)) if state == "active" => Brought::Up(what),
        Some((_, said)) => {
            let status = property(&after, "StatusText");
            let why = if status.is_empty() { said.lines().next().unwrap_or_default() } else { status };
            Brought::Down(format!("it is {state}; {why}").trim_end_matches([';', ' ']).to_owned())
        }
    }
}

fn property<'a>(said: &'a str, name: &str) -> &'a str {
    said.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('=')).unwrap_or_default()
}

fn show() -> Option<String> {
    let properties = "--property=LoadState,UnitFileState,ActiveState,StatusText";
    systemctl(&["show", UNIT, properties]).map(|(_, said)| said)
}

/// Whether it was content, and what it said; `None` if it cannot be run or takes too long.
fn systemctl(arguments: &[&str]) -> Option<(bool, String)> {
    let mut command = Command::new("systemctl");
    command.args(["--no-ask-password", "--no-pager"]).args(arguments).env("LC_ALL", "C").stdin(Stdio::null());
    let (sender, receiver) = mpsc::channel();
    // It ends with us if it never answers.
    thread::spawn(move || sender.send(command.output()));
    let output = receiver.recv_timeout(PATIENCE).ok()?.ok()?;
    let said = [output.stdout, output.stderr].concat();
    Some((output.status.success(), String::from_utf8_lossy(&said).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(load: &str, file: &str, active: &str) -> String {
        format!("LoadState={load}\nUnitFileState={file}\nActiveState={active}\nStatusText=\n")
    }

    #[test]
    fn a_service_runs_with_what_was_written_unless_its_operator_wants_it_not_to_run() {
        let explained = |action| matches!(action, Action::Explain(_));
        for (load, file, active, changed, expected) in [
            ("loaded", "enabled", "inactive", true, Action::Start),
            ("loaded", "enabled", "inactive", false, Action::Start),
            ("loaded", "enabled", "failed", true, Action::Start),
            ("loaded", "enabled", "active", true, Action::Restart),
            ("loaded", "enabled", "active", false, Action::Leave),
            // It fails and is tried again, with what was there before.
            ("loaded", "enabled", "activating", true, Action::Restart),
            ("loaded", "disabled", "active", true, Action::Restart),
        ] {
            assert_eq!(
                plan(&said(load, file, active), changed),
                expected,
                "{load} {file} {active} {changed}"
            );
        }
        for (load, file, active) in [
            ("masked", "masked", "inactive"),
            ("loaded", "disabled", "inactive"),
            ("not-found", "", "inactive"),
            ("", "", ""),
        ] {
            assert!(explained(plan(&said(load, file, active), true)), "{load} {file} {active}");
        }
    }

    #[test]
    fn only_a_service_that_is_active_is_up() {
        let active = || Some(said("loaded", "enabled", "active"));
        assert_eq!(outcome(Some((true, String::new())), active(), "was started"), Brought::Up("was started"));
        let told = Some("ActiveState=failed\nStatusText=the configuration is wrong\n".to_owned());
        for (done, after, expected) in [
            (
                Some((false, "Job failed.\nSee …".to_owned())),
                Some(said("loaded", "enabled", "failed")),
                "it is failed; Job failed.",
            ),
            (Some((false, "Job failed.".to_owned())), told, "it is failed; the configuration is wrong"),
            (Some((true, String::new())), Some(said("loaded", "enabled", "inactive")), "it is inactive"),
            (None, active(), "systemd did not answer for 2 minutes"),
        ] {
            assert_eq!(outcome(done, after, "was started"), Brought::Down(expected.to_owned()));
        }
    }
}
