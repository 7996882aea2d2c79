//! The comparison of both credential sources of a pod.
#![cfg(all(feature = "irsa", feature = "pod-identity"))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod support;

use std::time::Duration;

use eks_credentials::migration::Caller;
use eks_credentials::testing::{Answer, LocalPod};
use eks_credentials::{ErrorKind, SourceKind, Status};
use support::{builder, provider, without};
use tokio::sync::watch;

const ACCOUNT: &str = "111122223333";

async fn until(changes: &mut watch::Receiver<Status>, wanted: impl FnMut(&Status) -> bool) -> Status {
    let status = tokio::time::timeout(Duration::from_secs(30), changes.wait_for(wanted)).await;
    status.unwrap().unwrap().clone()
}

/// Only a comparison calls the other source. It does not delay a refresh.
#[tokio::test]
async fn compare_ends_after_attempt_timeout_if_source_hangs() {
    support::trace();
    let pod = LocalPod::start().await.unwrap();
    pod.agent().always(Answer::hang());
    pod.sts().set_lifetime(Duration::from_secs(3));
    let provider = builder(pod.both_env()).attempt_timeout(Duration::from_secs(3)).build().unwrap();
    let mut changes = provider.subscribe();
    provider.credentials().await.unwrap();
    assert_eq!(pod.agent().requests(), 0);
    let compared = provider.clone();
    let compared = tokio::spawn(async move { compared.compare().await.unwrap() });
    until(&mut changes, |status| status.refreshes == 2).await;
    let comparison = compared.await.unwrap();
    let other = comparison.other();
    assert_eq!(other.outcome.as_ref().unwrap_err().kind(), ErrorKind::Timeout);
    assert!(other.latency >= Duration::from_secs(3) && !comparison.is_ready(), "{comparison}");
    assert_eq!((pod.agent().requests(), provider.status().consecutive_failures), (1, 0));
}

#[tokio::test]
async fn compare_is_ready_for_same_role_and_keeps_credentials() {
    support::trace();
    let pod = LocalPod::start().await.unwrap();
    let provider = provider(pod.both_env());
    let served = provider.credentials().await.unwrap();
    let comparison = provider.compare().await.unwrap();
    assert!(comparison.is_ready(), "{comparison}");
    assert_eq!(comparison.differences(), []);
    for probe in [comparison.serving(), comparison.other()] {
        assert_eq!(probe.outcome.as_ref().unwrap().account.as_deref(), Some(ACCOUNT));
    }
    assert_eq!(comparison.serving().source, SourceKind::WebIdentity);
    assert_eq!(comparison.serving().outcome.as_ref().unwrap().role.as_deref(), Some("local-pod"));
    let text = comparison.to_string();
    assert!(text.contains("IRSA: account 111122223333, role local-pod, partition aws, valid for 59m"), "{text}");
    assert!(
        text.contains("EKS Pod Identity: account 111122223333, role local-pod, partition aws, valid for 5h"),
        "{text}"
    );
    assert!(text.ends_with("\nready to cut over"), "{text}");
    let Caller::Arn(caller) = &comparison.other().outcome.as_ref().unwrap().caller else { panic!("{text}") };
    assert!(caller.starts_with("arn:aws:sts::111122223333:assumed-role/local-pod/eks-"), "{caller}");
    assert_eq!((provider.credentials().await.unwrap(), provider.status().refreshes), (served, 1));
}

#[tokio::test]
async fn comparison_names_differences_and_failures_with_remedies() {
    support::trace();
    let another = LocalPod::builder().associated_role_arn("arn:aws:iam::111122223333:role/team/another");
    let another = another.start().await.unwrap();
    let elsewhere = LocalPod::builder().associated_role_arn("arn:aws:iam::444455556666:role/local-pod");
    let elsewhere = elsewhere.start().await.unwrap();
    let denied = LocalPod::start().await.unwrap();
    denied.agent().always(Answer::refuse("ResourceNotFoundException"));
    let expired = LocalPod::start().await.unwrap();
    expired.agent().always(Answer::expired());
    for (pod, said) in [
        (&another, "- the role differs: local-pod now, another with the other source; use the same role"),
        (&elsewhere, "- the account differs: 111122223333 now, 444455556666 with the other source; use roles"),
        (&denied, "- EKS Pod Identity failed: the container credentials server at"),
        (&denied, "create the association (aws eks create-pod-identity-association"),
        (&expired, "- EKS Pod Identity granted credentials that have expired: check the node's clock"),
    ] {
        let comparison = provider(pod.both_env()).compare().await.unwrap();
        let text = comparison.to_string();
        assert!(!comparison.is_ready() && text.contains("not ready to cut over:\n") && text.contains(said), "{text}");
    }
}

/// Credentials that STS refuses are useless. An STS that fails does not show whether they are valid.
#[tokio::test]
async fn compare_distinguishes_denial_from_failure_of_sts() {
    support::trace();
    let pod = LocalPod::start().await.unwrap();
    let refused = Answer::refuse_with("InvalidClientTokenId", "The security token included in the request is invalid");
    for (answer, ready, said) in [
        (refused, false, "- EKS Pod Identity granted credentials that STS does not accept: STS at http://127.0.0.1:"),
        (
            Answer::http(503, "busy"),
            true,
            "; not compared, because it is not known for both sources: partition, role; the call of GetCallerIdentity failed",
        ),
    ] {
        // In this order: the fetch from STS, GetCallerIdentity for its credentials, GetCallerIdentity for those of the agent.
        pod.sts().then(Answer::proper()).then(Answer::proper()).then(answer);
        let comparison = provider(pod.both_env()).compare().await.unwrap();
        let text = comparison.to_string();
        assert!(comparison.is_ready() == ready && text.contains(said), "{text}");
    }
}

/// The future is `Send`.
#[tokio::test(flavor = "multi_thread")]
async fn compare_can_be_spawned() {
    support::trace();
    let pod = LocalPod::start().await.unwrap();
    let provider = provider(pod.both_env());
    assert!(tokio::spawn(async move { provider.compare().await }).await.unwrap().unwrap().is_ready());
}

#[tokio::test]
async fn compare_without_a_second_source_is_an_error() {
    support::trace();
    let pod = LocalPod::start().await.unwrap();
    let half = without(pod.both_env(), "AWS_CONTAINER_CREDENTIALS_FULL_URI");
    let none = Vec::<(String, String)>::new();
    for (env, kind, said) in [
        (pod.irsa_env(), ErrorKind::InvalidConfiguration, "only IRSA is configured in this pod; EKS Pod"),
        (pod.pod_identity_env(), ErrorKind::InvalidConfiguration, "only EKS Pod Identity is configured in this pod"),
        (half, ErrorKind::InvalidConfiguration, "EKS Pod Identity is only half configured"),
        (none, ErrorKind::NotConfigured, "no AWS credentials are configured for this pod"),
    ] {
        let error = provider(env).compare().await.unwrap_err();
        assert!(error.kind() == kind && error.to_string().contains(said), "{error}");
    }
    assert_eq!(pod.sts().requests() + pod.agent().requests(), 0);
}

#[test]
fn compare_and_diagnose_need_no_runtime_features() {
    support::trace();
    let elsewhere = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let pod = elsewhere.block_on(LocalPod::start()).unwrap();
    let provider = provider(pod.both_env());
    let bare = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let compared = bare.block_on(provider.compare()).unwrap();
    assert!(compared.serving().outcome.is_ok() && compared.other().outcome.is_ok(), "{compared}");
    #[cfg(feature = "diagnose")]
    for diagnosis in [bare.block_on(provider.diagnose()), bare.block_on(builder(pod.irsa_env()).diagnose())] {
        assert_ne!(diagnosis.severity(), eks_credentials::Severity::Error, "{diagnosis}");
    }
}
