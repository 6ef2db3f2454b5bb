//! Why a TLS connection was not made, in words.

use std::error::Error;
use std::io;

use rustls::CertificateError;

/// What is said of a server that answers in another protocol.
pub(crate) const NO_TLS: &str = "the server does not speak TLS";

/// The TLS failure inside a failed request, in words.
pub(crate) fn failure_in(error: &(dyn Error + 'static)) -> Option<String> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(failure) = error.downcast_ref::<rustls::Error>() {
            return Some(words(failure));
        }
        // An I/O error hides what it wraps from the chain of sources.
        let wrapped = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        cause = match wrapped {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        };
    }
    None
}

fn words(error: &rustls::Error) -> String {
    let problem = match error {
        rustls::Error::InvalidCertificate(problem) => problem,
        // what another protocol begins with
        rustls::Error::InvalidMessage(_) => return NO_TLS.to_owned(),
        other => return other.to_string().to_lowercase(),
    };
    match problem {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "its certificate has expired"
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "its certificate is not valid yet; is the clock of this machine right?"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "its certificate is for another name"
        }
        CertificateError::UnknownIssuer => {
            "its certificate is signed by nobody that this machine trusts (see SSL_CERT_FILE)"
        }
        CertificateError::Revoked => "its certificate is revoked",
        CertificateError::BadEncoding => "its certificate cannot be read",
        CertificateError::BadSignature => "its certificate has a bad signature",
        _ => "its certificate is not accepted",
    }
    .to_owned()
}
