//! Refreshes of valid credentials, and how callers and subscribers see them.

use std::task::Poll;
use std::time::Duration;

use aws_smithy_async::time::TimeSource as _;
use tokio::time::sleep;
use tokio_test::assert_pending;

use super::bench::{Bench, HOUR, Mode, secs};
use crate::error::{Error, ErrorKind};
use crate::refresh::status::Health;

#[tokio::test(start_paused = true)]
async fn refresh_task_keeps_callers_from_waiting_for_a_month() {
    let bench = Bench::new(Mode::Issue(3600));
    bench.call().await.unwrap();
    for _ in 0..(30 * 24 * 60 * 6) {
        sleep(secs(10)).await;
        let credentials = bench.call_without_waiting().unwrap();
        assert!(credentials.expiry().unwrap() > bench.wall.now());
    }
    let gaps: Vec<Duration> = bench.source.call_times().windows(2).map(|pair| pair[1] - pair[0]).collect();
    // For an hour, the window is 15 minutes, and the refresh is in its first half. The first refresh comes after a
    // quarter of the lifetime at the earliest.
    let (first, last) = (45 * 60, 52 * 60 + 31);
    assert!((15 * 60..=last).contains(&gaps[0].as_secs()), "{gaps:?}");
    let gaps = &gaps[1..];
    assert!(gaps.iter().all(|gap| (first..=last).contains(&gap.as_secs())), "{gaps:?}");
    assert!(gaps.iter().max().unwrap().saturating_sub(*gaps.iter().min().unwrap()) > secs(300), "no jitter: {gaps:?}");
}

#[tokio::test(start_paused = true)]
async fn ten_second_credentials_are_refreshed_without_a_wait() {
    let bench = Bench::new(Mode::Issue(10));
    bench.call().await.unwrap();
    for _ in 0..60_000 {
        sleep(Duration::from_millis(1)).await;
        bench.call_without_waiting().unwrap();
    }
    assert!((8..=13).contains(&bench.source.calls()), "{}", bench.source.calls());
}

#[tokio::test(start_paused = true)]
async fn same_credentials_again_are_a_success_without_a_loop() {
    // The agent fetches new credentials only 15 s before the expiry. Until then all its responses have the same expiry.
    let bench = Bench::new(Mode::Issue(6 * 3600));
    bench.call().await.unwrap();
    let expiry = bench.call_without_waiting().unwrap().expiry().unwrap();
    while bench.wall.now() < expiry - secs(15) {
        let left = expiry.duration_since(bench.wall.now()).unwrap().as_secs();
        bench.source.set(Mode::Issue(i64::try_from(left).unwrap()));
        sleep(secs(1)).await;
        bench.call_without_waiting().unwrap();
    }
    let attempts = bench.source.calls();
    assert!((4..=20).contains(&attempts), "{attempts} attempts in six hours");
    assert_eq!(bench.shared.status().health, Health::Ready);
}

#[tokio::test(start_paused = true)]
async fn refresh_fails_if_the_fetched_credentials_have_expired() {
    let bench = Bench::new(Mode::Issue(-60));
    let error = bench.call().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ExpiredCredentials);
    assert!(error.to_string().contains("had expired at"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn get_valid_for_fetches_if_too_little_validity_is_left() {
    let bench = Bench::new(Mode::Issue(3600));
    let get = async |ttl| bench.shared.get_valid_for(ttl, |current| current.credentials.clone()).await;
    assert_eq!(get(secs(3000)).await.unwrap().access_key_id(), "key-0");
    sleep(secs(900)).await;
    assert_eq!(get(secs(3000)).await.unwrap().access_key_id(), "key-1");
    // Less than a minute has passed, so the source would return the same credentials.
    let error = get(2 * HOUR).await.unwrap_err();
    assert_eq!((error.kind(), bench.source.calls()), (ErrorKind::LifetimeTooShort, 2));
    sleep(secs(120)).await;
    assert_eq!(get(2 * HOUR).await.unwrap_err().kind(), ErrorKind::LifetimeTooShort);
    assert_eq!(bench.source.calls(), 3);
    // In an outage the error is that of the outage, because requesting a shorter time would not help. The current
    // credentials are kept.
    bench.source.set(Mode::Fail(ErrorKind::Throttled));
    sleep(secs(120)).await;
    let error = get(2 * HOUR).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Throttled);
    assert!(error.to_string().ends_with("fetching new credentials failed: scripted"), "{error}");
    assert_eq!(get(Duration::MAX).await.unwrap_err().kind(), ErrorKind::Throttled);
    assert_eq!(bench.call_without_waiting().unwrap().access_key_id(), "key-2");
}

#[tokio::test(start_paused = true)]
async fn subscribers_see_every_change_of_the_status() {
    let bench = Bench::new(Mode::Issue(3600));
    let mut changes = bench.shared.changes.subscribe();
    assert_eq!(changes.borrow_and_update().health, Health::Starting);
    bench.call().await.unwrap();
    assert_eq!(changes.borrow_and_update().health, Health::Ready);
    bench.source.set(Mode::Fail(ErrorKind::Unavailable));
    let mut seen = Vec::new();
    while seen.last() != Some(&Health::Expired) {
        changes.changed().await.unwrap();
        let status = changes.borrow_and_update().clone();
        assert_eq!(status.last_error.as_ref().map(Error::kind), Some(ErrorKind::Unavailable));
        assert!(status.next_fetch.unwrap() >= bench.wall.now());
        seen.push(status.health);
    }
    seen.dedup();
    assert_eq!(seen, [Health::Degraded, Health::Expired]);
    assert!(bench.elapsed() >= HOUR && bench.elapsed() < HOUR + secs(2));
    bench.source.set(Mode::Issue(3600));
    while !changes.borrow_and_update().is_ready() {
        changes.changed().await.unwrap();
    }
    assert_eq!((changes.borrow().consecutive_failures, changes.borrow().refreshes), (0, 2));
}

/// A caller waits for one refresh. When it is polled only after the next one has begun, it gets the result of the
/// first.
#[tokio::test(start_paused = true)]
async fn late_polled_caller_gets_the_result_it_waited_for() {
    let bench = Bench::new(Mode::Fail(ErrorKind::Denied));
    let mut call = tokio_test::task::spawn(bench.call());
    assert_pending!(call.poll());
    sleep(secs(1)).await;
    bench.source.set(Mode::Hang);
    // The next attempt follows after one to five seconds.
    sleep(secs(6)).await;
    assert!(bench.shared.cache.load().state().in_progress.is_some());
    let Poll::Ready(outcome) = call.poll() else { panic!("the caller waits for another refresh") };
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Denied);
}
