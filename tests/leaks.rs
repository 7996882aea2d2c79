//! Providers that are dropped leave nothing in the process. This test needs its own process, because it counts the
//! resources of all threads.
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

/// Waits until the tasks and sockets of the dropped providers are gone. Aborting a task is asynchronous, but takes
/// little time.
async fn settled(what: impl Fn() -> (usize, usize), expected: (usize, usize)) {
    let settle = async {
        while what() != expected {
            tokio::task::yield_now().await;
        }
    };
    let settled = timeout(Duration::from_secs(10), settle).await;
    assert!(settled.is_ok(), "(tasks, descriptors) are {:?}, expected {expected:?}", what());
}

/// Of twenty providers that are built and dropped, one has fetched credentials and one is dropped during its fetch. The
/// pod has its own runtime, so only the tasks of the providers are counted.
#[test]
fn dropped_providers_leave_no_task_descriptor_or_memory() {
    let pod_runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let pod = pod_runtime.block_on(LocalPod::start()).unwrap();
    let sources = [(pod.sts(), pod.irsa_env()), (pod.agent(), pod.pod_identity_env())];
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let tasks = || Handle::current().metrics().num_alive_tasks();
        let count = || (tasks(), descriptors());
        // The first fetch of each source initializes things that remain for the life of the process.
        for (_, env) in &sources {
            provider(env.clone()).warm_up().await.unwrap();
        }
        settled(|| (tasks(), 0), (0, 0)).await;
        let before = support::settled(count).await;
        let mut resident = Vec::new();
        for n in 0..PROVIDERS {
            let (stand_in, env) = &sources[n / 20 % 2];
            let provider = provider(env.clone());
            match n % 20 {
                0 => provider.warm_up().await.unwrap(),
                10 => {
                    stand_in.then(Answer::hang());
                    let arrived = stand_in.requests() + 1;
                    let mut call = tokio_test::task::spawn(provider.credentials());
                    while stand_in.requests() < arrived {
                        tokio_test::assert_pending!(call.poll());
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
        println!("(tasks, descriptors) {before:?}; resident memory after each half: {resident:?} KiB");
        let growth = resident[1].saturating_sub(resident[0]);
        assert!(growth < 2048, "memory grew by {growth} KiB in the second half");
    });
}
