//! A TCP proxy that stands between the agent and the API and misbehaves on demand.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::Result;

/// How often a quiet connection looks whether the proxy's mode has changed.
const TICK: Duration = Duration::from_millis(20);

/// What the proxy does with connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Mode {
    /// Passes everything on.
    Pass = 0,
    /// Cuts open connections and new ones.
    Cut = 1,
    /// Passes requests on, and cuts the connection in place of the answer.
    LoseAnswers = 2,
}

/// A running proxy. It ends with the process.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    shared: Shared,
}

impl Proxy {
    /// Starts a proxy on a free loopback port in front of the server on `target`, which need not run yet.
    pub fn start(target: u16) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        let shared = Shared {
            mode: Arc::new(AtomicU8::new(Mode::Pass as u8)),
            delay_ms: Arc::new(AtomicU64::new(0)),
            lost: Arc::new(AtomicU64::new(0)),
        };
        let served = shared.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let shared = served.clone();
                // A connection that cannot be made or breaks is what a client has to expect of a network.
                thread::spawn(move || shared.serve(client, target));
            }
        });
        Ok(Self { port, shared })
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Changes what it does, for open connections too.
    pub fn set(&self, mode: Mode) {
        self.shared.mode.store(mode as u8, Ordering::SeqCst);
    }

    /// Holds everything back for this long before it is passed on.
    pub fn delay(&self, delay: Duration) {
        let delay = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        self.shared.delay_ms.store(delay, Ordering::SeqCst);
    }

    /// How many answers it has kept from the client.
    pub fn lost_answers(&self) -> u64 {
        self.shared.lost.load(Ordering::SeqCst)
    }
}

#[derive(Debug, Clone)]
struct Shared {
    mode: Arc<AtomicU8>,
    delay_ms: Arc<AtomicU64>,
    lost: Arc<AtomicU64>,
}

impl Shared {
    fn is(&self, mode: Mode) -> bool {
        self.mode.load(Ordering::SeqCst) == mode as u8
    }

    fn serve(&self, client: TcpStream, target: u16) -> std::io::Result<()> {
        if self.is(Mode::Cut) {
            return client.shutdown(Shutdown::Both);
        }
        let server = TcpStream::connect((Ipv4Addr::LOCALHOST, target))?;
        let (requests, answers) = (self.clone(), self.clone());
        let pair = (client.try_clone()?, server.try_clone()?);
        thread::spawn(move || requests.copy(pair.0, pair.1, false));
        answers.copy(server, client, true)
    }

    /// Copies until either side ends or the mode says otherwise; then ends both.
    fn copy(&self, mut from: TcpStream, mut to: TcpStream, answers: bool) -> std::io::Result<()> {
        from.set_read_timeout(Some(TICK))?;
        let mut buffer = [0; 16 * 1024];
        while !self.is(Mode::Cut) {
            let count = match from.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => continue,
                Err(_) => break,
            };
            if answers && self.is(Mode::LoseAnswers) {
                self.lost.fetch_add(1, Ordering::SeqCst);
                break;
            }
            thread::sleep(Duration::from_millis(self.delay_ms.load(Ordering::SeqCst)));
            if to.write_all(&buffer[..count]).is_err() {
                break;
            }
        }
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
        Ok(())
    }
}
