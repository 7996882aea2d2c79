//! What passes without anybody's help: refusals, refused credentials, wrong clocks, suspensions.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_pod_that_was_denied_at_its_start_becomes_ready_without_another_request() {
    for kind in [ErrorKind::Denied, ErrorKind::TokenFile, ErrorKind::InvalidConfiguration, ErrorKind::TokenRejected] {
        let bench = Bench::new(Mode::Fail(kind));
        bench.ask().await.unwrap_err();
        assert_eq!(bench.shared.status().health, Health::Failed);
        assert!(bench.shared.status().next_fetch.is_some());
        bench.upstream.set(Mode::Issue(3600));
        let mut changes = bench.shared.changes.subscribe();
        timeout(secs(6), changes.wait_for(crate::Status::is_ready)).await.expect("not ready after 6 s").unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn retries_after_a_refusal_slow_down_to_one_a_minute() {
    let bench = Bench::new(Mode::Fail(ErrorKind::Denied));
    bench.ask().await.unwrap_err();
    sleep(HOUR).await;
    let times = bench.upstream.call_times();
    let pauses: Vec<_> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    // Each with the latency of the answer, and a tick of the timer.
    let late = secs(1);
    assert!((secs(1)..=secs(5) + late).contains(&pauses[0]), "{pauses:?}");
    assert!(pauses[4..].iter().all(|pause| (secs(12)..=secs(60) + late).contains(pause)), "{pauses:?}");
    assert!(pauses[4..].iter().any(|pause| *pause > secs(40)), "{pauses:?}");
    if bench.shared.cache.load().state().in_progress.is_some() {
        sleep(secs(1)).await;
    }
    assert_eq!(bench.ask_at_once().unwrap_err().kind(), ErrorKind::Denied);
}

/// The agent hands the same credentials out for up to three hours.
#[tokio::test(start_paused = true)]
async fn credentials_that_are_handed_out_again_after_a_refusal_are_served_and_asked_for_less_and_less() {
    let bench = Bench::new(Mode::Issue(3600));
    let first = bench.ask().await.unwrap();
    sleep(secs(5)).await;
    bench.upstream.set(Mode::Again);
    let before = bench.upstream.calls();
    bench.shared.invalidate(first.access_key_id());
    assert!(bench.shared.cached(|_| ()).is_none());
    assert_eq!(bench.key().await, "key-0");
    let status = bench.shared.status();
    assert_eq!((status.health, status.refreshes), (Health::Degraded, 1));
    assert!(status.last_error.unwrap().to_string().contains("that a service has refused"));
    // The service goes on refusing them.
    for _ in 0..300 {
        sleep(Duration::from_millis(100)).await;
        bench.shared.invalidate(first.access_key_id());
        assert_eq!(bench.ask_at_once().unwrap().access_key_id(), "key-0");
    }
    let asked = bench.upstream.calls() - before;
    assert!((2..=6).contains(&asked), "{asked} requests in 30 s");
    // An outage does not extend their life beyond their expiry.
    bench.upstream.set(Mode::Fail(ErrorKind::Unavailable));
    sleep(HOUR + secs(60)).await;
    assert_eq!(bench.ask().await.unwrap_err().kind(), ErrorKind::Unavailable);
    bench.upstream.set(Mode::Issue(3600));
    sleep(secs(61)).await;
    assert_ne!(bench.ask_at_once().unwrap().access_key_id(), "key-0");
    assert_eq!(bench.shared.status().health, Health::Ready);
}

/// In an outage credentials are served after their expiry, until a service refuses them.
#[tokio::test(start_paused = true)]
async fn expired_credentials_that_a_service_refuses_are_served_no_longer() {
    let bench = Bench::new(Mode::Issue(3600));
    let first = bench.ask().await.unwrap();
    bench.upstream.set(Mode::Fail(ErrorKind::Unavailable));
    sleep(HOUR + secs(60)).await;
    assert_eq!(bench.ask().await.unwrap(), first);
    let before = bench.upstream.calls();
    for _ in 0..100 {
        bench.shared.invalidate(first.access_key_id());
        assert!(bench.shared.cached(|_| ()).is_none());
        assert_eq!(bench.ask().await.unwrap_err().kind(), ErrorKind::Unavailable);
    }
    assert!(bench.upstream.calls() - before <= 2, "one more attempt because of the refusal");
    bench.upstream.set(Mode::Issue(3600));
    let mut changes = bench.shared.changes.subscribe();
    timeout(secs(61), changes.wait_for(crate::Status::is_ready)).await.expect("not ready after 61 s").unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_back_does_not_bring_refused_credentials_back() {
    let bench = Bench::new(Mode::Issue(3600));
    let first = bench.ask().await.unwrap();
    sleep(secs(600)).await;
    bench.upstream.set(Mode::Fail(ErrorKind::Denied));
    bench.shared.invalidate(first.access_key_id());
    bench.ask().await.unwrap_err();
    bench.wall.back(secs(300));
    assert!(bench.shared.cached(|_| ()).is_none());
    assert!(!bench.shared.status().is_ready());
    bench.ask().await.unwrap_err();
    bench.shared.get_valid_for(secs(1), |_| ()).await.unwrap_err();
    sleep(secs(60)).await;
    assert_eq!(bench.ask().await.unwrap_err().kind(), ErrorKind::Denied);
}

/// The agent may return other credentials that are past their expiry. They are better than those that a service has refused.
#[tokio::test(start_paused = true)]
async fn other_credentials_past_their_expiry_replace_refused_ones() {
    let bench = Bench::new(Mode::Issue(3600));
    let first = bench.ask().await.unwrap();
    sleep(secs(600)).await;
    bench.upstream.set(Mode::PastExpiry(60));
    bench.shared.invalidate(first.access_key_id());
    assert_eq!(bench.key().await, "key-1");
    assert_eq!(bench.shared.status().health, Health::Expired);
}

/// The source is asked at once, whatever its retry delay is: the outage may be over.
#[tokio::test(start_paused = true)]
async fn a_call_after_the_refusal_of_expired_credentials_waits_for_a_new_attempt() {
    let bench = Bench::new(Mode::Issue(3600));
    let first = bench.ask().await.unwrap();
    bench.upstream.set(Mode::Fail(ErrorKind::Unavailable));
    sleep(HOUR + secs(60)).await;
    // The retry delay, of a second at least, begins when this attempt has failed.
    bench.next_attempt().await;
    sleep(Duration::from_millis(500)).await;
    assert_eq!(bench.ask_at_once().unwrap(), first);
    bench.upstream.set(Mode::Issue(3600));
    bench.shared.invalidate(first.access_key_id());
    let second = timeout(secs(2), bench.ask()).await.expect("no attempt within 2 s").unwrap();
    assert_ne!(second, first);
}

/// The refusal may come when the credentials have just expired and their successors are being fetched.
#[tokio::test(start_paused = true)]
async fn credentials_that_are_refused_after_their_expiry_are_not_served_in_the_outage_that_follows() {
    let bench = Bench::with(Mode::Issue(3600), Policy { advisory_window: Some(secs(60)), ..POLICY });
    let first = bench.ask().await.unwrap();
    bench.upstream.set(Mode::Hang);
    sleep(HOUR).await;
    bench.upstream.set(Mode::Fail(ErrorKind::Unavailable));
    bench.shared.invalidate(first.access_key_id());
    // The error is that of the attempt that still hangs, or of the one after it.
    assert!(bench.ask().await.unwrap_err().is_transient());
    sleep(secs(61)).await;
    assert_eq!(bench.ask().await.unwrap_err().kind(), ErrorKind::Unavailable);
}

#[tokio::test(start_paused = true)]
async fn other_credentials_end_the_refusal_of_the_old_ones() {
    let bench = Bench::new(Mode::Issue(3600));
    let first = bench.ask().await.unwrap();
    sleep(secs(5)).await;
    bench.upstream.set(Mode::Again);
    bench.shared.invalidate(first.access_key_id());
    assert_eq!(bench.key().await, "key-0");
    bench.upstream.set(Mode::Issue(3600));
    sleep(secs(30)).await;
    let second = bench.ask_at_once().unwrap();
    assert_ne!(first, second);
    assert_eq!(bench.shared.status().health, Health::Ready);
    // These have not been refused: they may be, and they may be served in an outage.
    bench.shared.invalidate(second.access_key_id());
    assert_ne!(bench.ask().await.unwrap(), second);
    bench.upstream.set(Mode::Fail(ErrorKind::Unavailable));
    sleep(HOUR + secs(60)).await;
    bench.ask().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn credentials_past_their_expiry_are_used_as_in_an_outage_if_there_is_nothing_better() {
    let bench = Bench::new(Mode::PastExpiry(60));
    let served = timeout(secs(1), bench.ask()).await.expect("waits for something better").unwrap();
    assert!(served.expiry().unwrap() < bench.wall.now());
    let status = bench.shared.status();
    assert_eq!((status.health, status.is_ready(), status.refreshes), (Health::Expired, false, 0));
    assert!(status.next_fetch.is_some());
    // The newest of them is used.
    sleep(secs(120)).await;
    assert_ne!(bench.ask().await.unwrap(), served);
    bench.upstream.set(Mode::Issue(3600));
    sleep(secs(31)).await;
    bench.ask_at_once().unwrap();
    assert_eq!(bench.shared.status().health, Health::Ready);
    // They replace nothing that expires later.
    let better = bench.ask_at_once().unwrap();
    bench.upstream.set(Mode::PastExpiry(7200));
    sleep(HOUR + secs(60)).await;
    assert_eq!(bench.ask().await.unwrap(), better);
}

#[tokio::test(start_paused = true)]
async fn credentials_past_their_expiry_are_not_taken_again_after_a_refusal() {
    let bench = Bench::new(Mode::PastExpiry(60));
    let first = bench.ask().await.unwrap();
    bench.upstream.set(Mode::PastExpiryAgain(60));
    sleep(secs(120)).await;
    let prolonged = bench.ask().await.unwrap();
    assert_eq!(prolonged.access_key_id(), first.access_key_id());
    assert!(prolonged.expiry() > first.expiry());
    bench.shared.invalidate(first.access_key_id());
    sleep(secs(120)).await;
    assert_eq!(bench.ask().await.unwrap_err().kind(), ErrorKind::ExpiredCredentials);
}

#[tokio::test(start_paused = true)]
async fn credentials_past_their_expiry_are_refused_if_they_are_old_or_not_wanted() {
    let old = Bench::new(Mode::PastExpiry(6 * 3600 + 60));
    assert_eq!(old.ask().await.unwrap_err().kind(), ErrorKind::ExpiredCredentials);
    let unwanted = Bench::with(Mode::PastExpiry(60), Policy { serve_expired: false, ..POLICY });
    assert_eq!(unwanted.ask().await.unwrap_err().kind(), ErrorKind::ExpiredCredentials);
}

/// A clock that is 65 minutes ahead, or 5 minutes behind, with credentials for an hour.
#[tokio::test(start_paused = true)]
async fn a_wrong_clock_neither_hides_credentials_nor_delays_their_refresh() {
    for ahead in [65 * 60, -5 * 60, 12 * 3600, -12 * 3600] {
        let bench = Bench::new(Mode::Skewed(ahead));
        let first = bench.ask().await.unwrap();
        assert_eq!(bench.shared.status().clock_skew_seconds, Some(ahead));
        let left = first.expiry().unwrap().duration_since(bench.wall.now()).unwrap();
        assert!((HOUR - secs(2)..=HOUR).contains(&left), "{left:?}");
        let calls = bench.upstream.calls();
        for _ in 0..200 {
            sleep(HOUR / 2).await;
            let left = bench.ask_at_once().unwrap().expiry().unwrap().duration_since(bench.wall.now()).unwrap();
            assert!(left > secs(60), "{left:?}");
        }
        assert!(bench.upstream.calls() - calls < 400);
    }
}

#[tokio::test(start_paused = true)]
async fn a_small_skew_changes_nothing() {
    let bench = Bench::new(Mode::Skewed(20));
    let first = bench.ask().await.unwrap();
    let left = first.expiry().unwrap().duration_since(bench.wall.now()).unwrap();
    assert!((HOUR - secs(22)..=HOUR - secs(20)).contains(&left), "{left:?}");
}

/// The expiry was moved by a clock that is not the same any more.
#[tokio::test(start_paused = true)]
async fn when_the_clock_is_corrected_the_credentials_are_fetched_anew() {
    for ahead in [65 * 60_u64, 600] {
        let bench = Bench::new(Mode::Skewed(i64::try_from(ahead).unwrap()));
        bench.ask().await.unwrap();
        bench.wall.back(secs(ahead));
        bench.upstream.set(Mode::Skewed(0));
        sleep(secs(25)).await;
        assert_eq!(bench.upstream.calls(), 2);
        let left = bench.ask_at_once().unwrap().expiry().unwrap().duration_since(bench.wall.now()).unwrap();
        assert!((HOUR - secs(30)..=HOUR).contains(&left), "{left:?}");
        assert_eq!(bench.shared.status().clock_skew_seconds, Some(0));
        sleep(HOUR / 8).await;
        assert_eq!(bench.upstream.calls(), 2, "once");
    }
}

/// Only the timers, which are never set, show how much of the lifetime is left.
#[tokio::test(start_paused = true)]
async fn in_an_outage_a_clock_that_is_set_back_does_not_prolong_the_life_of_credentials() {
    let bench = Bench::with(Mode::Skewed(0), Policy { serve_expired: false, ..POLICY });
    let first = bench.ask().await.unwrap();
    bench.upstream.set(Mode::Fail(ErrorKind::Unavailable));
    bench.wall.back(2 * HOUR);
    sleep(secs(25)).await;
    let moved = first.expiry().unwrap() - 2 * HOUR;
    assert_eq!(bench.ask_at_once().unwrap().expiry(), Some(moved));
    sleep(HOUR - secs(30)).await;
    assert_eq!(bench.ask_at_once().unwrap().access_key_id(), first.access_key_id());
    sleep(secs(6)).await;
    assert_eq!(bench.shared.status().health, Health::Expired);
    assert_eq!(bench.ask().await.unwrap_err().kind(), ErrorKind::Unavailable);
}

/// The machine sleeps for longer than the credentials last while an attempt is under way, which fails when it wakes up.
#[tokio::test(start_paused = true)]
async fn an_attempt_that_slept_does_not_count_and_the_next_caller_gets_fresh_credentials() {
    let bench = Bench::new(Mode::Issue(3600));
    bench.ask().await.unwrap();
    bench.upstream.set(Mode::Hang);
    bench.next_attempt().await;
    bench.wall.forward(8 * HOUR);
    bench.upstream.set(Mode::Issue(3600));
    let fresh = timeout(secs(13), bench.ask()).await.unwrap().unwrap();
    assert!(fresh.expiry().unwrap() > bench.wall.now());
    assert_eq!(bench.shared.status().consecutive_failures, 0);
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_slept_is_repeated_without_another_request() {
    let bench = Bench::new(Mode::Issue(3600));
    bench.ask().await.unwrap();
    bench.upstream.set(Mode::Hang);
    bench.next_attempt().await;
    bench.wall.forward(8 * HOUR);
    bench.upstream.set(Mode::Issue(3600));
    // The limit of the attempt, the pause before the next one, and its latency.
    sleep(secs(10 + 1 + 1)).await;
    assert!(bench.ask_at_once().unwrap().expiry().unwrap() > bench.wall.now());
}

#[tokio::test(start_paused = true)]
async fn callers_after_a_suspension_in_the_middle_of_a_refresh_get_no_expired_credentials() {
    let bench = Bench::new(Mode::Issue(3600));
    bench.ask().await.unwrap();
    *bench.upstream.latency.lock().unwrap() = secs(5);
    bench.upstream.set(Mode::Fail(ErrorKind::Unavailable));
    bench.next_attempt().await;
    // The attempt that is under way fails with the connection. The source is well.
    bench.wall.forward(8 * HOUR);
    sleep(secs(5)).await;
    bench.upstream.set(Mode::Issue(3600));
    *bench.upstream.latency.lock().unwrap() = Duration::ZERO;
    let fresh = bench.ask().await.unwrap();
    assert!(fresh.expiry().unwrap() > bench.wall.now(), "{fresh:?}");
}
