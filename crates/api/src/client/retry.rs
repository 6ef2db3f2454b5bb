//! What may be sent again, and when. The rules are those of the contract's protocol notes, section 4.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::time::{Duration, SystemTime};

use reqwest::StatusCode;
use reqwest::header::HeaderMap;

/// Whether an operation may be repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Retry {
    /// After a failed connection, a time-out, 408, 429 or 5xx.
    Allowed,
    /// Sent once, whatever happens: a repeat could launch or run something twice.
    Never,
}

/// The longest wait that a server may ask for.
const LONGEST_ASKED: Duration = Duration::from_secs(60);

/// Returns whether an answer with this status may be asked for again. The server's `x-should-retry` decides first.
pub(crate) fn status_may_pass(status: StatusCode, headers: &HeaderMap) -> bool {
    match headers
        .get("x-should-retry")
        .map(reqwest::header::HeaderValue::as_bytes)
    {
        Some(b"true") => true,
        Some(b"false") => false,
        _ => {
            status == StatusCode::REQUEST_TIMEOUT
                || status == StatusCode::TOO_MANY_REQUESTS
                || status.is_server_error()
        }
    }
}

/// How long to wait before try number `attempt` + 1, counted from 0.
pub(crate) fn delay(attempt: u32, headers: Option<&HeaderMap>) -> Duration {
    if let Some(asked) = headers.and_then(asked_for) {
        return asked;
    }
    let longest =
        Duration::from_millis(500 * 2_u64.pow(attempt.min(4))).min(Duration::from_secs(8));
    longest.mul_f64(1.0 - 0.25 * random_fraction())
}

/// A random number from 0 up to 1.
pub(crate) fn random_fraction() -> f64 {
    // Each of these hashers begins with random keys.
    let bits = RandomState::new().build_hasher().finish() as u32;
    f64::from(bits) / (f64::from(u32::MAX) + 1.0)
}

fn asked_for(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok();
    let asked = text("retry-after-ms")
        .and_then(|value| value.trim().parse::<f64>().ok())
        .map(|milliseconds| milliseconds / 1000.0)
        .or_else(|| text("retry-after").and_then(seconds_of))?;
    let usable = asked.is_finite() && asked > 0.0 && asked <= LONGEST_ASKED.as_secs_f64();
    usable.then(|| Duration::from_secs_f64(asked))
}

/// Seconds, or an HTTP date.
fn seconds_of(value: &str) -> Option<f64> {
    if let Ok(seconds) = value.trim().parse::<f64>() {
        return Some(seconds);
    }
    let date = jiff::fmt::rfc2822::DateTimeParser::new()
        .parse_timestamp(value.trim())
        .ok()?;
    let until = SystemTime::from(date)
        .duration_since(SystemTime::now())
        .ok()?;
    Some(until.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn the_wait_doubles_from_half_a_second_to_eight_and_is_shortened_by_a_quarter_at_most() {
        for (attempt, longest) in [(0, 0.5), (1, 1.0), (3, 4.0), (4, 8.0), (9, 8.0)] {
            let seconds = delay(attempt, None).as_secs_f64();
            assert!(
                seconds <= longest && seconds > longest * 0.75 - 0.001,
                "{attempt}: {seconds}"
            );
        }
    }

    #[test]
    fn no_two_waits_are_alike() {
        let some: Vec<f64> = (0..64).map(|_| random_fraction()).collect();
        assert!(some.iter().all(|fraction| (0.0..1.0).contains(fraction)));
        assert!(some.iter().any(|fraction| *fraction < 0.5));
        assert!(some.iter().any(|fraction| *fraction >= 0.5));
    }

    #[test]
    fn a_server_may_ask_for_a_wait_of_up_to_a_minute() {
        let wait = |pairs: &[(&'static str, &str)]| delay(0, Some(&headers(pairs)));
        assert_eq!(wait(&[("retry-after", "1.5")]), Duration::from_millis(1500));
        assert_eq!(
            wait(&[("retry-after-ms", "20"), ("retry-after", "9")]),
            Duration::from_millis(20)
        );
        assert!(wait(&[("retry-after", "61")]) <= Duration::from_millis(500));
        assert!(wait(&[("retry-after", "-1")]) <= Duration::from_millis(500));
    }

    #[test]
    fn an_http_date_counts_as_a_wait() {
        assert!(seconds_of("Wed, 21 Oct 2099 07:28:00 GMT").unwrap() > 1e9);
        assert_eq!(seconds_of("Wed, 21 Oct 2015 07:28:00 GMT"), None);
    }

    #[test]
    fn the_server_overrules_the_rule_by_status() {
        let none = HeaderMap::new();
        assert!(status_may_pass(StatusCode::BAD_GATEWAY, &none));
        assert!(!status_may_pass(StatusCode::CONFLICT, &none));
        assert!(status_may_pass(
            StatusCode::CONFLICT,
            &headers(&[("x-should-retry", "true")])
        ));
        assert!(!status_may_pass(
            StatusCode::BAD_GATEWAY,
            &headers(&[("x-should-retry", "false")])
        ));
    }
}
