//! A meeting at Whereby for a visitor: the one that is on, or a new one.
//!
//! Whereby is asked under no lock and in no transaction. An intent is there before it is asked, and goes in the transaction that stores
//! the meeting. Whoever comes meanwhile, to whatever replica, waits for that meeting. A crash in between leaves the intent, from which
//! `clean_up` tells the room that was made for nobody.

use std::time::Duration;

use time::OffsetDateTime;
use tokio::time::{Instant, sleep};

use super::wire::NewRoom;
use super::{Asker, Whereby, WherebyError, client, cost};
use crate::db::meetings::{self, Entered};
use crate::db::whereby::intents::{self, Begun, Fulfilled, Intent};
use crate::domain::meeting::{LENGTH, Meeting};
use crate::domain::room::Room;

/// How long others leave the meeting to whoever makes it. Well above all that this may take: points, the answer, the commit.
const LEASE: Duration = Duration::from_secs(30);

/// How long a visitor waits for a meeting that somebody else is making.
const PATIENCE: Duration = Duration::from_secs(5);

/// The first pause between two looks for it, which doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(40);
const LONGEST_PAUSE: Duration = Duration::from_millis(400);

const _: () = assert!(LEASE.as_secs() > 2 * client::PATIENCE.as_secs());

/// Why there is no meeting to lead a visitor into.
#[derive(Debug, thiserror::Error)]
pub enum EnterError {
    /// Somebody else is making it, and has not finished.
    #[error("the meeting is being made")]
    InProgress,
    /// Whereby did not make it.
    #[error(transparent)]
    Whereby(#[from] WherebyError),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    /// The task that made it ended early.
    #[error("the task that makes a meeting ended early")]
    Ended,
}

/// Whose turn it is.
enum Turn {
    /// There is a meeting.
    Entered(Entered),
    /// Somebody else is making it.
    Theirs,
}

impl Whereby {
    /// Leads a visitor into `room`, as [`meetings::enter`] does.
    pub async fn enter(
        &self,
        room: &Room,
        always_begin: bool,
        now: OffsetDateTime,
    ) -> Result<Option<Entered>, EnterError> {
        let db = &self.0.db;
        if !always_begin && let Some(meeting) = meetings::find_open(db, room, now).await? {
            return Ok(Some(Entered::Running(meeting)));
        }
        // A task of its own: a visitor who goes away must leave neither an intent that nobody follows nor a room.
        let begun = tokio::spawn(self.clone().begin(room.id.clone(), !always_begin, now));
        match begun.await.map_err(|_| EnterError::Ended)?? {
            Some(Turn::Entered(entered)) => Ok(Some(entered)),
            Some(Turn::Theirs) => self.await_theirs(room, now).await.map(Some),
            None => Ok(None),
        }
    }

    async fn begin(
        self,
        room_id: String,
        is_exclusive: bool,
        now: OffsetDateTime,
    ) -> Result<Option<Turn>, EnterError> {
        let end_date = whole_milliseconds(now + LENGTH);
        Ok(match intents::begin(&self.0.db, &room_id, is_exclusive, now, end_date, LEASE).await? {
            None => None,
            Some(Begun::Running(meeting)) => Some(Turn::Entered(Entered::Running(meeting))),
            Some(Begun::Theirs) => Some(Turn::Theirs),
            Some(Begun::Ours(room, intent)) => self.make(*room, intent, now).await?.map(Turn::Entered),
        })
    }

    async fn await_theirs(&self, room: &Room, now: OffsetDateTime) -> Result<Entered, EnterError> {
        let deadline = Instant::now() + PATIENCE;
        let mut pause = FIRST_PAUSE;
        while Instant::now() < deadline {
            sleep(pause).await;
            pause = (2 * pause).min(LONGEST_PAUSE);
            // The meeting is stored with the end of the intent, so the intent is looked at first.
            let is_open = intents::is_open(&self.0.db, &room.id).await?;
            if let Some(meeting) = meetings::find_open(&self.0.db, room, now).await? {
                return Ok(Entered::Running(meeting));
            }
            if !is_open {
                break;
            }
        }
        Err(EnterError::InProgress)
    }

    async fn make(
        self,
        room: Room,
        intent: Intent,
        now: OffsetDateTime,
    ) -> Result<Option<Entered>, EnterError> {
        let meeting = match self.ask_for(&room, &intent, now).await {
            Ok(meeting) => meeting,
            Err(error) => {
                tracing::warn!(room.name, "cannot make a meeting: {error}");
                self.note_failure(&intent, &error).await?;
                return Err(error.into());
            }
        };
        match intents::fulfil(&self.0.db, &intent, &meeting).await? {
            Fulfilled::Begun => {
                tokio::spawn(self.decorate(meeting.room_name.clone()));
                Ok(Some(Entered::Begun(meeting)))
            }
            Fulfilled::TooLate => {
                intents::abandon(&self.0.db, &intent, Some(&meeting.id)).await?;
                Err(EnterError::InProgress)
            }
            Fulfilled::RoomGone => {
                intents::abandon(&self.0.db, &intent, Some(&meeting.id)).await?;
                Ok(None)
            }
        }
    }

    async fn ask_for(
        &self,
        room: &Room,
        intent: &Intent,
        now: OffsetDateTime,
    ) -> Result<Meeting, WherebyError> {
        let bucket = self.0.settings.recordings.as_ref();
        let wish = NewRoom::new(&intent.prefix, intent.end_date, room.settings, bucket);
        let asker = if intent.is_exclusive { Asker::Visitor } else { Asker::Another };
        let made = self.ask(asker, cost::WRITE, self.0.client.create(&wish)).await?;
        made.into_meeting(room, now, intent.end_date)
            .ok_or_else(|| WherebyError::Failed { status: 201, said: "a room without id or name".to_owned() })
    }

    async fn note_failure(&self, intent: &Intent, error: &WherebyError) -> Result<(), sqlx::Error> {
        if error.changed_nothing() {
            intents::forget(&self.0.db, &intent.id).await
        } else {
            intents::abandon(&self.0.db, intent, None).await
        }
    }

    /// A room without its logo is still a room.
    async fn decorate(self, room_name: String) {
        let Some(logo) = &self.0.settings.logo else { return };
        let sent = self.ask(Asker::Background, cost::WRITE, self.0.client.set_logo(&room_name, logo)).await;
        if let Err(error) = sent {
            tracing::warn!("a meeting goes without its logo: {error}");
        }
    }
}

/// Whereby keeps no more.
fn whole_milliseconds(time: OffsetDateTime) -> OffsetDateTime {
    time.replace_nanosecond(time.nanosecond() / 1_000_000 * 1_000_000).unwrap_or(time)
}
