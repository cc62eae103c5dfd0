//! The agent itself: configuration, process, outbox, and what the system lets it have.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};

use super::check::{Check, Trial, trial};
use super::host::{Access, Need, User};
use super::listener;
use super::scene::Scene;
use crate::chain::Chain;
use crate::config::{Finding, RUN_AS, Severity};
use crate::heartbeat::free_space;
use crate::outbox::LOCK;
use crate::outbox::log::Summary;

/// The status with which an agent ends whose configuration is wrong, as systemd tells it.
const MISCONFIGURED: &str = "78";

/// A disk that takes longer for a flush makes every event late.
const SLOW: Duration = Duration::from_millis(100);

pub(super) fn checks(scene: &Scene) -> Vec<Check> {
    let mut checks = vec![config(scene), secret(scene), runs(scene), unit(scene), listener::check(scene)];
    checks.extend(outbox(scene));
    checks.extend(backlog(scene));
    checks.extend([files(scene), inotify(scene)]);
    checks
}

fn config(scene: &Scene) -> Check {
    let trial = trial("config", "read every layer of the configuration");
    if scene.survey.is_hidden && !scene.am_root() {
        return trial.skipped(format!("this user may not read it: {RUN_AS}"));
    }
    judge_config(trial, &scene.survey.findings)
}

fn judge_config(trial: Trial, findings: &[Finding]) -> Check {
    let of = |severity| findings.iter().filter(move |finding| finding.severity == severity);
    let said = |findings: Vec<&Finding>| {
        findings
            .iter()
            .map(|finding| format!("{} {}", finding.key, finding.problem))
            .collect::<Vec<_>>()
            .join("; ")
    };
    let (errors, warnings): (Vec<_>, Vec<_>) =
        (of(Severity::Error).collect(), of(Severity::Warning).collect());
    match (errors.is_empty(), warnings.is_empty()) {
        (true, true) => trial.ok("it is good"),
        (true, false) => {
            trial.warning(said(warnings), "`reflector-agent check` says it again after a change")
        }
        (false, _) => trial.failure(
            said(errors),
            "put it right and run `reflector-agent check`; a running agent goes on with what it started with",
        ),
    }
}

fn secret(scene: &Scene) -> Check {
    let trial = trial("secret", "looked for the secret that signs deliveries");
    match &scene.survey.secret {
        Some(secret) => trial.ok(format!("found in {}", secret.origin)),
        None if scene.survey.is_hidden && !scene.am_root() => {
            trial.skipped(format!("this user may not look for it: {RUN_AS}"))
        }
        // A service's credential exists inside the service alone.
        None if scene.pid.is_some() => trial.note(
            "not found by this command; the running agent has one, perhaps as a credential of its service",
            "to check it against the API, run this with JITSI_WEBHOOK_SECRET set, or set `secret-file` in [api]",
        ),
        None => trial.failure("there is none", "`reflector-agent setup` writes it, or set `secret-file` in [api] to a file that holds the API's JITSI_WEBHOOK_SECRET"),
    }
}

fn runs(scene: &Scene) -> Check {
    let trial = trial(
        "agent-runs",
        format!("looked who holds the lock in {}", scene.survey.outbox.directory.display()),
    );
    let lock = std::fs::metadata(scene.survey.outbox.directory.join(LOCK)).map(drop);
    // Where the outbox is stands in the configuration.
    let is_known = scene.am_root() || !scene.survey.is_hidden;
    let may_look = is_known && !lock.is_err_and(|error| error.kind() == ErrorKind::PermissionDenied);
    judge_runs(trial, scene.pid, &scene.agent.name, may_look, scene.survey.secret.is_some())
}

fn judge_runs(trial: Trial, pid: Option<u32>, user: &str, may_look: bool, is_set_up: bool) -> Check {
    match pid {
        Some(pid) => trial.ok(format!("process {pid}, as {user}")),
        None if !may_look => trial.skipped(format!("this user may not look there: {RUN_AS}")),
        None if !is_set_up => trial.failure(
            "nobody: the agent does not run, and is not set up",
            "`sudo reflector-agent setup` sets it up and starts it",
        ),
        None => trial.failure(
            "nobody: the agent does not run",
            "`systemctl start reflector-agent`, then `journalctl -u reflector-agent -e` if it does not stay",
        ),
    }
}

fn unit(scene: &Scene) -> Check {
    let trial = trial("systemd-unit", "asked systemd for reflector-agent.service");
    if !scene.host.exists("/run/systemd/system") {
        return trial.skipped("systemd does not run here (a container?)");
    }
    let properties = [
        "show",
        "reflector-agent.service",
        "--property=LoadState,ActiveState,UnitFileState,NRestarts,ExecMainStatus",
    ];
    match scene.ask("systemctl", &properties) {
        None => trial.skipped("systemctl cannot be run"),
        Some((_, said)) => judge_unit(trial, &said, scene.survey.secret.is_some() || scene.survey.is_hidden),
    }
}

fn judge_unit(trial: Trial, said: &str, is_set_up: bool) -> Check {
    let property = |name: &str| {
        said.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('=')).unwrap_or_default()
    };
    let restarts: u32 = property("NRestarts").parse().unwrap_or(0);
    match (property("LoadState"), property("ActiveState"), property("UnitFileState")) {
        ("loaded", "active", "enabled") if restarts > 3 => trial.warning(
            format!("active, but it was started again {restarts} times"),
            "`journalctl -u reflector-agent -e` says why it ended",
        ),
        ("loaded", "active", "enabled") => trial.ok("active, and enabled at boot"),
        ("loaded", "active", _) => trial.warning(
            "active, but not enabled: it does not come back after a reboot",
            "`systemctl enable reflector-agent`",
        ),
        ("loaded", "failed", _) if property("ExecMainStatus") == MISCONFIGURED => trial.failure(
            "failed, because its configuration is wrong",
            "put right what `config` says, then `systemctl restart reflector-agent`",
        ),
        ("loaded", state, _) if !is_set_up => {
            trial.failure(format!("{state}: it is not set up yet"), "`sudo reflector-agent setup`")
        }
        ("masked", ..) => trial.failure(
            "masked: somebody has forbidden to start it",
            "`systemctl unmask reflector-agent`, then `systemctl enable --now reflector-agent`",
        ),
        ("loaded", state, _) => trial.failure(
            state,
            "`systemctl enable --now reflector-agent`, then `journalctl -u reflector-agent -e`",
        ),
        _ => trial.note(
            "there is no such unit",
            "if the agent is run in another way, see that it comes back after a reboot",
        ),
    }
}

fn outbox(scene: &Scene) -> Vec<Check> {
    let directory = &scene.survey.outbox.directory;
    let place = trial("outbox-directory", format!("looked at {}", directory.display()));
    let disk = trial("outbox-disk", "asked for free space and flushed a few bytes to that disk");
    let access = match std::fs::metadata(directory) {
        Ok(metadata) => Access::from(&metadata),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let why = "it does not exist yet; the agent makes it when it starts, if it may";
            return vec![place.skipped(why), disk.skipped(why)];
        }
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            let why = format!("{error}: {RUN_AS}");
            return vec![place.skipped(why.clone()), disk.skipped(why)];
        }
        Err(error) => {
            let failed = place.failure(error.to_string(), RUN_AS);
            return vec![failed, disk.skipped("it cannot be looked at")];
        }
    };
    let place = judge_place(place, directory, access, &scene.agent, &scene.host.group(access.gid));
    let flushed = flush(directory);
    let free = free_space(directory).map(|(free, _)| free);
    let used = std::fs::metadata(scene.database()).map_or(0, |database| database.len());
    let room = scene.survey.outbox.max_bytes.saturating_sub(used);
    vec![place, judge_disk(disk, free, room, flushed)]
}

fn judge_place(trial: Trial, directory: &Path, access: Access, agent: &User, group: &str) -> Check {
    if !access.allows(agent, Need::Write) || !access.allows(agent, Need::Enter) {
        return trial.failure(
            format!("{} may not write there (mode {:o}, group {group})", agent.name, access.mode),
            format!("`chown {} {}`", agent.name, directory.display()),
        );
    }
    if access.mode & 0o004 != 0 {
        return trial.warning(
            "everybody on this host may read it: it holds names and e-mail addresses",
            format!("`chmod o= {}`", directory.display()),
        );
    }
    trial.ok(format!("{} may write there, others may not read", agent.name))
}

/// How long the disk takes for a few bytes, in a file without a name.
fn flush(directory: &Path) -> std::io::Result<Duration> {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    let mut file = File::from(rustix::fs::open(directory, flags, Mode::from_raw_mode(0o600))?);
    file.write_all(&[b'x'; 4096])?;
    let started = Instant::now();
    file.sync_data()?;
    Ok(started.elapsed())
}

/// `room` is by how much the outbox may still grow.
fn judge_disk(
    trial: Trial,
    free: std::io::Result<u64>,
    room: u64,
    flushed: std::io::Result<Duration>,
) -> Check {
    let mebibytes = |bytes: u64| format!("{} MiB", bytes >> 20);
    let free = match free {
        Ok(free) => free,
        Err(error) => return trial.skipped(format!("it cannot be asked: {error}")),
    };
    let took = match flushed {
        Ok(took) => took,
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            return trial.skipped(format!("{} free; a flush was not tried: {RUN_AS}", mebibytes(free)));
        }
        Err(error) => {
            return trial.failure(
                format!("{error}, {} free", mebibytes(free)),
                "make room, or see what is wrong with the disk (`dmesg`)",
            );
        }
    };
    let said = format!("{} free, a flush took {} ms", mebibytes(free), took.as_millis());
    if free < room.min(64 << 20) {
        return trial.failure(said, "make room: without it nothing new is taken in, and the sources wait");
    }
    if free < room {
        return trial.warning(
            format!("{said}; the outbox may grow by {} in an outage", mebibytes(room)),
            "make room, or lower `max-bytes` in [outbox]: at that size the sources wait and nothing is lost",
        );
    }
    if took > SLOW {
        return trial.warning(
            said,
            "every event waits for such a flush: put [outbox] `directory` on a faster local disk",
        );
    }
    trial.ok(said)
}

fn backlog(scene: &Scene) -> Vec<Check> {
    let waiting = trial("backlog", "looked what waits in the outbox");
    let parked = trial("parked", "looked for deliveries that wait for a person");
    let read = scene.log().and_then(|log| {
        let summary =
            log.summary(&scene.survey.outbox.directory).map_err(|error| Chain(&error).to_string())?;
        let uploads = log.upload_totals().map_err(|error| Chain(&error).to_string())?;
        Ok((summary, uploads.parked))
    });
    match read {
        Err(why) => vec![waiting.skipped(why.clone()), parked.skipped(why)],
        Ok((summary, uploads)) => {
            vec![judge_backlog(waiting, &summary, scene.now), judge_parked(parked, summary.parked + uploads)]
        }
    }
}

fn judge_backlog(trial: Trial, summary: &Summary, now: i64) -> Check {
    let Some(oldest) = summary.oldest_ready else {
        return trial.ok(format!("nothing waits; {} delivered so far", summary.delivered));
    };
    let age = now.saturating_sub(oldest);
    let said = format!(
        "{} in {}, the oldest for {}",
        super::super::view::count(summary.ready, "delivery waits", "deliveries wait"),
        super::super::view::count(summary.rooms, "room", "rooms"),
        super::super::view::ago(age)
    );
    if age < 60_000 {
        return trial.ok(said);
    }
    let failure = summary.last_failure.as_ref().map_or_else(String::new, |failure| {
        format!("; the last request that failed: {}", super::super::view::printable(&failure.note))
    });
    trial.warning(
        said + &failure,
        "everything is kept and tried again; the checks of the API say what is wrong (`reflector-agent status`)",
    )
}

fn judge_parked(trial: Trial, parked: u64) -> Check {
    match parked {
        0 => trial.ok("none"),
        parked => trial.warning(
            super::super::view::count(parked, "is parked", "are parked"),
            "`reflector-agent deliveries list --state parked` says why; `deliveries retry` or `deliveries discard`",
        ),
    }
}

fn files(scene: &Scene) -> Check {
    let trial = trial("open-files", "read the limit of open files of the running agent");
    let Some(pid) = scene.pid else { return trial.skipped("the agent does not run") };
    let limits = match scene.host.read(format!("/proc/{pid}/limits")) {
        Ok(limits) => limits,
        Err(error) => return trial.skipped(format!("{error}: {RUN_AS}")),
    };
    judge_files(trial, &limits)
}

fn judge_files(trial: Trial, limits: &str) -> Check {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    match line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()) {
        None => trial.skipped("the kernel does not say"),
        Some(limit) if limit < 512 => trial.warning(
            format!("{limit}: connections, spool files and uploads may need more"),
            "set LimitNOFILE=4096 in the agent's unit",
        ),
        Some(limit) => trial.ok(format!("{limit}")),
    }
}

fn inotify(scene: &Scene) -> Check {
    let trial = trial("inotify", "read the limits in /proc/sys/fs/inotify");
    let limit =
        |name: &str| scene.host.read(format!("/proc/sys/fs/inotify/{name}")).ok()?.trim().parse().ok();
    match (limit("max_user_watches"), limit("max_user_instances")) {
        (Some(watches), Some(instances)) => judge_inotify(trial, watches, instances),
        _ => trial.skipped("the kernel does not say"),
    }
}

fn judge_inotify(trial: Trial, watches: u64, instances: u64) -> Check {
    let said = format!("{watches} watches, {instances} instances");
    if watches < 1024 || instances < 16 {
        return trial.warning(
            format!("{said} for each user: others may use them up, and the agent then looks at its directories only now and then"),
            "`sysctl fs.inotify.max_user_watches=65536 fs.inotify.max_user_instances=512`, and the same in /etc/sysctl.d",
        );
    }
    trial.ok(said)
}

#[cfg(test)]
mod tests {
    use std::io::Error;

    use super::super::check::Outcome;
    use super::*;

    #[test]
    fn a_unit_is_well_when_it_runs_and_comes_back() {
        for (said, outcome) in [
            ("LoadState=loaded\nActiveState=active\nUnitFileState=enabled\nNRestarts=0\n", Outcome::Ok),
            ("LoadState=loaded\nActiveState=active\nUnitFileState=enabled\nNRestarts=9\n", Outcome::Warning),
            ("LoadState=loaded\nActiveState=active\nUnitFileState=disabled\nNRestarts=0\n", Outcome::Warning),
            ("LoadState=loaded\nActiveState=failed\nUnitFileState=enabled\nNRestarts=5\n", Outcome::Failure),
            ("LoadState=not-found\nActiveState=inactive\n", Outcome::Note),
            ("", Outcome::Note),
        ] {
            assert_eq!(judge_unit(trial("systemd-unit", ""), said, true).outcome, outcome, "{said}");
        }
    }

    #[test]
    fn the_next_step_for_a_unit_that_does_not_run_is_one_that_works() {
        for (said, is_set_up, next) in [
            ("LoadState=masked\nActiveState=inactive\nUnitFileState=masked\n", true, "unmask"),
            ("LoadState=loaded\nActiveState=failed\nExecMainStatus=78\n", true, "put right"),
            ("LoadState=loaded\nActiveState=failed\nExecMainStatus=78\n", false, "put right"),
            ("LoadState=loaded\nActiveState=failed\nExecMainStatus=1\n", true, "enable --now"),
            ("LoadState=loaded\nActiveState=inactive\nExecMainStatus=0\n", false, "reflector-agent setup"),
        ] {
            let check = judge_unit(trial("systemd-unit", ""), said, is_set_up);
            assert_eq!(check.outcome, Outcome::Failure, "{said}");
            assert!(check.next.is_some_and(|step| step.contains(next)), "{said}");
        }
    }

    #[test]
    fn whoever_may_not_look_is_not_told_that_the_agent_does_not_run() {
        for (pid, may_look, is_set_up, outcome, next) in [
            (Some(7), true, true, Outcome::Ok, ""),
            (None, false, false, Outcome::Skipped, ""),
            (None, true, false, Outcome::Failure, "reflector-agent setup"),
            (None, true, true, Outcome::Failure, "systemctl start"),
        ] {
            let check = judge_runs(trial("agent-runs", ""), pid, "x", may_look, is_set_up);
            assert_eq!(check.outcome, outcome, "{check:?}");
            assert!(check.next.as_deref().unwrap_or_default().contains(next), "{check:?}");
        }
    }

    #[test]
    fn a_disk_needs_room_for_an_outage_and_a_quick_flush() {
        let quick = || Ok(Duration::from_millis(2));
        let failed = |kind: ErrorKind| Err(Error::from(kind));
        for (free, room, flushed, outcome) in [
            (Ok(2 << 30), 1 << 30, quick(), Outcome::Ok),
            (Ok(1 << 29), 1 << 30, quick(), Outcome::Warning),
            (Ok(1 << 20), 1 << 30, quick(), Outcome::Failure),
            (Ok(1 << 20), 1 << 19, quick(), Outcome::Ok),
            (Ok(2 << 30), 1 << 30, Ok(Duration::from_millis(300)), Outcome::Warning),
            (Ok(2 << 30), 1 << 30, failed(ErrorKind::PermissionDenied), Outcome::Skipped),
            (Ok(2 << 30), 1 << 30, failed(ErrorKind::ReadOnlyFilesystem), Outcome::Failure),
            (failed(ErrorKind::Other).map(|_: Duration| 0), 1, quick(), Outcome::Skipped),
        ] {
            let said = format!("{free:?} {room} {flushed:?}");
            assert_eq!(judge_disk(trial("outbox-disk", ""), free, room, flushed).outcome, outcome, "{said}");
        }
    }

    #[test]
    fn limits_that_others_can_use_up_are_told() {
        assert_eq!(judge_inotify(trial("inotify", ""), 8192, 128).outcome, Outcome::Ok);
        assert_eq!(judge_inotify(trial("inotify", ""), 8192, 8).outcome, Outcome::Warning);
        let limits = "Limit  Soft Limit Hard Limit Units\nMax open files            256                  4096                 files\n";
        assert_eq!(judge_files(trial("open-files", ""), limits).outcome, Outcome::Warning);
        assert_eq!(judge_files(trial("open-files", ""), "").outcome, Outcome::Skipped);
    }

    #[test]
    fn an_outbox_is_the_agents_and_nobody_elses() {
        let agent = User { name: "reflector-agent".into(), uid: 7, groups: vec![8] };
        for (uid, mode, outcome) in [
            (7, 0o700, Outcome::Ok),
            (7, 0o751, Outcome::Ok),
            (7, 0o755, Outcome::Warning),
            (9, 0o700, Outcome::Failure),
        ] {
            let access = Access { uid, gid: 1, mode };
            let check = judge_place(trial("outbox-directory", ""), Path::new("/outbox"), access, &agent, "g");
            assert_eq!(check.outcome, outcome, "{uid} {mode:o}");
            assert!(check.next.is_none_or(|next| next.contains(" /outbox`")), "{uid} {mode:o}");
        }
    }
}
