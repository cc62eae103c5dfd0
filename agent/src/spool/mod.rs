//! The spool source: reads the segments that the Prosody module appends.
//!
//! One thread with a plain loop: wait for a change, look at the directory, read every file to its end, in the lexical
//! order of their names. The outbox has a chunk's items and the new cursor before the next chunk is read.
//!
//! Other writers are welcome: a file may be renamed, truncated after copying, or deleted. A file that leaves the
//! directory is read to its end first.

pub mod framing;
pub mod line;
pub mod segment;
pub mod tail;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use self::tail::{BUFFER, Found, Reading, Stamp, Tail};
use crate::chain::Chain;
use crate::clock::now_ms;
use crate::config;
use crate::outbox::model::{Cursor, NewItem, Progress};
use crate::outbox::{Outbox, OutboxError};
use crate::rooms::Rooms;
use crate::source::{Failure, TRY_AGAIN};
use crate::watch::{Stop, Wake, Watch};

/// How long an unread file stays open after its last change; it is opened again when it changes.
const STAYS_OPEN_SECONDS: i64 = 3600;

/// How often one pass looks again because files were moved or copied under it. Then what stands behind them waits for the next.
const PATIENCE: u32 = 32;

/// How often a directory is listed for two listings in a row to be the same.
const LISTINGS: usize = 8;

/// How often old segments are looked for.
const TIDY_EVERY: Duration = Duration::from_mins(10);

/// The spool source.
pub struct Spool {
    directory: PathBuf,
    remove_after_hours: u64,
    rescan: Duration,
    rooms: Rooms,
    outbox: Outbox,
    watch: Watch,
    stop: Stop,
    stored: Vec<Cursor>,
    /// When the directory was looked at last, in milliseconds since 1970.
    looked: i64,
    tails: BTreeMap<(u64, u64), Tail>,
    buffer: Vec<u8>,
    trouble: Trouble,
    /// What has a spool file's name and is none, so that each is said once.
    odd: BTreeSet<PathBuf>,
    tidied: Option<Instant>,
}

/// What is wrong at the moment, so that it is said once and not every second.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
enum Trouble {
    #[default]
    Nothing,
    Said(String),
}

impl Spool {
    /// Prepares reading the configured directory, from where the outbox says it was left.
    pub fn new(settings: &config::Spool, rooms: Rooms, outbox: Outbox, stop: Stop) -> anyhow::Result<Self> {
        Ok(Self {
            directory: settings.directory.clone(),
            remove_after_hours: settings.remove_after_hours,
            rescan: Duration::from_secs(settings.rescan_seconds),
            rooms,
            stored: outbox.cursors()?,
            outbox,
            watch: Watch::new(stop.clone()),
            stop,
            looked: i64::MIN,
            tails: BTreeMap::new(),
            buffer: vec![0; BUFFER],
            trouble: Trouble::Nothing,
            odd: BTreeSet::new(),
            tidied: None,
        })
    }

    /// Reads until the agent stops.
    pub fn run(mut self) {
        let mut look = true;
        let mut looked = Instant::now();
        loop {
            if look || looked.elapsed() >= self.rescan {
                (look, looked) = (true, Instant::now());
            }
            let timeout = match self.pass(look) {
                Ok(()) => self.rescan.saturating_sub(looked.elapsed()),
                Err(OutboxError::Closed) => return,
                Err(error) => {
                    self.wait(&error);
                    TRY_AGAIN
                }
            };
            match self.watch.wait(timeout) {
                Wake::Stop => return,
                Wake::Written => look = false,
                Wake::Changed | Wake::Timeout => look = true,
            }
        }
    }

    /// One pass: every file is read to its end, and the outbox has what was read when this returns. With `look`, the
    /// directory is compared with the known files first: needed at the start and whenever names may have changed.
    ///
    /// # Errors
    ///
    /// What the outbox did not take. It is read again by the next pass.
    pub fn pass(&mut self, mut look: bool) -> Result<(), OutboxError> {
        let mut patience = PATIENCE;
        loop {
            if look {
                self.look();
            }
            match self.read_everything(patience > 0)? {
                Pass::Done => return Ok(()),
                Pass::LookAgain => (look, patience) = (true, patience.saturating_sub(1)),
            }
        }
    }

    /// Compares the directory with the files that are known.
    fn look(&mut self) {
        // Before it is listed: what was written by now is in the list.
        let began = now_ms();
        self.watch.add(&self.directory);
        let listed = match list(&self.directory) {
            Ok(listed) => listed,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // A host without Prosody, which is no trouble, or one whose module has not written yet.
                let directory = self.directory.display();
                self.mention(format!(
                    "there is no spool directory {directory} yet: no events of Prosody are read"
                ));
                Listed::default()
            }
            Err(error) => {
                let directory = self.directory.display();
                self.say(format!(
                    "the spool directory {directory} cannot be read: {error}; it is looked for every {} s (is the Prosody module's package installed, or `[spool] enabled` to be false?)",
                    self.rescan.as_secs()
                ));
                // What cannot be listed is not gone: a file that is taken for gone is given up with its last, unfinished line.
                return;
            }
        };
        self.looked = began;
        for tail in self.tails.values_mut() {
            tail.listed = false;
        }
        for path in listed.odd.difference(&self.odd) {
            tracing::warn!(file = %path.display(), "this is named like a spool file and is no regular file, so it is not read");
        }
        self.odd = listed.odd;
        for (identity, path) in listed.files {
            let stored = &self.stored;
            let tail = self.tails.entry(identity).or_insert_with(|| {
                Tail::new(
                    path.clone(),
                    identity,
                    stored.iter().find(|cursor| cursor.identity == identity).cloned(),
                )
            });
            tail.path = path;
            tail.listed = true;
        }
    }

    /// Reads every file to its end, the longest unchanged first, then removes the segments that are old.
    ///
    /// A rotated file, or a copy made before a truncation, was last changed before the file that took its place, so what
    /// is unread in it comes first, as it was written first. A `patient` pass looks again where files have moved since the
    /// directory was looked at; another one leaves them for later.
    fn read_everything(&mut self, patient: bool) -> Result<Pass, OutboxError> {
        let mut order = Vec::with_capacity(self.tails.len());
        let mut moved = false;
        self.tails.retain(|identity, tail| {
            let Ok(stamp) = tail.stamp() else {
                // Deleted while it was not open: there was nothing left to read in it. Or renamed since the directory was looked at.
                moved |= tail.listed;
                return tail.listed;
            };
            order.push((turn(stamp.modified, &tail.path), stamp, *identity));
            true
        });
        if moved && patient {
            return Ok(Pass::LookAgain);
        }
        order.sort_by(|a, b| a.0.cmp(&b.0));
        let mut failed = None;
        for ((.., path), stamp, identity) in order {
            if self.stop.is_given() {
                return Ok(Pass::Done);
            }
            match self.read_file(identity, stamp, patient) {
                Ok(Pass::Done) => {}
                Ok(Pass::LookAgain) => return Ok(Pass::LookAgain),
                Err(Failure::Outbox(error)) => return Err(error),
                // Deleted or renamed since the directory was looked at. What is read meanwhile may have been written later.
                Err(Failure::File(error)) if error.kind() == io::ErrorKind::NotFound => {
                    if patient {
                        return Ok(Pass::LookAgain);
                    }
                }
                Err(Failure::File(error)) => {
                    failed = Some(format!("{} cannot be read: {error}", path.display()));
                    if let Some(tail) = self.tails.get_mut(&identity) {
                        tail.end_turn(stamp.length);
                    }
                }
            }
        }
        match failed {
            Some(what) => self.say(what),
            None if self.directory.is_dir() => self.trouble = Trouble::Nothing,
            None => {}
        }
        self.tidy()?;
        Ok(Pass::Done)
    }

    fn read_file(&mut self, identity: (u64, u64), stamp: Stamp, patient: bool) -> Result<Pass, Failure> {
        let Some(mut tail) = self.tails.get_mut(&identity) else { return Ok(Pass::Done) };
        if tail.has_news(stamp) {
            loop {
                let now = now_ms();
                let reading = match tail.read(&mut self.buffer, &self.rooms)? {
                    Found::Reading(reading) => reading,
                    Found::Restarted => return Ok(Pass::later(patient)),
                };
                // After a long outage there are many segments that were there all along: one look does for them all.
                if begins_a_life(tail, &reading)
                    && is_segment(&tail.path)
                    && !tail.is_unchanged_since(self.looked)
                    && self.is_overtaken(identity)
                {
                    return Ok(Pass::later(patient));
                }
                let Some(same) = self.tails.get_mut(&identity) else { return Ok(Pass::Done) };
                tail = same;
                let end = reading.end;
                store(&self.outbox, tail, reading, now)?;
                if let Some(end) = end {
                    tail.end_turn(end.length);
                    break;
                }
                if self.stop.is_given() {
                    return Ok(Pass::Done);
                }
            }
        } else {
            tail.end_turn(stamp.length);
        }
        if !tail.listed {
            if let Some(reading) = tail.remainder(&mut self.buffer, &self.rooms)? {
                store(&self.outbox, tail, reading, now_ms())?;
            }
            self.tails.remove(&identity);
        } else if tail.is_open() && seconds_since(stamp, now_ms() / 1000) > STAYS_OPEN_SECONDS {
            tail.close();
        }
        Ok(Pass::Done)
    }

    /// Whether a file that was rotated away comes first, now that the first bytes of this one in its place are read, which were
    /// written later. What was there before them is in the directory by now. Where a clock that was set makes it come later, it
    /// has to wait: otherwise both would.
    fn is_overtaken(&mut self, identity: (u64, u64)) -> bool {
        self.look();
        let turn_of = |tail: &Tail| tail.stamp().ok().map(|stamp| turn(stamp.modified, &tail.path));
        let mine = self.tails.get(&identity).and_then(turn_of);
        let mut waiting = self
            .tails
            .values()
            .filter(|tail| tail.listed && !is_segment(&tail.path) && tail.waits_for_its_turn());
        // What cannot be looked at has moved, so it comes first, too, wherever it is.
        waiting.any(|tail| mine.is_none() || turn_of(tail) < mine)
    }

    /// Removes segments of our module that are over, old, and wholly in the outbox. Other files belong to whoever rotates
    /// them: their writer may have them open.
    fn tidy(&mut self) -> Result<(), OutboxError> {
        if self.remove_after_hours == 0 || self.tidied.is_some_and(|at| at.elapsed() < TIDY_EVERY) {
            return Ok(());
        }
        self.tidied = Some(Instant::now());
        let now = now_ms() / 1000;
        let age = i64::try_from(self.remove_after_hours.saturating_mul(3600)).unwrap_or(i64::MAX);
        for identity in self.tails.keys().copied().collect::<Vec<_>>() {
            let Some(tail) = self.tails.get_mut(&identity) else { continue };
            // What has news was not read to its end, so what follows the cursor is not the rest of one line.
            let is_old_news = |stamp| seconds_since(stamp, now) > age && !tail.has_news(stamp);
            if !tail.stamp().is_ok_and(is_old_news) || !segment::is_over(&tail.path, age, now) {
                continue;
            }
            if let Ok(Some(reading)) = tail.remainder(&mut self.buffer, &self.rooms) {
                store(&self.outbox, tail, reading, now_ms())?;
            }
            let is_done = tail.is_at_its_path() && tail.is_finished().unwrap_or(false);
            if is_done && !self.outbox.has_parked_lines(tail.cursor.file)? {
                match std::fs::remove_file(&tail.path) {
                    Ok(()) => {
                        tracing::info!(count.segments_removed = 1, file = %tail.path.display(), "a segment is wholly in the outbox and old; removed");
                        self.tails.remove(&identity);
                    }
                    Err(error) => {
                        let path = tail.path.display().to_string();
                        self.say(format!("{path} is wholly in the outbox but cannot be removed: {error}"));
                    }
                }
            } else if let Some(tail) = self.tails.get_mut(&identity) {
                tail.close();
            }
        }
        Ok(())
    }

    fn mention(&mut self, what: String) {
        if self.trouble != Trouble::Said(what.clone()) {
            tracing::info!("{what}");
            self.trouble = Trouble::Said(what);
        }
    }

    /// Says once that the outbox takes nothing.
    fn wait(&mut self, error: &OutboxError) {
        let what = format!("the spool waits: {}", Chain(error));
        if self.trouble != Trouble::Said(what.clone()) {
            tracing::warn!(count.source_waits = 1, "{what}");
            self.trouble = Trouble::Said(what);
        }
    }

    fn say(&mut self, what: String) {
        if self.trouble != Trouble::Said(what.clone()) {
            tracing::warn!("{what}");
            self.trouble = Trouble::Said(what);
        }
    }
}

/// How a pass over the files ended.
enum Pass {
    /// Everything was read that is to be read in this pass. A file that is left for the next one holds up no other.
    Done,
    /// A file began a new life, or files have moved: look at the directory for what was written before, then read on.
    LookAgain,
}

impl Pass {
    /// A file cannot be read on as it is. A pass that has no patience left leaves it for the next.
    fn later(patient: bool) -> Self {
        if patient { Self::LookAgain } else { Self::Done }
    }
}

/// Whether a reading is of a file's first bytes. Later ones follow bytes that are known, so they are of the same life.
fn begins_a_life(tail: &Tail, reading: &Reading) -> bool {
    tail.cursor.offset == 0 && reading.cursor.offset > 0
}

/// Makes a reading of `now` durable, then moves the tail.
fn store(outbox: &Outbox, tail: &mut Tail, reading: Reading, now: i64) -> Result<(), OutboxError> {
    let Reading { items, mut cursor, end } = reading;
    let parked: Vec<&NewItem> = items.iter().filter(|item| item.parked.is_some()).collect();
    let events = items.len() - parked.len();
    let report =
        parked.first().map(|first| (parked.len(), first.offset, first.parked.clone().unwrap_or_default()));
    if !items.is_empty() || cursor != tail.cursor {
        cursor.file = outbox.append(&items, &Progress::Spool(cursor.clone()))?;
    }
    tail.advance(cursor, end.filter(|end| end.is_settled(now)));
    tracing::debug!(count.spool_events = events, "events were read from the spool");
    if let Some((count, byte, reason)) = report {
        tracing::warn!(
            count.spool_unreadable = count, count.parked = count, file = %tail.path.display(), byte, reason,
            "lines that are no events are parked; see `reflector-agent deliveries list --state parked`"
        );
    }
    Ok(())
}

/// Where a file stands in the order of reading: the longest unchanged first. The kernel's time stamps may be some
/// milliseconds coarse, so where they are equal the names decide: what rotation moved away is older than what took its
/// place, and `x.jsonl.2` is older than `x.jsonl.1`.
fn turn(modified: i128, path: &Path) -> (i128, bool, Reverse<u64>, PathBuf) {
    let number = path.extension().and_then(OsStr::to_str).and_then(|end| end.parse().ok()).unwrap_or(0);
    (modified, is_segment(path), Reverse(number), path.to_owned())
}

fn seconds_since(stamp: Stamp, now: i64) -> i64 {
    i64::try_from(i128::from(now) - stamp.modified / 1_000_000_000).unwrap_or(0)
}

/// A segment in use, as opposed to what rotation left behind.
fn is_segment(path: &Path) -> bool {
    path.extension() == Some(OsStr::new("jsonl"))
}

/// What a directory has that is named like a spool file.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Listed {
    /// The spool files with what each is recognised by, in the lexical order of their names.
    pub files: Vec<((u64, u64), PathBuf)>,
    /// Links, directories and others, which are never read: a link leads to where somebody else decides what stands.
    pub odd: BTreeSet<PathBuf>,
}

/// Lists the spool files of a directory: whoever asks what is unread asks about the same files.
///
/// A file that is renamed while its directory is read may be left out, so it is read until it says the same twice.
pub fn list(directory: &Path) -> io::Result<Listed> {
    let mut listed = list_once(directory)?;
    for _ in 1..LISTINGS {
        let again = list_once(directory)?;
        if again == listed {
            break;
        }
        listed = again;
    }
    Ok(listed)
}

fn list_once(directory: &Path) -> io::Result<Listed> {
    let mut listed = Listed::default();
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        if !is_spool_file(&entry.file_name()) {
            continue;
        }
        // A file that vanished since it was listed is no error. Links are not followed.
        match entry.metadata() {
            Ok(metadata) if metadata.is_file() => {
                listed.files.push((tail::identity(&metadata), entry.path()));
            }
            Ok(_) => drop(listed.odd.insert(entry.path())),
            Err(_) => {}
        }
    }
    listed.files.sort_by(|a, b| a.1.cmp(&b.1));
    Ok(listed)
}

/// `x.jsonl`, and what rotation makes of it: `x.jsonl.1`, `x.jsonl-20250115`. Not what is compressed, hidden or temporary.
fn is_spool_file(name: &OsStr) -> bool {
    const NOT: &[&str] = &[".gz", ".xz", ".zst", ".bz2", ".lz4", ".tmp", ".swp", "~"];
    let name = name.to_string_lossy();
    name.contains(".jsonl") && !name.starts_with('.') && !NOT.iter().any(|end| name.ends_with(end))
}

#[cfg(test)]
mod tests;
