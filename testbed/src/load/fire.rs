//! Sends prepared requests over keep-alive connections as fast as they are answered.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::{JoinSet, LocalSet};

use super::{Request, head_of};

/// What became of the requests.
#[derive(Debug, Clone, Default)]
pub struct Fired {
    /// Events in requests that were answered with 200.
    pub acknowledged: usize,
    /// How many answers had each status.
    pub statuses: BTreeMap<u16, usize>,
    /// From the first request to the last answer.
    pub elapsed: Duration,
}

impl Fired {
    /// Acknowledged events per second.
    pub fn rate(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "counts of events stay far below 2^52")]
        let events = self.acknowledged as f64;
        events / self.elapsed.as_secs_f64()
    }
}

/// Sends `requests` over `connections` connections, each with one request under way, until `time` is up or none is left.
/// Fails when a connection breaks.
pub fn fire(
    api: SocketAddr,
    connections: usize,
    requests: Vec<Request>,
    time: Duration,
) -> io::Result<Fired> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, fire_all(api, connections, requests, time))
}

async fn fire_all(
    api: SocketAddr,
    connections: usize,
    requests: Vec<Request>,
    time: Duration,
) -> io::Result<Fired> {
    let mut streams = Vec::with_capacity(connections);
    for _ in 0..connections {
        let stream = TcpStream::connect(api).await?;
        stream.set_nodelay(true)?;
        streams.push(stream);
    }
    let supply = Rc::new(RefCell::new(requests.into_iter()));
    let fired = Rc::new(RefCell::new(Fired::default()));
    let mut workers = JoinSet::new();
    let start = Instant::now();
    for stream in streams {
        let (supply, fired) = (Rc::clone(&supply), Rc::clone(&fired));
        workers.spawn_local(async move {
            let next = || if start.elapsed() < time { supply.borrow_mut().next() } else { None };
            work(stream, next, &fired).await
        });
    }
    while let Some(done) = workers.join_next().await {
        done.map_err(io::Error::other)??;
    }
    let mut fired = fired.take();
    fired.elapsed = start.elapsed();
    Ok(fired)
}

async fn work(
    mut stream: TcpStream,
    mut next: impl FnMut() -> Option<Request>,
    fired: &RefCell<Fired>,
) -> io::Result<()> {
    let mut answer = Vec::with_capacity(64 * 1024);
    while let Some(request) = next() {
        stream.write_all(&request.bytes).await?;
        answer.clear();
        let head = loop {
            if stream.read_buf(&mut answer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if let Some(head) = head_of(&answer)?.filter(|head| answer.len() >= head.length) {
                break head;
            }
        };
        let mut fired = fired.borrow_mut();
        *fired.statuses.entry(head.status).or_default() += 1;
        if head.status == 200 {
            fired.acknowledged += request.events;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use contract::signature::Secrets;
    use time::OffsetDateTime;

    use super::*;
    use crate::load::{Lines, Requests};
    use crate::sink::{Faults, Ledger, Refusal, Sink};

    fn requests(count: usize) -> Vec<Request> {
        let secrets = Secrets::parse("a-secret-for-this-test").unwrap();
        let mut lines = Lines::in_rooms(4, 4);
        let mut requests = Requests { lines: &mut lines, secrets: &secrets, events_each: 3 };
        (0..count).map(|_| requests.next_at(OffsetDateTime::now_utc())).collect()
    }

    #[test]
    fn every_request_is_sent_once_and_its_events_counted() {
        let sink = Sink::start().unwrap();
        let fired = fire(sink.address(), 8, requests(100), Duration::from_secs(30)).unwrap();
        assert_eq!((fired.acknowledged, sink.ledger(Ledger::distinct)), (300, 300));
        assert_eq!(fired.statuses, BTreeMap::from([(200, 100)]));
    }

    #[test]
    fn refused_requests_do_not_count_as_acknowledged() {
        let sink = Sink::start().unwrap();
        sink.set_faults(Faults { refuse_all: Some(Refusal::proxy_page(502)), ..Faults::default() });
        let fired = fire(sink.address(), 2, requests(10), Duration::from_secs(30)).unwrap();
        assert_eq!((fired.acknowledged, fired.statuses), (0, BTreeMap::from([(502, 10)])));
    }
}
