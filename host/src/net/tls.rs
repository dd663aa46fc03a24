//! Whom a client of the host's trusts to be the host it names.
//!
//! The certificates of the system; where it has none (a bare container), Mozilla's as they were
//! when this was built; and those of the operator besides.

use std::fmt;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{Error as PemError, PemObject as _};
use rustls::{ClientConfig, RootCertStore};

/// Why the operator's certificates cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RootsError {
    /// The text is no PEM.
    #[error("the certificates cannot be read: {0}; they are written as PEM")]
    Pem(PemError),
    /// It is PEM, and what it holds is no certificate.
    #[error("one of the certificates is none: {0}")]
    Certificate(rustls::Error),
    /// There is none.
    #[error("there is no certificate in it; one begins with `-----BEGIN CERTIFICATE-----`")]
    Empty,
}

/// Certificates of authorities that are trusted beside the usual ones: an operator's own.
#[derive(Clone, Default)]
pub struct ExtraRoots(Vec<CertificateDer<'static>>);

impl fmt::Debug for ExtraRoots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ExtraRoots({})", self.0.len())
    }
}

impl ExtraRoots {
    /// Read the certificates of a PEM file.
    ///
    /// # Errors
    /// What is wrong with it, and how it is written.
    pub fn from_pem(pem: &[u8]) -> Result<Self, RootsError> {
        let read = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
        let certificates = read.map_err(RootsError::Pem)?;
        if certificates.is_empty() {
            return Err(RootsError::Empty);
        }
        let mut trial = RootCertStore::empty();
        for certificate in &certificates {
            trial.add(certificate.clone()).map_err(RootsError::Certificate)?;
        }
        Ok(Self(certificates))
    }
}

/// The client's side of TLS. HTTP/1.1 alone is spoken.
pub(crate) fn config(extra: &ExtraRoots) -> Result<ClientConfig, rustls::Error> {
    let mut roots = RootCertStore::empty();
    let system = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(system.certs);
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    for certificate in &extra.0 {
        roots.add(certificate.clone())?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_certificate_is_told() {
        assert!(matches!(ExtraRoots::from_pem(b"hello"), Err(RootsError::Empty)));
        let cut = b"-----BEGIN CERTIFICATE-----\nMIIB\n";
        assert!(matches!(ExtraRoots::from_pem(cut), Err(RootsError::Pem(_))));
        let junk = b"-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n";
        assert!(matches!(ExtraRoots::from_pem(junk), Err(RootsError::Certificate(_))));
    }
}
