//! What a connection does, and whether it has had its time: only one on which no request is under way can have.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use http_body::{Body, Frame, SizeHint};
use hyper::Version;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

/// How long a client may take to send the head of a request, from its first byte on; of the first request from the
/// beginning of the connection on.
const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(15);

/// How long a client may keep a connection without a request. Longer than clients keep one that they do not use, so that
/// it is they who close it and none sends a request into a connection that is being closed.
const IDLE_TIMEOUT: Duration = Duration::from_secs(120);

/// How long a request of a VM may be under way without a byte in either direction.
const GUEST_STALL_TIMEOUT: Duration = Duration::from_secs(300);

/// How often a connection is looked at.
const CHECK_INTERVAL: Duration = Duration::from_secs(5);

/// What a connection does.
#[derive(Clone, Debug)]
pub(super) struct Activity(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    requests_under_way: usize,
    /// When the last byte came or went.
    moved: Instant,
    /// Since when a client sends a head.
    head_since: Option<Instant>,
    /// Since when there is no request.
    idle_since: Instant,
    /// Over HTTP/2 what comes between requests is not the head of one.
    is_http_2: bool,
    may_stall: bool,
}

/// Whose requests may be under way without a byte moving.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stalling {
    /// A program may say nothing for hours.
    Allowed,
    /// What VMs may ask is answered at once, or moves bytes.
    Ended,
}

/// Why a connection is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expiry {
    /// A request was begun and not finished.
    HalfOpen,
    /// There is no request.
    Idle,
}

impl Activity {
    pub(super) fn new(stalling: Stalling) -> Self {
        Self(Arc::new(Mutex::new(State::new(stalling, Instant::now()))))
    }

    /// Notes a request, which is under way until the guard is dropped.
    pub(super) fn begin(&self, version: Version) -> UnderWay {
        self.state().begin(version);
        UnderWay(self.clone())
    }

    /// Waits until the connection has had its time.
    pub(super) async fn expired(&self) -> Expiry {
        loop {
            tokio::time::sleep(CHECK_INTERVAL).await;
            if let Some(expiry) = self.state().expiry(Instant::now()) {
                return expiry;
            }
        }
    }

    fn note_read(&self) {
        self.state().note_read(Instant::now());
    }

    fn note_write(&self) {
        self.state().moved = Instant::now();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn new(stalling: Stalling, now: Instant) -> Self {
        Self {
            requests_under_way: 0,
            moved: now,
            head_since: Some(now),
            idle_since: now,
            is_http_2: false,
            may_stall: stalling == Stalling::Allowed,
        }
    }

    fn begin(&mut self, version: Version) {
        self.requests_under_way += 1;
        self.head_since = None;
        self.is_http_2 = version == Version::HTTP_2;
    }

    fn end(&mut self, now: Instant) {
        self.requests_under_way -= 1;
        self.idle_since = now;
    }

    fn note_read(&mut self, now: Instant) {
        self.moved = now;
        if self.requests_under_way == 0 && !self.is_http_2 {
            self.head_since.get_or_insert(now);
        }
    }

    fn expiry(&self, now: Instant) -> Option<Expiry> {
        let is_over = |since: Instant, limit: Duration| now.duration_since(since) >= limit;
        if self.requests_under_way > 0 {
            let is_stalled = !self.may_stall && is_over(self.moved, GUEST_STALL_TIMEOUT);
            return is_stalled.then_some(Expiry::HalfOpen);
        }
        match self.head_since {
            Some(since) => is_over(since, HEADER_READ_TIMEOUT).then_some(Expiry::HalfOpen),
            None => is_over(self.idle_since, IDLE_TIMEOUT).then_some(Expiry::Idle),
        }
    }
}

/// A request that is under way.
#[derive(Debug)]
pub(super) struct UnderWay(Activity);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.state().end(Instant::now());
    }
}

/// The body of an answer. Its request is under way until it is sent or given up.
#[derive(Debug)]
pub(super) struct AnswerBody<B> {
    pub(super) body: B,
    pub(super) _under_way: UnderWay,
}

impl<B: Body + Unpin> Body for AnswerBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A stream that tells of what moves.
#[derive(Debug)]
pub(super) struct Observed<S> {
    pub(super) stream: S,
    pub(super) activity: Activity,
}

impl<S: AsyncRead + Unpin> AsyncRead for Observed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        if buffer.filled().len() > before {
            self.activity.note_read();
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> Observed<S> {
    fn note(&self, polled: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if matches!(polled, Poll::Ready(Ok(1..))) {
            self.activity.note_write();
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Observed<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.note(polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.note(polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_first_request_that_is_not_finished_ends_the_connection() {
        let now = Instant::now();
        let mut state = State::new(Stalling::Allowed, now);
        // A byte now and then wins no time.
        state.note_read(now + HEADER_READ_TIMEOUT - SECOND);
        assert_eq!(state.expiry(now + HEADER_READ_TIMEOUT - SECOND), None);
        assert_eq!(
            state.expiry(now + HEADER_READ_TIMEOUT),
            Some(Expiry::HalfOpen)
        );
    }

    #[test]
    fn a_request_under_way_lasts_as_long_as_it_does() {
        let now = Instant::now();
        let mut state = State::new(Stalling::Allowed, now);
        state.begin(Version::HTTP_11);
        state.begin(Version::HTTP_11);
        assert_eq!(state.expiry(now + 100_000 * SECOND), None);
        state.end(now);
        assert_eq!(state.expiry(now + 100_000 * SECOND), None);
        let ended = now + 100_000 * SECOND;
        state.end(ended);
        assert_eq!(state.expiry(ended + IDLE_TIMEOUT - SECOND), None);
        assert_eq!(state.expiry(ended + IDLE_TIMEOUT), Some(Expiry::Idle));
    }

    #[test]
    fn a_later_request_that_is_not_finished_ends_the_connection() {
        let now = Instant::now();
        let mut state = State::new(Stalling::Allowed, now);
        state.begin(Version::HTTP_11);
        state.end(now);
        let began = now + 60 * SECOND;
        state.note_read(began);
        assert_eq!(state.expiry(began + HEADER_READ_TIMEOUT - SECOND), None);
        assert_eq!(
            state.expiry(began + HEADER_READ_TIMEOUT),
            Some(Expiry::HalfOpen)
        );
    }

    #[test]
    fn a_ping_over_http_2_is_not_the_head_of_a_request() {
        let now = Instant::now();
        let mut state = State::new(Stalling::Allowed, now);
        state.begin(Version::HTTP_2);
        state.end(now);
        state.note_read(now + SECOND);
        assert_eq!(state.expiry(now + IDLE_TIMEOUT - SECOND), None);
    }

    #[test]
    fn a_request_of_a_vm_may_not_stand_still() {
        let now = Instant::now();
        let mut state = State::new(Stalling::Ended, now);
        state.begin(Version::HTTP_11);
        state.note_read(now + SECOND);
        assert_eq!(state.expiry(now + GUEST_STALL_TIMEOUT), None);
        assert_eq!(
            state.expiry(now + SECOND + GUEST_STALL_TIMEOUT),
            Some(Expiry::HalfOpen)
        );
    }
}
