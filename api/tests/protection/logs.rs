//! What the program writes into its log.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

#[path = "../database/program.rs"]
#[expect(dead_code, reason = "another test binary uses the rest of it")]
mod program;

use program::{StateDir, command};

#[test]
fn a_request_is_one_line_that_tells_no_path_and_no_token() {
    let state = StateDir::new();
    let mut child = command(state.path())
        .args(["serve", "--listen", "127.0.0.1:0"])
        .env("REFLECTOR_API_LOG_FORMAT", "json")
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut log = std::io::BufReader::new(child.stderr.take().unwrap());
    let listening = until(&mut log, "listening on ");
    let address = listening["message"].as_str().unwrap().rsplit('/').next().unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    let head = "GET /v1/rooms/name/private-room?token=hunter2 HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer hunter3\r\n\
                X-Request-Id: req-1\r\nConnection: close\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let line = until(&mut log, "answered");
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(line["request.id"], "req-1", "{line}");
    assert_eq!(
        (&line["method"], &line["route"]),
        (&"GET".into(), &"/v1/rooms/name/{room_name}".into()),
        "{line}"
    );
    assert!(answer.starts_with(&format!("HTTP/1.1 {} ", line["status"])), "{line} {answer}");
    assert!(line["ms"].is_u64(), "{line}");
    for private in ["hunter2", "hunter3", "private-room"] {
        assert!(!line.to_string().contains(private), "{line}");
    }
}

/// The next line whose message begins like this. Findings about the configuration come first, and are no JSON.
fn until(log: &mut impl std::io::BufRead, beginning: &str) -> serde_json::Value {
    loop {
        let mut line = String::new();
        assert!(log.read_line(&mut line).unwrap() > 0, "the program ended");
        let line: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
        if line["message"].as_str().is_some_and(|message| message.starts_with(beginning)) {
            return line;
        }
    }
}
