//! The one way a request leaves for the API: headers, time limit, retries, redirects, errors.

use std::time::Instant;

use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, LOCATION};
use reqwest::{Method, Response, StatusCode, Url};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use tracing::Level;

use super::certificate;
use super::error::{Error, text_of};
use super::request::Request;
use super::retry::{self, Retry};
use super::serde_messages::describe_json_error;
use super::{Client, is_loopback, server_of};
use super::{curl, redact};
use crate::types::error::ErrorBody;
use crate::types::record::Thing;
use crate::types::{Deleted, Record};

/// The largest JSON answer that is read, in bytes.
const LARGEST_ANSWER: usize = 256 * 1024 * 1024;
/// The most that is read of an error body, in bytes.
const LARGEST_ERROR: usize = 64 * 1024;
const MOST_REDIRECTS: usize = 5;

/// How long an answer may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    /// The client's time-out, body included.
    Request,
    /// None: the answer is a stream that ends when its command does.
    Stream,
}

impl Client {
    /// Sends a request and reads one object. Members that do not fit `T` read as absent.
    pub(crate) async fn object<T: DeserializeOwned + Default>(
        &self,
        request: Request,
    ) -> Result<Record<T>, Error> {
        let what = request.what();
        let json = self.json(request).await?;
        if !json.get().starts_with('{') {
            return Err(self.unexpected(&what, &"not a JSON object"));
        }
        serde_json::from_str(json.get()).map_err(|error| self.unreadable(&what, error))
    }

    /// As [`Client::object`], about a thing whose id is known: an answer need not tell it.
    pub(crate) async fn thing<T: DeserializeOwned + Default + Thing>(
        &self,
        id: &str,
        request: Request,
    ) -> Result<Record<T>, Error> {
        let mut record = self.object::<T>(request).await?;
        let own = record.value.id();
        if own.trim().is_empty() {
            id.clone_into(own);
        }
        Ok(record)
    }

    /// As [`Client::object`], about a thing that is made. Without an id nothing can be asked of it.
    pub(crate) async fn created<T: DeserializeOwned + Default + Thing>(
        &self,
        request: Request,
    ) -> Result<Record<T>, Error> {
        let what = request.what();
        let mut record = self.object::<T>(request).await?;
        match record.value.id().trim().is_empty() {
            true => Err(self.unexpected(&what, &"it has no id")),
            false => Ok(record),
        }
    }

    /// Sends a request and reads an array of objects. Members that do not fit `T` read as absent.
    pub(crate) async fn array<T: DeserializeOwned + Default>(
        &self,
        request: Request,
    ) -> Result<Vec<Record<T>>, Error> {
        let what = request.what();
        let json = self.json(request).await?;
        if !json.get().starts_with('[') {
            return Err(self.unexpected(&what, &"not a JSON list"));
        }
        serde_json::from_str(json.get()).map_err(|error| self.unreadable(&what, error))
    }

    /// Sends a request to delete a thing. An answer without a body says that it is gone.
    pub(crate) async fn deletion<const N: usize>(
        &self,
        path: [&str; N],
    ) -> Result<Record<Deleted>, Error> {
        let id = path.last().copied().unwrap_or_default().to_owned();
        let request = Request::new(Method::DELETE, path);
        let what = request.what();
        let json = self.json(request).await?;
        let record = match json.get() {
            "null" => Record::of(Deleted {
                id,
                deleted: Some(true),
            }),
            text => serde_json::from_str(text),
        };
        record.map_err(|error| self.unreadable(&what, error))
    }

    /// Sends a request whose answer has no body that matters.
    pub(crate) async fn done(&self, request: Request) -> Result<(), Error> {
        let mut attempt = 0;
        loop {
            match self.send(&request, Limit::Request).await {
                Ok(_) => return Ok(()),
                Err(failure) => self.before_another_try(&request, failure, attempt).await?,
            }
            attempt += 1;
        }
    }

    /// Sends a request for a stream and returns its answer, headers read, once its status is 2xx.
    pub(crate) async fn stream(&self, request: &Request) -> Result<Response, Error> {
        self.send(request, Limit::Stream)
            .await
            .map_err(|failure| failure.error)
    }

    /// Sends a request and reads any JSON.
    pub(crate) async fn json(&self, request: Request) -> Result<Box<RawValue>, Error> {
        let mut attempt = 0;
        loop {
            match self.try_json(&request).await {
                Ok(json) => return Ok(json),
                Err(failure) => self.before_another_try(&request, failure, attempt).await?,
            }
            attempt += 1;
        }
    }

    /// Waits before the next try, or returns the failure where there is none: it is not allowed, or would not help.
    async fn before_another_try(
        &self,
        request: &Request,
        failure: Failure,
        attempt: u32,
    ) -> Result<(), Error> {
        if request.retry == Retry::Never || !failure.may_pass || attempt >= self.0.retries {
            return Err(failure.error);
        }
        let wait = retry::delay(attempt, failure.headers.as_deref());
        if tracing::enabled!(Level::INFO) {
            let error = &failure.error;
            let said = error.server_message();
            let said = said.map_or_else(|| error.to_string(), str::to_owned);
            let said = self.without_key(said);
            tracing::info!("{said}; trying again in {} ms", wait.as_millis());
        }
        tokio::time::sleep(wait).await;
        Ok(())
    }

    async fn try_json(&self, request: &Request) -> Result<Box<RawValue>, Failure> {
        let response = self.send(request, Limit::Request).await?;
        let is_html = response
            .headers()
            .get(CONTENT_TYPE)
            .is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
        let status = response.status();
        let body = read(response, LARGEST_ANSWER)
            .await
            .map_err(|error| match error {
                Some(error) => Failure::passing(self.transport(error)),
                None => Failure::last(self.unexpected(&request.what(), &"the answer is too large")),
            })?;
        self.trace(|| format!("< {}", redact::body(&body)));
        if is_html {
            let words = text_of(status, &body);
            return Err(Failure::last(
                self.unexpected(&request.what(), &format!("an HTML page ({words})")),
            ));
        }
        if body.is_empty() && request.method == Method::DELETE {
            return Ok(RawValue::NULL.to_owned());
        }
        serde_json::from_slice(&body).map_err(|error| {
            let unexpected = self.unexpected(&request.what(), &format!("no JSON ({error})"));
            Failure::last(unexpected.caused_by(error))
        })
    }

    async fn send(&self, request: &Request, limit: Limit) -> Result<Response, Failure> {
        let mut url = request.url(&self.0.base).map_err(Failure::last)?;
        for _ in 0..=MOST_REDIRECTS {
            let response = self.send_to(&url, request, limit).await?;
            if !response.status().is_redirection() {
                return self.checked(request, response).await;
            }
            url = self.redirected(&url, &request.method, response.headers())?;
        }
        Err(Failure::last(Error::Redirect {
            server: self.server(),
            to: "itself, again and again".to_owned(),
        }))
    }

    pub(crate) async fn send_to(
        &self,
        url: &Url,
        request: &Request,
        limit: Limit,
    ) -> Result<Response, Failure> {
        if self.0.dry_run && ![Method::GET, Method::HEAD].contains(&request.method) {
            let extra = self.0.headers.keys().chain(request.headers.keys());
            self.0
                .log
                .not_sent(&curl::line(url, request, extra.map(HeaderName::as_str)));
            return Err(Failure::last(Error::DryRun));
        }
        if ![Method::GET, Method::HEAD].contains(&request.method) && !url.path().ends_with("/exec")
        {
            self.0.log.changes();
        }
        let mut builder = self
            .0
            .http
            .request(request.method.clone(), url.clone())
            .headers(self.0.headers.clone())
            .header(ACCEPT, request.accept);
        if limit == Limit::Request {
            builder = builder.timeout(self.0.timeout);
        }
        if curl::has_body(&request.method) || request.body.is_some() {
            builder = builder.header(CONTENT_TYPE, "application/json");
            builder = builder.body(request.body.clone().unwrap_or_default());
        }
        builder = builder.headers(request.headers.clone());
        self.debug(|| format!("> {} {url}", request.method));
        self.trace(|| format!("> {}", headers_text(&self.0.headers)));
        if let Some(body) = &request.body {
            self.trace(|| format!("> {}", redact::body(body)));
        }
        let start = Instant::now();
        let response = builder
            .send()
            .await
            .map_err(|error| Failure::passing(self.transport(error)))?;
        self.debug(|| {
            format!(
                "< {} {url} {:?} in {} ms",
                response.status(),
                response.version(),
                start.elapsed().as_millis()
            )
        });
        self.trace(|| format!("< {}", headers_text(response.headers())));
        Ok(response)
    }

    /// Lets a 2xx answer pass and turns any other into an error.
    async fn checked(&self, request: &Request, response: Response) -> Result<Response, Failure> {
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let headers = response.headers().clone();
        let may_pass = retry::status_may_pass(status, &headers);
        let body = tokio::time::timeout(self.0.timeout, read(response, LARGEST_ERROR)).await;
        let body = body.ok().and_then(Result::ok).unwrap_or_default();
        self.trace(|| format!("< {}", redact::body(&body)));
        let request_id = headers
            .get("x-request-id")
            .and_then(|id| id.to_str().ok())
            .map(str::to_owned);
        if status == StatusCode::NOT_FOUND && (request.is_always_there() || !names_a_thing(&body)) {
            return Err(Failure::last(self.not_the_api(request, &body, request_id)));
        }
        let error = Error::Status {
            status,
            message: self.without_key(text_of(status, &body)),
            request_id,
            retryable: may_pass,
            key_source: self.0.key_source.clone(),
        };
        Err(Failure {
            error,
            may_pass,
            headers: Some(Box::new(headers)),
        })
    }

    /// A server without the paths of the API: most often the base URL leads elsewhere.
    fn not_the_api(&self, request: &Request, body: &[u8], request_id: Option<String>) -> Error {
        let path = self.0.base.path().trim_end_matches('/');
        let hint = match path.ends_with("/v1") {
            true => "leave /v1 out of the base URL".to_owned(),
            false => "is it a FastVM API?".to_owned(),
        };
        let server = self.server();
        let said = self.without_key(text_of(StatusCode::NOT_FOUND, body));
        Error::NotTheApi {
            message: format!(
                "{server} has no {path}/{} (404): {said}",
                request.path.join("/")
            ),
            request_id,
            hint: format!(
                "check the base URL {}: {hint}",
                with_source(self.0.base.as_str(), self.0.url_source.as_deref())
            ),
        }
    }

    /// Where a redirect leads, if it may be followed: a GET, on the same server.
    fn redirected(&self, from: &Url, method: &Method, headers: &HeaderMap) -> Result<Url, Failure> {
        let location = headers
            .get(LOCATION)
            .and_then(|to| to.to_str().ok())
            .and_then(|to| from.join(to).ok());
        match location {
            Some(to) if *method == Method::GET && to.origin() == from.origin() => Ok(to),
            Some(to) => Err(Failure::last(Error::Redirect {
                server: self.server(),
                to: server_of(&to),
            })),
            None => Err(Failure::last(Error::Redirect {
                server: self.server(),
                to: "nowhere".to_owned(),
            })),
        }
    }

    pub(crate) fn transport(&self, error: reqwest::Error) -> Error {
        let server = with_source(&self.server(), self.0.url_source.as_deref());
        let mut failure = self.0.transport.failure(server, self.0.timeout, error);
        if let Error::Tls { reason, .. } = &mut failure
            && reason == certificate::NO_TLS
            && is_loopback(&self.0.base)
        {
            let plain = self.0.base.as_str().replacen("https://", "http://", 1);
            *reason = format!("{reason}; try {plain}");
        }
        failure
    }

    pub(crate) fn unexpected(&self, what: &str, reason: &dyn std::fmt::Display) -> Error {
        Error::Unexpected {
            server: self.server(),
            what: what.to_owned(),
            reason: self.without_key(describe_json_error(&reason.to_string())),
            source: None,
        }
    }

    /// As [`Client::unexpected`], of an answer that the JSON reader complains of.
    pub(crate) fn unreadable(&self, what: &str, error: serde_json::Error) -> Error {
        let unexpected = self.unexpected(what, &error);
        // What a value should have been is told beside the value, which may be a secret.
        match error.is_data() {
            true => unexpected,
            false => unexpected.caused_by(error),
        }
    }

    /// Tells of a request or an answer, without the key. The text is made only where somebody listens.
    pub(super) fn debug(&self, text: impl FnOnce() -> String) {
        if tracing::enabled!(Level::DEBUG) {
            tracing::debug!("{}", self.without_key(text()));
        }
    }

    /// As [`Client::debug`], for headers and bodies.
    fn trace(&self, text: impl FnOnce() -> String) {
        if tracing::enabled!(Level::TRACE) {
            tracing::trace!("{}", self.without_key(text()));
        }
    }
}

/// A failed try, and whether another may do better.
pub(crate) struct Failure {
    pub(crate) error: Error,
    may_pass: bool,
    headers: Option<Box<HeaderMap>>,
}

impl Failure {
    fn passing(error: Error) -> Self {
        let may_pass = !matches!(error, Error::Tls { .. });
        Self {
            error,
            may_pass,
            headers: None,
        }
    }

    fn last(error: Error) -> Self {
        Self {
            error,
            may_pass: false,
            headers: None,
        }
    }
}

/// An address, and where it came from if that is known.
fn with_source(address: &str, source: Option<&str>) -> String {
    match source {
        Some(source) => format!("{address} (from {source})"),
        None => address.to_owned(),
    }
}

/// Reads a whole body up to a size. `None` says that it is larger.
pub(crate) async fn read(
    mut response: Response,
    most: usize,
) -> Result<Vec<u8>, Option<reqwest::Error>> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(Some)? {
        if body.len() + chunk.len() > most {
            return Err(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Returns whether the body of a 404 is one of the API's that says which thing is missing. Any other means that the path is.
fn names_a_thing(body: &[u8]) -> bool {
    serde_json::from_slice::<ErrorBody>(body)
        .is_ok_and(|body| !body.error.is_empty() && !body.error.starts_with("no such route"))
}

fn headers_text(headers: &HeaderMap) -> String {
    let shown = headers.iter().map(|(name, value)| match value.to_str() {
        _ if value.is_sensitive() || name == LOCATION => format!("{name}: [redacted]"),
        Ok(value) => format!("{name}: {value}"),
        Err(_) => format!("{name}: (binary)"),
    });
    shown.collect::<Vec<_>>().join(", ")
}
