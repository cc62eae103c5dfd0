//! Reads finished files through, in a thread of its own.
//!
//! Files take turns: the latest finished, so that what was found on an old disk does not hold up what is recorded today, and
//! the one that is done soonest, so that a small one does not wait for large ones. No file stays open between its turns: ten thousand
//! recordings cost a little memory and no descriptors. One thread is enough, and leaves the host's other processors to
//! the recorder.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, TryRecvError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use contract::id::{EventId, hex};
use contract::room::RoomName;
use sha2::{Digest, Sha256};

use super::handover::{Recording, hand_over};
use super::identity::Identity;
use super::notice::{self, Finished, Origin};
use super::probe::probe;
use super::session::METADATA;
use super::sidecar::Sidecar;
use super::stage::Stage;
use crate::chain::Chain;
use crate::kept;
use crate::outbox::{Outbox, OutboxError};
use crate::source::TRY_AGAIN;
use crate::watch::Stop;

/// How many of the latest files have a turn in each round, beside the one that is done soonest.
const LATEST: usize = 2;

/// How much of a file is read in one turn, in bytes.
const TURN: u64 = 4 << 20;

/// How much is read at once, in bytes. Between two reads the thread sees that the agent stops.
const BUFFER: usize = 128 << 10;

/// A finished file that is to be read through.
#[derive(Debug)]
pub(super) struct Job {
    /// The identity of the notice about it.
    pub(super) id: EventId,
    /// The room that was recorded.
    pub(super) room: RoomName,
    /// The file.
    pub(super) path: PathBuf,
    /// The file as it was when it was found finished.
    pub(super) identity: Identity,
    /// Where it stands.
    pub(super) stage: Stage,
    /// When it was finished, in nanoseconds since 1970.
    pub(super) finished_at: i128,
}

/// A file that could not be read, to be tried again.
pub(super) type Trouble = (PathBuf, io::Error);

/// The thread that reads, as its owner sees it. Dropping it waits for the thread, which stops within one read once the
/// stop signal was given.
pub(super) struct Reader {
    jobs: Option<Sender<Job>>,
    troubles: Receiver<Trouble>,
    under_way: UnderWay,
    thread: Option<JoinHandle<()>>,
}

impl Reader {
    /// Starts the thread.
    pub(super) fn start(origin: Origin, outbox: Outbox, stop: Stop) -> io::Result<Self> {
        let (jobs, received) = mpsc::channel();
        let (trouble, troubles) = mpsc::channel();
        let under_way = UnderWay::default();
        let work = Work {
            origin,
            outbox,
            stop,
            jobs: received,
            trouble,
            under_way: under_way.clone(),
            readings: BTreeMap::new(),
            refused: None,
            said: None,
        };
        let thread = std::thread::Builder::new().name("recordings-read".into()).spawn(|| work.run())?;
        Ok(Self { jobs: Some(jobs), troubles, under_way, thread: Some(thread) })
    }

    /// Whether the file with this id is being read, or waits for it.
    pub(super) fn has(&self, id: &EventId) -> bool {
        self.under_way.has(id)
    }

    /// Whether the thread has ended before its owner, which it does by a panic alone.
    pub(super) fn has_died(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Takes a file on. Whether it came into the outbox is asked there.
    pub(super) fn take(&self, job: Job) -> Result<(), OutboxError> {
        self.under_way.add(&job.id);
        // The thread ends before its owner only by a panic.
        let jobs = self.jobs.as_ref().ok_or(OutboxError::Closed)?;
        jobs.send(job).map_err(|_| OutboxError::Closed)
    }

    /// Files that could not be read since this was asked last.
    pub(super) fn troubles(&self) -> Vec<Trouble> {
        self.troubles.try_iter().collect()
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // A panic was reported when it happened.
            let _ = thread.join();
        }
    }
}

/// The files that are being read or wait for it, known to the thread and its owner.
#[derive(Default, Clone)]
struct UnderWay(Arc<Mutex<HashSet<EventId>>>);

impl UnderWay {
    fn has(&self, id: &EventId) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(id)
    }

    fn add(&self, id: &EventId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone());
    }

    fn remove(&self, id: &EventId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }
}

/// The latest finished first.
type Turn = (Reverse<i128>, EventId);

struct Work {
    origin: Origin,
    outbox: Outbox,
    stop: Stop,
    jobs: Receiver<Job>,
    trouble: Sender<Trouble>,
    under_way: UnderWay,
    readings: BTreeMap<Turn, Reading>,
    /// What the outbox did not take, so that a large file is not read again for every try. Nothing is read on meanwhile.
    refused: Option<Recording>,
    said: Option<String>,
}

impl Work {
    fn run(mut self) {
        let mut buffer = vec![0; BUFFER];
        while self.take_jobs() && !self.stop.is_given() {
            match self.refused.take() {
                Some(recording) => self.finish(recording),
                None => self.round(&mut buffer),
            }
        }
    }

    /// Takes in what is to be read; sleeps when there is nothing else to do. Returns whether the owner is still there.
    fn take_jobs(&mut self) -> bool {
        if self.refused.is_some() {
            self.stop.sleeps(TRY_AGAIN);
            match self.jobs.recv_timeout(TRY_AGAIN) {
                Ok(job) => self.add(job),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return false,
            }
        } else if self.readings.is_empty() {
            self.stop.is_idle();
            match self.jobs.recv() {
                Ok(job) => self.add(job),
                Err(_) => return false,
            }
        }
        loop {
            match self.jobs.try_recv() {
                Ok(job) => self.add(job),
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return false,
            }
        }
    }

    fn add(&mut self, job: Job) {
        let turn = (Reverse(job.finished_at), job.id.clone());
        self.readings.insert(turn, Reading { job, hash: Sha256::new(), offset: 0 });
    }

    /// One turn for each of a few files, until the outbox refuses one.
    fn round(&mut self, buffer: &mut [u8]) {
        for turn in turns(&self.readings) {
            if self.refused.is_some() {
                return;
            }
            let Some(mut reading) = self.readings.remove(&turn) else { continue };
            match reading.read_on(buffer, &self.stop) {
                Ok(Step::More) => drop(self.readings.insert(turn, reading)),
                Ok(Step::Changed) => self.under_way.remove(&reading.job.id),
                Ok(Step::End) => match reading.recording(&self.origin) {
                    Ok(recording) => self.finish(recording),
                    Err(error) => self.give_back(reading.job, error),
                },
                Err(error) => self.give_back(reading.job, error),
            }
        }
    }

    fn finish(&mut self, recording: Recording) {
        match hand_over(&self.outbox, &recording) {
            Ok(()) => {
                self.said = None;
                self.under_way.remove(&recording.notice.id);
            }
            Err(error) => {
                let what = Chain(&error).to_string();
                if self.said.as_ref() != Some(&what) {
                    tracing::warn!(count.source_waits = 1, "recordings wait: {what}");
                    self.said = Some(what);
                }
                self.refused = Some(recording);
            }
        }
    }

    /// The file's owner says what is wrong and brings it again.
    fn give_back(&self, job: Job, error: io::Error) {
        self.under_way.remove(&job.id);
        // The owner is gone only while the agent stops.
        let _ = self.trouble.send((job.path, error));
    }
}

/// Whose turn it is in a round.
fn turns(readings: &BTreeMap<Turn, Reading>) -> Vec<Turn> {
    let latest = readings.keys().take(LATEST);
    let others = readings.iter().skip(LATEST);
    let soonest = others.min_by_key(|(_, reading)| reading.left()).map(|(turn, _)| turn);
    latest.chain(soonest).cloned().collect()
}

/// What one turn came to.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// There is more to read.
    More,
    /// Everything is read.
    End,
    /// It is another file than the one that was found finished.
    Changed,
}

/// A file that is being read.
struct Reading {
    job: Job,
    hash: Sha256,
    offset: u64,
}

impl Reading {
    /// Bytes that are still to be read.
    fn left(&self) -> u64 {
        self.job.identity.length - self.offset
    }

    /// Reads one turn's worth.
    fn read_on(&mut self, buffer: &mut [u8], stop: &Stop) -> io::Result<Step> {
        let mut file = File::open(&self.job.path)?;
        if Identity::of(&file.metadata()?) != self.job.identity {
            return Ok(Step::Changed);
        }
        file.seek(SeekFrom::Start(self.offset))?;
        let end = self.job.identity.length.min(self.offset + TURN);
        while self.offset < end && !stop.is_given() {
            let wanted = usize::try_from(end - self.offset).unwrap_or(usize::MAX).min(buffer.len());
            let read = file.read(&mut buffer[..wanted])?;
            if read == 0 {
                return Ok(Step::Changed);
            }
            self.hash.update(&buffer[..read]);
            self.offset += read as u64;
        }
        if self.offset < self.job.identity.length {
            return Ok(Step::More);
        }
        let same = Identity::of(&file.metadata()?) == self.job.identity;
        Ok(if same { Step::End } else { Step::Changed })
    }

    /// What is to be told about the file.
    fn recording(&self, origin: &Origin) -> io::Result<Recording> {
        let Job { id, room, path, identity, stage, finished_at } = &self.job;
        let directory = path.parent().unwrap_or(path);
        let session = directory.file_name().unwrap_or_default().to_string_lossy();
        let sidecar = Sidecar::read(&directory.join(METADATA));
        let name = kept::name_of(path, identity.inode);
        let finished = Finished {
            path: &name,
            session,
            stage: *stage,
            metadata: sidecar.metadata(),
            finished_at: *finished_at,
        };
        let sha256 = hex(&self.hash.clone().finalize());
        let notice = notice::notice(
            origin,
            id.clone(),
            room.clone(),
            &finished,
            probe(path)?,
            identity.length,
            sha256,
        );
        Ok(Recording { notice, path: name, identity: *identity, stage: *stage })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(path: &std::path::Path) -> Reading {
        let job = Job {
            id: EventId::parse("evt_1").unwrap(),
            room: RoomName::parse("r").unwrap(),
            path: path.to_owned(),
            identity: Identity::of(&std::fs::metadata(path).unwrap()),
            stage: Stage::Closed,
            finished_at: 0,
        };
        Reading { job, hash: Sha256::new(), offset: 0 }
    }

    #[test]
    fn a_file_is_read_in_turns_to_its_end() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.mp4");
        let stop = Stop::new().unwrap();
        for (length, turns) in [(0, 1), (1, 1), (TURN, 1), (TURN + 1, 2), (3 * TURN, 3)] {
            let content = vec![7; usize::try_from(length).unwrap()];
            std::fs::write(&path, &content).unwrap();
            let mut reading = reading(&path);
            for turn in 1..=turns {
                let expected = if turn == turns { Step::End } else { Step::More };
                assert_eq!(
                    reading.read_on(&mut vec![0; BUFFER], &stop).unwrap(),
                    expected,
                    "{length}, turn {turn}"
                );
            }
            assert_eq!(reading.hash.finalize(), Sha256::digest(&content), "{length}");
        }
    }

    #[test]
    fn the_latest_have_a_turn_and_the_one_that_is_done_soonest() {
        let identity = |length| Identity { inode: 1, length, modified: 0 };
        let files = [("a", 5, 900), ("b", 5, 800), ("c", 4, 700), ("d", 3, 10), ("e", 1, 600)];
        let mut readings = BTreeMap::new();
        for (name, finished_at, length) in files {
            let job = Job {
                id: EventId::parse(name).unwrap(),
                room: RoomName::parse("r").unwrap(),
                path: name.into(),
                identity: identity(length),
                stage: Stage::Closed,
                finished_at,
            };
            let turn = (Reverse(finished_at), job.id.clone());
            readings.insert(turn, Reading { job, hash: Sha256::new(), offset: 0 });
        }
        for expected in [&["a", "b", "d"][..], &["b", "c", "d"], &["c", "d", "e"], &["d", "e"], &["e"]] {
            let turns = turns(&readings);
            assert_eq!(turns.iter().map(|(_, id)| id.as_str()).collect::<Vec<_>>(), expected);
            readings.pop_first();
        }
    }

    #[test]
    fn a_file_that_changes_between_two_turns_is_given_up() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.mp4");
        let stop = Stop::new().unwrap();
        let long = vec![7; usize::try_from(TURN).unwrap() + 1];
        std::fs::write(&path, &long).unwrap();
        let mut first = reading(&path);
        assert_eq!(first.read_on(&mut vec![0; BUFFER], &stop).unwrap(), Step::More);
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, &long[1..]).unwrap();
        assert_eq!(first.read_on(&mut vec![0; BUFFER], &stop).unwrap(), Step::Changed);
    }

    #[test]
    fn a_stop_ends_a_turn() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.mp4");
        std::fs::write(&path, b"abc").unwrap();
        let stop = Stop::new().unwrap();
        stop.give();
        let mut reading = reading(&path);
        assert_eq!(reading.read_on(&mut vec![0; BUFFER], &stop).unwrap(), Step::More);
        assert_eq!(reading.offset, 0);
    }
}
