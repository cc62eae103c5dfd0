//! Recordings: where they are, who may read and remove them, whether they can be played, and the disk that they fill.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::check::{Check, Trial, trial};
use super::host::{Access, Need, User};
use super::scene::Scene;
use crate::config::{RUN_AS, Retention};
use crate::heartbeat::free_space;
use crate::jibri::roots::Origin;
use crate::recordings::probe::probe;
use crate::recordings::session::{self, Looks, Session};

/// What lets it remove them, too.
const FOR_REMOVING: &str = "`chmod 2770 DIRECTORY`, and from /usr/share/doc/reflector-agent/examples jibri-umask.conf for Jibri's new recordings and delete-recordings.conf for the agent's service; then restart both";

/// How many finished recordings are probed, the newest.
const PROBED: usize = 20;

pub(super) fn checks(scene: &Scene) -> Vec<Check> {
    let roots = trial("recordings-roots", "looked where recordings are");
    let permissions = trial(
        "recordings-permissions",
        format!("looked whether {} may read and remove recordings", scene.agent.name),
    );
    let disk = trial("recordings-disk", "asked for the free space of the recordings' disks");
    let whole = trial("recordings-whole", format!("probed the newest recordings, at most {PROBED}"));
    if !scene.survey.recordings.enabled {
        let why = "`enabled = false` in [recordings]";
        return [roots, permissions, disk, whole].map(|trial| trial.skipped(why)).into();
    }
    let there: Vec<&Path> = scene
        .roots
        .iter()
        .map(|root| root.path.as_path())
        .filter(|root| scene.host.at(root).is_dir())
        .collect();
    let mut checks = vec![judge_roots(roots, scene, &there)];
    if there.is_empty() {
        let why = "there is no directory of recordings";
        checks.extend([permissions, disk, whole].map(|trial| trial.skipped(why)));
        return checks;
    }
    checks.push(judge_permissions(permissions, &findings(scene, &there), &scene.survey.retention));
    let spaces: Vec<_> = there
        .iter()
        .filter_map(|root| Some((root.to_path_buf(), free_space(&scene.host.at(root)).ok()?)))
        .collect();
    checks.push(judge_disk(disk, &spaces, is_on(&scene.survey.retention)));
    checks.push(judge_whole(whole, &probed(scene, &there)));
    checks
}

fn judge_roots(trial: Trial, scene: &Scene, there: &[&Path]) -> Check {
    let named: Vec<String> =
        scene.roots.iter().map(|root| format!("{} ({})", root.path.display(), root.origin)).collect();
    let said = named.join(", ");
    let passing = there.iter().find(|root| root.starts_with("/tmp") || root.starts_with("/dev/shm"));
    match (there.is_empty(), passing) {
        (_, Some(root)) => trial.warning(
            format!("{said}; what lies in {} is gone after a restart of this host", root.display()),
            "set `jibri.recording.recordings-directory` to a directory on a disk, owned by jibri, and restart Jibri when it is idle",
        ),
        (false, None) => trial.ok(said),
        (true, None) if !scene.has_jibri() => trial.skipped("there is no Jibri and no directory of recordings: this host has no recordings"),
        (true, None) if scene.roots.iter().any(|root| root.origin == Origin::Operator) => trial.failure(
            format!("{said}: it does not exist"),
            "correct `roots` in [recordings], or make the directory; without `roots` Jibri's own configuration is read",
        ),
        (true, None) => trial.note(
            format!("{said}: it does not exist yet"),
            "Jibri makes it with its first recording, if it may",
        ),
    }
}

/// Whether anything is ever removed.
fn is_on(retention: &Retention) -> bool {
    retention.delete_uploaded_after_days > 0
        || retention.keep_free_bytes > 0
        || retention.keep_free_percent > 0
}

/// What somebody may not do, or should not be able to do.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Finding {
    /// With why, and the group that it belongs to, where that is known.
    Unreadable(PathBuf, String, Option<String>),
    NotRemovable(PathBuf, String),
    Public(PathBuf),
}

/// Looks at the roots and at their newest session directories.
fn findings(scene: &Scene, roots: &[&Path]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for root in roots {
        let mut directories = vec![root.to_path_buf()];
        if let Ok(entries) = std::fs::read_dir(scene.host.at(root)) {
            directories.extend(
                entries
                    .flatten()
                    .filter(session::is_one)
                    .map(|entry| root.join(entry.file_name()))
                    .take(PROBED),
            );
        }
        if let Some(barred) = scene.host.barred(&scene.agent, root) {
            let group = scene.host.access(&barred).ok().map(|access| scene.host.group(access.gid));
            findings.push(Finding::Unreadable(barred, "it may not be entered".to_owned(), group));
            continue;
        }
        for directory in directories {
            match scene.host.access(&directory) {
                Ok(access) => {
                    let group = scene.host.group(access.gid);
                    findings.extend(finding(&directory, access, &group, &scene.agent, directory == **root));
                }
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => findings.push(Finding::Unreadable(directory, error.to_string(), None)),
            }
        }
    }
    findings
}

fn finding(directory: &Path, access: Access, group: &str, agent: &User, is_root: bool) -> Option<Finding> {
    let said = format!("mode {:o}, group {group}", access.mode);
    let may = |need| access.allows(agent, need);
    if !may(Need::Read) || !may(Need::Enter) {
        return Some(Finding::Unreadable(directory.to_owned(), said, Some(group.to_owned())));
    }
    if !may(Need::Write) {
        return Some(Finding::NotRemovable(directory.to_owned(), said));
    }
    (is_root && access.mode & 0o005 != 0).then(|| Finding::Public(directory.to_owned()))
}

fn judge_permissions(trial: Trial, findings: &[Finding], retention: &Retention) -> Check {
    let find = |wanted: fn(&&Finding) -> bool| findings.iter().find(wanted);
    if let Some(Finding::Unreadable(path, why, group)) =
        find(|finding| matches!(finding, Finding::Unreadable(..)))
    {
        return trial.failure(
            format!("{} cannot be read: {why}", path.display()),
            for_reading(path, group.as_deref()),
        );
    }
    if let Some(Finding::NotRemovable(path, why)) =
        find(|finding| matches!(finding, Finding::NotRemovable(..)))
    {
        let said = format!("they are read, and cannot be removed: {} ({why})", path.display());
        return if is_on(retention) {
            trial.failure(format!("[retention] is on; {said}"), FOR_REMOVING)
        } else {
            trial.note(said, format!("nothing to do as long as [retention] is off; else: {FOR_REMOVING}"))
        };
    }
    if let Some(Finding::Public(path)) = find(|finding| matches!(finding, Finding::Public(_))) {
        return trial.warning(
            format!("everybody on this host may look into {}", path.display()),
            "`chmod o= DIRECTORY`: recordings are private",
        );
    }
    trial.ok("it may")
}

/// What lets the agent read recordings: the group that they have, unless that is one to stay out of.
fn for_reading(path: &Path, group: Option<&str>) -> String {
    let group = group.filter(|group| *group != "root").unwrap_or("jibri");
    let path = path.display();
    format!(
        "let their group read them: `usermod -aG {group} reflector-agent`, `chgrp {group} {path} && chmod 2770 {path}`, and for new ones jibri-umask.conf from /usr/share/doc/reflector-agent/examples; then `systemctl restart reflector-agent`"
    )
}

fn judge_disk(trial: Trial, spaces: &[(PathBuf, (u64, u64))], retention: bool) -> Check {
    let tight =
        |(_, (free, total)): &&(PathBuf, (u64, u64))| *free < 5 << 30 || free.saturating_mul(10) < *total;
    let said = |(path, (free, total)): &(PathBuf, (u64, u64))| {
        format!("{}: {} of {} GiB free", path.display(), free >> 30, total >> 30)
    };
    let Some(fullest) = spaces.iter().find(tight) else {
        let all: Vec<String> = spaces.iter().map(said).collect();
        return if retention {
            trial.ok(format!("{}; uploaded recordings are removed as [retention] says", all.join(", ")))
        } else {
            trial.note(
                format!(
                    "{}; nobody removes recordings: a full disk takes the whole Jitsi host down",
                    all.join(", ")
                ),
                "set `delete-uploaded-after-days` or `keep-free-bytes` in [retention]",
            )
        };
    };
    let next = if retention {
        "only uploaded recordings are removed: see what waits (`reflector-agent status`), or move old ones away"
    } else {
        "move old recordings away now, and set `keep-free-bytes` in [retention]"
    };
    if fullest.1.0 < 1 << 30 {
        trial.failure(said(fullest) + ": the next recording fails", next)
    } else {
        trial.warning(said(fullest), next)
    }
}

/// The newest finished media files, each with whether it was cut off and can therefore not be played.
fn probed(scene: &Scene, roots: &[&Path]) -> Vec<(PathBuf, std::io::Result<bool>)> {
    let mut files = Vec::new();
    for entry in roots
        .iter()
        .filter_map(|root| std::fs::read_dir(scene.host.at(root)).ok())
        .flat_map(Iterator::flatten)
    {
        if let Ok(session) = Session::read(&entry.path())
            && session::is_one(&entry)
        {
            let patience = scene.survey.recordings.orphan_after_seconds;
            let has_metadata = session.metadata.is_some();
            let finished = session
                .media
                .into_iter()
                .filter(|(_, looks)| has_metadata || is_left_alone(*looks, scene.now, patience));
            files.extend(finished.map(|(path, looks)| (looks.modified, path)));
        }
    }
    files.sort();
    let unplayable = |path: &Path| probe(path).map(|media| media.truncated);
    files.into_iter().rev().take(PROBED).map(|(_, path)| (path.clone(), unplayable(&path))).collect()
}

/// Whether nobody has written to a file for so long that its recorder must be gone.
fn is_left_alone(looks: Looks, now_ms: i64, patience_seconds: u64) -> bool {
    i128::from(now_ms) * 1_000_000 - looks.modified >= i128::from(patience_seconds) * 1_000_000_000
}

fn judge_whole(trial: Trial, probed: &[(PathBuf, std::io::Result<bool>)]) -> Check {
    let broken = probed.iter().filter(|(_, whole)| matches!(whole, Ok(true)));
    let names: Vec<String> = broken.map(|(path, _)| path.display().to_string()).collect();
    let unread = probed.iter().filter(|(_, whole)| whole.is_err()).count();
    match (&names[..], probed.len() - unread) {
        ([first, ..], _) => trial.warning(
            format!("{} of {} cannot be played, probably because Jibri was killed while it wrote: {first}", names.len(), probed.len()),
            "record as Matroska (`recording-format`); tools such as untrunc may repair an mp4 with the help of a whole one",
        ),
        ([], 0) if unread > 0 => trial.skipped(format!("none could be read: {RUN_AS}")),
        ([], 0) => trial.skipped("there is no finished recording"),
        ([], looked) => trial.ok(format!("{looked} looked at, all can be played")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::Outcome;
    use super::*;

    #[test]
    fn who_may_not_read_is_told_before_who_may_not_remove() {
        let agent = User { name: "a".into(), uid: 20, groups: vec![30] };
        let access = |mode| Access { uid: 10, gid: 30, mode };
        let root = Path::new("/srv/recordings");
        for (mode, retention, outcome) in [
            (0o2770, false, Outcome::Ok),
            (0o2750, false, Outcome::Note),
            (0o2750, true, Outcome::Failure),
            (0o2775, false, Outcome::Warning),
            (0o0700, false, Outcome::Failure),
        ] {
            let findings: Vec<Finding> =
                finding(root, access(mode), "jibri", &agent, true).into_iter().collect();
            let retention =
                Retention { delete_uploaded_after_days: u64::from(retention), ..Retention::default() };
            let check = judge_permissions(trial("recordings-permissions", ""), &findings, &retention);
            assert_eq!(check.outcome, outcome, "{mode:o}: {check:?}");
        }
    }

    #[test]
    fn the_group_that_recordings_have_is_the_one_to_join() {
        for (group, expected) in [(Some("media"), "media"), (Some("root"), "jibri"), (None, "jibri")] {
            let unreadable = Finding::Unreadable("/srv/r".into(), String::new(), group.map(str::to_owned));
            let check = judge_permissions(trial("", ""), &[unreadable], &Retention::default());
            let next = check.next.unwrap();
            assert!(next.contains(&format!("usermod -aG {expected} reflector-agent")), "{next}");
            assert!(next.contains(&format!("chgrp {expected} /srv/r && chmod 2770 /srv/r")), "{next}");
        }
    }

    #[test]
    fn a_disk_that_fills_is_told_in_time() {
        let gib = |free: u64, total: u64| vec![(PathBuf::from("/srv"), (free << 30, total << 30))];
        for (spaces, retention, outcome) in [
            (gib(50, 100), true, Outcome::Ok),
            (gib(50, 100), false, Outcome::Note),
            (gib(9, 100), true, Outcome::Warning),
            (gib(4, 10), true, Outcome::Warning),
            (gib(0, 100), true, Outcome::Failure),
        ] {
            assert_eq!(
                judge_disk(trial("recordings-disk", ""), &spaces, retention).outcome,
                outcome,
                "{spaces:?}"
            );
        }
    }

    #[test]
    fn a_file_without_metadata_is_looked_at_once_it_was_left_alone() {
        for (age_seconds, expected) in [(0, false), (299, false), (300, true), (-60, false)] {
            let looks = Looks { length: 0, modified: (1000 - age_seconds) * 1_000_000_000 };
            assert_eq!(is_left_alone(looks, 1_000_000, 300), expected, "{age_seconds}");
        }
    }

    #[test]
    fn a_recording_that_cannot_be_played_is_named() {
        let file = |name: &str, broken| (PathBuf::from(name), broken);
        let unread = || Err(std::io::Error::from(ErrorKind::PermissionDenied));
        for (probed, outcome) in [
            (vec![], Outcome::Skipped),
            (vec![file("a", Ok(false))], Outcome::Ok),
            (vec![file("a", Ok(false)), file("b", Ok(true))], Outcome::Warning),
            (vec![file("a", unread())], Outcome::Skipped),
        ] {
            let said = format!("{probed:?}");
            assert_eq!(judge_whole(trial("recordings-whole", ""), &probed).outcome, outcome, "{said}");
        }
    }
}
