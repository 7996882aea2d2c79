//! A real S3 client that uses the provider in each way that the documentation shows. The S3 server of the tests verifies every
//! signature, session token and expiry.
#![cfg(all(feature = "irsa", feature = "pod-identity", feature = "sdk-config"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

#[path = "../examples/support/local_s3.rs"]
mod local_s3;
mod support;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, future};
use aws_sdk_s3::Client;
use aws_sdk_s3::config::interceptors::BeforeTransmitInterceptorContextRef;
use aws_sdk_s3::config::{ConfigBag, Intercept, Region, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use eks_credentials::testing::{Answer, LocalPod};
use eks_credentials::{BehaviorVersion, EksCredentialsProvider};
use local_s3::{BUCKETS, LocalS3};
use support::{provider, with};
use tokio::time::{MissedTickBehavior, interval};

async fn pod_and_s3() -> (LocalPod, LocalS3) {
    let pod = LocalPod::start().await.unwrap();
    let s3 = LocalS3::start(pod.ledger().clone()).await.unwrap();
    (pod, s3)
}

async fn lists(client: &Client) {
    let listed =
        client.list_buckets().send().await.unwrap_or_else(|e| panic!("{}", aws_sdk_s3::error::DisplayErrorContext(e)));
    let names: Vec<&str> = listed.buckets().iter().filter_map(|bucket| bucket.name()).collect();
    assert_eq!(names, BUCKETS.map(|(name, _)| name));
}

/// The provider alone, with the SDK's default lazy cache.
fn with_the_sdks_cache(provider: &EksCredentialsProvider, s3: &LocalS3) -> Client {
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .endpoint_url(s3.url())
        .credentials_provider(provider.clone());
    Client::from_conf(config.build())
}

/// The provider and its cache, set in aws-config.
async fn in_aws_config(provider: &EksCredentialsProvider, s3: &LocalS3) -> Client {
    let config = aws_config::defaults(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .endpoint_url(s3.url())
        .credentials_provider(provider.clone())
        .identity_cache(provider.identity_cache())
        .load()
        .await;
    Client::new(&config)
}

/// Without aws-config.
fn from_sdk_config(provider: &EksCredentialsProvider) -> Client {
    Client::new(&provider.sdk_config(BehaviorVersion::latest()).build())
}

#[tokio::test]
async fn client_lists_buckets_with_each_wiring_and_each_source() {
    let (pod, s3) = pod_and_s3().await;
    for env in [pod.irsa_env(), pod.pod_identity_env()] {
        let provider = provider(with(env, "AWS_ENDPOINT_URL_S3", s3.url()));
        lists(&with_the_sdks_cache(&provider, &s3)).await;
        lists(&in_aws_config(&provider, &s3).await).await;
        lists(&from_sdk_config(&provider)).await;
        assert_eq!(provider.status().refreshes, 1);
    }
}

/// Twenty requests a second with each wiring, and credentials that last four seconds. No request fails.
#[tokio::test(flavor = "multi_thread")]
async fn client_calls_succeed_during_refreshes() {
    let (pod, s3) = pod_and_s3().await;
    pod.sts().set_lifetime(Duration::from_secs(4)).set_latency(Duration::from_millis(200));
    let provider = provider(with(pod.irsa_env(), "AWS_ENDPOINT_URL_S3", s3.url()));
    let (lazy, learnt, own) =
        (with_the_sdks_cache(&provider, &s3), in_aws_config(&provider, &s3).await, from_sdk_config(&provider));
    let mut ticks = interval(Duration::from_millis(50));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut seen = std::collections::HashSet::new();
    while seen.len() < 4 {
        ticks.tick().await;
        tokio::join!(lists(&lazy), lists(&learnt), lists(&own));
        seen.insert(provider.cached().unwrap().access_key_id().to_owned());
    }
    assert_eq!(pod.sts().most_at_once(), 1);
}

/// Another provider, which counts its calls, or a wrapper that can stop returning the credentials of this crate's provider.
#[derive(Clone, Debug)]
struct Other {
    credentials: Credentials,
    ours: Option<EksCredentialsProvider>,
    returns_ours: Arc<AtomicBool>,
    calls: Arc<AtomicUsize>,
}

impl Other {
    async fn new(pod: &LocalPod, ours: Option<EksCredentialsProvider>) -> Self {
        let credentials = provider(pod.irsa_env()).credentials().await.unwrap();
        Self { credentials, returns_ours: Arc::new(ours.is_some().into()), ours, calls: Arc::default() }
    }
}

impl ProvideCredentials for Other {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        self.calls.fetch_add(1, Relaxed);
        match &self.ours {
            Some(ours) if self.returns_ours.load(Relaxed) => ours.provide_credentials(),
            _ => future::ProvideCredentials::ready(Ok(self.credentials.clone())),
        }
    }
}

/// The access key that signed the last request.
#[derive(Clone, Debug, Default)]
struct Signer(Arc<Mutex<String>>);

impl Intercept for Signer {
    fn name(&self) -> &'static str {
        "Signer"
    }

    fn read_after_signing(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let header = context.request().headers().get("authorization").unwrap();
        let key = header.split_once("Credential=").unwrap().1.split_once('/').unwrap().0;
        *self.0.lock().unwrap() = key.to_owned();
        Ok(())
    }
}

async fn signer_of(client: &Client, overriding: Option<Other>) -> String {
    let signer = Signer::default();
    let request = client.list_buckets().customize().interceptor(signer.clone());
    let request = match overriding {
        Some(other) => request.config_override(aws_sdk_s3::Config::builder().credentials_provider(other)),
        None => request,
    };
    request.send().await.unwrap();
    signer.0.lock().unwrap().clone()
}

#[tokio::test]
async fn identity_cache_separates_the_provider_of_an_operation() {
    let (pod, s3) = pod_and_s3().await;
    let provider = provider(with(pod.irsa_env(), "AWS_ENDPOINT_URL_S3", s3.url()));
    let ours = provider.credentials().await.unwrap();
    let other = Other::new(&pod, None).await;
    assert_ne!(ours.access_key_id(), other.credentials.access_key_id());
    for client in [in_aws_config(&provider, &s3).await, from_sdk_config(&provider)] {
        for _ in 0..3 {
            assert_eq!(signer_of(&client, None).await, ours.access_key_id());
            assert_eq!(signer_of(&client, Some(other.clone())).await, other.credentials.access_key_id());
        }
    }
}

#[tokio::test]
async fn identity_cache_caches_another_provider_as_the_sdk_does() {
    let (pod, s3) = pod_and_s3().await;
    let provider = provider(pod.irsa_env());
    let other = Other::new(&pod, None).await;
    let config = from_sdk_config(&provider).config().to_builder();
    let client = Client::from_conf(config.endpoint_url(s3.url()).credentials_provider(other.clone()).build());
    for _ in 0..10 {
        assert_eq!(signer_of(&client, None).await, other.credentials.access_key_id());
    }
    assert_eq!(other.calls.load(Relaxed), 1);
}

/// As with the SDK's cache, a wrapper is called again when the identity that it returned has been replaced.
#[tokio::test]
async fn identity_cache_calls_a_wrapper_again_after_a_refresh() {
    let (pod, s3) = pod_and_s3().await;
    let provider = provider(with(pod.irsa_env(), "AWS_ENDPOINT_URL_S3", s3.url()));
    let wrapper = Other::new(&pod, Some(provider.clone())).await;
    let config = aws_config::defaults(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .endpoint_url(s3.url())
        .credentials_provider(wrapper.clone())
        .identity_cache(provider.identity_cache())
        .load()
        .await;
    let client = Client::new(&config);
    let first = provider.credentials().await.unwrap();
    for _ in 0..10 {
        assert_eq!(signer_of(&client, None).await, first.access_key_id());
    }
    assert_eq!(wrapper.calls.load(Relaxed), 1, "answered without a call");

    provider.invalidate(&first);
    let second = provider.credentials().await.unwrap();
    assert_eq!(signer_of(&client, None).await, second.access_key_id());
    assert_eq!(wrapper.calls.load(Relaxed), 2);

    wrapper.returns_ours.store(false, Relaxed);
    provider.invalidate(&second);
    provider.credentials().await.unwrap();
    for _ in 0..3 {
        assert_eq!(signer_of(&client, None).await, wrapper.credentials.access_key_id());
    }
}

#[tokio::test]
async fn client_returns_the_error_of_the_provider() {
    let pod = LocalPod::start().await.unwrap();
    pod.sts().always(Answer::refuse("AccessDenied"));
    let provider = provider(with(pod.irsa_env(), "AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9"));
    let error = from_sdk_config(&provider).list_buckets().send().await.unwrap_err();
    let text = aws_sdk_s3::error::DisplayErrorContext(error).to_string();
    assert!(text.contains("sub=system:serviceaccount:default:local"), "{text}");
}
