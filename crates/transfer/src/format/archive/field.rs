//! The fields of a header block.

/// Bytes of a block.
pub(super) const BLOCK: usize = 512;

pub(super) fn until_zero(bytes: &[u8]) -> &[u8] {
    bytes.split(|&byte| byte == 0).next().unwrap_or_default()
}

/// The name in the header itself; POSIX headers have its beginning in a second field.
pub(super) fn name_of(block: &[u8; BLOCK]) -> Vec<u8> {
    let name = until_zero(&block[..100]);
    let prefix = if &block[257..263] == b"ustar\0" {
        until_zero(&block[345..500])
    } else {
        b""
    };
    if prefix.is_empty() {
        name.to_vec()
    } else {
        [prefix, b"/", name].concat()
    }
}

/// A number field: octal digits between blanks, or GNU's base 256 as far as it fits into 63 bits.
pub(super) fn number(field: &[u8]) -> Option<i64> {
    if field[0] & 0x80 != 0 {
        let negative = field[0] & 0x40 != 0;
        let start = field.len().checked_sub(8)?;
        let filler = if negative { 0xff } else { 0 };
        let first = if negative { field[0] } else { field[0] & 0x7f };
        let fits =
            start == 0 || first == filler && field[1..start].iter().all(|&byte| byte == filler);
        let value = i64::from_be_bytes(field[start..].try_into().ok()?);
        return (fits && start > 0 && (value < 0) == negative).then_some(value);
    }
    let text = std::str::from_utf8(field).ok()?.trim_matches(['\0', ' ']);
    if text.is_empty() {
        return Some(0);
    }
    text.bytes()
        .all(|byte| (b'0'..=b'7').contains(&byte))
        .then(|| i64::from_str_radix(text, 8).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_octal_or_base_256_and_nothing_else() {
        assert_eq!(number(b"0000644\0"), Some(0o644));
        assert_eq!(number(b"   644 \0"), Some(0o644));
        assert_eq!(number(&[0; 12]), Some(0));
        let mut large = [0; 12];
        large[0] = 0x80;
        large[4..].copy_from_slice(&(1_i64 << 40).to_be_bytes());
        assert_eq!(number(&large), Some(1 << 40));
        assert_eq!(number(&[0xff; 12]), Some(-1));
        large[2] = 1;
        assert_eq!(number(&large), None, "more than 63 bits");
        large[2] = 0;
        large[4] = 0x80;
        assert_eq!(number(&large), None, "a sign that the marker does not have");
        for odd in [
            &b"0000648\0"[..],
            b"-1\0\0\0\0\0\0",
            b"0x1\0\0\0\0\0",
            b"12 34\0\0\0",
            b"+1\0\0\0\0\0\0",
        ] {
            assert_eq!(number(odd), None, "{odd:?}");
        }
    }
}
