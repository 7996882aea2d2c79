//! The first fetch: callers share it, and transient failures are retried for a limited time.

use std::sync::Arc;
use std::time::Duration;

use aws_smithy_async::time::TimeSource as _;
use tokio::time::{sleep, timeout};
use tokio_test::{assert_pending, assert_ready_ok};

use super::bench::{Bench, HOUR, Mode, POLICY, secs};
use crate::error::ErrorKind;
use crate::refresh::state::Policy;
use crate::refresh::status::Health;

#[tokio::test(start_paused = true)]
async fn cold_start_serves_10_000_callers_with_one_request() {
    let bench = Arc::new(Bench::new(Mode::Issue(3600)));
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..10_000 {
        let bench = Arc::clone(&bench);
        callers.spawn(async move { bench.key().await });
    }
    while let Some(key) = callers.join_next().await {
        assert_eq!(key.unwrap(), "key-0");
    }
    assert_eq!(bench.source.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn cancelled_caller_does_not_cancel_the_refresh() {
    let bench = Bench::new(Mode::Issue(3600));
    let mut first = tokio_test::task::spawn(bench.call());
    let mut second = tokio_test::task::spawn(bench.call());
    assert_pending!(first.poll());
    assert_pending!(second.poll());
    sleep(Duration::from_millis(100)).await;
    drop(first);
    sleep(Duration::from_millis(101)).await;
    assert_ready_ok!(second.poll());
    assert_eq!(bench.source.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn cold_start_serves_callers_that_time_out_and_call_again() {
    let bench = Bench::new(Mode::Issue(3600));
    let mut tries = 0;
    while timeout(Duration::from_millis(50), bench.call()).await.is_err() {
        tries += 1;
    }
    assert_eq!((tries, bench.source.calls()), (4, 1));
}

#[tokio::test(start_paused = true)]
async fn cold_start_retries_for_20_s() {
    let bench = Bench::new(Mode::Fail(ErrorKind::Unavailable));
    let mut call = tokio_test::task::spawn(bench.call());
    assert_pending!(call.poll());
    sleep(secs(15)).await;
    assert_pending!(call.poll());
    bench.source.set(Mode::Issue(3600));
    sleep(secs(3)).await;
    assert_ready_ok!(call.poll());
    let retries = bench.source.calls();
    assert!((8..=40).contains(&retries), "{retries} attempts in 15 s");

    let bench = Bench::new(Mode::Hang);
    assert_eq!(bench.call().await.unwrap_err().kind(), ErrorKind::Timeout);
    let took = bench.elapsed();
    assert!((secs(18)..=secs(20)).contains(&took), "{took:?}");
    // From now on there are single attempts in the background, and callers get the error without waiting.
    assert_eq!(bench.call_without_waiting().unwrap_err().kind(), ErrorKind::Timeout);
    bench.source.set(Mode::Issue(3600));
    sleep(secs(2)).await;
    bench.call_without_waiting().unwrap();
}

/// If the last attempt of a cold start is cut short by the startup timeout, the caller gets the error of the attempt
/// before it, which explains more. An attempt that fails by itself, also after the full time limit of an attempt,
/// reports its own error.
#[tokio::test(start_paused = true)]
async fn startup_timeout_does_not_hide_an_earlier_error() {
    use ErrorKind::{Throttled, Timeout, Unavailable};
    for (at, then, expected) in
        [(12, Mode::Hang, Throttled), (12, Mode::Fail(Unavailable), Unavailable), (1, Mode::Hang, Timeout)]
    {
        let bench = Bench::new(Mode::Fail(Throttled));
        let mut call = tokio_test::task::spawn(bench.call());
        assert_pending!(call.poll());
        sleep(secs(at)).await;
        bench.source.set(then);
        assert_eq!(call.await.unwrap_err().kind(), expected, "{then:?} after {at} s");
    }
}

#[tokio::test(start_paused = true)]
async fn cold_start_keeps_a_permanent_error_until_the_next_attempt() {
    let bench = Bench::new(Mode::Fail(ErrorKind::Denied));
    assert_eq!(bench.call().await.unwrap_err().kind(), ErrorKind::Denied);
    sleep(Duration::from_millis(900)).await;
    assert_eq!(bench.call_without_waiting().unwrap_err().kind(), ErrorKind::Denied);
    assert_eq!(bench.source.calls(), 1);
    // From then on the task makes attempts by itself, and callers get the last error in the meantime.
    sleep(secs(600)).await;
    assert_eq!(bench.call().await.unwrap_err().kind(), ErrorKind::Denied);
    assert!((15..=60).contains(&bench.source.calls()), "{} calls", bench.source.calls());
    bench.source.set(Mode::Issue(3600));
    sleep(secs(61)).await;
    bench.call_without_waiting().unwrap();
}

#[tokio::test(start_paused = true)]
async fn status_shows_the_next_fetch_after_a_failed_cold_start() {
    let bench = Bench::new(Mode::Fail(ErrorKind::Unavailable));
    assert_eq!(bench.shared.status().next_fetch, None);
    bench.call().await.unwrap_err();
    let status = bench.shared.status();
    assert_eq!(status.health, Health::Failed);
    assert!(status.next_fetch.unwrap() > bench.wall.now());
}

#[tokio::test(start_paused = true)]
async fn unlimited_durations_do_not_panic() {
    let bench = Bench::with(Mode::Fail(ErrorKind::Unavailable), Policy { startup_timeout: Duration::MAX, ..POLICY });
    let mut call = tokio_test::task::spawn(bench.call());
    assert_pending!(call.poll());
    sleep(HOUR).await;
    assert_pending!(call.poll());
    bench.source.set(Mode::Issue(3600));
    sleep(secs(3)).await;
    assert_ready_ok!(call.poll());
    let unlimited = bench.shared.get_valid_for(Duration::MAX, |_| ()).await;
    assert_eq!(unlimited.unwrap_err().kind(), ErrorKind::LifetimeTooShort);
}

#[tokio::test(start_paused = true)]
async fn refresh_task_recovers_from_a_denied_start_without_a_call() {
    for kind in [ErrorKind::Denied, ErrorKind::TokenFile, ErrorKind::InvalidConfiguration, ErrorKind::TokenRejected] {
        let bench = Bench::new(Mode::Fail(kind));
        bench.call().await.unwrap_err();
        assert_eq!(bench.shared.status().health, Health::Failed);
        assert!(bench.shared.status().next_fetch.is_some());
        bench.source.set(Mode::Issue(3600));
        let mut changes = bench.shared.changes.subscribe();
        timeout(secs(6), changes.wait_for(crate::Status::is_ready)).await.expect("not ready after 6 s").unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn retry_delay_after_a_denial_grows_to_one_minute() {
    let bench = Bench::new(Mode::Fail(ErrorKind::Denied));
    bench.call().await.unwrap_err();
    sleep(HOUR).await;
    let times = bench.source.call_times();
    let pauses: Vec<_> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    // Each pause also contains the latency of the response and a tick of the timer.
    let late = secs(1);
    assert!((secs(1)..=secs(5) + late).contains(&pauses[0]), "{pauses:?}");
    assert!(pauses[4..].iter().all(|pause| (secs(12)..=secs(60) + late).contains(pause)), "{pauses:?}");
    assert!(pauses[4..].iter().any(|pause| *pause > secs(40)), "{pauses:?}");
    if bench.shared.cache.load().state().in_progress.is_some() {
        sleep(secs(1)).await;
    }
    assert_eq!(bench.call_without_waiting().unwrap_err().kind(), ErrorKind::Denied);
}
