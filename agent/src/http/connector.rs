//! Makes connections: name, TCP, the proxy's tunnel, TLS; each step's failure in its own words.

use std::error::Error;
use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::{GaiAddrs, GaiResolver, Name};
use hyper_util::client::proxy::matcher::Matcher;
use hyper_util::rt::TokioIo;
use rustix::io::Errno;
use rustls::CertificateError;
use rustls::pki_types::{ServerName, UnixTime};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tower_service::Service;

use super::error::ConnectError;
use super::proxy::{self, Proxy, Route};
use super::stream::Stream;
use super::trust::Trust;
use super::tunnel::{self, Opened};
use crate::clock;
use crate::config::Proxies;

/// How long a connection may be silent before the kernel asks whether the other side is still there.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// Makes connections; clones share what they trust.
#[derive(Clone)]
pub(super) struct Connector(Arc<Inner>);

struct Inner {
    tcp: HttpConnector<Resolver>,
    rules: Matcher,
    trust: Trust,
    limit: Duration,
}

impl Connector {
    /// `limit` bounds all steps together.
    pub(super) fn new(proxies: &Proxies, ca_file: Option<PathBuf>, limit: Duration) -> Self {
        let mut tcp = HttpConnector::new_with_resolver(Resolver(GaiResolver::new()));
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(limit));
        tcp.set_keepalive(Some(KEEP_ALIVE));
        Self(Arc::new(Inner { tcp, rules: proxy::rules(proxies), trust: Trust::new(ca_file), limit }))
    }

    /// The way to a server.
    pub(super) fn route(&self, to: &Uri) -> Route {
        proxy::route(&self.0.rules, to)
    }

    async fn connect(self, to: Uri) -> Result<TokioIo<Stream>, ConnectError> {
        let limit = self.0.limit;
        let made = tokio::time::timeout(limit, self.make(&to)).await;
        made.unwrap_or_else(|_| Err(ConnectError::TimedOut { to: server(&to), limit })).map(TokioIo::new)
    }

    async fn make(&self, to: &Uri) -> Result<Stream, ConnectError> {
        let tcp = match self.route(to) {
            Route::Direct => self.tcp(to, server(to)).await?,
            Route::Forward(proxy) => {
                return Ok(Stream::Forwarded(self.tcp(&proxy.address, the_proxy(&proxy)).await?));
            }
            Route::Tunnel(proxy) => self.tunnel(&proxy, to).await?,
        };
        match to.scheme_str() {
            Some("https") => self.tls(tcp, to).await,
            _ => Ok(Stream::Plain(tcp)),
        }
    }

    async fn tcp(&self, to: &Uri, said: String) -> Result<TcpStream, ConnectError> {
        match self.0.tcp.clone().call(to.clone()).await {
            Ok(tcp) => Ok(tcp.into_inner()),
            Err(error) => Err(no_tcp(&error, said, self.0.limit)),
        }
    }

    async fn tunnel(&self, proxy: &Proxy, to: &Uri) -> Result<TcpStream, ConnectError> {
        let mut tcp = self.tcp(&proxy.address, the_proxy(proxy)).await?;
        let opened = tunnel::open(&mut tcp, proxy, to).await;
        let proxy = the_proxy(proxy);
        match opened {
            Ok(Opened::Yes) => Ok(tcp),
            Ok(Opened::Refused(407)) => Err(ConnectError::ProxyLogin { proxy }),
            Ok(Opened::Refused(status)) => Err(ConnectError::ProxyRefused { proxy, to: server(to), status }),
            Ok(Opened::Nonsense) => Err(ConnectError::NotAProxy { proxy }),
            Err(source) => Err(ConnectError::Unreachable { to: proxy, source }),
        }
    }

    async fn tls(&self, tcp: TcpStream, to: &Uri) -> Result<Stream, ConnectError> {
        let host = to.host().unwrap_or_default();
        let name = ServerName::try_from(host.trim_start_matches('[').trim_end_matches(']').to_owned())
            .map_err(|error| ConnectError::Tls { to: server(to), source: io::Error::other(error) })?;
        let connector = TlsConnector::from(self.0.trust.config()?);
        match connector.connect(name, tcp).await {
            Ok(tls) => Ok(Stream::Tls(Box::new(tls))),
            Err(error) => {
                let error = no_tls(error, server(to));
                if matches!(error, ConnectError::UnknownIssuer { .. }) {
                    self.0.trust.forget();
                }
                Err(error)
            }
        }
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Stream>;
    type Error = Arc<ConnectError>;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let connect = self.clone().connect(to);
        Box::pin(async { connect.await.map_err(Arc::new) })
    }
}

/// The system's resolver, whose errors can be told from those of connections.
#[derive(Clone)]
struct Resolver(GaiResolver);

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct LookupFailed(io::Error);

impl Service<Name> for Resolver {
    type Response = GaiAddrs;
    type Error = LookupFailed;
    type Future = Pin<Box<dyn Future<Output = Result<GaiAddrs, LookupFailed>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), LookupFailed>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let lookup = self.0.call(name);
        Box::pin(async { lookup.await.map_err(LookupFailed) })
    }
}

/// A server as a person would name it: `reflector.example.com:443`.
fn server(to: &Uri) -> String {
    let host = to.host().unwrap_or_default();
    let port = to.port_u16().unwrap_or(if to.scheme_str() == Some("https") { 443 } else { 80 });
    format!("{host}:{port}")
}

fn the_proxy(proxy: &Proxy) -> String {
    format!("the proxy {}", server(&proxy.address))
}

fn no_tcp(error: &(dyn Error + 'static), to: String, limit: Duration) -> ConnectError {
    let mut layer: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = layer {
        if let Some(LookupFailed(source)) = error.downcast_ref() {
            return ConnectError::Name { to, source: copy(source) };
        }
        if let Some(source) = error.downcast_ref::<io::Error>() {
            return match Errno::from_io_error(source) {
                Some(Errno::CONNREFUSED) => ConnectError::Refused { to },
                Some(Errno::MFILE | Errno::NFILE) => ConnectError::Descriptors { to },
                _ if source.kind() == io::ErrorKind::TimedOut => ConnectError::TimedOut { to, limit },
                _ => ConnectError::Unreachable { to, source: copy(source) },
            };
        }
        layer = error.source();
    }
    ConnectError::Unreachable { to, source: io::Error::other(error.to_string()) }
}

/// An error of the system, once more: what the library hands out by reference cannot be taken.
fn copy(error: &io::Error) -> io::Error {
    error
        .raw_os_error()
        .map_or_else(|| io::Error::new(error.kind(), error.to_string()), io::Error::from_raw_os_error)
}

fn no_tls(error: io::Error, to: String) -> ConnectError {
    let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) else {
        return ConnectError::Tls { to, source: error };
    };
    match tls {
        rustls::Error::InvalidMessage(_) => ConnectError::NotTls { to },
        rustls::Error::InvalidCertificate(certificate) => match certificate {
            CertificateError::Expired => ConnectError::OutOfTime { to, when: "has expired".into() },
            CertificateError::ExpiredContext { not_after, .. } => {
                ConnectError::OutOfTime { to, when: format!("expired on {}", date(*not_after)) }
            }
            CertificateError::NotValidYet => ConnectError::OutOfTime { to, when: "is not valid yet".into() },
            CertificateError::NotValidYetContext { not_before, .. } => {
                ConnectError::OutOfTime { to, when: format!("is not valid before {}", date(*not_before)) }
            }
            CertificateError::NotValidForName => ConnectError::WrongName { to, names: "another name".into() },
            CertificateError::NotValidForNameContext { presented, .. } => {
                let names = if presented.is_empty() { "no name".into() } else { presented.join(", ") };
                ConnectError::WrongName { to, names }
            }
            // What a certificate that signed itself is refused with differs between its forms.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                ConnectError::UnknownIssuer { to }
            }
            // The library has no name of its own for it.
            CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
                ConnectError::AuthorityAsServer { to }
            }
            _ => ConnectError::Tls { to, source: error },
        },
        _ => ConnectError::Tls { to, source: error },
    }
}

fn date(time: UnixTime) -> String {
    clock::rfc3339(i64::try_from(time.as_secs()).unwrap_or(i64::MAX).saturating_mul(1000))
}
