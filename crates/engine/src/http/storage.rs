//! `/blobs/{id}`: behaves as a storage service does behind a signed URL, errors in XML included.

use std::error::Error;
use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, RawQuery, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use tokio::task::spawn_blocking;

use super::auth::has_key;
use super::range::{self, Range};
use super::transfer;
use crate::blobs::Operation;
use crate::engine::{Access, Core, Denied};
use crate::server::Caller;

/// An answer that is not 2xx.
#[derive(Debug)]
pub(super) struct Fault {
    status: StatusCode,
    code: &'static str,
    message: String,
}

impl Fault {
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
        }
    }

    pub(super) fn internal(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "InternalError",
            error.into().to_string(),
        )
    }
}

impl From<Denied> for Fault {
    fn from(denied: Denied) -> Self {
        match &denied {
            Denied::Url(_) | Denied::OtherVm => {
                Self::new(StatusCode::FORBIDDEN, "AccessDenied", denied.to_string())
            }
            Denied::Missing => Self::new(StatusCode::NOT_FOUND, "NoSuchKey", denied.to_string()),
            Denied::Failed(_) => Self::internal(denied),
        }
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let text = self.message.replace('&', "&amp;").replace('<', "&lt;");
        let xml = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{}</Code><Message>{text}</Message></Error>\n",
            self.code
        );
        (
            self.status,
            [(header::CONTENT_TYPE, "application/xml")],
            xml,
        )
            .into_response()
    }
}

/// Takes an upload. From a VM it may be for an object of another one: so a copy goes from VM to VM.
pub(super) async fn put(
    State(core): State<Arc<Core>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    request: Request,
) -> Result<StatusCode, Fault> {
    let headers = request.headers().clone();
    refuse_key(&headers)?;
    let (upload, limit) = work(move || {
        let access = core.access(&id, Operation::Put, &query.unwrap_or_default())?;
        caller.authenticate();
        check_upload(&access, &headers)?;
        Ok((
            core.upload(&access).map_err(Fault::internal)?,
            access.max_bytes(),
        ))
    })
    .await?;
    let chunks = request.into_body().into_data_stream().map(|chunk| {
        chunk.map_err(|_| {
            Fault::new(
                StatusCode::BAD_REQUEST,
                "IncompleteBody",
                "the upload broke off",
            )
        })
    });
    transfer::receive(chunks, upload, limit).await?;
    Ok(StatusCode::OK)
}

/// The signature is all that opens an object. A client that sends its key as well would send it to whichever host a URL
/// names.
fn refuse_key(headers: &HeaderMap) -> Result<(), Fault> {
    if has_key(headers) {
        return Err(Fault::new(
            StatusCode::FORBIDDEN,
            "AccessDenied",
            "X-API-Key must not be sent to a signed URL",
        ));
    }
    Ok(())
}

/// Does what may block on a thread that may.
async fn work<T: Send + 'static>(
    verb: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    spawn_blocking(verb).await.map_err(Fault::internal)?
}

/// The content type is part of what was signed. The size is looked at before any of it is taken, where it is stated.
fn check_upload(access: &Access, headers: &HeaderMap) -> Result<(), Fault> {
    let stated = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    if stated != Some(access.content_type()) {
        let message = format!(
            "the signature is for Content-Type {}",
            access.content_type()
        );
        return Err(Fault::new(
            StatusCode::FORBIDDEN,
            "SignatureDoesNotMatch",
            message,
        ));
    }
    let length = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    match length {
        Some(length) if length > access.max_bytes() => Err(transfer::too_large(access.max_bytes())),
        _ => Ok(()),
    }
}

/// Sends an object. To a VM only its own.
pub(super) async fn get(
    State(core): State<Arc<Core>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Fault> {
    refuse_key(&headers)?;
    if method == Method::HEAD {
        return Err(Fault::new(
            StatusCode::FORBIDDEN,
            "AccessDenied",
            "the URL is signed for GET",
        ));
    }
    let (access, object) = work(move || {
        let access = core.access(&id, Operation::Get, &query.unwrap_or_default())?;
        caller.authenticate();
        caller.vm_id().map_or(Ok(()), |vm| access.check_vm(vm))?;
        let object = core.object(&access)?;
        Ok((access, object))
    })
    .await?;
    let (size, tag) = (object.size, object.tag.clone());
    let (status, first, length) = match range::wanted(&headers, size, &tag)? {
        Range::Whole => (StatusCode::OK, 0, size),
        Range::Part { first, length } => (StatusCode::PARTIAL_CONTENT, first, length),
    };
    let mut answer = Response::new(Body::from_stream(transfer::send(
        object.file,
        first,
        length,
    )));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    let values = [
        (header::CONTENT_TYPE, access.content_type().to_owned()),
        (header::CONTENT_LENGTH, length.to_string()),
        (header::ACCEPT_RANGES, "bytes".to_owned()),
        (header::ETAG, tag),
    ];
    for (name, value) in values {
        headers.insert(name, value.try_into().map_err(Fault::internal)?);
    }
    if status == StatusCode::PARTIAL_CONTENT {
        let range = format!("bytes {first}-{}/{size}", first + length - 1);
        headers.insert(
            header::CONTENT_RANGE,
            range.try_into().map_err(Fault::internal)?,
        );
    }
    Ok(answer)
}
