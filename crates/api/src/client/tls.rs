//! TLS with the system's roots, read when the first certificate is checked: an `http://` request never pays for them.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

/// Which protocols a client offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocols {
    Http2AndHttp1,
    /// For bulk data: one TCP stream each, no window of a shared connection in between.
    Http1,
}

/// A client configuration that checks certificates against the system's roots, or those that variables name.
pub(crate) fn config(
    protocols: Protocols,
    from_environment: bool,
) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = Arc::new(SystemRoots {
        provider: provider.clone(),
        from_environment,
        loaded: OnceLock::new(),
    });
    // "dangerous" names any verifier of one's own; this one delegates to WebPKI.
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    config.alpn_protocols = match protocols {
        Protocols::Http2AndHttp1 => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        Protocols::Http1 => vec![b"http/1.1".to_vec()],
    };
    Ok(config)
}

#[derive(Debug)]
struct SystemRoots {
    provider: Arc<CryptoProvider>,
    /// Whether `SSL_CERT_FILE` and `SSL_CERT_DIR` count.
    from_environment: bool,
    loaded: OnceLock<Result<Arc<WebPkiServerVerifier>, String>>,
}

impl SystemRoots {
    fn verifier(&self) -> Result<&WebPkiServerVerifier, rustls::Error> {
        self.loaded
            .get_or_init(|| {
                WebPkiServerVerifier::builder_with_provider(
                    Arc::new(roots(self.from_environment)),
                    self.provider.clone(),
                )
                .build()
                .map_err(|error| error.to_string())
            })
            .as_deref()
            .map_err(|error| rustls::Error::General(error.clone()))
    }
}

/// The system's roots, or Mozilla's where the system has none (as in a bare container).
fn roots(from_environment: bool) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates(from_environment));
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    roots
}

/// The bundle alone where it exists: reading the folder beside it as well costs four times as much for the same roots.
fn certificates(from_environment: bool) -> Vec<CertificateDer<'static>> {
    const BUNDLES: &[&str] = &[
        "/etc/ssl/certs/ca-certificates.crt",
        "/etc/pki/tls/certs/ca-bundle.crt",
        "/etc/ssl/cert.pem",
    ];
    // `load_native_certs` takes what these name instead of the system's, so they are looked at whoever asks.
    let is_overridden = ["SSL_CERT_FILE", "SSL_CERT_DIR"]
        .iter()
        .any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()));
    let bundle = BUNDLES
        .iter()
        .map(PathBuf::from)
        .find(|path| path.is_file());
    match bundle {
        Some(path) if !(is_overridden && from_environment) => {
            rustls_native_certs::load_certs_from_paths(Some(&path), None).certs
        }
        _ if is_overridden && !from_environment => Vec::new(),
        _ => rustls_native_certs::load_native_certs().certs,
    }
}

impl ServerCertVerifier for SystemRoots {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.verifier()?.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        )
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier()?
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier()?
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
