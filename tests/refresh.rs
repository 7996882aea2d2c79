//! Refreshes over real sockets and in real time.
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

/// Waits until a subscriber sees the `wanted` status, for a limited time.
async fn until(changes: &mut tokio::sync::watch::Receiver<Status>, wanted: impl FnMut(&Status) -> bool) -> Status {
    timeout(60 * SECOND, changes.wait_for(wanted)).await.unwrap().unwrap().clone()
}

/// The durations of calls, and how many of them were not ready at their first poll.
struct Calls {
    durations: Vec<Duration>,
    waited: usize,
}

/// Makes a call every millisecond for `span`.
async fn call_every_millisecond(provider: &EksCredentialsProvider, span: Duration) -> Calls {
    let mut ticks = interval(millis(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let end = Instant::now() + span;
    let mut calls = Calls { durations: Vec::new(), waited: 0 };
    while Instant::now() < end {
        ticks.tick().await;
        let began = Instant::now();
        let mut call = pin!(provider.credentials());
        match poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx))).await {
            Poll::Ready(credentials) => drop(credentials.unwrap()),
            Poll::Pending => {
                calls.waited += 1;
                call.await.unwrap();
            }
        }
        calls.durations.push(began.elapsed());
    }
    calls.durations.sort();
    calls
}

impl Calls {
    fn quantile(&self, per_mille: usize) -> Duration {
        self.durations[(self.durations.len() - 1) * per_mille / 1000]
    }
}

impl std::fmt::Display for Calls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [p50, p99, p999, max] = [500, 990, 999, 1000].map(|per_mille| self.quantile(per_mille));
        let Self { durations, waited } = self;
        write!(f, "{} calls, {waited} waited: p50 {p50:?}, p99 {p99:?}, p99.9 {p999:?}, max {max:?}", durations.len())
    }
}

/// A call that is ready at its first poll does not wait for anything. If it takes long, the operating system has
/// suspended the thread. The test therefore limits the number of calls that waited, which must be 0, and the 99.9th
/// percentile.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes a minute"]
async fn refresh_of_ten_second_credentials_delays_no_call() {
    let pod = LocalPod::start().await.unwrap();
    pod.sts().set_lifetime(10 * SECOND).set_latency(millis(200));
    let provider = provider(pod.irsa_env());
    provider.warm_up().await.unwrap();
    let calls = call_every_millisecond(&provider, 60 * SECOND).await;
    let requests = pod.sts().requests();
    println!("{calls}; {requests} requests to STS, at most {} at the same time", pod.sts().most_at_once());
    assert!((6..=14).contains(&requests), "{requests} requests");
    assert_eq!(calls.waited, 0);
    assert!(calls.quantile(999) < millis(5), "{calls}");
}

#[tokio::test(flavor = "multi_thread")]
async fn outage_past_expiry_is_survived_and_its_end_noticed() {
    support::trace();
    for answer in [Answer::http(503, "down"), Answer::hang()] {
        let pod = LocalPod::start().await.unwrap();
        pod.agent().set_lifetime(6 * SECOND);
        let provider = builder(pod.pod_identity_env()).attempt_timeout(SECOND).build().unwrap();
        let first = provider.credentials().await.unwrap();
        pod.agent().always(answer);
        let mut changes = provider.subscribe();
        let expiry = first.expiry().unwrap();
        // Until the expiry, every call gets the same credentials.
        let mut ticks = interval(millis(10));
        while changes.borrow_and_update().health != Health::Expired {
            ticks.tick().await;
            assert_eq!(provider.credentials().await.unwrap(), first);
        }
        let status = until(&mut changes, |status| status.health == Health::Expired).await;
        assert_eq!(status.expiry, Some(expiry));
        assert!(pod.agent().requests() > 1);
        // The end of the outage is noticed within the backoff, without a call.
        pod.agent().always(Answer::proper()).set_lifetime(3600 * SECOND);
        let ended = Instant::now();
        until(&mut changes, Status::is_ready).await;
        assert!(ended.elapsed() < 31 * SECOND, "{:?}", ended.elapsed());
        assert_ne!(provider.credentials().await.unwrap(), first);
    }
}

/// A service can have one provider in a static, and tests that each use their own runtime.
#[test]
fn static_provider_serves_two_runtimes_in_turn() {
    support::trace();
    static KEEP: LazyLock<(tokio::runtime::Runtime, LocalPod)> = LazyLock::new(|| {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let pod = runtime.block_on(LocalPod::start()).unwrap();
        pod.sts().set_lifetime(4 * SECOND);
        (runtime, pod)
    });
    static PROVIDER: LazyLock<EksCredentialsProvider> = LazyLock::new(|| provider(KEEP.1.irsa_env()));
    let use_on_new_runtime = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let first = PROVIDER.credentials().await.unwrap();
            // The credentials are refreshed while this runtime is in use.
            let mut changes = PROVIDER.subscribe();
            let refreshes = changes.borrow_and_update().refreshes;
            until(&mut changes, |status| status.refreshes > refreshes).await;
            assert_ne!(PROVIDER.credentials().await.unwrap(), first);
        });
    };
    // The runtime of the pod cannot be started inside another runtime, so it is started here.
    LazyLock::force(&PROVIDER);
    use_on_new_runtime();
    use_on_new_runtime();
}

#[tokio::test]
async fn drop_of_the_provider_ends_the_stream_and_the_request() {
    support::trace();
    let pod = LocalPod::start().await.unwrap();
    pod.sts().always(Answer::hang());
    let provider = provider(pod.irsa_env());
    let mut changes = provider.subscribe();
    let mut call = tokio_test::task::spawn(provider.credentials());
    while pod.sts().requests() == 0 {
        tokio_test::assert_pending!(call.poll());
        tokio::task::yield_now().await;
    }
    drop(call);
    drop(provider);
    let ended = async { while changes.changed().await.is_ok() {} };
    timeout(10 * SECOND, ended).await.unwrap();
}
