//! Postgres goes away under load and comes back: the API says when to come again, recovers by itself, and has lost nothing.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use testbed::load::{Lines, Seen, Stubborn};
use testbed::replicas::Replicas;
use testbed::wait::eventually;

const DEADLINE: Duration = Duration::from_mins(1);

/// How soon after the database the service is back.
const RECOVERY: Duration = Duration::from_secs(10);

const MEETING: &str = "INSERT INTO reflector.meeting (id, room_name, platform, start_date, end_date, is_locked, room_mode, \
                       recording_type, recording_trigger) \
                       VALUES ('m', 'reflector-outage', 'jitsi', now(), now() + interval '8 hours', false, 'normal', 'none', 'none')";

#[test]
fn a_database_that_is_restarted_under_load_costs_503s_and_no_event() {
    let mut replicas = Replicas::start(2, |postgres| postgres.query(MEETING).map(drop)).unwrap();
    let room = vec!["reflector-outage".to_owned()];
    let supplies = (1..=6).map(|seed| Lines::new(seed, room.clone())).collect();
    let senders = Stubborn::start(&replicas.url(), &replicas.secrets.webhook, supplies).unwrap();
    for power_cut in [false, true] {
        wait_for(&senders, "events", |before, now| now.acknowledged.len() > before.acknowledged.len() + 200);
        let ended = if power_cut { replicas.postgres.kill() } else { replicas.postgres.stop() };
        ended.unwrap();
        wait_for(&senders, "refusals", |before, now| refusals(now) > refusals(before) + 20);
        let client = ureq::Agent::config_builder().http_status_as_error(false).build();
        let rooms = format!("{}/v1/rooms", replicas.url());
        let token = replicas.token("ann").unwrap();
        let answer = ureq::Agent::from(client)
            .get(&rooms)
            .header("authorization", format!("Bearer {token}"))
            .call()
            .unwrap();
        assert!(answer.status() == 503 && answer.headers().contains_key("retry-after"), "{answer:?}");
        replicas.postgres.start_again().unwrap();
        let back = Instant::now();
        wait_for(&senders, "recovery", |before, now| now.acknowledged.len() > before.acknowledged.len() + 20);
        assert!(back.elapsed() < RECOVERY, "{:?}", back.elapsed());
    }
    assert!(replicas.all_run().unwrap(), "a replica ended");
    let seen = senders.finish().unwrap();
    assert_eq!(seen.without_retry_after, 0, "every 503 says when to come again");
    assert_eq!(seen.statuses.keys().copied().collect::<Vec<_>>(), [200, 503]);
    let stored = replicas.postgres.query("SELECT id FROM reflector.meeting_event").unwrap();
    let stored: BTreeSet<&str> = stored.lines().collect();
    assert_eq!(stored, seen.acknowledged.iter().map(String::as_str).collect());
}

fn refusals(seen: &Seen) -> usize {
    seen.statuses.get(&503).copied().unwrap_or_default()
}

/// Waits until what was seen has changed as `has_come` says.
fn wait_for(senders: &Stubborn, what: &str, has_come: impl Fn(&Seen, &Seen) -> bool) {
    let before = senders.seen();
    let came = eventually(DEADLINE, || has_come(&before, &senders.seen()));
    assert!(came, "no {what}: {:?}", senders.seen().statuses);
}
