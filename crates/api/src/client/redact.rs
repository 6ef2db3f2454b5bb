//! Bodies as they may be shown with `-vvv`.

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
    use super::body;

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
