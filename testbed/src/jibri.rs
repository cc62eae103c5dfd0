//! A stand-in for Jibri: it records with a real ffmpeg and leaves on disk what Jibri leaves there, in Jibri's order.
//!
//! Start: session directory, then (once it has joined) the growing media file. Stop: SIGINT to ffmpeg; no media means that
//! the directory goes and nothing else is left; otherwise `metadata.json`, written in place; then the finalize script with
//! the session directory as its only argument. Until that has ended it is busy, and says so to whoever asks.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use serde_json::json;

use crate::process::Process;
use crate::wait::eventually;

/// How long Jibri waits for ffmpeg after SIGINT.
const STOP: Duration = Duration::from_secs(10);
/// Jibri cuts the room's name so that the file's name has at most this many characters.
const MAX_NAME: usize = 125;

/// A Jibri that keeps its recordings under one root.
#[derive(Debug, Clone)]
pub struct Jibri {
    root: PathBuf,
    log: PathBuf,
    finalize: Option<PathBuf>,
    format: Format,
    owner: Option<Owner>,
    /// Sessions that are under way.
    sessions: Arc<AtomicUsize>,
}

/// What `jibri.ffmpeg.recording-format` may say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `mp4`, the default.
    Mp4,
    /// `matroska`, with the extension `mkv`.
    Matroska,
}

/// A recording that runs.
#[derive(Debug)]
pub struct Recording {
    format: Format,
    _under_way: UnderWay,
    directory: PathBuf,
    media: PathBuf,
    ffmpeg: Option<Process>,
    finalize: Option<PathBuf>,
    owner: Option<Owner>,
}

/// What Jibri knows of the meeting when it writes `metadata.json`.
#[derive(Debug, Clone, Copy)]
pub struct Meeting<'a> {
    /// The meeting's page.
    pub url: &'a str,
    /// Identities that the recorder's page has seen: user id and name.
    pub participants: &'a [(&'a str, &'a str)],
    /// Prosody's id of the meeting; empty when its module is not loaded.
    pub session_id: &'a str,
}

impl Jibri {
    /// A Jibri with `recordings-directory = root`, whose ffmpeg writes its messages to `log`.
    pub fn new(root: &Path, log: &Path) -> Self {
        Self {
            root: root.to_owned(),
            log: log.to_owned(),
            finalize: None,
            format: Format::Mp4,
            owner: None,
            sessions: Arc::default(),
        }
    }

    /// With `recording-format` set.
    #[must_use]
    pub fn with_format(self, format: Format) -> Self {
        Self { format, ..self }
    }

    /// Says from now on how it is: `GET /jibri/api/v1.0/health` at the address that is returned.
    pub fn say_health(&self) -> Result<SocketAddr> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let (address, sessions) = (listener.local_addr()?, Arc::clone(&self.sessions));
        thread::Builder::new().name("jibri-health".to_owned()).spawn(move || {
            for stream in listener.incoming() {
                let status = if sessions.load(Ordering::SeqCst) > 0 { "BUSY" } else { "IDLE" };
                let _ = stream.and_then(|mut stream| {
                    let _ = stream.read(&mut [0; 4096])?;
                    stream.write_all(health(status).as_bytes())
                });
            }
        })?;
        Ok(address)
    }

    /// With everything that it writes being this user's, and for the group to read and write: a Jibri with `UMask=0007`.
    #[must_use]
    pub fn with_owner(self, uid: u32, gid: u32) -> Self {
        Self { owner: Some(Owner { uid, gid }), ..self }
    }

    /// With `finalize-script = script`.
    #[must_use]
    pub fn with_finalize(self, script: &Path) -> Self {
        Self { finalize: Some(script.to_owned()), ..self }
    }

    /// Accepts a session: the directory exists, the page has not joined yet.
    pub fn accept(&self, session_id: &str, room: &str) -> Result<Recording> {
        let directory = self.root.join(directory_name(session_id));
        fs::create_dir_all(&directory).with_context(|| directory.display().to_string())?;
        give(&directory, self.owner, 0o2770)?;
        let media = directory.join(file_name(room, &local_time()?, self.format.extension()));
        Ok(Recording {
            format: self.format,
            _under_way: UnderWay::begin(&self.sessions),
            directory,
            media,
            ffmpeg: None,
            finalize: self.finalize.clone(),
            owner: self.owner,
        })
    }

    /// Accepts a session and records: returns when the media file grows.
    pub fn record(&self, session_id: &str, room: &str) -> Result<Recording> {
        let mut recording = self.accept(session_id, room)?;
        recording.start(&self.log)?;
        Ok(recording)
    }
}

impl Recording {
    /// The session directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The media file, whether it exists or not.
    pub fn media(&self) -> &Path {
        &self.media
    }

    /// The media file's size now, in bytes.
    pub fn size(&self) -> u64 {
        fs::metadata(&self.media).map_or(0, |metadata| metadata.len())
    }

    fn start(&mut self, log: &Path) -> Result<()> {
        let mut command = Command::new("ffmpeg");
        command
            .args(["-nostdin", "-v", "error", "-re", "-f", "lavfi", "-i", "testsrc=size=320x180:rate=15"])
            .args(["-re", "-f", "lavfi", "-i", "sine=frequency=440"])
            .args([
                "-c:v",
                "libx264",
                "-preset",
                "ultrafast",
                "-tune",
                "zerolatency",
                "-g",
                "15",
                "-c:a",
                "aac",
            ])
            .args(["-flush_packets", "1", "-f", self.format.name()])
            .arg(&self.media);
        let mut ffmpeg = Process::spawn("ffmpeg", &command, log)?;
        let media = self.media.clone();
        ffmpeg.wait_until(STOP, || fs::metadata(&media).is_ok_and(|metadata| metadata.len() > 4096))?;
        self.ffmpeg = Some(ffmpeg);
        give(&self.media, self.owner, 0o660)
    }

    /// Stops as Jibri does; returns the media file, or `None` when nothing was recorded.
    pub fn stop(mut self, meeting: Meeting<'_>) -> Result<Option<PathBuf>> {
        if let Some(mut ffmpeg) = self.ffmpeg.take() {
            ffmpeg.signal(Signal::SIGINT)?;
            if ffmpeg.wait(STOP).is_err() {
                ffmpeg.kill()?;
            }
        }
        if !self.media.exists() {
            fs::remove_dir(&self.directory)?;
            return Ok(None);
        }
        let sidecar = self.directory.join("metadata.json");
        fs::write(&sidecar, metadata(meeting))?;
        give(&sidecar, self.owner, 0o660)?;
        if let Some(script) = &self.finalize {
            let status = Command::new(script).arg(&self.directory).status()?;
            ensure!(status.success(), "{} ended with {status}", script.display());
        }
        Ok(Some(self.media))
    }

    /// Jibri and ffmpeg die at once: the media file has no index, and no metadata follows.
    pub fn crash(mut self) -> Result<PathBuf> {
        if let Some(mut ffmpeg) = self.ffmpeg.take() {
            ffmpeg.kill()?;
        }
        Ok(self.media)
    }

    /// Waits until the media file has grown by `bytes`.
    pub fn grow(&self, bytes: u64, deadline: Duration) -> Result<()> {
        let target = self.size() + bytes;
        let grew = eventually(deadline, || self.size() >= target);
        ensure!(grew, "{} did not grow by {bytes} bytes within {deadline:?}", self.media.display());
        Ok(())
    }
}

/// Whose files recordings are.
#[derive(Debug, Clone, Copy)]
struct Owner {
    uid: u32,
    gid: u32,
}

/// Gives a file to the owner, if there is one.
fn give(path: &Path, owner: Option<Owner>, mode: u32) -> Result<()> {
    let Some(Owner { uid, gid }) = owner else { return Ok(()) };
    chown(path, Some(uid), Some(gid)).with_context(|| path.display().to_string())?;
    Ok(fs::set_permissions(path, fs::Permissions::from_mode(mode))?)
}

/// A session that is under way until this is dropped.
#[derive(Debug)]
struct UnderWay(Arc<AtomicUsize>);

impl UnderWay {
    fn begin(sessions: &Arc<AtomicUsize>) -> Self {
        sessions.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(sessions))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Format {
    fn name(self) -> &'static str {
        match self {
            Self::Mp4 => "mp4",
            Self::Matroska => "matroska",
        }
    }

    fn extension(self) -> &'static str {
        match self {
            Self::Mp4 => "mp4",
            Self::Matroska => "mkv",
        }
    }
}

/// Jibri's answer about its health.
fn health(busy: &str) -> String {
    let body = json!({
        "status": { "busyStatus": busy, "health": { "healthStatus": "HEALTHY", "details": {} } },
        "sessionStatus": null,
    })
    .to_string();
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

fn metadata(meeting: Meeting<'_>) -> String {
    let participants: Vec<_> = meeting
        .participants
        .iter()
        .map(|(id, name)| json!({ "user": { "id": id, "name": name }, "group": null }))
        .collect();
    let mut document = json!({ "meeting_url": meeting.url, "participants": participants, "share": true });
    if !meeting.session_id.is_empty() {
        document["conference_details"] = json!({ "session_id": meeting.session_id });
    }
    document.to_string()
}

/// Jibri's directory name for a session: what is not a letter, a digit, `_` or `-` becomes `_`.
fn directory_name(session_id: &str) -> String {
    session_id
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == '_' || c == '-' { c } else { '_' })
        .collect()
}

/// Jibri's file name: the room, cut, and the local time at which the session was accepted.
fn file_name(room: &str, local_time: &str, extension: &str) -> String {
    let suffix = format!("_{local_time}.{extension}");
    let room: String = room.chars().take(MAX_NAME - suffix.len()).collect();
    format!("{room}{suffix}")
}

/// The local time without a zone, as Jibri writes it.
fn local_time() -> Result<String> {
    let output = Command::new("date").arg("+%Y-%m-%d-%H-%M-%S").output()?;
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_on_disk_are_jibris() {
        assert_eq!(directory_name("foo&bar/baz"), "foo_bar_baz");
        assert_eq!(file_name("standup", "2026-08-05-13-56-46", "mp4"), "standup_2026-08-05-13-56-46.mp4");
        let long = file_name(&"x".repeat(300), "2026-08-05-13-56-46", "mp4");
        assert_eq!((long.len(), long.matches('x').count()), (125, 101));
    }
}
