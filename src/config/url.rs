//! Where the API is: a URL that was checked, and where it came from.

use fastvm_api::is_loopback;
use reqwest::Url;

use super::Error;

/// The API of the service, used where nothing else is said.
pub const DEFAULT_URL: &str = "https://api.fastvm.org";

/// Whether a plain `http://` URL may lead off this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlainHttp {
    ToThisMachine,
    Anywhere,
}

/// The base URL of an API, without a `/` at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl {
    url: Url,
    /// What the user would change to change it: an option, a variable, a context or a file.
    pub source: String,
}

impl BaseUrl {
    /// Checks a URL. It needs the scheme `https`, or `http` where that is allowed, and nothing but host, port and path.
    pub fn parse(text: &str, source: impl Into<String>, plain: PlainHttp) -> Result<Self, Error> {
        let source = source.into();
        let text = text.trim();
        match check(text, plain) {
            Ok(url) => Ok(Self { url, source }),
            Err(Refusal { why, hint }) => Err(Error::Value {
                setting: format!("the base URL from {source}"),
                why,
                hint,
            }),
        }
    }

    /// The URL as text, with a path prefix if it has one.
    pub fn as_str(&self) -> &str {
        self.url.as_str().trim_end_matches('/')
    }

    /// Returns whether the host is this machine.
    pub fn is_of_this_machine(&self) -> bool {
        is_loopback(&self.url)
    }

    /// Scheme, host and port: what a key belongs to.
    pub fn origin(&self) -> String {
        self.url.origin().ascii_serialization()
    }
}

struct Refusal {
    why: String,
    hint: Option<String>,
}

impl From<&str> for Refusal {
    fn from(why: &str) -> Self {
        Self {
            why: why.to_owned(),
            hint: None,
        }
    }
}

fn check(text: &str, plain: PlainHttp) -> Result<Url, Refusal> {
    let Some((scheme, rest)) = text.split_once("://") else {
        return Err(without_scheme(text));
    };
    if !matches!(scheme.to_ascii_lowercase().as_str(), "http" | "https") {
        return Err("its scheme must be https or http".into());
    }
    // checked before parsing, so that no message of the parser can hold a password
    if rest
        .split('/')
        .next()
        .is_some_and(|host| host.contains('@'))
    {
        return Err("it must not contain a user name or password".into());
    }
    if text.contains(['?', '#']) {
        return Err("it must not contain a query or fragment".into());
    }
    let mut url = Url::parse(text).map_err(|error| Refusal {
        why: format!("{text} is not a valid URL: {error}"),
        hint: None,
    })?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("it must not contain a user name or password".into());
    }
    if url.scheme() == "http" && plain == PlainHttp::ToThisMachine && !is_loopback(&url) {
        return Err(Refusal {
            why: format!(
                "{text} is plain HTTP to another machine, and would send the key unencrypted"
            ),
            hint: Some("use https://, or allow it with --allow-http".to_owned()),
        });
    }
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    Ok(url)
}

fn without_scheme(text: &str) -> Refusal {
    let host = text.trim_start_matches('/');
    if host.contains('@') || host.is_empty() {
        return "it needs a scheme: try https://…".into();
    }
    let local = Url::parse(&format!("http://{host}")).is_ok_and(|url| is_loopback(&url));
    let scheme = if local { "http" } else { "https" };
    Refusal {
        why: format!("it needs a scheme: try {scheme}://{host}"),
        hint: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<String, String> {
        BaseUrl::parse(text, "FASTVM_BASE_URL", PlainHttp::ToThisMachine)
            .map(|url| url.as_str().to_owned())
            .map_err(|error| error.to_string())
    }

    #[track_caller]
    fn refused(text: &str, why: &str) {
        let expected = format!("the base URL from FASTVM_BASE_URL: {why}");
        assert_eq!(parse(text), Err(expected));
    }

    #[test]
    fn a_path_prefix_stays_and_a_slash_at_the_end_goes() {
        for (text, expected) in [
            ("https://api.fastvm.org", "https://api.fastvm.org"),
            ("https://api.fastvm.org/", "https://api.fastvm.org"),
            ("https://h:8443/pre/fix//", "https://h:8443/pre/fix"),
            ("HTTPS://H", "https://h"),
        ] {
            assert_eq!(parse(text), Ok(expected.to_owned()));
        }
    }

    #[test]
    fn a_url_without_a_scheme_is_answered_with_the_one_to_try() {
        refused(
            "api.fastvm.org",
            "it needs a scheme: try https://api.fastvm.org",
        );
        refused(
            "localhost:8080",
            "it needs a scheme: try http://localhost:8080",
        );
        refused("//h/p", "it needs a scheme: try https://h/p");
        refused("ftp://h", "its scheme must be https or http");
    }

    #[test]
    fn plain_http_stays_on_this_machine() {
        for local in ["http://localhost:1", "http://127.9.0.1", "http://[::1]:80"] {
            assert!(parse(local).is_ok(), "{local}");
        }
        for other in [
            "http://localhost.evil.org",
            "http://10.0.0.1",
            "http://[::2]",
        ] {
            let error = parse(other).unwrap_err();
            assert!(error.contains("plain HTTP to another machine"), "{error}");
            assert!(BaseUrl::parse(other, "x", PlainHttp::Anywhere).is_ok());
        }
    }

    #[test]
    fn passwords_queries_and_fragments_are_refused_and_not_shown() {
        refused(
            "https://u:p4ss@h",
            "it must not contain a user name or password",
        );
        for slashes in ["https:///u@h", "https:///u:p4ss@h", "https:///:p4ss@h"] {
            refused(slashes, "it must not contain a user name or password");
        }
        refused("u:p4ss@h", "it needs a scheme: try https://…");
        refused(
            "https://h/?key=1",
            "it must not contain a query or fragment",
        );
        refused("https://h#x", "it must not contain a query or fragment");
        assert!(parse("https://").is_err());
    }

    #[test]
    fn scheme_host_and_port_make_the_origin() {
        let origin = |text| {
            BaseUrl::parse(text, "x", PlainHttp::Anywhere)
                .unwrap()
                .origin()
        };
        assert_eq!(origin("https://h/a"), origin("https://H:443"));
        assert_ne!(origin("https://h"), origin("http://h"));
        assert_ne!(origin("https://h"), origin("https://h:444"));
    }
}
