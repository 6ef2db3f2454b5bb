//! Whole lines with the name of their VM in front, so that those of several VMs never mix.

use memchr::memchr_iter;

/// A line longer than this is printed in parts, in bytes: nobody waits for the end of a file without line ends.
const LONGEST: usize = 1024 * 1024;

/// One stream of one VM.
#[derive(Debug)]
pub(super) struct Lines {
    prefix: Vec<u8>,
    /// The beginning of a line that has not ended.
    held: Vec<u8>,
}

impl Lines {
    /// Lines with a prefix.
    pub(super) fn new(prefix: &str) -> Self {
        Self {
            prefix: prefix.as_bytes().to_vec(),
            held: Vec::new(),
        }
    }

    /// Takes bytes and gives back the lines that are whole by now.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut ready = Vec::new();
        let mut start = 0;
        for end in memchr_iter(b'\n', bytes) {
            self.line(&bytes[start..end], &mut ready);
            start = end + 1;
        }
        self.held.extend_from_slice(&bytes[start..]);
        if self.held.len() > LONGEST {
            self.line(b"", &mut ready);
        }
        ready
    }

    /// The last line, if it lacks its end.
    pub(super) fn rest(&mut self) -> Vec<u8> {
        let mut ready = Vec::new();
        if !self.held.is_empty() {
            self.line(b"", &mut ready);
        }
        ready
    }

    fn line(&mut self, end: &[u8], ready: &mut Vec<u8>) {
        ready.extend_from_slice(&self.prefix);
        ready.append(&mut self.held);
        ready.extend_from_slice(end);
        ready.push(b'\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_lines_come_out_and_the_rest_at_the_end() {
        let mut lines = Lines::new("a | ");
        assert_eq!(lines.take(b"one\ntw"), b"a | one\n");
        assert_eq!(lines.take(b"o\n\nthree"), b"a | two\na | \n");
        assert_eq!(lines.rest(), b"a | three\n");
        assert_eq!(lines.rest(), b"");
    }

    #[test]
    fn a_line_without_end_is_not_kept_for_ever() {
        let mut lines = Lines::new("");
        assert_eq!(lines.take(&vec![b'x'; LONGEST]), b"");
        assert_eq!(lines.take(b"y").len(), LONGEST + 2);
    }
}
