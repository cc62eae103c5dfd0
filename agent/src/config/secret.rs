//! The shared secret: where it comes from, and that it is never printed.

use std::path::{Path, PathBuf};

use contract::signature::Secrets;
use hyper::header::HeaderValue;

use super::environment::{CREDENTIALS, Environment, SECRET};
use super::finding::Section;
use super::{Api, Finding};

/// The key that names the secret's file.
const KEY: &str = "api.secret-file";

/// The shortest secret that is accepted, in bytes.
const SHORTEST: usize = 16;

/// What the guides show where a secret belongs.
const PLACEHOLDERS: &[&str] = &[
    "your-webhook-secret-here",
    "your-32-character-hex-secret-here",
    "your-64-character-hex-secret-here",
    "your-jwt-secret-here",
];

/// The secrets that sign deliveries, and where they were found.
#[derive(Debug, Clone)]
pub struct Secret {
    /// The keys; the first signs.
    pub keys: Secrets,
    /// What the API knows this agent as, where the keys are its own and not those that all hosts share.
    pub agent: Option<HeaderValue>,
    /// Where they were found, for people.
    pub origin: String,
    /// The file that they stand in, if it is one, and what it is called.
    file: Option<(PathBuf, &'static str)>,
}

impl Secret {
    /// Reads a file; `role` says what it is.
    pub(crate) fn from_file(path: &Path, role: &'static str) -> Result<Self, Finding> {
        match std::fs::read_to_string(path) {
            Ok(text) => {
                let secret = checked(&text, &format!("{role} ({})", path.display()))?;
                Ok(Self { file: Some((path.to_owned(), role)), ..secret })
            }
            Err(error) => Err(Finding::error(
                role,
                format!(
                    "{} cannot be read: {error}; the agent's user, and whoever runs this, must be able to read it",
                    path.display()
                ),
            )),
        }
    }

    /// Reads its file once more; `None` if it is not from a file.
    pub(crate) fn read_again(&self) -> Option<Result<Self, Finding>> {
        let (path, role) = self.file.as_ref()?;
        Some(Self::from_file(path, role).map(|secret| Self { agent: self.agent.clone(), ..secret }))
    }
}

/// Finds the secret: the configured file, else the systemd credential, else the environment. If there is none, `findings`
/// says so.
pub(super) fn find(api: &Api, environment: &Environment, findings: &mut Vec<Finding>) -> Option<Secret> {
    // What is wrong with the key itself was said. The file that it should name is not the one that the others lead to.
    if findings.iter().any(|finding| finding.key == KEY || finding.key == Api::NAME) {
        return None;
    }
    let secret =
        search(api.secret_file.as_deref(), environment).map_err(|finding| findings.push(finding)).ok()?;
    let agent = api.agent_id.as_deref().and_then(|id| HeaderValue::from_str(id).ok());
    Some(Secret { agent, ..secret })
}

fn search(file: Option<&Path>, environment: &Environment) -> Result<Secret, Finding> {
    let credential = || environment.get(CREDENTIALS).map(|dir| PathBuf::from(dir).join("secret"));
    if let Some(path) = file {
        return Secret::from_file(path, KEY);
    }
    if let Some(path) = credential().filter(|path| path.exists()) {
        return Secret::from_file(&path, "credential `secret`");
    }
    if let Some(text) = environment.get(SECRET) {
        return checked(text, SECRET);
    }
    Err(Finding::error(
        KEY,
        "there is no secret: set `secret-file` in [api] to a file that holds the API's JITSI_WEBHOOK_SECRET, or set JITSI_WEBHOOK_SECRET (a credential of the systemd service exists inside the service alone)",
    ))
}

fn checked(text: &str, origin: &str) -> Result<Secret, Finding> {
    for secret in text.split(',').map(str::trim).filter(|secret| !secret.is_empty()) {
        if PLACEHOLDERS.contains(&secret) {
            return Err(Finding::error(
                origin,
                "is still the guide's placeholder: use the value of the API's JITSI_WEBHOOK_SECRET (made with `openssl rand -hex 16`)",
            ));
        }
        if secret.len() < SHORTEST {
            return Err(Finding::error(
                origin,
                format!("is shorter than {SHORTEST} characters: make one with `openssl rand -hex 16`"),
            ));
        }
    }
    let keys = Secrets::parse(text)
        .map_err(|error| Finding::error(origin, format!("{error}: the value is empty")))?;
    Ok(Secret { keys, agent: None, origin: origin.to_owned(), file: None })
}
