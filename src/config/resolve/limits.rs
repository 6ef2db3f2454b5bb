//! How long, how often, and whether to ask.

use std::time::Duration;

use crate::config::{Environment, Error};
use crate::quantity;

const REQUEST: Duration = Duration::from_secs(60);
const CONNECT: Duration = Duration::from_secs(10);
const RETRIES: u32 = 2;

pub(super) fn timeout(
    option: Option<Duration>,
    environment: &Environment,
) -> Result<Duration, Error> {
    match (option, &environment.timeout) {
        (Some(limit), _) => above_zero("--timeout", limit),
        (None, Some(text)) => {
            let limit = quantity::parse_duration(text)
                .map_err(|error| Error::value(Environment::TIMEOUT, error.to_string()))?;
            above_zero(Environment::TIMEOUT, limit)
        }
        (None, None) => Ok(REQUEST),
    }
}

pub(super) fn connect_timeout(option: Option<Duration>) -> Result<Duration, Error> {
    above_zero("--connect-timeout", option.unwrap_or(CONNECT))
}

pub(super) fn retries(option: Option<u32>, environment: &Environment) -> Result<u32, Error> {
    match (option, &environment.retries) {
        (Some(retries), _) => Ok(retries),
        (None, Some(text)) => text
            .trim()
            .parse()
            .map_err(|_| Error::value(Environment::RETRIES, "give a number, such as 2")),
        (None, None) => Ok(RETRIES),
    }
}

pub(super) fn no_input(environment: &Environment) -> Result<bool, Error> {
    let Some(text) = &environment.no_input else {
        return Ok(false);
    };
    match text.trim().to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" | "on" => Ok(true),
        "0" | "false" | "no" | "off" => Ok(false),
        _ => Err(Error::value(Environment::NO_INPUT, "give 1 or 0")),
    }
}

fn above_zero(setting: &str, limit: Duration) -> Result<Duration, Error> {
    match limit.is_zero() {
        true => Err(Error::value(setting, "give more than 0")),
        false => Ok(limit),
    }
}
