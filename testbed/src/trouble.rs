//! A reverse proxy in front of the API that meets requests with every kind of trouble, at random.
//!
//! Some requests it passes on, and some of their answers it keeps, cuts or delays: the API has the events then. Others it answers
//! itself, as the API, a proxy or a network would on a bad day. The same seed gives the same troubles in the same order.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::Result;

/// How long a slow answer takes.
const SLOW: Duration = Duration::from_secs(3);

/// How a request is met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// As the API answers it.
    Fair,
    /// 500, written by the API.
    Internal,
    /// 503 with `Retry-After`.
    Unavailable,
    /// 429 with `Retry-After`.
    RateLimited,
    /// 401, written by the API.
    Unauthorized,
    /// The connection is reset before the request is read.
    Reset,
    /// The API has the request, and nobody says so.
    LostAnswer,
    /// The API has the request, and half of its answer arrives.
    HalfAnswer,
    /// The API has the request, and its answer takes a while.
    SlowAnswer,
    /// 413, written by a proxy.
    TooLarge,
    /// 502 with a proxy's page.
    BadGateway,
    /// 200 with a captive portal's page.
    Portal,
}

impl Kind {
    /// Every trouble there is.
    pub const TROUBLES: [Self; 11] = [
        Self::Internal,
        Self::Unavailable,
        Self::RateLimited,
        Self::Unauthorized,
        Self::Reset,
        Self::LostAnswer,
        Self::HalfAnswer,
        Self::SlowAnswer,
        Self::TooLarge,
        Self::BadGateway,
        Self::Portal,
    ];

    /// The answer that is given in the API's place, if it is.
    fn answer(self) -> Option<String> {
        let (status, more, body) = match self {
            Self::Internal => ("500 Internal Server Error", "", problem("internal")),
            Self::Unavailable => ("503 Service Unavailable", "Retry-After: 1\r\n", problem("unavailable")),
            Self::RateLimited => ("429 Too Many Requests", "Retry-After: 1\r\n", problem("rate_limited")),
            Self::Unauthorized => ("401 Unauthorized", "", problem("signature_invalid")),
            Self::TooLarge => ("413 Content Too Large", "", page("413")),
            Self::BadGateway => ("502 Bad Gateway", "", page("502")),
            Self::Portal => ("200 OK", "", page("Please log in")),
            Self::Fair | Self::Reset | Self::LostAnswer | Self::HalfAnswer | Self::SlowAnswer => return None,
        };
        let length = body.len();
        Some(format!(
            "HTTP/1.1 {status}\r\n{more}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        ))
    }
}

fn problem(code: &str) -> String {
    format!(r#"{{"type":"about:blank","title":"trouble","status":500,"detail":"trouble","code":"{code}"}}"#)
}

fn page(text: &str) -> String {
    format!("<html><body><h1>{text}</h1></body></html>")
}

/// A running proxy. It ends with the process.
#[derive(Debug, Clone)]
pub struct Trouble {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// Where the API listens.
    target: u16,
    over: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    random: fastrand::Rng,
    met: Vec<Kind>,
}

impl Trouble {
    /// Starts a proxy on a free loopback port in front of the API on `target`, which need not run yet.
    pub fn start(target: u16, seed: u64) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        let state = State { random: fastrand::Rng::with_seed(seed), met: Vec::new() };
        let shared = Arc::new(Shared { target, over: AtomicBool::new(false), state: Mutex::new(state) });
        let served = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let shared = Arc::clone(&served);
                // A connection that breaks is what a client has to expect here.
                thread::spawn(move || shared.serve(&client));
            }
        });
        Ok(Self { port, shared })
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// From now on every request is passed on, and every answer passed back.
    pub fn end(&self) {
        self.shared.over.store(true, Ordering::SeqCst);
    }

    /// How many requests were met in this way.
    pub fn count(&self, kind: Kind) -> usize {
        self.shared.state().met.iter().filter(|met| **met == kind).count()
    }
}

impl Shared {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Half of the requests are met fairly.
    fn choose(&self) -> Kind {
        if self.over.load(Ordering::SeqCst) {
            return Kind::Fair;
        }
        let mut state = self.state();
        let fair = state.random.bool();
        let trouble = Kind::TROUBLES[state.random.usize(..Kind::TROUBLES.len())];
        let kind = if fair { Kind::Fair } else { trouble };
        state.met.push(kind);
        kind
    }

    /// Meets one request; the client connects anew for the next.
    fn serve(&self, mut client: &TcpStream) -> io::Result<()> {
        let kind = self.choose();
        let mut reader = BufReader::with_capacity(1, client);
        if kind == Kind::Reset {
            // To close with something unread resets the connection.
            return reader.fill_buf().map(drop);
        }
        let request = read_request(client)?;
        if let Some(answer) = kind.answer() {
            return client.write_all(answer.as_bytes());
        }
        let answer = self.ask(&request)?;
        match kind {
            Kind::LostAnswer => Ok(()),
            Kind::HalfAnswer => client.write_all(&answer[..answer.len() / 2]),
            Kind::SlowAnswer => {
                thread::sleep(SLOW);
                client.write_all(&answer)
            }
            _ => client.write_all(&answer),
        }
    }

    /// What the API answers; it is asked to close the connection behind it.
    fn ask(&self, request: &[u8]) -> io::Result<Vec<u8>> {
        let mut server = TcpStream::connect((Ipv4Addr::LOCALHOST, self.target))?;
        server.write_all(request)?;
        let mut answer = Vec::new();
        server.read_to_end(&mut answer)?;
        Ok(answer)
    }
}

/// A whole request, with a header that asks to close the connection.
fn read_request(client: &TcpStream) -> io::Result<Vec<u8>> {
    let mut reader = BufReader::new(client);
    let (mut request, mut length) = (Vec::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if line == "\r\n" {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().map_err(io::Error::other)?;
        }
        request.extend_from_slice(line.as_bytes());
    }
    request.extend_from_slice(b"connection: close\r\n\r\n");
    let head = request.len();
    request.resize(head + length, 0);
    reader.read_exact(&mut request[head..])?;
    Ok(request)
}
