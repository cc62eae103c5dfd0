//! How Jibri is, in its own words: `GET /jibri/api/v1.0/health` on the port of its configuration.
//!
//! A hint. It does not say which session it is busy with, it may be busy with a stream that leaves no file, and it may
//! not answer at all.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hyper::Uri;
use serde::Deserialize;

use super::configuration::{Configuration, DEFAULT_PORT};
use crate::config;
use crate::watch::Stop;

/// How often Jibri is asked.
const EVERY: Duration = Duration::from_secs(15);

/// How long one question may take, once the host's address is known.
const PATIENCE: Duration = Duration::from_secs(2);

/// The longest answer that is read, in bytes.
const MAX_BYTES: usize = 64 << 10;

/// How Jibri is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Health {
    /// It is recording, streaming, or running the finalize script.
    pub busy: bool,
    /// It would take a new session.
    pub healthy: bool,
}

/// What Jibri answered last; clones share it. Until it is asked there is no answer.
#[derive(Debug, Clone, Default)]
pub struct Monitor(Arc<Mutex<Option<Health>>>);

impl Monitor {
    /// The latest answer; `None` when Jibri did not give one.
    pub fn health(&self) -> Option<Health> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks again and again until the agent stops. On a host without a Jibri nobody is asked.
    pub fn run(&self, settings: &config::Jibri, stop: &Stop) {
        loop {
            let health = address(settings, &Configuration::read(&settings.configuration))
                .and_then(|address| ask(&address).ok());
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = health;
            if stop.wait(EVERY) {
                return;
            }
        }
    }
}

/// Where Jibri is to be asked; `None` where there is none, or the operator does not want it asked.
pub fn address(settings: &config::Jibri, configuration: &Configuration) -> Option<String> {
    match settings.health_url.as_deref() {
        Some("") => None,
        Some(url) => Some(url.to_owned()),
        None if configuration.files.is_empty() => None,
        None => {
            let port = configuration.port.unwrap_or(DEFAULT_PORT);
            Some(format!("http://127.0.0.1:{port}/jibri/api/v1.0/health"))
        }
    }
}

/// Asks Jibri at this address, and waits for a few seconds at most, however slowly an answer trickles in.
///
/// # Errors
///
/// What kept it from answering, or that the answer is not Jibri's.
pub fn ask(address: &str) -> io::Result<Health> {
    ask_within(address, PATIENCE)
}

fn ask_within(address: &str, patience: Duration) -> io::Result<Health> {
    let uri: Uri = address.parse().map_err(|_| invalid("the address is none"))?;
    let host = uri.host().ok_or_else(|| invalid("the address names no host"))?.trim_matches(['[', ']']);
    let port = uri.port_u16().unwrap_or(80);
    let socket = (host, port).to_socket_addrs()?.next().ok_or_else(|| invalid("the host has no address"))?;
    let deadline = Instant::now() + patience;
    let mut stream = TcpStream::connect_timeout(&socket, patience)?;
    stream.set_write_timeout(Some(patience))?;
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    // Version 1.0: the answer ends with the connection and comes in one piece.
    let request = format!("GET {path} HTTP/1.0\r\nHost: {host}:{port}\r\nAccept: application/json\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let answer = read_until(&mut stream, deadline)?;
    parse(&answer).ok_or_else(|| invalid("the answer is not Jibri's"))
}

/// Reads to the end, or to [`MAX_BYTES`]. A read's own time limit begins anew with each byte, so what is left is set each time.
fn read_until(stream: &mut TcpStream, deadline: Instant) -> io::Result<Vec<u8>> {
    let (mut answer, mut chunk) = (Vec::new(), [0; 4096]);
    while answer.len() < MAX_BYTES {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut chunk)? {
            0 => break,
            read => answer.extend_from_slice(&chunk[..read]),
        }
    }
    Ok(answer)
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

/// Reads a whole answer of version 1.0 or 1.1.
fn parse(answer: &[u8]) -> Option<Health> {
    #[derive(Deserialize)]
    struct Answer {
        status: Status,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Status {
        busy_status: String,
        health: Inner,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Inner {
        health_status: String,
    }
    let text = std::str::from_utf8(answer).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split_ascii_whitespace().nth(1)?;
    let answer: Answer = (status == "200").then(|| serde_json::from_str(body).ok())??;
    Some(Health {
        busy: answer.status.busy_status == "BUSY",
        healthy: answer.status.health.health_status == "HEALTHY",
    })
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn answer(status: &str, busy: &str, health: &str) -> String {
        format!(
            "HTTP/1.1 {status}\r\nContent-Type: application/json\r\n\r\n{{\"status\":{{\"busyStatus\":\"{busy}\",\"health\":{{\"healthStatus\":\"{health}\",\"details\":{{}}}}}},\"more\":1}}"
        )
    }

    #[test]
    fn jibris_words_are_understood_and_others_are_none() {
        for (text, expected) in [
            (answer("200 OK", "IDLE", "HEALTHY"), Some((false, true))),
            (answer("200 OK", "BUSY", "HEALTHY"), Some((true, true))),
            (answer("200 OK", "EXPIRED", "UNHEALTHY"), Some((false, false))),
            (answer("500 Internal Server Error", "BUSY", "HEALTHY"), None),
            ("HTTP/1.1 200 OK\r\n\r\n<html>".to_owned(), None),
            ("SSH-2.0-OpenSSH_9.2".to_owned(), None),
            (String::new(), None),
        ] {
            let found = parse(text.as_bytes()).map(|health| (health.busy, health.healthy));
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn jibri_is_asked_where_it_is_configured_and_only_if_there_is_one() {
        let none = Configuration::default();
        let some = Configuration { files: vec!["/etc/jitsi/jibri/jibri.conf".into()], ..none.clone() };
        let other = Configuration { port: Some(4444), ..some.clone() };
        let url = |port: u16| Some(format!("http://127.0.0.1:{port}/jibri/api/v1.0/health"));
        for (setting, configuration, expected) in [
            (None, &none, None),
            (None, &some, url(2222)),
            (None, &other, url(4444)),
            (Some(""), &some, None),
            (Some("http://h/"), &none, Some("http://h/".to_owned())),
        ] {
            let settings =
                config::Jibri { health_url: setting.map(str::to_owned), ..config::Jibri::default() };
            assert_eq!(address(&settings, configuration), expected, "{setting:?} {configuration:?}");
        }
    }

    #[test]
    fn a_server_is_asked_and_one_that_is_not_there_is_an_error() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/health", server.local_addr().unwrap());
        let serving = std::thread::spawn(move || {
            let (mut stream, _) = server.accept().unwrap();
            let mut request = [0; 1024];
            let read = stream.read(&mut request).unwrap();
            stream.write_all(answer("200 OK", "BUSY", "HEALTHY").as_bytes()).unwrap();
            String::from_utf8_lossy(&request[..read]).into_owned()
        });
        assert_eq!(ask(&address).unwrap(), Health { busy: true, healthy: true });
        assert!(serving.join().unwrap().starts_with("GET /health HTTP/1.0\r\n"));
        assert!(ask(&address).is_err());
    }

    #[test]
    fn an_answer_that_trickles_in_is_not_waited_for() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/health", server.local_addr().unwrap());
        let serving = std::thread::spawn(move || {
            let (mut stream, _) = server.accept().unwrap();
            stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
            // The time limit of the read paces the bytes; the client hangs up at some point.
            (0..3000).any(|_| {
                let _ = stream.read(&mut [0; 1024]);
                stream.write_all(b"x").is_err()
            })
        });
        assert!(ask_within(&address, Duration::from_millis(200)).is_err());
        assert!(serving.join().unwrap(), "it was given up");
    }
}
