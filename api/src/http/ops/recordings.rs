//! `/ops/recordings`: the newest recordings, and where each of them is.

use askama::Template;
use axum::extract;
use axum::response::Response;
use http::Uri;

use super::badge::Badge;
use super::meeting::{bytes, length};
use super::paging::{self, Parameters};
use super::shell::{self, Shell, Trouble};
use super::text::When;
use crate::db::ops_recordings::{self, RecordingLine};
use crate::db::recordings;
use crate::domain::recording_state;
use crate::http::State;

#[derive(Template)]
#[template(path = "ops/recordings.html")]
struct Page {
    shell: Shell,
    state: Option<recording_state::State>,
    lines: Vec<Line>,
    older: Option<String>,
    is_first: bool,
}

struct Line {
    path: String,
    file: String,
    room: Option<String>,
    meeting: Option<String>,
    host: Option<String>,
    badge: Badge,
    note: Option<String>,
    size: String,
    length: String,
    completed: When,
}

impl Page {
    fn states() -> [(&'static str, &'static str); 5] {
        [
            ("stored", "stored"),
            ("on_host", "on its host"),
            ("announced", "announced"),
            ("missing", "missing"),
            ("deleted", "deleted"),
        ]
    }

    fn is_chosen(&self, name: &str) -> bool {
        self.state.is_some_and(|state| state.as_str() == name)
    }
}

impl Line {
    fn new(line: RecordingLine, shell: &Shell) -> Result<Self, sqlx::Error> {
        Ok(Self {
            path: paging::escaped(&line.id),
            file: line.file.rsplit('/').next().unwrap_or_default().to_owned(),
            meeting: line.meeting_id.as_deref().map(paging::escaped),
            room: line.room_name,
            host: line.host,
            badge: Badge::of_recording(recordings::state(&line.state)?, line.is_withheld),
            note: note(line.deleted_reason.as_deref(), &line.status),
            size: bytes(line.size_bytes),
            length: length(line.duration_ms),
            completed: shell.ago(line.completed_at),
        })
    }
}

/// What else is to be said: why a recording was removed, and that a file is damaged.
fn note(deleted_reason: Option<&str>, status: &str) -> Option<String> {
    match (deleted_reason, status) {
        (Some("consent"), _) => Some("somebody did not agree to be recorded".to_owned()),
        (Some("retention"), _) => Some("it was kept as long as it was to be".to_owned()),
        (None, "completed") => None,
        (_, status) => Some(status.to_owned()),
    }
}

/// Shows recordings, the newest first.
pub(super) async fn get(
    extract::State(state): extract::State<State>,
    shell: Shell,
    uri: Uri,
) -> Result<Response, Trouble> {
    let parameters = Parameters::of(&uri);
    let chosen = parameters.text("state").and_then(|name| recordings::state(&name).ok());
    let mark = parameters.mark();
    let mut found = ops_recordings::page(&state.db, chosen, mark.as_ref(), paging::limit()).await?;
    let older = paging::cut(&mut found).map(|last| {
        let after = paging::after(last.completed_at, &last.id);
        let state = chosen.map(recording_state::State::as_str);
        paging::address("recordings", &[("state", state), ("after", Some(&after))])
    });
    shell::page(&Page {
        lines: found.into_iter().map(|line| Line::new(line, &shell)).collect::<Result<_, _>>()?,
        state: chosen,
        older,
        is_first: mark.is_none(),
        shell,
    })
}
