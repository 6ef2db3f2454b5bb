//! The client: where the API is, the key for it, and how long to wait.
//!
//! One file a resource, one `send` that every call goes through. The storage client, for signed URLs, is apart: it has no
//! key and adds no header.

mod builder;
mod builds;
mod certificate;
pub mod console;
mod credentials;
mod curl;
pub mod error;
pub mod exec;
pub(crate) mod exec_events;
mod files;
mod firewalls;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod health;
mod log;
mod quotas;
pub mod raw;
mod redact;
mod request;
mod retry;
mod send;
mod serde_messages;
mod services;
mod snapshots;
pub mod storage;
mod tls;
mod transport;
pub mod vms;
mod volumes;
pub mod wait;

use std::fmt;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use reqwest::Url;
use reqwest::header::HeaderMap;

use tls::Protocols;
use transport::Transport;

pub use builder::ClientBuilder;
pub use error::Error;
pub use log::Log;

/// A shorter key is part of many words, and no secret.
const SHORTEST_SECRET: usize = 4;

/// A client of one API.
///
/// Cheap to clone; clones share their connections. Its calls are methods, one for each operation of the API.
///
/// Every call is cancel-safe in this sense: dropping its future closes or frees the connection, and leaves the client as
/// it was. Whether the server has carried out the request by then is not known.
#[derive(Clone)]
pub struct Client(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) config: Config,
    pub(crate) http: reqwest::Client,
    pub(crate) storage: OnceLock<reqwest::Client>,
    /// Whether the user knows that questions of a wait get no answer.
    pub(crate) told_of_outage: AtomicBool,
}

/// What a client is made of.
#[derive(Clone)]
pub(crate) struct Config {
    pub(crate) base: Url,
    pub(crate) url_source: Option<String>,
    pub(crate) key_source: Option<String>,
    pub(crate) headers: HeaderMap,
    pub(crate) timeout: Duration,
    pub(crate) retries: u32,
    pub(crate) dry_run: bool,
    pub(crate) log: Arc<dyn Log>,
    pub(crate) transport: Transport,
}

impl std::ops::Deref for Inner {
    type Target = Config;

    fn deref(&self) -> &Config {
        &self.config
    }
}

impl Client {
    /// Returns a builder of a client for the API at a base URL, such as `https://api.fastvm.org`.
    ///
    /// A path prefix in the URL is kept.
    pub fn builder(base_url: impl Into<String>) -> ClientBuilder {
        ClientBuilder::new(base_url.into())
    }

    fn with(config: Config, protocols: Protocols) -> Result<Self, Error> {
        Ok(Self(Arc::new(Inner {
            http: config.transport.http(&config.base, protocols)?,
            config,
            storage: OnceLock::new(),
            told_of_outage: AtomicBool::new(false),
        })))
    }

    /// Returns the same client with connections of its own.
    ///
    /// It still works where a connection of this one carries nothing any more.
    ///
    /// # Errors
    /// [`Error::SetUp`] if the HTTP client cannot be set up.
    pub fn with_own_connections(&self) -> Result<Self, Error> {
        Self::with(self.0.config.clone(), Protocols::Http1)
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

    /// Returns the name or address of the API's host, or `None` if the base URL has none.
    pub fn host(&self) -> Option<&str> {
        self.0.base.host_str()
    }

    /// Returns scheme, host and port, as messages name the server.
    pub fn server(&self) -> String {
        server_of(&self.0.base)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("server", &self.server())
            .field("has_key", &self.has_key())
            .finish_non_exhaustive()
    }
}

/// Scheme, host and port of a URL.
pub(crate) fn server_of(url: &Url) -> String {
    url.origin().ascii_serialization()
}

/// Returns whether the host of a URL is this machine. What is sent there goes through no proxy, and needs no TLS.
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
