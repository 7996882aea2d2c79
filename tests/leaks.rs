//! What providers leave behind in the process: nothing. Alone in its binary, because it counts what all threads have.
#![cfg(all(target_os = "linux", feature = "irsa", feature = "pod-identity"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test"
)]

mod support;

use std::fs;
use std::time::Duration;

use eks_credentials::testing::{Answer, LocalPod};
use support::provider;
use tokio::runtime::{Builder, Handle};
use tokio::time::timeout;

const PROVIDERS: usize = 10_000;

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

fn resident_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Until the tasks and sockets of what was dropped are gone: aborting is asynchronous, but prompt.
async fn settled(what: impl Fn() -> (usize, usize), expected: (usize, usize)) {
    let settle = async {
        while what() != expected {
            tokio::task::yield_now().await;
        }
    };
    let settled = timeout(Duration::from_secs(10), settle).await;
    assert!(settled.is_ok(), "(tasks, descriptors) are {:?}, not {expected:?} as before", what());
}

/// Every provider is built and dropped; one in twenty has fetched, one in twenty is dropped in the middle of its fetch.
/// The pod has a runtime of its own, so that the tasks counted are the providers'.
#[test]
fn ten_thousand_providers_leave_no_task_no_descriptor_and_no_memory() {
    let elsewhere = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let pod = elsewhere.block_on(LocalPod::start()).unwrap();
    let sources = [(pod.sts(), pod.irsa_env()), (pod.agent(), pod.pod_identity_env())];
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let tasks = || Handle::current().metrics().num_alive_tasks();
        let count = || (tasks(), descriptors());
        // What the first fetch of a process sets up once.
        for (_, env) in &sources {
            provider(env.clone()).warm_up().await.unwrap();
        }
        settled(|| (tasks(), 0), (0, 0)).await;
        let before = support::settled(count).await;
        let mut resident = Vec::new();
        for n in 0..PROVIDERS {
            let (upstream, env) = &sources[n / 20 % 2];
            let provider = provider(env.clone());
            match n % 20 {
                0 => provider.warm_up().await.unwrap(),
                10 => {
                    upstream.then(Answer::hang());
                    let arrived = upstream.requests() + 1;
                    let mut ask = tokio_test::task::spawn(provider.credentials());
                    while upstream.requests() < arrived {
                        tokio_test::assert_pending!(ask.poll());
                        tokio::task::yield_now().await;
                    }
                }
                _ => {}
            }
            drop(provider);
            if (n + 1) % (PROVIDERS / 2) == 0 {
                settled(count, before).await;
                resident.push(resident_kib());
            }
        }
        println!("(tasks, descriptors) {before:?}; resident after each half: {resident:?} KiB");
        let growth = resident[1].saturating_sub(resident[0]);
        assert!(growth < 2048, "the second half took {growth} KiB");
    });
}
