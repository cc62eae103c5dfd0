//! What frontends read all day, in a database of some years.

use std::io::Write;
use std::time::Duration;

use super::server::Server;
use crate::bench::announce;
use crate::bench::figure::{Aim, Figure};
use crate::bench::scale::Scale;
use crate::bench::stats::{millis, percentile};
use crate::load::{Steady, read_steadily};
use crate::postgres::Postgres;

/// Reads per second, all kinds together.
const RATE: u32 = 200;

/// Whose rooms are listed.
const USER: &str = "bench-user";

/// 1,000 rooms of some users; meetings were in all of them.
const ROOMS: &str = "
INSERT INTO reflector.room (id, name, user_id, created_at, platform, room_mode, recording_type, recording_trigger, is_locked,
  is_shared, zulip_auto_post, zulip_stream, zulip_topic)
SELECT 'bench-room-' || n, 'bench-room-' || n, CASE WHEN n % 20 = 0 THEN 'bench-user' ELSE 'user-' || n % 50 END,
  now() - n * interval '1 hour', 'jitsi', 'group', 'none', 'none', false, n % 100 = 1, false, '', ''
FROM generate_series(1, 1000) n";

/// The reads, one figure each.
pub(super) fn at_a_steady_rate(
    scale: &Scale,
    postgres: &Postgres,
    server: &Server,
    figures: &mut Vec<Figure>,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    announce(
        out,
        &format!("API: filling the database with {} meetings and {} events", scale.meetings, scale.events),
    )?;
    fill(scale, postgres)?;
    announce(out, &format!("API: {RATE} reads a second"))?;
    let token = server.token(USER)?;
    let request = |path: &str| {
        format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {token}\r\n\r\n")
            .into_bytes()
    };
    let kinds = [
        ("API, 200 reads/s with 100,000 meetings, a list of rooms, p99", "/v1/rooms"),
        (
            "API, 200 reads/s with 100,000 meetings, a room's active meetings, p99",
            "/v1/rooms/bench-room-20/meetings/active",
        ),
        (
            "API, 200 reads/s with 100,000 meetings, a meeting with 1,000 events, p99",
            "/v1/meetings/bench-meeting-large",
        ),
    ];
    let requests: Vec<Vec<u8>> = kinds.iter().map(|(_, path)| request(path)).collect();
    // What is cold is read from the disk once; that is not what a day looks like.
    read_steadily(server.address(), &requests, Steady { per_second: RATE, time: Duration::from_secs(1) })?;
    let steady = Steady { per_second: RATE, time: scale.api * 4 };
    for ((what, _), times) in kinds.iter().zip(read_steadily(server.address(), &requests, steady)?) {
        let times: Vec<f64> = times.into_iter().map(millis).collect();
        figures.push(Figure {
            what,
            product: format!("{} reads, p50 {:.2} ms", times.len(), percentile(&times, 50)),
            reference: String::new(),
            value: percentile(&times, 99),
            unit: "ms",
            aim: Aim::AtMost(10.0),
        });
    }
    Ok(())
}

/// Fills the tables in bulk, as the API would have one by one, and lets Postgres put its house in order.
fn fill(scale: &Scale, postgres: &Postgres) -> anyhow::Result<()> {
    postgres.query(ROOMS)?;
    let Scale { meetings, events, .. } = scale;
    postgres.query(&format!(
        "INSERT INTO reflector.meeting (id, room_id, room_name, platform, start_date, end_date, is_active, is_locked, room_mode, \
                                        recording_type, recording_trigger) \
         SELECT 'bench-meeting-' || n, 'bench-room-' || 1 + n % 1000, 'reflector-bench-' || n, 'jitsi', \
                now() - n * interval '10 minutes', now() + interval '8 hours' - n * interval '10 minutes', n <= 40, false, \
                'group', 'none', 'none' \
         FROM generate_series(1, {meetings}) n \
         UNION ALL \
         SELECT 'bench-meeting-large', 'bench-room-20', 'reflector-bench-large', 'jitsi', now(), now() + interval '8 hours', true, \
                false, 'group', 'none', 'none'"
    ))?;
    // Most events are of meetings that were long ago; their ids come in no order.
    postgres.query(&events_of(
        "'bench-meeting-' || 1 + n % (SELECT count(*) - 1 FROM reflector.meeting WHERE room_id IS NOT NULL)",
        "old",
        *events,
    ))?;
    postgres.query(&events_of("'bench-meeting-large'", "large", 1_000))?;
    postgres.query(
        "INSERT INTO reflector.participant (meeting_id, occupant_id, breakout_room_id, first_join_at, last_join_at, last_join_seq) \
         SELECT 'bench-meeting-large', md5(n::text), '', now(), now(), n FROM generate_series(1, 30) n",
    )?;
    postgres.query("VACUUM ANALYZE")?;
    postgres.query("CHECKPOINT")?;
    Ok(())
}

fn events_of(meeting: &str, seed: &str, count: usize) -> String {
    format!(
        "INSERT INTO reflector.meeting_event (id, meeting_id, name, occurred_at, data) \
         SELECT 'evt_' || md5('{seed}' || n), {meeting}, 'muc-occupant-joined', now(), \
                jsonb_build_object('occupant_id', md5(n::text), 'user_id', '0190b7c2-7d1e-7c3a-9a55-3f0c5d2e8b41', \
                                   'display_name', 'John Doe', 'role', 'participant', 'affiliation', 'member', \
                                   'kind', 'human', 'seq', n) \
         FROM generate_series(1, {count}) AS n"
    )
}
