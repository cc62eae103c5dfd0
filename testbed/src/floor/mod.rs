//! The bare loop that the agent is measured against: what an in-order sender costs if it does nothing else.
//!
//! It waits on inotify, reads what was appended, writes it to a log of its own and `fdatasync`s that, then posts one
//! event per request, in order, over one keep-alive connection. No signatures, no retries, no restart, no lanes: it is
//! a floor under the cost of delivery, not a shipper.

pub mod cli;
mod post;

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::path::Path;

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

use post::Connection;

/// As much as is read, made durable and sent in one go.
const CHUNK: usize = 64 * 1024;

/// Tails `spool` for ever. The file must exist.
pub fn run(spool: &Path, log: &Path, sink: SocketAddr) -> io::Result<()> {
    let inotify = Inotify::init(InitFlags::IN_CLOEXEC)?;
    inotify.add_watch(spool, AddWatchFlags::IN_MODIFY)?;
    let mut spool = File::open(spool)?;
    let mut log = OpenOptions::new().create(true).append(true).open(log)?;
    let mut connection = Connection::open(sink)?;
    let mut pending = Vec::new();
    loop {
        let kept = pending.len();
        pending.resize(kept + CHUNK, 0);
        let read = spool.read(&mut pending[kept..])?;
        pending.truncate(kept + read);
        if read == 0 {
            inotify.read_events()?;
            continue;
        }
        log.write_all(&pending[kept..])?;
        log.sync_data()?;
        let sent = post_whole_lines(&mut connection, &pending)?;
        pending.drain(..sent);
    }
}

/// Posts every complete line and returns how many bytes they were.
fn post_whole_lines(connection: &mut Connection, bytes: &[u8]) -> io::Result<usize> {
    let mut sent = 0;
    while let Some(length) = bytes[sent..].iter().position(|&byte| byte == b'\n') {
        connection.post(&bytes[sent..sent + length])?;
        sent += length + 1;
    }
    Ok(sent)
}
