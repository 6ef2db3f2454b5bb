//! `DUR[:pause|delete]`: a timer on the command line.

use std::str::FromStr;
use std::time::Duration;

use crate::quantity::parse_duration;
use fastvm_api::types::vm::{LONGEST_TTL, Ttl};

/// What a timer does where nothing says it: the one that destroys nothing.
const DEFAULT_ACTION: &str = "pause";

/// A timer as typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TtlText {
    seconds: i64,
    action: Option<String>,
}

impl FromStr for TtlText {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (length, action) = match text.split_once(':') {
            Some((length, action)) => (length, Some(action)),
            None => (text, None),
        };
        if let Some(action) = action.filter(|action| !["pause", "delete"].contains(action)) {
            return Err(format!("the action {action:?} is neither pause nor delete"));
        }
        let length = self::length(length)?;
        Ok(Self {
            seconds: i64::try_from(length.as_secs()).unwrap_or(LONGEST_TTL),
            action: action.map(str::to_owned),
        })
    }
}

/// The length of a timer's cycle.
pub(crate) fn length(text: &str) -> Result<Duration, String> {
    let length = parse_duration(text).map_err(|error| error.to_string())?;
    let seconds = i64::try_from(length.as_secs()).unwrap_or(i64::MAX);
    if length.subsec_nanos() != 0 || !(1..=LONGEST_TTL).contains(&seconds) {
        return Err(format!(
            "must be whole seconds from 1s to 365d ({LONGEST_TTL} s)"
        ));
    }
    Ok(length)
}

impl TtlText {
    /// The timer; without an action it keeps that of the `present` one, or pauses.
    pub(crate) fn over(&self, present: Option<&Ttl>) -> Ttl {
        let kept = || present.map_or(DEFAULT_ACTION, |ttl| &ttl.action).to_owned();
        Ttl {
            action: self.action.clone().unwrap_or_else(kept),
            seconds: self.seconds,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_that_is_not_typed_stays_or_pauses() {
        let present = Ttl {
            action: "delete".to_owned(),
            seconds: 5,
        };
        let ttl: TtlText = "1h".parse().unwrap();
        assert_eq!(ttl.over(None).action, "pause");
        assert_eq!(ttl.over(Some(&present)).action, "delete");
        assert_eq!(ttl.over(None).seconds, 3600);
        assert_eq!(
            "2d:delete".parse::<TtlText>().unwrap().over(None).action,
            "delete"
        );
    }

    #[test]
    fn a_timer_has_limits() {
        for text in ["0", "366d", "500ms", "1h:stop", "1h:", ":pause", ""] {
            assert!(text.parse::<TtlText>().is_err(), "{text}");
        }
        assert!("365d".parse::<TtlText>().is_ok());
    }
}
