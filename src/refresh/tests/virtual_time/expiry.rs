//! Outages that last until after the expiry, and expired credentials from the EKS Pod Identity agent.

use std::time::Duration;

use aws_smithy_async::time::TimeSource as _;
use tokio::time::{Instant, sleep, timeout};

use super::bench::{Bench, HOUR, Mode, POLICY, secs};
use crate::error::ErrorKind;
use crate::refresh::state::Policy;
use crate::refresh::status::Health;

#[tokio::test(start_paused = true)]
async fn expired_credentials_are_served_until_the_outage_ends() {
    let bench = Bench::new(Mode::Issue(3600));
    bench.call().await.unwrap();
    bench.source.set(Mode::Hang);
    while bench.elapsed() < 3 * HOUR {
        sleep(secs(1)).await;
        let called = Instant::now();
        assert_eq!(bench.key().await, "key-0");
        let allowed = if called - bench.wall.start < HOUR { Duration::ZERO } else { secs(1) };
        assert!(called.elapsed() <= allowed, "waited {:?} at {:?}", called.elapsed(), bench.elapsed());
    }
    assert_eq!(bench.shared.status().health, Health::Expired);
    bench.source.set(Mode::Issue(3600));
    // The attempt that hangs, the longest backoff, and the attempt that succeeds.
    sleep(secs(10 + 30 + 1)).await;
    assert_eq!(bench.call_without_waiting().unwrap().access_key_id(), "key-1");
}

#[tokio::test(start_paused = true)]
async fn serve_expired_off_returns_the_last_error_immediately() {
    let bench = Bench::with(Mode::Issue(3600), Policy { serve_expired: false, ..POLICY });
    bench.call().await.unwrap();
    bench.source.set(Mode::Fail(ErrorKind::Unavailable));
    while bench.elapsed() < HOUR + secs(1) {
        sleep(secs(1)).await;
        let usable = bench.elapsed() < HOUR;
        assert!(!usable || bench.call_without_waiting().is_ok());
    }
    assert_eq!(bench.call().await.unwrap_err().kind(), ErrorKind::Unavailable);
    let (calls, from) = (bench.source.calls(), bench.elapsed());
    while bench.elapsed() < from + secs(600) {
        sleep(Duration::from_millis(300)).await;
        assert!(bench.call().await.is_err());
    }
    let attempts = bench.source.calls() - calls;
    assert!((20..=90).contains(&attempts), "{attempts} attempts in ten minutes");
    let times = bench.source.call_times();
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] >= secs(1)), "closer than a second");
}

#[tokio::test(start_paused = true)]
async fn permanent_error_after_expiry_is_returned_to_callers() {
    let bench = Bench::new(Mode::Issue(3600));
    bench.call().await.unwrap();
    bench.source.set(Mode::Fail(ErrorKind::Denied));
    sleep(secs(3599)).await;
    bench.call_without_waiting().unwrap();
    sleep(secs(2)).await;
    assert_eq!(bench.call().await.unwrap_err().kind(), ErrorKind::Denied);
    bench.source.set(Mode::Issue(3600));
    sleep(secs(61)).await;
    assert_eq!(bench.call_without_waiting().unwrap().access_key_id(), "key-1");
}

/// The status changes at the expiry, and not only when the next attempt ends or when the clock is read again. (If an
/// attempt is in progress at that moment, the status changes when it has ended.)
#[tokio::test(start_paused = true)]
async fn status_reports_expiry_at_the_moment_of_expiry() {
    let bench = Bench::new(Mode::Issue(10));
    bench.call().await.unwrap();
    let fetched = bench.elapsed();
    bench.source.set(Mode::Fail(ErrorKind::Unavailable));
    *bench.source.latency.lock().unwrap() = Duration::ZERO;
    let mut changes = bench.shared.changes.subscribe();
    changes.wait_for(|status| status.health == Health::Expired).await.unwrap();
    assert_eq!(bench.elapsed() - fetched, secs(10));
}

#[tokio::test(start_paused = true)]
async fn brief_wait_returns_a_denial_that_arrives_during_it() {
    let bench = Bench::new(Mode::Issue(3600));
    bench.call().await.unwrap();
    bench.source.set(Mode::Fail(ErrorKind::Unavailable));
    sleep(secs(3605)).await;
    assert_eq!(bench.shared.status().health, Health::Expired);
    bench.source.set(Mode::Fail(ErrorKind::Denied));
    let calls = bench.source.calls();
    while bench.source.calls() == calls {
        sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(bench.call().await.unwrap_err().kind(), ErrorKind::Denied);
}

#[tokio::test(start_paused = true)]
async fn expired_agent_credentials_are_used_if_none_are_better() {
    let bench = Bench::new(Mode::PastExpiry(60));
    let served = timeout(secs(1), bench.call()).await.expect("the caller waits for better credentials").unwrap();
    assert!(served.expiry().unwrap() < bench.wall.now());
    let status = bench.shared.status();
    assert_eq!((status.health, status.is_ready(), status.refreshes), (Health::Expired, false, 0));
    assert!(status.next_fetch.is_some());
    // Credentials that expired later replace them.
    sleep(secs(120)).await;
    assert_ne!(bench.call().await.unwrap(), served);
    bench.source.set(Mode::Issue(3600));
    sleep(secs(31)).await;
    bench.call_without_waiting().unwrap();
    assert_eq!(bench.shared.status().health, Health::Ready);
    // They do not replace credentials that expired later.
    let better = bench.call_without_waiting().unwrap();
    bench.source.set(Mode::PastExpiry(7200));
    sleep(HOUR + secs(60)).await;
    assert_eq!(bench.call().await.unwrap(), better);
}

#[tokio::test(start_paused = true)]
async fn expired_agent_credentials_are_not_accepted_after_a_refusal() {
    let bench = Bench::new(Mode::PastExpiry(60));
    let first = bench.call().await.unwrap();
    bench.source.set(Mode::PastExpiryAgain(60));
    sleep(secs(120)).await;
    let extended = bench.call().await.unwrap();
    assert_eq!(extended.access_key_id(), first.access_key_id());
    assert!(extended.expiry() > first.expiry());
    bench.shared.invalidate(first.access_key_id());
    sleep(secs(120)).await;
    assert_eq!(bench.call().await.unwrap_err().kind(), ErrorKind::ExpiredCredentials);
}

#[tokio::test(start_paused = true)]
async fn expired_agent_credentials_are_rejected_if_old_or_disabled() {
    let old = Bench::new(Mode::PastExpiry(6 * 3600 + 60));
    assert_eq!(old.call().await.unwrap_err().kind(), ErrorKind::ExpiredCredentials);
    let disabled = Bench::with(Mode::PastExpiry(60), Policy { serve_expired: false, ..POLICY });
    assert_eq!(disabled.call().await.unwrap_err().kind(), ErrorKind::ExpiredCredentials);
}
