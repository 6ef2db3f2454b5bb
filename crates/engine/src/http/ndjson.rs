//! The lines of a streaming exec, written by hand: they carry whole files, and a JSON writer would copy each twice.

use std::fmt::Write;

use axum::body::Bytes;
use base64::Engine as _;
use base64::engine::general_purpose::GeneralPurposeConfig;
use base64::engine::simd::Simd;

use crate::engine::{Channel, End};

/// A line of output.
pub(super) fn output(channel: Channel, bytes: &[u8]) -> Bytes {
    let mut line = String::with_capacity(bytes.len() / 3 * 4 + 32);
    line.push_str(match channel {
        Channel::Stdout => r#"{"t":"o","d":""#,
        Channel::Stderr => r#"{"t":"e","d":""#,
    });
    Simd::standard(GeneralPurposeConfig::new()).encode_string(bytes, &mut line);
    line.push_str("\"}\n");
    line.into()
}

/// The last line. A code of 0 and a time that did not run out are left out.
pub(super) fn exit(end: End) -> Bytes {
    let mut line = String::from(r#"{"t":"x""#);
    // Writing to a string cannot fail.
    if end.code != 0 {
        write!(line, r#","c":{}"#, end.code).ok();
    }
    if end.timed_out {
        line.push_str(r#","to":true"#);
    }
    write!(line, r#","ms":{}}}"#, end.took.as_millis()).ok();
    line.push('\n');
    line.into()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn lines_are_as_the_contract_has_them() {
        assert_eq!(
            output(Channel::Stdout, b"hello\n"),
            "{\"t\":\"o\",\"d\":\"aGVsbG8K\"}\n"
        );
        assert_eq!(
            output(Channel::Stderr, b"\xc3"),
            "{\"t\":\"e\",\"d\":\"ww==\"}\n"
        );
        let end = |code, timed_out| End {
            code,
            timed_out,
            took: Duration::from_millis(41),
        };
        assert_eq!(exit(end(0, false)), "{\"t\":\"x\",\"ms\":41}\n");
        assert_eq!(
            exit(end(124, true)),
            "{\"t\":\"x\",\"c\":124,\"to\":true,\"ms\":41}\n"
        );
    }
}
