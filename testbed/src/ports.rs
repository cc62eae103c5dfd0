//! Loopback ports for servers that cannot pick one themselves.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

/// Below the range from which the kernel takes ports for outgoing connections, which could come first.
const RANGE: std::ops::Range<u16> = 20_000..32_000;

/// A port that was free a moment ago.
pub fn free() -> io::Result<u16> {
    let free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    let mut candidates = std::iter::repeat_with(|| fastrand::u16(RANGE)).take(100);
    candidates.find(free).ok_or_else(|| io::ErrorKind::AddrInUse.into())
}

/// Whether a server accepts connections on this loopback port.
pub fn answers(port: u16) -> bool {
    TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), Duration::from_secs(1)).is_ok()
}
