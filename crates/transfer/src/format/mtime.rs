//! A time of a file, to the nanosecond, before and after 1970.

use std::fmt;

const BILLION: u32 = 1_000_000_000;
/// What Windows counts times in.
const TICK_NANOS: u32 = 100;

/// Seconds since 1970, rounded down, and the nanoseconds on top.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Mtime {
    pub(crate) seconds: i64,
    pub(crate) nanos: u32,
}

impl Mtime {
    /// Returns whether both are one time, as far as both systems keep it: some keep whole seconds only, some tenths of a microsecond.
    pub(crate) fn agrees_with(self, other: Self) -> bool {
        let is_kept_as = |one: u32, other: u32| {
            other == 0 || other.is_multiple_of(TICK_NANOS) && one / TICK_NANOS == other / TICK_NANOS
        };
        let (one, two) = (self.nanos, other.nanos);
        let agrees = one == two || is_kept_as(one, two) || is_kept_as(two, one);
        self.seconds == other.seconds && agrees
    }

    /// Reads a decimal number of seconds, as in a PAX record or from `stat`. Parts below a nanosecond are dropped.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (negative, digits) = text
            .strip_prefix('-')
            .map_or((false, text), |rest| (true, rest));
        let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
        let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !plain(whole) || !plain(part) || text.len() > 64 {
            return None;
        }
        let seconds: i64 = whole.parse().ok()?;
        let nanos: u32 = format!("{part:0<9}").get(..9)?.parse().ok()?;
        Some(match (negative, nanos) {
            (false, nanos) => Self { seconds, nanos },
            (true, 0) => Self {
                seconds: -seconds,
                nanos: 0,
            },
            (true, nanos) => Self {
                seconds: -seconds - 1,
                nanos: BILLION - nanos,
            },
        })
    }
}

impl fmt::Display for Mtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self { seconds, nanos: 0 } => write!(f, "{seconds}"),
            Self { seconds, nanos } if *seconds < 0 => {
                write!(f, "-{}.{:09}", -(seconds + 1), BILLION - nanos)
            }
            Self { seconds, nanos } => write!(f, "{seconds}.{nanos:09}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_agree_as_far_as_both_systems_keep_them() {
        let at = |seconds, nanos| Mtime { seconds, nanos };
        let full = at(4, 123_456_789);
        for kept in [full, at(4, 123_456_700), at(4, 0)] {
            assert!(full.agrees_with(kept) && kept.agrees_with(full));
        }
        for other in [
            at(5, 123_456_789),
            at(4, 123_456_780),
            at(4, 123_456_800),
            at(5, 0),
        ] {
            assert!(!full.agrees_with(other) && !other.agrees_with(full));
        }
    }

    #[test]
    fn reads_what_it_writes() {
        for (text, seconds, nanos) in [
            ("0", 0, 0),
            ("1700000000.123456789", 1_700_000_000, 123_456_789),
            ("-100.876543211", -101, 123_456_789),
            ("-5", -5, 0),
            ("-0.500000000", -1, 500_000_000),
        ] {
            let moment = Mtime { seconds, nanos };
            assert_eq!(Mtime::parse(text), Some(moment));
            assert_eq!(moment.to_string(), text);
        }
        assert_eq!(
            Mtime::parse("1.5"),
            Some(Mtime {
                seconds: 1,
                nanos: 500_000_000
            })
        );
        for nonsense in ["", "-", ".5", "1e9", "+1", "1.-2", "99999999999999999999"] {
            assert_eq!(Mtime::parse(nonsense), None, "{nonsense}");
        }
    }
}
