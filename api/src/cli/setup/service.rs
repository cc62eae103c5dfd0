//! Starts the package's service, and sees that it answers.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const UNIT: &str = "reflector-api.service";

/// How long it may take to answer once it says that it serves.
const PATIENCE: Duration = Duration::from_secs(10);

/// Whether systemd runs here and knows the service.
pub(super) fn is_there() -> bool {
    Path::new("/run/systemd/system").is_dir() && shown("LoadState") == "loaded"
}

/// Starts the service, or starts it again with what has changed, and waits until it answers at `listen`.
pub(super) fn start(has_changed: bool, listen: SocketAddr) -> anyhow::Result<()> {
    let verb = if has_changed { "restart" } else { "start" };
    // Returns when the service serves, or has failed.
    let worked = Command::new("systemctl").args(["--quiet", verb, UNIT]).status()?.success();
    if !worked {
        let status = shown("StatusText");
        let status = if status.is_empty() { String::new() } else { format!(": {status}") };
        anyhow::bail!("the service does not start{status}; journalctl -u reflector-api says more");
    }
    answers(listen).map_err(|error| {
        anyhow::anyhow!("the service runs, and does not answer on {listen}: {error}; journalctl -u reflector-api says more")
    })
}

fn shown(property: &str) -> String {
    let output = Command::new("systemctl").args(["show", "--value", "--property", property, UNIT]).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}

fn answers(listen: SocketAddr) -> std::io::Result<()> {
    let mut stream = TcpStream::connect_timeout(&listen, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let status = answer.lines().next().unwrap_or_default();
    if status.split(' ').nth(1) == Some("200") {
        return Ok(());
    }
    Err(std::io::Error::other(format!("it says {status:?}")))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn answering(status: &'static str) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut head = [0; 1024];
            let _ = stream.read(&mut head).unwrap();
            stream.write_all(format!("HTTP/1.1 {status}\r\n\r\n").as_bytes()).unwrap();
        });
        address
    }

    #[test]
    fn a_service_answers_when_it_is_healthy() {
        answers(answering("200 OK")).unwrap();
        let error = answers(answering("503 Service Unavailable")).unwrap_err();
        assert!(error.to_string().contains("503"), "{error}");
    }
}
