//! Whether the agent's own listener answers, or somebody else at its address.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::check::{Check, Trial, trial};
use super::scene::Scene;

/// How long each step may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// What only an agent's metrics say.
const OURS: &str = "reflector_agent_";

/// More of an answer is not read, in bytes.
const ENOUGH: u64 = 64 << 10;

pub(super) fn check(scene: &Scene) -> Check {
    let settings = &scene.survey.event_sync;
    let trial = trial("listener", format!("asked {} for /metrics", settings.listen));
    if !settings.enabled {
        return trial.skipped("`enabled = false` in [event-sync]");
    }
    if settings.listen.port() == 0 {
        return trial.skipped("it has another port at each start");
    }
    judge(trial, scene.pid.is_some(), || ask(settings.listen))
}

fn ask(address: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    // What came before a cut tells enough.
    let read = stream.take(ENOUGH).read_to_end(&mut answer);
    if answer.is_empty() {
        read?;
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

fn judge(trial: Trial, is_running: bool, ask: impl FnOnce() -> io::Result<String>) -> Check {
    let next = "`ss -ltnp` says who has the address: stop that program, or choose another `listen` in [event-sync] and restart the agent";
    if !is_running {
        return trial.skipped("no agent is seen to run");
    }
    match ask() {
        Ok(answer) if answer.contains(OURS) => trial.ok("the agent answers"),
        Ok(_) => trial.failure(
            "another program answers: health checks, metrics and events of event_sync do not reach the agent",
            next,
        ),
        Err(error) => trial.failure(format!("the agent does not answer: {error}"), next),
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::super::check::Outcome;
    use super::*;

    #[test]
    fn an_address_that_somebody_else_has_is_told() {
        for (is_running, said, outcome) in [
            (true, "HTTP/1.1 200 OK\r\n\r\nreflector_agent_up 1\n", Outcome::Ok),
            (true, "HTTP/1.1 404 Not Found\r\n\r\n", Outcome::Failure),
            (true, "", Outcome::Failure),
            (false, "", Outcome::Skipped),
        ] {
            let check = judge(trial("listener", ""), is_running, || Ok(said.to_owned()));
            assert_eq!(check.outcome, outcome, "{said}");
        }
        let refused = judge(trial("listener", ""), true, || Err(io::ErrorKind::ConnectionRefused.into()));
        assert!(refused.outcome == Outcome::Failure && refused.next.is_some());
    }

    #[test]
    fn what_answers_is_read() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 16];
            stream.read_exact(&mut request).unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nmine").unwrap();
            request
        });
        assert!(ask(address).unwrap().ends_with("mine"));
        assert!(server.join().unwrap().starts_with(b"GET /metrics "));
    }
}
