//! The configuration as far as it can be known, for whoever looks for what is wrong on a host: a key that is wrong
//! stands there with its default, and every finding is told.

use std::path::{Path, PathBuf};

use super::environment::Environment;
use super::layers::Layers;
use super::{
    Api, Delivery, EventSync, Finding, Jibri, Log, Outbox, Proxies, Recordings, Retention, Secret, Spool,
    Upload, api, proxy, secret,
};

/// Everything that could be known.
#[derive(Debug)]
pub struct Survey {
    /// What is wrong, or probably not meant.
    pub findings: Vec<Finding>,
    /// Whether this user may not look at the configuration: what is not found may be there all the same.
    pub is_hidden: bool,
    /// What the packaged service reads, with its directories; nothing where the operator chose another file.
    pub service_files: Vec<PathBuf>,
    /// Where deliveries go. An address that is none is empty.
    pub api: Api,
    /// The ways to get there.
    pub proxies: Proxies,
    /// What signs them; nothing if it was not found, which is a finding.
    pub secret: Option<Secret>,
    /// The spool that the Prosody module writes.
    pub spool: Spool,
    /// Jibri's recordings.
    pub recordings: Recordings,
    /// Jibri itself.
    pub jibri: Jibri,
    /// When recordings are removed.
    pub retention: Retention,
    /// The local listener.
    pub event_sync: EventSync,
    /// How recordings are uploaded.
    pub upload: Upload,
    /// What is kept until the API has it.
    pub outbox: Outbox,
}

/// Reads every layer and says everything that there is to say.
pub fn survey(file: Option<&Path>, environment: &Environment) -> Survey {
    let mut layers = Layers::read(file, environment);
    let mut findings = std::mem::take(&mut layers.files);
    findings.extend(environment.findings());
    findings.append(&mut layers.misplaced);
    let mut api: Api = layers.section(&mut findings);
    let proxies = proxy::find(api.proxy.as_ref(), environment, &mut findings);
    if !api::is_api_url(&api.url) {
        api.url.clear();
    }
    // Nothing but their findings is asked for.
    let _: (Delivery, Log) = (layers.section(&mut findings), layers.section(&mut findings));
    let secret = secret::find(&api, environment, &mut findings);
    let spool = layers.section(&mut findings);
    let recordings = layers.section(&mut findings);
    let jibri = layers.section(&mut findings);
    let retention = layers.section(&mut findings);
    let event_sync = layers.section(&mut findings);
    let upload = layers.section(&mut findings);
    let outbox = layers.section(&mut findings);
    layers.name_origins(&mut findings);
    let of_keys = api.ca_file.iter().chain(&api.secret_file).cloned();
    let service_files =
        if file.is_some() { Vec::new() } else { layers.read.iter().cloned().chain(of_keys).collect() };
    Survey {
        findings,
        is_hidden: layers.is_hidden,
        service_files,
        api,
        proxies,
        secret,
        spool,
        recordings,
        jibri,
        retention,
        event_sync,
        upload,
        outbox,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_hides_nothing_that_is_right() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("agent.toml");
        let text = "[api]\nurl = \"reflector\"\n[spool]\ndirectroy = \"/x\"\n[outbox]\ndirectory = \"/srv/outbox\"\n";
        std::fs::write(&file, text).unwrap();
        let environment = [("JITSI_WEBHOOK_SECRET", "short")].into_iter().collect();
        let survey = survey(Some(&file), &environment);
        assert_eq!((survey.api.url.as_str(), survey.secret.is_none()), ("", true));
        assert_eq!(survey.outbox.directory, Path::new("/srv/outbox"));
        let keys: Vec<&str> = survey.findings.iter().map(|finding| finding.key.as_str()).collect();
        for key in ["api.url", "spool.directroy", "JITSI_WEBHOOK_SECRET"] {
            assert!(keys.contains(&key), "{key} is not in {keys:?}");
        }
    }
}
