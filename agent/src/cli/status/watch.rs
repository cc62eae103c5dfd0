//! `status --watch`: the picture, again and again.
//!
//! On a terminal it is drawn in place, with control sequences that every terminal of today knows; elsewhere a line is written
//! when something has changed. Nothing has to be put back at the end, so Ctrl-C may come at any moment.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use super::Picture;
use crate::clock::{now_ms, rfc3339};
use crate::config::{OutboxConfig, Survey};
use crate::outbox::log::DeliveryLog;

/// To the top left.
const HOME: &str = "\x1b[H";
/// Clears the rest of a line, and of the screen.
const CLEAR_LINE: &str = "\x1b[K";
const CLEAR_BELOW: &str = "\x1b[J";
/// Long lines are cut off while a picture is drawn, so that it stays where it is.
const CUT: &str = "\x1b[?7l";
const WRAP: &str = "\x1b[?7h";

/// Shows the picture every `interval` until nobody reads it any more.
pub(in crate::cli) fn watch(
    config: &OutboxConfig,
    survey: &Survey,
    interval: Duration,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let log = DeliveryLog::open(&config.outbox.directory)?;
    let mut out = io::stdout();
    let terminal = out.is_terminal() && !json;
    let mut before: Option<(Picture, Instant)> = None;
    let mut said = String::new();
    if terminal {
        write!(out, "{HOME}{CLEAR_BELOW}")?;
    }
    loop {
        let picture = Picture::take(&log, config, survey)?;
        let written = if terminal {
            let speed = before.as_ref().map(|(before, at)| speed(before, &picture, at.elapsed()));
            frame(&mut out, &picture.as_text(now_ms()), &speed.unwrap_or_default())
        } else {
            let line = if json { picture.as_json().to_string() } else { line(&picture) };
            let news = line != said;
            said.clone_from(&line);
            match (news, json) {
                (false, _) => Ok(()),
                (true, true) => writeln!(out, "{line}"),
                (true, false) => writeln!(out, "{} {line}", rfc3339(now_ms())),
            }
        };
        match written.and_then(|()| out.flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(ExitCode::SUCCESS),
            written => written?,
        }
        before = Some((picture, Instant::now()));
        std::thread::sleep(interval);
    }
}

fn frame(out: &mut impl Write, text: &str, speed: &str) -> io::Result<()> {
    write!(out, "{CUT}{HOME}")?;
    for line in text.lines().chain(["", speed]) {
        write!(out, "{line}{CLEAR_LINE}\r\n")?;
    }
    write!(out, "{CLEAR_BELOW}{WRAP}")
}

/// What happened since the picture before.
fn speed(before: &Picture, now: &Picture, elapsed: Duration) -> String {
    let a_second =
        |amount: u64| amount * 1000 / u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX).max(1);
    let delivered = a_second(now.summary.delivered.saturating_sub(before.summary.delivered));
    let sent = |picture: &Picture| picture.uploads.iter().map(|upload| upload.sent_bytes).sum::<u64>();
    let uploaded = a_second(sent(now).saturating_sub(sent(before)));
    format!("{delivered} deliveries/s, {} KiB/s uploaded; Ctrl-C ends this", uploaded >> 10)
}

/// The picture in one line.
fn line(picture: &Picture) -> String {
    let summary = &picture.summary;
    let uploads: Vec<String> = picture
        .uploads
        .iter()
        .filter(|upload| upload.done_at.is_none())
        .map(|upload| {
            let done = upload.sent_bytes * 100 / upload.size_bytes.max(1);
            format!(" {}={done}%", upload.path.file_name().unwrap_or_default().to_string_lossy())
        })
        .collect();
    let running = match summary.running {
        Some(true) => "running",
        Some(false) => "not-running",
        None => "not-known-whether-running",
    };
    super::printable(&format!(
        "{running} waiting={} rooms={} parked={} delivered={} uploads={}{}",
        summary.ready,
        summary.rooms,
        summary.parked + picture.totals.parked,
        summary.delivered,
        picture.totals.active + picture.totals.waiting,
        uploads.concat()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_covers_the_one_before() {
        let mut drawn = Vec::new();
        frame(&mut drawn, "one\ntwo", "speed").unwrap();
        let drawn = String::from_utf8(drawn).unwrap();
        assert!(
            drawn.starts_with(&format!("{CUT}{HOME}one{CLEAR_LINE}\r\ntwo{CLEAR_LINE}\r\n")),
            "{drawn:?}"
        );
        assert!(drawn.ends_with(&format!("speed{CLEAR_LINE}\r\n{CLEAR_BELOW}{WRAP}")), "{drawn:?}");
    }
}
