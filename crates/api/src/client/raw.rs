//! Any request to the API, and its answer as it came: for what this crate has no call for.

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Response, StatusCode, Url};

use super::Client;
use super::error::{self, Error};
use super::request::Request;
use super::send::Limit;

/// A request whose path is taken as it is.
#[derive(Clone, Debug)]
pub struct RawRequest {
    /// The HTTP method, in letters of any case.
    pub method: String,
    /// Below the base URL, encoded, with its query.
    pub path: String,
    /// Added to the query.
    pub query: Vec<(String, String)>,
    /// Besides those of the client; they win over them.
    pub headers: Vec<(String, String)>,
    /// JSON, unless the headers say otherwise.
    pub body: Option<Vec<u8>>,
}

/// An answer of any status.
#[derive(Debug)]
pub struct RawAnswer {
    client: Client,
    response: Response,
}

impl Client {
    /// Sends a request once, and returns its answer with whatever status it has.
    ///
    /// # Errors
    /// Any failure but that of a status: [`RawAnswer::failure`] tells what that means.
    pub async fn raw(&self, raw: &RawRequest) -> Result<RawAnswer, Error> {
        let method =
            Method::from_bytes(raw.method.to_ascii_uppercase().as_bytes()).map_err(|error| {
                Error::set_up(format!("{:?} is not an HTTP method", raw.method)).caused_by(error)
            })?;
        let url = self.below_the_base(raw)?;
        let limit = match method {
            Method::GET | Method::HEAD => Limit::Request,
            // a command takes as long as it takes
            _ => Limit::Stream,
        };
        let mut request = Request::new(method, [raw.path.trim_start_matches('/')]).once();
        request.body.clone_from(&raw.body);
        for (name, value) in &raw.headers {
            let name = HeaderName::try_from(name).map_err(|error| {
                Error::set_up(format!("{name:?} is not a valid header name")).caused_by(error)
            })?;
            let value = HeaderValue::try_from(value).map_err(|error| {
                Error::set_up(format!(
                    "the value of {name} has characters that no header can carry"
                ))
                .caused_by(error)
            })?;
            request.headers.append(name, value);
        }
        let response = self
            .send_to(&url, &request, limit)
            .await
            .map_err(|failure| failure.error)?;
        Ok(RawAnswer {
            client: self.clone(),
            response,
        })
    }

    /// The key goes nowhere but to the API, so a path never leads elsewhere.
    fn below_the_base(&self, raw: &RawRequest) -> Result<Url, Error> {
        let base = &self.0.base;
        let text = format!(
            "{}/{}",
            base.as_str().trim_end_matches('/'),
            raw.path.trim_start_matches('/')
        );
        let mut url =
            Url::parse(&text).map_err(|error| Error::set_up(error.to_string()).caused_by(error))?;
        if url.origin() != base.origin() {
            return Err(Error::InvalidId(path_of(&raw.path)));
        }
        if !raw.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&raw.query);
        }
        Ok(url)
    }
}

impl RawAnswer {
    /// Returns the status of the answer.
    pub fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// Returns the status line and the headers, a line each.
    pub fn head(&self) -> String {
        let line = format!("{:?} {}\n", self.response.version(), self.response.status());
        let headers = self.response.headers().iter();
        let headers = headers.map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            format!("{name}: {value}\n")
        });
        std::iter::once(line).chain(headers).collect()
    }

    /// Returns a header as text, or `None` if it is not there or is no text.
    pub fn header(&self, name: &str) -> Option<String> {
        let value = self.response.headers().get(name)?;
        value.to_str().ok().map(str::to_owned)
    }

    /// Returns whether the body says that it is one JSON document.
    pub fn is_json(&self) -> bool {
        let headers: &HeaderMap = self.response.headers();
        headers
            .get(CONTENT_TYPE)
            .is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"))
    }

    /// Returns the next piece of the body, or `None` at its end. Cancel-safe.
    ///
    /// # Errors
    /// The connection broke, or the time limit passed.
    pub async fn chunk(&mut self) -> Result<Option<bytes::Bytes>, Error> {
        let piece = self.response.chunk().await;
        piece.map_err(|error| self.client.transport(error))
    }

    /// Returns what the status means, or `None` if it is a success; `body` is what was read.
    pub fn failure(&self, body: &[u8]) -> Option<Error> {
        let status = self.status();
        (!status.is_success()).then(|| Error::Status {
            status,
            message: self.client.without_key(error::text_of(status, body)),
            request_id: None,
            retryable: false,
            key_source: self.client.0.key_source.clone(),
        })
    }
}

/// A path without its query.
fn path_of(path: &str) -> String {
    path.split('?').next().unwrap_or_default().to_owned()
}
