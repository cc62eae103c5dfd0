//! One connection: stream, authentication, resource, stanzas.

use std::io::{BufReader, Write};
use std::net::{Ipv4Addr, Shutdown, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::element::{Element, Stanzas};
use super::room::escaped;

/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(10);

/// Who logs in, and where.
#[derive(Debug, Clone, Copy)]
pub enum Login<'a> {
    /// A visitor without an account.
    Anonymous {
        /// The virtual host.
        domain: &'a str,
    },
    /// An account with a password.
    Account {
        /// The virtual host.
        domain: &'a str,
        /// The part before the `@`.
        user: &'a str,
        /// Sent in the clear: loopback only.
        password: &'a str,
    },
}

impl Login<'_> {
    fn domain(&self) -> &str {
        match self {
            Self::Anonymous { domain } | Self::Account { domain, .. } => domain,
        }
    }

    fn auth(&self) -> String {
        let (mechanism, response) = match self {
            Self::Anonymous { .. } => ("ANONYMOUS", "=".to_owned()),
            Self::Account { user, password, .. } => {
                ("PLAIN", STANDARD.encode(format!("\0{user}\0{password}")))
            }
        };
        format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='{mechanism}'>{response}</auth>")
    }
}

/// A logged-in client. Dropping it cuts the connection.
#[derive(Debug)]
pub struct Client {
    stream: TcpStream,
    stanzas: Mutex<Receiver<Element>>,
    requests: Mutex<Receiver<Element>>,
    jid: String,
    ids: AtomicU32,
}

impl Client {
    /// Connects to a server on loopback, logs in and binds a resource.
    pub fn connect(port: u16, login: Login<'_>) -> Result<Self> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).context("no XMPP server")?;
        stream.set_nodelay(true)?;
        let (stanzas, requests) = read_in_background(stream.try_clone()?);
        let mut client = Self {
            stream,
            stanzas: Mutex::new(stanzas),
            requests: Mutex::new(requests),
            jid: String::new(),
            ids: AtomicU32::new(0),
        };
        client.open_stream(login.domain())?;
        client.send(&login.auth())?;
        let answer =
            client.expect("an answer to the log-in", |it| it.name == "success" || it.name == "failure")?;
        if answer.name == "failure" {
            bail!("the server refused {login:?}: {answer:?}");
        }
        client.open_stream(login.domain())?;
        let bound = client.ask("", "set", "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>")?;
        let jid =
            bound.child("bind").and_then(|bind| bind.child("jid")).context("the server bound no resource")?;
        client.jid.clone_from(&jid.text);
        Ok(client)
    }

    /// The full address that the server gave.
    pub fn jid(&self) -> &str {
        &self.jid
    }

    /// Cuts the TCP connection without ending the stream, as a crashed browser or a lost network does.
    pub fn cut(self) -> Result<()> {
        self.stream.shutdown(Shutdown::Both)?;
        Ok(())
    }

    /// A new stanza id.
    pub(super) fn new_id(&self) -> String {
        format!("s{}", self.ids.fetch_add(1, Ordering::Relaxed))
    }

    pub(super) fn send(&self, xml: &str) -> Result<()> {
        (&self.stream).write_all(xml.as_bytes()).context("the XMPP connection is gone")
    }

    /// The first stanza that `is_it` accepts; those before it are dropped.
    pub(super) fn expect(&self, what: &str, is_it: impl Fn(&Element) -> bool) -> Result<Element> {
        let stanzas = self.stanzas.lock().expect("no reader of stanzas panics");
        let start = Instant::now();
        loop {
            let left = ANSWER.saturating_sub(start.elapsed());
            let stanza =
                stanzas.recv_timeout(left).with_context(|| format!("{} waited for {what}", self.jid))?;
            if is_it(&stanza) {
                return Ok(stanza);
            }
        }
    }

    /// Sends an IQ and returns its result; an error answer is an error.
    pub(super) fn ask(&self, to: &str, kind: &str, payload: &str) -> Result<Element> {
        let id = self.new_id();
        let to = if to.is_empty() { String::new() } else { format!(" to='{to}'") };
        self.send(&format!("<iq type='{kind}' id='{id}'{to}>{payload}</iq>"))?;
        let answer =
            self.expect("an IQ's answer", |it| it.name == "iq" && it.attribute("id") == Some(&id))?;
        if answer.attribute("type") != Some("result") {
            bail!("{payload} was refused: {answer:?}");
        }
        Ok(answer)
    }

    /// The next IQ that asks something of this client (`get` or `set`). None is ever dropped.
    pub fn next_request(&self, deadline: Duration) -> Result<Element> {
        let Ok(requests) = self.requests.lock() else {
            bail!("a reader of {}'s requests has failed", self.jid)
        };
        requests.recv_timeout(deadline).with_context(|| format!("nobody asked {} for anything", self.jid))
    }

    /// Answers a request with `kind` (`result` or `error`) and a payload.
    pub fn answer(&self, request: &Element, kind: &str, payload: &str) -> Result<()> {
        let id = request.attribute("id").context("a request without an id")?;
        let to = request.attribute("from").context("a request without a sender")?;
        self.send(&format!("<iq type='{kind}' id='{}' to='{}'>{payload}</iq>", escaped(id), escaped(to)))
    }

    fn open_stream(&self, domain: &str) -> Result<()> {
        self.send(&format!(
            "<?xml version='1.0'?><stream:stream to='{domain}' version='1.0' xmlns='jabber:client' \
             xmlns:stream='http://etherx.jabber.org/streams'>"
        ))?;
        self.expect("the stream's features", |it| it.name == "stream:features")?;
        Ok(())
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // The reading thread holds a second handle, so that the connection ends only if it is told to.
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

/// Channels of the stanzas that arrive and, apart from them, of the requests among them; they end with the connection.
fn read_in_background(stream: TcpStream) -> (Receiver<Element>, Receiver<Element>) {
    let (stanzas, others) = mpsc::channel();
    let (requests, asked) = mpsc::channel();
    thread::spawn(move || {
        let mut source = Stanzas::new(BufReader::new(stream));
        while let Ok(Some(stanza)) = source.next() {
            let channel = if is_request(&stanza) { &requests } else { &stanzas };
            if channel.send(stanza).is_err() {
                return;
            }
        }
    });
    (others, asked)
}

fn is_request(stanza: &Element) -> bool {
    stanza.name == "iq" && matches!(stanza.attribute("type"), Some("get" | "set"))
}
