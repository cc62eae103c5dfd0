//! What may be wrong with values that have the right type.

use super::{Api, Delivery, Finding, Log, Outbox, Recordings, Spool};

/// The smallest outbox that is of use: a few thousand events.
const SMALLEST_OUTBOX: u64 = 4 << 20;

pub(super) fn sections(
    api: &Api,
    spool: &Spool,
    recordings: &Recordings,
    outbox: &Outbox,
    delivery: &Delivery,
    log: &Log,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    url(&api.url, &mut findings);
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
    require(api.connect_timeout_seconds > 0, "api.connect-timeout-seconds", "must be at least 1".into());
    require(api.request_timeout_seconds > 0, "api.request-timeout-seconds", "must be at least 1".into());
    require(spool.directory.is_absolute(), "spool.directory", "must be an absolute path".into());
    require(spool.rescan_seconds > 0, "spool.rescan-seconds", "must be at least 1".into());
    require(
        recordings.roots.iter().all(|root| root.is_absolute()),
        "recordings.roots",
        "must be absolute paths".into(),
    );
    require(
        recordings.orphan_after_seconds > 0,
        "recordings.orphan-after-seconds",
        "must be at least 1".into(),
    );
    require(recordings.rescan_seconds > 0, "recordings.rescan-seconds", "must be at least 1".into());
    require(outbox.directory.is_absolute(), "outbox.directory", "must be an absolute path".into());
    require(
        outbox.max_bytes >= SMALLEST_OUTBOX,
        "outbox.max-bytes",
        format!("must be at least {SMALLEST_OUTBOX}, the room that a few thousand events need"),
    );
    require(
        (1..=64).contains(&delivery.connections),
        "delivery.connections",
        "must be between 1 and 64".into(),
    );
    require(
        (1..=contract::batch::MAX_EVENTS).contains(&delivery.batch_max_events),
        "delivery.batch-max-events",
        format!("must be between 1 and {}, what the API takes", contract::batch::MAX_EVENTS),
    );
    require(
        (1..=delivery.backoff_max_seconds).contains(&delivery.backoff_min_seconds),
        "delivery.backoff-min-seconds",
        "must be at least 1 and not more than backoff-max-seconds".into(),
    );
    require(
        log.filter.parse::<tracing_subscriber::filter::Targets>().is_ok(),
        "log.filter",
        "must be a level (error, warn, info, debug, trace) or directives such as `info,reflector_agent=debug`".into(),
    );
    if !spool.enabled && (!recordings.enabled || recordings.roots.is_empty()) {
        findings.push(Finding::warning(
            "spool.enabled",
            "spool and recordings are both off, so there is nothing to deliver",
        ));
    }
    findings
}

fn url(url: &str, findings: &mut Vec<Finding>) {
    const KEY: &str = "api.url";
    const EXAMPLE: &str =
        "write for example `url = \"https://reflector.example.com\"` in [api], or set REFLECTOR_API_URL";
    if url.is_empty() {
        findings.push(Finding::error(KEY, format!("is not set: {EXAMPLE}")));
        return;
    }
    match url.parse::<hyper::Uri>() {
        Ok(uri) if matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some() => {
            let local = matches!(uri.host(), Some("localhost" | "127.0.0.1" | "[::1]"));
            if uri.query().is_some() {
                findings.push(Finding::error(KEY, "must not have a query"));
            }
            if uri.scheme_str() == Some("http") && !local {
                findings.push(Finding::warning(KEY, "is plain http: everybody on the way can read names and replay events within minutes; use https"));
            }
        }
        _ => findings.push(Finding::error(KEY, format!("is not an http or https address: {EXAMPLE}"))),
    }
}
