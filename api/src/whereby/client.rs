//! Whereby's API over HTTP: one question, one answer, in time.

use std::time::Duration;

use http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue};
use reqwest::{RequestBuilder, Response, Url};
use serde::de::DeserializeOwned;

use super::error::{WherebyError, beginning};
use super::wire::{ListedRoom, Made, NewRoom, Page, RoomSession};
use crate::config::WherebyMeetings;

/// How long a connection may take.
const CONNECT_PATIENCE: Duration = Duration::from_secs(5);

/// How long an answer may take altogether. A visitor waits for the slowest one.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// The largest answer that is read: a page of a hundred rooms has a tenth of it.
const MAX_ANSWER: usize = 1024 * 1024;

/// The most that a page holds.
const PAGE: &str = "100";

/// Parts the logo from the rest of its form.
const BOUNDARY: &str = "reflector-api-logo-5f0c2e7a1b9d";

/// The way to Whereby. The key goes with every question and is never printed.
#[derive(Debug)]
pub(super) struct Client {
    http: reqwest::Client,
    base: Url,
}

impl Client {
    pub(super) fn new(settings: &WherebyMeetings) -> Result<Self, reqwest::Error> {
        // Another part of the process may have chosen already; the choice is the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut headers = HeaderMap::new();
        // A key that fits into no header is refused by Whereby like any wrong one.
        let key = HeaderValue::try_from(format!("Bearer {}", settings.api_key.expose()));
        let mut key = key.unwrap_or_else(|_| HeaderValue::from_static("Bearer"));
        key.set_sensitive(true);
        headers.insert(AUTHORIZATION, key);
        let http = reqwest::Client::builder()
            .user_agent(concat!("reflector-api/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers)
            .connect_timeout(CONNECT_PATIENCE)
            .timeout(PATIENCE)
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        Ok(Self { http, base: settings.api_url.clone() })
    }

    /// Makes a room.
    pub(super) async fn create(&self, room: &NewRoom<'_>) -> Result<Made, WherebyError> {
        json(self.http.post(self.url(&["meetings"])).json(room)).await
    }

    /// Removes a room, and everybody from it. One that is gone is removed as well.
    pub(super) async fn delete(&self, meeting_id: &str) -> Result<(), WherebyError> {
        match done(self.http.delete(self.url(&["meetings", meeting_id]))).await {
            Err(WherebyError::Refused { status: 404, .. }) => Ok(()),
            result => result,
        }
    }

    /// One page of all rooms.
    pub(super) async fn rooms(&self, cursor: Option<&str>) -> Result<Page<ListedRoom>, WherebyError> {
        let mut url = self.url(&["meetings"]);
        url.query_pairs_mut()
            .append_pair("limit", PAGE)
            .extend_pairs(cursor.map(|cursor| ("cursor", cursor)));
        json(self.http.get(url)).await
    }

    /// The sessions of a room. The page is as long as it can be: on one of ten, the latest may be missing.
    pub(super) async fn sessions(&self, room_name: &str) -> Result<Vec<RoomSession>, WherebyError> {
        let mut url = self.url(&["insights", "room-sessions"]);
        url.query_pairs_mut().append_pair("roomName", &format!("/{room_name}")).append_pair("limit", PAGE);
        let page: Page<RoomSession> = json(self.http.get(url)).await?;
        Ok(page.results)
    }

    /// Gives a room a logo, a PNG.
    pub(super) async fn set_logo(&self, room_name: &str, logo: &[u8]) -> Result<(), WherebyError> {
        let request = self.http.put(self.url(&["rooms", room_name, "theme", "logo"]));
        let media_type = format!("multipart/form-data; boundary={BOUNDARY}");
        done(request.header(CONTENT_TYPE, media_type).body(form(logo))).await
    }

    /// The segments are encoded, so that an id cannot lead elsewhere.
    fn url(&self, path: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url
    }
}

/// A form with one file.
fn form(logo: &[u8]) -> Vec<u8> {
    let head = format!(
        "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"image\"; filename=\"logo.png\"\r\nContent-Type: image/png\r\n\r\n"
    );
    [head.as_bytes(), logo, format!("\r\n--{BOUNDARY}--\r\n").as_bytes()].concat()
}

/// The status of a success, and its body.
async fn answer(request: RequestBuilder) -> Result<(u16, Vec<u8>), WherebyError> {
    let mut response = request.send().await.map_err(|error| silent(&error))?;
    let body = read(&mut response).await?;
    let status = response.status();
    if status.is_success() {
        return Ok((status.as_u16(), body));
    }
    let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    Err(WherebyError::of(status.as_u16(), retry_after, &body))
}

/// Whatever is longer than any answer is cut, and cannot be read then.
async fn read(response: &mut Response) -> Result<Vec<u8>, WherebyError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| silent(&error))? {
        body.extend_from_slice(&chunk);
        if body.len() > MAX_ANSWER {
            break;
        }
    }
    Ok(body)
}

async fn done(request: RequestBuilder) -> Result<(), WherebyError> {
    answer(request).await.map(drop)
}

async fn json<T: DeserializeOwned>(request: RequestBuilder) -> Result<T, WherebyError> {
    let (status, body) = answer(request).await?;
    // The answer may hold a host's address, which is not for the log; what it lacks is.
    serde_json::from_slice(&body)
        .map_err(|error| WherebyError::Failed { status, said: beginning(error.to_string().as_bytes()) })
}

/// The error's text without the address, which may hold a room's name.
fn silent(error: &reqwest::Error) -> WherebyError {
    let mut reasons = Vec::new();
    let mut cause: Option<&dyn std::error::Error> = std::error::Error::source(error);
    while let Some(error) = cause {
        reasons.push(error.to_string());
        cause = error.source();
    }
    let reason = if error.is_timeout() {
        format!("nothing within {} s", PATIENCE.as_secs())
    } else if reasons.is_empty() {
        "the question cannot be sent".to_owned()
    } else {
        reasons.join(": ")
    };
    WherebyError::Silent { reason, was_asked: !(error.is_connect() || error.is_builder()) }
}
