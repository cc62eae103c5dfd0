//! A process of the shipped `reflector-api`.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, ensure};
use contract::signature::Secrets;
use tempfile::TempDir;
use time::OffsetDateTime;

use crate::home;
use crate::load::{Fired, Lines, Request, Requests, binary, fire};
use crate::postgres::{Postgres, succeeded};
use crate::process::Process;

/// What everything here is signed with.
pub(super) const SECRET: &str = "6d9c1a6f0c9b4a7e8f3d2b1c0a9e8d7c";
const DEADLINE: Duration = Duration::from_mins(1);

/// A running API.
pub(super) struct Server {
    process: Process,
    address: SocketAddr,
    secrets: Secrets,
    home: TempDir,
}

/// One measurement: so many events in each request, so many requests on each connection at most, for so long.
#[derive(Debug, Clone, Copy)]
pub(super) struct Burst {
    pub(super) events_each: usize,
    pub(super) requests_each: usize,
    pub(super) time: Duration,
}

impl Server {
    pub(super) fn start(postgres: &Postgres) -> anyhow::Result<Self> {
        let home = home::directory()?;
        let address = free_address()?;
        let mut command = Command::new(binary("reflector-api")?);
        command.args(["serve", "--listen", &address.to_string()]);
        command.env("DATABASE_URL", postgres.url()).env("REFLECTOR_API_STATE_DIR", home.path());
        command.env("JITSI_WEBHOOK_SECRET", SECRET).env("JITSI_DOMAIN", "meet.example.com");
        command.env("JITSI_JWT_SECRET", SECRET.repeat(2)).env("AUTH_BACKEND", "jwt");
        command.env("AUTH_JWT_SECRET", SECRET.repeat(2)).env("WHEREBY_WEBHOOK_SECRET", SECRET);
        // All load comes from one address, and no limit is what is measured here.
        command.env("REFLECTOR_API_DELIVERIES_PER_SECOND", "1000000");
        let mut process = Process::spawn("reflector-api", &command, &home.path().join("api.log"))?;
        process.wait_until(DEADLINE, || is_healthy(address))?;
        let secrets = Secrets::parse(SECRET)?;
        Ok(Self { process, address, secrets, home })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// A bearer token for `user`.
    pub(super) fn token(&self, user: &str) -> anyhow::Result<String> {
        let mut command = Command::new(binary("reflector-api")?);
        command.args(["token", "--subject", user]);
        command.env("REFLECTOR_API_STATE_DIR", self.home.path()).env("JITSI_WEBHOOK_SECRET", SECRET);
        command.env("AUTH_BACKEND", "jwt").env("AUTH_JWT_SECRET", SECRET.repeat(2));
        succeeded(&command.output()?, "reflector-api token")
    }

    pub(super) fn pid(&self) -> anyhow::Result<u32> {
        Ok(u32::try_from(self.process.pid())?)
    }

    /// Sends the events of each supply over a connection of its own as fast as they are acknowledged; any answer but 200 is
    /// an error. The requests are made before the clock starts.
    pub(super) fn burst(&self, supplies: &mut [Lines], burst: Burst) -> anyhow::Result<Fired> {
        let now = OffsetDateTime::now_utc();
        let list = |lines| {
            let mut requests = Requests { lines, secrets: &self.secrets, events_each: burst.events_each };
            (0..burst.requests_each).map(|_| requests.next_at(now)).collect()
        };
        self.fire(supplies.iter_mut().map(list).collect(), burst.time)
    }

    /// Sends each list over a connection of its own as fast as it is acknowledged; any answer but 200 is an error.
    pub(super) fn fire(&self, lists: Vec<Vec<Request>>, time: Duration) -> anyhow::Result<Fired> {
        let fired = fire(self.address, lists, time);
        let fired =
            fired.with_context(|| format!("the API cut a connection; its log ends:\n{}", self.log_end()))?;
        ensure!(
            fired.statuses.keys().eq([&200]),
            "the API answered {:?}; its log ends:\n{}",
            fired.statuses,
            self.log_end()
        );
        Ok(fired)
    }

    fn log_end(&self) -> String {
        let log = fs::read_to_string(self.home.path().join("api.log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

/// Supplies of events for `count` connections, each with a room of its own that has a meeting.
pub(super) fn supplies(postgres: &Postgres, count: usize) -> anyhow::Result<Vec<Lines>> {
    let supplies: Vec<Lines> = (0..count).map(|_| Lines::in_rooms(fastrand::u64(..) >> 32, 1)).collect();
    make_meetings(postgres, &rooms_of(&supplies))?;
    Ok(supplies)
}

/// Makes a meeting for each room, whose id is the room's name.
pub(super) fn make_meetings(postgres: &Postgres, rooms: &[String]) -> anyhow::Result<()> {
    let rooms: Vec<String> = rooms.iter().map(|room| format!("('{room}')")).collect();
    postgres.query(&format!(
        "INSERT INTO reflector.meeting (id, room_name, platform, start_date, end_date, is_locked, room_mode, \
                                        recording_type, recording_trigger) \
         SELECT name, name, 'jitsi', now(), now() + interval '8 hours', false, 'normal', 'none', 'none' \
         FROM (VALUES {}) AS room (name)",
        rooms.join(", ")
    ))?;
    Ok(())
}

/// How many events the meetings of these supplies have.
pub(super) fn stored(postgres: &Postgres, supplies: &[Lines]) -> anyhow::Result<usize> {
    let rooms: Vec<String> = rooms_of(supplies).iter().map(|room| format!("'{room}'")).collect();
    let sql =
        format!("SELECT count(*) FROM reflector.meeting_event WHERE meeting_id IN ({})", rooms.join(", "));
    Ok(postgres.query(&sql)?.parse()?)
}

fn rooms_of(supplies: &[Lines]) -> Vec<String> {
    supplies.iter().flat_map(|lines| lines.rooms().iter().cloned()).collect()
}

fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

fn is_healthy(address: SocketAddr) -> bool {
    let ask = || {
        let mut stream = TcpStream::connect(address)?;
        stream.write_all(b"GET /v1/jitsi/health HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        std::io::Result::Ok(answer)
    };
    ask().is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
}
