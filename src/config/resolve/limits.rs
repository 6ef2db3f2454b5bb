//! How long, how often, and whether to ask.

use std::time::Duration;

use super::{DEFAULT_SOURCE, Sourced};
use crate::config::{Environment, Error};
use crate::quantity;

const REQUEST: Duration = Duration::from_secs(60);
const CONNECT: Duration = Duration::from_secs(10);
const RETRIES: u32 = 2;

pub(super) fn timeout(
    option: Option<Duration>,
    environment: &Environment,
) -> Result<Sourced<Duration>, Error> {
    let limit = match (option, &environment.timeout) {
        (Some(limit), _) => Sourced::new(limit, "--timeout"),
        (None, Some(text)) => {
            let limit = quantity::parse_duration(text).map_err(|error| {
                Error::value(
                    Environment::TIMEOUT,
                    format!("invalid value {text:?}: {error}"),
                )
            })?;
            Sourced::new(limit, Environment::TIMEOUT)
        }
        (None, None) => Sourced::new(REQUEST, DEFAULT_SOURCE),
    };
    above_zero(&limit.source, limit.value)?;
    Ok(limit)
}

pub(super) fn connect_timeout(option: Option<Duration>) -> Result<Sourced<Duration>, Error> {
    let limit = match option {
        Some(limit) => Sourced::new(limit, "--connect-timeout"),
        None => Sourced::new(CONNECT, DEFAULT_SOURCE),
    };
    above_zero(&limit.source, limit.value)?;
    Ok(limit)
}

pub(super) fn retries(
    option: Option<u32>,
    environment: &Environment,
) -> Result<Sourced<u32>, Error> {
    match (option, &environment.retries) {
        (Some(retries), _) => Ok(Sourced::new(retries, "--retries")),
        (None, Some(text)) => match text.trim().parse() {
            Ok(retries) => Ok(Sourced::new(retries, Environment::RETRIES)),
            Err(_) => Err(Error::value(
                Environment::RETRIES,
                "give a number, such as 2",
            )),
        },
        (None, None) => Ok(Sourced::new(RETRIES, DEFAULT_SOURCE)),
    }
}

pub(super) fn no_input(option: bool, environment: &Environment) -> Result<Sourced<bool>, Error> {
    if option {
        return Ok(Sourced::new(true, "--no-input"));
    }
    let Some(text) = &environment.no_input else {
        return Ok(Sourced::new(false, DEFAULT_SOURCE));
    };
    let never_asks = match text.trim().to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" | "on" => true,
        "0" | "false" | "no" | "off" => false,
        _ => return Err(Error::value(Environment::NO_INPUT, "give 1 or 0")),
    };
    Ok(Sourced::new(never_asks, Environment::NO_INPUT))
}

fn above_zero(setting: &str, limit: Duration) -> Result<(), Error> {
    match limit.is_zero() {
        true => Err(Error::value(setting, "give more than 0")),
        false => Ok(()),
    }
}
