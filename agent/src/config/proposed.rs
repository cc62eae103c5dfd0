//! A configuration that is not written yet: what would be if `setup` wrote its files.

use std::path::Path;

use toml::Table;

use super::environment::Environment;
use super::finding::{Section, require};
use super::layers::Layers;
use super::{Api, Config, Finding, Secret, load, secret};

/// What would be written, and where.
pub struct Proposal<'a> {
    /// The operator's file, which need not exist.
    pub main: &'a Path,
    /// One of its drop-ins.
    pub drop_in: &'a Path,
    /// That drop-in's text.
    pub text: &'a str,
    /// The secret's file.
    pub secret_file: &'a Path,
    /// What it would hold; `None`: what it holds already.
    pub secret: Option<&'a str>,
}

/// Checks all that the service would read, as [`super::load()`] does. A later file that sets a key of the drop-in to something
/// else is an error, since the drop-in would not hold.
///
/// The environment is not looked at: the service has one of its own.
pub fn load_proposed(proposal: &Proposal<'_>) -> Result<(Config, Vec<Finding>), Vec<Finding>> {
    let nothing = Environment::empty();
    let layers = Layers::with_drop_in(proposal.main, proposal.drop_in, proposal.text);
    let overridden = overridden(&layers, proposal.text);
    load::whole(layers, &nothing, |api, findings| {
        findings.extend(overridden);
        find_secret(proposal, api, findings)
    })
}

/// A finding for each key of `[api]` in the drop-in that does not hold in the end.
fn overridden(layers: &Layers, drop_in: &str) -> Vec<Finding> {
    let wanted = drop_in.parse::<Table>().unwrap_or_default();
    let wanted = wanted.get(Api::NAME).and_then(toml::Value::as_table).into_iter().flatten();
    let holds = |key: &str| layers.keys(Api::NAME).and_then(|keys| keys.get(key));
    let finding = |(key, value): (&String, &toml::Value)| {
        let problem =
            "is set once more by a later file, so it would not be what was asked for: remove it there";
        require(holds(key) == Some(value), &format!("{}.{key}", Api::NAME), problem)
    };
    wanted.filter_map(finding).collect()
}

fn find_secret(proposal: &Proposal<'_>, api: &Api, findings: &mut Vec<Finding>) -> Option<Secret> {
    const KEY: &str = "api.secret-file";
    let elsewhere = api.secret_file.as_deref().filter(|path| *path != proposal.secret_file);
    let found = match (proposal.secret, elsewhere) {
        (Some(_), Some(_)) => {
            let ours = proposal.secret_file.display();
            Err(Finding::error(
                KEY,
                format!("names another file than {ours}, where the secret goes: remove the key"),
            ))
        }
        (Some(text), None) => secret::checked(text, "the secret"),
        (None, path) => Secret::from_file(path.unwrap_or(proposal.secret_file), KEY),
    };
    Some(found.map_err(|finding| findings.push(finding)).ok()?.of_agent(api))
}

/// What is wrong with a secret, which is not repeated.
pub(crate) fn secret_problem(text: &str) -> Option<String> {
    secret::checked(text, "").err().map(|finding| finding.problem)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::config::Severity;

    const SECRET: &str = "0123456789abcdef0123456789abcdef";
    const DROP_IN: &str = "[api]\nurl = \"https://reflector.example.com\"\n";

    /// What would be with these files (name and text) beside `DROP_IN`: the address, or the findings as `key problem`.
    fn proposed(files: &[(&str, &str)], secret: Option<&str>) -> Result<String, Vec<String>> {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::create_dir(at("agent.d")).unwrap();
        for (name, text) in files {
            fs::write(at(name), text).unwrap();
        }
        let (main, drop_in, secret_file) = (at("agent.toml"), at("agent.d/50-setup.toml"), at("secret"));
        let proposal =
            Proposal { main: &main, drop_in: &drop_in, text: DROP_IN, secret_file: &secret_file, secret };
        let before = fs::read_dir(directory.path()).unwrap().count();
        let loaded = load_proposed(&proposal);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), before, "nothing is written");
        assert!(!drop_in.exists() || files.iter().any(|(name, _)| name.contains("50-setup")));
        let said = |finding: &Finding| format!("{} {}", finding.key, finding.problem);
        loaded.map(|(config, _)| config.api.url).map_err(|findings| {
            findings.iter().filter(|finding| finding.severity == Severity::Error).map(said).collect()
        })
    }

    #[test]
    fn what_would_be_written_counts_as_if_it_were() {
        let old = "[api]\nurl = \"https://old.example.com\"\n";
        for files in [
            &[][..],
            &[("agent.toml", old)],
            &[("agent.d/10.toml", old)],
            &[("agent.d/50-setup.toml", "[api\n")],
            &[("agent.d/60.toml", "[api]\nrooms = [\"*\"]\n")],
            &[("agent.d/60.toml", DROP_IN)],
        ] {
            let url = proposed(files, Some(SECRET));
            assert_eq!(url.as_deref(), Ok("https://reflector.example.com"), "{files:?}");
        }
    }

    #[test]
    fn what_would_not_hold_or_would_not_start_is_refused() {
        let elsewhere = "[api]\nsecret-file = \"/srv/secret\"\n";
        for (name, text, secret, key, said) in [
            ("agent.d/60.toml", "[api]\nurl = \"https://x.example\"\n", Some(SECRET), "api.url", "60.toml"),
            (
                "agent.d/60.toml",
                "[delivery]\nconnections = 0\n",
                Some(SECRET),
                "delivery.connections",
                "60.toml",
            ),
            ("agent.d/60.toml", "[delivery\n", Some(SECRET), "60.toml", "line 1"),
            ("agent.toml", "[colour]\n", Some(SECRET), "colour", "no"),
            ("agent.toml", elsewhere, Some(SECRET), "api.secret-file", "remove the key (set in"),
            ("agent.toml", "", Some("short"), "the secret", "shorter"),
            ("agent.toml", "", None, "api.secret-file", "cannot be read"),
            ("secret", "your-webhook-secret-here", None, "api.secret-file", "placeholder"),
        ] {
            let findings = proposed(&[(name, text)], secret).unwrap_err();
            let found = findings.iter().any(|finding| finding.contains(key) && finding.contains(said));
            assert!(found && findings.len() == 1, "{name} {text}: {findings:?}");
        }
    }

    #[test]
    fn a_secret_that_is_there_already_serves() {
        assert!(proposed(&[("secret", SECRET)], None).is_ok());
    }
}
