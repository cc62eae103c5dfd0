//! Reads at a steady rate. A request that should have gone out while an earlier one was under way counts from the moment at which
//! it should have: a stall costs all who would have come meanwhile, as it does in life.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::{JoinSet, LocalSet};
use tokio::time::{Instant, sleep_until};

use super::head_of;

/// Connections over which the requests go in turn.
const CONNECTIONS: u32 = 8;

/// A rate that is kept up.
#[derive(Debug, Clone, Copy)]
pub struct Steady {
    /// Requests per second, all kinds together.
    pub per_second: u32,
    /// For how long.
    pub time: Duration,
}

/// Sends these kinds of requests in turn, and returns how long the answers to each kind took to their last byte. Fails at any answer but 200.
pub fn read_steadily(api: SocketAddr, kinds: &[Vec<u8>], steady: Steady) -> io::Result<Vec<Vec<Duration>>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, read_all(api, Rc::from(kinds), steady))
}

async fn read_all(api: SocketAddr, kinds: Rc<[Vec<u8>]>, steady: Steady) -> io::Result<Vec<Vec<Duration>>> {
    let times = Rc::new(RefCell::new(vec![Vec::new(); kinds.len()]));
    let mut connections = JoinSet::new();
    let start = Instant::now() + Duration::from_millis(10);
    for first in 0..CONNECTIONS {
        let mut stream = TcpStream::connect(api).await?;
        stream.set_nodelay(true)?;
        let (kinds, times) = (Rc::clone(&kinds), Rc::clone(&times));
        connections.spawn_local(async move {
            let mut answer = Vec::with_capacity(1024 * 1024);
            for turn in (first..).step_by(CONNECTIONS as usize) {
                let after = Duration::from_secs(1) * turn / steady.per_second;
                if after >= steady.time {
                    break;
                }
                let kind = turn as usize % kinds.len();
                sleep_until(start + after).await;
                ask(&mut stream, &kinds[kind], &mut answer).await?;
                times.borrow_mut()[kind].push((start + after).elapsed());
            }
            io::Result::Ok(())
        });
    }
    while let Some(done) = connections.join_next().await {
        done.map_err(io::Error::other)??;
    }
    Ok(times.take())
}

async fn ask(stream: &mut TcpStream, request: &[u8], answer: &mut Vec<u8>) -> io::Result<()> {
    stream.write_all(request).await?;
    answer.clear();
    let mut head = None;
    loop {
        if stream.read_buf(answer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if head.is_none() {
            head = head_of(answer)?;
        }
        match head {
            Some(head) if answer.len() < head.length => {}
            Some(head) if head.status == 200 => return Ok(()),
            Some(head) => return Err(io::Error::other(format!("the API answered {}", head.status))),
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::{Faults, Sink};

    #[test]
    fn requests_go_out_at_the_rate_and_a_slow_answer_shows() {
        let sink = Sink::start().unwrap();
        let summary = b"GET /testbed/summary HTTP/1.1\r\nhost: sink\r\n\r\n".to_vec();
        let steady = Steady { per_second: 100, time: Duration::from_millis(300) };
        let times = read_steadily(sink.address(), &[summary.clone(), summary], steady).unwrap();
        assert_eq!(times.iter().map(Vec::len).collect::<Vec<_>>(), [15, 15]);
        sink.set_faults(Faults { delay_ms: 50, ..Faults::default() });
        let event = br#"{"id":"evt_1","event":"e","room":"r","timestamp":0,"data":{}}"#;
        let head = "POST /v1/jitsi/events HTTP/1.1\r\nhost: sink\r\ncontent-type: application/json\r\ncontent-length: ";
        let post = [format!("{head}{}\r\n\r\n", event.len()).as_bytes(), event].concat();
        let times = read_steadily(sink.address(), &[post], steady).unwrap();
        assert!(times[0].iter().all(|time| *time >= Duration::from_millis(50)), "{times:?}");
        let lost = b"GET /nowhere HTTP/1.1\r\nhost: sink\r\n\r\n".to_vec();
        assert!(read_steadily(sink.address(), &[lost], steady).is_err());
    }
}
