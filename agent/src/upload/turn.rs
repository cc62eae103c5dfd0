//! One upload's turn: ask the API what it wants, send the file's parts, ask about the verification.
//!
//! A turn does one step and says what came of it. Nothing is remembered between two turns but what the API said; which
//! parts are stored is asked of the storage each time.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use contract::upload::{CompleteReply, CompleteRequest, PartsRequest};
use contract::verdict::UNKNOWN_FLOOR;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::task::spawn_blocking;
use tokio::time::Instant;

use super::api::{Api, Reply};
use super::body::{Flow, Meter};
use super::decide::{self, Otherwise, Verification, Wanted};
use super::file::{self, Looks};
use super::note::Note;
use super::part::{Parts, send_part};
use super::parts::Cut;
use super::patience::{Doubt, Patience};
use super::told;
use crate::clock::now_ms;
use crate::delivery::gate::Health;
use crate::http::Client;
use crate::outbox::uploads::{Ending, Upload, UploadSeq, UploadState};
use crate::outbox::{Outbox, OutboxError, Reader};
use crate::watch::Stop;

/// How long a large file may send before another one gets its turn.
const TURN: Duration = Duration::from_secs(20);

/// How soon a file that is to be read through asks again whether it is its turn.
const ANOTHER_IS_READ: Duration = Duration::from_secs(1);

/// How often progress is written down.
const NOTE: Duration = Duration::from_secs(1);

/// What every turn needs.
pub(super) struct Shared {
    /// Whether anything is uploaded at all.
    pub(super) enabled: bool,
    pub(super) outbox: Outbox,
    pub(super) reader: Reader,
    pub(super) api: Api,
    /// Sends parts to the storage.
    pub(super) http: Client,
    pub(super) flow: Arc<Flow>,
    pub(super) parallel: usize,
    pub(super) stop: Stop,
    /// Whether another file waits for this one's turn to end.
    pub(super) others_wait: Cell<bool>,
    /// Whether a file is being read through. One at a time: more would keep the disk from what is being recorded.
    pub(super) reads_anew: Cell<bool>,
    pub(super) patience: RefCell<Patience>,
}

/// What an upload does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Ask the API what it wants.
    Ask,
    /// Send the parts that the storage does not have.
    Send(contract::upload::Upload),
    /// Ask whether the object is verified.
    Verify(contract::upload::Upload),
}

/// What came of a turn.
pub(super) struct Report {
    pub(super) seq: UploadSeq,
    pub(super) began: Instant,
    pub(super) sending: bool,
    /// The upload as it is now; `None` if it is not open any more, or could not be read.
    pub(super) upload: Option<Upload>,
    pub(super) came: Came,
    /// What the turn learned about the API, if it asked.
    pub(super) api: Option<Health>,
    /// What the turn learned about the storage, if it sent anything.
    pub(super) storage: Option<Health>,
    /// Whether the storage has more of the file than before.
    pub(super) progress: bool,
    /// Whether there was a doubt, which must last before it ends the upload.
    doubtful: bool,
}

/// How an upload goes on.
#[derive(Debug)]
pub(super) enum Came {
    /// It is over, or the agent stops.
    Over,
    /// The outbox could not be read or written.
    Trouble(OutboxError),
    /// With this step, after this time.
    Next(Step, Duration),
    /// From the beginning, after the backoff and not before `floor`.
    Later {
        /// The shortest wait.
        floor: Duration,
        /// Whether it makes the next backoff longer.
        counts: bool,
        /// Why, for people.
        note: Note,
    },
    /// From the beginning, after the backoff, unless that has lasted for long.
    Doubtful(Doubt, Note),
    /// The storage held something else than the host.
    Mismatch(Note),
    /// A person has to look.
    Refused(Note),
    /// It ends.
    End(Box<Ending>),
}

/// Takes one turn. One that is `probing` the storage sends a single part until it knows more.
pub(super) async fn take(shared: &Shared, seq: UploadSeq, step: Step, probing: bool) -> Report {
    let mut report = Report {
        seq,
        began: Instant::now(),
        sending: matches!(step, Step::Send(_)),
        upload: None,
        came: Came::Over,
        api: None,
        storage: None,
        progress: false,
        doubtful: false,
    };
    let mut upload = match shared.reader.upload(seq) {
        Ok(Some(upload)) => upload,
        Ok(None) => {
            shared.patience.borrow_mut().reset(seq);
            return report;
        }
        Err(error) => {
            report.came = Came::Trouble(error);
            return report;
        }
    };
    let mut turn = Turn { shared, upload: &mut upload, report: &mut report, probing };
    let came = match step {
        Step::Ask => turn.ask().await,
        Step::Send(plan) => turn.send(plan).await,
        Step::Verify(plan) => turn.verify(plan).await,
    };
    let came = match came.unwrap_or_else(|came| came) {
        Came::Doubtful(doubt, note) => turn.doubtful(doubt, note),
        came => came,
    };
    report.came = came;
    if !report.doubtful {
        shared.patience.borrow_mut().reset(seq);
    }
    report.upload = Some(upload);
    report
}

struct Turn<'a> {
    shared: &'a Shared,
    upload: &'a mut Upload,
    report: &'a mut Report,
    probing: bool,
}

impl Turn<'_> {
    /// Looks at the file, then asks the API what it wants.
    async fn ask(&mut self) -> Result<Came, Came> {
        if !self.shared.enabled {
            return Ok(self.kept("uploads are turned off".into(), None, true));
        }
        let (path, known) = (self.upload.path.clone(), self.upload.file);
        let looks = self.with_file(move |_| file::look(&path, known)).await?;
        if looks == Looks::Touched {
            self.read_anew().await?;
        }
        let request = told::request(self.upload)?;
        let wanted = self.heard(decide::of_begin, self.shared.api.begin(&request).await)?;
        let missing = match looks {
            Looks::Same | Looks::Touched => None,
            Looks::Another => {
                Some((None, "the file changed before it was uploaded; what it is now is reported by itself"))
            }
            Looks::Gone => Some((Some(Doubt::Gone), "the file was removed before it was uploaded")),
            Looks::Away => Some((Some(Doubt::Away), "the file's disk was taken away before it was uploaded")),
        };
        Ok(match (wanted, missing) {
            (Wanted::Verified(plan), _) => self.verified((plan.bucket, plan.object_key)),
            (Wanted::Patience(plan), _) => Came::Next(Step::Verify(plan), Duration::ZERO),
            (Wanted::Nothing { why, on_purpose }, _) => {
                self.kept(why, missing.map(|(_, why)| why.to_owned()), on_purpose)
            }
            (Wanted::Parts(plan), None) => Came::Next(Step::Send(plan), Duration::ZERO),
            (Wanted::Parts(plan), Some((doubt, why))) => self.without_file(plan, doubt, why).await?,
        })
    }

    /// There is nothing to send any more: only if the storage has all parts already it is uploaded.
    async fn without_file(
        &mut self,
        plan: contract::upload::Upload,
        doubt: Option<Doubt>,
        why: &str,
    ) -> Result<Came, Came> {
        let reply = self.complete(&plan).await?;
        if !decide::lacks_parts(reply.outcome) {
            return self.completed(plan, reply);
        }
        if let Some(doubt) = doubt
            && !self.lasts(doubt)
        {
            let note = if doubt == Doubt::Away {
                "nothing is where the file was: is its disk mounted?"
            } else {
                "the file is not there"
            };
            return Ok(Came::Later { floor: Duration::ZERO, counts: true, note: note.into() });
        }
        // If this is lost, the API forgets the upload by itself after a while.
        self.shared.api.abort(&plan.upload_id).await;
        Ok(self.ended(UploadState::GivenUp, None, Some(why.into()), Some(why.into())))
    }

    /// Whether a doubt that there is now has lasted for too long.
    fn lasts(&mut self, doubt: Doubt) -> bool {
        self.report.doubtful = true;
        self.shared.patience.borrow_mut().is_over(self.upload.seq, doubt, Instant::now(), now_ms())
    }

    /// The API says that there is no meeting, or that it knows no uploads. When that has lasted, the recording is reported
    /// without an upload, as if there were no storage, so that nothing is hidden.
    fn doubtful(&mut self, doubt: Doubt, note: Note) -> Came {
        if !self.lasts(doubt) {
            return Came::Later { floor: Duration::ZERO, counts: true, note };
        }
        if doubt == Doubt::NoUploads {
            return self.kept("the API does not know uploads".into(), None, false);
        }
        let why = "the API knew no meeting for the room for an hour";
        self.ended(UploadState::GivenUp, None, Some(why.into()), Some(why.into()))
    }

    /// Sends the parts that the storage does not have, until all are there or another file waits for its turn.
    async fn send(&mut self, plan: contract::upload::Upload) -> Result<Came, Came> {
        let later = |floor, note: &str| Came::Later { floor, counts: true, note: note.into() };
        let cut = Cut::of(self.upload.file.size, &plan)
            .ok_or_else(|| later(UNKNOWN_FLOOR, "the API's parts do not make up the file"))?;
        let (path, known) = (self.upload.path.clone(), self.upload.file);
        let Some(file) = self.with_file(move |_| file::open(&path, known)).await? else {
            return Ok(later(Duration::ZERO, "the file changed or is gone"));
        };
        let first = cut.missing(&[]).into_iter().take(self.shared.parallel).collect();
        let request = PartsRequest { numbers: first, list_stored: true };
        let reply = self.heard(decide::of_parts, self.shared.api.parts(&plan.upload_id, &request).await)?;
        let urls = reply.urls.into_iter().map(|part| (part.number, part.url)).collect();
        let missing = cut.missing(&reply.stored.unwrap_or_default());
        let all_sent = self.send_parts(&Parts { plan: &plan, cut, file: &file }, missing, urls).await?;
        let unchanged = self.with_file(move |_| file::is_unchanged(&file, known)).await?;
        if !unchanged {
            return Ok(later(Duration::ZERO, "the file changed while it was sent"));
        }
        let next = if all_sent { Step::Verify(plan) } else { Step::Send(plan) };
        Ok(Came::Next(next, Duration::ZERO))
    }

    /// Sends `missing` parts, several at a time. Returns whether all were sent.
    async fn send_parts(
        &mut self,
        parts: &Parts<'_>,
        missing: Vec<u32>,
        mut urls: HashMap<u32, String>,
    ) -> Result<bool, Came> {
        let shared = self.shared;
        let mut stored = self.upload.file.size - parts.cut.bytes(&missing);
        let mut missing = missing.into_iter().peekable();
        let mut under_way = FuturesUnordered::new();
        let mut meters: HashMap<u32, Arc<Meter>> = HashMap::new();
        let mut failed = None;
        self.note_progress(stored);
        let mut note_at = Instant::now() + NOTE;
        loop {
            let go_on =
                failed.is_none() && !(shared.others_wait.get() && self.report.began.elapsed() >= TURN);
            while go_on
                && under_way.len() < if self.probing && !self.report.progress { 1 } else { shared.parallel }
                && let Some(number) = missing.next()
            {
                let meter = Arc::new(Meter::default());
                meters.insert(number, Arc::clone(&meter));
                under_way.push(send_part(shared, parts, number, urls.remove(&number), meter));
            }
            tokio::select! {
                sent = under_way.next() => match sent {
                    None => break,
                    Some((number, learned, result)) => {
                        meters.remove(&number);
                        self.report.api = learned.api.or(self.report.api);
                        self.report.storage = learned.storage.or(self.report.storage);
                        match result {
                            Ok(()) => {
                                self.report.progress = true;
                                stored += parts.cut.bytes(&[number]);
                            }
                            // The others may still arrive.
                            Err(came) => failed = Some(came),
                        }
                    }
                },
                () = tokio::time::sleep_until(note_at) => {
                    note_at = Instant::now() + NOTE;
                    self.note_progress(stored + meters.values().map(|meter| meter.sent()).sum::<u64>());
                }
            }
        }
        self.note_progress(stored);
        match failed {
            Some(came) => Err(came),
            None => Ok(missing.peek().is_none()),
        }
    }

    /// Writes down how much is sent, for those who look from outside.
    fn note_progress(&mut self, sent_bytes: u64) {
        let course = &mut self.upload.course;
        if (course.state, course.sent_bytes) == (UploadState::Sending, sent_bytes) {
            return;
        }
        (course.state, course.sent_bytes) = (UploadState::Sending, sent_bytes);
        // The outbox says itself when it cannot be written; nothing depends on this.
        let _ = self.shared.outbox.note_upload(self.upload.seq, course);
    }

    /// Asks whether the object is verified.
    async fn verify(&mut self, plan: contract::upload::Upload) -> Result<Came, Came> {
        let reply = self.complete(&plan).await?;
        let came = self.completed(plan, reply);
        if matches!(came, Err(Came::Mismatch(_))) {
            while self.shared.reads_anew.get() {
                tokio::time::sleep(ANOTHER_IS_READ).await;
            }
            // The file may not be what it was, whatever its looks say.
            self.read_anew().await?;
        }
        came
    }

    async fn complete(&self, plan: &contract::upload::Upload) -> Result<Reply<CompleteReply>, Came> {
        let request =
            CompleteRequest { size_bytes: self.upload.file.size, sha256: told::checksum(self.upload)? };
        Ok(self.shared.api.complete(&plan.upload_id, &request).await)
    }

    /// What the answer to a completion makes of the upload.
    fn completed(
        &mut self,
        plan: contract::upload::Upload,
        reply: Reply<CompleteReply>,
    ) -> Result<Came, Came> {
        match self.heard(decide::of_complete, reply)? {
            Verification::UnderWay(wait) => {
                if self.upload.course.state != UploadState::Verifying {
                    self.upload.course.state = UploadState::Verifying;
                    self.upload.course.sent_bytes = self.upload.file.size;
                    let _ = self.shared.outbox.note_upload(self.upload.seq, &self.upload.course);
                }
                Ok(Came::Next(Step::Verify(plan), wait))
            }
            Verification::Done { object, size, sha256 } => {
                if (size, sha256.as_str()) == (self.upload.file.size, self.upload.sha256.as_str()) {
                    Ok(self.verified(object))
                } else {
                    Err(Came::Mismatch("the API verified another object".into()))
                }
            }
        }
    }

    /// Reads the file through again, and writes down what it is now.
    async fn read_anew(&mut self) -> Result<(), Came> {
        let (path, known) = (self.upload.path.clone(), self.upload.file);
        if self.shared.reads_anew.replace(true) {
            return Err(Came::Next(Step::Ask, ANOTHER_IS_READ));
        }
        let digest = self.with_file(move |stop| file::digest(&path, known, stop)).await;
        self.shared.reads_anew.set(false);
        let Some((identity, sha256)) = digest? else { return Err(Came::Over) };
        if (identity.inode, identity.size) != (known.inode, known.size) {
            return Err(Came::Later {
                floor: Duration::ZERO,
                counts: true,
                note: "the file changed while it was read".into(),
            });
        }
        if sha256 != self.upload.sha256 {
            tracing::info!(
                event.id = self.upload.id,
                room = self.upload.room,
                "a recording changed before it was uploaded; what it is now is uploaded"
            );
            self.upload.notice = told::renewed(&self.upload.notice, &sha256)?;
            self.upload.sha256 = sha256;
        }
        self.upload.file = identity;
        self.shared.outbox.renew_upload(self.upload).map_err(Came::Trouble)
    }

    fn verified(&self, object: (String, String)) -> Came {
        self.ended(UploadState::Verified, Some(object), None, None)
    }

    fn ended(
        &self,
        state: UploadState,
        object: Option<(String, String)>,
        note: Option<String>,
        told: Option<String>,
    ) -> Came {
        match told::ending(self.upload, state, object, note, told) {
            Ok(ending) => Came::End(Box::new(ending)),
            Err(came) => came,
        }
    }

    /// Nobody wants the file. Where that is `on_purpose` the host need not hold it for us; where the API has no storage,
    /// somebody may still want it.
    fn kept(&self, why: String, told: Option<String>, on_purpose: bool) -> Came {
        match self.ended(UploadState::Kept, None, Some(why), told) {
            Came::End(ending) => Came::End(Box::new(Ending { releases: on_purpose, ..*ending })),
            came => came,
        }
    }

    /// Takes in what an answer says about the API, then what it means.
    fn heard<T, M>(
        &mut self,
        meaning: impl FnOnce(Reply<T>) -> Result<M, (Otherwise, Note)>,
        reply: Reply<T>,
    ) -> Result<M, Came> {
        self.report.api = Some(decide::health(reply.outcome));
        meaning(reply).map_err(came)
    }

    /// Does something to the file that may take its time, in a thread that may wait for it.
    async fn with_file<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Stop) -> io::Result<T> + Send + 'static,
    ) -> Result<T, Came> {
        let stop = self.shared.stop.for_helper();
        let done =
            spawn_blocking(move || work(&stop)).await.unwrap_or_else(|error| Err(io::Error::other(error)));
        done.map_err(|error| Came::Later {
            floor: Duration::ZERO,
            counts: true,
            note: format!("the file cannot be read: {error}").into(),
        })
    }
}

pub(super) fn came((otherwise, note): (Otherwise, Note)) -> Came {
    match otherwise {
        Otherwise::Later { floor, counts } => Came::Later { floor, counts, note },
        Otherwise::Doubtful(doubt) => Came::Doubtful(doubt, note),
        Otherwise::Refused => Came::Refused(note),
        Otherwise::Mismatch => Came::Mismatch(note),
    }
}
