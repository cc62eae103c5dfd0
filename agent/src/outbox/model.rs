//! What the outbox holds.
//!
//! | state | meaning | leaves by |
//! |---|---|---|
//! | [`State::Ready`] | to be delivered, the head of its lane perhaps not before a time | settle, park, or a later try |
//! | leased | in a request right now; kept in memory, because one process owns the outbox and its death ends the lease | answer, or restart |
//! | [`State::Settled`] | the API confirmed that it holds the event; kept for the delivery log | pruned after the retention time |
//! | [`State::Parked`] | refused for a reason that time does not cure, or not readable | an operator's retry or discard; never pruned |
//! | [`State::Discarded`] | given up by an operator; kept for the delivery log | pruned after the retention time |

use bytes::Bytes;
use contract::id::EventId;

/// The order of queuing, and an item's address in the outbox.
pub type Seq = i64;

/// A room's queue; items of one lane are delivered strictly in order.
pub type LaneId = i64;

/// Where an item stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i64)]
pub enum State {
    /// To be delivered.
    Ready = 0,
    /// Held by the API.
    Settled = 1,
    /// Waiting for a person.
    Parked = 2,
    /// Given up by a person.
    Discarded = 3,
}

impl State {
    /// The state as people write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Settled => "settled",
            Self::Parked => "parked",
            Self::Discarded => "discarded",
        }
    }

    pub(super) fn from_code(code: i64) -> Self {
        match code {
            0 => Self::Ready,
            1 => Self::Settled,
            2 => Self::Parked,
            _ => Self::Discarded,
        }
    }
}

/// Which request carries an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i64)]
pub enum Kind {
    /// An event: `POST /v1/jitsi/events`.
    Event = 0,
    /// A finished recording: `POST /v1/jibri/recording-complete`.
    Recording = 1,
    /// A line that could not be read as an event. Parked from the start, kept for a person.
    Unreadable = 2,
}

impl Kind {
    /// The kind as people write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::Recording => "recording",
            Self::Unreadable => "unreadable",
        }
    }

    pub(super) fn from_code(code: i64) -> Self {
        match code {
            0 => Self::Event,
            1 => Self::Recording,
            _ => Self::Unreadable,
        }
    }
}

/// An item about to be queued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewItem {
    /// Its identity; an id that is in the outbox already is left as it is.
    pub id: EventId,
    /// The room whose order it belongs to; empty for an unreadable line.
    pub room: String,
    /// Which request carries it.
    pub kind: Kind,
    /// The bytes that are signed and sent, exactly as the source wrote them.
    pub body: Vec<u8>,
    /// The byte in the source file where it begins.
    pub offset: u64,
    /// Set for an item that is parked from the start: why.
    pub parked: Option<String>,
}

/// How far a spool file has been read, and how to recognise the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// The cursor's number; 0 for one that is not stored yet.
    pub file: i64,
    /// Where the file was last seen.
    pub path: String,
    /// Device and inode.
    pub identity: (u64, u64),
    /// A digest of the file's first line; empty while there is none.
    pub head: Vec<u8>,
    /// The first byte that has not been read.
    pub offset: u64,
    /// A digest of the bytes just before `offset`.
    pub guard: Vec<u8>,
}

/// What a source hands over in one transaction: items, and the proof that they need not be read again.
#[derive(Debug)]
pub enum Progress {
    /// The spool file has been read up to the cursor's offset.
    Spool(Cursor),
    /// The recording file at this path has been queued under the item's id.
    Recording {
        /// The file.
        path: String,
    },
    /// Somebody posted the items and waits for an answer: there is no cursor.
    Posted,
}

/// An item on its way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimed {
    /// Its address.
    pub seq: Seq,
    /// Its identity.
    pub id: String,
    /// Which request carries it.
    pub kind: Kind,
    /// Since when it has waited for its room's meeting: the later of its queuing and the API's first word that it knows no
    /// meeting. `None` while the API has not said so.
    pub waits_since: Option<i64>,
    /// The bytes to sign and send.
    pub body: Bytes,
}

/// A lane with something to deliver, as the outbox finds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// The lane.
    pub lane: LaneId,
    /// Its oldest item.
    pub first: Seq,
    /// Not to be tried before this, in milliseconds since 1970.
    pub due_at: i64,
    /// Failures so far of the oldest item.
    pub attempts: u32,
}

/// What one request did to the items it carried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The lane.
    pub lane: LaneId,
    /// When the answer came, in milliseconds since 1970.
    pub at: i64,
    /// The HTTP status; `None` when there was no answer.
    pub status: Option<u16>,
    /// How long the last request took, in milliseconds.
    pub took_ms: i64,
    /// The items that the API holds, each with how long its request took.
    pub settled: Vec<(Seq, i64)>,
    /// The items that wait for a person, and why.
    pub parked: Vec<(Seq, String)>,
    /// The items that stay.
    pub kept: Option<Kept>,
    /// What the answer says about the room's meeting.
    pub meeting: Meeting,
}

/// What an answer says about the meeting of a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Meeting {
    /// Nothing new.
    #[default]
    Unchanged,
    /// The API knows none.
    Missing,
    /// The API knows one after having said that it does not.
    Found,
}

/// Items that a request did not get rid of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The oldest.
    pub first: Seq,
    /// The newest.
    pub last: Seq,
    /// Not to be tried before this, in milliseconds since 1970.
    pub due_at: i64,
    /// Failures so far.
    pub attempts: u32,
    /// What went wrong, for the delivery log.
    pub note: String,
}
