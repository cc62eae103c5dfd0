//! The package's service: how it is brought up, and that it answers.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use host::service::Service;

/// The package's service. Its start takes long where it makes or changes a database.
pub(super) const SERVICE: Service = Service {
    name: "reflector-api",
    by_hand: "`reflector-api serve`, in the environment that the file says",
    patience: Duration::from_hours(1),
};

/// How long it may take to answer once it says that it serves.
const PATIENCE: Duration = Duration::from_secs(10);

/// Whether the service answers at `listen`, and is healthy.
pub(super) fn answers(listen: SocketAddr) -> std::io::Result<()> {
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
