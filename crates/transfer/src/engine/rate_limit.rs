//! A limit on how fast bytes go over the network.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How far ahead of its time a transfer may be, so that small pauses are made up for.
const BURST: Duration = Duration::from_millis(100);

/// Slower than this, one piece would take so long that it looks like a stall, in bytes a second.
pub const SLOWEST: u64 = 32 * 1024;

/// A rate that all streams of a transfer share; without one nothing waits.
#[derive(Clone, Debug, Default)]
pub struct RateLimit(Option<Arc<Limit>>);

#[derive(Debug)]
struct Limit {
    bytes_per_second: u64,
    /// When all that was let through so far is due.
    due: Mutex<Instant>,
}

impl RateLimit {
    /// At most so many bytes a second, and never less than [`SLOWEST`].
    #[must_use]
    pub fn limited(bytes_per_second: u64) -> Self {
        Self(Some(Arc::new(Limit {
            bytes_per_second: bytes_per_second.max(SLOWEST),
            due: Mutex::new(Instant::now()),
        })))
    }

    /// How long to wait now that so many bytes went through.
    pub(crate) fn wait(&self, bytes: usize) -> Duration {
        let Some(limit) = &self.0 else {
            return Duration::ZERO;
        };
        let now = Instant::now();
        let takes = Duration::from_secs_f64(bytes as f64 / limit.bytes_per_second as f64);
        let mut due = limit.due.lock().unwrap_or_else(PoisonError::into_inner);
        *due = (*due).max(now.checked_sub(BURST).unwrap_or(now)) + takes;
        due.saturating_duration_since(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_share_the_rate() {
        let rate_limit = RateLimit::limited(1_000_000);
        let other = rate_limit.clone();
        assert!(rate_limit.wait(1_000_000) <= Duration::from_secs(1));
        let wait = other.wait(1_000_000);
        assert!(wait > Duration::from_millis(1800) && wait <= Duration::from_secs(2));
        assert_eq!(RateLimit::default().wait(usize::MAX), Duration::ZERO);
    }
}
