//! Values that must not be printed.

use std::fmt;

/// An API key. `Debug` shows `[redacted]`; there is no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey(String);

impl ApiKey {
    /// Wraps a key as it is.
    pub fn new(key: impl Into<String>) -> Self {
        Self(key.into())
    }

    /// Returns the key itself, for the one header that carries it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Returns the last four characters, to tell keys apart: of a short key only `…`.
    pub fn hint(&self) -> String {
        let characters: Vec<char> = self.0.chars().collect();
        match characters.len() {
            12.. => format!(
                "…{}",
                characters[characters.len() - 4..]
                    .iter()
                    .collect::<String>()
            ),
            _ => "…".to_owned(),
        }
    }
}

impl<T: Into<String>> From<T> for ApiKey {
    fn from(key: T) -> Self {
        Self::new(key)
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// A URL whose query is a signature. Printing shows the scheme, host and path without the query.
#[derive(Clone, PartialEq, Eq)]
pub struct SignedUrl(String);

impl SignedUrl {
    /// Wraps a URL as it is.
    pub fn new(url: impl Into<String>) -> Self {
        Self(url.into())
    }

    /// Returns the URL itself, for the request that uses it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SignedUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.split_once('?') {
            Some((address, _)) => write!(f, "{address}?[redacted]"),
            None => f.write_str(&self.0),
        }
    }
}

impl fmt::Debug for SignedUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signed_url_never_shows_its_query() {
        let url = SignedUrl::new("http://h/o?sig=s3cret");
        assert_eq!(
            format!("{url} {url:?}"),
            "http://h/o?[redacted] http://h/o?[redacted]"
        );
    }

    #[test]
    fn a_key_never_shows_more_than_its_end() {
        let key = ApiKey::new("fv_0123456789abcdef");
        assert_eq!(format!("{key:?} {}", key.hint()), "[redacted] …cdef");
        assert_eq!(ApiKey::new("short").hint(), "…");
    }
}
