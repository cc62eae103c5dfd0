//! What may be wrong with values that have the right type.

use std::ops::RangeInclusive;

use tracing_subscriber::filter::{LevelFilter, Targets};

use super::{Api, Delivery, Finding, Log, Outbox, Recordings, Spool};

/// Any wait: from a second to a day. A longer one is a slip of the pen, and would overflow clocks.
const SECONDS: RangeInclusive<u64> = 1..=86_400;

/// How long anything may be remembered: ten years.
const DAYS: RangeInclusive<u64> = 1..=3650;

/// The same in hours, where 0 means for ever.
const HOURS: RangeInclusive<u64> = 0..=87_600;

/// From a few thousand events to 16 TiB, the most that `SQLite` holds.
const OUTBOX_BYTES: RangeInclusive<u64> = 4 << 20..=16 << 40;

/// Log directives as an example.
const DIRECTIVES: &str = "info,agent::delivery=debug";

pub(super) fn sections(
    api: &Api,
    spool: &Spool,
    recordings: &Recordings,
    outbox: &Outbox,
    delivery: &Delivery,
    log: &Log,
) -> Vec<Finding> {
    let mut findings = url(&api.url);
    findings.extend(numbers(api, spool, recordings, delivery));
    findings.extend(self::outbox(outbox));
    let mut require = |holds: bool, key: &str, problem: String| {
        if !holds {
            findings.push(Finding::error(key, problem));
        }
    };
    require(
        !api.rooms.is_empty(),
        "api.rooms",
        "is empty, so nothing would be reported: use [\"*\"] for every room".into(),
    );
    require(spool.directory.is_absolute(), "spool.directory", "must be an absolute path".into());
    require(
        recordings.roots.iter().all(|root| root.is_absolute()),
        "recordings.roots",
        "must be absolute paths".into(),
    );
    require(
        delivery.backoff_min_seconds <= delivery.backoff_max_seconds,
        "delivery.backoff-min-seconds",
        "must not be more than backoff-max-seconds".into(),
    );
    require(
        is_log_filter(&log.filter),
        "log.filter",
        format!(
            "must be a level (off, error, warn, info, debug, trace) or directives such as `{DIRECTIVES}`"
        ),
    );
    if !spool.enabled && (!recordings.enabled || recordings.roots.is_empty()) {
        findings.push(Finding::warning(
            "spool.enabled",
            "spool and recordings are both off, so there is nothing to deliver",
        ));
    }
    findings
}

/// What may be wrong with `[outbox]`.
pub(super) fn outbox(outbox: &Outbox) -> Vec<Finding> {
    let mut findings: Vec<Finding> = [
        within("outbox.max-bytes", outbox.max_bytes, &OUTBOX_BYTES),
        within("outbox.keep-settled-days", outbox.keep_settled_days, &DAYS),
    ]
    .into_iter()
    .flatten()
    .collect();
    if !outbox.directory.is_absolute() {
        findings.push(Finding::error("outbox.directory", "must be an absolute path"));
    }
    findings
}

fn numbers(
    api: &Api,
    spool: &Spool,
    recordings: &Recordings,
    delivery: &Delivery,
) -> impl Iterator<Item = Finding> {
    let seconds = [
        ("api.connect-timeout-seconds", api.connect_timeout_seconds),
        ("api.request-timeout-seconds", api.request_timeout_seconds),
        ("spool.rescan-seconds", spool.rescan_seconds),
        ("recordings.orphan-after-seconds", recordings.orphan_after_seconds),
        ("recordings.rescan-seconds", recordings.rescan_seconds),
        ("delivery.backoff-min-seconds", delivery.backoff_min_seconds),
        ("delivery.backoff-max-seconds", delivery.backoff_max_seconds),
    ];
    seconds
        .into_iter()
        .filter_map(|(key, value)| within(key, value, &SECONDS))
        .chain(within("spool.remove-after-hours", spool.remove_after_hours, &HOURS))
        .chain(within("delivery.connections", delivery.connections as u64, &(1..=64)))
        .chain(within(
            "delivery.batch-max-events",
            delivery.batch_max_events as u64,
            // What the API takes.
            &(1..=contract::batch::MAX_EVENTS as u64),
        ))
}

fn within(key: &str, value: u64, bounds: &RangeInclusive<u64>) -> Option<Finding> {
    let problem = format!("is {value}: must be between {} and {}", bounds.start(), bounds.end());
    (!bounds.contains(&value)).then(|| Finding::error(key, problem))
}

/// The parser alone takes too much: a bare word that is no level is a module's name to it, and nothing is a level.
fn is_log_filter(text: &str) -> bool {
    let is_directive = |part: &str| part.contains('=') || part.parse::<LevelFilter>().is_ok();
    text.parse::<Targets>().is_ok()
        && text.split(',').all(|part| !part.is_empty() && !part.contains(' ') && is_directive(part))
}

/// Whether this is an address that deliveries could go to, and that may be shown.
pub(super) fn is_api_url(text: &str) -> bool {
    url(text).iter().all(|finding| finding.severity < super::Severity::Error)
}

/// What may be wrong with `api.url`. Its text is never repeated: somebody may have written a password there.
fn url(url: &str) -> Vec<Finding> {
    const KEY: &str = "api.url";
    const EXAMPLE: &str =
        "write for example `url = \"https://reflector.example.com\"` in [api], or set REFLECTOR_API_URL";
    let error = |problem: String| vec![Finding::error(KEY, problem)];
    if url.is_empty() {
        return error(format!("is not set: {EXAMPLE}"));
    }
    let uri = match url.parse::<hyper::Uri>() {
        Ok(uri) if matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some() => uri,
        _ => return error(format!("is not an http or https address: {EXAMPLE}")),
    };
    if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return error(
            "must not have a user or a password: deliveries are signed with the secret instead".into(),
        );
    }
    if uri.query().is_some() {
        return error("must not have a query".into());
    }
    let local = matches!(uri.host(), Some("localhost" | "127.0.0.1" | "[::1]"));
    if uri.scheme_str() == Some("http") && !local {
        return vec![Finding::warning(
            KEY,
            "is plain http: everybody on the way can read names and replay events within minutes; use https",
        )];
    }
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::super::Severity;
    use super::*;

    /// The findings on the defaults with one change.
    fn findings(change: impl FnOnce(&mut Everything)) -> Vec<Finding> {
        let mut all = Everything::default();
        all.api.url = "https://reflector.example.com".into();
        change(&mut all);
        sections(&all.api, &all.spool, &all.recordings, &all.outbox, &all.delivery, &all.log)
    }

    #[derive(Default)]
    struct Everything {
        api: Api,
        spool: Spool,
        recordings: Recordings,
        outbox: Outbox,
        delivery: Delivery,
        log: Log,
    }

    #[test]
    fn every_number_has_bounds() {
        type Number = fn(&mut Everything) -> &mut u64;
        let numbers: [(&str, Number, RangeInclusive<u64>); 10] = [
            ("api.connect-timeout-seconds", |all| &mut all.api.connect_timeout_seconds, SECONDS),
            ("api.request-timeout-seconds", |all| &mut all.api.request_timeout_seconds, SECONDS),
            ("spool.rescan-seconds", |all| &mut all.spool.rescan_seconds, SECONDS),
            ("spool.remove-after-hours", |all| &mut all.spool.remove_after_hours, HOURS),
            ("recordings.rescan-seconds", |all| &mut all.recordings.rescan_seconds, SECONDS),
            ("recordings.orphan-after-seconds", |all| &mut all.recordings.orphan_after_seconds, SECONDS),
            ("outbox.max-bytes", |all| &mut all.outbox.max_bytes, OUTBOX_BYTES),
            ("outbox.keep-settled-days", |all| &mut all.outbox.keep_settled_days, DAYS),
            ("delivery.backoff-min-seconds", |all| &mut all.delivery.backoff_min_seconds, SECONDS),
            ("delivery.backoff-max-seconds", |all| &mut all.delivery.backoff_max_seconds, SECONDS),
        ];
        for (key, number, bounds) in numbers {
            let (lowest, highest) = (*bounds.start(), *bounds.end());
            let outside = [lowest.checked_sub(1), Some(highest + 1), Some(i64::MAX as u64)];
            for value in outside.into_iter().flatten() {
                let found = findings(|all| *number(all) = value);
                assert!(
                    found.iter().any(|f| f.key == key && f.severity == Severity::Error),
                    "{key} = {value}"
                );
            }
            for value in [lowest, highest] {
                let found = findings(|all| {
                    all.delivery.backoff_min_seconds = 1;
                    all.delivery.backoff_max_seconds = *SECONDS.end();
                    *number(all) = value;
                });
                assert_eq!(found, [], "{key} = {value}");
            }
        }
    }

    #[test]
    fn an_address_is_http_without_user_or_query() {
        for (url, expected) in [
            ("https://reflector.example.com", None),
            ("HTTPS://reflector.example.com/server-api/", None),
            ("http://localhost:1250", None),
            ("http://[::1]:1250", None),
            ("http://reflector.example.com", Some("plain http")),
            ("", Some("not set")),
            ("reflector.example.com", Some("not an http or https address")),
            ("ftp://reflector.example.com", Some("not an http or https address")),
            ("https://reflector.example.com/?a=b", Some("query")),
            ("https://agent:hunter2@reflector.example.com", Some("user or a password")),
            ("https://hunter2@reflector.example.com", Some("user or a password")),
            ("https://agent:hun ter2@reflector.example.com", Some("not an http or https address")),
        ] {
            let said = findings(|all| url.clone_into(&mut all.api.url));
            let said: Vec<String> = said.into_iter().map(|finding| finding.problem).collect();
            match expected {
                None => assert!(said.is_empty(), "{url}: {said:?}"),
                Some(part) => assert!(said.len() == 1 && said[0].contains(part), "{url}: {said:?}"),
            }
            assert!(!said.concat().contains("ter2"), "{url}: {said:?}");
        }
    }

    #[test]
    fn a_log_filter_is_a_level_or_directives() {
        for (filter, expected) in [
            ("info", true),
            ("off", true),
            ("warn,agent::spool=trace", true),
            ("warn, agent::spool=trace", false),
            (DIRECTIVES, true),
            ("inof", false),
            ("agent=loud", false),
            ("", false),
        ] {
            assert_eq!(is_log_filter(filter), expected, "{filter}");
        }
    }

    #[test]
    fn the_example_of_directives_names_a_module_of_ours() {
        let (this_crate, _) = module_path!().split_once("::").unwrap();
        let targets: Targets = DIRECTIVES.parse().unwrap();
        assert!(targets.would_enable(&format!("{this_crate}::delivery::lanes"), &tracing::Level::DEBUG));
        assert!(!targets.would_enable(&format!("{this_crate}::spool"), &tracing::Level::DEBUG));
    }
}
