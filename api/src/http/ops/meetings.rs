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
use crate::domain::room::{Platform, Setting as _};
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
        let on = meetings.iter().filter(|meeting| meeting.is_active);
        let on: Vec<_> =
            on.filter_map(|meeting| Some((&*meeting.id, Platform::parse(&meeting.platform)?))).collect();
        let people = record::people_in(db, &on).await?;
        let present = |meeting: &MeetingLine| people.get(&meeting.id).copied().unwrap_or(0).to_string();
        let line = |meeting: MeetingLine| Self {
            path: paging::escaped(&meeting.id),
            badge: Badge::of_meeting(meeting.is_active),
            began: shell.ago(meeting.start_date),
            present: if meeting.is_active { present(&meeting) } else { String::new() },
            id: meeting.id,
            room_name: meeting.room_name,
            platform: meeting.platform,
            seen: meeting.seen,
            recordings: meeting.recordings,
        };
        Ok(meetings.into_iter().map(line).collect())
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
