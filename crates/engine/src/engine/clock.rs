//! Times as the contract writes them.

use jiff::Timestamp;

use crate::store::timers::Moment;

/// Now, in RFC 3339 with microseconds.
pub(super) fn now() -> String {
    format!("{:.6}", Timestamp::now())
}

/// Now, in milliseconds of Unix time.
pub(super) fn now_ms() -> i64 {
    Timestamp::now().as_millisecond()
}

/// Now, on the clock that is shown and on the one that TTLs act by.
pub(super) fn moment() -> Moment {
    Moment::now()
}
