//! Comma-separated values: RFC 4180 quoting, and the line ends of Unix tools.

use std::io::{self, Write};

/// Writes one line, quoting the fields that need it.
///
/// # Errors
/// Those of `out`.
pub(super) fn write_line<S: AsRef<str>>(
    out: &mut impl Write,
    fields: impl IntoIterator<Item = S>,
) -> io::Result<()> {
    for (index, field) in fields.into_iter().enumerate() {
        if index > 0 {
            out.write_all(b",")?;
        }
        let field = field.as_ref();
        if field.contains([',', '"', '\n', '\r']) {
            write!(out, "\"{}\"", field.replace('"', "\"\""))?;
        } else {
            out.write_all(field.as_bytes())?;
        }
    }
    out.write_all(b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_quoted_only_where_they_must_be() {
        let mut out = Vec::new();
        write_line(
            &mut out,
            ["plain", "", "a,b", "say \"hi\"", "two\nlines", " space "],
        )
        .unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "plain,,\"a,b\",\"say \"\"hi\"\"\",\"two\nlines\", space \n"
        );
    }
}
