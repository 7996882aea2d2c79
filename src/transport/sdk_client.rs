//! https with the HTTP client of the AWS SDK, which programs with an SDK client already depend on.

use aws_smithy_http_client::Connector;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_runtime_api::client::dns::{DnsFuture, ResolveDns, ResolveDnsError};
use aws_smithy_runtime_api::client::http::{HttpConnectorSettings, SharedHttpConnector};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::CertificateDer;

use super::http_client::from_connector;
use super::https_settings::HttpsSettings;
use super::roots::Roots;
use super::{Client, proxy, resolver};
use crate::clock::timer::TokioSleep;
use crate::error::{Error, ErrorKind};

#[cfg(feature = "rustls-aws-lc")]
const CRYPTO: CryptoMode = CryptoMode::AwsLc;
#[cfg(not(feature = "rustls-aws-lc"))]
const CRYPTO: CryptoMode = CryptoMode::Ring;

/// Reads root certificates, so it must run on a blocking thread.
pub(super) fn build(settings: &HttpsSettings) -> Result<Client, Error> {
    let roots = match &settings.ca_bundle {
        Some(path) => Roots::bundle(path)?,
        None => default_roots()?,
    };
    let tls = TlsContext::builder().with_trust_store(trust_store(&roots)).build();
    let tls = tls.map_err(|_| Error::internal(ErrorKind::InvalidConfiguration, "TLS could not be set up"))?;
    let connect_timeout = settings.connect.first;
    let mut builder = Connector::builder()
        .connector_settings(HttpConnectorSettings::builder().connect_timeout(connect_timeout).build())
        .sleep_impl(TokioSleep)
        .pool_max_idle_per_host(0);
    if let Some(settings) = &settings.proxy {
        let proxy = ProxyConfig::https(settings.uri()?).map_err(|_| settings.error(proxy::A_URL))?;
        builder = builder.proxy_config(proxy);
    }
    let connector = builder.tls_provider(Provider::Rustls(CRYPTO)).tls_context(tls).build_with_resolver(Names);
    Ok(from_connector(SharedHttpConnector::new(connector), connect_timeout))
}

/// The SDK's client requires PEM and panics if it cannot parse a certificate. These certificates have been parsed before.
fn trust_store(roots: &Roots) -> TrustStore {
    roots
        .certificates
        .iter()
        .fold(TrustStore::empty(), |store, certificate| store.with_pem_certificate(pem(certificate)))
}

fn pem(certificate: &CertificateDer<'_>) -> String {
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", STANDARD.encode(certificate))
}

#[cfg(feature = "webpki-roots")]
fn default_roots() -> Result<Roots, Error> {
    Roots::compiled_in()
}

#[cfg(not(feature = "webpki-roots"))]
fn default_roots() -> Result<Roots, Error> {
    let found = rustls_native_certs::load_native_certs();
    match Roots::parsable(found.certs) {
        Ok(roots) => Ok(roots),
        Err(none) => Err(found.errors.into_iter().next().map_or(none, super::roots::no_roots)),
    }
}

/// A resolver whose errors contain the host name.
#[derive(Clone, Copy, Debug)]
struct Names;

impl ResolveDns for Names {
    fn resolve_dns<'a>(&'a self, name: &'a str) -> DnsFuture<'a> {
        DnsFuture::new(async move { resolver::resolve_any(name).await.map_err(ResolveDnsError::new) })
    }
}
