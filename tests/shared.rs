//! `EksCredentialsProvider::shared()` in a process with a pod's environment.
#![cfg(all(feature = "irsa", feature = "pod-identity"))]
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test")]

mod support;

use eks_credentials::EksCredentialsProvider;
use eks_credentials::testing::LocalPod;
use tokio::process::Command;
use tokio::task::JoinSet;

#[tokio::test]
#[ignore = "run by the other test here, as a process with an environment of its own"]
async fn child() {
    let mut clients = JoinSet::new();
    for _ in 0..1000 {
        clients.spawn(async { EksCredentialsProvider::shared().unwrap().credentials().await.unwrap() });
    }
    // Somebody holds it all the time, as a client does.
    let _held = EksCredentialsProvider::shared().unwrap();
    let credentials = clients.join_all().await;
    assert!(credentials.iter().all(|one| *one == credentials[0]));
}

#[tokio::test]
async fn a_thousand_clients_of_the_shared_provider_cause_one_request() {
    support::trace();
    let pod = LocalPod::start().await.unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["child", "--exact", "--ignored"]).env_clear().envs(pod.irsa_env());
    let output = child.output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert_eq!(pod.sts().requests(), 1);
}
