//! The reference: `pgbench` inserts one row of an event's size per transaction.

use std::fs;
use std::time::Duration;

use anyhow::Context;

use crate::postgres::{Postgres, succeeded};

const SCRIPT: &str =
    "INSERT INTO bench_event (id, room, at, body) VALUES (gen_random_uuid(), :room, now(), :body);\n";

/// Creates the table that the reference fills.
pub(super) fn prepare(postgres: &Postgres) -> anyhow::Result<()> {
    postgres
        .query("CREATE TABLE bench_event (id uuid PRIMARY KEY, room text, at timestamptz, body jsonb)")?;
    Ok(())
}

/// Transactions per second with `connections` connections.
pub(super) fn transactions_per_second(
    postgres: &Postgres,
    connections: usize,
    body: &str,
    time: Duration,
) -> anyhow::Result<f64> {
    let directory = tempfile::tempdir()?;
    let script = directory.path().join("insert.sql");
    fs::write(&script, SCRIPT)?;
    let mut command = postgres.client("pgbench");
    command.args(["--no-vacuum", "-M", "prepared", "-j", "2"]).arg("-f").arg(&script);
    command.args(["-c", &connections.to_string(), "-T", &time.as_secs().to_string()]);
    command.args(["-D", "room=reflector-bench-room", "-D", &format!("body={body}")]);
    let printed = succeeded(&command.output()?, "pgbench")?;
    rate_of(&printed).with_context(|| format!("pgbench printed no rate:\n{printed}"))
}

fn rate_of(printed: &str) -> Option<f64> {
    printed.lines().find_map(|line| line.strip_prefix("tps = "))?.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use time::OffsetDateTime;

    use super::*;
    use crate::load::Lines;

    #[test]
    fn the_rate_is_found_in_what_pgbench_prints() {
        let printed = "latency average = 1.7 ms\ntps = 18257.250000 (without initial connection time)\n";
        assert_eq!(rate_of(printed), Some(18_257.25));
        assert_eq!(rate_of("pgbench: error"), None);
    }

    #[test]
    fn the_reference_inserts_whole_events_into_a_postgres_of_its_own() {
        let postgres = Postgres::start().unwrap();
        prepare(&postgres).unwrap();
        let body = Lines::in_rooms(0, 1).next_at(OffsetDateTime::UNIX_EPOCH).text;
        let rate = transactions_per_second(&postgres, 2, &body, Duration::from_secs(1)).unwrap();
        assert!(rate > 1.0, "{rate}");
        let whole = format!("SELECT count(*) > 1 FROM bench_event WHERE body = '{body}' AND room <> ''");
        assert_eq!(postgres.query(&whole).unwrap(), "t");
        assert_eq!(postgres.query("SHOW fsync").unwrap(), "on");
    }
}
