//! Over real sockets: however many ask, and whoever gives up, there is one upstream request.
#![cfg(all(feature = "irsa", feature = "pod-identity"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod support;

use eks_credentials::EksCredentialsProvider;
use eks_credentials::testing::{LocalPod, StandIn};
use support::{millis, provider};
use tokio::time::timeout;

async fn ten_thousand(upstream: &StandIn, provider: EksCredentialsProvider) {
    upstream.set_latency(millis(200));
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..10_000 {
        let provider = provider.clone();
        callers.spawn(async move { provider.credentials().await.unwrap() });
    }
    let all = callers.join_all().await;
    assert_eq!(all.len(), 10_000);
    assert!(all.windows(2).all(|pair| pair[0] == pair[1]));
    assert_eq!((upstream.requests(), upstream.most_at_once()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_callers_on_a_cold_provider_one_request_irsa() {
    support::trace();
    let pod = LocalPod::start().await.unwrap();
    ten_thousand(pod.sts(), provider(pod.irsa_env())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_callers_on_a_cold_provider_one_request_pod_identity() {
    support::trace();
    let pod = LocalPod::start().await.unwrap();
    ten_thousand(pod.agent(), provider(pod.pod_identity_env())).await;
}

/// Each caller is dropped at another moment of the flight, from before it has begun to after it has landed.
#[tokio::test(flavor = "multi_thread")]
async fn callers_that_give_up_at_any_moment_change_nothing_for_the_others() {
    support::trace();
    let pod = LocalPod::start().await.unwrap();
    pod.sts().set_latency(millis(300));
    let provider = provider(pod.irsa_env());
    let mut quitters = tokio::task::JoinSet::new();
    for n in 0..400 {
        let provider = provider.clone();
        quitters.spawn(async move { timeout(millis(n), provider.credentials()).await.is_ok() });
    }
    let patient = provider.clone();
    let patient = tokio::spawn(async move { patient.credentials().await });
    patient.await.unwrap().unwrap();
    let served = quitters.join_all().await.into_iter().filter(|served| *served).count();
    assert!(served < 300, "{served} were served before the upstream had answered");
    assert_eq!(pod.sts().requests(), 1);
}
