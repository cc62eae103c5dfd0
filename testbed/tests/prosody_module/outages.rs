//! A spool directory that cannot be written.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use testbed::spool;
use testbed::wait::eventually;
use testbed::xmpp::display_name;

use crate::scene::{SOON, Scene, assert_ids_and_times, room, story};

#[test]
fn events_wait_in_memory_while_the_directory_is_missing() {
    let directory = tempfile::tempdir().unwrap();
    let spool = directory.path().join("not-there-yet");
    let scene = Scene::in_directory(directory, spool.clone());
    let (focus, alice) = (scene.focus(), scene.visitor());
    let daily = room("daily");
    focus.join(&daily, "focus", "").unwrap();
    alice.join(&daily, "aaaaaaaa", "").unwrap();
    let log = scene.prosody.log().unwrap();
    let complaint = format!("cannot write events to the spool directory {}", spool.display());
    assert_eq!(log.matches(&complaint).count(), 2, "once for each of the two components:\n{log}");

    fs::create_dir(&spool).unwrap();
    alice.update(&daily, "aaaaaaaa", &display_name("Alice")).unwrap();
    scene.wait_for("muc-occupant-updated", 1);
    let events = scene.events();
    assert_eq!(events.len(), 4);
    assert_ids_and_times(&events);
}

#[test]
fn a_spool_directory_that_is_replaced_under_way_gets_the_next_line() {
    let scene = Scene::new();
    let focus = scene.focus();
    focus.join(&room("one"), "focus", "").unwrap();
    fs::rename(&scene.spool, scene.spool.with_extension("old")).unwrap();
    fs::create_dir(&scene.spool).unwrap();
    focus.join(&room("two"), "focus", "").unwrap();
    let written = || spool::events(&scene.spool).unwrap();
    assert!(eventually(SOON, || !written().is_empty()));
    assert_eq!(story(&written()), ["two muc-room-created"]);
}

#[test]
fn a_full_disk_costs_no_event_and_no_line_is_glued_to_half_a_one() {
    let directory = tempfile::tempdir().unwrap();
    let disk = Disk::mount(directory.path().join("spool"));
    let scene = Scene::in_directory(directory, disk.0.clone());
    let focus = scene.focus();
    let filler = disk.0.join("filler");
    // One whole page stays free behind the open segment's own, so that a write fails in the middle of a line.
    disk.fill(&filler, 4096);
    let names: Vec<String> = (0..60).map(|number| format!("room-{number:02}")).collect();
    for name in &names {
        focus.join(&room(name), "focus", "").unwrap();
    }
    assert!(eventually(SOON, || scene.prosody.log().unwrap().contains("No space left on device")));
    fs::remove_file(&filler).unwrap();
    focus.join(&room("last"), "focus", "").unwrap();
    assert!(eventually(SOON, || spooled_rooms(&scene.spool).contains("last")));

    let rooms = spooled_rooms(&scene.spool);
    assert!(names.iter().all(|name| rooms.contains(name)), "{rooms:?}");
    let torn = spool::segments(&scene.spool)
        .unwrap()
        .iter()
        .filter(|path| !fs::read(path).unwrap().ends_with(b"\n"))
        .count();
    assert_eq!(torn, 1, "the write that failed left half a line at the end of its segment");
    assert_ids_and_times(&scene.events());
}

/// The names of all rooms that were told as created.
fn spooled_rooms(spool: &Path) -> BTreeSet<String> {
    spool::events(spool)
        .unwrap()
        .into_iter()
        .filter(|event| event.event == "muc-room-created")
        .map(|event| event.room)
        .collect()
}

/// A file system of 64 KiB in memory.
struct Disk(PathBuf);

impl Disk {
    fn mount(at: PathBuf) -> Self {
        fs::create_dir(&at).unwrap();
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"]).arg(&at).status().unwrap();
        assert!(mounted.success(), "mounting a file system needs root");
        Self(at)
    }

    /// Leaves `free` bytes.
    fn fill(&self, file: &Path, free: u64) {
        let stat = nix::sys::statvfs::statvfs(&self.0).unwrap();
        let room = stat.blocks_available() * stat.fragment_size();
        fs::write(file, vec![b'x'; usize::try_from(room - free).unwrap()]).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Prosody may still hold a segment open, hence lazily.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn events_beyond_what_memory_holds_are_counted_and_made_good_by_a_snapshot() {
    let directory = tempfile::tempdir().unwrap();
    let spool = directory.path().join("not-there-yet");
    let scene = Scene::in_directory(directory, spool.clone());
    let (focus, alice) = (scene.focus(), scene.visitor());
    let daily = room("daily");
    focus.join(&daily, "focus", "").unwrap();
    alice.join(&daily, "aaaaaaaa", "").unwrap();
    for number in 0..10_000 {
        alice.update(&daily, "aaaaaaaa", &display_name(&format!("Alice {number}"))).unwrap();
    }
    fs::create_dir(&spool).unwrap();
    alice.update(&daily, "aaaaaaaa", &display_name("Alice")).unwrap();
    scene.wait_for("source-started", 2);
    scene.wait_for("muc-occupant-joined", 2);
    let events = scene.events();
    assert_ids_and_times(&events[..10_000]);
    assert_ids_and_times(&events[10_000..]);
    assert_eq!(events[10_000].data["events_lost"], 4);
    assert_eq!(
        story(&events)[10_001..],
        [
            "daily muc-room-created snapshot",
            "daily muc-occupant-joined occupant_id=aaaaaaaa display_name=Alice kind=human role=participant snapshot",
        ]
    );
}
