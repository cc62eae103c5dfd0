//! Removes rooms that were made for nobody: by a process that ended before it could store the meeting, or with an answer that was lost.
//!
//! Whereby has no name of ours for them. A room is ours when its name begins with what was asked for and it ends at the millisecond that
//! was asked for, and it was made for nobody when no meeting has its id.

use std::time::Duration;

use super::wire::ListedRoom;
use super::{Asker, Whereby, WherebyError, cost};
use crate::db::meetings;
use crate::db::whereby::intents::{self, Intent};
use crate::domain::whereby::is_answer_to;

/// How long after it was given up a room that was asked for may still appear.
const SETTLING: Duration = Duration::from_mins(5);

/// The most pages that are read in one run. Whereby removes rooms itself a day after their end, so there are not more.
const MAX_PAGES: usize = 50;

impl Whereby {
    /// Removes what intents that were given up have made; returns how many rooms.
    pub async fn clean_up(&self) -> anyhow::Result<usize> {
        intents::give_up_all_expired(&self.0.db).await?;
        let abandoned = intents::abandoned(&self.0.db, SETTLING).await?;
        let (named, unnamed): (Vec<_>, Vec<_>) =
            abandoned.into_iter().partition(|abandoned| abandoned.intent.meeting_id.is_some());
        let mut removed = 0;
        for intent in named.iter().map(|abandoned| &abandoned.intent) {
            if let Some(meeting_id) = &intent.meeting_id {
                removed += usize::from(self.remove_unknown(meeting_id).await?);
            }
            intents::forget(&self.0.db, &intent.id).await?;
        }
        if unnamed.is_empty() {
            return Ok(removed);
        }
        let mut rooms = self.all_rooms().await?;
        for abandoned in unnamed {
            let (made, others): (Vec<_>, Vec<_>) =
                rooms.into_iter().partition(|room| was_made_by(&abandoned.intent, room));
            rooms = others;
            let mut found = 0;
            for room in &made {
                found += usize::from(self.remove_unknown(&room.meeting_id).await?);
            }
            // A meeting may look like what was asked for, too; then that may still appear.
            if abandoned.is_settled || found > 0 {
                intents::forget(&self.0.db, &abandoned.intent.id).await?;
            }
            removed += found;
        }
        Ok(removed)
    }

    /// Removes a room unless a meeting has its id.
    async fn remove_unknown(&self, meeting_id: &str) -> anyhow::Result<bool> {
        if meetings::find(&self.0.db, meeting_id).await?.is_some() {
            return Ok(false);
        }
        self.remove_room(meeting_id).await?;
        tracing::info!(meeting.id = meeting_id, "removed a room at Whereby that was made for nobody");
        Ok(true)
    }

    /// Reading them can take more points than a minute has; a list that is not read to its end is of no use, and has cost them all the same.
    async fn all_rooms(&self) -> Result<Vec<ListedRoom>, WherebyError> {
        let mut rooms = Vec::new();
        let mut cursor = None;
        for _ in 0..MAX_PAGES {
            let page = self.0.client.rooms(cursor.as_deref());
            let page = self.ask(Asker::Patient, cost::LIST, page).await?;
            rooms.extend(page.results);
            cursor = page.cursor;
            if cursor.is_none() {
                return Ok(rooms);
            }
        }
        let said = format!("more than {MAX_PAGES} pages of rooms");
        Err(WherebyError::Failed { status: 200, said })
    }
}

fn was_made_by(intent: &Intent, room: &ListedRoom) -> bool {
    let name = room.room_name.as_deref();
    name.is_some_and(|name| is_answer_to(&intent.prefix, intent.end_date, name, room.end_date))
}
