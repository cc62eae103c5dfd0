//! One lane's turn: claim its oldest items, send them, and say what came of it.

use std::cell::Cell;
use std::time::{Duration, Instant};

use super::client::{Client, Reply};
use super::lanes::Begin;
use super::report;
use super::request::{self, Routes};
use super::settlement::{self, Moment, Settlement};
use crate::clock::now_ms;
use crate::outbox::model::{Answer, Claimed, LaneId, Meeting, Seq};
use crate::outbox::{Outbox, OutboxError, Reader};
use crate::secret::SharedSecret;

/// How many items a turn sends at most where each goes by itself: bounds the claim, and what a crash sends twice.
const RUN: usize = 64;

/// How long a run of single events goes on before what it settled is written down.
const WRITE_DOWN: Duration = Duration::from_millis(100);

/// What every turn needs.
pub(super) struct Shared {
    pub(super) outbox: Outbox,
    pub(super) reader: Reader,
    pub(super) client: Client,
    pub(super) routes: Routes,
    pub(super) secret: SharedSecret,
    /// The most events in one request; 1 once the server has refused batches.
    pub(super) batch: Cell<usize>,
}

/// What came of a turn.
pub(super) struct Report {
    pub(super) lane: LaneId,
    pub(super) began: tokio::time::Instant,
    pub(super) end: End,
}

/// How a turn ended.
#[expect(
    clippy::large_enum_variant,
    reason = "there is one at a time, and nearly every one is the large one"
)]
pub(super) enum End {
    /// There was nothing to send.
    Empty,
    /// The outbox could not be read.
    Trouble(OutboxError),
    /// Something was sent.
    Sent(Sent),
}

/// What a turn sent, and what came back.
pub(super) struct Sent {
    /// Settled by earlier requests of the turn and not written down yet.
    pub(super) earlier: Vec<(Seq, i64)>,
    /// Whether earlier requests of the turn were answered well.
    pub(super) progress: bool,
    /// The last reply.
    pub(super) reply: Reply,
    /// What it did to its items.
    pub(super) settlement: Settlement,
    /// What the answers say about the room's meeting.
    pub(super) meeting: Meeting,
    /// The lane's items up to this one are done.
    pub(super) done: Seq,
    /// The id of the first item of its last request.
    pub(super) first_id: String,
    /// The ids of the items it parked.
    pub(super) parked_ids: Vec<String>,
}

/// Takes one turn for `lane`, which it got at `began`: turns that got theirs together fail together, also when one of them has
/// failed before the next is first polled.
pub(super) async fn take(shared: &Shared, lane: LaneId, start: Begin, began: tokio::time::Instant) -> Report {
    let size = start.limit.unwrap_or(usize::MAX).min(shared.batch.get());
    let claim = if size == 1 { RUN } else { size };
    let end = match shared.reader.claim(lane, start.after, claim, contract::batch::MAX_BYTES) {
        Err(error) => End::Trouble(error),
        Ok(items) if items.is_empty() => End::Empty,
        Ok(items) => send_all(shared, lane, &items, size, start.missing_for).await,
    };
    Report { lane, began, end }
}

async fn send_all(
    shared: &Shared,
    lane: LaneId,
    items: &[Claimed],
    size: usize,
    missing_for: Duration,
) -> End {
    let mut earlier: Vec<(Seq, i64)> = Vec::new();
    let mut written = Instant::now();
    let mut groups = items.chunks(size).peekable();
    let mut progress = false;
    while let Some(group) = groups.next() {
        let reply = send(shared, group).await;
        let settlement = settlement::settle(group, &reply, Moment { now: now_ms(), missing_for });
        report::attempt(&reply, settlement.settled.len());
        let last = groups.peek().is_none() || settlement.settled.len() < group.len();
        if last {
            let parked_ids = settlement.parked.iter().filter_map(|(seq, _)| id_of(group, *seq)).collect();
            let end = group.last().map_or(0, |item| item.seq);
            let done = settlement.kept.first().map_or(end, |kept| kept - 1);
            let was_missing = items.first().is_some_and(|item| item.waits_since.is_some());
            let meeting = match settlement.meeting_is_missing {
                true => Meeting::Missing,
                false if was_missing && (progress || !settlement.settled.is_empty()) => Meeting::Found,
                false => Meeting::Unchanged,
            };
            let first_id = group.first().map_or_else(String::new, |item| item.id.clone());
            return End::Sent(Sent {
                earlier,
                progress,
                reply,
                settlement,
                meeting,
                done,
                first_id,
                parked_ids,
            });
        }
        progress = true;
        earlier.extend(settlement.settled.iter().map(|seq| (*seq, reply.took_ms)));
        if written.elapsed() >= WRITE_DOWN {
            written = Instant::now();
            shared.outbox.settle(answer(lane, &reply, std::mem::take(&mut earlier)));
        }
    }
    End::Empty
}

async fn send(shared: &Shared, group: &[Claimed]) -> Reply {
    let now = now_ms().div_euclid(1000);
    let secret = shared.secret.current();
    shared.client.send(request::build(&shared.routes, &secret, group, now)).await
}

fn id_of(group: &[Claimed], seq: Seq) -> Option<String> {
    group.iter().find(|item| item.seq == seq).map(|item| item.id.clone())
}

/// An answer that settles `settled`; parked and kept items are the caller's to add.
pub(super) fn answer(lane: LaneId, reply: &Reply, settled: Vec<(Seq, i64)>) -> Answer {
    let status = match reply.outcome {
        contract::verdict::Outcome::Answered { status, .. } => Some(status),
        contract::verdict::Outcome::Unreachable => None,
    };
    Answer {
        lane,
        at: now_ms(),
        status,
        took_ms: reply.took_ms,
        settled,
        parked: Vec::new(),
        kept: None,
        meeting: Meeting::Unchanged,
    }
}
