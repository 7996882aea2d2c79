//! `EksCredentialsProvider::shared()`, in child processes that have their own environment.
#![cfg(all(feature = "irsa", feature = "pod-identity", feature = "sdk-config"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod support;

use std::process::Command;
use std::sync::Barrier;

use aws_credential_types::provider::ProvideCredentials as _;
use eks_credentials::testing::{LocalPod, StandIn};
use eks_credentials::{BehaviorVersion, EksCredentialsProvider, ErrorKind};
use support::{whole, without};
use tokio::task::JoinSet;

type Env = Vec<(String, String)>;

/// Set in the processes that the tests start. The crate does not read it.
const CHILD: &str = "SHARED_PROVIDER_CHILD";

fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

/// Runs the test `name` of this program in a child process whose only variables are `env`.
async fn run_in_child(name: &str, env: Env) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([name, "--exact", "--nocapture"]).env_clear().envs(env).env(CHILD, name);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    // The test harness also succeeds if no test has this name.
    assert!(output.status.success() && stdout.contains("1 passed"), "{name}: {stdout}{stderr}");
}

/// The number of requests from the child of `name` to `upstream`.
async fn calls_of_child(name: &str, upstream: &StandIn, env: Env) -> u64 {
    let before = upstream.requests();
    run_in_child(name, env).await;
    upstream.requests() - before
}

fn shared() -> EksCredentialsProvider {
    EksCredentialsProvider::shared().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn shared_fetches_once_for_a_thousand_clients() {
    if !is_child() {
        let (pod, name) = (LocalPod::start().await.unwrap(), "shared_fetches_once_for_a_thousand_clients");
        assert_eq!(calls_of_child(name, pod.sts(), pod.irsa_env()).await, 1);
        assert_eq!(calls_of_child(name, pod.agent(), pod.pod_identity_env()).await, 1);
        return;
    }
    support::trace();
    let mut clients = JoinSet::new();
    for _ in 0..1000 {
        clients.spawn(async {
            // The clients do not know each other.
            let client = aws_sdk_dynamodb::Client::new(&shared().sdk_config(BehaviorVersion::latest()).build());
            let provider = shared();
            let credentials = provider.provide_credentials().await.unwrap();
            (client, provider, credentials)
        });
    }
    let clients = clients.join_all().await;
    assert_eq!(clients.len(), 1000);
    assert!(clients.windows(2).all(|pair| pair[0].2 == pair[1].2));
}

/// Each library has its own thread and runtime, and all of them call `shared` at the same time.
#[tokio::test]
async fn shared_fetches_once_for_concurrent_first_calls() {
    if !is_child() {
        let (pod, name) = (LocalPod::start().await.unwrap(), "shared_fetches_once_for_concurrent_first_calls");
        assert_eq!(calls_of_child(name, pod.agent(), pod.pod_identity_env()).await, 1);
        return;
    }
    support::trace();
    const LIBRARIES: usize = 16;
    let (start, end) = (Barrier::new(LIBRARIES), Barrier::new(LIBRARIES));
    let library = || {
        start.wait();
        let provider = shared();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let credentials = runtime.block_on(provider.credentials()).unwrap();
        // The first library that ends must not end the provider or the runtime of the refresh task.
        end.wait();
        credentials
    };
    let credentials: Vec<_> = std::thread::scope(|scope| {
        let libraries: Vec<_> = (0..LIBRARIES).map(|_| scope.spawn(library)).collect();
        libraries.into_iter().map(|library| library.join().unwrap()).collect()
    });
    assert!(credentials.windows(2).all(|pair| pair[0] == pair[1]));
}

#[tokio::test]
async fn shared_differs_from_from_env_and_the_builder() {
    if !is_child() {
        let (pod, name) = (LocalPod::start().await.unwrap(), "shared_differs_from_from_env_and_the_builder");
        assert_eq!(calls_of_child(name, pod.sts(), pod.irsa_env()).await, 3);
        return;
    }
    support::trace();
    let built = [shared(), EksCredentialsProvider::from_env().unwrap(), shared()];
    let own = EksCredentialsProvider::builder().build().unwrap();
    for provider in built.iter().chain([&own]) {
        provider.warm_up().await.unwrap();
    }
}

#[tokio::test]
async fn shared_applies_an_invalidation_to_all_users() {
    if !is_child() {
        let (pod, name) = (LocalPod::start().await.unwrap(), "shared_applies_an_invalidation_to_all_users");
        assert_eq!(calls_of_child(name, pod.sts(), pod.irsa_env()).await, 2);
        return;
    }
    support::trace();
    let (one, other) = (shared(), shared());
    let rejected = one.credentials().await.unwrap();
    assert_eq!(other.cached().as_ref(), Some(&rejected));
    other.invalidate(&rejected);
    assert_eq!(one.cached(), None);
    let renewed = one.credentials().await.unwrap();
    assert_ne!(renewed, rejected);
    assert_eq!(other.cached(), Some(renewed));
}

#[tokio::test]
async fn shared_ends_with_its_last_user_and_begins_again() {
    if !is_child() {
        let (pod, name) = (LocalPod::start().await.unwrap(), "shared_ends_with_its_last_user_and_begins_again");
        assert_eq!(calls_of_child(name, pod.sts(), pod.irsa_env()).await, 2);
        return;
    }
    support::trace();
    let (one, other) = (shared(), shared());
    let first = one.credentials().await.unwrap();
    let mut changes = one.subscribe();
    drop(one);
    assert_eq!(shared().cached().as_ref(), Some(&first), "one user is left");
    drop(other);
    // `changed` returns an error after the provider has ended.
    while changes.changed().await.is_ok() {}

    let after = shared();
    assert_eq!(after.cached(), None);
    assert_ne!(after.credentials().await.unwrap(), first);
}

#[tokio::test]
async fn shared_fails_as_from_env_does() {
    if !is_child() {
        let (pod, name) = (LocalPod::start().await.unwrap(), "shared_fails_as_from_env_does");
        let half = without(pod.irsa_env(), "AWS_WEB_IDENTITY_TOKEN_FILE");
        assert_eq!(calls_of_child(name, pod.sts(), half).await, 0);
        return;
    }
    support::trace();
    let expected = whole(&EksCredentialsProvider::from_env().unwrap_err());
    assert!(expected.contains("AWS_WEB_IDENTITY_TOKEN_FILE"), "{expected}");
    for _ in 0..2 {
        assert_eq!(whole(&EksCredentialsProvider::shared().unwrap_err()), expected);
    }
}

#[tokio::test]
async fn shared_without_configuration_fails_at_the_call() {
    if !is_child() {
        return run_in_child("shared_without_configuration_fails_at_the_call", Env::new()).await;
    }
    support::trace();
    assert_eq!(shared().credentials().await.unwrap_err().kind(), ErrorKind::NotConfigured);
}
