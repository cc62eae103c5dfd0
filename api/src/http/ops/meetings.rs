//! `/ops/meetings`: the newest meetings, and those of a room.

use askama::Template;
use axum::extract;
use axum::response::Response;
use http::Uri;
use sqlx::PgPool;

use super::badge::Badge;
use super::paging::{self, Parameters};
use super::shell::{self, Shell, Trouble};
use super::text::When;
use crate::db::ops::{self, MeetingLine};
use crate::db::record;
use crate::domain::meeting::people_present;
use crate::http::State;

#[derive(Template)]
#[template(path = "ops/meetings.html")]
struct Page {
    shell: Shell,
    room: String,
    meetings: Vec<Line>,
    older: Option<String>,
    /// Whether more were found than are shown.
    is_cut: bool,
    is_first: bool,
}

/// A line of the list.
pub(super) struct Line {
    pub(super) id: String,
    /// The id as a part of an address.
    pub(super) path: String,
    pub(super) room_name: String,
    pub(super) platform: String,
    pub(super) badge: Badge,
    pub(super) began: When,
    /// How many people are in it; empty when it is over.
    pub(super) present: String,
    pub(super) seen: i64,
    pub(super) recordings: i64,
}

impl Line {
    /// Lines for `meetings`.
    pub(super) async fn of(
        db: &PgPool,
        meetings: Vec<MeetingLine>,
        shell: &Shell,
    ) -> Result<Vec<Self>, sqlx::Error> {
        let mut lines = Vec::with_capacity(meetings.len());
        for meeting in meetings {
            let present = if meeting.is_active && meeting.seen > 0 {
                let (occupants, boots) = record::presence(db, &meeting.id).await?;
                people_present(&occupants, &boots).to_string()
            } else if meeting.is_active {
                "0".to_owned()
            } else {
                String::new()
            };
            lines.push(Self {
                path: paging::escaped(&meeting.id),
                badge: Badge::of_meeting(meeting.is_active),
                began: shell.ago(meeting.start_date),
                id: meeting.id,
                room_name: meeting.room_name,
                platform: meeting.platform,
                present,
                seen: meeting.seen,
                recordings: meeting.recordings,
            });
        }
        Ok(lines)
    }
}

/// Shows meetings, the newest first.
pub(super) async fn get(
    extract::State(state): extract::State<State>,
    shell: Shell,
    uri: Uri,
) -> Result<Response, Trouble> {
    let parameters = Parameters::of(&uri);
    let (room, mark) = (parameters.text("room"), parameters.mark());
    let mut found = match &room {
        Some(room) => ops::meetings_like(&state.db, room, paging::limit()).await?,
        None => ops::meetings(&state.db, mark.as_ref(), paging::limit()).await?,
    };
    let after = paging::cut(&mut found).map(|last| paging::after(last.start_date, &last.id));
    // What is looked for stands on one page, or is to be looked for more closely.
    let is_cut = after.is_some() && room.is_some();
    let older = after.filter(|_| room.is_none());
    let older = older.map(|after| paging::address("meetings", &[("after", Some(&after))]));
    shell::page(&Page {
        meetings: Line::of(&state.db, found, &shell).await?,
        room: room.unwrap_or_default(),
        older,
        is_cut,
        is_first: mark.is_none(),
        shell,
    })
}
