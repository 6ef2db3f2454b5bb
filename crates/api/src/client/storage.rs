//! Staging objects behind signed URLs: another host, no key, no header but what the signature covers.

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, RANGE};
use reqwest::{Body, Response, StatusCode, Url};

use super::error::{Error, text_of};
use super::send::read;
use super::tls::Protocols;
use super::{Client, server_of};
use crate::secret::SignedUrl;

/// Storage answers slower than an API: it may check an object first.
const CONNECT_LIMIT: Duration = Duration::from_secs(15);
/// A transfer on which nothing moves for this long fails. There is no limit on the whole.
pub const STALL_LIMIT: Duration = Duration::from_secs(30);
/// The type that every signed upload of a VM's file is signed for.
const OCTET_STREAM: &str = "application/octet-stream";
/// How much of an error body is shown, in bytes.
const SHOWN: usize = 2000;

impl Client {
    /// Uploads one object to the `uploadUrl` of [`Client::presign`].
    ///
    /// A body that yields an error aborts the upload, so no half object can be taken for whole. So does dropping the
    /// future. `length` is the number of bytes, if it is known.
    ///
    /// # Errors
    /// [`Error::Storage`] if the storage refuses, [`Error::Stalled`] if nothing moves for [`STALL_LIMIT`], or a failure of
    /// the connection, whose source is that of the body if that failed.
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
        let response = response.map_err(|error| self.storage_failure(&target, error))?;
        self.log_answer(&target, &response, start);
        checked(&target, response).await.map(drop)
    }

    /// Downloads one object from byte `from` on, as a stream.
    ///
    /// # Errors
    /// [`Error::Storage`] if the storage refuses. The stream yields an error, and ends, if the connection breaks or nothing
    /// moves for [`STALL_LIMIT`].
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
            .map_err(|error| self.storage_failure(&target, error))?;
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
        self.debug(|| format!("> {method} {}", without_signature(target)));
        Instant::now()
    }

    fn log_answer(&self, target: &Url, response: &Response, start: Instant) {
        self.debug(|| {
            let (status, passed) = (response.status(), start.elapsed().as_millis());
            format!("< {status} {} in {passed} ms", without_signature(target))
        });
    }

    fn storage(&self, target: &Url) -> Result<&reqwest::Client, Error> {
        if let Some(client) = self.0.storage.get() {
            return Ok(client);
        }
        let transport = &self.0.transport;
        let client = transport.build(target, CONNECT_LIMIT, Protocols::Http1, |http| http)?;
        Ok(self.0.storage.get_or_init(|| client))
    }

    fn storage_failure(&self, target: &Url, error: reqwest::Error) -> Error {
        let transport = &self.0.transport;
        transport.failure(server_of(target), self.0.timeout, error)
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
                Ok(Err(error)) => break self.client.storage_failure(&self.target, error),
                Err(_) => break stalled(&self.target),
            }
        };
        self.response = None;
        Some(Err(failure))
    }
}

fn parsed(url: &SignedUrl) -> Result<Url, Error> {
    Url::parse(url.expose()).map_err(|error| {
        Error::set_up(format!("the API sent a bad storage URL: {error}")).caused_by(error)
    })
}

/// The query is the signature.
fn without_signature(target: &Url) -> String {
    let mut shown = target.clone();
    shown.set_query(target.query().map(|_| "[redacted]"));
    shown.into()
}

fn stalled(target: &Url) -> Error {
    Error::stalled(server_of(target), STALL_LIMIT)
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
        message: without_values(target, text_of(status, &body)),
    })
}

/// What a storage says, without the signature that it may repeat.
fn without_values(target: &Url, mut text: String) -> String {
    /// A shorter value is part of many words, and no signature.
    const SHORTEST: usize = 16;
    let raw = target.query().unwrap_or_default();
    let raw = raw.split('&').filter_map(|pair| pair.split_once('='));
    let values = raw.map(|(_, value)| value.to_owned());
    let read = target.query_pairs().map(|(_, value)| value.into_owned());
    for value in values.chain(read) {
        if value.len() >= SHORTEST {
            text = text.replace(&value, "[redacted]");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_storage_that_repeats_the_signature_does_not_show_it() {
        let url = "http://h/o?X-Signature=abcdefghijklmn%2Fop&partNumber=1";
        let url = url.parse().unwrap();
        for (said, shown) in [
            ("wrong: abcdefghijklmn/op 1", "wrong: [redacted] 1"),
            ("wrong: abcdefghijklmn%2Fop", "wrong: [redacted]"),
            ("gone", "gone"),
        ] {
            assert_eq!(without_values(&url, said.to_owned()), shown);
        }
    }
}
