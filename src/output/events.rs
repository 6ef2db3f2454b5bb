//! What the libraries tell with `tracing`, on stderr.

use std::fmt::{self, Write as _};
use std::sync::Arc;

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use super::messages::Messages;

/// The requests that an engine answers.
const ANSWERED: &str = "fastvm_engine::http";

/// Which events are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EventFilter {
    most: LevelFilter,
    answered: bool,
}

impl EventFilter {
    /// For a command: nothing but what `-v`, `-vv` and `-vvv` ask for. What its own engine answers, the client tells.
    pub(crate) fn by_a_command(verbose: u8) -> Self {
        Self {
            most: level(verbose),
            answered: false,
        }
    }

    /// For an engine that serves others: what fails in the background, and with `-v` each request.
    pub(crate) fn by_a_server(verbose: u8) -> Self {
        Self {
            most: level(verbose).max(LevelFilter::WARN),
            answered: true,
        }
    }

    fn takes(self, event: &Metadata<'_>) -> bool {
        let target = event.target();
        target.starts_with("fastvm")
            && *event.level() <= self.most
            && (self.answered || !target.starts_with(ANSWERED))
    }
}

fn level(verbose: u8) -> LevelFilter {
    match verbose {
        0 => LevelFilter::OFF,
        1 => LevelFilter::INFO,
        2 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    }
}

/// Shows events from now on, until the process ends. Without this call an event costs one comparison.
pub(crate) fn show(messages: Arc<Messages>, filter: EventFilter) {
    if filter.most == LevelFilter::OFF {
        return;
    }
    // There is one already only where a test runs several commands in one process.
    tracing::subscriber::set_global_default(Events { messages, filter }).ok();
}

struct Events {
    messages: Arc<Messages>,
    filter: EventFilter,
}

impl Subscriber for Events {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        !metadata.is_span() && self.filter.takes(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.filter.most)
    }

    fn event(&self, event: &Event<'_>) {
        let mut line = Line::default();
        event.record(&mut line);
        if *event.metadata().level() <= Level::WARN {
            self.messages.warn(&line.0);
        } else {
            self.messages.event(&line.0);
        }
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// The text of an event: its message, then its fields.
#[derive(Default)]
struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a string cannot fail.
        let _ = match field.name() {
            "message" => write!(self.0, "{value:?}"),
            name => write!(self.0, " {name}={value:?}"),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_v_shows_more() {
        let most = |verbose| EventFilter::by_a_command(verbose).most;
        assert_eq!(most(0), LevelFilter::OFF);
        assert!(most(0) < most(1) && most(1) < most(2) && most(2) < most(3));
        assert_eq!(most(3), most(200));
        assert_eq!(EventFilter::by_a_server(0).most, LevelFilter::WARN);
    }
}
