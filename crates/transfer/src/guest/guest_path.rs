//! Paths in a VM as text: a path there may hold any byte, and the API carries text alone.
//!
//! A byte that is not part of UTF-8 stands as one character of U+10FF80–U+10FFFF. Real characters of that range stand
//! as their bytes, so every path has exactly one text.

use std::borrow::Cow;

use fastvm_api::types::exec::escape;

/// The character that stands for the byte zero, if that had to be stood for.
const BASE: u32 = 0x10_FF00;

/// Returns the text for the bytes of a path.
pub(crate) fn text(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            match byte_of(character) {
                None => text.push(character),
                Some(_) => {
                    let mut buffer = [0; 4];
                    let encoded = character.encode_utf8(&mut buffer).bytes();
                    text.extend(encoded.filter_map(stand_in));
                }
            }
        }
        text.extend(chunk.invalid().iter().copied().filter_map(stand_in));
    }
    text
}

/// Returns the bytes that a text stands for.
pub(crate) fn bytes(text: &str) -> Cow<'_, [u8]> {
    if is_plain(text) {
        return Cow::Borrowed(text.as_bytes());
    }
    let mut bytes = Vec::with_capacity(text.len());
    for character in text.chars() {
        match byte_of(character) {
            Some(byte) => bytes.push(byte),
            None => bytes.extend(character.encode_utf8(&mut [0; 4]).bytes()),
        }
    }
    Cow::Owned(bytes)
}

/// Returns whether the path is its own text, so that the API can carry it.
pub(crate) fn is_plain(text: &str) -> bool {
    !text.chars().any(|character| byte_of(character).is_some())
}

/// Returns the text for people to read: a byte that is no text shows as `\xFF`.
pub fn shown(text: &str) -> Cow<'_, str> {
    if is_plain(text) {
        return Cow::Borrowed(text);
    }
    let shown = text.chars().map(|character| match byte_of(character) {
        Some(byte) => format!("\\x{byte:02X}"),
        None => character.to_string(),
    });
    Cow::Owned(shown.collect())
}

/// Returns the text as `printf %b` takes it.
pub(crate) fn escaped(text: &str) -> String {
    escape(&bytes(text))
}

fn stand_in(byte: u8) -> Option<char> {
    char::from_u32(BASE + u32::from(byte))
}

fn byte_of(character: char) -> Option<u8> {
    let byte = u32::from(character).checked_sub(BASE)?;
    u8::try_from(byte).ok().filter(|byte| *byte >= 0x80)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_has_one_text_and_comes_back() {
        for path in [
            &b"/tmp/a b"[..],
            b"/\xff/\x80x",
            "/ü/\u{10ff80}\u{10ffff}".as_bytes(),
            b"\xf4\x8f\xbe",
            b"",
        ] {
            let text = text(path);
            assert_eq!(*bytes(&text), *path, "{text:?}");
        }
        assert!(is_plain(&text("/ü".as_bytes())));
        assert!(!is_plain(&text(b"/\xff")));
        assert_ne!(text(b"\xff"), text("\u{10ffff}".as_bytes()));
    }

    #[test]
    fn bytes_that_are_no_text_show_as_digits() {
        assert_eq!(shown(&text(b"/a/\xff")), "/a/\\xFF");
        assert_eq!(escaped(&text(b"/a b\\\xff")), "/a\\0040b\\0134\\0377");
    }
}
