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

/// Sends each list of requests over a connection of its own, one request at a time, until `time` is up or none is left.
///
/// A room's events belong on one list: that is how the agent keeps their order. Fails when a connection breaks.
pub fn fire(api: SocketAddr, lists: Vec<Vec<Request>>, time: Duration) -> io::Result<Fired> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, fire_all(api, lists, time))
}

async fn fire_all(api: SocketAddr, lists: Vec<Vec<Request>>, time: Duration) -> io::Result<Fired> {
    let mut connections = Vec::with_capacity(lists.len());
    for list in lists {
        let stream = TcpStream::connect(api).await?;
        stream.set_nodelay(true)?;
        connections.push((stream, list));
    }
    let fired = Rc::new(RefCell::new(Fired::default()));
    let mut workers = JoinSet::new();
    let start = Instant::now();
    for (stream, list) in connections {
        let fired = Rc::clone(&fired);
        workers.spawn_local(async move {
            let in_time = list.into_iter().take_while(|_| start.elapsed() < time);
            work(stream, in_time, &fired).await
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
    requests: impl Iterator<Item = Request>,
    fired: &RefCell<Fired>,
) -> io::Result<()> {
    let mut answer = Vec::with_capacity(64 * 1024);
    for request in requests {
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

    fn lists(connections: u64, count: usize) -> Vec<Vec<Request>> {
        let secrets = Secrets::parse("a-secret-for-this-test").unwrap();
        let list = |seed| {
            let mut lines = Lines::in_rooms(seed, 1);
            let mut requests = Requests { lines: &mut lines, secrets: &secrets, events_each: 3 };
            (0..count).map(|_| requests.next_at(OffsetDateTime::now_utc())).collect()
        };
        (0..connections).map(list).collect()
    }

    #[test]
    fn every_request_is_sent_once_and_its_events_counted() {
        let sink = Sink::start().unwrap();
        let fired = fire(sink.address(), lists(8, 10), Duration::from_secs(30)).unwrap();
        assert_eq!((fired.acknowledged, sink.ledger(Ledger::distinct)), (240, 240));
        assert_eq!(fired.statuses, BTreeMap::from([(200, 80)]));
    }

    #[test]
    fn refused_requests_do_not_count_as_acknowledged() {
        let sink = Sink::start().unwrap();
        sink.set_faults(Faults { refuse_all: Some(Refusal::proxy_page(502)), ..Faults::default() });
        let fired = fire(sink.address(), lists(2, 5), Duration::from_secs(30)).unwrap();
        assert_eq!((fired.acknowledged, fired.statuses), (0, BTreeMap::from([(502, 10)])));
    }
}
