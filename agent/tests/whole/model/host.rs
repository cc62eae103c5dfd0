//! The host: a writer of spool files, and what happens to them.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File, FileTimes};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Who writes the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    /// Any writer: one file, which others rotate, copy and truncate.
    Rotated,
    /// Our module: a segment per hour, never touched again.
    Segments,
}

/// What a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// An event of one of the two rooms.
    Event(u8),
    /// The same without an id.
    WithoutId(u8),
    /// The same with an id and a line break of two bytes.
    WindowsEvent,
    /// An event of a room that is not reported.
    OtherRoom,
    /// Something else.
    Nonsense,
    /// Bytes that are no text.
    NotText,
    /// Nothing.
    Blank,
    /// Too long, and shorter than what is read at once.
    Long,
    /// Longer than what is read at once.
    Huge,
}

/// A line that the host has begun to write.
#[derive(Debug)]
pub(super) struct Line {
    /// Its number, which it bears.
    pub(super) number: u64,
    pub(super) form: Form,
    /// Its bytes, without the line break.
    pub(super) bytes: Vec<u8>,
    /// Whether the agent has seen it, so that it must arrive.
    pub(super) must: bool,
    /// When its end was written, in the order of the ends.
    pub(super) ended: usize,
}

impl Line {
    /// Whether an item with this body is this line: as it was written, or with an id that the agent gave it, or as much
    /// as is kept of a line that is too long.
    pub(super) fn is(&self, body: &[u8]) -> bool {
        match self.form {
            Form::WithoutId(_) => self.bytes == body || body.ends_with(&self.bytes[1..]),
            _ => &self.bytes[..self.bytes.len().min(64 << 10)] == body,
        }
    }
}

/// The second half of a line, and the file that it belongs to.
struct Begun {
    file: File,
    rest: Vec<u8>,
    line: usize,
}

/// A deleted file that the agent has open.
struct Ghost {
    file: File,
    /// What it held when the agent may have let go of it.
    last: Option<Vec<u8>>,
}

/// The host.
pub(super) struct Host {
    directory: PathBuf,
    family: Family,
    tag: u64,
    live: PathBuf,
    file: File,
    /// How many files were moved away, or how many segments were begun.
    turned: usize,
    begun: Option<Begun>,
    pub(super) lines: Vec<Line>,
    known: HashMap<Vec<u8>, usize>,
    ended: usize,
    /// Whether rooms must arrive in the order of their lines.
    pub(super) orderly: bool,
    /// Whether names have changed since the agent looked at the directory.
    pub(super) names_changed: bool,
    /// The files that the agent has open, by inode.
    held: HashSet<u64>,
    ghosts: Vec<Ghost>,
    /// Since when the clock moves in whole seconds only.
    coarse: Option<SystemTime>,
    /// How often time has jumped.
    jumps: u64,
}

impl Host {
    /// A host that writes into `directory` and calls its rooms after `tag`.
    pub(super) fn new(directory: &Path, family: Family, tag: u64) -> Self {
        let live = live_path(directory, family, 0);
        Self {
            directory: directory.to_owned(),
            family,
            tag,
            file: open(&live),
            live,
            turned: 0,
            begun: None,
            lines: Vec::new(),
            known: HashMap::new(),
            ended: 0,
            orderly: true,
            names_changed: true,
            held: HashSet::new(),
            ghosts: Vec::new(),
            coarse: None,
            jumps: 0,
        }
    }

    /// Writes a line, or its first half, under a number that no other line has.
    pub(super) fn write(&mut self, number: u64, form: Form, cut: bool) {
        self.finish();
        let bytes = bytes_of(self.tag, number, form);
        let line = self.lines.len();
        self.lines.push(Line { number, form, bytes: bytes.clone(), must: false, ended: 0 });
        self.known.insert(bytes.clone(), line);
        let mut text = bytes;
        text.extend_from_slice(if form == Form::WindowsEvent { b"\r\n" } else { b"\n" });
        let rest = if cut { text.split_off(text.len() / 2) } else { Vec::new() };
        self.file.write_all(&text).unwrap();
        self.stamp(&self.file);
        if cut {
            self.begun = Some(Begun { file: self.file.try_clone().unwrap(), rest, line });
        } else {
            self.end(line);
        }
    }

    /// Writes the other half of the line that was begun, into the file that has the first.
    pub(super) fn finish(&mut self) {
        let Some(mut begun) = self.begun.take() else { return };
        begun.file.write_all(&begun.rest).unwrap();
        self.stamp(&begun.file);
        self.orderly &= inode(&begun.file) == inode(&self.file);
        self.end(begun.line);
    }

    /// Moves the file away and begins a new one. A module just begins the next segment.
    pub(super) fn rotate(&mut self) {
        if self.family == Family::Rotated {
            self.make_room();
            fs::rename(&self.live, self.numbered(1)).unwrap();
        }
        self.begin_next();
    }

    /// Copies the file.
    pub(super) fn copy(&mut self) {
        if self.family == Family::Rotated {
            self.make_room();
            fs::copy(&self.live, self.numbered(1)).unwrap();
            self.stamp(&open(&self.numbered(1)));
            self.names_changed = true;
            self.turned += 1;
        }
    }

    /// Cuts the file to a share of its length. What follows a line that was cut in its middle is a whole line, so that the two
    /// make no event that nobody wrote.
    pub(super) fn truncate(&mut self, percent: u8) {
        if self.family == Family::Rotated {
            // The beginning of a line that is too long says too little about which line it was.
            let has_long = self.lines.iter().any(|line| matches!(line.form, Form::Long | Form::Huge));
            let percent = if has_long { 0 } else { percent };
            self.begun = self.begun.take().filter(|_| percent == 0);
            let length = self.file.metadata().unwrap().len();
            self.file.set_len(length * u64::from(percent) / 100).unwrap();
            self.stamp(&self.file);
        }
    }

    /// Deletes one of the files; a writer whose file is gone begins another.
    pub(super) fn delete(&mut self, choice: u8) {
        let files = self.files();
        let Some(path) = files.get(usize::from(choice) % files.len().max(1)) else { return };
        let file = File::open(path).unwrap();
        if self.held.contains(&inode(&file)) {
            self.ghosts.push(Ghost { file, last: None });
        }
        // The agent may have it open under an old name, and where stamps are equal the names decide.
        self.orderly = false;
        fs::remove_file(path).unwrap();
        self.names_changed = true;
        if *path == self.live {
            self.begin_next();
        }
    }

    /// From now on, or no longer, changes within a second do not show in the files' time stamps.
    pub(super) fn turn_clock(&mut self) {
        self.coarse = if self.coarse.is_none() { Some(SystemTime::now()) } else { None };
        self.orderly = false;
    }

    /// Files become older by so many hours, or younger.
    ///
    /// The kernel's clock stays where it is, so two changes between which time jumped could end up with one stamp after a second
    /// jump, which no clock does. Every jump is longer by a second than the one before, so that no two cancel out.
    pub(super) fn jump(&mut self, hours: i8) {
        self.jumps += 1;
        let by = Duration::from_hours(u64::from(hours.unsigned_abs())) + Duration::from_secs(self.jumps);
        let ghosts = self.ghosts.iter().map(|ghost| ghost.file.try_clone().unwrap());
        for file in self.files().iter().map(|path| open(path)).chain(ghosts) {
            let was = file.metadata().unwrap().modified().unwrap();
            let is = if hours > 0 { was - by } else { was + by };
            file.set_times(FileTimes::new().set_modified(is)).unwrap();
        }
        if hours > 0 {
            // The agent lets go of files that have been quiet for an hour.
            self.held.clear();
            if self.family == Family::Segments {
                // The hour of the segment is over, whatever it holds.
                self.begun = None;
                self.begin_next();
            }
        } else {
            self.orderly = false;
        }
    }

    /// The agent has died: it holds nothing any more.
    pub(super) fn forget_the_agent(&mut self) {
        self.held.clear();
        self.ghosts.clear();
        self.names_changed = true;
    }

    /// What the files hold that the agent can see, and that it may remove by itself.
    pub(super) fn visible(&mut self) -> Visible {
        let listed = self.files().into_iter().map(|path| (fs::read(&path).unwrap(), path)).collect();
        let ghosts =
            self.ghosts.iter_mut().map(|ghost| ghost.last.clone().unwrap_or_else(|| read(&mut ghost.file)));
        Visible { listed, ghosts: ghosts.collect() }
    }

    /// The agent has looked at all of it; or it was refused on its way, and may have looked at any part of it.
    pub(super) fn was_seen(&mut self, visible: &Visible, wholly: bool) {
        for (bytes, path) in &visible.listed {
            let removed = !path.exists();
            assert!(
                !removed || self.family == Family::Segments && *path != self.live,
                "the agent has removed {}",
                path.display()
            );
            if wholly || removed {
                self.must_arrive(bytes);
            }
        }
        if !wholly {
            for (ghost, bytes) in self.ghosts.iter_mut().zip(&visible.ghosts) {
                ghost.last = Some(bytes.clone());
            }
            return;
        }
        for bytes in &visible.ghosts {
            self.must_arrive(bytes);
        }
        self.ghosts.clear();
        self.names_changed = false;
        let quiet = SystemTime::now() - Duration::from_mins(30);
        let open = self.files().into_iter().filter_map(|path| fs::metadata(path).ok());
        self.held = open.filter(|file| file.modified().unwrap() > quiet).map(|file| file.ino()).collect();
    }

    fn must_arrive(&mut self, bytes: &[u8]) {
        let whole = bytes.rsplitn(2, |byte| *byte == b'\n').nth(1).unwrap_or_default();
        for line in whole.split(|byte| *byte == b'\n') {
            if let Some(line) = self.known.get(line.strip_suffix(b"\r").unwrap_or(line)) {
                self.lines[*line].must = true;
            }
        }
    }

    fn end(&mut self, line: usize) {
        self.ended += 1;
        self.lines[line].ended = self.ended;
    }

    fn begin_next(&mut self) {
        self.turned += 1;
        self.live = live_path(&self.directory, self.family, self.turned);
        self.file = open(&self.live);
        self.stamp(&self.file);
        self.names_changed = true;
    }

    /// Gives each file that was moved away the next higher number.
    fn make_room(&self) {
        for number in (1..=self.turned).rev() {
            // It may have been deleted.
            let _ = fs::rename(self.numbered(number), self.numbered(number + 1));
        }
    }

    fn numbered(&self, number: usize) -> PathBuf {
        self.live.with_extension(format!("jsonl.{number}"))
    }

    fn files(&self) -> Vec<PathBuf> {
        let mut files: Vec<PathBuf> =
            fs::read_dir(&self.directory).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files
    }

    /// Makes the file look as if a clock that moves in whole seconds had stamped it.
    fn stamp(&self, file: &File) {
        if let Some(since) = self.coarse {
            let seconds = since.elapsed().unwrap_or_default().as_secs();
            let modified = since + Duration::from_secs(seconds);
            file.set_times(FileTimes::new().set_modified(modified)).unwrap();
        }
    }
}

/// What the agent can see.
pub(super) struct Visible {
    listed: Vec<(Vec<u8>, PathBuf)>,
    ghosts: Vec<Vec<u8>>,
}

fn live_path(directory: &Path, family: Family, turned: usize) -> PathBuf {
    match family {
        Family::Rotated => directory.join("events.jsonl"),
        Family::Segments => {
            let (day, hour) = (1 + turned / 24, turned % 24);
            directory.join(format!("202001{day:02}T{hour:02}Z.0190b7c2d4e5f6a7b8c9.jsonl"))
        }
    }
}

fn bytes_of(tag: u64, number: u64, form: Form) -> Vec<u8> {
    let event = |room: &str, id: &str, more: &str| {
        format!(
            "{{{id}\"event\":\"muc-occupant-joined\",\"room\":\"{room}\",\"timestamp\":1{number:08},\"data\":{{{more}}}}}"
        )
        .into_bytes()
    };
    let id = format!("\"id\":\"evt_{number:08}\",");
    let room = |room: u8| format!("reflector-{tag}-{room}");
    match form {
        Form::Event(number) => event(&room(number), &id, ""),
        Form::WithoutId(number) => event(&room(number), "", ""),
        Form::WindowsEvent => event(&room(0), &id, ""),
        Form::OtherRoom => event("standup", &id, ""),
        Form::Nonsense => format!("nonsense {number:08}").into_bytes(),
        Form::NotText => [b"\xff\xfe", format!("{number:08}").as_bytes()].concat(),
        Form::Blank => Vec::new(),
        Form::Long => event(&room(0), &id, &format!("\"x\":\"{}\"", "x".repeat(300 << 10))),
        Form::Huge => event(&room(0), &id, &format!("\"x\":\"{}\"", "x".repeat(600 << 10))),
    }
}

fn open(path: &Path) -> File {
    File::options().create(true).append(true).open(path).unwrap()
}

fn inode(file: &File) -> u64 {
    file.metadata().unwrap().ino()
}

fn read(file: &mut File) -> Vec<u8> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0)).unwrap();
    file.read_to_end(&mut bytes).unwrap();
    bytes
}
