//! One part of a file as the body of a request: read while it is sent, in a few buffers that are used again and again.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, Sleep, sleep};

use super::bucket::Bucket;

/// The largest piece that is read and handed over at once, in bytes.
const PIECE: u64 = 128 << 10;

/// The smallest one: a limit of a few bytes per second need not be kept to the byte.
const SMALL: u64 = 1 << 10;

/// How many pieces a second a limited upload is made of.
const PIECES_PER_SECOND: u64 = 20;

/// What the parts of all uploads share: buffers, and the bandwidth.
pub(super) struct Flow {
    bucket: Option<Mutex<Bucket>>,
    piece: u64,
    buffers: Mutex<Vec<Vec<u8>>>,
}

impl Flow {
    /// A flow of at most `rate` bytes per second; 0 for no limit.
    pub(super) fn new(rate: u64) -> Arc<Self> {
        let bucket = (rate > 0).then(|| Mutex::new(Bucket::new(rate, Instant::now())));
        let piece = if rate > 0 { (rate / PIECES_PER_SECOND).clamp(SMALL, PIECE) } else { PIECE };
        Arc::new(Self { bucket, piece, buffers: Mutex::default() })
    }

    /// How long to wait before so many bytes may be sent.
    fn wait(&self, bytes: usize) -> std::time::Duration {
        self.bucket.as_ref().map_or(std::time::Duration::ZERO, |bucket| {
            bucket.lock().unwrap_or_else(PoisonError::into_inner).take(bytes, Instant::now())
        })
    }

    /// Gives the buffers back to the system: nothing is being sent.
    pub(super) fn rest(&self) {
        *self.buffers.lock().unwrap_or_else(PoisonError::into_inner) = Vec::new();
    }

    fn buffer(&self) -> Vec<u8> {
        self.buffers.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }
}

/// How far a part is, for those who watch it.
#[derive(Debug, Default)]
pub(super) struct Meter {
    sent: AtomicU64,
    unreadable: AtomicBool,
}

impl Meter {
    /// Bytes that were handed to the connection.
    pub(super) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Whether the file could not be read to the part's end.
    pub(super) fn is_unreadable(&self) -> bool {
        self.unreadable.load(Ordering::Relaxed)
    }
}

/// A part on its way.
pub(super) struct PartBody {
    file: Arc<File>,
    /// What is still to be read.
    unread: Range<u64>,
    /// What is still to be handed over.
    left: u64,
    reading: Option<JoinHandle<io::Result<Piece>>>,
    /// A piece that waits for its turn under the limit.
    held: Option<(Piece, Option<Pin<Box<Sleep>>>)>,
    flow: Arc<Flow>,
    meter: Arc<Meter>,
}

impl PartBody {
    /// The bytes `range` of `file`.
    pub(super) fn new(file: Arc<File>, range: Range<u64>, flow: Arc<Flow>, meter: Arc<Meter>) -> Self {
        let left = range.end - range.start;
        Self { file, unread: range, left, reading: None, held: None, flow, meter }
    }

    /// Has the next piece read by another thread, so that a slow disk holds up nobody else.
    fn read_ahead(&mut self) {
        if self.reading.is_some() || self.unread.is_empty() {
            return;
        }
        let start = self.unread.start;
        let length = self.flow.piece.min(self.unread.end - start);
        self.unread.start += length;
        let (file, flow) = (Arc::clone(&self.file), Arc::clone(&self.flow));
        self.reading = Some(spawn_blocking(move || Piece::read(&file, start, length, flow)));
    }

    fn next(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Piece>>> {
        if self.held.is_none() {
            self.read_ahead();
            let Some(reading) = &mut self.reading else { return Poll::Ready(None) };
            let read = ready!(Pin::new(reading).poll(cx));
            self.reading = None;
            let piece = match read.unwrap_or_else(|error| Err(io::Error::other(error))) {
                Ok(piece) => piece,
                Err(error) => return Poll::Ready(Some(Err(error))),
            };
            self.read_ahead();
            let wait = self.flow.wait(piece.bytes.len());
            self.held = Some((piece, (!wait.is_zero()).then(|| Box::pin(sleep(wait)))));
        }
        if let Some((_, Some(sleep))) = &mut self.held {
            ready!(sleep.as_mut().poll(cx));
        }
        Poll::Ready(self.held.take().map(|(piece, _)| Ok(piece)))
    }
}

impl Body for PartBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let this = self.get_mut();
        let piece = match ready!(this.next(cx)) {
            None => return Poll::Ready(None),
            Some(Err(error)) => {
                this.meter.unreadable.store(true, Ordering::Relaxed);
                return Poll::Ready(Some(Err(error)));
            }
            Some(Ok(piece)) => piece,
        };
        let length = piece.bytes.len() as u64;
        this.left -= length;
        this.meter.sent.fetch_add(length, Ordering::Relaxed);
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_owner(piece)))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// Some bytes of a file in a buffer that goes back to the flow when they are sent.
struct Piece {
    bytes: Vec<u8>,
    flow: Arc<Flow>,
}

impl Piece {
    fn read(file: &File, start: u64, length: u64, flow: Arc<Flow>) -> io::Result<Self> {
        let mut piece = Self { bytes: flow.buffer(), flow };
        piece.bytes.resize(usize::try_from(length).unwrap_or(usize::MAX), 0);
        file.read_exact_at(&mut piece.bytes, start)?;
        Ok(piece)
    }
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        self.flow.buffers.lock().unwrap_or_else(PoisonError::into_inner).push(bytes);
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap()
    }

    fn file_of(length: u64) -> (tempfile::NamedTempFile, Vec<u8>) {
        let content: Vec<u8> = (0..length).map(|n| (n % 251) as u8).collect();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &content).unwrap();
        (file, content)
    }

    #[test]
    fn a_part_is_its_bytes_and_no_others() {
        let (file, content) = file_of(3 * PIECE + 5);
        let open = Arc::new(File::open(file.path()).unwrap());
        for range in [0..0, 0..1, 7..PIECE + 7, PIECE..3 * PIECE + 5] {
            let (flow, meter) = (Flow::new(0), Arc::new(Meter::default()));
            let body = PartBody::new(open.clone(), range.clone(), flow.clone(), meter.clone());
            assert_eq!(body.size_hint().exact(), Some(range.end - range.start));
            let sent = runtime().block_on(body.collect()).unwrap().to_bytes();
            let (start, end) = (usize::try_from(range.start).unwrap(), usize::try_from(range.end).unwrap());
            assert!(sent == content[start..end], "{range:?}");
            assert_eq!(meter.sent(), range.end - range.start);
        }
    }

    #[test]
    fn a_few_buffers_are_enough_for_any_part() {
        let (file, _) = file_of(40 * PIECE);
        let flow = Flow::new(0);
        let open = Arc::new(File::open(file.path()).unwrap());
        runtime().block_on(async {
            let mut body = PartBody::new(open, 0..40 * PIECE, flow.clone(), Arc::default());
            while let Some(frame) = body.frame().await {
                drop(frame.unwrap());
            }
        });
        let buffers = flow.buffers.lock().unwrap().len();
        assert!((1..=3).contains(&buffers), "{buffers}");
    }

    #[test]
    fn a_file_that_became_shorter_ends_the_request() {
        let (file, _) = file_of(10);
        let meter = Arc::new(Meter::default());
        let open = Arc::new(File::open(file.path()).unwrap());
        let body = PartBody::new(open, 0..11, Flow::new(0), meter.clone());
        assert!(runtime().block_on(body.collect()).is_err());
        assert!(meter.is_unreadable());
    }

    #[test]
    fn a_limited_part_takes_its_time() {
        let (file, _) = file_of(30_000);
        let open = Arc::new(File::open(file.path()).unwrap());
        let started = std::time::Instant::now();
        let body = PartBody::new(open, 0..30_000, Flow::new(100_000), Arc::default());
        runtime().block_on(body.collect()).unwrap();
        // A tenth of a second's worth goes out at once.
        assert!(started.elapsed().as_millis() >= 190, "{:?}", started.elapsed());
    }
}
