//! The recording again, from the link that the API gives out: the same bytes, and a video that plays.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// Fetches the meeting's stored file from its presigned link, compares it with the file that Jibri wrote, and plays it.
pub(super) fn show(meeting: &Value, media: &Path, out: &mut dyn Write) -> Result<()> {
    let file = stored(meeting).context("the API tells no recording that the storage holds")?;
    let text = |member: &str| file[member].as_str().unwrap_or_default();
    let (told, url) = (text("sha256"), text("download_url"));
    writeln!(out, "\n  uploaded to s3://{}/{}", text("bucket"), text("object_key"))?;
    let written = digest(File::open(media)?)?;
    let fetched = digest(ureq::get(url).call()?.into_body().into_reader())?;
    ensure!(written == told, "Jibri wrote {written}, the API tells {told}");
    ensure!(fetched == told, "the link led to {fetched}, the API tells {told}");
    writeln!(
        out,
        "  SHA-256 {told}: Jibri's file, what the API verified in the storage, and what its link leads to"
    )?;
    let frames = frames(url)?;
    ensure!(frames > 0, "the link leads to a video without pictures");
    Ok(writeln!(out, "  played from the presigned link by ffprobe: {frames} pictures, without an error")?)
}

/// Presigned links open the recording to whoever reads them over somebody's shoulder.
pub(super) fn hide_links(meeting: &mut Value) {
    let files = meeting["recordings"].as_array_mut().into_iter().flatten();
    for file in files.filter_map(|recording| recording["files"].as_array_mut()).flatten() {
        if let Some((place, _)) = file["download_url"].as_str().and_then(|url| url.split_once('?')) {
            file["download_url"] = Value::String(format!("{place}?…"));
        }
    }
}

fn stored(meeting: &Value) -> Option<&Value> {
    let files =
        meeting["recordings"].as_array()?.iter().filter_map(|recording| recording["files"].as_array());
    files.flatten().find(|file| file["state"] == "stored")
}

fn digest(mut reader: impl Read) -> Result<String> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match reader.read(&mut buffer)? {
            0 => return Ok(contract::id::hex(&hash.finalize())),
            length => hash.update(&buffer[..length]),
        }
    }
}

/// How many pictures of the video can be decoded.
fn frames(url: &str) -> Result<u64> {
    let arguments = [
        "-v",
        "error",
        "-count_frames",
        "-select_streams",
        "v:0",
        "-show_entries",
        "stream=nb_read_frames",
        "-of",
        "csv=p=0",
    ];
    let output = Command::new("ffprobe")
        .args(arguments)
        .arg(url)
        .output()
        .context("ffprobe does not start; `make setup` installs it")?;
    // Its messages repeat the link.
    ensure!(output.status.success() && output.stderr.is_empty(), "ffprobe cannot play the recording");
    String::from_utf8(output.stdout)?.trim().parse().context("ffprobe counts no pictures")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn links_are_shown_without_what_opens_them() {
        let file =
            |url: Value| json!({"recordings": [{"files": [{"state": "stored", "download_url": url}]}]});
        let mut meeting = file("http://127.0.0.1/recordings/a.mp4?X-Amz-Signature=0a1b".into());
        hide_links(&mut meeting);
        assert_eq!(meeting, file("http://127.0.0.1/recordings/a.mp4?…".into()));
        let mut none = file(Value::Null);
        hide_links(&mut none);
        assert_eq!(none, file(Value::Null));
    }
}
