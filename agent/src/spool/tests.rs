use std::time::SystemTime;

use super::*;
use crate::outbox::model::Kind;
use crate::outbox::{Limits, Writer};

/// A segment whose hour is over.
const SEGMENT: &str = "20250115T10Z.0190b7c2d4e5f6a7b8c9.jsonl";

/// An outbox, and a spool directory in which nothing is.
struct Stage {
    home: tempfile::TempDir,
    writer: Writer,
    spool: Spool,
}

impl Stage {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let directory = home.path().join("spool");
        std::fs::create_dir(&directory).unwrap();
        let limits = Limits { max_bytes: 1 << 30, keep_settled: Duration::from_hours(1) };
        let (writer, _) = Outbox::open(&home.path().join("outbox"), limits).unwrap();
        let settings = config::Spool { directory, ..config::Spool::default() };
        let rooms = Rooms::new(&["*".to_owned()]);
        let spool = Spool::new(&settings, rooms, writer.outbox(), Stop::new().unwrap()).unwrap();
        Self { home, writer, spool }
    }

    /// Writes a line, at this time by the clock of its file. Returns what the file is recognised by.
    fn put(&self, name: &str, id: &str, at: SystemTime) -> (u64, u64) {
        let path = self.at(name);
        let line = format!("{{\"id\":\"evt_{id}\",\"event\":\"e\",\"room\":\"r\",\"timestamp\":1}}\n");
        std::fs::write(&path, line).unwrap();
        let file = std::fs::File::options().append(true).open(&path).unwrap();
        file.set_modified(at).unwrap();
        tail::identity(&file.metadata().unwrap())
    }

    fn at(&self, name: &str) -> PathBuf {
        self.home.path().join("spool").join(name)
    }

    /// The ids of the events that the outbox has.
    fn queued(&self) -> Vec<String> {
        let reader = crate::outbox::Reader::open(&self.home.path().join("outbox")).unwrap();
        let lanes = reader.waiting().unwrap();
        let items = lanes.iter().flat_map(|lane| reader.claim(lane.lane, 0, 100, 1 << 20).unwrap());
        items.filter(|item| item.kind == Kind::Event).map(|item| item.id).collect()
    }
}

#[test]
fn a_directory_is_not_looked_at_again_for_segments_that_were_there_when_it_was() {
    let now = SystemTime::now();
    for (at, looks_again) in [(now - Duration::from_hours(1), false), (now, true)] {
        let mut stage = Stage::new();
        stage.put("a.jsonl", "a", at);
        stage.put("b.jsonl", "b", at);
        stage.spool.look();
        stage.put("c.jsonl", "c", at);
        assert!(matches!(stage.spool.read_everything(true), Ok(Pass::Done)));
        assert_eq!(stage.queued(), ["evt_a", "evt_b"]);
        assert_eq!(stage.spool.tails.len(), if looks_again { 3 } else { 2 }, "{at:?}");
    }
}

#[test]
fn a_file_that_was_rotated_away_in_the_future_holds_up_nothing() {
    for (ahead, expected) in [(0, ["evt_a", "evt_b"]), (3600, ["evt_b", "evt_a"])] {
        let mut stage = Stage::new();
        stage.put("x.jsonl.1", "a", SystemTime::now() + Duration::from_secs(ahead));
        stage.put("x.jsonl", "b", SystemTime::now());
        stage.spool.pass(true).unwrap();
        assert_eq!(stage.queued(), expected, "{ahead} s");
    }
}

#[test]
fn a_file_that_begins_anew_again_and_again_is_left_for_the_next_pass_in_the_end() {
    for (patient, again) in [(true, true), (false, false)] {
        let mut stage = Stage::new();
        let identity = stage.put("a.jsonl", "a", SystemTime::now());
        stage.spool.pass(true).unwrap();
        assert_eq!(
            stage.put("a.jsonl", "b", SystemTime::now()),
            identity,
            "it was truncated and filled again"
        );
        let stamp = stage.spool.tails[&identity].stamp().unwrap();
        let Ok(pass) = stage.spool.read_file(identity, stamp, patient) else { panic!("it cannot be read") };
        assert_eq!(matches!(pass, Pass::LookAgain), again);
        stage.spool.pass(false).unwrap();
        assert_eq!(stage.queued(), ["evt_a", "evt_b"]);
    }
}

#[test]
fn an_old_segment_that_was_left_for_the_next_pass_is_not_taken_for_the_rest_of_a_line() {
    let mut stage = Stage::new();
    let identity = stage.put(SEGMENT, "a", SystemTime::now() - Duration::from_hours(10_000));
    stage.spool.look();
    stage.spool.tidy().unwrap();
    assert!(stage.at(SEGMENT).exists() && stage.spool.tails[&identity].cursor.offset == 0);
    stage.spool.tidied = None;
    stage.spool.pass(false).unwrap();
    assert!(!stage.at(SEGMENT).exists(), "it was read, and is old");
    assert_eq!(stage.queued(), ["evt_a"]);
    stage.writer.close();
}

#[test]
fn what_was_rotated_away_is_read_before_what_took_its_place() {
    let mut files =
        [(5, "a.jsonl"), (5, "a.jsonl.1"), (4, "b.jsonl"), (5, "a.jsonl.10"), (5, "a.jsonl-20250115")];
    files.sort_by_key(|(modified, name)| turn(*modified, Path::new(name)));
    let names = files.map(|(_, name)| name);
    assert_eq!(names, ["b.jsonl", "a.jsonl.10", "a.jsonl.1", "a.jsonl-20250115", "a.jsonl"]);
}

#[test]
fn only_regular_files_are_spool_files() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    std::fs::write(at("b.jsonl"), "").unwrap();
    std::fs::write(at("a.jsonl.1"), "").unwrap();
    std::fs::create_dir(at("directory.jsonl")).unwrap();
    std::os::unix::fs::symlink("/etc/hostname", at("link.jsonl")).unwrap();
    std::fs::create_dir(at("unrelated")).unwrap();
    let Listed { files, odd } = list(directory.path()).unwrap();
    let files: Vec<PathBuf> = files.into_iter().map(|(_, path)| path).collect();
    assert_eq!(files, [at("a.jsonl.1"), at("b.jsonl")]);
    assert_eq!(odd.into_iter().collect::<Vec<_>>(), [at("directory.jsonl"), at("link.jsonl")]);
}

#[test]
fn segments_and_their_rotated_forms_are_spool_files() {
    for (name, expected) in [
        ("20250115T10Z.0190b7c2.jsonl", true),
        ("events.jsonl.1", true),
        ("events.jsonl-20250115", true),
        ("events.jsonl.1.gz", false),
        (".events.jsonl.swp", false),
        ("events.jsonl.tmp", false),
        ("notes.txt", false),
    ] {
        assert_eq!(is_spool_file(OsStr::new(name)), expected, "{name}");
    }
}
