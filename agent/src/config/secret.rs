//! The shared secret: where it comes from, and that it is never printed.

use std::path::{Path, PathBuf};

use contract::signature::Secrets;
use hyper::header::HeaderValue;

use super::environment::{CREDENTIALS, Environment, SECRET};
use super::finding::Section;
use super::{Api, Finding};

/// The key that names the secret's file.
const KEY: &str = "api.secret-file";

/// Where the package keeps the secret. Root alone may read it; the service has a copy of it as its credential.
const DEFAULT_FILE: &str = "/etc/reflector-agent/secret";

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

    /// The same as the secret of the agent that `api` names, if it names one.
    pub(super) fn of_agent(self, api: &Api) -> Self {
        let agent = api.agent_id.as_deref().and_then(|id| HeaderValue::from_str(id).ok());
        Self { agent, ..self }
    }

    /// Reads its file once more; `None` if it is not from a file.
    pub(crate) fn read_again(&self) -> Option<Result<Self, Finding>> {
        let (path, role) = self.file.as_ref()?;
        Some(Self::from_file(path, role).map(|secret| Self { agent: self.agent.clone(), ..secret }))
    }
}

/// Finds the secret: the configured file, else the systemd credential, else the environment, else the package's file, for
/// what root runs beside the service. If there is none, `findings` says so.
pub(super) fn find(api: &Api, environment: &Environment, findings: &mut Vec<Finding>) -> Option<Secret> {
    // What is wrong with the key itself was said. The file that it should name is not the one that the others lead to.
    if findings.iter().any(|finding| finding.key == KEY || finding.key == Api::NAME) {
        return None;
    }
    let secret = search(api.secret_file.as_deref(), environment, Path::new(DEFAULT_FILE))
        .map_err(|finding| findings.push(finding))
        .ok()?;
    Some(secret.of_agent(api))
}

fn search(file: Option<&Path>, environment: &Environment, default: &Path) -> Result<Secret, Finding> {
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
    // One that may not even be asked for is there as far as we know.
    if default.try_exists().unwrap_or(true) {
        return Secret::from_file(default, "the package's secret");
    }
    Err(Finding::error(
        KEY,
        "there is no secret: `reflector-agent setup` writes one, or set `secret-file` in [api] to a file that holds the API's JITSI_WEBHOOK_SECRET, or set JITSI_WEBHOOK_SECRET",
    ))
}

/// The keys in a text, unless they are too short or a placeholder.
pub(super) fn checked(text: &str, origin: &str) -> Result<Secret, Finding> {
    if text.trim().chars().any(char::is_control) {
        return Err(Finding::error(
            origin,
            "is more than one line, or has characters that nobody types: it must be the secret alone, on one line",
        ));
    }
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

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_secret_is_looked_for_in_one_order() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let write = |name: &str| fs::write(at(name), "0123456789abcdef0123456789abcdef\n").unwrap();
        for name in ["named", "secret", "default"] {
            write(name);
        }
        let credentials = (CREDENTIALS.to_owned(), directory.path().display().to_string());
        let elsewhere = (CREDENTIALS.to_owned(), at("elsewhere").display().to_string());
        let variable = (SECRET.to_owned(), "fedcba9876543210".to_owned());
        let (named, default, missing) = (at("named"), at("default"), at("missing"));
        for (file, environment, default, expected) in [
            (Some(&named), vec![credentials.clone(), variable.clone()], &default, Some("api.secret-file")),
            (None, vec![credentials, variable.clone()], &default, Some("credential")),
            (None, vec![elsewhere.clone(), variable], &default, Some(SECRET)),
            (None, vec![elsewhere], &default, Some("the package's")),
            (None, vec![], &missing, None),
            (Some(&missing), vec![], &default, None),
        ] {
            let environment: Environment = environment.into_iter().collect();
            let found = search(file.map(PathBuf::as_path), &environment, default);
            let origin = found.ok().map(|secret| secret.origin);
            assert_eq!(origin.is_some(), expected.is_some(), "{origin:?}");
            assert!(origin.unwrap_or_default().starts_with(expected.unwrap_or_default()));
        }
    }

    #[test]
    fn a_secret_is_one_line_of_what_can_be_typed() {
        const GOOD: &str = "0123456789abcdef";
        for (text, is_good) in [
            (format!("{GOOD}\n"), true),
            (format!(" {GOOD}, {GOOD} \r\n"), true),
            (format!("{GOOD}\n{GOOD}"), false),
            (format!("{GOOD},\n{GOOD}"), false),
            (format!("{GOOD}\0"), false),
            (format!("{GOOD}\u{1b}[A{GOOD}"), false),
        ] {
            let problem = checked(&text, "it").err().map(|finding| finding.problem);
            assert_eq!(problem.is_none(), is_good, "{text:?}");
            assert!(problem.is_none_or(|problem| !problem.contains(GOOD) && problem.contains("one line")));
        }
    }

    #[test]
    fn a_default_that_may_not_be_read_is_said_and_not_taken_for_none() {
        let directory = tempfile::tempdir().unwrap();
        let not_a_directory = directory.path().join("file");
        fs::write(&not_a_directory, "").unwrap();
        let nothing: Environment = std::iter::empty::<(&str, &str)>().collect();
        // Even root may not look into a file.
        let finding = search(None, &nothing, &not_a_directory.join("secret")).unwrap_err();
        assert!(finding.problem.contains("cannot be read"), "{}", finding.problem);
    }
}
