//! What a client can be told before there is one.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use super::error::Error;
use super::log::{Log, NoLog};
use super::tls::Protocols;
use super::transport::Transport;
use super::{Client, Config};
use crate::secret::ApiKey;

const TIMEOUT: Duration = Duration::from_secs(60);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const RETRIES: u32 = 2;

/// Makes a [`Client`]. [`Client::builder`] returns one.
///
/// Nothing is read from the environment unless [`proxies_from_environment`](Self::proxies_from_environment) or
/// [`certificates_from_environment`](Self::certificates_from_environment) asks for it.
///
/// ```
/// use std::time::Duration;
///
/// let client = fastvm_api::Client::builder("https://api.example.com")
///     .api_key("fv_0123456789abcdef")
///     .timeout(Duration::from_secs(20))
///     .retries(5)
///     .build()?;
/// assert_eq!(client.server(), "https://api.example.com");
/// # Ok::<(), fastvm_api::Error>(())
/// ```
#[must_use = "a builder does nothing until `build` is called"]
pub struct ClientBuilder {
    base_url: String,
    key: Option<ApiKey>,
    headers: Vec<(String, String)>,
    url_source: Option<String>,
    key_source: Option<String>,
    timeout: Duration,
    retries: u32,
    dry_run: bool,
    log: Arc<dyn Log>,
    transport: Transport,
}

impl ClientBuilder {
    pub(super) fn new(base_url: String) -> Self {
        Self {
            base_url,
            key: None,
            headers: Vec::new(),
            url_source: None,
            key_source: None,
            timeout: TIMEOUT,
            retries: RETRIES,
            dry_run: false,
            log: Arc::new(NoLog),
            transport: Transport {
                connect_timeout: CONNECT_TIMEOUT,
                user_agent: concat!("fastvm-api/", env!("CARGO_PKG_VERSION")).to_owned(),
                proxies_from_environment: false,
                certificates_from_environment: false,
            },
        }
    }

    /// Sets the API key. Without one only [`Client::health`] is answered.
    pub fn api_key(mut self, key: impl Into<ApiKey>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Limits one request and its answer: 60 seconds by default.
    ///
    /// A command that runs, a file that is fetched and the storage have no such limit.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = limit;
        self
    }

    /// Limits how long a connection may take to be made: 10 seconds by default.
    pub fn connect_timeout(mut self, limit: Duration) -> Self {
        self.transport.connect_timeout = limit;
        self
    }

    /// Sets how often a request is tried again: twice by default.
    ///
    /// Only requests that may be repeated are: those that launch or run something are sent once.
    pub fn retries(mut self, retries: u32) -> Self {
        self.retries = retries;
        self
    }

    /// Adds a header to every request to the API. Requests to storage do not get it.
    ///
    /// A name that is given twice has the last value.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Replaces the `User-Agent` of all requests, `fastvm-api/VERSION`.
    pub fn user_agent(mut self, name: impl Into<String>) -> Self {
        self.transport.user_agent = name.into();
        self
    }

    /// Sets whether requests go through the system's proxies, such as that of `HTTPS_PROXY`. By default they do not.
    ///
    /// Requests to this machine never do.
    pub fn proxies_from_environment(mut self, read: bool) -> Self {
        self.transport.proxies_from_environment = read;
        self
    }

    /// Sets whether `SSL_CERT_FILE` and `SSL_CERT_DIR` replace the system's CA certificates. By default they do not.
    pub fn certificates_from_environment(mut self, read: bool) -> Self {
        self.transport.certificates_from_environment = read;
        self
    }

    /// Says where the base URL came from, such as `FASTVM_BASE_URL`: errors of the connection name it.
    pub fn url_source(mut self, source: impl Into<String>) -> Self {
        self.url_source = Some(source.into());
        self
    }

    /// Says where the key came from, such as `FASTVM_API_KEY`: the error of a refused key names it.
    pub fn key_source(mut self, source: impl Into<String>) -> Self {
        self.key_source = Some(source.into());
        self
    }

    /// Sets whether requests that could change something are told to [`Log::not_sent`] instead of being sent.
    ///
    /// Their calls return [`Error::DryRun`].
    pub fn dry_run(mut self, dry_run: bool) -> Self {
        self.dry_run = dry_run;
        self
    }

    /// Has the client say what it does. By default it says nothing.
    pub fn log(mut self, log: impl Log + 'static) -> Self {
        self.log = Arc::new(log);
        self
    }

    /// Makes the client. Nothing is sent.
    ///
    /// # Errors
    /// [`Error::SetUp`] if the URL is not one that an API can have, or if a header or the key holds characters that no
    /// header can carry.
    pub fn build(self) -> Result<Client, Error> {
        let config = Config {
            base: base_url(&self.base_url)?,
            headers: headers(self.headers, self.key.as_ref())?,
            url_source: self.url_source,
            key_source: self.key_source,
            timeout: self.timeout,
            retries: self.retries,
            dry_run: self.dry_run,
            log: self.log,
            transport: self.transport,
        };
        Client::with(config, Protocols::Http2AndHttp1)
    }
}

/// Headers and URL may hold secrets.
impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder")
            .field("timeout", &self.timeout)
            .field("retries", &self.retries)
            .field("transport", &self.transport)
            .finish_non_exhaustive()
    }
}

/// Refuses what would be lost, or shown, if a path were put behind it.
fn base_url(text: &str) -> Result<Url, Error> {
    let url =
        Url::parse(text).map_err(|error| Error::set_up(error.to_string()).caused_by(error))?;
    let fault = if !["http", "https"].contains(&url.scheme()) {
        "the base URL is neither http:// nor https://"
    } else if !url.username().is_empty() || url.password().is_some() {
        "the base URL holds a user name or password"
    } else if url.query().is_some() || url.fragment().is_some() {
        "the base URL holds a query or fragment"
    } else {
        return Ok(url);
    };
    Err(Error::set_up(fault))
}

fn headers(given: Vec<(String, String)>, key: Option<&ApiKey>) -> Result<HeaderMap, Error> {
    let mut headers = HeaderMap::new();
    for (name, value) in given {
        let name = HeaderName::try_from(name)
            .map_err(|error| Error::set_up(error.to_string()).caused_by(error))?;
        let value = HeaderValue::try_from(value)
            .map_err(|error| Error::set_up(error.to_string()).caused_by(error))?;
        headers.insert(name, value);
    }
    if let Some(key) = key {
        let mut value = HeaderValue::try_from(key.expose()).map_err(|error| {
            Error::set_up("the API key has characters that no header can carry").caused_by(error)
        })?;
        value.set_sensitive(true);
        headers.insert("x-api-key", value);
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_that_no_api_can_have_is_refused_without_its_secrets() {
        for url in [
            "api.example.com",
            "ftp://h",
            "data:text",
            "https://u:s3cret@h",
            "https://h/?k=s3cret",
            "https://h/#s3cret",
        ] {
            let error = Client::builder(url).build().unwrap_err();
            assert!(matches!(error, Error::SetUp { .. }), "{url}");
            assert!(!format!("{error} {error:?}").contains("s3cret"), "{url}");
        }
    }

    #[test]
    fn neither_builder_nor_client_show_the_key_or_a_header() {
        let builder = Client::builder("https://h/base")
            .api_key("fv_s3cret")
            .header("x-token", "s3cret");
        let shown = format!("{builder:?}");
        let client = builder.build().unwrap();
        assert!(client.has_key());
        let shown = format!("{shown} {client:?} {:?}", client.0.headers);
        assert!(!shown.contains("fv_s3cret"), "{shown}");
        assert!(!format!("{client:?}").contains("s3cret"));
    }

    #[test]
    fn a_key_that_no_header_can_carry_is_not_shown() {
        let builder = Client::builder("https://h").api_key("s3cret\n");
        let error = builder.build().unwrap_err();
        assert!(!format!("{error} {error:?}").contains("s3cret"));
        assert!(std::error::Error::source(&error).is_some());
    }
}
