//! What a provider holds in memory at rest, and that nothing grows while it refreshes. Alone in its binary, because every
//! allocation of the process is counted.
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
/// What a provider may hold, most of it in the runtime of its own. Measured: see `benches/README.md`.
const AT_REST: usize = 36 * 1024;

/// Bytes that are allocated now.
fn held() -> usize {
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

/// Lets time pass while `asked` waits: too slowly to run into a time limit, but even a pause of nothing takes a tick.
async fn moved_on_by<T>(asked: impl Future<Output = T>) -> T {
    let mut asked = pin!(asked);
    loop {
        tokio::select! {
            biased;
            answer = &mut asked => return answer,
            () = a_tick_later() => {}
        }
    }
}

async fn a_tick_later() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
    tokio::time::advance(Duration::from_millis(1)).await;
}

#[test]
fn a_provider_holds_little_and_grows_by_nothing_over_ten_thousand_refreshes() {
    let _profiler = dhat::Profiler::builder().testing().build();
    // The pod on threads of its own; and its answer is the same again and again, so that its ledger does not grow.
    let elsewhere = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let pod = elsewhere.block_on(LocalPod::start()).unwrap();
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
        // Paused, but moved on by nothing but the test: as long as a blocking task runs tokio leaves the time alone.
        tokio::time::pause();
        let (release, held_back) = std::sync::mpsc::channel::<()>();
        let holds_time = tokio::task::spawn_blocking(move || held_back.recv());

        let refreshed = builder().runtime(tokio::runtime::Handle::current()).build().unwrap();
        refreshed.warm_up().await.unwrap();
        let mut after_a_tenth = 0;
        for n in 1..=REFRESHES {
            let credentials = refreshed.credentials().await.unwrap();
            // No two fetches are closer than a second.
            tokio::time::advance(Duration::from_secs(1)).await;
            // Other ones each time: the same again would be no refresh.
            pod.agent().always(answer(if n % 2 == 0 { "ASIALOCAL" } else { "ASIAOTHER" }));
            refreshed.invalidate(&credentials);
            moved_on_by(refreshed.credentials()).await.unwrap();
            if n == REFRESHES / 10 {
                after_a_tenth = held();
            }
        }
        assert_eq!(refreshed.status().refreshes, 1 + REFRESHES);
        let grown = held().saturating_sub(after_a_tenth);
        println!("{grown} bytes more after {REFRESHES} refreshes than after a tenth of them");
        assert!(grown < 4096, "grew by {grown} bytes");

        drop(refreshed);
        let before = held();
        let mut resting = Vec::with_capacity(PROVIDERS);
        for _ in 0..PROVIDERS {
            resting.push(builder().build().unwrap());
            resting.last().unwrap().warm_up().await.unwrap();
        }
        // The agent closes idle connections too, after half a minute: that is how a provider rests.
        tokio::time::resume();
        pod.agent().stop().await;
        let each = support::settled(held).await.saturating_sub(before) / PROVIDERS;
        println!("{each} bytes are held by a provider at rest");
        assert!(each < AT_REST, "{each} bytes each");
        drop((resting, release));
        holds_time.await.unwrap().unwrap_err();
    });
}
