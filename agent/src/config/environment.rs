//! The process's variables, as far as they concern the agent.

use std::collections::BTreeMap;
use std::ffi::OsString;

use super::Finding;

/// The prefix of every variable that sets a key.
pub(super) const PREFIX: &str = "REFLECTOR_AGENT__";

/// The guide's name for the API's address.
pub(super) const API_URL: &str = "REFLECTOR_API_URL";

/// The guide's name for the shared secret.
pub(super) const SECRET: &str = "JITSI_WEBHOOK_SECRET";

/// Where systemd puts a service's credentials.
pub(super) const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";

/// What says which proxy to use, in capitals or not.
const PROXIES: &[&str] = &["ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"];

/// The variables that concern the agent; other programs' variables are not kept, whatever they hold.
///
/// Collected from pairs of name and value: `Environment::from_iter(std::env::vars_os())`.
pub struct Environment {
    variables: BTreeMap<String, String>,
    not_text: Vec<String>,
}

impl<K: Into<OsString>, V: Into<OsString>> FromIterator<(K, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        let mut environment = Self { variables: BTreeMap::new(), not_text: Vec::new() };
        for (name, value) in pairs {
            let name = name.into();
            let shown = name.to_string_lossy().into_owned();
            if !is_ours(&shown) {
                continue;
            }
            match (name.into_string(), value.into().into_string()) {
                (Ok(name), Ok(value)) => {
                    environment.variables.insert(name, value);
                }
                _ => environment.not_text.push(shown),
            }
        }
        environment
    }
}

impl Environment {
    /// No variable at all.
    pub(crate) fn empty() -> Self {
        Self { variables: BTreeMap::new(), not_text: Vec::new() }
    }

    /// The value of one variable.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }

    /// The first of these variables that is set to something.
    pub(super) fn any<'a>(&'a self, names: &[&'a str]) -> Option<(&'a str, &'a str)> {
        names.iter().find_map(|name| Some((*name, self.get(name).filter(|text| !text.is_empty())?)))
    }

    /// The variables that set a key: the name without [`PREFIX`], and the value.
    pub(super) fn keys(&self) -> impl Iterator<Item = (&str, &str)> {
        self.variables.iter().filter_map(|(name, value)| Some((name.strip_prefix(PREFIX)?, value.as_str())))
    }

    /// A finding for each of our variables that is not text. Its value is not shown: it may be the secret.
    pub(super) fn findings(&self) -> impl Iterator<Item = Finding> {
        self.not_text
            .iter()
            .map(|name| Finding::error(name.clone(), "is not valid UTF-8: set it again, as plain text"))
    }
}

fn is_ours(name: &str) -> bool {
    let is_proxy = || PROXIES.iter().any(|proxy| *proxy == name || proxy.to_lowercase() == name);
    name.starts_with(PREFIX) || [API_URL, SECRET, CREDENTIALS].contains(&name) || is_proxy()
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use super::*;

    #[test]
    fn only_our_own_variables_must_be_text() {
        let bytes = |text: &[u8]| OsString::from_vec(text.to_vec());
        for (name, value, expected) in [
            (&b"LC_NAME"[..], &b"M\xfcller"[..], None),
            (b"M\xfcller", b"x", None),
            (b"JITSI_WEBHOOK_SECRET", b"M\xfcller", Some("JITSI_WEBHOOK_SECRET")),
            (b"REFLECTOR_AGENT__SPOOL__M\xfcller", b"x", Some("REFLECTOR_AGENT__SPOOL__M\u{fffd}ller")),
            (b"REFLECTOR_API_URL", "https://m\u{fc}ller.example".as_bytes(), None),
        ] {
            let environment = Environment::from_iter([(bytes(name), bytes(value))]);
            let found: Vec<String> = environment.findings().map(|finding| finding.key).collect();
            assert_eq!(found, expected.into_iter().collect::<Vec<_>>(), "{}", name.escape_ascii());
        }
    }
}
