//! `/ops/recordings/{id}`: a recording, to be played.

use askama::Template;
use axum::extract;
use axum::response::Response;
use contract::problem::ProblemCode;
use reqwest::Url;

use super::badge::Badge;
use super::meeting::{bytes, length};
use super::paging;
use super::shell::{self, MediaFrom, Shell, Trouble};
use super::text::When;
use crate::db::ops_recordings::{self, RecordingLine};
use crate::db::recordings;
use crate::domain::recording::File;
use crate::domain::recording_state;
use crate::http::State;
use crate::http::path_text::PathText;
use crate::http::problem::ApiError;
use crate::http::v1::recordings::body::Downloads;

#[derive(Template)]
#[template(path = "ops/recording.html")]
struct Page {
    shell: Shell,
    name: String,
    badge: Badge,
    /// Leads to the file, whoever has it; not for long.
    link: Option<String>,
    is_audio: bool,
    obstacle: Option<&'static str>,
    meeting: Option<String>,
    room: String,
    file: File,
    size: String,
    length: String,
    completed: When,
}

/// Shows a recording. It is played from the storage: no byte of it passes through this service.
pub(super) async fn get(
    extract::State(state): extract::State<State>,
    shell: Shell,
    PathText(id): PathText,
) -> Result<Response, Trouble> {
    let listed = ops_recordings::find(&state.db, &id).await?;
    let found = recordings::find(&state.db, &id).await?;
    let (Some(listed), Some((file, _))) = (listed, found) else {
        return Err(Trouble(ApiError::titled(ProblemCode::RecordingNotFound)));
    };
    let link = Downloads::of(&state, shell.now).link(&file).map(|(link, _)| link);
    let origin = link.as_deref().and_then(origin);
    let mut response = shell::page(&view(shell, listed, file, link))?;
    if let Some(origin) = origin {
        response.extensions_mut().insert(MediaFrom(origin));
    }
    Ok(response)
}

fn view(shell: Shell, listed: RecordingLine, file: File, link: Option<String>) -> Page {
    let name = file.file.rsplit('/').next().unwrap_or_default().to_owned();
    Page {
        badge: Badge::of_recording(file.state, file.is_withheld),
        obstacle: if link.is_some() { None } else { Some(obstacle(&file)) },
        is_audio: is_audio(&name),
        meeting: listed.meeting_id.as_deref().map(paging::escaped),
        room: listed.room_name.unwrap_or_else(|| "its meeting".to_owned()),
        size: bytes(file.size_bytes),
        length: length(file.duration_ms),
        completed: When::exact(file.completed_at),
        name,
        link,
        file,
        shell,
    }
}

/// Why there is nothing to play, and what to do.
fn obstacle(file: &File) -> &'static str {
    use recording_state::State;
    match file.state {
        State::Deleted => "The recording was removed from the storage, for good.",
        _ if file.is_withheld => {
            "Somebody in the meeting did not agree to be recorded, so that nobody gets it."
        }
        State::OnHost => {
            "The recording is on the host that made it. It is uploaded where the room’s recording type is cloud."
        }
        State::Announced => "The recording was announced, and has not been seen in the storage yet.",
        State::Missing => {
            "The recording is not in the storage, where it was to be. Look for the file on its host."
        }
        State::Stored => {
            "The recording is in a bucket that this server has no address for: compare its bucket below with the configured one."
        }
    }
}

fn is_audio(name: &str) -> bool {
    let extension = name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
    extension.is_some_and(|extension| {
        ["mp3", "m4a", "ogg", "opus", "wav", "flac", "aac"].contains(&extension.as_str())
    })
}

/// Scheme, host and port of an address, for the policy that lets a page play from there.
fn origin(link: &str) -> Option<String> {
    Url::parse(link).ok().map(|url| url.origin().ascii_serialization()).filter(|origin| origin != "null")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_may_come_from_where_the_link_leads_and_nowhere_else() {
        for (link, expected) in [
            ("https://bucket.s3.example:8443/key?X-Amz-Signature=1", Some("https://bucket.s3.example:8443")),
            ("http://127.0.0.1:9000/b/k", Some("http://127.0.0.1:9000")),
            ("data:text/plain,x", None),
            ("nonsense", None),
        ] {
            assert_eq!(origin(link).as_deref(), expected, "{link}");
        }
    }

    #[test]
    fn a_file_is_heard_or_seen_by_its_name() {
        for (name, expected) in
            [("a.mp3", true), ("a.OGG", true), ("a.mp4", false), ("a.webm", false), ("a", false)]
        {
            assert_eq!(is_audio(name), expected, "{name}");
        }
    }
}
