//! Credentials that a service has refused before their expiry.

use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::bench::{Bench, HOUR, Mode, POLICY, secs};
use crate::error::ErrorKind;
use crate::refresh::state::Policy;
use crate::refresh::status::Health;

#[tokio::test(start_paused = true)]
async fn invalidate_replaces_only_the_current_credentials() {
    let bench = Bench::new(Mode::Issue(3600));
    let first = bench.call().await.unwrap();
    sleep(secs(5)).await;
    bench.shared.invalidate(first.access_key_id());
    assert_eq!(bench.key().await, "key-1");
    bench.shared.invalidate(first.access_key_id());
    assert_eq!(bench.call_without_waiting().unwrap().access_key_id(), "key-1");
    sleep(secs(60)).await;
    assert_eq!(bench.source.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn invalidate_does_not_shorten_retry_delays_in_an_outage() {
    let bench = Bench::new(Mode::Issue(3600));
    let first = bench.call().await.unwrap();
    sleep(secs(5)).await;
    bench.source.set(Mode::Fail(ErrorKind::Unavailable));
    for _ in 0..3000 {
        bench.shared.invalidate(first.access_key_id());
        assert_eq!(bench.call().await.unwrap_err().kind(), ErrorKind::Unavailable);
        sleep(Duration::from_millis(200)).await;
    }
    let attempts = bench.source.calls() - 1;
    assert!((20..=90).contains(&attempts), "{attempts} attempts in ten minutes");
}

/// This holds for every kind of failure and for every way to get credentials.
#[tokio::test(start_paused = true)]
async fn invalidate_holds_after_a_failed_refresh() {
    use ErrorKind::{InvalidConfiguration, Refused, TokenFile, Unavailable};
    for kind in [Unavailable, Refused, TokenFile, InvalidConfiguration] {
        let bench = Bench::new(Mode::Issue(3600));
        let first = bench.call().await.unwrap();
        sleep(secs(5)).await;
        bench.source.set(Mode::Fail(kind));
        bench.shared.invalidate(first.access_key_id());
        assert_eq!(bench.call().await.unwrap_err().kind(), kind);
        assert_eq!(bench.call_without_waiting().unwrap_err().kind(), kind);
        assert!(bench.shared.cached(|_| ()).is_none(), "{kind:?}");
        bench.source.set(Mode::Issue(3600));
        sleep(secs(60)).await;
        assert_ne!(bench.call_without_waiting().unwrap(), first, "the refresh task has fetched new ones by itself");
    }
}

/// The agent can return the same credentials for up to three hours. After a refusal they are served again, and the
/// source is called with growing delays.
#[tokio::test(start_paused = true)]
async fn invalidate_serves_credentials_that_the_source_returns_again() {
    let bench = Bench::new(Mode::Issue(3600));
    let first = bench.call().await.unwrap();
    sleep(secs(5)).await;
    bench.source.set(Mode::Again);
    let before = bench.source.calls();
    bench.shared.invalidate(first.access_key_id());
    assert!(bench.shared.cached(|_| ()).is_none());
    assert_eq!(bench.key().await, "key-0");
    let status = bench.shared.status();
    assert_eq!((status.health, status.refreshes), (Health::Degraded, 1));
    assert!(status.last_error.unwrap().to_string().contains("that a service has refused"));
    // The service continues to refuse them.
    for _ in 0..300 {
        sleep(Duration::from_millis(100)).await;
        bench.shared.invalidate(first.access_key_id());
        assert_eq!(bench.call_without_waiting().unwrap().access_key_id(), "key-0");
    }
    let calls = bench.source.calls() - before;
    assert!((2..=6).contains(&calls), "{calls} requests in 30 s");
    // In an outage they are not served after their expiry.
    bench.source.set(Mode::Fail(ErrorKind::Unavailable));
    sleep(HOUR + secs(60)).await;
    assert_eq!(bench.call().await.unwrap_err().kind(), ErrorKind::Unavailable);
    bench.source.set(Mode::Issue(3600));
    sleep(secs(61)).await;
    assert_ne!(bench.call_without_waiting().unwrap().access_key_id(), "key-0");
    assert_eq!(bench.shared.status().health, Health::Ready);
}

#[tokio::test(start_paused = true)]
async fn invalidate_ends_when_the_source_returns_other_credentials() {
    let bench = Bench::new(Mode::Issue(3600));
    let first = bench.call().await.unwrap();
    sleep(secs(5)).await;
    bench.source.set(Mode::Again);
    bench.shared.invalidate(first.access_key_id());
    assert_eq!(bench.key().await, "key-0");
    bench.source.set(Mode::Issue(3600));
    sleep(secs(30)).await;
    let second = bench.call_without_waiting().unwrap();
    assert_ne!(first, second);
    assert_eq!(bench.shared.status().health, Health::Ready);
    // These have not been refused. They can be refused, and they can be served in an outage.
    bench.shared.invalidate(second.access_key_id());
    assert_ne!(bench.call().await.unwrap(), second);
    bench.source.set(Mode::Fail(ErrorKind::Unavailable));
    sleep(HOUR + secs(60)).await;
    bench.call().await.unwrap();
}

/// In an outage credentials are served after their expiry, until a service refuses them.
#[tokio::test(start_paused = true)]
async fn invalidate_stops_serving_expired_credentials() {
    let bench = Bench::new(Mode::Issue(3600));
    let first = bench.call().await.unwrap();
    bench.source.set(Mode::Fail(ErrorKind::Unavailable));
    sleep(HOUR + secs(60)).await;
    assert_eq!(bench.call().await.unwrap(), first);
    let before = bench.source.calls();
    for _ in 0..100 {
        bench.shared.invalidate(first.access_key_id());
        assert!(bench.shared.cached(|_| ()).is_none());
        assert_eq!(bench.call().await.unwrap_err().kind(), ErrorKind::Unavailable);
    }
    assert!(bench.source.calls() - before <= 2, "the refusal causes at most one more attempt");
    bench.source.set(Mode::Issue(3600));
    let mut changes = bench.shared.changes.subscribe();
    timeout(secs(61), changes.wait_for(crate::Status::is_ready)).await.expect("not ready after 61 s").unwrap();
}

/// A refusal ends the retry delay, because the outage may be over.
#[tokio::test(start_paused = true)]
async fn invalidate_of_expired_credentials_starts_a_new_attempt() {
    let bench = Bench::new(Mode::Issue(3600));
    let first = bench.call().await.unwrap();
    bench.source.set(Mode::Fail(ErrorKind::Unavailable));
    sleep(HOUR + secs(60)).await;
    // The retry delay, which is at least a second, begins when this attempt fails.
    bench.next_attempt().await;
    sleep(Duration::from_millis(500)).await;
    assert_eq!(bench.call_without_waiting().unwrap(), first);
    bench.source.set(Mode::Issue(3600));
    bench.shared.invalidate(first.access_key_id());
    let second = timeout(secs(2), bench.call()).await.expect("no attempt within 2 s").unwrap();
    assert_ne!(second, first);
}

/// The refusal can come when the credentials have just expired and new ones are being fetched.
#[tokio::test(start_paused = true)]
async fn invalidate_after_expiry_holds_in_the_outage_that_follows() {
    let bench = Bench::with(Mode::Issue(3600), Policy { advisory_window: Some(secs(60)), ..POLICY });
    let first = bench.call().await.unwrap();
    bench.source.set(Mode::Hang);
    sleep(HOUR).await;
    bench.source.set(Mode::Fail(ErrorKind::Unavailable));
    bench.shared.invalidate(first.access_key_id());
    // The error comes from the attempt that hangs, or from the next one.
    assert!(bench.call().await.unwrap_err().is_transient());
    sleep(secs(61)).await;
    assert_eq!(bench.call().await.unwrap_err().kind(), ErrorKind::Unavailable);
}

#[tokio::test(start_paused = true)]
async fn invalidate_holds_when_the_clock_is_set_back() {
    let bench = Bench::new(Mode::Issue(3600));
    let first = bench.call().await.unwrap();
    sleep(secs(600)).await;
    bench.source.set(Mode::Fail(ErrorKind::Denied));
    bench.shared.invalidate(first.access_key_id());
    bench.call().await.unwrap_err();
    bench.wall.back(secs(300));
    assert!(bench.shared.cached(|_| ()).is_none());
    assert!(!bench.shared.status().is_ready());
    bench.call().await.unwrap_err();
    bench.shared.get_valid_for(secs(1), |_| ()).await.unwrap_err();
    sleep(secs(60)).await;
    assert_eq!(bench.call().await.unwrap_err().kind(), ErrorKind::Denied);
}

/// The agent can return other credentials that have expired. They are better than those that a service has refused.
#[tokio::test(start_paused = true)]
async fn invalidate_accepts_other_expired_credentials_of_the_agent() {
    let bench = Bench::new(Mode::Issue(3600));
    let first = bench.call().await.unwrap();
    sleep(secs(600)).await;
    bench.source.set(Mode::PastExpiry(60));
    bench.shared.invalidate(first.access_key_id());
    assert_eq!(bench.key().await, "key-1");
    assert_eq!(bench.shared.status().health, Health::Expired);
}
