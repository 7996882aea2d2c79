//! Which certificate authorities are trusted: those of `AWS_CA_BUNDLE` alone if it is set, else those in the binary if they
//! were compiled in (`webpki-roots`), else the system's.

use std::path::Path;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use crate::env;
use crate::error::{Error, ErrorKind};

/// Root certificates that have been parsed, at least one.
pub(super) struct Roots {
    /// The certificates themselves, for a client that reads them again.
    #[cfg_attr(
        not(feature = "__sdk-http-client"),
        expect(dead_code, reason = "only the SDK's client reads them again")
    )]
    pub(super) certificates: Vec<CertificateDer<'static>>,
    #[cfg_attr(feature = "__sdk-http-client", expect(dead_code, reason = "the SDK's client makes its own store"))]
    pub(super) store: RootCertStore,
}

impl Roots {
    /// Those of the PEM file at `path`. One that cannot be used makes the whole file an error.
    pub(super) fn bundle(path: &Path) -> Result<Self, Error> {
        let wrong = |why: &str, cause: String| {
            let message = format!("{}={} {why}", env::CA_BUNDLE, path.display());
            Error::caused_by(ErrorKind::InvalidConfiguration, message, cause)
        };
        let certificates: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(path)
            .and_then(Iterator::collect)
            .map_err(|e| wrong("cannot be read as PEM certificates", e.to_string()))?;
        let mut store = RootCertStore::empty();
        for certificate in &certificates {
            store
                .add(certificate.clone())
                .map_err(|e| wrong("holds a certificate that cannot be used", e.to_string()))?;
        }
        if store.is_empty() {
            return Err(wrong("holds no certificate", "no PEM section of type CERTIFICATE".to_owned()));
        }
        Ok(Self { certificates, store })
    }

    /// Those of `certificates` that can be parsed: root stores hold some that no TLS library accepts.
    #[cfg(any(feature = "webpki-roots", feature = "__sdk-http-client"))]
    pub(super) fn parsable(certificates: Vec<CertificateDer<'static>>) -> Result<Self, Error> {
        let mut store = RootCertStore::empty();
        let usable = |certificate: &CertificateDer<'static>| store.add(certificate.clone()).is_ok();
        let certificates: Vec<_> = certificates.into_iter().filter(usable).collect();
        if store.is_empty() {
            return Err(no_roots("the root store is empty"));
        }
        Ok(Self { certificates, store })
    }

    /// Mozilla's, as they were compiled in.
    #[cfg(feature = "webpki-roots")]
    pub(super) fn compiled_in() -> Result<Self, Error> {
        Self::parsable(webpki_root_certs::TLS_SERVER_ROOT_CERTS.to_vec())
    }
}

/// `cause` is why there are none.
pub(super) fn no_roots(cause: impl Into<super::BoxError>) -> Error {
    let message = "no usable root certificates on this system: install ca-certificates in the image, set AWS_CA_BUNDLE, or \
                   enable the feature `webpki-roots` of eks-credentials (for `scratch` images)";
    Error::caused_by(ErrorKind::InvalidConfiguration, message, cause)
}
