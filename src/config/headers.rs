//! The extra headers that a user sends to the API host.

use reqwest::header::{HeaderName, HeaderValue};

use super::{Environment, Error};

/// Reads lines of `Name: value`; empty lines count for nothing.
///
/// Refuses the headers that the client itself sets. Messages name the line and the header, never its value.
pub(super) fn parse(text: &str) -> Result<Vec<(String, String)>, Error> {
    text.lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(index, line)| {
            header(line).map_err(|why| {
                Error::value(
                    format!("{} line {}", Environment::CUSTOM_HEADERS, index + 1),
                    why,
                )
            })
        })
        .collect()
}

/// The names of headers, whose values may be secrets.
pub(super) fn names(headers: &[(String, String)]) -> String {
    match headers {
        [] => "none".to_owned(),
        headers => {
            let names: Vec<_> = headers.iter().map(|(name, _)| name.as_str()).collect();
            names.join(", ")
        }
    }
}

fn header(line: &str) -> Result<(String, String), String> {
    let (name, value) = line.split_once(':').ok_or("write it as `Name: value`")?;
    let (name, value) = (name.trim(), value.trim());
    let checked = HeaderName::try_from(name).map_err(|_| "this is not a valid header name")?;
    if is_ours(checked.as_str()) {
        return Err(format!("{name} is set by this program"));
    }
    HeaderValue::try_from(value)
        .map_err(|_| format!("the value of {name} has a control character"))?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Returns whether the client, or HTTP itself, has the say about a header; the name is in lower case.
fn is_ours(name: &str) -> bool {
    name.starts_with("content-")
        || matches!(
            name,
            "x-api-key" | "host" | "connection" | "transfer-encoding" | "upgrade" | "te" | "expect"
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        parse(text).unwrap_err().to_string()
    }

    #[test]
    fn each_line_is_a_header() {
        let headers = parse("X-Team: blue\n\n  Authorization :  Basic a:b \r\n").unwrap();
        let expected = [("X-Team", "blue"), ("Authorization", "Basic a:b")];
        assert_eq!(
            headers,
            expected.map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
    }

    #[test]
    fn headers_of_the_client_are_refused() {
        for name in ["X-API-Key", "host", "Content-Type", "content-length"] {
            let expected = format!("FASTVM_CUSTOM_HEADERS line 2: {name} is set by this program");
            assert_eq!(refusal(&format!("A: b\n{name}: s3cret")), expected);
        }
    }

    #[test]
    fn a_line_that_is_no_header_is_named_without_its_text() {
        assert_eq!(
            refusal("s3cret"),
            "FASTVM_CUSTOM_HEADERS line 1: write it as `Name: value`"
        );
        assert_eq!(
            refusal("a b: c"),
            "FASTVM_CUSTOM_HEADERS line 1: this is not a valid header name"
        );
        assert_eq!(
            refusal("A: s3c\u{7f}ret"),
            "FASTVM_CUSTOM_HEADERS line 1: the value of A has a control character"
        );
    }
}
