//! The spool directory, which Prosody writes and the agent reads.

use std::io::{BufRead, BufReader, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use super::check::{Check, Trial, trial};
use super::host::{Access, Host, Need, User};
use super::scene::Scene;
use crate::config::RUN_AS;

/// `is_configured`: whether a configuration of Prosody is here.
pub(super) fn checks(scene: &Scene, is_configured: bool) -> Vec<Check> {
    let directory = &scene.survey.spool.directory;
    let permission = trial("spool-permissions", format!("looked at {}", directory.display()));
    let events = trial("prosody-events", "looked for the newest boot and the newest event in the spool");
    if !scene.survey.spool.enabled {
        let why = "`enabled = false` in [spool]";
        return vec![permission.skipped(why), events.skipped(why)];
    }
    let access = match scene.host.access(directory) {
        Ok(access) => access,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let check = match scene.host.user("prosody") {
                Some(_) => permission.failure(
                    "it does not exist, so Prosody's module has nowhere to write",
                    format!("`install -d -o prosody -g reflector-agent -m 2770 {}`", directory.display()),
                ),
                None => permission
                    .skipped("it does not exist, and neither does a user prosody: this host has no Prosody"),
            };
            return vec![check, events.skipped("there is no spool directory")];
        }
        Err(error) => {
            let why = format!("{error}: {RUN_AS}");
            return vec![permission.skipped(why.clone()), events.skipped(why)];
        }
    };
    let prosody = scene.host.user("prosody");
    let has_prosody = is_configured || prosody.is_some();
    let barred = scene.host.barred(&scene.agent, directory);
    let group = scene.host.group(access.gid);
    vec![
        judge_spool(permission, directory, access, &group, prosody.as_ref(), &scene.agent, barred.as_deref()),
        judge_events(events, newest(&scene.host, directory), has_prosody, scene.now),
    ]
}

fn judge_spool(
    trial: Trial,
    directory: &Path,
    access: Access,
    group: &str,
    prosody: Option<&User>,
    agent: &User,
    barred: Option<&Path>,
) -> Check {
    let mode = format!("mode {:o}, group {group}", access.mode);
    let directory = directory.display();
    if let Some(prosody) = prosody
        && !(access.allows(prosody, Need::Write) && access.allows(prosody, Need::Enter))
    {
        return trial.failure(
            format!("{} may not write there ({mode})", prosody.name),
            format!("`chown prosody:reflector-agent {directory} && chmod 2770 {directory}`"),
        );
    }
    if let Some(barred) = barred {
        return trial.failure(
            format!("{} may not enter {}", agent.name, barred.display()),
            format!(
                "`usermod -aG GROUP {}` with its group, then `systemctl restart reflector-agent`",
                agent.name
            ),
        );
    }
    if !(access.allows(agent, Need::Read) && access.allows(agent, Need::Enter)) {
        return trial.failure(
            format!("{} may not read it ({mode})", agent.name),
            format!("`chgrp reflector-agent {directory} && chmod 2770 {directory}`"),
        );
    }
    // Prosody makes its files with mode 0640: the group decides whether the agent may read them.
    let by_group = agent.uid != 0 && prosody.is_some_and(|prosody| prosody.uid != agent.uid);
    if by_group && (access.mode & 0o2000 == 0 || !agent.groups.contains(&access.gid)) {
        return trial.failure(
            format!("new files get a group of Prosody, and {} may not read them ({mode})", agent.name),
            format!(
                "`chgrp reflector-agent {directory} && chmod g+s {directory}`: new files then get that group"
            ),
        );
    }
    if !access.allows(agent, Need::Write) {
        return trial.warning(
            format!("{} may not remove from it what is delivered, so it grows ({mode})", agent.name),
            format!("`chmod 2770 {directory}`"),
        );
    }
    if access.mode & 0o005 != 0 {
        return trial.warning(
            format!("everybody on this host may read names in it ({mode})"),
            format!("`chmod o= {directory}`"),
        );
    }
    trial.ok(mode)
}

/// The newest segment: when it was written last, in milliseconds since 1970, and its first line.
fn newest(host: &Host, directory: &Path) -> std::io::Result<Option<(i64, String)>> {
    let files = crate::spool::list(&host.at(directory))?.files.into_iter().map(|(_, path)| path);
    let segments: Vec<PathBuf> =
        files.filter(|path| path.extension().is_some_and(|extension| extension == "jsonl")).collect();
    let Some(path) = segments.last() else { return Ok(None) };
    let modified = std::fs::metadata(path)?.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
    // The boot's first segment begins with what the module says of itself.
    let boot = |path: &PathBuf| {
        let mut line = String::new();
        BufReader::new(std::fs::File::open(path)?).read_line(&mut line)?;
        std::io::Result::Ok(line)
    };
    let mut said = String::new();
    for path in segments.iter().rev().take(48) {
        said = boot(path)?;
        if said.contains("\"source-started\"") {
            break;
        }
    }
    Ok(Some((i64::try_from(modified.as_millis()).unwrap_or(i64::MAX), said)))
}

fn judge_events(
    trial: Trial,
    newest: std::io::Result<Option<(i64, String)>>,
    has_prosody: bool,
    now: i64,
) -> Check {
    match newest {
        Err(error) => trial.skipped(format!("{error}: {RUN_AS}")),
        Ok(None) if !has_prosody => {
            trial.skipped("there is no event and no Prosody here: on docker-jitsi-meet it is in a container, which must have this directory as its spool")
        }
        Ok(None) => trial.failure(
            "there is no event: the module has not been loaded yet, or writes elsewhere",
            "see `prosody-module-enabled`; then look for mod_reflector_events in /var/log/prosody/prosody.log",
        ),
        Ok(Some((modified, line))) => {
            let event: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
            let text = |member: &str| event["data"][member].as_str().unwrap_or("?").to_owned();
            let said = format!(
                "the newest event is {} old; module {} on Prosody {}",
                super::super::view::ago(now.saturating_sub(modified)),
                text("module_version"),
                text("prosody_version"),
            );
            if event["event"] == "source-started" {
                trial.ok(super::super::view::printable(&said))
            } else {
                trial.note(super::super::view::printable(&said), "old segments are gone; that is well if meetings were held lately")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::Outcome;
    use super::*;

    #[test]
    fn a_spool_is_written_by_prosody_and_read_through_its_group() {
        let user = |uid, groups: &[u32]| User { name: "u".into(), uid, groups: groups.to_vec() };
        let (prosody, agent) = (user(10, &[10]), user(20, &[20, 30]));
        let access = |mode| Access { uid: 10, gid: 30, mode };
        for (access, agent, outcome) in [
            (access(0o2770), &agent, Outcome::Ok),
            (access(0o2750), &agent, Outcome::Warning),
            (access(0o0750), &agent, Outcome::Failure),
            (access(0o2775), &agent, Outcome::Warning),
            (access(0o2700), &agent, Outcome::Failure),
            (Access { uid: 11, ..access(0o2750) }, &agent, Outcome::Failure),
            (access(0o0700), &user(0, &[]), Outcome::Ok),
            (access(0o0700), &user(10, &[10]), Outcome::Ok),
        ] {
            let check = judge_spool(
                trial("spool-permissions", ""),
                Path::new("/spool"),
                access,
                "g",
                Some(&prosody),
                agent,
                None,
            );
            let next = check.next.as_deref().unwrap_or("/spool");
            assert!(next.contains("/spool"), "{next}");
            assert_eq!(check.outcome, outcome, "{access:?} {agent:?}: {check:?}");
        }
        let barred = Some(Path::new("/var/spool"));
        let check = judge_spool(
            trial("spool-permissions", ""),
            Path::new("/spool"),
            access(0o2750),
            "g",
            None,
            &agent,
            barred,
        );
        assert!(check.found.contains("/var/spool"), "{check:?}");
    }

    #[test]
    fn a_spool_without_events_is_a_module_that_is_not_loaded() {
        let line =
            r#"{"event":"source-started","data":{"prosody_version":"13.0.1","module_version":"0.1.0"}}"#;
        for (newest, has_prosody, outcome) in [
            (Ok(None), true, Outcome::Failure),
            (Ok(None), false, Outcome::Skipped),
            (Ok(Some((0, line.to_owned()))), true, Outcome::Ok),
            (Ok(Some((0, line.to_owned()))), false, Outcome::Ok),
            (Ok(Some((0, "{}".to_owned()))), true, Outcome::Note),
            (Err(std::io::Error::from(ErrorKind::PermissionDenied)), true, Outcome::Skipped),
        ] {
            let said = format!("{newest:?} {has_prosody}");
            let check = judge_events(trial("prosody-events", ""), newest, has_prosody, 5000);
            assert_eq!(check.outcome, outcome, "{said}");
        }
    }
}
