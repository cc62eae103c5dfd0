//! A service, by way of `systemctl`: it starts, or it is said why not.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// How long `systemctl` may take to say something about a service.
const PATIENCE: Duration = Duration::from_mins(2);

/// A service of a package.
#[derive(Debug, Clone, Copy)]
pub struct Service {
    /// Its unit's name, without the ending.
    pub name: &'static str,
    /// How it is run where systemd does not run it: a command, and what has to be so.
    pub by_hand: &'static str,
    /// How long systemd may take to start it: longer than its own limit.
    pub patience: Duration,
}

/// What became of a service.
#[derive(Debug, PartialEq, Eq)]
pub enum Brought {
    /// It runs, with what was written; what happened to it.
    Up(&'static str),
    /// It was left alone; why, and what the operator may do.
    Left(String),
    /// It does not start; why, as far as it is known.
    Down(String),
}

/// What is to be done with a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Start,
    Restart,
    Leave,
    Explain(Why),
}

/// Why a service is left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    NoSystemd,
    Silence,
    Masked,
    Disabled,
    Missing,
}

/// A service as it was before anything was written.
#[derive(Debug)]
pub struct Before {
    service: Service,
    /// What `systemctl show` said.
    said: Result<String, Why>,
}

impl Service {
    /// Looks at it. To be done before anything is written: what appears may start it.
    pub fn look(self) -> Before {
        let runs = Path::new("/run/systemd/system").is_dir();
        let said = if runs { show(&self.unit()).ok_or(Why::Silence) } else { Err(Why::NoSystemd) };
        Before { service: self, said }
    }

    fn unit(self) -> String {
        format!("{}.service", self.name)
    }

    fn explain(self, why: Why) -> String {
        let Self { name, by_hand, .. } = self;
        match why {
            Why::NoSystemd => format!("systemd does not run here: start it with {by_hand}"),
            Why::Silence => format!("systemctl cannot be asked: `systemctl restart {name}`"),
            Why::Masked => format!(
                "the service is masked, so it was not started: `systemctl unmask {name} && systemctl start {name}`"
            ),
            Why::Disabled => {
                format!("the service is disabled, so it was not started: `systemctl enable --now {name}`")
            }
            Why::Missing => {
                format!("there is no {name}.service here: install the package, or start it with {by_hand}")
            }
        }
    }
}

impl Before {
    /// Lets the service run with what was written; `changed`: whether that is anything new.
    ///
    /// One that did not run may have been started by its path unit meanwhile, with everything that was written: what starts it
    /// came last. It is waited for, and not started twice: that would end it amid the making of its database.
    pub fn bring_up(&self, changed: bool) -> Brought {
        let service = self.service;
        let action = match &self.said {
            Ok(said) => plan(said, changed),
            Err(why) => Action::Explain(*why),
        };
        let (unit, patience) = (service.unit(), service.patience);
        let done = |verb| systemctl(&[verb, &unit], patience);
        match action {
            Action::Leave => Brought::Up("runs as before"),
            Action::Explain(why) => Brought::Left(service.explain(why)),
            Action::Start => {
                // One that has failed too often is tried again, too.
                let _ = systemctl(&["reset-failed", &unit], PATIENCE);
                outcome(done("start"), show(&unit), "was started", patience)
            }
            Action::Restart => outcome(done("restart"), show(&unit), "was restarted", patience),
        }
    }
}

fn plan(said: &str, changed: bool) -> Action {
    match (property(said, "LoadState"), property(said, "UnitFileState"), property(said, "ActiveState")) {
        ("masked", ..) => Action::Explain(Why::Masked),
        ("loaded", _, "active" | "reloading") if !changed => Action::Leave,
        ("loaded", _, "active" | "reloading" | "deactivating") => Action::Restart,
        // It starts with what was there before.
        ("loaded", _, "activating") if changed => Action::Restart,
        ("loaded", "disabled", _) => Action::Explain(Why::Disabled),
        ("loaded", ..) => Action::Start,
        _ => Action::Explain(Why::Missing),
    }
}

/// `systemctl` waits until the service is ready or has failed. A condition that does not hold is no failure to it.
fn outcome(
    done: Option<(bool, String)>,
    after: Option<String>,
    what: &'static str,
    patience: Duration,
) -> Brought {
    let after = after.unwrap_or_default();
    let state = property(&after, "ActiveState");
    match done {
        None => Brought::Down(format!("systemd did not answer for {} minutes", patience.as_secs() / 60)),
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

fn show(unit: &str) -> Option<String> {
    let properties = "--property=LoadState,UnitFileState,ActiveState,StatusText";
    systemctl(&["show", unit, properties], PATIENCE).map(|(_, said)| said)
}

/// Whether it was content, and what it said; `None` if it cannot be run or takes too long.
fn systemctl(arguments: &[&str], patience: Duration) -> Option<(bool, String)> {
    let mut command = Command::new("systemctl");
    command.args(["--no-ask-password", "--no-pager"]).args(arguments).env("LC_ALL", "C").stdin(Stdio::null());
    let (sender, receiver) = mpsc::channel();
    // It ends with us if it never answers.
    thread::spawn(move || sender.send(command.output()));
    let output = receiver.recv_timeout(patience).ok()?.ok()?;
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
    fn a_service_is_restarted_only_where_it_ran_before_and_left_alone_where_its_operator_wants_it_not_to_run()
    {
        for (load, file, active, changed, expected) in [
            // Its path unit may start it at once.
            ("loaded", "enabled", "inactive", true, Action::Start),
            ("loaded", "enabled", "inactive", false, Action::Start),
            ("loaded", "enabled", "failed", true, Action::Start),
            ("loaded", "enabled", "active", true, Action::Restart),
            ("loaded", "enabled", "active", false, Action::Leave),
            // It fails and is tried again, with what was there before.
            ("loaded", "enabled", "activating", true, Action::Restart),
            ("loaded", "enabled", "activating", false, Action::Start),
            ("loaded", "disabled", "active", true, Action::Restart),
            ("loaded", "disabled", "inactive", true, Action::Explain(Why::Disabled)),
            ("masked", "masked", "inactive", true, Action::Explain(Why::Masked)),
            ("not-found", "", "inactive", true, Action::Explain(Why::Missing)),
            ("", "", "", true, Action::Explain(Why::Missing)),
        ] {
            let planned = plan(&said(load, file, active), changed);
            assert_eq!(planned, expected, "{load} {file} {active} {changed}");
        }
    }

    #[test]
    fn who_left_a_service_alone_says_what_the_operator_may_do() {
        let service = Service { name: "an-agent", by_hand: "`an-agent run`", patience: PATIENCE };
        for (why, next) in [
            (Why::NoSystemd, "start it with `an-agent run`"),
            (Why::Silence, "`systemctl restart an-agent`"),
            (Why::Masked, "`systemctl unmask an-agent && systemctl start an-agent`"),
            (Why::Disabled, "`systemctl enable --now an-agent`"),
            (Why::Missing, "install the package, or start it with `an-agent run`"),
        ] {
            let brought = Before { service, said: Err(why) }.bring_up(true);
            assert!(matches!(&brought, Brought::Left(said) if said.ends_with(next)), "{brought:?}");
        }
    }

    #[test]
    fn only_a_service_that_is_active_is_up() {
        let active = || Some(said("loaded", "enabled", "active"));
        let outcome = |done, after| outcome(done, after, "was started", PATIENCE);
        assert_eq!(outcome(Some((true, String::new())), active()), Brought::Up("was started"));
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
            assert_eq!(outcome(done, after), Brought::Down(expected.to_owned()));
        }
    }
}
