//! Wrong clocks, clocks that are set, and suspensions of the machine.

use std::time::{Duration, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_smithy_async::time::TimeSource as _;
use tokio::time::{sleep, timeout};

use super::bench::{Bench, HOUR, Mode, POLICY, secs};
use crate::clock::skew::ServerTime;
use crate::error::ErrorKind;
use crate::fetched::Fetched;
use crate::refresh::state::Policy;
use crate::refresh::status::Health;
use crate::source_kind::SourceKind;

/// The credentials are valid for an hour. The local clock is 65 minutes or 12 hours ahead, or 5 minutes or 12 hours
/// behind.
#[tokio::test(start_paused = true)]
async fn clock_skew_neither_expires_credentials_nor_delays_refresh() {
    for ahead in [65 * 60, -5 * 60, 12 * 3600, -12 * 3600] {
        let bench = Bench::new(Mode::Skewed(ahead));
        let first = bench.call().await.unwrap();
        assert_eq!(bench.shared.status().clock_skew_seconds, Some(ahead));
        let left = first.expiry().unwrap().duration_since(bench.wall.now()).unwrap();
        assert!((HOUR - secs(2)..=HOUR).contains(&left), "{left:?}");
        let calls = bench.source.calls();
        for _ in 0..200 {
            sleep(HOUR / 2).await;
            let left =
                bench.call_without_waiting().unwrap().expiry().unwrap().duration_since(bench.wall.now()).unwrap();
            assert!(left > secs(60), "{left:?}");
        }
        assert!(bench.source.calls() - calls < 400);
    }
}

#[tokio::test(start_paused = true)]
async fn clock_skew_below_30_s_changes_nothing() {
    let bench = Bench::new(Mode::Skewed(20));
    let first = bench.call().await.unwrap();
    let left = first.expiry().unwrap().duration_since(bench.wall.now()).unwrap();
    assert!((HOUR - secs(22)..=HOUR - secs(20)).contains(&left), "{left:?}");
}

/// A `Date` that contradicts the expiry is used neither to correct the expiry nor to limit it with the monotonic clock.
#[test]
fn on_clock_drops_contradictory_server_times() {
    let now = UNIX_EPOCH + secs(1_800_000_000);
    let credentials = Credentials::new("key", "secret", None, Some(now + HOUR), "test");
    let dated = |date| Fetched {
        server_time: Some(ServerTime { date, requested: HOUR }),
        ..Fetched::new(credentials.clone(), SourceKind::WebIdentity)
    };
    let (kept, skew) = dated(now).on_clock(now);
    assert!(kept.server_time.is_some() && skew.is_some());
    let (dropped, skew) = dated(now - 72 * HOUR).on_clock(now);
    assert!(dropped.server_time.is_none() && skew.is_none());
    assert_eq!(dropped.credentials.expiry(), credentials.expiry());
}

/// The expiry was corrected for a clock that has changed since, so the credentials are fetched again.
#[tokio::test(start_paused = true)]
async fn clock_correction_causes_one_refresh() {
    for ahead in [65 * 60_u64, 600] {
        let bench = Bench::new(Mode::Skewed(i64::try_from(ahead).unwrap()));
        bench.call().await.unwrap();
        bench.wall.back(secs(ahead));
        bench.source.set(Mode::Skewed(0));
        sleep(secs(25)).await;
        assert_eq!(bench.source.calls(), 2);
        let left = bench.call_without_waiting().unwrap().expiry().unwrap().duration_since(bench.wall.now()).unwrap();
        assert!((HOUR - secs(30)..=HOUR).contains(&left), "{left:?}");
        assert_eq!(bench.shared.status().clock_skew_seconds, Some(0));
        sleep(HOUR / 8).await;
        assert_eq!(bench.source.calls(), 2, "more than one refresh");
    }
}

/// Only the monotonic clock shows how much of the lifetime is left.
#[tokio::test(start_paused = true)]
async fn clock_set_back_does_not_extend_credentials_in_an_outage() {
    let bench = Bench::with(Mode::Skewed(0), Policy { serve_expired: false, ..POLICY });
    let first = bench.call().await.unwrap();
    bench.source.set(Mode::Fail(ErrorKind::Unavailable));
    bench.wall.back(2 * HOUR);
    sleep(secs(25)).await;
    let moved = first.expiry().unwrap() - 2 * HOUR;
    assert_eq!(bench.call_without_waiting().unwrap().expiry(), Some(moved));
    sleep(HOUR - secs(30)).await;
    assert_eq!(bench.call_without_waiting().unwrap().access_key_id(), first.access_key_id());
    sleep(secs(6)).await;
    assert_eq!(bench.shared.status().health, Health::Expired);
    assert_eq!(bench.call().await.unwrap_err().kind(), ErrorKind::Unavailable);
}

#[tokio::test(start_paused = true)]
async fn clock_set_back_neither_floods_the_source_nor_stops_retries() {
    let bench = Bench::new(Mode::Fail(ErrorKind::Unavailable));
    bench.call().await.unwrap_err();
    bench.wall.back(5 * HOUR);
    let calls = bench.source.calls();
    let from = bench.elapsed();
    while bench.elapsed() < from + secs(120) {
        sleep(secs(1)).await;
        let _ = bench.call().await;
    }
    let attempts = bench.source.calls() - calls;
    assert!((4..=60).contains(&attempts), "{attempts} attempts in two minutes");
}

#[tokio::test(start_paused = true)]
async fn clock_jump_is_noticed_without_callers() {
    let bench = Bench::new(Mode::Issue(3600));
    bench.call().await.unwrap();
    bench.wall.forward(55 * secs(60));
    sleep(secs(61)).await;
    assert_eq!(bench.call_without_waiting().unwrap().access_key_id(), "key-1");
}

#[tokio::test(start_paused = true)]
async fn suspension_past_expiry_makes_callers_wait_for_a_refresh() {
    let bench = Bench::new(Mode::Issue(3600));
    bench.call().await.unwrap();
    bench.wall.forward(8 * HOUR);
    assert_eq!(bench.key().await, "key-1");
    assert_eq!(bench.source.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn suspension_into_the_last_minute_delays_a_caller_by_1_s() {
    let bench = Bench::new(Mode::Issue(3600));
    bench.call().await.unwrap();
    bench.source.set(Mode::Hang);
    bench.wall.forward(HOUR - secs(30));
    let before = bench.elapsed();
    assert_eq!(bench.key().await, "key-0");
    assert_eq!(bench.elapsed() - before, secs(1));
    // There was an attempt in the mandatory window now, so no other caller waits.
    assert_eq!(bench.call_without_waiting().unwrap().access_key_id(), "key-0");
}

/// The machine is suspended during an attempt until after the expiry. The attempt fails after the suspension, and the
/// next caller gets new credentials.
#[tokio::test(start_paused = true)]
async fn suspended_attempt_does_not_count_as_a_failure() {
    let bench = Bench::new(Mode::Issue(3600));
    bench.call().await.unwrap();
    bench.source.set(Mode::Hang);
    bench.next_attempt().await;
    bench.wall.forward(8 * HOUR);
    bench.source.set(Mode::Issue(3600));
    let fresh = timeout(secs(13), bench.call()).await.unwrap().unwrap();
    assert!(fresh.expiry().unwrap() > bench.wall.now());
    assert_eq!(bench.shared.status().consecutive_failures, 0);
}

#[tokio::test(start_paused = true)]
async fn suspended_attempt_is_repeated_without_another_call() {
    let bench = Bench::new(Mode::Issue(3600));
    bench.call().await.unwrap();
    bench.source.set(Mode::Hang);
    bench.next_attempt().await;
    bench.wall.forward(8 * HOUR);
    bench.source.set(Mode::Issue(3600));
    // The time limit of the attempt, the gap before the next one, and the latency.
    sleep(secs(10 + 1 + 1)).await;
    assert!(bench.call_without_waiting().unwrap().expiry().unwrap() > bench.wall.now());
}

#[tokio::test(start_paused = true)]
async fn suspended_refresh_gives_callers_no_expired_credentials() {
    let bench = Bench::new(Mode::Issue(3600));
    bench.call().await.unwrap();
    *bench.source.latency.lock().unwrap() = secs(5);
    bench.source.set(Mode::Fail(ErrorKind::Unavailable));
    bench.next_attempt().await;
    // The suspension breaks the connection, so the attempt fails. The source itself is available.
    bench.wall.forward(8 * HOUR);
    sleep(secs(5)).await;
    bench.source.set(Mode::Issue(3600));
    *bench.source.latency.lock().unwrap() = Duration::ZERO;
    let fresh = bench.call().await.unwrap();
    assert!(fresh.expiry().unwrap() > bench.wall.now(), "{fresh:?}");
}
