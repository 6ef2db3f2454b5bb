//! Signed URLs.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;

/// What a URL allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// Uploading the object.
    Put,
    /// Downloading it.
    Get,
}

impl Operation {
    fn name(self) -> &'static str {
        match self {
            Self::Put => "put",
            Self::Get => "get",
        }
    }
}

/// Why a URL is not honoured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// It was changed, is for something else, or comes from another data folder.
    #[error("the signature does not match")]
    Signature,
    /// It was good once.
    #[error("the URL has expired")]
    Expired,
}

/// Makes and checks signatures. All engines on a data folder have the same secret.
pub(crate) struct Signer {
    key: hmac::Key,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer")
    }
}

impl Signer {
    pub(crate) fn new(secret: &[u8]) -> Self {
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, secret),
        }
    }

    /// The query that makes the URL of an object a signed one, good until `expires` (Unix seconds).
    pub(crate) fn query(&self, id: &str, operation: Operation, expires: i64) -> String {
        let signature = hmac::sign(&self.key, message(id, operation, expires).as_bytes());
        let signature = URL_SAFE_NO_PAD.encode(signature);
        format!("op={}&expires={expires}&sig={signature}", operation.name())
    }

    /// Checks the query of a URL.
    pub(crate) fn check(
        &self,
        id: &str,
        operation: Operation,
        query: &str,
        now: i64,
    ) -> Result<(), Refusal> {
        let expires: i64 = parameter(query, "expires")
            .and_then(|text| text.parse().ok())
            .ok_or(Refusal::Signature)?;
        let signature = parameter(query, "sig")
            .and_then(|text| URL_SAFE_NO_PAD.decode(text).ok())
            .ok_or(Refusal::Signature)?;
        // Decodes to what was signed, whatever else the query holds.
        if parameter(query, "op") != Some(operation.name()) {
            return Err(Refusal::Signature);
        }
        hmac::verify(
            &self.key,
            message(id, operation, expires).as_bytes(),
            &signature,
        )
        .map_err(|_| Refusal::Signature)?;
        if now >= expires {
            Err(Refusal::Expired)
        } else {
            Ok(())
        }
    }
}

fn message(id: &str, operation: Operation, expires: i64) -> String {
    format!("{}\n{id}\n{expires}", operation.name())
}

/// The only value of a name. Ours need no decoding.
fn parameter<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    let mut values = query
        .split('&')
        .filter_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    let value = values.next()?;
    values.next().is_none().then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_very_url_is_good_and_only_in_time() {
        let signer = Signer::new(b"secret");
        let query = signer.query("a", Operation::Get, 100);
        assert_eq!(signer.check("a", Operation::Get, &query, 99), Ok(()));
        assert_eq!(
            signer.check("a", Operation::Get, &query, 100),
            Err(Refusal::Expired)
        );
        for (id, operation, query) in [
            ("b", Operation::Get, query.clone()),
            ("a", Operation::Put, query.clone()),
            ("a", Operation::Put, query.replace("op=get", "op=put")),
            ("a", Operation::Get, query.replace("=100", "=1000")),
            ("a", Operation::Get, format!("{query}&expires=1000")),
            ("a", Operation::Get, query.replace("sig=", "sig=A")),
            ("a", Operation::Get, String::new()),
            (
                "a",
                Operation::Get,
                Signer::new(b"other").query("a", Operation::Get, 100),
            ),
        ] {
            assert_eq!(
                signer.check(id, operation, &query, 99),
                Err(Refusal::Signature),
                "{query}"
            );
        }
    }
}
