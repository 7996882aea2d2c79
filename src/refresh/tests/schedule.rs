//! The tables of the refresh rules, and what must hold for any clock, lifetime and random number.

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

/// By a process that had credentials before.
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
fn the_table_of_advisory_windows() {
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

/// What a request may rely on without weighing anything else.
#[test]
fn an_undisturbed_state_serves_until_its_refresh_is_due() {
    let state = fetched(60 * MINUTE, 0.5);
    assert_eq!(serves_until(&state), state.validity.unwrap().refresh_at);
    for disturbed in [
        State::default(),
        failed(state, at(0), true, 0.5),
        State { task_ended: true, ..state },
        State { forced: true, ..state },
        State { refusal: Refusal::Refused, ..state },
    ] {
        assert_eq!(serves_until(&disturbed), None, "{disturbed:?}");
    }
}

#[test]
fn credentials_last_longer_than_what_is_asked_and_not_just_as_long() {
    let state = fetched(60 * MINUTE, 0.5);
    assert!(state.is_usable_for(at(0), 60 * MINUTE - SECOND));
    assert!(!state.is_usable_for(at(0), 60 * MINUTE));
    assert!(state.is_usable(at(3599)) && !state.is_usable(at(3600)));
    let refused = State { refusal: Refusal::Refused, ..state };
    assert!(!refused.is_usable_for(at(0), SECOND) && !refused.is_usable(at(0)));
}

#[test]
fn the_refresh_moment_spans_the_first_half_of_the_window() {
    let moment = |random| fetched(60 * MINUTE, random).validity.unwrap().refresh_at.unwrap();
    assert_eq!(moment(0.0), at(45 * 60));
    assert_eq!(moment(1.0), at(45 * 60 + 450));
    // And more of the life after a cold start and after an outage, but not against a window that somebody has chosen.
    let outage = failed(fetched(60 * MINUTE, 0.5), at(0), true, 0.5);
    let chosen = Policy { advisory_window: Some(15 * MINUTE), ..POLICY };
    for before in [State::default(), outage] {
        let moment = |policy, random| {
            Validity::new(policy, &before, at(0), Some(at(0) + 60 * MINUTE), random).refresh_at.unwrap()
        };
        assert_eq!([0.0, 1.0].map(|random| moment(&POLICY, random)), [at(15 * 60), at(45 * 60 + 450)]);
        assert_eq!([0.0, 1.0].map(|random| moment(&chosen, random)), [at(45 * 60), at(45 * 60 + 450)]);
    }
    let mandatory = |lifetime| fetched(lifetime, 0.5).validity.unwrap().mandatory_at.unwrap();
    assert_eq!(mandatory(60 * MINUTE), at(59 * 60));
    assert_eq!(mandatory(Duration::from_secs(10)), UNIX_EPOCH + Duration::from_millis(1_800_000_007_500));
}

#[test]
fn a_permanent_error_is_retried_after_a_few_seconds_or_when_the_clock_was_set_back() {
    let denied = failed(State::default(), at(60), false, 0.5);
    assert_eq!(next_fetch(&denied, at(61)), Some(at(63)));
    assert_eq!(next_fetch(&denied, at(600)), Some(at(63)));
    assert_eq!(next_fetch(&denied, at(59)), Some(at(59)));
}

#[test]
fn retries_after_a_refusal_come_at_random_in_four_fifths_of_a_time_that_doubles_to_a_minute() {
    let hold = |n, random| doubling(HOLD_FIRST, HOLD_MAX, n, random).as_secs();
    assert_eq!([1, 2, 3, 4, 5, 100].map(|n| hold(n, 0.0)), [1, 2, 4, 8, 12, 12]);
    assert_eq!([1, 2, 3, 4, 5, 100].map(|n| hold(n, 1.0)), [5, 10, 20, 40, 60, 60]);
}

#[test]
fn an_attempt_leaves_time_for_another_one_while_credentials_last() {
    let state = fetched(60 * MINUTE, 0.5);
    let limit = |now| attempt_limit(&state, at(now), 12 * SECOND).as_secs_f64();
    assert_eq!([3000, 3576, 3580, 3599, 3600, 9999].map(limit), [12.0, 12.0, 10.0, 1.0, 12.0, 12.0]);
    assert_eq!(attempt_limit(&State::default(), at(0), 12 * SECOND), 12 * SECOND);
}

#[test]
fn credentials_that_never_expire_are_never_refreshed() {
    let state =
        State { validity: Some(Validity::new(&POLICY, &State::default(), at(0), None, 0.5)), ..State::default() };
    let in_a_century = at(100 * 365 * 24 * 3600);
    assert_eq!(decide(&POLICY, &state, in_a_century), Decision::Serve);
    assert_eq!(next_fetch(&state, in_a_century), None);
}

#[test]
fn a_caller_waits_in_the_mandatory_window_only_for_a_late_driver() {
    let state = fetched(60 * MINUTE, 0.5);
    let now = |seconds| decide(&POLICY, &state, at(seconds));
    assert_eq!(now(0), Decision::Serve);
    assert_eq!(now(50 * 60), Decision::ServeAndWake);
    assert_eq!(now(59 * 60), Decision::ServeAndWake);
    assert_eq!(now(59 * 60 + 1), Decision::WaitBriefly);
    assert_eq!(now(60 * 60), Decision::Wait);
    let tried = State { last_attempt: Some(at(59 * 60)), ..state };
    assert_eq!(decide(&POLICY, &tried, at(59 * 60 + 1)), Decision::ServeAndWake);
    let flying = State { in_progress: Some(InProgress { began: at(58 * 60), deadline: at(60 * 60 + 9) }), ..state };
    assert_eq!(decide(&POLICY, &flying, at(59 * 60 + 30)), Decision::Serve);
    assert_eq!(decide(&POLICY, &flying, at(60 * 60)), Decision::Wait);
}

/// An attempt that began before the mandatory window and failed within it: the driver rests after it, and is not late.
#[test]
fn a_driver_is_not_late_while_it_rests_nor_at_once_after() {
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
fn after_expiry() {
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
fn backoff_doubles_to_half_a_minute_and_never_undercuts_a_second() {
    assert_eq!([1, 2, 3, 4, 5, 6, 7, 100].map(|n| backoff(n, 1.0).as_secs()), [1, 2, 4, 8, 16, 30, 30, 30]);
    assert_eq!([1, 6, 100].map(|n| backoff(n, 0.0)), [SECOND; 3]);
    assert_eq!([0, 1, 4, 5, 100].map(|n| cold_retry(n, 1.0).as_millis()), [100, 200, 1600, 2000, 2000]);
}

fn durations() -> impl Strategy<Value = Duration> {
    prop_oneof![0_u64..120_000, 0_u64..50_000_000].prop_map(Duration::from_millis)
}

proptest! {
    /// Whatever the lifetime: the moments are in order, and fresh credentials are not due at once, but after a quarter of
    /// their life at the soonest (little more than 20 minutes, of which the window takes 15).
    #[test]
    fn moments_are_in_order(lifetime in durations(), random in 0.0..1.0_f64, window in proptest::option::of(durations())) {
        let policy = Policy { advisory_window: window, ..POLICY };
        let first = Validity::new(&policy, &State::default(), at(0), Some(at(0) + lifetime), random);
        for validity in [first, refreshed(&policy, at(0), lifetime, random).validity.unwrap()] {
            let Validity { fetched_at, expiry, refresh_at, mandatory_at } = validity;
            let (expiry, refresh_at, mandatory_at) = (expiry.unwrap(), refresh_at.unwrap(), mandatory_at.unwrap());
            prop_assert!(fetched_at + lifetime / 4 <= refresh_at + Duration::from_nanos(1));
            prop_assert!(refresh_at <= mandatory_at + Duration::from_nanos(1) && mandatory_at <= expiry);
        }
    }

    /// What a request is served by without a further thought is what the whole decision would have said.
    #[test]
    fn a_state_that_serves_until_a_moment_serves_at_every_earlier_one(
        lifetime in durations(), random in 0.0..1.0_f64, now in 0_u64..60_000, cold in any::<bool>(),
        failure in proptest::option::of(0_u64..50_000), task_ended in any::<bool>(), forced in any::<bool>(),
        flight in proptest::option::of(0_u64..50_000),
    ) {
        let mut state = if cold { State::default() } else { fetched(lifetime, random) };
        if let Some(when) = failure {
            state = failed(state, at(when), true, random);
        }
        let flight = flight.map(|began| InProgress { began: at(began), deadline: at(began + 30) });
        let state = State { task_ended, forced, in_progress: flight, ..state };
        if serves_until(&state).is_some_and(|until| at(now) < until) {
            prop_assert_eq!(decide(&POLICY, &state, at(now)), Decision::Serve);
        }
    }

    /// While credentials are usable nobody waits longer than briefly, and nobody gets an error, whatever has failed.
    #[test]
    fn usable_credentials_are_always_served(
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

    /// A failed refresh is retried after a second at least, ten minutes at most, and so that an attempt still comes
    /// before expiry and at the beginning of the last minute.
    #[test]
    fn retries_land_before_expiry(lifetime in 10_u64..50_000, failed_at in 0_u64..50_000, random in 0.0..1.0_f64) {
        prop_assume!(failed_at + 2 < lifetime);
        let state = failed(fetched(Duration::from_secs(lifetime), 0.5), at(failed_at), true, random);
        let Failure { retry_at, .. } = state.failure.unwrap();
        let wait = clock::since(retry_at, at(failed_at));
        prop_assert!(wait >= SECOND && wait <= RETRY_MAX);
        prop_assert!(retry_at < at(lifetime));
        let mandatory_at = state.validity.unwrap().mandatory_at.unwrap();
        prop_assert!(at(failed_at) >= mandatory_at || retry_at <= mandatory_at.max(at(failed_at + 1)));
    }

    /// An outage from the first refresh to expiry costs a bounded number of attempts.
    #[test]
    fn an_outage_costs_some_ten_attempts(lifetime in 60_u64..50_000, randoms in proptest::collection::vec(0.0..1.0_f64, 64)) {
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

    /// Clocks that jump: a state from any time is checked without panic, and never rests for longer than its own rest.
    #[test]
    fn no_jump_of_the_clock_makes_it_rest_for_ever(
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
