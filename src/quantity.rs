//! Durations and sizes as people type them: `1h30m`, `500ms`, `10GiB`, `512M`.

use std::time::Duration;

/// A duration or size that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    #[error("not a duration: use 500ms, 30s, 5m, 1h30m or plain seconds")]
    NoDuration,
    #[error("the units must go from large to small, each once, as in 1h30m")]
    UnitOrder,
    #[error("not a size: use 512M, 10GiB or plain bytes")]
    NoSize,
    #[error("too large")]
    TooLarge,
}

const NANOS_PER_SECOND: u128 = 1_000_000_000;

/// Units of a duration in nanoseconds, from large to small.
const TIME_UNITS: [(&str, u128); 5] = [
    ("d", 86_400 * NANOS_PER_SECOND),
    ("h", 3_600 * NANOS_PER_SECOND),
    ("m", 60 * NANOS_PER_SECOND),
    ("s", NANOS_PER_SECOND),
    ("ms", 1_000_000),
];

/// Reads a duration: numbers with the units `d h m s ms`, or bare seconds; fractions are allowed.
///
/// # Errors
/// Anything else, units out of order, and what exceeds 64 bits of seconds.
pub fn parse_duration(text: &str) -> Result<Duration, QuantityError> {
    let no_duration = || QuantityError::NoDuration;
    let too_large = || QuantityError::TooLarge;
    let mut rest = text.trim();
    let mut nanos: u128 = 0;
    let mut next_unit = 0;
    let bare = rest.ends_with(|c: char| c.is_ascii_digit() || c == '.');
    loop {
        let number = Number::take(&mut rest).ok_or_else(no_duration)?;
        let unit_length = rest
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(rest.len());
        let (unit, after) = rest.split_at(unit_length);
        rest = after;
        let scale = if bare {
            if !unit.is_empty() || !rest.is_empty() {
                return Err(no_duration());
            }
            NANOS_PER_SECOND
        } else {
            let index = TIME_UNITS
                .iter()
                .position(|(name, _)| *name == unit)
                .ok_or_else(no_duration)?;
            if index < next_unit {
                return Err(QuantityError::UnitOrder);
            }
            next_unit = index + 1;
            TIME_UNITS[index].1
        };
        nanos = number
            .times(scale)
            .and_then(|part| nanos.checked_add(part))
            .ok_or_else(too_large)?;
        if rest.is_empty() {
            break;
        }
    }
    let seconds = u64::try_from(nanos / NANOS_PER_SECOND).map_err(|_| too_large())?;
    Ok(Duration::from_secs(seconds) + Duration::from_nanos((nanos % NANOS_PER_SECOND) as u64))
}

/// Reads a size in bytes: `K M G T` and `KiB MiB GiB TiB` are powers of 1024, `KB MB GB TB` of 1000; fractions and
/// any case are allowed.
///
/// # Errors
/// Anything else, and what exceeds 64 bits.
pub fn parse_size(text: &str) -> Result<u64, QuantityError> {
    let no_size = || QuantityError::NoSize;
    let mut rest = text.trim();
    let number = Number::take(&mut rest).ok_or_else(no_size)?;
    let unit = rest.trim_start().to_ascii_lowercase();
    let (prefix, base): (&str, u128) = match unit.as_str() {
        "" | "b" => ("", 1),
        unit => match unit.strip_suffix("ib") {
            Some(prefix) => (prefix, 1024),
            None => match unit.strip_suffix('b') {
                Some(prefix) => (prefix, 1000),
                None => (unit, 1024),
            },
        },
    };
    let power = match prefix {
        "" if base == 1 => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        _ => return Err(no_size()),
    };
    let bytes = number
        .times(base.pow(power))
        .and_then(|bytes| u64::try_from(bytes).ok());
    bytes.ok_or(QuantityError::TooLarge)
}

/// A decimal number, exact: `digits / 10^decimals`.
struct Number {
    digits: u128,
    decimals: u32,
}

impl Number {
    /// Takes `12` or `1.5` off the front of `rest`; `None` when no such number stands there.
    fn take(rest: &mut &str) -> Option<Self> {
        let length = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len());
        let (number, after) = rest.split_at(length);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
        // 18 digits after the point are finer than a nanosecond of a day and a byte of an exabyte
        if whole.is_empty() || fraction.is_empty() || fraction.contains('.') || fraction.len() > 18
        {
            return None;
        }
        let decimals = fraction.len() as u32;
        let digits = whole.parse::<u64>().map_or(u128::MAX, u128::from);
        let digits = digits
            .saturating_mul(10_u128.pow(decimals))
            .saturating_add(fraction.parse().ok()?);
        *rest = after;
        Some(Self { digits, decimals })
    }

    /// The number of small units in this many large ones, rounded down; `None` on overflow.
    fn times(&self, scale: u128) -> Option<u128> {
        Some(self.digits.checked_mul(scale)? / 10_u128.pow(self.decimals))
    }
}

/// Returns a parser of whole numbers from `low` to `high`.
pub fn whole_number(low: u16, high: u16) -> impl Fn(&str) -> Result<u16, String> + Clone {
    move |text| {
        let number = text.trim().parse().ok();
        number
            .filter(|number| (low..=high).contains(number))
            .ok_or_else(|| format!("must be a whole number from {low} to {high}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_in_every_written_form() {
        for (text, millis) in [
            ("500ms", 500),
            ("30s", 30_000),
            ("5m", 300_000),
            ("1h30m", 5_400_000),
            ("2d", 172_800_000),
            ("90", 90_000),
            ("0", 0),
            ("2.5", 2_500),
            ("1.5h", 5_400_000),
            ("1m0.25s", 60_250),
            (" 3s ", 3_000),
        ] {
            assert_eq!(
                parse_duration(text),
                Ok(Duration::from_millis(millis)),
                "{text}"
            );
        }
    }

    #[test]
    fn a_wrong_duration_is_named_in_the_message() {
        for text in [
            "", "s", "5x", "-5s", "1h30", "5 m", "1..5s", "1.s", ".5s", "5M", "1e3",
        ] {
            assert_eq!(
                parse_duration(text),
                Err(QuantityError::NoDuration),
                "{text}"
            );
        }
        for text in ["30m1h", "1s1s"] {
            assert_eq!(
                parse_duration(text),
                Err(QuantityError::UnitOrder),
                "{text}"
            );
        }
        for text in [
            "99999999999999999999",
            "99999999999999999999d",
            "18446744073709551615d",
        ] {
            assert_eq!(parse_duration(text), Err(QuantityError::TooLarge), "{text}");
        }
        assert_eq!(
            parse_duration("5x").unwrap_err().to_string(),
            "not a duration: use 500ms, 30s, 5m, 1h30m or plain seconds"
        );
    }

    #[test]
    fn sizes_are_read_in_every_written_form() {
        for (text, bytes) in [
            ("0", 0),
            ("1024", 1024),
            ("7b", 7),
            ("512M", 512 << 20),
            ("10GiB", 10 << 30),
            ("10 gib", 10 << 30),
            ("1k", 1024),
            ("2TB", 2_000_000_000_000),
            ("1.5G", 3 << 29),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn a_wrong_size_is_named_in_the_message() {
        for text in ["", "G", "ib", "10X", "10iB", "-1", "1GiBs", "0x10", "1_000"] {
            assert_eq!(parse_size(text), Err(QuantityError::NoSize), "{text}");
        }
        for text in ["16777216T", "18446744073709551616"] {
            assert_eq!(parse_size(text), Err(QuantityError::TooLarge), "{text}");
        }
    }
}
