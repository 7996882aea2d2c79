//! Which certificate authorities are trusted: those of `AWS_CA_BUNDLE` alone if it is set, else those in the binary if they
//! were compiled in (`webpki-roots`), else the system's.

use std::path::Path;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use crate::error::Error;
use crate::error::problem::setting::Setting;

/// Root certificates that have been parsed, at least one.
pub(super) struct Roots {
    /// The certificates themselves, for a client that reads them again.
    #[cfg_attr(not(feature = "__sdk-http-client"), expect(dead_code, reason = "the SDK's client reads them again"))]
    pub(super) certificates: Vec<CertificateDer<'static>>,
    #[cfg_attr(feature = "__sdk-http-client", allow(dead_code, reason = "the SDK's client makes its own store"))]
    pub(super) store: RootCertStore,
}

impl Roots {
    /// Those of the PEM file at `path`. One that cannot be used makes the whole file an error.
    pub(super) fn bundle(path: &Path) -> Result<Self, Error> {
        let wrong = |why, cause: String| Error::caused_by(Setting::CaBundle { path: path.to_owned(), why }, cause);
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
    #[cfg(feature = "__sdk-http-client")]
    pub(super) fn parsable(certificates: Vec<CertificateDer<'static>>) -> Result<Self, Error> {
        let mut store = RootCertStore::empty();
        let usable = |certificate: &CertificateDer<'static>| store.add(certificate.clone()).is_ok();
        let certificates: Vec<_> = certificates.into_iter().filter(usable).collect();
        if store.is_empty() {
            return Err(no_roots("the root store is empty"));
        }
        Ok(Self { certificates, store })
    }

    /// Mozilla's, as they were compiled in: those that Mozilla trusts for every host name. A certificate does not say for
    /// which names it is trusted; the crate `webpki-roots` does.
    #[cfg(all(feature = "webpki-roots", feature = "__sdk-http-client"))]
    pub(super) fn compiled_in() -> Result<Self, Error> {
        let constrained = |subject: &[u8]| {
            let mut roots = webpki_roots::TLS_SERVER_ROOTS.iter().filter(|root| root.name_constraints.is_some());
            roots.any(|root| root.subject.as_ref() == subject)
        };
        let unconstrained = |certificate: &&CertificateDer<'static>| {
            let mut store = RootCertStore::empty();
            let _ = store.add((*certificate).clone());
            store.roots.first().is_some_and(|anchor| !constrained(&anchor.subject))
        };
        Self::parsable(webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().filter(unconstrained).cloned().collect())
    }
}

/// `cause` is why there are none.
pub(super) fn no_roots(cause: impl Into<super::BoxError>) -> Error {
    Error::caused_by(Setting::NoRootCertificates, cause)
}

#[cfg(all(test, feature = "webpki-roots", feature = "__sdk-http-client"))]
mod tests {
    use super::*;

    /// The two crates are released apart, so one of them may have roots that the other one lacks.
    #[test]
    fn compiled_in_roots_are_those_without_name_constraints() {
        let constrained = webpki_roots::TLS_SERVER_ROOTS.iter().filter(|root| root.name_constraints.is_some());
        let constrained: Vec<_> = constrained.map(|root| root.subject.to_vec()).collect();
        let all = Roots::parsable(webpki_root_certs::TLS_SERVER_ROOT_CERTS.to_vec()).unwrap().store;
        let kept = Roots::compiled_in().unwrap().store;
        assert!(!constrained.is_empty() && kept.len() > 100, "{} and {}", constrained.len(), kept.len());
        assert!(kept.roots.iter().all(|root| !constrained.contains(&root.subject.to_vec())));
        let left_out = all.roots.iter().filter(|root| constrained.contains(&root.subject.to_vec())).count();
        assert!(left_out > 0);
        assert_eq!(kept.len(), all.len() - left_out);
    }
}
