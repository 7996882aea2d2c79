//! The trusted root certificates. If `AWS_CA_BUNDLE` is set, only its certificates are trusted. Otherwise those compiled in with
//! the feature `webpki-roots` are trusted, and without this feature those of the system.

use std::path::Path;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use crate::error::Error;
use crate::error::problem::setting::Setting;

/// One or more root certificates that have been parsed.
pub(super) struct Roots {
    /// The certificates, for a client that parses them again.
    #[cfg_attr(not(feature = "__sdk-http-client"), expect(dead_code, reason = "the SDK's client reads them again"))]
    pub(super) certificates: Vec<CertificateDer<'static>>,
    #[cfg_attr(feature = "__sdk-http-client", allow(dead_code, reason = "the SDK's client makes its own store"))]
    pub(super) store: RootCertStore,
}

impl Roots {
    /// Reads the PEM file at `path`. If one of its certificates cannot be used, the file is refused.
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

    /// Keeps the certificates that can be parsed. Root stores contain some that rustls does not accept.
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

    /// The compiled-in root certificates that Mozilla trusts for every host name. Certificates that Mozilla trusts only for some
    /// names are omitted. The certificates themselves do not contain this restriction. The crate `webpki-roots` does.
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

/// The error if there are no usable root certificates.
pub(super) fn no_roots(cause: impl Into<super::BoxError>) -> Error {
    Error::caused_by(Setting::NoRootCertificates, cause)
}

#[cfg(all(test, feature = "webpki-roots", feature = "__sdk-http-client"))]
mod tests {
    use super::*;

    /// The crates `webpki-roots` and `webpki-root-certs` have separate releases, so their lists may differ.
    #[test]
    fn roots_compiled_in_exclude_those_with_name_constraints() {
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
