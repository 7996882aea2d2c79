//! Refreshing over real sockets and in real time.
#![cfg(all(feature = "irsa", feature = "pod-identity"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod support;

use std::future::poll_fn;
use std::pin::pin;
use std::sync::LazyLock;
use std::task::Poll;
use std::time::Duration;

use eks_credentials::testing::{Answer, LocalPod};
use eks_credentials::{EksCredentialsProvider, Health, Status};
use support::{builder, millis, provider};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

const SECOND: Duration = Duration::from_secs(1);

/// What an observer sees, until `wanted`; in bounded time.
async fn until(changes: &mut tokio::sync::watch::Receiver<Status>, wanted: impl FnMut(&Status) -> bool) -> Status {
    timeout(60 * SECOND, changes.wait_for(wanted)).await.unwrap().unwrap().clone()
}

/// How long each ask took, and how many were not answered at their first poll.
struct Asks {
    took: Vec<Duration>,
    waited: usize,
}

/// Asks every millisecond for `span`.
async fn ask_every_millisecond(provider: &EksCredentialsProvider, span: Duration) -> Asks {
    let mut ticks = interval(millis(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let end = Instant::now() + span;
    let mut asks = Asks { took: Vec::new(), waited: 0 };
    while Instant::now() < end {
        ticks.tick().await;
        let asked = Instant::now();
        let mut ask = pin!(provider.credentials());
        match poll_fn(|cx| Poll::Ready(ask.as_mut().poll(cx))).await {
            Poll::Ready(credentials) => drop(credentials.unwrap()),
            Poll::Pending => {
                asks.waited += 1;
                ask.await.unwrap();
            }
        }
        asks.took.push(asked.elapsed());
    }
    asks.took.sort();
    asks
}

impl Asks {
    fn quantile(&self, per_mille: usize) -> Duration {
        self.took[(self.took.len() - 1) * per_mille / 1000]
    }
}

impl std::fmt::Display for Asks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [p50, p99, p999, max] = [500, 990, 999, 1000].map(|per_mille| self.quantile(per_mille));
        let Self { took, waited } = self;
        write!(f, "{} asks, {waited} waited: p50 {p50:?}, p99 {p99:?}, p99.9 {p999:?}, max {max:?}", took.len())
    }
}

/// An ask that is answered at its first poll runs straight through: if it takes long, the machine took the processor
/// away. So the bound is on those that waited (there must be none), and on what is not the machine's doing.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes a minute"]
async fn ten_second_credentials_asked_for_every_millisecond_for_a_minute() {
    let pod = LocalPod::start().await.unwrap();
    pod.sts().set_lifetime(10 * SECOND).set_latency(millis(200));
    let provider = provider(pod.irsa_env());
    provider.warm_up().await.unwrap();
    let asks = ask_every_millisecond(&provider, 60 * SECOND).await;
    let requests = pod.sts().requests();
    println!("{asks}; {requests} requests to STS, {} at once at most", pod.sts().most_at_once());
    assert!((6..=14).contains(&requests), "{requests} requests");
    assert_eq!(asks.waited, 0);
    assert!(asks.quantile(999) < millis(5), "{asks}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_dies_before_the_refresh_and_returns_after_expiry() {
    support::trace();
    for answer in [Answer::http(503, "down"), Answer::hang()] {
        let pod = LocalPod::start().await.unwrap();
        pod.agent().set_lifetime(6 * SECOND);
        let provider = builder(pod.pod_identity_env()).attempt_timeout(SECOND).build().unwrap();
        let first = provider.credentials().await.unwrap();
        pod.agent().always(answer);
        let mut changes = provider.subscribe();
        let expiry = first.expiry().unwrap();
        // Until expiry every ask is served, from the same credentials.
        let mut asks = interval(millis(10));
        while changes.borrow_and_update().health != Health::Expired {
            asks.tick().await;
            assert_eq!(provider.credentials().await.unwrap(), first);
        }
        let status = until(&mut changes, |status| status.health == Health::Expired).await;
        assert_eq!(status.expiry, Some(expiry));
        assert!(pod.agent().requests() > 1);
        // Back again: found within the backoff, without being asked.
        pod.agent().always(Answer::proper()).set_lifetime(3600 * SECOND);
        let back = Instant::now();
        until(&mut changes, Status::is_ready).await;
        assert!(back.elapsed() < 31 * SECOND, "{:?}", back.elapsed());
        assert_ne!(provider.credentials().await.unwrap(), first);
    }
}

/// The pattern of a service: one provider in a static, used by tests that each have a runtime of their own.
#[test]
fn a_provider_in_a_static_is_used_from_two_runtimes_one_after_the_other() {
    support::trace();
    static KEEP: LazyLock<(tokio::runtime::Runtime, LocalPod)> = LazyLock::new(|| {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let pod = runtime.block_on(LocalPod::start()).unwrap();
        pod.sts().set_lifetime(4 * SECOND);
        (runtime, pod)
    });
    static PROVIDER: LazyLock<EksCredentialsProvider> = LazyLock::new(|| provider(KEEP.1.irsa_env()));
    let in_a_runtime_of_its_own = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let first = PROVIDER.credentials().await.unwrap();
            // The driver lives on this runtime and refreshes.
            let mut changes = PROVIDER.subscribe();
            let refreshes = changes.borrow_and_update().refreshes;
            until(&mut changes, |status| status.refreshes > refreshes).await;
            assert_ne!(PROVIDER.credentials().await.unwrap(), first);
        });
    };
    // The pod's own runtime cannot be started inside another one.
    LazyLock::force(&PROVIDER);
    in_a_runtime_of_its_own();
    in_a_runtime_of_its_own();
}

#[tokio::test]
async fn dropping_the_provider_ends_the_stream_and_the_request_under_way() {
    support::trace();
    let pod = LocalPod::start().await.unwrap();
    pod.sts().always(Answer::hang());
    let provider = provider(pod.irsa_env());
    let mut changes = provider.subscribe();
    let mut ask = tokio_test::task::spawn(provider.credentials());
    while pod.sts().requests() == 0 {
        tokio_test::assert_pending!(ask.poll());
        tokio::task::yield_now().await;
    }
    drop(ask);
    drop(provider);
    let ended = async { while changes.changed().await.is_ok() {} };
    timeout(10 * SECOND, ended).await.unwrap();
}
