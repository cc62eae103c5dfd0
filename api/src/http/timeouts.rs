//! How long clients may keep a connection busy with nothing: the time limits that need to know what is on the wire.
//!
//! | what | how long |
//! |---|---|
//! | the head of a request, from its first byte (the first request: from the connection on) | [`Patience::head`] |
//! | a connection between two requests | [`Patience::idle`] |
//! | bytes of an answer that the client does not take | [`Patience::write`] |
//! | a request as a whole, its body included | [`Patience::request`] |
//!
//! A body has a limit of its own, in [`super::body`].

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::response::{IntoResponse as _, Response};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use super::problem::ApiError;

/// How long things may take.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// The head of a request, once it has begun.
    pub head: Duration,
    /// A connection between two requests. Longer than agents keep one, so that they are the ones to close it.
    pub idle: Duration,
    /// Bytes that the client does not take.
    pub write: Duration,
    /// A request as a whole. Longer than anything that handlers wait for.
    pub request: Duration,
    /// How often the loop that accepts connections turns when nobody comes, or nobody has room.
    pub turn: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(10),
            idle: Duration::from_secs(75),
            write: Duration::from_secs(30),
            request: Duration::from_mins(1),
            turn: Duration::from_secs(10),
        }
    }
}

/// The answer, unless it takes too long. 503, because what was asked for may be done or not.
pub(super) async fn answer_within(patience: Duration, answer: impl Future<Output = Response>) -> Response {
    match tokio::time::timeout(patience, answer).await {
        Ok(answer) => answer,
        Err(_) => ApiError::for_now("The server took too long for this request; try again.").into_response(),
    }
}

/// What a connection is at: even between requests, odd while one is handled. Each change adds one, so that a time limit knows
/// whether it is still about the same request.
#[derive(Debug, Clone, Default)]
pub(super) struct Course(Arc<AtomicU64>);

impl Course {
    /// A request begins; it ends when the returned value is dropped.
    pub(super) fn begin(&self) -> Handling {
        self.0.fetch_add(1, Ordering::Relaxed);
        Handling(self.clone())
    }

    fn now(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A request that is being handled.
pub(super) struct Handling(Course);

impl Drop for Handling {
    fn drop(&mut self) {
        self.0.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A connection that ends when its client takes too long.
pub(super) struct Timed<S> {
    stream: S,
    course: Course,
    patience: Patience,
    reading: Limit,
    writing: Limit,
    /// The course when the head that is being read began.
    head_of: u64,
}

impl<S> Timed<S> {
    /// The clock for the first request runs from now on.
    pub(super) fn new(stream: S, course: Course, patience: Patience) -> Self {
        let mut reading = Limit::default();
        reading.start(patience.head);
        Self { stream, head_of: course.now(), course, patience, reading, writing: Limit::default() }
    }

    /// Starts and stops the clock for the head, now that `is_more` bytes have come, or none.
    fn note_read(&mut self, is_more: bool) {
        let course = self.course.now();
        if course != self.head_of {
            self.reading.stop();
        }
        let is_between_requests = course.is_multiple_of(2);
        if is_more && is_between_requests && !self.reading.is_running() {
            self.head_of = course;
            self.reading.start(self.patience.head);
        }
    }
}

/// A time limit that runs or does not. Most end before anybody has to wait for them, and then cost no timer.
#[derive(Default)]
struct Limit {
    end: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Limit {
    fn is_running(&self) -> bool {
        self.end.is_some()
    }

    fn is_over(&self) -> bool {
        self.end.is_some_and(|end| Instant::now() >= end)
    }

    fn start(&mut self, patience: Duration) {
        self.end = Some(Instant::now() + patience);
    }

    fn stop(&mut self) {
        self.end = None;
    }

    /// Ready once it is over; never while it does not run.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(end) = self.end else { return Poll::Pending };
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(end)));
        if timer.deadline() != end {
            timer.as_mut().reset(end);
        }
        timer.as_mut().poll(cx)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Timed<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(cx, buffer);
        this.note_read(buffer.filled().len() > before);
        // A client that sends one byte at a time is not slow at any of them.
        let is_late = if read.is_ready() { this.reading.is_over() } else { this.reading.poll(cx).is_ready() };
        if is_late { Poll::Ready(Err(late("the head of a request took too long"))) } else { read }
    }
}

impl<S: AsyncWrite + Unpin> Timed<S> {
    fn written<T>(&mut self, cx: &mut Context<'_>, result: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if result.is_ready() {
            self.writing.stop();
            return result;
        }
        if !self.writing.is_running() {
            self.writing.start(self.patience.write);
        }
        ready!(self.writing.poll(cx));
        Poll::Ready(Err(late("the client does not take its answer")))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Timed<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.stream).poll_write(cx, bytes);
        this.written(cx, result)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.stream).poll_write_vectored(cx, parts);
        this.written(cx, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.stream).poll_flush(cx);
        this.written(cx, result)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

fn late(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, what)
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use http::header::RETRY_AFTER;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
    use tokio::time::sleep;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    async fn read<S: AsyncRead + Unpin>(timed: &mut Timed<S>) -> io::Result<usize> {
        timed.read(&mut [0; 8]).await
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_takes_too_long_is_answered_all_the_same() {
        let answer = answer_within(SECOND, async { StatusCode::OK.into_response() }).await;
        assert_eq!(answer.status(), StatusCode::OK);
        let answer = answer_within(SECOND, std::future::pending()).await;
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(answer.headers().contains_key(RETRY_AFTER));
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_dribbles_is_cut_and_a_body_or_a_pause_is_not() {
        let patience = Patience::default();
        let (mut client, server) = duplex(64);
        let course = Course::default();
        let mut timed = Timed::new(server, course.clone(), patience);
        client.write_all(b"GET").await.unwrap();
        assert_eq!(read(&mut timed).await.unwrap(), 3);
        let handling = course.begin();
        sleep(patience.head * 3).await;
        client.write_all(b"body").await.unwrap();
        assert_eq!(read(&mut timed).await.unwrap(), 4, "a request is under way");
        drop(handling);
        sleep(patience.head * 3).await;
        client.write_all(b"G").await.unwrap();
        assert_eq!(read(&mut timed).await.unwrap(), 1, "a pause between requests");
        let begun = Instant::now();
        let dribble = async {
            loop {
                sleep(SECOND).await;
                client.write_all(b"x").await.unwrap();
            }
        };
        let reads = async { while read(&mut timed).await.is_ok() {} };
        tokio::select! { () = reads => {}, () = dribble => {} }
        assert_eq!(begun.elapsed().as_secs(), patience.head.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_says_nothing_is_cut() {
        let (_client, server) = duplex(64);
        let mut timed = Timed::new(server, Course::default(), Patience::default());
        let begun = Instant::now();
        assert_eq!(read(&mut timed).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!(begun.elapsed().as_secs(), Patience::default().head.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_nobody_takes_is_given_up() {
        let patience = Patience::default();
        let (mut client, server) = duplex(4);
        let mut timed = Timed::new(server, Course::default(), patience);
        let begun = Instant::now();
        let slow = async {
            sleep(patience.write / 2).await;
            client.read_exact(&mut [0; 2]).await.unwrap();
        };
        let (written, ()) = tokio::join!(timed.write_all(&[0; 64]), slow);
        assert_eq!(written.unwrap_err().kind(), io::ErrorKind::TimedOut);
        let expected = patience.write + patience.write / 2;
        assert_eq!(begun.elapsed().as_secs(), expected.as_secs(), "from the last byte that was taken");
    }
}
