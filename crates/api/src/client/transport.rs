//! How HTTP clients are set up, and what it means if they fail: TLS by rustls, no redirects, no cookies.

use std::time::Duration;

use reqwest::Url;

use super::certificate;
use super::error::{Error, root_cause};
use super::is_loopback;
use super::tls::{self, Protocols};

/// What all connections of a client have in common.
#[derive(Clone, Debug)]
pub(crate) struct Transport {
    pub(crate) connect_timeout: Duration,
    pub(crate) user_agent: String,
    pub(crate) proxies_from_environment: bool,
    pub(crate) certificates_from_environment: bool,
}

impl Transport {
    /// Makes an HTTP client for one target.
    pub(crate) fn http(
        &self,
        target: &Url,
        protocols: Protocols,
    ) -> Result<reqwest::Client, Error> {
        self.build(target, self.connect_timeout, protocols, |http| http)
    }

    /// As [`Transport::http`], with another limit of connecting, and changed by `adjust`.
    pub(crate) fn build(
        &self,
        target: &Url,
        connect_timeout: Duration,
        protocols: Protocols,
        adjust: impl FnOnce(reqwest::ClientBuilder) -> reqwest::ClientBuilder,
    ) -> Result<reqwest::Client, Error> {
        let tls = tls::config(protocols, self.certificates_from_environment)
            .map_err(|error| Error::set_up(error.to_string()).caused_by(error))?;
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(connect_timeout)
            .tcp_nodelay(true)
            .user_agent(&self.user_agent);
        // A user's proxy would swallow requests to this very machine.
        let http = match self.proxies_from_environment && !is_loopback(target) {
            true => http,
            false => http.no_proxy(),
        };
        adjust(http).build().map_err(|error| {
            let error = error.without_url();
            Error::set_up(error.to_string()).caused_by(error)
        })
    }

    /// What a failed connection means, without the URL, which may be signed.
    pub(crate) fn failure(&self, server: String, limit: Duration, error: reqwest::Error) -> Error {
        let error = error.without_url();
        let names_variable = self.certificates_from_environment;
        if let Some(reason) = certificate::failure_in(&error, names_variable) {
            let source = Some(error.into());
            return Error::Tls {
                server,
                reason,
                source,
            };
        }
        let reason = root_cause(&error);
        if error.is_connect() {
            let reason = if error.is_timeout() {
                "no answer in time".to_owned()
            } else {
                reason
            };
            let source = Some(error.into());
            return Error::Connect {
                server,
                reason,
                source,
            };
        }
        if error.is_timeout() {
            return Error::timed_out(server, limit).caused_by(error);
        }
        Error::broken(server, reason).caused_by(error)
    }
}
