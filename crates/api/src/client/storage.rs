//! Staging objects behind signed URLs: another host, no key, no header but what the signature covers.

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, RANGE};
use reqwest::{Body, Response, StatusCode, Url};

use super::error::{Error, text_of};
use super::send::{read, transport_error};
use super::tls::Protocols;
use super::{Client, builder, is_loopback, server_of};
use crate::secret::SignedUrl;

/// Storage answers slower than an API: it may check an object first.
const CONNECT_LIMIT: Duration = Duration::from_secs(15);
/// Nothing moved for this long is a fault. There is no limit on the whole.
pub const STALL_LIMIT: Duration = Duration::from_secs(30);
/// The type that every signed upload of a VM's file is signed for.
const OCTET_STREAM: &str = "application/octet-stream";
/// How much of an error body is shown, in bytes.
const SHOWN: usize = 2000;

impl Client {
    /// Uploads one object. A body that yields an error aborts the upload, so no half object can be taken for whole.
    pub async fn put_object<E>(
        &self,
        url: &SignedUrl,
        body: impl Stream<Item = Result<Bytes, E>> + Send + 'static,
        length: Option<u64>,
    ) -> Result<(), Error>
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>> + 'static,
    {
        self.put_typed(url, OCTET_STREAM, body, length).await
    }

    /// As [`Client::put_object`], with the content type that the URL is signed for.
    pub(crate) async fn put_typed<E>(
        &self,
        url: &SignedUrl,
        kind: &'static str,
        body: impl Stream<Item = Result<Bytes, E>> + Send + 'static,
        length: Option<u64>,
    ) -> Result<(), Error>
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>> + 'static,
    {
        let target = parsed(url)?;
        let mut request = self
            .storage(&target)?
            .put(target.clone())
            .header(CONTENT_TYPE, kind);
        if let Some(length) = length {
            request = request.header(CONTENT_LENGTH, length);
        }
        let (moved, mut watch) = tokio::sync::watch::channel(());
        let body = body.inspect(move |_| {
            let _ = moved.send(());
        });
        let start = self.log_request("PUT", &target);
        let sending = request.body(Body::wrap_stream(body)).send();
        tokio::pin!(sending);
        let response = loop {
            tokio::select! {
                answer = &mut sending => break answer,
                // An error here says that the body is sent: from then on the answer is awaited.
                changed = tokio::time::timeout(STALL_LIMIT, watch.changed()) => match changed {
                    Err(_) => return Err(stalled(&target)),
                    Ok(Ok(())) => {}
                    Ok(Err(_)) => break match tokio::time::timeout(STALL_LIMIT * 4, &mut sending).await {
                        Ok(answer) => answer,
                        Err(_) => return Err(stalled(&target)),
                    },
                },
            }
        };
        let response = response.map_err(|error| self.storage_failure(&target, &error))?;
        self.log_answer(&target, &response, start);
        checked(&target, response).await.map(drop)
    }

    /// Downloads one object from byte `from` on, as a stream. A connection that breaks, or on which nothing moves, yields an error.
    pub async fn get_object(
        &self,
        url: &SignedUrl,
        from: u64,
    ) -> Result<impl Stream<Item = Result<Bytes, Error>> + Send + use<>, Error> {
        let target = parsed(url)?;
        let mut request = self.storage(&target)?.get(target.clone());
        if from > 0 {
            request = request.header(RANGE, format!("bytes={from}-"));
        }
        let start = self.log_request("GET", &target);
        let answer = tokio::time::timeout(STALL_LIMIT, request.send()).await;
        let response = answer
            .map_err(|_| stalled(&target))?
            .map_err(|error| self.storage_failure(&target, &error))?;
        self.log_answer(&target, &response, start);
        let response = checked(&target, response).await?;
        // Whoever knows no ranges sends the whole object, whose beginning is here already.
        let known = match response.status() {
            StatusCode::PARTIAL_CONTENT => 0,
            StatusCode::OK => from,
            status => return Err(self.unexpected("a download", &status)),
        };
        let state = Download {
            client: self.clone(),
            target,
            response: Some(response),
            known,
        };
        Ok(stream::unfold(state, async |mut state| {
            state.chunk().await.map(|chunk| (chunk, state))
        }))
    }

    fn log_request(&self, method: &str, target: &Url) -> Instant {
        self.log(2, || format!("> {method} {}", without_signature(target)));
        Instant::now()
    }

    fn log_answer(&self, target: &Url, response: &Response, start: Instant) {
        self.log(2, || {
            let (status, passed) = (response.status(), start.elapsed().as_millis());
            format!("< {status} {} in {passed} ms", without_signature(target))
        });
    }

    fn storage(&self, target: &Url) -> Result<&reqwest::Client, Error> {
        if let Some(client) = self.0.storage.get() {
            return Ok(client);
        }
        let builder = builder(CONNECT_LIMIT, Protocols::Http1)?;
        let builder = if is_loopback(target) {
            builder.no_proxy()
        } else {
            builder
        };
        let client = builder
            .build()
            .map_err(|error| Error::SetUp(error.without_url().to_string()))?;
        Ok(self.0.storage.get_or_init(|| client))
    }

    fn storage_failure(&self, target: &Url, error: &reqwest::Error) -> Error {
        transport_error(server_of(target), self.0.timeout, error)
    }
}

/// A download under way.
struct Download {
    client: Client,
    target: Url,
    /// None once it ended or failed.
    response: Option<Response>,
    /// Bytes yet to come that are not wanted.
    known: u64,
}

impl Download {
    async fn chunk(&mut self) -> Option<Result<Bytes, Error>> {
        let response = self.response.as_mut()?;
        let failure = loop {
            match tokio::time::timeout(STALL_LIMIT, response.chunk()).await {
                Ok(Ok(Some(mut chunk))) => {
                    let known = self.known.min(chunk.len() as u64);
                    self.known -= known;
                    let wanted = chunk.split_off(usize::try_from(known).unwrap_or(chunk.len()));
                    if !wanted.is_empty() || known == 0 {
                        return Some(Ok(wanted));
                    }
                }
                Ok(Ok(None)) => return None,
                Ok(Err(error)) => break self.client.storage_failure(&self.target, &error),
                Err(_) => break stalled(&self.target),
            }
        };
        self.response = None;
        Some(Err(failure))
    }
}

fn parsed(url: &SignedUrl) -> Result<Url, Error> {
    Url::parse(url.expose())
        .map_err(|error| Error::SetUp(format!("the API sent a bad storage URL: {error}")))
}

/// The query is the signature.
fn without_signature(target: &Url) -> String {
    let mut shown = target.clone();
    shown.set_query(target.query().map(|_| "[redacted]"));
    shown.into()
}

fn stalled(target: &Url) -> Error {
    Error::Stalled {
        server: server_of(target),
        limit: format!("{} s", STALL_LIMIT.as_secs()),
    }
}

async fn checked(target: &Url, response: Response) -> Result<Response, Error> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let body = tokio::time::timeout(STALL_LIMIT, read(response, SHOWN)).await;
    let body = body.ok().and_then(Result::ok).unwrap_or_default();
    Err(Error::Storage {
        server: server_of(target),
        status,
        message: text_of(status, &body),
    })
}
