//! A stock docker-jitsi-meet with the overlay, as `docker-compose` merges them.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

/// A layout of docker-jitsi-meet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Age {
    /// The folder with its stock files.
    pub(crate) name: &'static str,
    /// The overlay's file for its Jibri.
    pub(crate) jibri: &'static str,
    /// Where its Jibri keeps recordings, below `CONFIG`.
    pub(crate) recordings: &'static str,
    /// Who runs its Prosody.
    pub(crate) prosody: &'static str,
}

/// Rootless, with read-only root file systems.
pub(crate) const SINCE: Age = Age {
    name: "since-11146",
    jibri: "compose.reflector-jibri.yml",
    recordings: "storage/jibri/recordings",
    prosody: "s6",
};

/// With services of root that run as users of their own.
pub(crate) const BEFORE: Age = Age {
    name: "before-11146",
    jibri: "compose.reflector-jibri-before-11146.yml",
    recordings: "jibri/recordings",
    prosody: "prosody",
};

/// The overlay's folder.
pub(crate) fn overlay() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docker")
}

/// The stand-ins for stock files.
pub(crate) fn stock() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/docker/stock")
}

/// All files of a host with Prosody and Jibri.
pub(crate) fn whole(age: &Age) -> Vec<PathBuf> {
    let mut files =
        vec![stock().join(age.name).join("docker-compose.yml"), stock().join(age.name).join("jibri.yml")];
    files.extend(
        ["compose.reflector.yml", "compose.reflector-prosody.yml", age.jibri].map(|it| overlay().join(it)),
    );
    files
}

/// What the files are together, with these variables in `.env`; an error is what `docker-compose` says.
pub(crate) fn merge(files: &[PathBuf], variables: &[(&str, &str)]) -> Result<Value, String> {
    let mut command = Command::new("docker-compose");
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).current_dir(overlay());
    command.envs(variables.iter().copied());
    for file in files {
        command.arg("-f").arg(file);
    }
    let output = command.arg("config").output().expect("docker-compose is installed: make setup-packaging");
    if !output.status.success() {
        return Err(String::from_utf8(output.stderr).unwrap());
    }
    Ok(json(&output.stdout))
}

/// YAML as JSON.
fn json(yaml: &[u8]) -> Value {
    use std::io::Write;

    let mut python = Command::new("python3");
    python.args(["-c", "import json, sys, yaml; json.dump(yaml.safe_load(sys.stdin), sys.stdout)"]);
    let mut child = python.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(yaml).unwrap();
    serde_json::from_slice(&child.wait_with_output().unwrap().stdout).unwrap()
}
