//! Failed refreshes while the current credentials are valid.

use std::time::Duration;

use aws_smithy_async::time::TimeSource as _;
use tokio::time::{Instant, sleep, timeout};

use super::bench::{Bench, HOUR, Mode, POLICY, secs};
use crate::error::ErrorKind;
use crate::refresh::report::serving;
use crate::refresh::state::Policy;
use crate::refresh::status::Health;

#[tokio::test(start_paused = true)]
async fn outage_that_ends_before_expiry_affects_no_caller() {
    for mode in [Mode::Fail(ErrorKind::Unavailable), Mode::Fail(ErrorKind::Denied), Mode::Hang, Mode::Issue(-60)] {
        let bench = Bench::new(Mode::Issue(3600));
        bench.call().await.unwrap();
        // The first refresh can come early. That of the second credentials is in the advisory window.
        while bench.shared.status().refreshes < 2 {
            sleep(secs(1)).await;
        }
        let expiry = bench.call_without_waiting().unwrap().expiry().unwrap();
        bench.source.set(mode);
        while bench.wall.now() < expiry - secs(10) {
            sleep(secs(1)).await;
            bench.call_without_waiting().unwrap_or_else(|e| panic!("{mode:?}: {e}"));
        }
        let attempts = bench.source.calls() - 2;
        // An attempt that hangs takes ten seconds.
        assert!((3..=20).contains(&attempts), "{mode:?}: {attempts} attempts in 15 minutes at most");
        assert_eq!(bench.shared.status().health, Health::Degraded);
        bench.source.set(Mode::Issue(3600));
        sleep(secs(9)).await;
        bench.call_without_waiting().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn outage_that_ends_30_s_before_expiry_affects_no_caller() {
    for _ in 0..200 {
        let bench = Bench::new(Mode::Issue(3600));
        bench.call().await.unwrap();
        bench.source.set(Mode::Fail(ErrorKind::Unavailable));
        sleep(secs(3570)).await;
        bench.source.set(Mode::Issue(3600));
        sleep(secs(29)).await;
        assert_eq!(bench.key().await, "key-1");
        assert_eq!(bench.shared.status().health, Health::Ready);
    }
}

/// An attempt that hangs ends before the credentials expire, even if its normal time limit is longer than that.
#[tokio::test(start_paused = true)]
async fn hang_that_ends_5_s_before_expiry_affects_no_caller() {
    for _ in 0..200 {
        let bench = Bench::new(Mode::Issue(3600));
        bench.call().await.unwrap();
        bench.source.set(Mode::Hang);
        sleep(secs(3595)).await;
        bench.source.set(Mode::Issue(3600));
        while bench.elapsed() < secs(3605) {
            sleep(Duration::from_millis(100)).await;
            bench.call_without_waiting().unwrap();
        }
        assert_eq!(bench.key().await, "key-1");
    }
}

/// A caller waits for at most half of the validity that is left, so it gets the current credentials if the attempt
/// fails or hangs.
#[tokio::test(start_paused = true)]
async fn brief_wait_ends_before_the_credentials_expire() {
    for mode in [Mode::Hang, Mode::Fail(ErrorKind::Unavailable), Mode::Fail(ErrorKind::Denied)] {
        let bench = Bench::with(Mode::Issue(3600), Policy { serve_expired: false, ..POLICY });
        bench.call().await.unwrap();
        bench.source.set(mode);
        bench.wall.forward(HOUR - Duration::from_millis(300));
        let called = Instant::now();
        assert_eq!(bench.key().await, "key-0", "{mode:?}");
        assert_eq!(called.elapsed(), Duration::from_millis(150));
    }
}

/// The log event of a failed refresh names the credentials that callers get until a refresh succeeds.
#[tokio::test(start_paused = true)]
async fn serving_describes_the_credentials_after_a_failed_refresh() {
    for serve_expired in [true, false] {
        let bench = Bench::with(Mode::Issue(3600), Policy { serve_expired, ..POLICY });
        let served = || serving(&bench.shared.policy, &bench.shared.cache.load_full(), bench.wall.now());
        assert_eq!(served(), None);
        let expiry = crate::clock::rfc3339(bench.call().await.unwrap().expiry().unwrap());
        bench.source.set(Mode::Fail(ErrorKind::Unavailable));
        sleep(HOUR - secs(60)).await;
        assert_eq!(served(), Some(format!("credentials valid until {expiry}")));
        sleep(secs(120)).await;
        assert_eq!(served(), serve_expired.then(|| format!("credentials that expired at {expiry}")));
    }
}

#[tokio::test(start_paused = true)]
async fn refresh_task_reports_a_panic_and_continues() {
    let bench = Bench::new(Mode::Panic);
    let error = timeout(secs(5), bench.call()).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoRuntime);
    assert!(error.to_string().contains("the task that fetches credentials panicked"), "{error}");
    bench.source.set(Mode::Issue(3600));
    sleep(secs(6)).await;
    assert_eq!(bench.call_without_waiting().unwrap().access_key_id(), "key-0");
    // With usable credentials a panic affects no caller, and the task does not flood the source.
    bench.source.set(Mode::Panic);
    let calls = bench.source.calls();
    while bench.elapsed() < secs(3590) {
        sleep(secs(1)).await;
        bench.call_without_waiting().unwrap();
    }
    let attempts = bench.source.calls() - calls;
    assert!((3..=30).contains(&attempts), "{attempts} attempts");
}
