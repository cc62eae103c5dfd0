//! The agent's parts between the host and the API.

use std::cell::RefCell;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use agent::config;
use agent::delivery::lanes::{Lanes, Turn};
use agent::delivery::settlement::{self, Again, Moment};
use agent::outbox::model::{Answer, Kept, Meeting, State};
use agent::outbox::{DATABASE, Limits, Outbox, OutboxError, Reader, Signal, Writer};
use agent::rooms::Rooms;
use agent::spool::Spool;
use agent::watch::Stop;
use contract::batch::MAX_BYTES;
use proptest::prop_assert;
use proptest::test_runner::TestCaseError;
use rusqlite::Connection;
use tempfile::TempDir;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::Instant;

use super::Step;
use super::api::{Api, Mood};
use super::host::{Family, Form, Host, Line};
use crate::support::eventually;

const LIMITS: Limits = Limits { max_bytes: 1 << 30, keep_settled: Duration::from_hours(1) };

/// The most events in a request: few, so that rooms need several.
const BATCH: usize = 3;

/// How long a room waits after a failure.
const WAIT: Duration = Duration::from_mins(1);

/// How many cases share an outbox. Making one costs more than a case, and what other cases have left is a test too: their
/// files had the same inodes.
const CASES_PER_OUTBOX: u32 = 100;

/// Where an outbox waits for the next case.
#[derive(Default)]
pub(super) struct Shelf(RefCell<Option<Stage>>);

/// An outbox, and a lever that makes it refuse.
struct Stage {
    writer: Option<Writer>,
    signals: UnboundedReceiver<Signal>,
    reader: Reader,
    lever: Connection,
    directory: TempDir,
    cases: u32,
    numbers: u64,
}

impl Stage {
    fn new() -> Self {
        // Memory, where there is some: what a flush costs is not the subject.
        let memory = Path::new("/dev/shm");
        let directory = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        let directory = directory.unwrap();
        let (writer, signals) = Outbox::open(directory.path(), LIMITS).unwrap();
        let lever = Connection::open(directory.path().join(DATABASE)).unwrap();
        lever
            .execute_batch(
                "CREATE TABLE lever (left INTEGER NOT NULL);
                 INSERT INTO lever VALUES (-1);
                 CREATE TRIGGER refuse BEFORE INSERT ON cursor WHEN (SELECT left FROM lever) >= 0 BEGIN
                   SELECT CASE (SELECT left FROM lever) WHEN 0 THEN RAISE(ABORT, 'the lever says no') END;
                   UPDATE lever SET left = left - 1;
                 END;",
            )
            .unwrap();
        let reader = Reader::open(directory.path()).unwrap();
        Self { writer: Some(writer), signals, reader, lever, directory, cases: 0, numbers: 0 }
    }

    fn outbox(&self) -> Outbox {
        self.writer.as_ref().unwrap().outbox()
    }

    /// Stops and starts.
    fn reopen(&mut self) {
        self.writer.take().unwrap().close();
        let (writer, signals) = Outbox::open(self.directory.path(), LIMITS).unwrap();
        (self.writer, self.signals) = (Some(writer), signals);
        self.reader = Reader::open(self.directory.path()).unwrap();
    }

    /// The outbox takes so many more readings; a negative number stands for all.
    fn pull(&self, left: i64) {
        self.lever.execute("UPDATE lever SET left = ?1", [left]).unwrap();
    }
}

/// A case under way.
pub(super) struct World {
    stage: Stage,
    host: Host,
    api: Api,
    spool: Spool,
    lanes: Lanes,
    now: Instant,
    /// What the API answered and the outbox has not written down.
    unwritten: Vec<Answer>,
    /// The newest item of earlier cases.
    before: i64,
    home: TempDir,
}

impl World {
    pub(super) fn new(shelf: &Shelf, family: Family) -> Self {
        let mut stage = shelf.0.take().unwrap_or_else(Stage::new);
        stage.cases += 1;
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join("spool")).unwrap();
        symlink("spool", home.path().join("link")).unwrap();
        let host = Host::new(&home.path().join("spool"), family, stage.numbers);
        let before =
            stage.lever.query_row("SELECT COALESCE(MAX(seq), 0) FROM item", [], |row| row.get(0)).unwrap();
        let spool = spool(&stage, home.path());
        let (api, lanes, now) = (Api::default(), Lanes::default(), Instant::now());
        Self { stage, host, api, spool, lanes, now, unwritten: Vec::new(), before, home }
    }

    /// Leaves the outbox to the next case.
    pub(super) fn give_back(self, to: &Shelf) {
        if self.stage.cases < CASES_PER_OUTBOX {
            to.0.replace(Some(self.stage));
        }
    }

    pub(super) fn take(&mut self, step: Step) -> Result<(), TestCaseError> {
        match step {
            Step::Write { form, cut } => {
                self.stage.numbers += 1;
                self.host.write(self.stage.numbers, form, cut);
            }
            Step::Finish => self.host.finish(),
            Step::Rotate => self.host.rotate(),
            Step::Copy => self.host.copy(),
            Step::Truncate(percent) => self.host.truncate(percent),
            Step::CopyTruncate => {
                self.host.copy();
                self.host.truncate(0);
            }
            Step::Delete(choice) => self.host.delete(choice),
            Step::CoarseClock => self.host.turn_clock(),
            Step::Jump(hours) => {
                self.host.jump(hours);
                self.now += Duration::from_hours(u64::from(hours.unsigned_abs()));
            }
            Step::Pass => self.pass()?,
            Step::Refuse(left) => self.stage.pull(left.into()),
            Step::Accept => self.stage.pull(-1),
            Step::Unreadable => self.pass_over_an_unreadable_directory(),
            Step::Crash => self.begin_anew(),
            Step::Restart => self.restart(),
            Step::Deliver(mood) => self.deliver(mood),
            Step::WriteDown => self.write_down(),
        }
        Ok(())
    }

    /// The agent looks at the files, as it does when it is woken.
    fn pass(&mut self) -> Result<(), TestCaseError> {
        let visible = self.host.visible();
        let passed = self.spool.pass(self.host.names_changed);
        prop_assert!(matches!(passed, Ok(()) | Err(OutboxError::NotStored)), "{:?}", passed);
        self.host.was_seen(&visible, passed.is_ok());
        self.listen();
        Ok(())
    }

    fn pass_over_an_unreadable_directory(&mut self) {
        let visible = self.host.visible();
        self.point_link_at("link");
        // Whatever it could do, it did not look at all files.
        let _ = self.spool.pass(true);
        self.point_link_at("spool");
        self.host.was_seen(&visible, false);
        self.host.orderly = false;
        self.host.names_changed = true;
        self.listen();
    }

    fn point_link_at(&self, target: &str) {
        let link = self.home.path().join("link");
        fs::remove_file(&link).unwrap();
        symlink(target, &link).unwrap();
    }

    /// Hears what the outbox tells the delivery loop.
    fn listen(&mut self) {
        while let Ok(signal) = self.stage.signals.try_recv() {
            match signal {
                Signal::Appended(lanes) => lanes.into_iter().for_each(|lane| self.lanes.appended(lane)),
                Signal::Changed => self.find_work(),
            }
        }
    }

    fn find_work(&mut self) {
        self.lanes.wake_all();
        for waiting in self.stage.reader.waiting().unwrap() {
            let wait = if waiting.attempts > 0 { WAIT } else { Duration::ZERO };
            self.lanes.restored(waiting.lane, waiting.attempts, self.now + wait, self.now);
        }
    }

    fn restart(&mut self) {
        self.write_down();
        self.stage.reopen();
        self.begin_anew();
    }

    /// All that is left is the outbox and the files.
    fn begin_anew(&mut self) {
        self.unwritten.clear();
        self.host.forget_the_agent();
        self.spool = spool(&self.stage, self.home.path());
        while self.stage.signals.try_recv().is_ok() {}
        self.lanes = Lanes::default();
        self.find_work();
    }

    /// The next room has its turn.
    fn deliver(&mut self, mood: Mood) {
        let Some(lane) = self.lanes.next(self.now) else { return };
        let begin = self.lanes.begin(lane, self.now);
        let size = begin.limit.unwrap_or(BATCH).min(BATCH);
        let items = self.stage.reader.claim(lane, begin.after, size, MAX_BYTES).unwrap();
        let Some(last) = items.last() else {
            return self.lanes.ended(lane, Turn::Empty, None, self.now);
        };
        let reply = self.api.answer(&items, mood);
        let settlement =
            settlement::settle(&items, &reply, Moment { now: 0, missing_for: begin.missing_for });
        let done = settlement.kept.first().map_or(last.seq, |kept| kept - 1);
        let turn = match settlement.again {
            Again::Nothing => Turn::Progress,
            Again::Smaller(limit) => Turn::Smaller(limit),
            Again::Singly => Turn::Smaller(1),
            Again::Later { .. } => {
                let failures = self.lanes.failures(lane) + 1;
                let limit = settlement::isolating(reply.outcome, settlement.kept.len(), failures);
                Turn::Wait { until: self.now + WAIT, failures, limit }
            }
        };
        let kept = settlement.kept.first().zip(settlement.kept.last());
        self.unwritten.push(Answer {
            lane,
            at: 1,
            status: None,
            took_ms: 1,
            settled: settlement.settled.into_iter().map(|seq| (seq, 1)).collect(),
            parked: settlement.parked,
            kept: kept.map(|(&first, &last)| Kept {
                first,
                last,
                due_at: 1,
                attempts: 1,
                note: String::new(),
            }),
            meeting: Meeting::Unchanged,
        });
        self.lanes.ended(lane, turn, Some(done), self.now);
    }

    fn write_down(&mut self) {
        for answer in self.unwritten.drain(..) {
            self.stage.outbox().settle(answer);
        }
    }

    /// Trouble ends, and everything takes its course.
    pub(super) fn settle(&mut self) -> Result<(), TestCaseError> {
        self.stage.pull(-1);
        // The first may have been what the outbox had refused; the second finds nothing new.
        for _ in 0..2 {
            self.pass()?;
        }
        while self.lanes.has_turn(self.now) || self.lanes.next_due().is_some() {
            self.now += WAIT;
            self.deliver(Mood::Stores);
        }
        self.write_down();
        eventually("the outbox to write down the last answer", || {
            self.stage.reader.waiting().unwrap().is_empty().then_some(())
        });
        Ok(())
    }

    /// What must have arrived has arrived, once; nothing else has arrived.
    pub(super) fn check(&self) -> Result<(), TestCaseError> {
        let parked = self.parked();
        let stored: Vec<&Vec<u8>> = self.api.stored.values().flatten().collect();
        for line in &self.host.lines {
            let arrived = stored.iter().filter(|body| line.is(body)).count();
            let refused = parked.iter().filter(|body| line.is(body)).count();
            let (can_arrive, can_be_parked) = match line.form {
                Form::Event(_) | Form::WithoutId(_) | Form::WindowsEvent => (true, true),
                Form::Nonsense | Form::NotText | Form::Long | Form::Huge => (false, true),
                Form::OtherRoom | Form::Blank => (false, false),
            };
            prop_assert!(arrived + refused <= 1, "{}: {arrived} arrived, {refused} parked", brief(line));
            prop_assert!(can_arrive || arrived == 0, "{} has arrived", brief(line));
            prop_assert!(can_be_parked || refused == 0, "{} is parked", brief(line));
            prop_assert!(
                !line.must || !can_be_parked || arrived + refused == 1,
                "{} is lost: it stood in a file that the agent had looked at",
                brief(line)
            );
        }
        for body in &stored {
            let written = self.host.lines.iter().any(|line| line.is(body));
            prop_assert!(written, "nobody wrote {}", body.escape_ascii());
        }
        self.check_order()
    }

    /// Rooms have arrived in the order in which their lines ended.
    fn check_order(&self) -> Result<(), TestCaseError> {
        if !self.host.orderly {
            return Ok(());
        }
        let end_of =
            |body: &Vec<u8>| self.host.lines.iter().find(|line| line.is(body)).map(|line| line.ended);
        for (room, bodies) in &self.api.stored {
            let order: Vec<Option<usize>> = bodies.iter().map(end_of).collect();
            prop_assert!(order.is_sorted(), "{room} arrived in the order {order:?}");
        }
        Ok(())
    }

    /// The bodies of what is parked.
    fn parked(&self) -> Vec<Vec<u8>> {
        let sql = "SELECT body FROM item WHERE seq > ?1 AND state = ?2";
        let mut select = self.stage.lever.prepare_cached(sql).unwrap();
        let rows = select.query_map((self.before, State::Parked as i64), |row| row.get(0));
        rows.unwrap().map(Result::unwrap).collect()
    }
}

fn spool(stage: &Stage, home: &Path) -> Spool {
    let directory: PathBuf = home.join("link");
    let settings = config::Spool { directory, ..config::Spool::default() };
    let rooms = Rooms::new(&["reflector-*".to_owned()]);
    Spool::new(&settings, rooms, stage.outbox(), Stop::new().unwrap()).unwrap()
}

fn brief(line: &Line) -> String {
    format!("line {} ({:?})", line.number, line.form)
}
