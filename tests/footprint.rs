//! The memory of an idle provider, which does not grow with its refreshes. This test needs its own process, because all
//! allocations of the process are counted.
#![cfg(feature = "pod-identity")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test"
)]

mod support;

use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use aws_smithy_async::time::TimeSource;
use eks_credentials::EksCredentialsProvider;
use eks_credentials::testing::{Answer, LocalPod};
use tokio::runtime::Builder;

#[global_allocator]
static HEAP: dhat::Alloc = dhat::Alloc;

const REFRESHES: u64 = 10_000;
const PROVIDERS: usize = 100;
/// The limit for an idle provider. Most of the memory belongs to its runtime. For the measurements, see
/// `benches/README.md`.
const IDLE: usize = 36 * 1024;

/// The number of allocated bytes.
fn allocated() -> usize {
    dhat::HeapStats::get().curr_bytes
}

/// A wall clock that the test moves.
#[derive(Clone, Debug)]
struct Wall(Arc<Mutex<SystemTime>>);

impl TimeSource for Wall {
    fn now(&self) -> SystemTime {
        *self.0.lock().unwrap()
    }
}

/// Waits for `call`, and lets a little time pass. No time limit is reached, but timers of zero length need a tick to
/// fire.
async fn wait_with_ticks<T>(call: impl Future<Output = T>) -> T {
    let mut call = pin!(call);
    loop {
        tokio::select! {
            biased;
            result = &mut call => return result,
            () = tick() => {}
        }
    }
}

async fn tick() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
    tokio::time::advance(Duration::from_millis(1)).await;
}

#[test]
fn provider_memory_is_small_and_does_not_grow_with_refreshes() {
    let _profiler = dhat::Profiler::builder().testing().build();
    // The pod runs on its own threads. Its responses are fixed, so that its ledger does not grow.
    let pod_runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let pod = pod_runtime.block_on(LocalPod::start()).unwrap();
    let answer = |key: &str| {
        Answer::http_as(
            200,
            "application/json",
            format!(
                r#"{{"AccessKeyId":"{key}","SecretAccessKey":"local-secret","Token":"local-session","Expiration":"2030-01-01T01:00:00Z"}}"#
            ),
        )
    };
    pod.agent().always(answer("ASIALOCAL"));
    let wall = Wall(Arc::new(Mutex::new(SystemTime::UNIX_EPOCH + Duration::from_secs(1_893_456_000))));
    let builder = || EksCredentialsProvider::builder().env(pod.pod_identity_env()).time_source(wall.clone());
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        // Time is paused, and only the test advances it: tokio does not advance it while a blocking task runs.
        tokio::time::pause();
        let (release, held_back) = std::sync::mpsc::channel::<()>();
        let holds_time = tokio::task::spawn_blocking(move || held_back.recv());

        let refreshed = builder().runtime(tokio::runtime::Handle::current()).build().unwrap();
        refreshed.warm_up().await.unwrap();
        let mut after_a_tenth = 0;
        for n in 1..=REFRESHES {
            let credentials = refreshed.credentials().await.unwrap();
            // Two attempts are at least a second apart.
            tokio::time::advance(Duration::from_secs(1)).await;
            // Each refresh gets other credentials, because the same ones after a refusal would not count as a refresh.
            pod.agent().always(answer(if n % 2 == 0 { "ASIALOCAL" } else { "ASIAOTHER" }));
            refreshed.invalidate(&credentials);
            wait_with_ticks(refreshed.credentials()).await.unwrap();
            if n == REFRESHES / 10 {
                after_a_tenth = allocated();
            }
        }
        assert_eq!(refreshed.status().refreshes, 1 + REFRESHES);
        let grown = allocated().saturating_sub(after_a_tenth);
        println!("{grown} bytes more after {REFRESHES} refreshes than after the first tenth of them");
        assert!(grown < 4096, "memory grew by {grown} bytes");

        drop(refreshed);
        let before = allocated();
        let mut idle = Vec::with_capacity(PROVIDERS);
        for _ in 0..PROVIDERS {
            idle.push(builder().build().unwrap());
            idle.last().unwrap().warm_up().await.unwrap();
        }
        // The agent closes idle connections after half a minute. An idle provider has no connection.
        tokio::time::resume();
        pod.agent().stop().await;
        let each = support::settled(allocated).await.saturating_sub(before) / PROVIDERS;
        println!("an idle provider uses {each} bytes");
        assert!(each < IDLE, "{each} bytes each");
        drop((idle, release));
        holds_time.await.unwrap().unwrap_err();
    });
}
