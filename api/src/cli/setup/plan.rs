//! Decides which settings a file lacks.

use std::net::IpAddr;

use crate::config::Variables;

/// What somebody wants the settings to say.
#[derive(Debug, Default)]
pub(super) struct Wishes {
    /// What was asked for: variables and values.
    pub(super) values: Vec<(&'static str, String)>,
    /// Whether other values may be replaced.
    pub(super) replaces: bool,
}

/// A line to be added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Addition {
    pub(super) name: &'static str,
    pub(super) value: String,
    /// What it is for.
    pub(super) why: &'static str,
}

/// Secrets that are made where they are missing.
const SECRETS: [(&str, &str); 2] = [
    ("JITSI_WEBHOOK_SECRET", "What agents sign with that have no secret of their own."),
    (
        "SECRET_KEY",
        "What the secrets of enrolled agents are derived from: without it all of them have to be enrolled anew.",
    ),
];

/// What says how people's tokens are checked. Where anything does, it is left alone.
const KEYS: [&str; 3] = ["AUTH_JWT_SECRET", "AUTH_JWT_PUBLIC_KEY", "AUTH_JWT_JWKS_URL"];

/// What has to be added to `existing`, with secrets from `secret`; the variables that say something else already are an error.
pub(super) fn additions(
    existing: &Variables,
    wishes: &Wishes,
    mut secret: impl FnMut() -> String,
) -> Result<Vec<Addition>, Vec<&'static str>> {
    let said = |name: &str| existing.get(name).map(|value| value.trim()).filter(|value| !value.is_empty());
    let others = wishes.values.iter().filter(|(name, value)| said(name).is_some_and(|said| said != value));
    let others: Vec<_> = others.map(|(name, _)| *name).collect();
    if !others.is_empty() && !wishes.replaces {
        return Err(others);
    }
    let new = wishes.values.iter().filter(|(name, value)| said(name) != Some(value));
    let mut additions: Vec<_> =
        new.map(|(name, value)| Addition { name, value: value.clone(), why: why(name) }).collect();
    let mut add = |name, value, why| additions.push(Addition { name, value, why });
    if said("JITSI_JWT_SECRET").is_none() && said("JITSI_JWT_PRIVATE_KEY_FILE").is_none() {
        add(
            "JITSI_JWT_SECRET",
            secret(),
            "Prosody's app_secret: it opens meetings to those whom this service lets in.",
        );
    }
    for (name, why) in SECRETS {
        if said(name).is_none() {
            add(name, secret(), why);
        }
    }
    let has_key = KEYS.iter().any(|name| said(name).is_some());
    let backend = said("AUTH_BACKEND");
    if backend.is_none() {
        add("AUTH_BACKEND", "jwt".to_owned(), "People prove who they are with a bearer token.");
    }
    if !has_key && backend.is_none_or(|backend| backend == "jwt") {
        add(
            "AUTH_JWT_SECRET",
            secret(),
            "What their tokens are signed with; `reflector-api token` makes one.",
        );
    }
    Ok(additions)
}

/// Why agents cannot reach a service at `url` as they build their addresses: by appending to it.
pub(super) fn no_way_in(url: &str) -> Option<&'static str> {
    let url = reqwest::Url::parse(url).ok()?;
    if url.query().is_some() || url.fragment().is_some() {
        return Some("has a ? or a #; write it as https://reflector.example.com");
    }
    let is_with_login = !url.username().is_empty() || url.password().is_some();
    is_with_login.then_some("holds a user or a password, which every token would carry; leave them out")
}

/// Whether `url` leads to this host only, so that no other may use it.
pub(super) fn is_of_this_host(url: &str) -> bool {
    let host = reqwest::Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned));
    let host = host.unwrap_or_default();
    let is_loopback = |host: &str| {
        host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback() || address.is_unspecified())
    };
    host == "localhost" || host.ends_with(".localhost") || is_loopback(host.trim_matches(['[', ']']))
}

fn why(name: &str) -> &'static str {
    match name {
        "JITSI_DOMAIN" => "The Jitsi that meetings are held on.",
        "REFLECTOR_API_PUBLIC_URL" => "Where agents reach this service.",
        "DATABASE_URL" => "The Postgres that holds the data.",
        _ => "Where HTTP is served.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(existing: &[(&str, &str)], wishes: &Wishes) -> Result<Vec<&'static str>, Vec<&'static str>> {
        let existing =
            existing.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let mut number = 0;
        let additions = additions(&existing, wishes, || {
            number += 1;
            format!("secret-{number}")
        })?;
        let secrets = additions.iter().filter(|addition| addition.value.starts_with("secret-"));
        assert_eq!(secrets.count(), number, "no secret is made for nothing, and none twice");
        Ok(additions.iter().map(|addition| addition.name).collect())
    }

    #[test]
    fn an_address_is_judged_by_what_agents_can_do_with_it() {
        for (url, leads_in, is_own) in [
            ("https://reflector.example.com", true, false),
            ("https://example.com/reflector/", true, false),
            ("https://example.com/?a=b", false, false),
            ("https://example.com/#a", false, false),
            ("https://ann:hunter2@example.com", false, false),
            ("http://localhost:1250", true, true),
            ("http://127.0.0.1:1250", true, true),
            ("http://[::1]:1250", true, true),
            ("http://0.0.0.0:1250", true, true),
            ("http://10.0.0.1:1250", true, false),
            ("nothing of the kind", true, false),
        ] {
            assert_eq!((no_way_in(url).is_none(), is_of_this_host(url)), (leads_in, is_own), "{url}");
        }
    }

    #[test]
    fn what_is_missing_is_made_and_what_is_there_is_left() {
        let all =
            ["JITSI_JWT_SECRET", "JITSI_WEBHOOK_SECRET", "SECRET_KEY", "AUTH_BACKEND", "AUTH_JWT_SECRET"];
        let complete = all.map(|name| (name, "x"));
        let but = |name: &str| complete.into_iter().filter(|(other, _)| *other != name).collect::<Vec<_>>();
        let none = Wishes::default();
        assert_eq!(names(&[], &none).unwrap(), all);
        assert!(names(&complete, &none).unwrap().is_empty());
        for name in ["JITSI_JWT_SECRET", "JITSI_WEBHOOK_SECRET", "SECRET_KEY"] {
            assert_eq!(names(&but(name), &none).unwrap(), [name]);
            let mut empty = but(name);
            empty.push((name, " "));
            assert_eq!(names(&empty, &none).unwrap(), [name], "an empty variable is none");
        }
        let mut rsa = but("JITSI_JWT_SECRET");
        rsa.push(("JITSI_JWT_PRIVATE_KEY_FILE", "/key"));
        assert!(names(&rsa, &none).unwrap().is_empty(), "tokens are signed with a key");
    }

    #[test]
    fn how_people_prove_who_they_are_is_decided_where_nobody_has() {
        let rest = ["JITSI_JWT_SECRET", "JITSI_WEBHOOK_SECRET", "SECRET_KEY"].map(|name| (name, "x"));
        for (auth, expected) in [
            (&[][..], &["AUTH_BACKEND", "AUTH_JWT_SECRET"][..]),
            (&[("AUTH_BACKEND", "none")], &[]),
            (&[("AUTH_BACKEND", "jwt")], &["AUTH_JWT_SECRET"]),
            (&[("AUTH_JWT_JWKS_URL", "https://id.example.com")], &["AUTH_BACKEND"]),
            (&[("AUTH_BACKEND", "jwt"), ("AUTH_JWT_PUBLIC_KEY", "/key")], &[]),
        ] {
            let existing: Vec<_> = rest.iter().chain(auth).copied().collect();
            assert_eq!(names(&existing, &Wishes::default()).unwrap(), expected, "{auth:?}");
        }
    }

    #[test]
    fn another_value_is_replaced_only_when_that_is_asked_for() {
        let complete =
            ["JITSI_JWT_SECRET", "JITSI_WEBHOOK_SECRET", "SECRET_KEY", "AUTH_BACKEND", "AUTH_JWT_SECRET"]
                .map(|name| (name, "x"));
        let wish = |replaces| Wishes { values: vec![("JITSI_DOMAIN", "b.example.com".to_owned())], replaces };
        for (domain, replaces, expected) in [
            (None, false, Ok(vec!["JITSI_DOMAIN"])),
            (Some("b.example.com"), false, Ok(vec![])),
            (Some("a.example.com"), false, Err(vec!["JITSI_DOMAIN"])),
            (Some("a.example.com"), true, Ok(vec!["JITSI_DOMAIN"])),
        ] {
            let existing: Vec<_> =
                complete.into_iter().chain(domain.map(|domain| ("JITSI_DOMAIN", domain))).collect();
            assert_eq!(names(&existing, &wish(replaces)), expected, "{domain:?} {replaces}");
        }
    }
}
