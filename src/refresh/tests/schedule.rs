//! The tables of the refresh rules, and properties that hold for any clock, lifetime and random number.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use proptest::prelude::*;

use crate::clock;
use crate::error::verdict::Verdict;
use crate::refresh::retry::{HOLD_FIRST, HOLD_MAX, RETRY_MAX, backoff, cold_retry, doubling};
use crate::refresh::schedule::*;
use crate::refresh::state::{Failure, InProgress, Policy, Refusal, State, Validity};
use crate::refresh::validity::advisory_window;

const SECOND: Duration = Duration::from_secs(1);

const POLICY: Policy = Policy { advisory_window: None, startup_timeout: Duration::from_secs(20), serve_expired: true };

const MINUTE: Duration = Duration::from_mins(1);

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_800_000_000 + seconds)
}

/// The state after a refresh in a process that had credentials before.
fn fetched(lifetime: Duration, random: f64) -> State {
    refreshed(&POLICY, at(0), lifetime, random)
}

fn refreshed(policy: &Policy, now: SystemTime, lifetime: Duration, random: f64) -> State {
    let never = Validity::new(policy, &State::default(), now, None, 0.0);
    let before = State { validity: Some(never), ..State::default() };
    State { validity: Some(Validity::new(policy, &before, now, Some(now + lifetime), random)), ..State::default() }
}

fn failed(mut state: State, now: SystemTime, transient: bool, random: f64) -> State {
    let verdict = if transient { Verdict::TRANSIENT } else { Verdict::PERMANENT };
    state.failure = Some(Failure::new(&state, now, verdict, random));
    state.last_attempt = Some(now);
    state
}

#[test]
fn advisory_window_follows_the_table() {
    for (minutes, window) in
        [(720, 60.0), (90, 60.0), (89, 15.0), (60, 15.0), (21, 15.0), (20, 5.0), (11, 5.0), (10, 5.0), (4, 2.0)]
    {
        let lifetime = minutes * MINUTE;
        assert_eq!(advisory_window(&POLICY, lifetime), MINUTE.mul_f64(window), "{minutes} min");
    }
    let configured = Policy { advisory_window: Some(30 * MINUTE), ..POLICY };
    assert_eq!(advisory_window(&configured, 720 * MINUTE), 30 * MINUTE);
    assert_eq!(advisory_window(&configured, 40 * MINUTE), 20 * MINUTE);
}

/// Until this time a request is served after one comparison.
#[test]
fn serves_until_is_the_refresh_time_of_a_normal_state() {
    let state = fetched(60 * MINUTE, 0.5);
    assert_eq!(serves_until(&state), state.validity.unwrap().refresh_at);
    for other in [
        State::default(),
        failed(state, at(0), true, 0.5),
        State { task_ended: true, ..state },
        State { forced: true, ..state },
        State { refusal: Refusal::Refused, ..state },
    ] {
        assert_eq!(serves_until(&other), None, "{other:?}");
    }
}

#[test]
fn is_usable_for_requires_more_than_the_ttl() {
    let state = fetched(60 * MINUTE, 0.5);
    assert!(state.is_usable_for(at(0), 60 * MINUTE - SECOND));
    assert!(!state.is_usable_for(at(0), 60 * MINUTE));
    assert!(state.is_usable(at(3599)) && !state.is_usable(at(3600)));
    let refused = State { refusal: Refusal::Refused, ..state };
    assert!(!refused.is_usable_for(at(0), SECOND) && !refused.is_usable(at(0)));
}

#[test]
fn refresh_at_is_spread_over_the_first_half_of_the_window() {
    let refresh_at = |random| fetched(60 * MINUTE, random).validity.unwrap().refresh_at.unwrap();
    assert_eq!(refresh_at(0.0), at(45 * 60));
    assert_eq!(refresh_at(1.0), at(45 * 60 + 450));
    // After a cold start and after an outage, refreshes are spread over more of the lifetime. A configured window is
    // not widened.
    let outage = failed(fetched(60 * MINUTE, 0.5), at(0), true, 0.5);
    let configured = Policy { advisory_window: Some(15 * MINUTE), ..POLICY };
    for before in [State::default(), outage] {
        let refresh_at = |policy, random| {
            Validity::new(policy, &before, at(0), Some(at(0) + 60 * MINUTE), random).refresh_at.unwrap()
        };
        assert_eq!([0.0, 1.0].map(|random| refresh_at(&POLICY, random)), [at(15 * 60), at(45 * 60 + 450)]);
        assert_eq!([0.0, 1.0].map(|random| refresh_at(&configured, random)), [at(45 * 60), at(45 * 60 + 450)]);
    }
    let mandatory = |lifetime| fetched(lifetime, 0.5).validity.unwrap().mandatory_at.unwrap();
    assert_eq!(mandatory(60 * MINUTE), at(59 * 60));
    assert_eq!(mandatory(Duration::from_secs(10)), UNIX_EPOCH + Duration::from_millis(1_800_000_007_500));
}

#[test]
fn next_fetch_retries_a_permanent_error_within_seconds() {
    let denied = failed(State::default(), at(60), false, 0.5);
    assert_eq!(next_fetch(&denied, at(61)), Some(at(63)));
    assert_eq!(next_fetch(&denied, at(600)), Some(at(63)));
    assert_eq!(next_fetch(&denied, at(59)), Some(at(59)));
}

#[test]
fn doubling_is_between_a_fifth_and_all_of_its_ceiling() {
    let hold = |n, random| doubling(HOLD_FIRST, HOLD_MAX, n, random).as_secs();
    assert_eq!([1, 2, 3, 4, 5, 100].map(|n| hold(n, 0.0)), [1, 2, 4, 8, 12, 12]);
    assert_eq!([1, 2, 3, 4, 5, 100].map(|n| hold(n, 1.0)), [5, 10, 20, 40, 60, 60]);
}

#[test]
fn attempt_limit_leaves_time_for_another_attempt() {
    let state = fetched(60 * MINUTE, 0.5);
    let limit = |now| attempt_limit(&state, at(now), 12 * SECOND).as_secs_f64();
    assert_eq!([3000, 3576, 3580, 3599, 3600, 9999].map(limit), [12.0, 12.0, 10.0, 1.0, 12.0, 12.0]);
    assert_eq!(attempt_limit(&State::default(), at(0), 12 * SECOND), 12 * SECOND);
}

#[test]
fn next_fetch_is_never_for_credentials_without_expiry() {
    let state =
        State { validity: Some(Validity::new(&POLICY, &State::default(), at(0), None, 0.5)), ..State::default() };
    let in_a_century = at(100 * 365 * 24 * 3600);
    assert_eq!(decide(&POLICY, &state, in_a_century), Decision::Serve);
    assert_eq!(next_fetch(&state, in_a_century), None);
}

#[test]
fn decide_waits_in_the_mandatory_window_only_for_a_late_task() {
    let state = fetched(60 * MINUTE, 0.5);
    let now = |seconds| decide(&POLICY, &state, at(seconds));
    assert_eq!(now(0), Decision::Serve);
    assert_eq!(now(50 * 60), Decision::ServeAndWake);
    assert_eq!(now(59 * 60), Decision::ServeAndWake);
    assert_eq!(now(59 * 60 + 1), Decision::WaitBriefly);
    assert_eq!(now(60 * 60), Decision::Wait);
    let tried = State { last_attempt: Some(at(59 * 60)), ..state };
    assert_eq!(decide(&POLICY, &tried, at(59 * 60 + 1)), Decision::ServeAndWake);
    let in_progress =
        State { in_progress: Some(InProgress { began: at(58 * 60), deadline: at(60 * 60 + 9) }), ..state };
    assert_eq!(decide(&POLICY, &in_progress, at(59 * 60 + 30)), Decision::Serve);
    assert_eq!(decide(&POLICY, &in_progress, at(60 * 60)), Decision::Wait);
}

/// An attempt began before the mandatory window and failed within it. The refresh task is not late during the retry
/// delay.
#[test]
fn decide_does_not_wait_during_or_just_after_a_retry_delay() {
    let mut state = failed(fetched(60 * MINUTE, 0.5), at(59 * 60 + 7), true, 0.5);
    state.last_attempt = Some(at(59 * 60 - 5));
    let retry_at = state.failure.unwrap().retry_at;
    assert!(retry_at > at(59 * 60 + 8) && retry_at + SECOND < at(60 * 60));
    let millis = Duration::from_millis;
    for (now, decision) in [
        (retry_at - millis(1), Decision::Serve),
        (retry_at, Decision::ServeAndWake),
        (retry_at + millis(999), Decision::ServeAndWake),
        (retry_at + SECOND, Decision::WaitBriefly),
    ] {
        assert_eq!(decide(&POLICY, &state, now), decision, "{:?}", now.duration_since(retry_at));
    }
}

#[test]
fn decide_after_expiry_depends_on_the_last_failure() {
    let transient = failed(fetched(60 * MINUTE, 0.5), at(3600), true, 0.9);
    let permanent = failed(fetched(60 * MINUTE, 0.5), at(3600), false, 0.9);
    let strict = Policy { serve_expired: false, ..POLICY };
    assert_eq!(decide(&POLICY, &transient, at(3600)), Decision::ServeExpired);
    assert_eq!(decide(&strict, &transient, at(3600)), Decision::Fail);
    assert_eq!(decide(&POLICY, &permanent, at(3600)), Decision::Fail);
    // The next attempt of the same outage, and the first one after a suspension.
    assert_eq!(decide(&POLICY, &transient, at(3601)), Decision::WaitBriefly);
    assert_eq!(decide(&POLICY, &transient, at(9999)), Decision::Wait);
    assert_eq!(decide(&POLICY, &permanent, at(3606)), Decision::Wait);
    assert_eq!(next_fetch(&permanent, at(9999)), permanent.failure.map(|failure| failure.retry_at));
    assert!(next_fetch(&transient, at(3600)).is_some());
}

#[test]
fn backoff_doubles_from_1_s_to_30_s() {
    assert_eq!([1, 2, 3, 4, 5, 6, 7, 100].map(|n| backoff(n, 1.0).as_secs()), [1, 2, 4, 8, 16, 30, 30, 30]);
    assert_eq!([1, 6, 100].map(|n| backoff(n, 0.0)), [SECOND; 3]);
    assert_eq!([0, 1, 4, 5, 100].map(|n| cold_retry(n, 1.0).as_millis()), [100, 200, 1600, 2000, 2000]);
}

fn durations() -> impl Strategy<Value = Duration> {
    prop_oneof![0_u64..120_000, 0_u64..50_000_000].prop_map(Duration::from_millis)
}

proptest! {
    /// For every lifetime, the times are in order, and new credentials are not due before a quarter of their lifetime.
    /// The lowest value is that of a lifetime of little more than 20 minutes with a window of 15 minutes.
    #[test]
    fn validity_times_are_in_order(lifetime in durations(), random in 0.0..1.0_f64, window in proptest::option::of(durations())) {
        let policy = Policy { advisory_window: window, ..POLICY };
        let first = Validity::new(&policy, &State::default(), at(0), Some(at(0) + lifetime), random);
        for validity in [first, refreshed(&policy, at(0), lifetime, random).validity.unwrap()] {
            let Validity { fetched_at, expiry, refresh_at, mandatory_at } = validity;
            let (expiry, refresh_at, mandatory_at) = (expiry.unwrap(), refresh_at.unwrap(), mandatory_at.unwrap());
            prop_assert!(fetched_at + lifetime / 4 <= refresh_at + Duration::from_nanos(1));
            prop_assert!(refresh_at <= mandatory_at + Duration::from_nanos(1) && mandatory_at <= expiry);
        }
    }

    /// Before `serves_until`, `decide` would return `Serve`.
    #[test]
    fn serves_until_agrees_with_decide(
        lifetime in durations(), random in 0.0..1.0_f64, now in 0_u64..60_000, cold in any::<bool>(),
        failure in proptest::option::of(0_u64..50_000), task_ended in any::<bool>(), forced in any::<bool>(),
        began in proptest::option::of(0_u64..50_000),
    ) {
        let mut state = if cold { State::default() } else { fetched(lifetime, random) };
        if let Some(when) = failure {
            state = failed(state, at(when), true, random);
        }
        let in_progress = began.map(|began| InProgress { began: at(began), deadline: at(began + 30) });
        let state = State { task_ended, forced, in_progress, ..state };
        if serves_until(&state).is_some_and(|until| at(now) < until) {
            prop_assert_eq!(decide(&POLICY, &state, at(now)), Decision::Serve);
        }
    }

    /// While the credentials are usable, a caller waits at most briefly and gets no error, whatever has failed.
    #[test]
    fn decide_always_serves_usable_credentials(
        lifetime in 1_u64..50_000,
        failures in proptest::collection::vec((0_u64..50_000, any::<bool>(), 0.0..1.0_f64), 0..5),
        serve_expired in any::<bool>(),
        now in 0_u64..50_000,
    ) {
        let policy = Policy { serve_expired, ..POLICY };
        let mut state = fetched(Duration::from_secs(lifetime), 0.5);
        for (when, transient, random) in failures {
            state = failed(state, at(when), transient, random);
        }
        use Decision::{Serve, ServeAndWake, WaitBriefly};
        let decision = decide(&policy, &state, at(now));
        if now < lifetime {
            prop_assert!(matches!(decision, Serve | ServeAndWake | WaitBriefly), "{decision:?}");
        } else {
            prop_assert!(!matches!(decision, Serve | ServeAndWake), "{decision:?}");
            prop_assert!(serve_expired || !matches!(decision, Decision::ServeExpired | WaitBriefly), "{decision:?}");
        }
    }

    /// A failed refresh is retried after one second to ten minutes, before the expiry, and not later than at the
    /// beginning of the mandatory window.
    #[test]
    fn schedule_retries_before_expiry(lifetime in 10_u64..50_000, failed_at in 0_u64..50_000, random in 0.0..1.0_f64) {
        prop_assume!(failed_at + 2 < lifetime);
        let state = failed(fetched(Duration::from_secs(lifetime), 0.5), at(failed_at), true, random);
        let Failure { retry_at, .. } = state.failure.unwrap();
        let wait = clock::since(retry_at, at(failed_at));
        prop_assert!(wait >= SECOND && wait <= RETRY_MAX);
        prop_assert!(retry_at < at(lifetime));
        let mandatory_at = state.validity.unwrap().mandatory_at.unwrap();
        prop_assert!(at(failed_at) >= mandatory_at || retry_at <= mandatory_at.max(at(failed_at + 1)));
    }

    /// An outage from the first refresh to the expiry causes a limited number of attempts.
    #[test]
    fn schedule_limits_the_attempts_of_an_outage(lifetime in 60_u64..50_000, randoms in proptest::collection::vec(0.0..1.0_f64, 64)) {
        let mut state = fetched(Duration::from_secs(lifetime), randoms[0]);
        let mut now = state.validity.unwrap().refresh_at.unwrap();
        let mut attempts = 0;
        for random in randoms.iter().cycle() {
            if now >= at(lifetime) {
                break;
            }
            attempts += 1;
            state = failed(state, now, true, *random);
            now = next_fetch(&state, now).unwrap();
        }
        prop_assert!((2..=45).contains(&attempts), "{attempts}");
    }

    /// After any jump of the clock, nothing panics, and the next attempt comes within the longest retry delay.
    #[test]
    fn schedule_limits_the_delay_after_any_clock_jump(
        fetched_at in 0_u64..4_000_000_000, failed_at in 0_u64..4_000_000_000, now in 0_u64..4_000_000_000,
        lifetime in durations(), random in 0.0..1.0_f64,
    ) {
        let time = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        let state = failed(refreshed(&POLICY, time(fetched_at), lifetime, random), time(failed_at), true, random);
        let now = time(now);
        let next = next_fetch(&state, now).unwrap();
        prop_assert!(clock::since(next, now) <= RETRY_MAX);
        let _ = decide(&POLICY, &state, now);
    }
}
