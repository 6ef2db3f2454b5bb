//! Which part of an object a download is about.

use axum::http::{HeaderMap, HeaderName, StatusCode, header};

use super::storage::Fault;

/// What to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Range {
    Whole,
    /// Never empty.
    Part {
        first: u64,
        length: u64,
    },
}

/// What the headers ask for, of an object of a size and tag.
///
/// Several ranges at once, and other units than bytes, are answered with the whole, as HTTP allows.
pub(super) fn wanted(headers: &HeaderMap, size: u64, tag: &str) -> Result<Range, Fault> {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(tags) = text(header::IF_MATCH)
        && !tags.split(',').any(|one| [tag, "*"].contains(&one.trim()))
    {
        return Err(Fault::new(
            StatusCode::PRECONDITION_FAILED,
            "PreconditionFailed",
            "the object has changed",
        ));
    }
    if text(header::IF_RANGE).is_some_and(|one| one != tag) {
        return Ok(Range::Whole);
    }
    let Some((first, last)) = text(header::RANGE).and_then(parse) else {
        return Ok(Range::Whole);
    };
    let (first, end) = match (first, last) {
        (Some(first), last) => (
            first,
            last.map_or(size, |last| last.saturating_add(1).min(size)),
        ),
        (None, last) => (size.saturating_sub(last.unwrap_or(0)), size),
    };
    if first >= end {
        let message = format!("the object has {size} bytes");
        return Err(Fault::new(
            StatusCode::RANGE_NOT_SATISFIABLE,
            "InvalidRange",
            message,
        ));
    }
    Ok(Range::Part {
        first,
        length: end - first,
    })
}

/// The two numbers of `bytes=first-last`; at least one is there, and they are in order.
fn parse(text: &str) -> Option<(Option<u64>, Option<u64>)> {
    let number = |text: &str| match text {
        "" => Some(None),
        digits => digits.parse::<u64>().ok().map(Some),
    };
    let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    match (number(first.trim())?, number(last.trim())?) {
        (None, None) => None,
        (Some(first), Some(last)) if last < first => None,
        range => Some(range),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(name: HeaderName, value: &str, size: u64) -> Result<Range, StatusCode> {
        let headers = HeaderMap::from_iter([(name, value.parse().unwrap())]);
        wanted(&headers, size, "\"t\"")
            .map_err(|fault| axum::response::IntoResponse::into_response(fault).status())
    }

    #[test]
    fn ranges_are_cut_to_the_object() {
        let part = |first, length| Ok(Range::Part { first, length });
        assert_eq!(ask(header::RANGE, "bytes=0-0", 10), part(0, 1));
        assert_eq!(ask(header::RANGE, "bytes=4-", 10), part(4, 6));
        assert_eq!(ask(header::RANGE, "bytes=-3", 10), part(7, 3));
        assert_eq!(ask(header::RANGE, "bytes=-30", 10), part(0, 10));
        assert_eq!(ask(header::RANGE, "bytes=4-99", 10), part(4, 6));
        for ignored in [
            "bytes=-",
            "lines=1-2",
            "bytes=1-2,4-5",
            "bytes=5-4",
            "bytes=x-",
        ] {
            assert_eq!(
                ask(header::RANGE, ignored, 10),
                Ok(Range::Whole),
                "{ignored}"
            );
        }
        for (beyond, size) in [("bytes=10-", 10), ("bytes=-0", 10), ("bytes=0-", 0)] {
            assert_eq!(
                ask(header::RANGE, beyond, size),
                Err(StatusCode::RANGE_NOT_SATISFIABLE),
                "{beyond}"
            );
        }
        assert_eq!(
            ask(header::IF_MATCH, "\"u\"", 10),
            Err(StatusCode::PRECONDITION_FAILED)
        );
        assert_eq!(ask(header::IF_MATCH, "\"u\", \"t\"", 10), Ok(Range::Whole));
    }
}
