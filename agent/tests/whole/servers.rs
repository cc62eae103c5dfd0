//! Servers and proxies as small as can be, each in a thread of its own until the test's process ends.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// What every server here answers.
pub(crate) const BODY: &str = r#"{"status":"ok","event":"e","room":"r"}"#;

/// The heads of the requests that came.
pub(crate) type Heads = Arc<Mutex<Vec<String>>>;

/// A certificate authority of nobody.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// Its certificate, as PEM.
    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// A server with a certificate for `name`, valid through `years`.
    pub(crate) fn server(&self, name: &str, years: std::ops::Range<i32>) -> ServerConfig {
        self.serving(name, years, IsCa::ExplicitNoCa)
    }

    /// A server that shows an authority's certificate as its own.
    pub(crate) fn itself(&self) -> ServerConfig {
        self.serving("localhost", 2000..2100, IsCa::Ca(BasicConstraints::Unconstrained))
    }

    fn serving(&self, name: &str, years: std::ops::Range<i32>, is_ca: IsCa) -> ServerConfig {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(years.start, 1, 1);
        params.not_after = rcgen::date_time_ymd(years.end, 1, 1);
        params.is_ca = is_ca;
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap()
    }
}

/// A plain HTTP server.
pub(crate) fn plain() -> SocketAddr {
    serve(|tcp| async move { drop(answer_all(tcp, &Heads::default(), BODY).await) })
}

/// An HTTPS server.
pub(crate) fn tls(config: ServerConfig) -> SocketAddr {
    let acceptor = TlsAcceptor::from(Arc::new(config));
    serve(move |tcp| {
        let acceptor = acceptor.clone();
        async move {
            if let Ok(tls) = acceptor.accept(tcp).await {
                drop(answer_all(tls, &Heads::default(), BODY).await);
            }
        }
    })
}

/// How a proxy behaves.
#[derive(Clone, Copy)]
pub(crate) enum Manner {
    /// It connects, and answers plain requests by itself.
    Open,
    /// It wants the login `Basic dTpw` (`u:p`).
    Login,
    /// It refuses every tunnel with this status.
    Refuses(u16),
    /// It is no proxy at all.
    Ssh,
}

/// A proxy, and what it was asked.
pub(crate) fn proxy(manner: Manner) -> (SocketAddr, Heads) {
    let heads = Heads::default();
    let seen = Arc::clone(&heads);
    let address = serve(move |tcp| {
        let seen = Arc::clone(&seen);
        async move { drop(pass_on(tcp, manner, &seen).await) }
    });
    (address, heads)
}

async fn pass_on(mut tcp: TcpStream, manner: Manner, seen: &Heads) -> std::io::Result<()> {
    if matches!(manner, Manner::Ssh) {
        return tcp.write_all(b"SSH-2.0-OpenSSH_9.2\r\n\r\n").await;
    }
    let Some(head) = head(&mut tcp).await? else { return Ok(()) };
    seen.lock().unwrap().push(head.clone());
    let refusal = match manner {
        Manner::Login if !head.to_lowercase().contains("proxy-authorization: basic dtpw\r\n") => Some(407),
        Manner::Refuses(status) => Some(status),
        _ => None,
    };
    if let Some(status) = refusal {
        return tcp.write_all(format!("HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n").as_bytes()).await;
    }
    let mut words = head.split(' ');
    match (words.next(), words.next()) {
        (Some("CONNECT"), Some(to)) => {
            let mut server = TcpStream::connect(to).await?;
            tcp.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
            tokio::io::copy_bidirectional(&mut tcp, &mut server).await.map(drop)
        }
        _ => respond(&mut tcp, BODY).await,
    }
}

async fn answer_all<C: AsyncRead + AsyncWrite + Unpin>(
    mut connection: C,
    seen: &Heads,
    body: &str,
) -> std::io::Result<()> {
    while let Some(head) = head(&mut connection).await? {
        seen.lock().unwrap().push(head);
        respond(&mut connection, body).await?;
    }
    Ok(())
}

async fn respond<C: AsyncWrite + Unpin>(connection: &mut C, body: &str) -> std::io::Result<()> {
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    connection.write_all(answer.as_bytes()).await?;
    connection.flush().await
}

/// The head of a request without a body; `None` at the connection's end. A handshake of TLS is no head, but gets an answer
/// as from any server.
async fn head<C: AsyncRead + Unpin>(connection: &mut C) -> std::io::Result<Option<String>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") && head.first() != Some(&0x16) {
        if connection.read_buf(&mut head).await? == 0 {
            return Ok(None);
        }
    }
    Ok(Some(String::from_utf8_lossy(&head).into_owned()))
}

/// Serves each connection on a port of its own.
fn serve<F, R>(connection: F) -> SocketAddr
where
    F: Fn(TcpStream) -> R + Send + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = TcpListener::from_std(listener).unwrap();
            while let Ok((tcp, _)) = listener.accept().await {
                tokio::spawn(connection(tcp));
            }
        });
    });
    address
}
