//! How a copy is cut into shards, and how many of them are on their way at once.

use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::guest::script::BLOCK;

const MIB: u64 = 1024 * 1024;

/// Shards on their way at first, and at most unless the caller says so.
const FIRST_WINDOW: usize = 4;
const LARGEST_WINDOW: usize = 8;
/// Shards that have left the link and are unpacked, or are made before it is their turn, meanwhile.
const PREPARED_BESIDE: usize = 2;
/// What one shard may take, at the rate that was measured.
const TARGET_DURATION: Duration = Duration::from_secs(4);
/// A part by which the rate must grow before one more shard flies.
const GROWTH_TO_WIDEN: f64 = 1.1;

/// The size of shards, and their number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shards {
    /// Shards on their way at once; without a number it follows the rate.
    pub parallel: Option<usize>,
    /// Bytes of the first shards, and of the smallest later ones.
    pub first: u64,
    /// Bytes of the largest.
    pub largest: u64,
}

impl Default for Shards {
    fn default() -> Self {
        Self {
            parallel: None,
            first: 8 * MIB,
            largest: 64 * MIB,
        }
    }
}

/// Returns whether a file goes in parts: one that is not much larger than a shard is a shard of its own.
pub(crate) fn is_large(data: u64, size: u64) -> bool {
    data > size.saturating_mul(2)
}

/// Sizes of the parts of one file, in whole blocks: the first are small, so that both ends are busy early, and later ones cost fewer commands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PartSizes {
    pub(crate) first: u64,
    pub(crate) largest: u64,
}

impl PartSizes {
    /// Of the part with this number.
    pub(crate) fn of(self, number: usize) -> u64 {
        let doublings = u32::try_from(number / FIRST_WINDOW).unwrap_or(u32::MAX);
        let size = self
            .first
            .saturating_mul(1_u64.checked_shl(doublings).unwrap_or(u64::MAX));
        let size = size.min(self.largest.max(self.first));
        (size / BLOCK).max(1) * BLOCK
    }
}

/// What lies between parts in order.
pub(crate) fn gaps(there: &[Range<u64>], size: u64) -> Vec<Range<u64>> {
    let ends = there.iter().map(|part| part.end);
    let starts = there.iter().map(|part| part.start);
    let gaps = std::iter::once(0)
        .chain(ends)
        .zip(starts.chain(std::iter::once(size)));
    let gaps = gaps.filter(|(from, to)| from < to);
    gaps.map(|(from, to)| from..to).collect()
}

/// Measures a transfer to size what comes next.
#[derive(Debug)]
pub(crate) struct Limiter {
    shards: Shards,
    state: Mutex<Rates>,
    /// As many as the window is wide.
    permits: Semaphore,
}

#[derive(Debug)]
struct Rates {
    started: Instant,
    bytes: u64,
    window: usize,
    /// Shards and bytes since the window was last looked at.
    finished: usize,
    round_bytes: u64,
    round_started: Instant,
    rate: f64,
}

impl Limiter {
    pub(crate) fn new(shards: Shards) -> Self {
        let now = Instant::now();
        let window = shards
            .parallel
            .map_or(FIRST_WINDOW, |most| most.clamp(1, FIRST_WINDOW));
        Self {
            shards,
            state: Mutex::new(Rates {
                started: now,
                bytes: 0,
                window,
                finished: 0,
                round_bytes: 0,
                round_started: now,
                rate: 0.0,
            }),
            permits: Semaphore::new(window),
        }
    }

    /// Bytes for the next shard: what one of those on their way moves in four seconds. Of the `left` bytes only a share is taken, so that
    /// the last ones are small and all are unpacked soon after the link falls idle.
    pub(crate) fn size(&self, left: u64) -> u64 {
        let state = self.state();
        let seconds = state.started.elapsed().as_secs_f64();
        if state.bytes == 0 || seconds <= 0.0 {
            return self.shards.first;
        }
        let rate = state.bytes as f64 / seconds / state.window as f64;
        let size = (rate * TARGET_DURATION.as_secs_f64()).min(self.shards.largest as f64);
        let share = left / state.window as u64;
        (size as u64).min(share).clamp(
            self.shards.first,
            self.shards.largest.max(self.shards.first),
        )
    }

    /// Sizes of the parts of a file, from the next shard's on.
    pub(crate) fn parts(&self, left: u64) -> PartSizes {
        PartSizes {
            first: self.size(left),
            largest: self.shards.largest,
        }
    }

    /// How many shards may be at work: those on the link, and unless the caller set their number, some beside it.
    pub(crate) fn most_tasks(&self) -> usize {
        let beside = if self.shards.parallel.is_some() {
            0
        } else {
            PREPARED_BESIDE
        };
        self.state().window + beside
    }

    /// Waits for a place on the link, which is free again when the answer is dropped.
    pub(crate) async fn acquire(&self) -> Option<SemaphorePermit<'_>> {
        // It is never closed.
        self.permits.acquire().await.ok()
    }

    /// Notes a shard that arrived.
    pub(crate) fn record(&self, bytes: u64) {
        let most = self.shards.parallel.unwrap_or(LARGEST_WINDOW).max(1);
        let now = Instant::now();
        let mut state = self.state();
        state.bytes = state.bytes.saturating_add(bytes);
        state.round_bytes = state.round_bytes.saturating_add(bytes);
        state.finished += 1;
        if state.finished < state.window {
            return;
        }
        let seconds = now.duration_since(state.round_started).as_secs_f64();
        let rate = state.round_bytes as f64 / seconds.max(0.001);
        if rate > state.rate * GROWTH_TO_WIDEN && state.window < most {
            state.window += 1;
            self.permits.add_permits(1);
        }
        state.rate = rate;
        state.finished = 0;
        state.round_bytes = 0;
        state.round_started = now;
    }

    fn state(&self) -> MutexGuard<'_, Rates> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_file_grow_up_to_the_largest() {
        let sizes = PartSizes {
            first: 8 * MIB + 1,
            largest: 64 * MIB,
        };
        let mib = |number| sizes.of(number) / MIB;
        assert_eq!(
            [mib(0), mib(3), mib(4), mib(8), mib(12), mib(usize::MAX)],
            [8, 8, 16, 32, 64, 64]
        );
    }

    #[test]
    fn the_first_shards_are_small_and_a_number_bounds_how_many_run() {
        let limiter = Limiter::new(Shards::default());
        assert_eq!((limiter.size(u64::MAX), limiter.most_tasks()), (8 * MIB, 6));
        for _ in 0..100 {
            limiter.record(1 << 40);
        }
        assert_eq!(limiter.size(u64::MAX), 64 * MIB);
        assert!((7..=10).contains(&limiter.most_tasks()));
        assert_eq!(limiter.size(0), 8 * MIB);
        let two = Limiter::new(Shards {
            parallel: Some(2),
            ..Shards::default()
        });
        for _ in 0..10 {
            two.record(1 << 40);
        }
        assert_eq!(two.most_tasks(), 2);
    }
}
