//! https with reqwest and aws-lc-rs, which is the default.

use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use rustls::ClientConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};

use super::https_settings::HttpsSettings;
use super::roots::Roots;
use super::{Client, proxy, reqwest_transport, resolver};
use crate::error::{Error, ErrorKind};

/// Reads root certificates, so it must run on a blocking thread.
pub(super) fn build(settings: &HttpsSettings) -> Result<Client, Error> {
    let connect_timeout = settings.connect.first;
    let mut builder = reqwest::Client::builder()
        .tls_backend_preconfigured(tls_config(settings)?)
        .connect_timeout(connect_timeout)
        .http1_only()
        .dns_resolver(Names)
        // Otherwise reqwest would read the proxy variables of the process, which may differ from the snapshot.
        .no_proxy();
    if let Some(settings) = &settings.proxy {
        let uri = zeroize::Zeroizing::new(settings.uri()?.to_string());
        builder = builder.proxy(reqwest::Proxy::https(uri.as_str()).map_err(|_| settings.error(proxy::A_URL))?);
    }
    reqwest_transport::from_builder(builder, Some(connect_timeout))
}

fn tls_config(settings: &HttpsSettings) -> Result<ClientConfig, Error> {
    // The default of the process, if the program has installed one.
    let provider = CryptoProvider::get_default().cloned().unwrap_or_else(|| Arc::new(aws_lc_rs::default_provider()));
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|_| Error::internal(ErrorKind::InvalidConfiguration, "TLS 1.2 and 1.3 are not available"))?;
    let builder = match &settings.ca_bundle {
        Some(path) => builder.with_root_certificates(Roots::bundle(path)?.store),
        None => default_roots(builder)?,
    };
    Ok(builder.with_no_client_auth())
}

type NeedsVerifier = rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>;
type NeedsNothing = rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert>;

#[cfg(feature = "webpki-roots")]
fn default_roots(builder: NeedsVerifier) -> Result<NeedsNothing, Error> {
    let roots: rustls::RootCertStore = webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect();
    Ok(builder.with_root_certificates(roots))
}

#[cfg(not(feature = "webpki-roots"))]
fn default_roots(builder: NeedsVerifier) -> Result<NeedsNothing, Error> {
    use rustls_platform_verifier::BuilderVerifierExt as _;
    builder.with_platform_verifier().map_err(super::roots::no_roots)
}

/// A resolver whose errors contain the host name.
struct Names;

impl Resolve for Names {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let addresses = resolver::resolve_any(name.as_str()).await?;
            let addresses: Addrs = Box::new(addresses.into_iter().map(|ip| (ip, 0).into()));
            Ok(addresses)
        })
    }
}
