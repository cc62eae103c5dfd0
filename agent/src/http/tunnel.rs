//! A tunnel through a proxy: `CONNECT`.

use std::io;

use hyper::Uri;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::proxy::Proxy;

/// The longest answer to `CONNECT`, in bytes.
const MAX_HEAD: usize = 8192;

/// How the proxy answered.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Opened {
    /// The tunnel is open.
    Yes,
    /// It refused, with this status.
    Refused(u16),
    /// That was no HTTP.
    Nonsense,
}

/// Asks the proxy behind `connection` for a tunnel to `to`.
pub(super) async fn open<C: AsyncRead + AsyncWrite + Unpin>(
    connection: &mut C,
    proxy: &Proxy,
    to: &Uri,
) -> io::Result<Opened> {
    connection.write_all(&request(proxy, to)).await?;
    let mut head = Vec::with_capacity(256);
    while head.len() < MAX_HEAD {
        if connection.read_buf(&mut head).await? == 0 {
            return Ok(Opened::Nonsense);
        }
        if head.windows(4).any(|end| end == b"\r\n\r\n") {
            return Ok(answer(&head));
        }
    }
    Ok(Opened::Nonsense)
}

fn request(proxy: &Proxy, to: &Uri) -> Vec<u8> {
    let (host, port) = (to.host().unwrap_or_default(), to.port_u16().unwrap_or(443));
    let mut request = format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n").into_bytes();
    if let Some(login) = &proxy.login {
        request.extend_from_slice(b"Proxy-Authorization: ");
        request.extend_from_slice(login.as_bytes());
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"\r\n");
    request
}

/// What the first line says: `HTTP/1.1 200 Connection established`.
fn answer(head: &[u8]) -> Opened {
    let line = head.split(|byte| *byte == b'\r').next().and_then(|line| std::str::from_utf8(line).ok());
    let mut words = line.unwrap_or_default().split(' ');
    let version = words.next().unwrap_or_default();
    match words.next().and_then(|status| status.parse().ok()) {
        Some(200..=299) if version.starts_with("HTTP/1.") => Opened::Yes,
        Some(status) if version.starts_with("HTTP/1.") => Opened::Refused(status),
        _ => Opened::Nonsense,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_of_the_answer_decides() {
        for (head, expected) in [
            ("HTTP/1.1 200 Connection established\r\n\r\n", Opened::Yes),
            ("HTTP/1.0 200 OK\r\nVia: x\r\n\r\n", Opened::Yes),
            ("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", Opened::Refused(407)),
            ("HTTP/1.1 403\r\n\r\n", Opened::Refused(403)),
            ("SSH-2.0-OpenSSH_9.2\r\n\r\n", Opened::Nonsense),
            ("HTTP/1.1 fine\r\n\r\n", Opened::Nonsense),
        ] {
            assert_eq!(answer(head.as_bytes()), expected, "{head}");
        }
    }
}
