//! Bytes that should be text: a console of Windows takes nothing else.

use std::io::{self, Write};

/// How many bytes there are before an unfinished character at the end.
pub(crate) fn whole_characters(bytes: &[u8]) -> usize {
    let tail = bytes.len().saturating_sub(3);
    for start in (tail..bytes.len()).rev() {
        let needs = match bytes[start] {
            0xc0..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xf7 => 4,
            0x80..=0xbf => continue,
            _ => break,
        };
        if bytes.len() - start < needs {
            return start;
        }
        break;
    }
    bytes.len()
}

/// The stream as it is, or one that shows any bytes where the system's console takes text alone.
pub(crate) fn for_console<W: Write + Send + 'static>(
    stream: W,
    is_terminal: bool,
) -> Box<dyn Write + Send> {
    if cfg!(windows) && is_terminal {
        Box::new(LossyWriter::new(stream))
    } else {
        Box::new(stream)
    }
}

/// A stream that gets U+FFFD for what is no UTF-8. Characters stay whole, however writes cut them.
#[derive(Debug)]
struct LossyWriter<W: Write> {
    to: W,
    /// The beginning of a character whose end has not been written.
    held: Vec<u8>,
}

impl<W: Write> LossyWriter<W> {
    fn new(to: W) -> Self {
        Self {
            to,
            held: Vec::new(),
        }
    }
}

impl<W: Write> Write for LossyWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.held.extend_from_slice(bytes);
        let rest = self.held.split_off(whole_characters(&self.held));
        let text = std::mem::replace(&mut self.held, rest);
        self.to
            .write_all(String::from_utf8_lossy(&text).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

impl<W: Write> Drop for LossyWriter<W> {
    fn drop(&mut self) {
        if !self.held.is_empty() {
            // There is nobody to tell any more.
            let _ = self
                .to
                .write_all(
                    char::REPLACEMENT_CHARACTER
                        .encode_utf8(&mut [0; 4])
                        .as_bytes(),
                )
                .and_then(|()| self.to.flush());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(pieces: &[&[u8]]) -> String {
        let mut shown = Vec::new();
        let mut writer = LossyWriter::new(&mut shown);
        for piece in pieces {
            writer.write_all(piece).unwrap();
        }
        drop(writer);
        String::from_utf8(shown).unwrap()
    }

    #[test]
    fn text_is_written_as_it_is_however_it_is_cut() {
        let text = "aé€😀z";
        for cut in 0..=text.len() {
            let (before, after) = text.as_bytes().split_at(cut);
            assert_eq!(shown(&[before, after]), text, "{cut}");
        }
    }

    #[test]
    fn what_is_no_text_is_shown_and_fails_nothing() {
        assert_eq!(shown(&[b"a\xff\xfeb\n"]), "a\u{fffd}\u{fffd}b\n");
        assert_eq!(shown(&[b"a\xc3", b"b"]), "a\u{fffd}b");
        assert_eq!(shown(&[b"end \xe2\x82"]), "end \u{fffd}");
    }
}
