use super::*;
use std::fs;
use std::path::Path;

fn line(n: usize) -> String {
    format!("{{\"id\":\"evt_{n:06}\",\"event\":\"e\",\"room\":\"r\",\"timestamp\":{n}}}\n")
}

fn lines(range: std::ops::Range<usize>) -> String {
    range.map(line).collect()
}

fn identity(path: &Path) -> (u64, u64) {
    super::identity(&fs::metadata(path).unwrap())
}

/// Reads to the end; gives the ids, and moves the tail.
fn drain(tail: &mut Tail) -> Vec<NewItem> {
    let (mut buffer, rooms) = (vec![0; BUFFER], Rooms::new(&["*".to_owned()]));
    let mut items = Vec::new();
    loop {
        let Found::Reading(reading) = tail.read(&mut buffer, &rooms).unwrap() else { continue };
        items.extend(reading.items);
        tail.advance(reading.cursor, reading.end);
        if reading.end.is_some() {
            return items;
        }
    }
}

fn ids(items: &[NewItem]) -> Vec<&str> {
    items.iter().map(|item| item.id.as_str()).collect()
}

fn tail_of(text: &[u8]) -> (tempfile::TempDir, PathBuf, Tail) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.jsonl");
    fs::write(&path, text).unwrap();
    let tail = Tail::new(path.clone(), identity(&path), None);
    (directory, path, tail)
}

#[test]
fn a_partial_last_line_waits_for_its_end() {
    let whole = lines(0..2);
    let (cut, rest) = whole.split_at(whole.len() - 5);
    let (_directory, path, mut tail) = tail_of(cut.as_bytes());
    assert_eq!(ids(&drain(&mut tail)), ["evt_000000"]);
    assert!(!tail.has_news(tail.stamp().unwrap()));
    fs::write(&path, format!("{cut}{rest}")).unwrap();
    assert!(tail.has_news(tail.stamp().unwrap()));
    assert_eq!(ids(&drain(&mut tail)), ["evt_000001"]);
}

#[test]
fn a_restart_goes_on_where_the_cursor_stands_even_after_a_rename() {
    let (directory, path, mut tail) = tail_of(lines(0..20).as_bytes());
    assert_eq!(drain(&mut tail).len(), 20);
    let renamed = directory.path().join("a.jsonl.1");
    fs::rename(&path, &renamed).unwrap();
    fs::write(&renamed, lines(0..23)).unwrap();
    let mut again = Tail::new(renamed.clone(), identity(&renamed), Some(tail.cursor.clone()));
    assert_eq!(ids(&drain(&mut again)), ["evt_000020", "evt_000021", "evt_000022"]);
}

#[test]
fn a_cursor_in_the_middle_of_a_line_is_not_taken_for_another_files_that_begins_like_it() {
    let begins = "{\"event\":\"e\",\"room\":\"r\",\"timestamp\":";
    let (_directory, path, mut tail) = tail_of(begins.as_bytes());
    assert!(drain(&mut tail).is_empty());
    // The file goes, and its half of a line is parked.
    let (mut buffer, rooms) = (vec![0; BUFFER], Rooms::new(&["*".to_owned()]));
    let gone = tail.remainder(&mut buffer, &rooms).unwrap().unwrap();
    // Another file gets its inode.
    fs::write(&path, format!("{begins}1}}\n")).unwrap();
    let mut other = Tail::new(path.clone(), identity(&path), Some(gone.cursor));
    assert!(matches!(other.read(&mut buffer, &rooms).unwrap(), Found::Restarted));
    let items = drain(&mut other);
    assert_eq!((items.len(), &items[0].parked), (1, &None));
}

#[test]
fn a_file_that_has_taken_the_name_of_another_is_not_read_in_its_place() {
    let (directory, path, mut tail) = tail_of(lines(0..2).as_bytes());
    fs::rename(&path, directory.path().join("a.jsonl.1")).unwrap();
    fs::write(&path, lines(2..3)).unwrap();
    let (mut buffer, rooms) = (vec![0; BUFFER], Rooms::new(&["*".to_owned()]));
    assert_eq!(tail.read(&mut buffer, &rooms).unwrap_err().kind(), io::ErrorKind::NotFound);
    assert!(!tail.is_at_its_path());
    tail.path = directory.path().join("a.jsonl.1");
    assert!(tail.is_at_its_path());
    assert_eq!(ids(&drain(&mut tail)), ["evt_000000", "evt_000001"]);
}

#[test]
fn a_truncated_file_restarts_at_zero() {
    let (_directory, path, mut tail) = tail_of(lines(0..20).as_bytes());
    drain(&mut tail);
    fs::write(&path, lines(100..101)).unwrap();
    assert_eq!(ids(&drain(&mut tail)), ["evt_000100"]);
}

#[test]
fn a_stamp_tells_nothing_while_the_clock_may_stand_still() {
    let stamp = Stamp { modified: 10_000 * 1_000_000, length: 7 };
    for (now, expected) in [(9_000, false), (10_000, false), (12_000, false), (12_001, true)] {
        assert_eq!(stamp.is_settled(now), expected, "at {now}");
    }
}

#[test]
fn a_file_that_was_truncated_and_grew_past_the_cursor_restarts_at_zero() {
    let (_directory, path, mut tail) = tail_of(lines(0..20).as_bytes());
    drain(&mut tail);
    fs::write(&path, lines(100..150)).unwrap();
    assert_eq!(drain(&mut tail).len(), 50);
    assert_eq!(tail.cursor.file, 0, "a new life has a new cursor");
}

#[test]
fn a_line_that_is_too_long_is_parked_and_the_next_ones_are_read() {
    let long = "x".repeat(10 << 20);
    let text = format!("{}{long}\n{}", line(1), line(2));
    let (_directory, _, mut tail) = tail_of(text.as_bytes());
    let items = drain(&mut tail);
    assert_eq!(items.len(), 3);
    assert!(items[1].parked.as_deref().unwrap().contains("10485760 bytes"), "{:?}", items[1].parked);
    assert_eq!(items[1].offset, line(1).len() as u64);
    assert_eq!((items[0].id.as_str(), items[2].id.as_str()), ("evt_000001", "evt_000002"));
}

#[test]
fn a_long_line_that_has_no_end_yet_waits() {
    let (_directory, path, mut tail) = tail_of("x".repeat(2 << 20).as_bytes());
    assert!(drain(&mut tail).is_empty());
    assert_eq!(tail.cursor.offset, 0);
    let mut text = "x".repeat(2 << 20);
    text.push('\n');
    text.push_str(&line(2));
    fs::write(&path, text).unwrap();
    let items = drain(&mut tail);
    assert_eq!(items.len(), 2);
    assert_eq!(items[1].id.as_str(), "evt_000002");
}

#[test]
fn what_a_finished_file_leaves_half_written_is_parked() {
    let (_directory, _, mut tail) = tail_of(b"{\"event\":");
    assert!(drain(&mut tail).is_empty());
    let (mut buffer, rooms) = (vec![0; BUFFER], Rooms::new(&["r".to_owned()]));
    let reading = tail.remainder(&mut buffer, &rooms).unwrap().unwrap();
    assert_eq!(reading.items[0].body, b"{\"event\":");
    tail.advance(reading.cursor, reading.end);
    assert!(tail.is_finished().unwrap());
    assert!(tail.remainder(&mut buffer, &rooms).unwrap().is_none());
}

#[test]
fn an_event_whose_line_break_a_finished_file_lacks_is_the_event_that_its_whole_line_would_be() {
    let with_id = line(7);
    let without_id = "{\"event\":\"e\",\"room\":\"r\",\"timestamp\":7}\r\n";
    let elsewhere = "{\"id\":\"evt_8\",\"event\":\"e\",\"room\":\"standup\",\"timestamp\":7}\n";
    for before in [String::new(), line(1)] {
        for (whole, cut) in
            [(&*with_id, 1), (without_id, 1), (without_id, 2), (elsewhere, 1), ("nonsense\n", 1), (" \n", 1)]
        {
            let text = format!("{before}{whole}");
            let (mut buffer, rooms) = (vec![0; BUFFER], Rooms::new(&["r".to_owned()]));
            let read = |tail: &mut Tail, buffer: &mut [u8]| match tail.read(buffer, &rooms).unwrap() {
                Found::Reading(reading) => reading,
                Found::Restarted => panic!("nothing was read before"),
            };
            let (_whole, _, mut tail) = tail_of(text.as_bytes());
            let expected = read(&mut tail, &mut buffer).items;
            let (_cut, _, mut tail) = tail_of(&text.as_bytes()[..text.len() - cut]);
            let reading = read(&mut tail, &mut buffer);
            let mut items = reading.items;
            tail.advance(reading.cursor, reading.end);
            items.extend(tail.remainder(&mut buffer, &rooms).unwrap().unwrap().items);
            let named = |items: &[NewItem]| -> Vec<_> {
                items.iter().map(|item| (item.id.clone(), item.body.clone(), item.parked.is_some())).collect()
            };
            assert_eq!(named(&items), named(&expected), "{text:?} without its last {cut}");
        }
    }
}
