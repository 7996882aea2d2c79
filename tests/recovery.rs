//! A service refuses the credentials before they expire. They are refreshed, and the request is repeated.
#![cfg(all(feature = "irsa", feature = "sdk-config"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

mod support;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use eks_credentials::testing::LocalPod;
use eks_credentials::{BehaviorVersion, EksCredentialsProvider};
use support::provider;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

/// How the service responds to each access key.
#[derive(Debug, Default)]
struct Service {
    /// The keys that it does not accept any more.
    revoked: BTreeSet<String>,
    /// The status and body of its response to all other keys. `None` is a success.
    refusal: Option<(u16, &'static str)>,
    requests: u64,
}

#[derive(Clone, Debug)]
struct S3 {
    service: Arc<Mutex<Service>>,
    url: String,
}

impl S3 {
    /// Requests with revoked keys are answered when there are `together` of them.
    async fn start(together: usize) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let service = Arc::<Mutex<Service>>::default();
        let (known, together) = (Arc::clone(&service), Arc::new(Barrier::new(together)));
        let answer = move |request: Request| {
            let (known, together) = (Arc::clone(&known), Arc::clone(&together));
            async move {
                let (answer, revoked) = known.lock().unwrap().answer(&request);
                if revoked {
                    together.wait().await;
                }
                answer
            }
        };
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
        Self { service, url }
    }

    fn revoke(&self, provider: &EksCredentialsProvider) {
        let key = provider.cached().unwrap().access_key_id().to_owned();
        self.service.lock().unwrap().revoked.insert(key);
    }

    fn refuse_all(&self, status: u16, body: &'static str) {
        self.service.lock().unwrap().refusal = Some((status, body));
    }

    fn client(&self, provider: &EksCredentialsProvider, retries: RetryConfig) -> Client {
        let config = provider.sdk_config(BehaviorVersion::latest()).build();
        let config = aws_sdk_s3::config::Builder::from(&config)
            .endpoint_url(&self.url)
            .retry_config(retries)
            .interceptor(provider.recovery())
            .retry_classifier(provider.recovery());
        Client::from_conf(config.build())
    }
}

impl Service {
    fn answer(&mut self, request: &Request) -> (Response, bool) {
        self.requests += 1;
        let signed = request.headers().get("authorization").unwrap().to_str().unwrap();
        let key = signed.split_once("Credential=").unwrap().1.split_once('/').unwrap().0;
        let xml = |status: u16, body: &'static str| {
            (StatusCode::from_u16(status).unwrap(), [("content-type", "application/xml")], body).into_response()
        };
        if self.revoked.contains(key) {
            return (xml(403, "<Error><Code>InvalidToken</Code><Message>revoked</Message></Error>"), true);
        }
        let (status, body) = self.refusal.unwrap_or((200, "<ListAllMyBucketsResult/>"));
        (xml(status, body), false)
    }
}

async fn failed(client: &Client, calls: u64) -> u64 {
    let mut failed = 0;
    for _ in 0..calls {
        failed += u64::from(client.list_buckets().send().await.is_err());
    }
    failed
}

#[tokio::test]
async fn recovery_from_a_recreated_role_fails_no_call() {
    support::trace();
    let pod = LocalPod::start().await.unwrap();
    let provider = provider(pod.irsa_env());
    let s3 = S3::start(1).await;
    let client = s3.client(&provider, RetryConfig::standard());
    assert_eq!(failed(&client, 20).await, 0);
    s3.revoke(&provider);
    assert_eq!(failed(&client, 200).await, 0);
    assert_eq!((pod.sts().requests(), s3.service.lock().unwrap().requests), (2, 221));
    // A later refusal, after a success, causes another refresh.
    s3.revoke(&provider);
    assert_eq!(failed(&client, 20).await, 0);
    assert_eq!(pod.sts().requests(), 3);
}

#[tokio::test]
async fn recovery_refreshes_once_for_100_simultaneous_refusals() {
    support::trace();
    let pod = LocalPod::start().await.unwrap();
    let provider = provider(pod.irsa_env());
    let s3 = S3::start(100).await;
    let client = s3.client(&provider, RetryConfig::standard());
    assert_eq!(failed(&client, 1).await, 0);
    s3.revoke(&provider);
    let mut calls = JoinSet::new();
    for _ in 0..100 {
        let client = client.clone();
        calls.spawn(async move { client.list_buckets().send().await.map(drop) });
    }
    let repeated = calls.join_all().await.iter().filter(|outcome| outcome.is_ok()).count();
    // All calls share the retry quota of the client, which is 500. A retry costs at most 14.
    assert!(repeated >= 500 / 14, "{repeated}");
    assert_eq!(pod.sts().requests(), 2);
    assert_eq!(failed(&client, 10).await, 0);
    assert_eq!(pod.sts().requests(), 2);
}

#[tokio::test]
async fn recovery_without_retries_fails_one_call() {
    support::trace();
    let pod = LocalPod::start().await.unwrap();
    let provider = provider(pod.irsa_env());
    let s3 = S3::start(1).await;
    let client = s3.client(&provider, RetryConfig::disabled());
    assert_eq!(failed(&client, 1).await, 0);
    s3.revoke(&provider);
    assert_eq!((failed(&client, 1).await, failed(&client, 10).await), (1, 0));
    assert_eq!(pod.sts().requests(), 2);
}

/// A wrong endpoint refuses every key, and so does a Region that is disabled.
#[tokio::test]
async fn recovery_refreshes_once_for_a_service_that_refuses_all() {
    support::trace();
    for (code, refreshes) in [("ExpiredToken", 1), ("InvalidClientTokenId", 0)] {
        let pod = LocalPod::start().await.unwrap();
        let provider = provider(pod.irsa_env());
        let s3 = S3::start(1).await;
        s3.refuse_all(403, format!("<Error><Code>{code}</Code></Error>").leak());
        let client = s3.client(&provider, RetryConfig::standard());
        assert_eq!(failed(&client, 100).await, 100);
        assert_eq!(pod.sts().requests(), 1 + refreshes, "{code}");
    }
}

#[tokio::test]
async fn recovery_ignores_other_errors_and_other_credentials() {
    support::trace();
    let pod = LocalPod::start().await.unwrap();
    let (ours, theirs) = (provider(pod.irsa_env()), provider(pod.irsa_env()));
    let s3 = S3::start(1).await;
    let client = s3.client(&ours, RetryConfig::standard());
    assert_eq!(failed(&client, 1).await, 0);
    for (status, body) in [
        (403, "<Error><Code>AccessDenied</Code></Error>"),
        (403, ""),
        (400, ""),
        (403, "<Error><Code>RequestTimeTooSkewed</Code></Error>"),
        (404, "<Error><Code>ExpiredToken</Code></Error>"),
    ] {
        s3.refuse_all(status, body);
        assert_eq!(failed(&client, 1).await, 1);
    }
    assert_eq!(pod.sts().requests(), 1);
    // The credentials of another provider in a client with the recovery of this one.
    s3.refuse_all(403, "<Error><Code>ExpiredToken</Code></Error>");
    let config = ours.sdk_config(BehaviorVersion::latest()).build();
    let config = aws_sdk_s3::config::Builder::from(&config)
        .endpoint_url(&s3.url)
        .credentials_provider(theirs.clone())
        .interceptor(ours.recovery())
        .retry_classifier(ours.recovery());
    assert_eq!(failed(&Client::from_conf(config.build()), 3).await, 3);
    assert_eq!(pod.sts().requests(), 2);
}
