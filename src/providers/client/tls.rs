//! Whom we trust, and how we speak TLS.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use super::Unusable;

/// The certificates of a PEM file. Fails when there are none, or one cannot be used.
pub(super) fn read(path: PathBuf) -> Result<Vec<CertificateDer<'static>>, Unusable> {
    let bad = |cause: String| Unusable::CaFile { path: path.clone(), cause: cause.into() };
    let certificates = CertificateDer::pem_file_iter(&path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let certificates = certificates.map_err(|error| bad(error.to_string()))?;
    if certificates.is_empty() {
        return Err(bad("no certificate in it".to_owned()));
    }
    for certificate in &certificates {
        RootCertStore::empty().add(certificate.clone()).map_err(|error| bad(error.to_string()))?;
    }
    Ok(certificates)
}

/// HTTP/2, as ALPN names it.
pub(super) const HTTP2: &[u8] = b"h2";

/// The same for those who must speak HTTP/2.
pub(super) fn for_http2(config: &ClientConfig) -> Arc<ClientConfig> {
    let mut config = config.clone();
    config.alpn_protocols = vec![HTTP2.to_vec()];
    Arc::new(config)
}

/// TLS 1.2 and 1.3, HTTP/1.1, trusting the system's roots (`SSL_CERT_FILE` and `SSL_CERT_DIR` replace them), those
/// built in, and `extra`. Containers often come without the first, private networks without a use for the second.
pub(super) fn config(extra: &[CertificateDer<'static>]) -> Result<Arc<ClientConfig>, rustls::Error> {
    let mut trusted = rustls_native_certs::load_native_certs().certs;
    trusted.extend_from_slice(webpki_root_certs::TLS_SERVER_ROOT_CERTS);
    trusted.extend_from_slice(extra);
    trusted.sort_unstable_by(|a, b| a.as_ref().cmp(b.as_ref()));
    trusted.dedup();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(trusted);
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
