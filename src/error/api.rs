//! What failures of the API are to the user.

use fastvm_api::Error as ApiError;
use reqwest::StatusCode;

use super::{Error, Kind};

impl From<ApiError> for Error {
    fn from(error: ApiError) -> Self {
        let made = Self::new(kind_of(&error), error.to_string()).retryable(error.may_pass());
        match error {
            ApiError::Redirect { .. } | ApiError::Unexpected { .. } => {
                made.hint("check the base URL with `fastvm context show`")
            }
            ApiError::Storage { status, .. } => made.retryable(status.is_server_error()),
            ApiError::NotTheApi {
                hint, request_id, ..
            } => made.answered(404, request_id).hint(hint),
            ApiError::Status {
                status, request_id, ..
            } => with_hint(made, status).answered(status.as_u16(), request_id),
            _ => made,
        }
    }
}

fn kind_of(error: &ApiError) -> Kind {
    match error {
        ApiError::Connect { .. }
        | ApiError::Broken { .. }
        | ApiError::TimedOut { .. }
        | ApiError::Stalled { .. }
        | ApiError::Redirect { .. } => Kind::Network,
        ApiError::Tls { .. } => Kind::Tls,
        ApiError::Unexpected { .. } => Kind::Server,
        ApiError::Storage { status, .. } if status.is_server_error() => Kind::Server,
        ApiError::Storage { .. } => Kind::Transfer,
        ApiError::NotTheApi { .. } => Kind::NotFound,
        ApiError::DryRun => Kind::DryRun,
        ApiError::StreamLost { .. } => Kind::StreamLost,
        ApiError::InvalidId(_) => Kind::Usage,
        ApiError::SetUp { .. } => Kind::LocalIo,
        ApiError::Status { .. } if error.is_over_quota() => Kind::Quota,
        ApiError::Status { status, .. } => kind_of_status(*status),
        _ => Kind::Server,
    }
}

fn kind_of_status(status: StatusCode) -> Kind {
    match status.as_u16() {
        401 => Kind::Auth,
        403 => Kind::Forbidden,
        404 => Kind::NotFound,
        408 => Kind::Network,
        409 => Kind::Conflict,
        429 => Kind::RateLimited,
        400..500 => Kind::Invalid,
        _ => Kind::Server,
    }
}

fn with_hint(error: Error, status: StatusCode) -> Error {
    match error.kind() {
        Kind::Quota => error.hint("see what is used with `fastvm quota`"),
        _ if status == StatusCode::UNAUTHORIZED => {
            error.hint("store a valid key with `fastvm login`, or use this machine with --local")
        }
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(code: u16, said: &str) -> Error {
        let status = StatusCode::from_u16(code).unwrap();
        Error::from(ApiError::refused(status, said))
    }

    #[test]
    fn a_status_decides_the_kind_and_the_hint() {
        for (code, said, kind, has_hint) in [
            (401, "m", Kind::Auth, true),
            (403, "m", Kind::Forbidden, false),
            (403, "Quota used up", Kind::Quota, true),
            (404, "m", Kind::NotFound, false),
            (408, "m", Kind::Network, false),
            (409, "m", Kind::Conflict, false),
            (418, "m", Kind::Invalid, false),
            (429, "m", Kind::RateLimited, false),
            (500, "m", Kind::Server, false),
        ] {
            let error = status(code, said);
            assert_eq!(error.kind(), kind, "{code} {said}");
            assert_eq!(error.hint_text().is_some(), has_hint, "{code} {said}");
            assert_eq!(error.status(), Some(code));
        }
    }
}
