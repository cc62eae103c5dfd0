//! What a probe finds in files that a real ffmpeg wrote, whole and cut off.

use std::fs;
use std::path::Path;
use std::process::Command;

use agent::recordings::probe::{Container, probe};

/// Two seconds of picture and sound in a container of this name.
fn record(path: &Path, more: &[&str]) {
    let status = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-f", "lavfi", "-i", "testsrc=size=160x90:rate=10"])
        .args(["-f", "lavfi", "-i", "sine=frequency=440", "-t", "2"])
        .args(more)
        .arg(path)
        .status()
        .unwrap();
    assert!(status.success(), "ffmpeg is installed by `make setup`");
}

#[test]
fn every_container_that_jibris_ffmpeg_may_be_told_to_write_is_probed() {
    const H264: [&str; 8] = ["-c:v", "libx264", "-preset", "ultrafast", "-g", "10", "-c:a", "aac"];
    let fragments = [&H264[..], &["-movflags", "frag_keyframe+empty_moov"]].concat();
    let live = [&H264[..], &["-f", "matroska", "-live", "1"]].concat();
    let webm = ["-c:v", "libvpx", "-deadline", "realtime", "-c:a", "libopus"];
    let directory = tempfile::tempdir().unwrap();
    for (name, options, container, tells_duration, cut) in [
        // Cut off in its middle: whether it cannot be played, and whether it is seen that its writer did not close it.
        ("a.mp4", &H264[..], Container::Mp4, true, (true, false)),
        ("fragments.mp4", &fragments, Container::Mp4, false, (false, true)),
        ("a.mkv", &H264, Container::Matroska, true, (false, true)),
        ("live.mkv", &live, Container::Matroska, true, (false, true)),
        ("a.webm", &webm, Container::Matroska, true, (false, true)),
        ("a.ts", &H264, Container::Unknown, false, (false, false)),
    ] {
        let path = directory.path().join(name);
        record(&path, options);
        let whole = probe(&path).unwrap();
        assert_eq!((whole.container, whole.truncated), (container, false), "{name}: {whole:?}");
        let seconds = whole.duration_ms.map(|duration| duration.div_ceil(1000));
        assert_eq!(
            seconds.is_some_and(|seconds| (2..=3).contains(&seconds)),
            tells_duration,
            "{name}: {whole:?}"
        );
        assert_eq!(whole.unfinished, name == "live.mkv", "{name}: {whole:?}");
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        let half = probe(&path).unwrap();
        assert_eq!((half.truncated, half.unfinished), cut, "{name}: {half:?}");
    }
}
