//! The client: where the API is, the key for it, and how long to wait.
//!
//! One file a resource, one `send` that every call goes through. The storage client, for signed URLs, is apart: it has no
//! key and adds no header.

pub mod builds;
mod certificate;
pub mod console;
pub mod credentials;
mod curl;
pub mod error;
pub mod exec;
pub(crate) mod exec_events;
pub mod files;
pub mod firewalls;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
pub mod health;
mod log;
pub mod quotas;
pub mod raw;
mod redact;
mod request;
mod retry;
mod send;
mod serde_messages;
pub mod services;
pub mod snapshots;
pub mod storage;
mod tls;
pub mod vms;
pub mod volumes;
pub mod wait;

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use tls::Protocols;

use crate::secret::ApiKey;
pub use error::Error;
pub use log::Log;
pub use serde_messages::serde_message;

/// A shorter key is part of many words, and no secret.
const SHORTEST_SECRET: usize = 4;

/// What a client is made of.
#[derive(Debug)]
pub struct Options {
    /// The base URL; a path prefix in it is kept.
    pub base_url: String,
    /// Where the URL came from, for messages.
    pub url_source: String,
    /// Where the key came from, and its end, for messages.
    pub key_source: String,
    /// None for the calls that need no key.
    pub key: Option<ApiKey>,
    /// Limit of one request and its answer. Streams have none.
    pub timeout: Duration,
    pub connect_timeout: Duration,
    /// How often a request that may be repeated is tried again.
    pub retries: u32,
    /// Extra headers for the API host.
    pub headers: Vec<(String, String)>,
    /// Send nothing that changes anything; tell the log instead.
    pub dry_run: bool,
    pub log: Arc<dyn Log>,
}

/// A client of one API. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Client(pub(crate) Arc<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) http: reqwest::Client,
    pub(crate) base: Url,
    pub(crate) url_source: String,
    pub(crate) key_source: String,
    pub(crate) headers: HeaderMap,
    pub(crate) timeout: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) retries: u32,
    pub(crate) dry_run: bool,
    pub(crate) log: Arc<dyn Log>,
    pub(crate) storage: OnceLock<reqwest::Client>,
    /// Whether the user knows that questions of a wait get no answer.
    pub(crate) told_of_outage: AtomicBool,
}

impl Client {
    /// Makes a client. Nothing is sent.
    pub fn new(options: Options) -> Result<Self, Error> {
        let set_up = |reason: String| Error::SetUp(reason);
        let base = Url::parse(&options.base_url).map_err(|error| set_up(error.to_string()))?;
        let mut headers = HeaderMap::new();
        for (name, value) in &options.headers {
            let name = HeaderName::try_from(name).map_err(|error| set_up(error.to_string()))?;
            let value = HeaderValue::try_from(value).map_err(|error| set_up(error.to_string()))?;
            headers.insert(name, value);
        }
        if let Some(key) = &options.key {
            let mut value = HeaderValue::try_from(key.expose()).map_err(|_| {
                set_up("the API key has characters that no header can carry".to_owned())
            })?;
            value.set_sensitive(true);
            headers.insert("x-api-key", value);
        }
        let connect_timeout = options.connect_timeout;
        Ok(Self(Arc::new(Inner {
            http: http(&base, connect_timeout, Protocols::Http2AndHttp1)?,
            connect_timeout,
            base,
            url_source: options.url_source,
            key_source: options.key_source,
            headers,
            timeout: options.timeout,
            retries: options.retries,
            dry_run: options.dry_run,
            log: options.log,
            storage: OnceLock::new(),
            told_of_outage: AtomicBool::new(false),
        })))
    }

    /// The same client with a connection of its own, so that one that carries nothing any more does not matter.
    pub fn apart(&self) -> Result<Self, Error> {
        let inner = &self.0;
        Ok(Self(Arc::new(Inner {
            http: http(&inner.base, inner.connect_timeout, Protocols::Http1)?,
            base: inner.base.clone(),
            url_source: inner.url_source.clone(),
            key_source: inner.key_source.clone(),
            headers: inner.headers.clone(),
            timeout: inner.timeout,
            connect_timeout: inner.connect_timeout,
            retries: inner.retries,
            dry_run: inner.dry_run,
            log: inner.log.clone(),
            storage: OnceLock::new(),
            told_of_outage: AtomicBool::new(false),
        })))
    }

    /// A server's words without the key, which a server may repeat.
    pub(crate) fn without_key(&self, text: String) -> String {
        let key = self.0.headers.get("x-api-key");
        match key.and_then(|key| key.to_str().ok()) {
            Some(key) if key.len() >= SHORTEST_SECRET => text.replace(key, "[redacted]"),
            _ => text,
        }
    }

    /// Returns whether requests carry a key.
    pub fn has_key(&self) -> bool {
        self.0.headers.contains_key("x-api-key")
    }

    /// The name or address of the API's host.
    pub fn host(&self) -> Option<&str> {
        self.0.base.host_str()
    }

    /// Scheme, host and port, as messages name the server.
    pub fn server(&self) -> String {
        server_of(&self.0.base)
    }
}

fn http(
    base: &Url,
    connect_timeout: Duration,
    protocols: Protocols,
) -> Result<reqwest::Client, Error> {
    let http = builder(connect_timeout, protocols)?;
    // A user's proxy would swallow requests to this very machine.
    let http = if is_loopback(base) {
        http.no_proxy()
    } else {
        http
    };
    http.build()
        .map_err(|error| Error::SetUp(error.without_url().to_string()))
}

/// The one place where HTTP clients are set up: TLS by rustls with the system's roots, no redirects, no cookies.
pub(crate) fn builder(
    connect_timeout: Duration,
    protocols: Protocols,
) -> Result<reqwest::ClientBuilder, Error> {
    let tls = tls::config(protocols).map_err(|error| Error::SetUp(error.to_string()))?;
    Ok(reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(connect_timeout)
        .tcp_nodelay(true)
        .user_agent(concat!("fastvm/", env!("CARGO_PKG_VERSION"))))
}

/// Scheme, host and port of a URL.
pub(crate) fn server_of(url: &Url) -> String {
    url.origin().ascii_serialization()
}

pub fn is_loopback(url: &Url) -> bool {
    let Some(host) = url.host_str() else {
        return false;
    };
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || address
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_this_machine_are_local() {
        for (url, expected) in [
            ("http://localhost:1", true),
            ("http://127.9.0.1", true),
            ("https://[::1]:8443", true),
            ("http://localhost.example", false),
            ("http://10.0.0.1", false),
            ("http://[::2]", false),
            ("https://api.fastvm.org", false),
            ("data:text", false),
        ] {
            assert_eq!(is_loopback(&url.parse().unwrap()), expected, "{url}");
        }
    }
}
