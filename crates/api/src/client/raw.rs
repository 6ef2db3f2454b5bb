//! Any request to the API, and its answer as it came: for `fastvm api`.

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Response, StatusCode, Url};

use super::Client;
use super::error::{self, Error};
use super::request::Request;
use super::send::Limit;

/// A request whose path is taken as it is.
#[derive(Clone, Debug)]
pub struct RawRequest {
    pub method: String,
    /// Below the base URL, encoded, with its query.
    pub path: String,
    /// Added to the query.
    pub query: Vec<(String, String)>,
    pub headers: Vec<(String, String)>,
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
    pub async fn raw(&self, raw: &RawRequest) -> Result<RawAnswer, Error> {
        let method = Method::from_bytes(raw.method.to_ascii_uppercase().as_bytes())
            .map_err(|_| Error::SetUp(format!("{:?} is not an HTTP method", raw.method)))?;
        let url = self.below_the_base(raw)?;
        let limit = match method {
            Method::GET | Method::HEAD => Limit::Request,
            // a command takes as long as it takes
            _ => Limit::Stream,
        };
        let mut request = Request::new(method, [raw.path.trim_start_matches('/')]).once();
        request.body.clone_from(&raw.body);
        for (name, value) in &raw.headers {
            let name = HeaderName::try_from(name)
                .map_err(|_| Error::SetUp(format!("{name:?} is not a valid header name")))?;
            let value = HeaderValue::try_from(value).map_err(|_| {
                Error::SetUp(format!(
                    "the value of {name} has characters that no header can carry"
                ))
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
        let mut url = Url::parse(&text).map_err(|error| Error::SetUp(error.to_string()))?;
        if url.origin() != base.origin() {
            return Err(Error::BadId(raw.path.clone()));
        }
        if !raw.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&raw.query);
        }
        Ok(url)
    }
}

impl RawAnswer {
    pub fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// The status line and the headers, a line each.
    pub fn head(&self) -> String {
        let line = format!("{:?} {}\n", self.response.version(), self.response.status());
        let headers = self.response.headers().iter();
        let headers = headers.map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            format!("{name}: {value}\n")
        });
        std::iter::once(line).chain(headers).collect()
    }

    /// A header as text, if it is there and is text.
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

    /// The next piece of the body.
    pub async fn chunk(&mut self) -> Result<Option<bytes::Bytes>, Error> {
        let piece = self.response.chunk().await;
        piece.map_err(|error| self.client.transport(&error))
    }

    /// What the status means, if it is no success; `body` is what was read.
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
