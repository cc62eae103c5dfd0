//! Jibri: its configuration, its finalize script, how it is, and the programs that it needs.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::check::{Check, Trial, trial};
use super::hocon;
use super::host::{Host, Need};
use super::scene::Scene;
use crate::config::RUN_AS;
use crate::jibri::configuration::{Configuration, DEFAULT_FINALIZE};
use crate::jibri::health::{self, Health};
use crate::jibri::roots::Root;
use crate::recordings::session::{self, Session};

/// A recording that did not grow for so long is not being written: ffmpeg writes several times a second.
const STILL: Duration = Duration::from_secs(90);

pub(super) fn checks(scene: &Scene) -> Vec<Check> {
    let configuration = trial("jibri-config", "read Jibri's config.json and jibri.conf");
    let script = trial("finalize-script", "looked at Jibri's finalize-script");
    let content = trial("finalize-content", "read what the finalize script does");
    let format = trial("recording-format", "looked whether recordings survive a crash of Jibri");
    let programs =
        trial("jibri-programs", "looked for ffmpeg and kill, which Jibri starts and stops recordings with");
    let health =
        trial("jibri-health", "asked Jibri how it is, and looked whether a file grows while it is busy");
    if !scene.has_jibri() {
        let why = "there is no Jibri here";
        return [configuration, script, content, format, programs, health]
            .map(|trial| trial.skipped(why))
            .into();
    }
    let state = script_state(scene);
    vec![
        judge_configuration(configuration, &scene.jibri),
        judge_script(script, &state),
        judge_content(content, &state),
        judge_format(format, extension(&scene.jibri).as_deref()),
        judge_programs(programs, &missing(&scene.host)),
        judge_health(health, asked(scene), grows(&scene.roots)),
    ]
}

fn judge_configuration(trial: Trial, configuration: &Configuration) -> Check {
    let files: Vec<String> = configuration.files.iter().map(|file| file.display().to_string()).collect();
    match (&configuration.troubles[..], &files[..]) {
        ([trouble, ..], _) => trial.warning(trouble.clone(), format!("{RUN_AS}, or put the file right")),
        ([], []) => trial.note(
            "Jibri is here and its configuration is not",
            "set `configuration` in [jibri], or `roots` in [recordings]",
        ),
        ([], files) => trial.ok(files.join(", ")),
    }
}

/// What is known about the finalize script.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Script {
    /// No file names one, or what they name is the default that never exists.
    Unset,
    /// It is named, and not there.
    Missing(PathBuf),
    /// It cannot be looked at.
    Hidden(String),
    /// It is there.
    There { path: PathBuf, runnable: bool, noexec: bool, text: String },
}

fn script_state(scene: &Scene) -> Script {
    let Some(setting) = &scene.jibri.finalize else { return Script::Unset };
    if setting.path == Path::new(DEFAULT_FINALIZE) {
        return Script::Unset;
    }
    let path = setting.path.clone();
    let access = match scene.host.access(&path) {
        Ok(access) => access,
        Err(error) if error.kind() == ErrorKind::NotFound => return Script::Missing(path),
        Err(error) => return Script::Hidden(format!("{}: {error}; {RUN_AS}", path.display())),
    };
    let jibri = scene.host.user("jibri");
    let runnable = jibri.map_or(access.mode & 0o111 != 0, |jibri| {
        access.allows(&jibri, Need::Enter) && scene.host.barred(&jibri, &path).is_none()
    });
    let options = scene.host.mount_options(&path).unwrap_or_default();
    let text = scene.host.read(&path).unwrap_or_default();
    Script::There { noexec: options.split(',').any(|option| option == "noexec"), runnable, path, text }
}

fn judge_script(trial: Trial, script: &Script) -> Check {
    let ours = "a script with the line `exec reflector-agent finalize \"$@\"` as `finalize-script` in jibri.conf silences it";
    match script {
        Script::Unset => trial.note(
            "it is not set: Jibri logs a SEVERE line after every recording, and nothing else happens; the agent needs no script",
            ours,
        ),
        Script::Missing(path) => trial.warning(
            format!("{} does not exist: Jibri logs a SEVERE line and goes on; the agent needs no script", path.display()),
            format!("remove the setting or correct it; {ours}"),
        ),
        Script::Hidden(why) => trial.skipped(why.clone()),
        Script::There { path, runnable: false, .. } => trial.warning(
            format!("Jibri's user may not run {}", path.display()),
            format!("`chmod +x {}`, and let every directory above it be entered", path.display()),
        ),
        Script::There { path, noexec: true, .. } => trial.warning(
            format!("{} is on a file system that is mounted noexec", path.display()),
            "move it to another one, for example /opt or /etc",
        ),
        Script::There { path, .. } => trial.ok(path.display().to_string()),
    }
}

fn judge_content(trial: Trial, script: &Script) -> Check {
    let Script::There { path, text, .. } = script else { return trial.skipped("there is no script to read") };
    let code: String =
        text.lines().filter(|line| !line.trim_start().starts_with('#')).collect::<Vec<_>>().join("\n");
    let has = |word: &str| code.contains(word);
    let chain = "let Jibri run a script with the line `exec reflector-agent finalize --then SCRIPT -- \"$@\"`: it keeps the file until it is uploaded";
    if has("reflector-agent") {
        return trial.ok("it wakes the agent");
    }
    if has("recording-complete") {
        return trial.warning(
            "it reports recordings itself, as in the guide: Jibri passes one argument, the directory, so its ROOM_NAME is empty; and the agent reports the same recordings",
            "remove it from jibri.conf: the agent reports every recording, once, with its checksum",
        );
    }
    if has("jitsi_uploader")
        || path.ends_with("jitsi_uploader.sh")
        || has("rm -r")
        || has("rm \"")
        || has("rm $")
    {
        return trial
            .warning("it deletes recordings, perhaps before the agent has read or uploaded them", chain);
    }
    if has("\"$2\"") || has("${2}") || has("=$2") {
        return trial.warning(
            "it expects a second argument, and Jibri passes one: the session directory",
            "the room is the last part of meeting_url in metadata.json in that directory",
        );
    }
    if ["curl", "rsync", "scp", "rclone", "aws ", "ffmpeg"].into_iter().any(has) {
        return trial.note(
            "it transfers or converts: Jibri is busy, and takes no other meeting, until it ends, and its output fills Jibri's log",
            "start it in the background or from a timer; the agent uploads by itself",
        );
    }
    trial.ok("nothing in it is known to do harm")
}

/// The extension of recordings; `None` when nobody can know.
fn extension(configuration: &Configuration) -> Option<String> {
    let keys = ["jibri.ffmpeg.recording-extension", "jibri.ffmpeg.recording-format"];
    if configuration.files.is_empty() || !configuration.troubles.is_empty() {
        return None;
    }
    let conf = configuration.files.iter().filter(|file| file.extension().is_some_and(|kind| kind == "conf"));
    let said = conf.flat_map(|file| keys.map(|key| hocon::text(file, key).ok().flatten())).flatten().next();
    Some(said.unwrap_or_else(|| "mp4".to_owned()))
}

fn judge_format(trial: Trial, extension: Option<&str>) -> Check {
    match extension {
        None => trial.skipped("Jibri's configuration could not be read"),
        Some("mp4") => trial.note(
            "they are mp4, which is written so that it cannot be played when Jibri is killed or the disk fills",
            "in jibri.conf: `jibri.ffmpeg { recording-format = matroska, recording-extension = mkv }` (Jibri of 2025 or newer); the agent takes both",
        ),
        Some(other) => trial.ok(other.to_owned()),
    }
}

fn missing(host: &Host) -> Vec<&'static str> {
    let places = ["/usr/bin", "/bin", "/usr/local/bin"];
    ["ffmpeg", "kill"]
        .into_iter()
        .filter(|program| !places.iter().any(|place| host.exists(Path::new(place).join(program))))
        .collect()
}

fn judge_programs(trial: Trial, missing: &[&str]) -> Check {
    match missing {
        [] => trial.ok("both are there"),
        missing if missing.contains(&"kill") => trial.failure(
            "the program kill is missing: Jibri cannot end ffmpeg, and recordings cannot be played",
            "`apt install procps`",
        ),
        missing => trial.failure(format!("{} is missing", missing.join(", ")), "`apt install ffmpeg`"),
    }
}

fn asked(scene: &Scene) -> Result<Health, String> {
    let address = health::address(&scene.survey.jibri, &scene.jibri)
        .ok_or_else(|| "it is not asked: `health-url` in [jibri] is empty".to_owned())?;
    if !scene.host.is_this() {
        return Err("this is not the running system".to_owned());
    }
    health::ask(&address).map_err(|error| format!("{address}: {error}"))
}

/// How long ago the youngest media file without metadata was written to; `None` if there is none.
fn grows(roots: &[Root]) -> Option<Duration> {
    let sessions =
        roots.iter().filter_map(|root| std::fs::read_dir(&root.path).ok()).flat_map(Iterator::flatten);
    let open = sessions
        .filter(session::is_one)
        .filter_map(|entry| Session::read(&entry.path()).ok())
        .filter(|session| session.metadata.is_none())
        .flat_map(|session| session.media);
    let written = open.filter_map(|(path, _)| std::fs::metadata(path).ok()?.modified().ok());
    written.max().map(|at| SystemTime::now().duration_since(at).unwrap_or_default())
}

fn judge_health(trial: Trial, health: Result<Health, String>, grew: Option<Duration>) -> Check {
    match (health, grew) {
        (Err(why), _) => trial.skipped(format!("it does not answer, which matters little: {why}")),
        (Ok(Health { healthy: false, .. }), _) => trial.failure(
            "it says that it is unhealthy: it takes no recording",
            "`journalctl -u jibri -e` and /var/log/jitsi/jibri; usually a directory that it may not write, or a browser that does not start",
        ),
        (Ok(Health { busy: true, .. }), None) => trial.note(
            "it is busy and no recording is being written: a stream, a finalize script that still runs, or a Jibri that hangs",
            "if it stays so after the meeting: `ps -C java -C ffmpeg -C chrome`, then `systemctl restart jibri`",
        ),
        (Ok(Health { busy: true, .. }), Some(age)) if age > STILL => trial.warning(
            format!("it is busy, and its recording has not grown for {} s", age.as_secs()),
            "look whether ffmpeg runs (`pgrep -a ffmpeg`) and the disk has room; `systemctl restart jibri` ends the recording",
        ),
        (Ok(Health { busy: true, .. }), Some(_)) => trial.ok("it is recording, and the file grows"),
        (Ok(Health { busy: false, .. }), _) => trial.ok("it is idle and healthy"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::Outcome;
    use super::*;

    fn there(text: &str) -> Script {
        Script::There { path: "/opt/finalize.sh".into(), runnable: true, noexec: false, text: text.into() }
    }

    #[test]
    fn a_finalize_script_that_cannot_run_is_told() {
        let broken = |runnable, noexec| Script::There {
            path: "/opt/finalize.sh".into(),
            runnable,
            noexec,
            text: String::new(),
        };
        for (script, outcome) in [
            (Script::Unset, Outcome::Note),
            (Script::Missing("/config/finalize.sh".into()), Outcome::Warning),
            (Script::Hidden("no".into()), Outcome::Skipped),
            (broken(false, false), Outcome::Warning),
            (broken(true, true), Outcome::Warning),
            (broken(true, false), Outcome::Ok),
        ] {
            assert_eq!(judge_script(trial("finalize-script", ""), &script).outcome, outcome, "{script:?}");
        }
    }

    #[test]
    fn what_a_finalize_script_does_is_told_by_its_words() {
        let guide =
            "RECORDING_FILE=\"$1\"\nROOM_NAME=\"$2\"\ncurl -X POST \"$U/v1/jibri/recording-complete\"";
        for (text, outcome, said) in [
            ("exec reflector-agent finalize \"$@\"", Outcome::Ok, "wakes the agent"),
            (guide, Outcome::Warning, "reports recordings itself"),
            ("/usr/bin/jitsi_uploader.sh \"$1\"", Outcome::Warning, "deletes"),
            ("rm -rf \"$1\"", Outcome::Warning, "deletes"),
            ("ROOM=\"$2\"", Outcome::Warning, "second argument"),
            ("rsync -a \"$1\" host:", Outcome::Note, "busy"),
            ("# rm -rf \"$1\"\nexit 0", Outcome::Ok, "no"),
        ] {
            let check = judge_content(trial("finalize-content", ""), &there(text));
            assert_eq!(check.outcome, outcome, "{text}: {check:?}");
            assert!(check.found.contains(said), "{said} is not in {check:?}");
        }
    }

    #[test]
    fn a_busy_jibri_without_a_growing_file_is_told() {
        let health = |busy, healthy| Ok(Health { busy, healthy });
        let age = |seconds| Some(Duration::from_secs(seconds));
        for (health, grew, outcome) in [
            (health(false, true), None, Outcome::Ok),
            (health(true, true), age(1), Outcome::Ok),
            (health(true, true), age(91), Outcome::Warning),
            (health(true, true), None, Outcome::Note),
            (health(true, false), age(1), Outcome::Failure),
            (Err("refused".into()), None, Outcome::Skipped),
        ] {
            let said = format!("{health:?} {grew:?}");
            assert_eq!(judge_health(trial("jibri-health", ""), health, grew).outcome, outcome, "{said}");
        }
    }

    #[test]
    fn a_container_that_survives_is_advised() {
        for (extension, outcome) in
            [(Some("mp4"), Outcome::Note), (Some("mkv"), Outcome::Ok), (None, Outcome::Skipped)]
        {
            let check = judge_format(trial("recording-format", ""), extension);
            assert_eq!(check.outcome, outcome, "{extension:?}");
        }
    }
}
