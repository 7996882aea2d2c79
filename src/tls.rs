//! TLS for STS and https container endpoints: which cryptography, which roots, which proxy.
//!
//! Built on first need and off the async threads: reading a root store takes file I/O and milliseconds of CPU.

use std::path::PathBuf;
use std::sync::Arc;

use reqwest::{Client, NoProxy, Proxy, redirect};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

use crate::env::{self, Env};
use crate::error::{Error, ErrorKind};
use crate::http;

/// What the environment says about reaching https hosts.
#[derive(Clone, Debug, Default)]
pub(crate) struct TlsSettings {
    ca_bundle: Option<PathBuf>,
    proxy: Option<(String, String)>,
    no_proxy: Option<String>,
}

impl TlsSettings {
    pub(crate) fn from_env(env: &Env) -> Result<Self, Error> {
        let proxy = env.first_of(&[env::HTTPS_PROXY, "https_proxy", env::ALL_PROXY, "all_proxy"])?;
        let no_proxy = env.first_of(&[env::NO_PROXY, "no_proxy"])?;
        Ok(Self {
            ca_bundle: env.get(env::CA_BUNDLE)?.map(PathBuf::from),
            proxy: proxy.map(|(name, url)| (name.to_owned(), url.to_owned())),
            no_proxy: no_proxy.map(|(_, hosts)| hosts.to_owned()),
        })
    }

    /// A client for https, built on a blocking thread.
    pub(crate) async fn client(&self) -> Result<http::Client, Error> {
        let settings = self.clone();
        match tokio::task::spawn_blocking(move || settings.client_blocking()).await {
            Ok(client) => client.map(http::Client::Tls),
            Err(join) => Err(Error::caused_by(ErrorKind::Unavailable, "the thread that sets up TLS ended early", join)),
        }
    }

    fn client_blocking(&self) -> Result<Client, Error> {
        let mut builder = Client::builder()
            .tls_backend_preconfigured(self.config()?)
            .connect_timeout(http::CONNECT_TIMEOUT)
            .redirect(redirect::Policy::none())
            .referer(false)
            .pool_max_idle_per_host(0)
            .http1_only()
            // The environment of the process is not read behind the snapshot's back.
            .no_proxy();
        if let Some((name, url)) = &self.proxy {
            // The value may hold a password, so it is not shown.
            let wrong = |what: &str| format!("{name} is not {what}; expected e.g. http://proxy.example.com:3128");
            // reqwest would take it, and fail to connect at every attempt.
            let supported = |scheme: &str| ["http", "https"].iter().any(|http| scheme.eq_ignore_ascii_case(http));
            if url.split_once("://").is_some_and(|(scheme, _)| !supported(scheme)) {
                return Err(Error::invalid(wrong("an http proxy, the only kind that is supported")));
            }
            let proxy = Proxy::https(url).map_err(|e| {
                Error::caused_by(ErrorKind::InvalidConfiguration, wrong("a proxy URL"), e.without_url())
            })?;
            builder = builder.proxy(proxy.no_proxy(self.no_proxy.as_deref().and_then(NoProxy::from_string)));
        }
        builder
            .build()
            .map_err(|e| Error::caused_by(ErrorKind::InvalidConfiguration, "the https client could not be built", e))
    }

    /// `AWS_CA_BUNDLE` alone if it is set, else the roots in the binary if they were compiled in, else the system's.
    fn config(&self) -> Result<ClientConfig, Error> {
        let provider = provider()?;
        match &self.ca_bundle {
            Some(path) => with_roots(provider, bundle(path)?),
            None => default_roots(provider),
        }
    }
}

/// The process's default if the program installed one, else the one compiled in.
fn provider() -> Result<Arc<CryptoProvider>, Error> {
    if let Some(installed) = CryptoProvider::get_default() {
        return Ok(installed.clone());
    }
    #[cfg(feature = "rustls-aws-lc")]
    return Ok(Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
    #[cfg(all(feature = "rustls-ring", not(feature = "rustls-aws-lc")))]
    return Ok(Arc::new(rustls::crypto::ring::default_provider()));
    #[cfg(not(any(feature = "rustls-aws-lc", feature = "rustls-ring")))]
    return Err(Error::invalid(
        "TLS has no cryptography in this build: enable the feature `rustls-aws-lc` or `rustls-ring` of \
         eks-credentials, or install a process-wide rustls CryptoProvider",
    ));
}

fn with_roots(provider: Arc<CryptoProvider>, roots: RootCertStore) -> Result<ClientConfig, Error> {
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| Error::caused_by(ErrorKind::InvalidConfiguration, "TLS 1.2 and 1.3 are not available", e))?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

fn bundle(path: &PathBuf) -> Result<RootCertStore, Error> {
    let wrong = |why: String, cause| {
        let message = format!("{}={} {why}", env::CA_BUNDLE, path.display());
        Error::caused_by(ErrorKind::InvalidConfiguration, message, cause)
    };
    let certificates: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|e| wrong("cannot be read as PEM certificates".to_owned(), e.to_string()))?;
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        roots
            .add(certificate)
            .map_err(|e| wrong("holds a certificate that cannot be used".to_owned(), e.to_string()))?;
    }
    if roots.is_empty() {
        return Err(wrong("holds no certificate".to_owned(), "no PEM section of type CERTIFICATE".to_owned()));
    }
    Ok(roots)
}

#[cfg(feature = "webpki-roots")]
fn default_roots(provider: Arc<CryptoProvider>) -> Result<ClientConfig, Error> {
    with_roots(provider, webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect())
}

#[cfg(not(feature = "webpki-roots"))]
fn default_roots(provider: Arc<CryptoProvider>) -> Result<ClientConfig, Error> {
    use rustls_platform_verifier::BuilderVerifierExt as _;
    let no_roots = |e| {
        let message = "no usable root certificates on this system: install ca-certificates in the image, set \
                       AWS_CA_BUNDLE, or enable the feature `webpki-roots` of eks-credentials (for `scratch` images)";
        Error::caused_by(ErrorKind::InvalidConfiguration, message, e)
    };
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().map_err(no_roots)?;
    Ok(builder.with_platform_verifier().map_err(no_roots)?.with_no_client_auth())
}

/// Without a cryptography of its own the crate has nothing to test here: every https client is the same error.
#[cfg(test)]
#[cfg(any(feature = "rustls-aws-lc", feature = "rustls-ring"))]
mod tests {
    use super::*;

    fn settings(vars: &[(&str, &str)]) -> TlsSettings {
        TlsSettings::from_env(&Env::from_os(vars.iter().map(|(n, v)| (n.into(), v.into())))).unwrap()
    }

    #[test]
    fn a_bundle_that_is_none_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ca.pem");
        let path = path.to_str().unwrap();
        let missing = settings(&[(env::CA_BUNDLE, path)]).client_blocking().unwrap_err().to_string();
        assert!(missing.starts_with("AWS_CA_BUNDLE=") && missing.contains(path), "{missing}");
        std::fs::write(path, "not a certificate").unwrap();
        let empty = settings(&[(env::CA_BUNDLE, path)]).client_blocking().unwrap_err().to_string();
        assert!(empty.ends_with("holds no certificate"), "{empty}");
    }

    #[test]
    fn a_bad_proxy_is_an_error_that_names_the_variable_and_hides_the_value() {
        let error = settings(&[(env::HTTPS_PROXY, "http://me:hunter2@:bad:port")]).client_blocking().unwrap_err();
        assert!(error.to_string().starts_with("HTTPS_PROXY is not a proxy URL"), "{error}");
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    }
}
