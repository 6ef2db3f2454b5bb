//! Ages, durations and sizes as people read them.

use std::time::Duration;

use jiff::Timestamp;

/// The clock of one table: all its ages are measured from the same moment.
#[derive(Clone, Copy, Debug)]
pub struct Now(pub Timestamp);

impl Now {
    /// Reads the clock of this machine.
    pub fn read() -> Self {
        Self(Timestamp::now())
    }

    /// Age of an RFC 3339 time: `now`, `42s`, `3m`, `2h`, `5d`, `3y`; text that is no time comes back as it is.
    pub fn age(&self, time: &str) -> String {
        match time.parse::<Timestamp>() {
            Ok(then) => self.age_of(then),
            Err(_) => time.to_owned(),
        }
    }

    /// Age of an RFC 3339 time in whole seconds, for programs; empty for text that is no time.
    pub fn seconds(&self, time: &str) -> String {
        let age = |then| self.0.duration_since(then).as_secs().max(0).to_string();
        time.parse::<Timestamp>().map(age).unwrap_or_default()
    }

    /// Age of a moment; one that the clocks disagree about, so that it lies ahead, is `now`.
    pub fn age_of(&self, then: Timestamp) -> String {
        let seconds = self.0.duration_since(then).as_secs().max(0);
        let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
        match seconds {
            0 => "now".to_owned(),
            1..60 => format!("{seconds}s"),
            60..3_600 => format!("{minutes}m"),
            3_600..86_400 => format!("{hours}h"),
            _ if days < 730 => format!("{days}d"),
            _ => format!("{}y", days / 365),
        }
    }
}

/// A length of time: `850 ms`, `1.4 s`, `42 s`, `2m05s`, `1h02m`, `3d04h`.
pub fn duration(length: Duration) -> String {
    let (seconds, millis) = (length.as_secs(), length.as_millis());
    match seconds {
        0 => format!("{millis} ms"),
        1..10 => format!("{seconds}.{} s", length.subsec_millis() / 100),
        10..60 => format!("{seconds} s"),
        60..3_600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}h{:02}m", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{}d{:02}h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

/// A size in bytes: `512 B`, `18.2 MiB`.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    // 1023.95 would be written as 1024.0
    while value >= 1023.95 {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_use_the_largest_unit() {
        let now = Now("2026-01-02T03:04:05Z".parse().unwrap());
        for (time, age) in [
            ("2026-01-02T03:04:05.9Z", "now"),
            ("2026-01-02T03:04:04.9Z", "now"),
            ("2027-01-01T00:00:00Z", "now"),
            ("2026-01-02T03:03:06Z", "59s"),
            ("2026-01-02T03:00:05.123456789Z", "3m"),
            ("2026-01-02T01:00:00+00:00", "2h"),
            ("2025-12-28T00:00:00Z", "5d"),
            ("2022-01-01T00:00:00Z", "4y"),
            ("yesterday", "yesterday"),
        ] {
            assert_eq!(now.age(time), age, "{time}");
        }
    }

    #[test]
    fn durations_keep_two_useful_digits() {
        for (millis, text) in [
            (0, "0 ms"),
            (850, "850 ms"),
            (1_449, "1.4 s"),
            (9_999, "9.9 s"),
            (42_000, "42 s"),
            (125_000, "2m05s"),
            (3_720_000, "1h02m"),
            (273_600_000, "3d04h"),
        ] {
            assert_eq!(duration(Duration::from_millis(millis)), text);
        }
    }

    #[test]
    fn sizes_are_binary_with_one_decimal() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (19_084_083, "18.2 MiB"),
            ((1 << 20) - 1, "1.0 MiB"),
            (u64::MAX, "16.0 EiB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }
}
