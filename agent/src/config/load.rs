//! From layers to a checked configuration: the whole one, or the part that looking at the outbox needs.

use std::path::Path;

use super::environment::{Environment, PREFIX};
use super::layers::Layers;
use super::{
    Api, Config, Delivery, EventSync, Finding, Jibri, Log, Outbox, OutboxConfig, Recordings, Retention,
    Secret, Severity, Spool, Upload, api, proxy, secret,
};

/// Loads the configuration. Returns it with the warnings, or every finding if one of them is an error.
///
/// `file` is the operator's choice; without one, [`super::DEFAULT_PATH`] is read if it exists.
pub fn load(file: Option<&Path>, environment: &Environment) -> Result<(Config, Vec<Finding>), Vec<Finding>> {
    whole(Layers::read(file, environment), environment, |api, findings| {
        secret::find(api, environment, findings)
    })
}

/// Turns layers into a configuration; `find` finds the secret.
pub(super) fn whole(
    mut layers: Layers,
    environment: &Environment,
    find: impl FnOnce(&Api, &mut Vec<Finding>) -> Option<Secret>,
) -> Result<(Config, Vec<Finding>), Vec<Finding>> {
    let mut findings = std::mem::take(&mut layers.files);
    let unread = !findings.is_empty();
    findings.extend(environment.findings());
    findings.append(&mut layers.misplaced);
    if unread {
        // Whatever else there is to say would be about defaults that nobody chose.
        layers.name_origins(&mut findings);
        return Err(findings);
    }
    let api: Api = layers.section(&mut findings);
    let proxies = proxy::find(api.proxy.as_ref(), environment, &mut findings);
    let spool: Spool = layers.section(&mut findings);
    let recordings: Recordings = layers.section(&mut findings);
    let jibri: Jibri = layers.section(&mut findings);
    let retention: Retention = layers.section(&mut findings);
    let event_sync: EventSync = layers.section(&mut findings);
    let upload: Upload = layers.section(&mut findings);
    let outbox: Outbox = layers.section(&mut findings);
    let delivery: Delivery = layers.section(&mut findings);
    let log: Log = layers.section(&mut findings);
    if !spool.enabled && !recordings.enabled {
        findings.push(Finding::warning(
            "spool.enabled",
            "spool and recordings are both off, so there is nothing to deliver",
        ));
    }
    let secret = find(&api, &mut findings);
    layers.name_origins(&mut findings);
    match secret {
        Some(secret) if findings.iter().all(|finding| finding.severity < Severity::Error) => Ok((
            Config {
                api,
                secret,
                proxies,
                spool,
                recordings,
                jibri,
                retention,
                event_sync,
                upload,
                outbox,
                delivery,
                log,
            },
            findings,
        )),
        _ => Err(findings),
    }
}

/// Loads what looking at the outbox needs. The secret is not looked for and other sections are not checked: an operator
/// may look while they are wrong, and outside the service, where its credentials and variables do not exist.
///
/// Returns it with the warnings, or every finding if `[outbox]` cannot be known.
pub fn load_outbox(
    file: Option<&Path>,
    environment: &Environment,
) -> Result<(OutboxConfig, Vec<Finding>), Vec<Finding>> {
    let mut layers = Layers::read(file, environment);
    let mut findings = std::mem::take(&mut layers.files);
    let elsewhere = environment.findings().chain(std::mem::take(&mut layers.misplaced));
    findings.extend(elsewhere.map(|finding| {
        let ours = finding.key.strip_prefix(PREFIX).is_some_and(|key| key.starts_with("OUTBOX__"));
        if ours { finding } else { Finding::warning(finding.key, finding.problem) }
    }));
    let outbox: Outbox = layers.section(&mut findings);
    layers.name_origins(&mut findings);
    if findings.iter().any(|finding| finding.severity == Severity::Error) {
        return Err(findings);
    }
    let api_url = layers.text("api", "url").filter(|url| api::is_api_url(url)).map(str::to_owned);
    Ok((OutboxConfig { api_url, outbox }, findings))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> Environment {
        pairs.iter().copied().collect()
    }

    fn write(directory: &Path, name: &str, text: &str) -> PathBuf {
        let path = directory.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    #[test]
    fn the_guides_two_variables_are_a_configuration() {
        let directory = tempfile::tempdir().unwrap();
        let file = write(directory.path(), "agent.toml", "");
        let env = environment(&[
            ("REFLECTOR_API_URL", "http://localhost:1250"),
            ("JITSI_WEBHOOK_SECRET", "0123456789abcdef0123456789abcdef"),
        ]);
        let (config, findings) = load(Some(&file), &env).unwrap();
        assert_eq!(config.api.url, "http://localhost:1250");
        assert_eq!(config.secret.origin, "JITSI_WEBHOOK_SECRET");
        assert!(findings.is_empty(), "{findings:?}");
    }

    #[test]
    fn later_layers_win() {
        let directory = tempfile::tempdir().unwrap();
        let file =
            write(directory.path(), "agent.toml", "[api]\nurl = \"http://one.example\"\nrooms = [\"a\"]\n");
        write(directory.path(), "agent.d/20.toml", "[api]\nurl = \"http://three.example\"\n");
        write(
            directory.path(),
            "agent.d/10.toml",
            "[api]\nurl = \"http://two.example\"\n[outbox]\nmax-bytes = 5000000\n",
        );
        let env = environment(&[
            ("REFLECTOR_AGENT__DELIVERY__BATCH_MAX_EVENTS", "1"),
            ("REFLECTOR_AGENT__RECORDINGS__ROOTS", "[\"/srv/a\", \"/srv/b\"]"),
            ("JITSI_WEBHOOK_SECRET", "0123456789abcdef0123456789abcdef"),
        ]);
        let (config, _) = load(Some(&file), &env).unwrap();
        assert_eq!(config.api.url, "http://three.example");
        assert_eq!(config.api.rooms, ["a"]);
        assert_eq!(config.outbox.max_bytes, 5_000_000);
        assert_eq!(config.delivery.batch_max_events, 1);
        assert_eq!(config.recordings.roots, [PathBuf::from("/srv/a"), PathBuf::from("/srv/b")]);
    }

    #[test]
    fn every_finding_is_reported_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let text = "[api]\nurl = \"reflector\"\n[spool]\ndirectroy = \"/x\"\nrescan-seconds = 0\n[outbox]\nmax-bytes = 1\n[colour]\nx = 1\n";
        let file = write(directory.path(), "agent.toml", text);
        let env = environment(&[("JITSI_WEBHOOK_SECRET", "short"), ("REFLECTOR_AGENT__NONSENSE", "1")]);
        let findings = load(Some(&file), &env).unwrap_err();
        let keys: Vec<&str> = findings.iter().map(|finding| finding.key.as_str()).collect();
        for key in [
            "api.url",
            "spool.directroy",
            "spool.rescan-seconds",
            "outbox.max-bytes",
            "colour",
            "REFLECTOR_AGENT__NONSENSE",
            "JITSI_WEBHOOK_SECRET",
        ] {
            assert!(keys.contains(&key), "{key} is not in {keys:?}");
        }
    }

    #[test]
    fn a_bad_key_of_the_api_does_not_hide_a_good_secret() {
        let directory = tempfile::tempdir().unwrap();
        let secret = write(directory.path(), "secret", "0123456789abcdef0123456789abcdef\n");
        let secret = format!("secret-file = {:?}", secret.display().to_string());
        for (text, expected) in [
            (format!("url = 3\n{secret}"), "api.url"),
            (format!("url = \"http://localhost\"\ncolour = 3\n{secret}"), "api.colour"),
            ("url = \"http://localhost\"\nsecret-file = 3\n".to_owned(), "api.secret-file"),
        ] {
            let file = write(directory.path(), "agent.toml", &format!("[api]\n{text}"));
            let findings = load(Some(&file), &environment(&[])).unwrap_err();
            let keys: Vec<&str> = findings.iter().map(|finding| finding.key.as_str()).collect();
            assert_eq!(keys, [expected], "{findings:?}");
        }
        let file = write(directory.path(), "agent.toml", "api = 3\n");
        let findings = load(Some(&file), &environment(&[])).unwrap_err();
        assert!(findings.len() == 1 && findings[0].problem.contains("write [api]"), "{findings:?}");
    }

    #[test]
    fn a_finding_names_the_layer_that_set_its_key() {
        let directory = tempfile::tempdir().unwrap();
        let file = write(
            directory.path(),
            "agent.toml",
            "[delivery]\nconnections = 8\nbackoff = 3\n[api]\nproxy = \"/\"\nsecret-file = \"/none\"\n",
        );
        write(directory.path(), "agent.d/10.toml", "[delivery]\nconnections = 0\n[colour]\nx = 1\n");
        let variable = "REFLECTOR_AGENT__RECORDINGS__ROOTS";
        let findings = load(Some(&file), &environment(&[(variable, "/srv/a")])).unwrap_err();
        for (key, layer) in [
            ("delivery.backoff", "agent.toml)"),
            ("api.proxy", "agent.toml)"),
            ("api.secret-file", "agent.toml)"),
            ("delivery.connections", "agent.d/10.toml)"),
            ("colour", "agent.d/10.toml)"),
            ("recordings.roots", "write [\"/srv/a\"] (set by REFLECTOR_AGENT__RECORDINGS__ROOTS)"),
        ] {
            let said = findings.iter().find(|finding| finding.key == key).unwrap();
            assert!(said.problem.ends_with(layer), "{said:?}");
        }
        let url = findings.iter().find(|finding| finding.key == "api.url").unwrap();
        assert!(!url.problem.contains("(set "), "nobody set it: {url:?}");
    }

    #[test]
    fn a_secret_is_refused_when_it_is_a_placeholder_or_missing_and_is_never_printed() {
        let directory = tempfile::tempdir().unwrap();
        let file = write(directory.path(), "agent.toml", "[api]\nurl = \"http://localhost\"\n");
        for (env, expected) in [
            (environment(&[]), "there is no secret"),
            (environment(&[("JITSI_WEBHOOK_SECRET", "your-webhook-secret-here")]), "placeholder"),
            (environment(&[("JITSI_WEBHOOK_SECRET", "")]), "empty"),
        ] {
            let findings = load(Some(&file), &env).unwrap_err();
            assert!(
                findings.iter().any(|finding| finding.problem.contains(expected)),
                "{expected}: {findings:?}"
            );
        }
        let secret = "0123456789abcdef0123456789abcdef";
        let (config, _) = load(Some(&file), &environment(&[("JITSI_WEBHOOK_SECRET", secret)])).unwrap();
        assert!(!format!("{config:?}").contains(secret));
    }

    #[test]
    fn looking_at_the_outbox_needs_its_own_section_alone() {
        let directory = tempfile::tempdir().unwrap();
        let nothing_else = "[spool]\ndirectroy = \"/x\"\n[outbox]\ndirectory = \"/srv/outbox\"\n";
        for (api, shown) in [
            ("", None),
            ("url = 3\n", None),
            ("url = \"https://u:hunter2@api.example\"\n", None),
            ("url = \"https://api.example\"\n", Some("https://api.example")),
        ] {
            let file = write(directory.path(), "agent.toml", &format!("[api]\n{api}{nothing_else}"));
            let (config, findings) = load_outbox(Some(&file), &environment(&[])).unwrap();
            assert_eq!(config.outbox.directory, PathBuf::from("/srv/outbox"), "{api}");
            assert_eq!(config.api_url.as_deref(), shown, "{api}");
            assert!(findings.is_empty(), "{findings:?}");
        }
    }

    #[test]
    fn looking_at_the_outbox_is_refused_when_nobody_can_know_where_it_is() {
        let directory = tempfile::tempdir().unwrap();
        for (text, key) in [
            ("[outbox]\ndirectory = \"here\"\n", "outbox.directory"),
            ("[outbox]\nfolder = \"/x\"\n", "outbox.folder"),
            ("outbox = 3\n", "outbox"),
            ("[outbox\n", "agent.toml"),
        ] {
            let file = write(directory.path(), "agent.toml", text);
            let findings = load_outbox(Some(&file), &environment(&[])).err().unwrap();
            assert!(findings.iter().any(|finding| finding.key.ends_with(key)), "{key}: {findings:?}");
        }
        let file = write(directory.path(), "agent.toml", "[colour]\nx = 1\n");
        let (_, findings) = load_outbox(Some(&file), &environment(&[])).unwrap();
        assert_eq!(findings.iter().map(|f| f.severity).collect::<Vec<_>>(), [Severity::Warning]);
    }

    #[test]
    fn a_broken_file_is_told_by_its_line_and_not_by_what_stands_there() {
        let directory = tempfile::tempdir().unwrap();
        let file = write(directory.path(), "agent.toml", "[api]\n# one\nsecret = \"hunter2\n");
        let findings = load(Some(&file), &environment(&[])).unwrap_err();
        let said = format!("{findings:?}");
        assert!(said.contains("line 3: ") && !said.contains("hunter2"), "{said}");
        assert_eq!(findings.len(), 1, "nothing is said about what may well stand in the file: {said}");
    }
}
