//! A TCP balancer: connections go to the servers in turn, and past those that refuse them.

use std::io;
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// A running balancer. It ends with the process.
#[derive(Debug)]
pub struct Balancer {
    port: u16,
}

impl Balancer {
    /// Starts one on a free loopback port in front of servers on these ports.
    pub fn start(servers: Vec<u16>) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        let turn = Arc::new(AtomicUsize::new(0));
        thread::Builder::new().name("balancer".to_owned()).spawn(move || {
            for client in listener.incoming().flatten() {
                let first = turn.fetch_add(1, Ordering::Relaxed);
                let in_turn = (0..servers.len()).map(|n| servers[(first + n) % servers.len()]);
                let mut connected = in_turn.flat_map(|port| TcpStream::connect((Ipv4Addr::LOCALHOST, port)));
                // Without a server the client is hung up on.
                let _ = connected.next().map(|server| pass(client, server));
            }
        })?;
        Ok(Self { port })
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

/// Copies both ways until either side ends.
fn pass(client: TcpStream, server: TcpStream) -> io::Result<()> {
    for stream in [&client, &server] {
        stream.set_nodelay(true)?;
    }
    let (requests, answers) = ((client.try_clone()?, server.try_clone()?), (server, client));
    for (mut from, mut to) in [requests, answers] {
        thread::spawn(move || {
            // A connection that breaks is what a client has to expect of a network.
            let _ = io::copy(&mut from, &mut to);
            let _ = from.shutdown(Shutdown::Both);
            let _ = to.shutdown(Shutdown::Both);
        });
    }
    Ok(())
}
