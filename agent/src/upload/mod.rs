//! Uploads: from the outbox to the object storage, without a credential of it on this host.
//!
//! Each upload takes its steps in turns ([`turn`]): the API is asked what it wants, the parts go to presigned addresses,
//! the API reads the object back and confirms the checksum, and only then does the recording's notice go out, with bucket
//! and key. Questions to the API are short and never wait for a file that is being sent; files take turns in sending
//! ([`mod@line`]). While the API or the storage does not answer, one request at a time asks whether it does again.
//!
//! Everything that must survive a crash stands in the outbox or in the storage: a restart asks the API about every open
//! upload, and the storage which parts it has. Where uploads were turned off meanwhile, what is left of them is reported
//! as it is.
//!
//! The loop has a thread and a runtime of its own, so that gigabytes on their way do not delay an event.

mod api;
mod body;
mod bucket;
mod decide;
mod file;
mod line;
mod note;
mod part;
mod parts;
mod patience;
mod storage;
mod told;
mod turn;

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::{Instant, sleep_until};

use self::api::Api;
use self::body::Flow;
use self::line::Line;
use self::note::Note;
use self::patience::Patience;
use self::turn::{Came, Report, Shared, Step};
use crate::chain::Chain;
use crate::clock::now_ms;
use crate::config;
use crate::delivery::backoff::Backoff;
use crate::delivery::gate::{Gate, Health};
use crate::http::Client;
use crate::outbox::uploads::{Upload, UploadSeq, UploadState};
use crate::outbox::{Outbox, OutboxError, Reader};
use crate::secret::SharedSecret;
use crate::watch::Stop;

/// How many questions are put to the API at the same time.
const QUESTIONS: usize = 4;

/// How long to leave the outbox alone when it cannot be read or written.
const TROUBLE: Duration = Duration::from_secs(5);

/// The number of failures in a row after which an operator should know.
const WORTH_A_WARNING: u32 = 5;

/// Where uploads go, and how.
pub struct Route {
    /// The client that parts and questions go through.
    pub http: Client,
    /// The API's address.
    pub api_url: String,
    /// How long a question may take.
    pub timeout: Duration,
    /// What signs the questions.
    pub secret: SharedSecret,
    /// How long to wait after failures.
    pub backoff: Backoff,
    /// How long it must last that there is no meeting or no file, before a recording is reported without an upload.
    pub patience: Duration,
}

/// The upload loop.
pub struct Uploads {
    shared: Shared,
    backoff: Backoff,
    secret: SharedSecret,
}

/// Which of the two servers fails as a whole.
#[derive(Debug, Clone, Copy, Default)]
struct Failing {
    api: bool,
    storage: bool,
}

type Turns<'a> = FuturesUnordered<Pin<Box<dyn Future<Output = Report> + 'a>>>;

impl Uploads {
    /// Prepares the uploads of `outbox`, which `reader` reads.
    pub fn new(settings: &config::Upload, outbox: Outbox, reader: Reader, route: Route, stop: Stop) -> Self {
        let Route { http, api_url, timeout, secret, backoff, patience } = route;
        let shared = Shared {
            enabled: settings.enabled,
            outbox,
            reader,
            api: Api::new(http.clone(), &api_url, secret.clone(), timeout),
            http,
            flow: Flow::new(settings.max_bytes_per_second),
            parallel: settings.parallel_parts,
            stop,
            others_wait: Cell::new(false),
            reads_anew: Cell::new(false),
            patience: RefCell::new(Patience::new(patience)),
        };
        Self { shared, backoff, secret }
    }

    /// Uploads until the agent stops. What is on its way then is left where it is: the next start goes on from there.
    pub fn run(self) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            // One thread for each part that is being read, one for each question that looks at its file, and two that
            // find out addresses: a disk that does not answer must not hold up what needs none of it.
            .max_blocking_threads(self.shared.parallel + QUESTIONS + 2)
            .build();
        match runtime {
            Ok(runtime) => {
                runtime.block_on(self.work());
                // A read from a disk that does not answer must not keep the agent from stopping.
                runtime.shutdown_background();
            }
            Err(error) => {
                tracing::error!(error = %Chain(&error), "the runtime of the uploads cannot be built");
            }
        }
    }

    async fn work(self) {
        let Self { shared, backoff, secret } = self;
        let mut state = State {
            shared: &shared,
            backoff,
            questions: Line::default(),
            files: Line::default(),
            known: HashSet::new(),
            last: 0,
            asking: 0,
            sending: false,
            api: Gate::default(),
            storage: Gate::default(),
            secret_since: Instant::now(),
        };
        let mut secrets = secret.changes();
        let mut turns: Turns<'_> = FuturesUnordered::new();
        let mut look_again = state.look();
        loop {
            let wake = [state.start_turns(&mut turns), look_again].into_iter().flatten().min();
            tokio::select! {
                () = shared.stop.given() => return,
                Some(report) = turns.next(), if !turns.is_empty() => state.finish(report),
                anything = shared.outbox.upload_bell() => {
                    if anything {
                        state.last = 0;
                        state.wake_all();
                    }
                    look_again = state.look();
                }
                Ok(()) = secrets.changed() => {
                    state.secret_since = Instant::now();
                    state.wake_all();
                }
                () = until(wake) => {
                    if look_again.is_some_and(|at| at <= Instant::now()) {
                        look_again = state.look();
                    }
                }
            }
        }
    }
}

async fn until(wake: Option<Instant>) {
    match wake {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

struct State<'a> {
    shared: &'a Shared,
    backoff: Backoff,
    /// Uploads about which the API is to be asked.
    questions: Line<(UploadSeq, Step)>,
    /// Uploads whose files are to be sent.
    files: Line<(UploadSeq, Step)>,
    /// Every upload that is in a line or in a turn.
    known: HashSet<UploadSeq>,
    /// Uploads up to this one were found.
    last: UploadSeq,
    asking: usize,
    sending: bool,
    /// The breaker in front of the API.
    api: Gate,
    /// The breaker in front of the storage.
    storage: Gate,
    /// Since when the secret has been the one that it is.
    secret_since: Instant,
}

impl<'a> State<'a> {
    /// Finds the uploads that were queued since. Returns when to look again if that failed.
    fn look(&mut self) -> Option<Instant> {
        let (now, wall) = (Instant::now(), now_ms());
        let open = match self.shared.reader.open_uploads(self.last) {
            Ok(open) => open,
            Err(error) => {
                tracing::error!(error = %Chain(&error), "the outbox could not be read; tried again in a moment");
                return Some(now + TROUBLE);
            }
        };
        for upload in open {
            self.last = self.last.max(upload.seq);
            // A due time farther away than the longest backoff means that the clock was set back: it counts as due.
            let wait = u64::try_from(upload.due_at.saturating_sub(wall))
                .map_or(Duration::ZERO, Duration::from_millis);
            let wait = if wait > contract::verdict::LONGEST_RETRY_AFTER { Duration::ZERO } else { wait };
            if self.known.insert(upload.seq) {
                self.questions.push(now + wait, (upload.seq, Step::Ask));
            }
        }
        None
    }

    /// Tries everything that waits at once: an operator asked for it, or another secret signs from now on.
    fn wake_all(&mut self) {
        let now = Instant::now();
        self.questions.wake_all(now);
        self.files.wake_all(now);
        (self.api, self.storage) = (Gate::default(), Gate::default());
    }

    /// Gives turns while there is room and the servers answer. Returns when to look again.
    fn start_turns(&mut self, turns: &mut Turns<'a>) -> Option<Instant> {
        let now = Instant::now();
        // A question probes the API, never a file, which would hold up all others until it is sent: where nobody has one,
        // the file's upload asks anew.
        if self.api.reopens_at().is_some_and(|at| at <= now)
            && !self.questions.has_turn(now)
            && let Some((seq, _)) = self.files.pop(now)
        {
            self.questions.push(now, (seq, Step::Ask));
        }
        while self.asking < QUESTIONS && self.api.is_open(now) {
            let Some((seq, step)) = self.questions.pop(now) else { break };
            self.asking += 1;
            self.api.started();
            turns.push(Box::pin(turn::take(self.shared, seq, step, false)));
        }
        let api_answers = self.api.is_open(now) && self.api.reopens_at().is_none();
        if !self.sending
            && api_answers
            && self.storage.is_open(now)
            && let Some((seq, step)) = self.files.pop(now)
        {
            self.sending = true;
            let probing = self.storage.reopens_at().is_some();
            self.storage.started();
            turns.push(Box::pin(turn::take(self.shared, seq, step, probing)));
        }
        self.shared.others_wait.set(self.files.has_turn(now));
        let questions = if self.asking >= QUESTIONS {
            None
        } else if self.questions.has_turn(now) {
            self.api.reopens_at()
        } else {
            self.questions.next_due()
        };
        let files = match self.files.next_due() {
            // A file that comes due meanwhile is one that the sending file must make way for.
            Some(due) if self.sending => Some(due).filter(|due| *due > now),
            Some(due) if due <= now => {
                let reopen = [self.api.reopens_at(), self.storage.reopens_at()].into_iter().flatten();
                reopen.filter(|at| *at > now).min()
            }
            due => due,
        };
        [questions, files].into_iter().flatten().min()
    }

    fn finish(&mut self, report: Report) {
        if report.sending {
            self.sending = false;
            self.shared.flow.rest();
        } else {
            self.asking -= 1;
        }
        let now = Instant::now();
        // What an old secret signed says nothing about the new one.
        let outdated = report.api == Some(Health::Failing) && report.began < self.secret_since;
        let api = if outdated { None } else { report.api };
        let failing =
            Failing { api: api == Some(Health::Failing), storage: report.storage == Some(Health::Failing) };
        let Some(mut upload) = report.upload else {
            self.api.abandoned(report.began);
            self.storage.abandoned(report.began);
            match report.came {
                Came::Trouble(error) => self.trouble(report.seq, &error),
                _ => drop(self.known.remove(&report.seq)),
            }
            return;
        };
        if report.progress {
            upload.course.attempts = 0;
        }
        let mut wait = Duration::ZERO;
        match report.came {
            Came::Over => drop(self.known.remove(&upload.seq)),
            Came::Trouble(error) => self.trouble(upload.seq, &error),
            Came::Next(step, after) => self.line_up(upload.seq, step, now + after),
            Came::End(ending) => match self.shared.outbox.end_upload(upload.seq, &ending) {
                Ok(()) => self.ended(&upload, &ending),
                Err(error) => self.trouble(upload.seq, &error),
            },
            Came::Later { .. } if outdated => self.line_up(upload.seq, Step::Ask, now),
            Came::Later { floor, counts, note } => {
                wait = self.later(&mut upload, floor, counts, note, failing);
            }
            Came::Doubtful(_, note) => wait = self.later(&mut upload, Duration::ZERO, true, note, failing),
            Came::Mismatch(note) => {
                upload.course.restarts += 1;
                if upload.course.restarts > decide::MAX_RESTARTS {
                    let tried = format!("tried {} times", upload.course.restarts);
                    self.park(&mut upload, note.and(&tried));
                } else {
                    tracing::warn!(
                        event.id = upload.id,
                        room = upload.room,
                        reason = note.brief,
                        "what the storage holds is not the recording; it is uploaded again"
                    );
                    wait = self.later(&mut upload, Duration::ZERO, true, note, Failing::default());
                }
            }
            Came::Refused(note) => self.park(&mut upload, note),
        }
        self.judge(api, report.began, now, wait, true);
        self.judge(report.storage, report.began, now, wait, false);
    }

    /// Takes in what a turn learned about the API, or about the storage.
    fn judge(&mut self, health: Option<Health>, began: Instant, now: Instant, wait: Duration, is_api: bool) {
        let gate = if is_api { &mut self.api } else { &mut self.storage };
        match health {
            Some(health) => gate.finished(health, began, now, wait),
            None => gate.abandoned(began),
        }
    }

    fn line_up(&mut self, seq: UploadSeq, step: Step, due: Instant) {
        let line = if matches!(step, Step::Send(_)) { &mut self.files } else { &mut self.questions };
        line.push(due, (seq, step));
    }

    /// The outbox did not take what came of a turn: asking again finds it out anew.
    fn trouble(&mut self, seq: UploadSeq, error: &OutboxError) {
        tracing::info!(error = %Chain(error), "an upload waits for the outbox");
        self.questions.push(Instant::now() + TROUBLE, (seq, Step::Ask));
    }

    /// Begins again after the backoff. Returns how long that is.
    fn later(
        &mut self,
        upload: &mut Upload,
        floor: Duration,
        counts: bool,
        note: Note,
        failing: Failing,
    ) -> Duration {
        let course = &mut upload.course;
        course.attempts = course.attempts.saturating_add(u32::from(counts));
        // While a server fails as a whole, its own failures set the pace, not those of the upload that asks.
        let pace = match failing {
            Failing { api: true, .. } => self.api.failures().saturating_add(1),
            Failing { storage: true, .. } => self.storage.failures().saturating_add(1),
            Failing { .. } => course.attempts,
        };
        let wait = self.backoff.wait(pace, fastrand::f64()).max(floor);
        let is_fifth = counts && course.attempts == WORTH_A_WARNING;
        let is_new = course.note.as_ref() != Some(&note.full);
        let line = is_worth_a_line(is_new, pace);
        report_failure([&upload.id, &upload.room], is_fifth, line, &note.brief, wait);
        course.state = UploadState::Waiting;
        course.note = Some(note.full);
        self.put_off(upload, wait);
        wait
    }

    fn put_off(&mut self, upload: &mut Upload, wait: Duration) {
        upload.course.due_at = now_ms() + i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
        if let Err(error) = self.shared.outbox.note_upload(upload.seq, &upload.course) {
            tracing::debug!(error = %Chain(&error), "the outbox does not say that an upload waits");
        }
        self.questions.push(Instant::now() + wait, (upload.seq, Step::Ask));
    }

    fn park(&mut self, upload: &mut Upload, note: Note) {
        upload.course.state = UploadState::Parked;
        upload.course.note = Some(note.full);
        if let Err(error) = self.shared.outbox.note_upload(upload.seq, &upload.course) {
            self.trouble(upload.seq, &error);
            return;
        }
        self.known.remove(&upload.seq);
        tracing::warn!(
            count.uploads = 1,
            outcome = upload.course.state.name(),
            event.id = upload.id,
            room = upload.room,
            reason = note.brief,
            "a recording cannot be uploaded and waits for a person; see `reflector-agent status`, then `reflector-agent deliveries retry {}`",
            upload.id
        );
    }

    fn ended(&mut self, upload: &Upload, ending: &crate::outbox::uploads::Ending) {
        self.known.remove(&upload.seq);
        self.shared.patience.borrow_mut().reset(upload.seq);
        let (reason, outcome) = (ending.note.as_deref().unwrap_or_default(), ending.state.name());
        match ending.state {
            UploadState::Verified => tracing::info!(
                count.uploads = 1, count.upload_bytes = upload.file.size, outcome, event.id = upload.id, room = upload.room,
                file = %upload.path.display(), bytes = upload.file.size,
                "a recording is uploaded and its checksum confirmed"
            ),
            UploadState::Kept => {
                // Why is in the API's words, which the outbox has.
                tracing::debug!(
                    count.uploads = 1,
                    outcome,
                    event.id = upload.id,
                    "a recording stays on this host"
                );
            }
            _ => tracing::warn!(
                count.uploads = 1, outcome, event.id = upload.id, room = upload.room, file = %upload.path.display(), reason,
                "a recording is reported without an upload"
            ),
        }
    }
}

/// Whether the journal tells of a failure, the `pace`th in a row: the first for a reason, and then ever more seldom.
fn is_worth_a_line(is_new: bool, pace: u32) -> bool {
    is_new || pace.is_power_of_two()
}

fn report_failure([id, room]: [&str; 2], is_fifth: bool, is_worth_a_line: bool, note: &str, wait: Duration) {
    let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
    if is_fifth {
        tracing::warn!(
            count.upload_failures = 1,
            event.id = id,
            room,
            reason = note,
            wait_ms,
            "a recording was not uploaded {WORTH_A_WARNING} times in a row; it is kept and tried again"
        );
    } else if is_worth_a_line {
        tracing::info!(
            count.upload_failures = 1,
            event.id = id,
            room,
            reason = note,
            wait_ms,
            "an upload did not get through; it is tried again"
        );
    } else {
        tracing::debug!(
            count.upload_failures = 1,
            event.id = id,
            room,
            reason = note,
            wait_ms,
            "an upload failed again"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_for_the_same_reason_is_told_ever_more_seldom() {
        let told: Vec<u32> = (1..=1200).filter(|pace| is_worth_a_line(false, *pace)).collect();
        assert_eq!(told, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024]);
        assert!(is_worth_a_line(true, 3), "another reason");
        assert!(!is_worth_a_line(false, 0), "what the API asked to put off, once more");
    }
}
