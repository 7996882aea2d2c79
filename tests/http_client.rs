//! HTTP clients given to the builder: those of the AWS SDK, and reqwest.
#![cfg(feature = "irsa")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod support;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_runtime_api::client::http::{HttpClient, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use eks_credentials::testing::LocalPod;
use eks_credentials::{Builder, Error, ErrorKind};
use support::ca::{Ca, named};
use support::{Recorder, builder, http, whole, with};

/// The SDK's client. It trusts only `ca`.
fn sdk_client(ca: &Ca) -> SharedHttpClient {
    let pem = std::fs::read(ca.bundle().path()).unwrap();
    let trust = TrustStore::empty().with_pem_certificate(pem);
    let tls = TlsContext::builder().with_trust_store(trust).build().unwrap();
    let provider = Provider::Rustls(CryptoMode::AwsLc);
    aws_smithy_http_client::Builder::new().tls_provider(provider).tls_context(tls).build_https()
}

/// The timeout ends the retries of a test that expects an error. An attempt must also end within it on a busy machine.
fn at(pod: &LocalPod, sts: &str) -> Builder {
    builder(with(pod.irsa_env(), "AWS_ENDPOINT_URL_STS", sts)).startup_timeout(Duration::from_secs(1))
}

async fn https(pod: &LocalPod, ca: &Ca) -> String {
    let sts: SocketAddr = ca.in_front_of(pod.sts().address(), named("localhost")).await;
    format!("https://localhost:{}", sts.port())
}

#[tokio::test]
async fn http_client_of_the_sdk_reaches_sts_over_https() {
    support::trace();
    let (pod, ca) = (LocalPod::start().await.unwrap(), Ca::new());
    let sts = https(&pod, &ca).await;
    let patient = at(&pod, &sts).startup_timeout(Duration::from_secs(20));
    patient.http_client(sdk_client(&ca)).build().unwrap().warm_up().await.unwrap();
    assert_eq!(pod.sts().requests(), 1);

    let other = sdk_client(&Ca::new());
    let error = at(&pod, &sts).http_client(other).build().unwrap().warm_up().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{}", whole(&error));
    #[cfg(feature = "__tls")]
    {
        let message = error.to_string();
        assert!(message.contains("unknown issuer") && message.contains("passed to the builder"), "{message}");
        assert!(!message.contains("AWS_CA_BUNDLE"), "the bundle is not applied to this client: {message}");
    }
    assert_eq!(pod.sts().requests(), 1);
}

#[tokio::test]
async fn http_client_failures_are_distinguished() {
    support::trace();
    let (pod, ca) = (LocalPod::start().await.unwrap(), Ca::new());
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let garbled = Recorder::start("SSH-2.0-OpenSSH\r\n").await;
    let cut = Recorder::start("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n<Assume").await;
    for (address, kind, said) in [
        (closed, ErrorKind::Unavailable, "refused the connection"),
        (garbled.address, ErrorKind::InvalidResponse, "sent a response that is not HTTP"),
        (cut.address, ErrorKind::Unavailable, "closed the connection before the response was complete"),
    ] {
        let provider = at(&pod, &format!("http://{address}")).http_client(sdk_client(&ca)).build().unwrap();
        let error = provider.warm_up().await.unwrap_err();
        assert_eq!(error.kind(), kind, "{}", whole(&error));
        assert!(error.to_string().contains(said), "{}", whole(&error));
    }
}

/// The error after a redirect to another server. Asserts that the other server receives no request.
async fn redirected(client: impl FnOnce(Builder) -> Builder) -> Error {
    let pod = LocalPod::start().await.unwrap();
    let elsewhere = Recorder::start(http(200, "text/plain", "thanks for the token")).await;
    let location = format!("location: http://{}/\r\ncontent-length: 0\r\nconnection: close\r\n\r\n", elsewhere.address);
    let redirecting = Recorder::start(format!("HTTP/1.1 307 Temporary Redirect\r\n{location}")).await;
    let provider = client(at(&pod, &format!("http://{}", redirecting.address))).build().unwrap();
    let error = provider.warm_up().await.unwrap_err();
    assert!(!redirecting.requests().is_empty());
    assert_eq!(elsewhere.requests(), Vec::<String>::new(), "{error}");
    error
}

#[tokio::test]
async fn http_client_of_the_sdk_follows_no_redirect() {
    let error = redirected(|builder| builder.http_client(sdk_client(&Ca::new()))).await;
    assert_eq!(error.kind(), ErrorKind::InvalidResponse);
    assert!(error.to_string().contains("a redirect, which is not followed"), "{error}");
}

/// Counts the connectors that it creates.
#[derive(Clone, Debug)]
struct Counting {
    inner: SharedHttpClient,
    connectors: Arc<AtomicUsize>,
}

impl HttpClient for Counting {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        assert!(settings.connect_timeout().is_some() && settings.read_timeout().is_none(), "{settings:?}");
        assert!(components.sleep_impl().is_some() && components.time_source().is_some());
        self.connectors.fetch_add(1, Relaxed);
        self.inner.http_connector(settings, components)
    }
}

#[tokio::test]
async fn http_client_creates_one_connector_at_the_first_request() {
    let pod = LocalPod::start().await.unwrap();
    let client = Counting { inner: sdk_client(&Ca::new()), connectors: Arc::default() };
    let provider = builder(pod.irsa_env()).http_client(client.clone()).build().unwrap();
    assert_eq!(client.connectors.load(Relaxed), 0);
    for _ in 0..3 {
        let credentials = provider.credentials().await.unwrap();
        provider.invalidate(&credentials);
    }
    assert_eq!((client.connectors.load(Relaxed), pod.sts().requests()), (1, 3));
}

#[cfg(feature = "pod-identity")]
#[tokio::test]
async fn http_client_is_never_used_for_an_agent() {
    let pod = LocalPod::start().await.unwrap();
    let client = Counting { inner: sdk_client(&Ca::new()), connectors: Arc::default() };
    builder(pod.pod_identity_env()).http_client(client.clone()).build().unwrap().warm_up().await.unwrap();
    assert_eq!((client.connectors.load(Relaxed), pod.agent().requests()), (0, 1));
}

#[cfg(feature = "reqwest_0_13")]
mod reqwest_0_13 {
    use super::*;

    /// By default, reqwest follows ten redirects.
    #[tokio::test]
    async fn reqwest_0_13_follows_no_redirect() {
        let error = redirected(|builder| builder.reqwest_0_13(reqwest::Client::builder().no_proxy())).await;
        assert!(error.to_string().contains("a redirect, which is not followed"), "{error}");
    }

    #[tokio::test]
    async fn reqwest_0_13_settings_are_applied() {
        let pod = LocalPod::start().await.unwrap();
        let sts = Recorder::start(http(503, "text/plain", "busy")).await;
        let client = reqwest::Client::builder()
            .no_proxy()
            .default_headers([(reqwest::header::FROM, "a test".parse().unwrap())].into_iter().collect());
        let provider = at(&pod, &format!("http://{}", sts.address)).reqwest_0_13(client).build().unwrap();
        provider.warm_up().await.unwrap_err();
        assert!(sts.requests()[0].contains("\r\nfrom: a test\r\n"), "{:?}", sts.requests());
    }

    #[test]
    fn reqwest_0_13_with_invalid_settings_is_an_error_of_build() {
        let client = reqwest::Client::builder().user_agent("two\nlines");
        let error = builder(Vec::new()).reqwest_0_13(client).build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidConfiguration);
        assert!(error.to_string().contains("reqwest client"), "{error}");
    }
}
