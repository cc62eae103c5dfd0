//! What goes wrong between this host and a server, in words, and what to do about it.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// No connection came about.
    #[error(transparent)]
    NoConnection(Arc<ConnectError>),
    /// The connection ended before the answer did; the text says how.
    #[error("the connection broke before the answer was complete: {0}")]
    Broken(String),
    /// The answer did not come in time.
    #[error("no answer within {} s", .0.as_secs())]
    NoAnswer(Duration),
    /// The answer is longer than any that is expected, in bytes.
    #[error("the answer is longer than {0} bytes")]
    TooLong(usize),
}

/// Why there is no connection. `to` is the server, or the proxy on the way to it, as a person would name it.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The name has no address, or nobody could be asked.
    #[error("the name of {to} cannot be resolved")]
    Name {
        /// Whose name.
        to: String,
        /// What the resolver said.
        source: io::Error,
    },
    /// Nobody listens there.
    #[error("{to} refused the connection")]
    Refused {
        /// Who.
        to: String,
    },
    /// There is no way there, or it broke.
    #[error("{to} cannot be reached")]
    Unreachable {
        /// Who.
        to: String,
        /// What the system said.
        source: io::Error,
    },
    /// Nobody answered in time.
    #[error("no connection to {to} within {} s", limit.as_secs())]
    TimedOut {
        /// Who.
        to: String,
        /// The time that it had.
        limit: Duration,
    },
    /// This process may not open more files.
    #[error("this process has no file descriptor left for a connection to {to}")]
    Descriptors {
        /// To whom.
        to: String,
    },
    /// The proxy wants a user and a password, or others than these.
    #[error("{proxy} wants a user and a password")]
    ProxyLogin {
        /// The proxy.
        proxy: String,
    },
    /// The proxy does not connect to the server.
    #[error("{proxy} does not connect to {to}: it answered {status}")]
    ProxyRefused {
        /// The proxy.
        proxy: String,
        /// The server.
        to: String,
        /// The status of its answer.
        status: u16,
    },
    /// What answers is no HTTP proxy.
    #[error("{proxy} did not answer as an HTTP proxy does")]
    NotAProxy {
        /// The supposed proxy.
        proxy: String,
    },
    /// The certificate is over, or not valid yet.
    #[error("the certificate of {to} {when}")]
    OutOfTime {
        /// Whose.
        to: String,
        /// Since when or from when on, as a clause.
        when: String,
    },
    /// The certificate is somebody else's.
    #[error("the certificate of {to} is for {names}")]
    WrongName {
        /// Who should have shown it.
        to: String,
        /// The names in it.
        names: String,
    },
    /// Nobody that is trusted here vouches for the certificate.
    #[error("the certificate of {to} was issued by nobody that this host trusts")]
    UnknownIssuer {
        /// Whose.
        to: String,
    },
    /// The certificate is that of an authority, which no server may show as its own.
    #[error("{to} shows the certificate of an authority as its own")]
    AuthorityAsServer {
        /// Who.
        to: String,
    },
    /// The other side does not speak TLS.
    #[error("{to} does not speak TLS")]
    NotTls {
        /// Who.
        to: String,
    },
    /// TLS failed in another way.
    #[error("TLS with {to} failed")]
    Tls {
        /// With whom.
        to: String,
        /// What the library said.
        source: io::Error,
    },
    /// The configured CA file cannot be used.
    #[error("the CA certificates in {} cannot be read", path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: io::Error,
    },
    /// There is nothing to judge a certificate by.
    #[error("this host has no CA certificates: {reason}")]
    NoTrust {
        /// What was found.
        reason: String,
    },
}

impl HttpError {
    /// What a person should do next.
    pub fn next_step(&self) -> &'static str {
        match self {
            Self::NoConnection(error) => error.next_step(),
            Self::Broken(_) => {
                "something between here and the API cut the connection: look at the API's log, and at proxies and firewalls on the way"
            }
            Self::NoAnswer(_) => {
                "the connection was made but nobody answered: look at the API's log and load; `request-timeout-seconds` in [api] says how long is waited"
            }
            Self::TooLong(_) => "something other than a Reflector API answered: check `url` in [api]",
        }
    }
}

impl ConnectError {
    /// What a person should do next.
    pub fn next_step(&self) -> &'static str {
        match self {
            Self::Name { .. } => {
                "check the name in `url` (or `proxy`) of [api], and this host's DNS: `getent hosts NAME` must print an address"
            }
            Self::Refused { .. } => {
                "nothing listens there, or a firewall says no: check address and port in [api], and that the service runs"
            }
            Self::Unreachable { .. } | Self::TimedOut { .. } => {
                "check address and port in [api], routes and firewalls; where only a proxy leads out, set `proxy` in [api] or HTTPS_PROXY"
            }
            Self::Descriptors { .. } => {
                "raise the limit of open files (LimitNOFILE= of the systemd unit); it goes on by itself when descriptors are free again"
            }
            Self::ProxyLogin { .. } => {
                "write user and password into the proxy's address: `proxy = \"http://USER:PASSWORD@HOST:PORT\"` in [api], special characters percent-encoded"
            }
            Self::ProxyRefused { .. } => {
                "the proxy's rules must allow CONNECT to that host and port; a server that needs no proxy belongs into NO_PROXY"
            }
            Self::NotAProxy { .. } => {
                "check `proxy` in [api] and HTTPS_PROXY: an HTTP proxy must answer there"
            }
            Self::OutOfTime { .. } => {
                "compare `date -u` with the real time first; if this host's clock is right, the certificate must be renewed on the server"
            }
            Self::WrongName { .. } => {
                "use a name that is in the certificate as `url` in [api], or have one issued for this name; a captive portal shows a wrong name too"
            }
            Self::UnknownIssuer { .. } => {
                "with a private CA, or a proxy that opens TLS, set `ca-file` in [api] to its certificate (PEM); else the server must send its intermediate certificates"
            }
            Self::AuthorityAsServer { .. } => {
                "make the server a certificate of its own (`openssl req -x509 … -addext basicConstraints=critical,CA:FALSE -addext subjectAltName=DNS:NAME`), and set `ca-file` in [api] to it"
            }
            Self::NotTls { .. } => {
                "check scheme and port of `url` in [api]: https goes to a port that speaks TLS"
            }
            Self::Tls { .. } => {
                "try `openssl s_client -connect HOST:PORT`; a middlebox that breaks TLS, or a server with TLS below 1.2, shows itself there"
            }
            Self::CaFile { .. } => "set `ca-file` in [api] to a readable file with certificates in PEM",
            Self::NoTrust { .. } => "install the package `ca-certificates`, or set `ca-file` in [api]",
        }
    }
}
