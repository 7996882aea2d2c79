//! Over real sockets, concurrent calls share one request to the source, also if some of them are cancelled.
#![cfg(all(feature = "irsa", feature = "pod-identity"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod support;

use eks_credentials::EksCredentialsProvider;
use eks_credentials::testing::{LocalPod, StandIn};
use support::{millis, provider};
use tokio::time::timeout;

async fn call_10_000_times(stand_in: &StandIn, provider: EksCredentialsProvider) {
    stand_in.set_latency(millis(200));
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..10_000 {
        let provider = provider.clone();
        callers.spawn(async move { provider.credentials().await.unwrap() });
    }
    let all = callers.join_all().await;
    assert_eq!(all.len(), 10_000);
    assert!(all.windows(2).all(|pair| pair[0] == pair[1]));
    assert_eq!((stand_in.requests(), stand_in.most_at_once()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn cold_irsa_provider_sends_one_request_for_10_000_callers() {
    support::trace();
    let pod = LocalPod::start().await.unwrap();
    call_10_000_times(pod.sts(), provider(pod.irsa_env())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cold_pod_identity_sends_one_request_for_10_000_callers() {
    support::trace();
    let pod = LocalPod::start().await.unwrap();
    call_10_000_times(pod.agent(), provider(pod.pod_identity_env())).await;
}

/// Each caller is cancelled at another moment, from before the refresh has begun to after it has ended.
#[tokio::test(flavor = "multi_thread")]
async fn cancelled_callers_do_not_affect_other_callers() {
    support::trace();
    let pod = LocalPod::start().await.unwrap();
    pod.sts().set_latency(millis(300));
    let provider = provider(pod.irsa_env());
    let mut impatient = tokio::task::JoinSet::new();
    for n in 0..400 {
        let provider = provider.clone();
        impatient.spawn(async move { timeout(millis(n), provider.credentials()).await.is_ok() });
    }
    let patient = provider.clone();
    let patient = tokio::spawn(async move { patient.credentials().await });
    patient.await.unwrap().unwrap();
    let served = impatient.join_all().await.into_iter().filter(|served| *served).count();
    assert!(served < 300, "{served} callers were served before the response");
    assert_eq!(pod.sts().requests(), 1);
}
