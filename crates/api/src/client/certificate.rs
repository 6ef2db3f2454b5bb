//! Why a TLS connection was not made, in words.

use std::error::Error;
use std::io;

use rustls::CertificateError;

/// What is said of a server that answers in another protocol.
pub(crate) const NO_TLS: &str = "the server does not speak TLS";

/// What the verifier calls a certificate that may sign others, where one of a server is due.
const CA_AS_SERVER: &str = "CaUsedAsEndEntity";

/// The TLS failure inside a failed request, in words. `names_variable` says whether `SSL_CERT_FILE` would help.
pub(crate) fn failure_in(error: &(dyn Error + 'static), names_variable: bool) -> Option<String> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(failure) = error.downcast_ref::<rustls::Error>() {
            return Some(words(failure, names_variable));
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

fn words(error: &rustls::Error, names_variable: bool) -> String {
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
        CertificateError::UnknownIssuer if names_variable => {
            "its certificate is signed by nobody that this machine trusts (see SSL_CERT_FILE)"
        }
        CertificateError::UnknownIssuer => {
            "its certificate is signed by nobody that this machine trusts"
        }
        CertificateError::Revoked => "its certificate is revoked",
        CertificateError::BadEncoding => "its certificate cannot be read",
        CertificateError::BadSignature => "its certificate has a bad signature",
        CertificateError::Other(reason) if reason.to_string() == CA_AS_SERVER => {
            match names_variable {
                true => {
                    "its certificate is that of a CA, as a self-signed one is; use one that a CA signed, and name the CA in SSL_CERT_FILE"
                }
                false => {
                    "its certificate is that of a CA, as a self-signed one is; use one that a CA signed"
                }
            }
        }
        other => return format!("its certificate is not accepted ({other})"),
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::OtherError;
    use std::sync::Arc;

    /// As the verifier names it; the type is private to it.
    #[derive(Debug, thiserror::Error)]
    #[error("CaUsedAsEndEntity")]
    struct CaUsedAsEndEntity;

    #[test]
    fn each_fault_of_a_certificate_has_its_own_words() {
        use CertificateError as Problem;
        for (problem, expected) in [
            (Problem::Expired, "has expired"),
            (Problem::NotValidYet, "is the clock of this machine right?"),
            (Problem::NotValidForName, "is for another name"),
            (Problem::UnknownIssuer, "signed by nobody that this machine"),
            (Problem::Revoked, "is revoked"),
            (Problem::BadEncoding, "cannot be read"),
            (Problem::BadSignature, "has a bad signature"),
            (
                Problem::Other(OtherError(Arc::new(CaUsedAsEndEntity))),
                "as a self-signed one is",
            ),
            (
                Problem::ApplicationVerificationFailure,
                "is not accepted (ApplicationVerificationFailure)",
            ),
        ] {
            // as it comes: inside an I/O error
            let failure = rustls::Error::InvalidCertificate(problem);
            let failure = io::Error::other(failure);
            let said = failure_in(&failure, true).unwrap();
            assert!(said.starts_with("its certificate "), "{said}");
            assert!(said.contains(expected), "{said}");
            let said = failure_in(&failure, false).unwrap();
            assert!(
                said.contains(expected) && !said.contains("SSL_CERT"),
                "{said}"
            );
        }
        assert_eq!(failure_in(&io::Error::other("reset"), true), None);
    }
}
