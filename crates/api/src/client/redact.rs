//! What may be shown of bodies, and of what a server says.

use serde_json::Value;

/// Fields whose values are secrets, or carry them.
const SECRET_FIELDS: &[&str] = &[
    "uploadUrl",
    "downloadUrl",
    "contextDownloadUrl",
    "url",
    "token",
    "data",
    "stdin",
    "envVars",
];

/// The most that is shown of a body, in bytes.
const SHOWN: usize = 4096;

/// A JSON body on one line with its secrets replaced; of anything else only the size.
pub(crate) fn body(bytes: &[u8]) -> String {
    let mut text = whole(bytes);
    if text.len() > SHOWN {
        let end = text.floor_char_boundary(SHOWN);
        text.truncate(end);
        text.push('…');
    }
    text
}

/// As [`body`], and however long it is.
pub(crate) fn whole(bytes: &[u8]) -> String {
    match serde_json::from_slice::<Value>(bytes) {
        Ok(mut value) => {
            hide(&mut value);
            value.to_string()
        }
        Err(_) => format!("({} bytes)", bytes.len()),
    }
}

/// A text with the query of each URL in it replaced, as that may be a signature.
pub(crate) fn queries(text: &str) -> String {
    let cut = |word: &str| match word.split_once('?') {
        Some((address, query)) if address.contains("://") && !query.trim_end().is_empty() => {
            let space = &query[query.trim_end().len()..];
            format!("{address}?[redacted]{space}")
        }
        _ => word.to_owned(),
    };
    let words = text.split_inclusive(char::is_whitespace);
    words.map(cut).collect()
}

fn hide(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                if SECRET_FIELDS.contains(&name.as_str()) {
                    *field = Value::from("[redacted]");
                } else {
                    hide(field);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(hide),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::{body, queries};

    #[test]
    fn what_a_server_repeats_of_a_url_ends_at_its_query() {
        for (said, shown) in [
            (
                "cannot get http://h/o?sig=s3cret: gone",
                "cannot get http://h/o?[redacted] gone",
            ),
            ("(https://h/?a)\nnext", "(https://h/?[redacted]\nnext"),
            ("is it https://h/? ü", "is it https://h/? ü"),
            ("why? because", "why? because"),
            ("", ""),
        ] {
            assert_eq!(queries(said), shown);
        }
    }

    #[test]
    fn secrets_are_replaced_at_any_depth() {
        let shown = body(br#"{"a":[{"uploadUrl":"http://h/?sig=1"}],"stdin":"aGk=","n":1}"#);
        assert_eq!(
            shown,
            r#"{"a":[{"uploadUrl":"[redacted]"}],"stdin":"[redacted]","n":1}"#
        );
    }

    #[test]
    fn what_is_not_json_shows_its_size_alone() {
        assert_eq!(body(b"<html>"), "(6 bytes)");
    }
}
