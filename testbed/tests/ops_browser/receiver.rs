//! Somebody who takes webhooks, or refuses them.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// A receiver that answers 404 until it is told to accept. It lasts as long as the test.
pub(crate) struct Receiver {
    address: SocketAddr,
    accepts: Arc<AtomicBool>,
}

impl Receiver {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let accepts = Arc::new(AtomicBool::new(false));
        let lever = Arc::clone(&accepts);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // Whoever breaks off gets no answer.
                let _ = answer(stream, lever.load(Ordering::SeqCst));
            }
        });
        Self { address, accepts }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// From now on everything is taken.
    pub(crate) fn accept(&self) {
        self.accepts.store(true, Ordering::SeqCst);
    }
}

fn answer(stream: TcpStream, accepts: bool) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    reader.by_ref().take(length).read_to_end(&mut Vec::new())?;
    let (status, body) = if accepts { ("200 OK", "taken") } else { ("404 Not Found", "no such hook") };
    let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
    reader.get_mut().write_all(format!("{head}{body}").as_bytes())
}
