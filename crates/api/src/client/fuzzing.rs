//! The entry of a fuzz target: answers of a hostile server to a streaming command, and what reading them promises.
//!
//! It panics when a promise is broken. `fuzz/` feeds it random bytes; a test here feeds it the seeds that are kept.

use super::exec::Event;
use super::exec_events::{EventReader, Fault};

/// Reads the answer of a streaming command in one piece and in several: the events must be the same.
pub fn exec_events(bytes: &[u8]) {
    let Some((size, stream)) = bytes.split_first() else {
        return;
    };
    let (whole, ending) = events(stream, stream.len().max(1));
    let data: usize = whole
        .iter()
        .map(|event| match event {
            Event::Stdout(data) | Event::Stderr(data) => data.len(),
            Event::Exit(_) => 0,
        })
        .sum();
    assert!(data <= stream.len(), "an event holds more than was sent");
    assert_eq!(
        (whole, ending),
        events(stream, usize::from(*size) + 1),
        "pieces of {} bytes are read otherwise",
        usize::from(*size) + 1
    );
}

fn events(stream: &[u8], piece: usize) -> (Vec<Event>, Option<Fault>) {
    let mut reader = EventReader::default();
    let mut events = Vec::new();
    let mut pieces = stream.chunks(piece);
    loop {
        let had_more = reader.has_more();
        match reader.next() {
            Ok(Some(event)) => {
                assert!(had_more, "an event came without its line");
                events.push(event);
                continue;
            }
            Ok(None) => {}
            Err(fault) => return (events, Some(fault)),
        }
        match pieces.next() {
            Some(piece) => reader.feed(piece),
            None if reader.end() => {}
            None => return (events, None),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    #[test]
    fn every_stream_that_is_kept_gives_the_same_events_in_pieces() {
        let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds/exec_events");
        let mut count = 0;
        for seed in fs::read_dir(seeds).unwrap() {
            exec_events(&fs::read(seed.unwrap().path()).unwrap());
            count += 1;
        }
        assert!(count > 0);
    }
}
