//! A running API with both platforms and an object storage, and the programs that are pointed at it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;
use testbed::api::Api;
use testbed::ports;
use testbed::s3::S3;
use testbed::secrets::Secrets;
use testbed::whereby::Whereby;

/// More than any of these tests makes use of.
const POINTS_PER_MINUTE: u32 = 10_000;

/// Every answer has its line, also one that an operator need not see.
const EVERY_ANSWER: &str = "info,api::http::observe=debug";

/// A running API, and what it needs.
pub(crate) struct Scene {
    pub(crate) api: Api,
    pub(crate) secrets: Secrets,
    pub(crate) whereby: Whereby,
    pub(crate) directory: TempDir,
    _s3: S3,
}

impl Scene {
    pub(crate) fn new() -> Self {
        Self::with(&[])
    }

    /// One with other variables, too.
    pub(crate) fn with(changes: &[(&'static str, &str)]) -> Self {
        let directory = TempDir::with_prefix("reflector-").unwrap();
        let at = directory.path();
        fs::set_permissions(at, fs::Permissions::from_mode(0o755)).unwrap();
        let secrets = Secrets::random().unwrap();
        let s3 = S3::start(&at.join("s3")).unwrap();
        let whereby = Whereby::start_with(POINTS_PER_MINUTE).unwrap();
        let more = [
            ("WHEREBY_POINTS_PER_MINUTE", POINTS_PER_MINUTE.to_string()),
            ("RUST_LOG", EVERY_ANSWER.to_owned()),
        ];
        let variables = s3.environment().into_iter().chain(whereby.environment()).chain(more);
        let changes = changes.iter().map(|(name, value)| (*name, (*value).to_owned()));
        let variables = variables.chain(changes).collect();
        let port = ports::free().unwrap();
        let api = Api::start(&at.join("api"), &at.join("api.log"), port, &secrets, variables).unwrap();
        Self { api, secrets, whereby, directory, _s3: s3 }
    }

    /// The document that the API serves.
    pub(crate) fn document(&self) -> Value {
        let mut answer = ureq::get(format!("{}/openapi.json", self.api.url())).call().unwrap();
        answer.body_mut().read_json().unwrap()
    }

    /// What the API logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("api.log")).unwrap()
    }
}

/// The files that these programs are made of.
pub(crate) fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tools")
}

/// What `make setup` installed.
pub(crate) fn installed() -> PathBuf {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(".tools");
    assert!(tools.is_dir(), "{} is not there; run: make setup", tools.display());
    tools
}

/// What `command` printed; it must succeed.
pub(crate) fn run(command: &mut Command) -> String {
    let (succeeded, printed) = attempt(command);
    assert!(succeeded, "{command:?}\n{printed}");
    printed
}

/// Whether `command` succeeded, and what it printed.
pub(crate) fn attempt(command: &mut Command) -> (bool, String) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let printed = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    (output.status.success(), printed.concat())
}
