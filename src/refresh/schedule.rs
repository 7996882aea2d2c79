//! When to fetch, and what a caller gets: pure functions of a [`State`], the wall clock and a random number.
//!
//! The lifetime of one set of credentials, on the wall clock:
//!
//! ```text
//! fetched ─────────────┬──── advisory window ────┬─ mandatory window ─┬─ expired ─►
//!                      │   refresh_at            │ mandatory_at       │ expiry
//!  served              │  ▲ the task fetches;    │ one more attempt;  │ served only after
//!                      │  │ callers are served   │ callers are served │ recoverable failures
//! ```
//!
//! The windows are those of the refresh rules of the AWS SDKs of 2026. `refresh_at` is uniformly random in the first
//! half of the advisory window. With this alone, the pods of a fleet that started together would refresh together for
//! many hours (`examples/fleet`). After a cold start and after an outage, when all pods fetch at about the same time,
//! `refresh_at` is therefore uniformly random over most of the lifetime.

use std::time::{Duration, SystemTime};

use crate::clock;
use crate::refresh::state::{Policy, State, TASK_LATE, Validity};
use crate::refresh::validity::half;

const SECOND: Duration = Duration::from_secs(1);

/// The longest wait of a caller that has current credentials to fall back to. It is longer than a response of a healthy
/// source takes. Such a caller waits in the mandatory window if the refresh task is late, and after expiry during the
/// next attempt of an outage.
pub(super) const BRIEF_WAIT: Duration = SECOND;

/// What a caller gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// The current credentials.
    Serve,
    /// The current credentials. The refresh task must be woken, because a refresh is due.
    ServeAndWake,
    /// Wake the refresh task, wait for at most a [`brief_wait`], then use the current credentials.
    WaitBriefly,
    /// Wait for the refresh in progress, or for a new one.
    Wait,
    /// The expired credentials, because the last failure was recoverable.
    ServeExpired,
    /// The last error, without waiting.
    Fail,
}

/// Decides what a caller gets at `now`.
pub(crate) fn decide(policy: &Policy, state: &State, now: SystemTime) -> Decision {
    if state.is_usable(now) {
        return if state.task_ended {
            Decision::ServeAndWake
        } else if !state.is_due(now) || state.is_in_progress(now) {
            Decision::Serve
        } else if state.is_task_late(now) {
            Decision::WaitBriefly
        } else {
            Decision::ServeAndWake
        };
    }
    let Some(failure) = state.failure else { return Decision::Wait };
    // If the task has ended, the retry delay does not count, because the next task starts with an attempt.
    if failure.is_backing_off(now) && !state.task_ended {
        return if policy.may_serve_expired(state) { Decision::ServeExpired } else { Decision::Fail };
    }
    // The next attempt of the same outage may succeed or hang, so callers wait only briefly. After a suspension it does
    // not count as the same outage.
    let same_outage = |at| failure.at <= at && at < clock::after(failure.retry_at, TASK_LATE);
    if policy.may_serve_expired(state)
        && (same_outage(now) || state.in_progress.is_some_and(|refresh| same_outage(refresh.began)))
    {
        Decision::WaitBriefly
    } else {
        Decision::Wait
    }
}

/// The time until which [`decide`] returns [`Decision::Serve`], so that a request before it needs only one comparison.
/// `None` if every request must call [`decide`].
pub(crate) fn serves_until(state: &State) -> Option<SystemTime> {
    let Validity { expiry, refresh_at, .. } = state.not_refused()?;
    let is_normal = state.failure.is_none() && !state.task_ended && !state.forced;
    [expiry, refresh_at].into_iter().flatten().min().filter(|_| is_normal)
}

/// How long a caller waits if it has current credentials to fall back to. While these are valid, the wait is at most
/// half of the validity that is left, so that they are still valid when it ends. It is rounded down to milliseconds,
/// because tokio rounds timers up.
pub(crate) fn brief_wait(state: &State, now: SystemTime) -> Duration {
    let expiry = state.validity.and_then(|validity| validity.expiry).filter(|&expiry| expiry > now);
    let Some(left) = expiry.map(|expiry| half(clock::since(expiry, now))) else { return BRIEF_WAIT };
    BRIEF_WAIT.min(Duration::from_millis(u64::try_from(left.as_millis()).unwrap_or(u64::MAX)))
}

/// The time limit of an attempt. While the credentials are valid, an attempt that hangs must leave time for another one
/// before they expire.
pub(crate) fn attempt_limit(state: &State, now: SystemTime, longest: Duration) -> Duration {
    let expiry = state.validity.and_then(|validity| validity.expiry).filter(|&expiry| expiry > now);
    expiry.map_or(longest, |expiry| longest.min(half(clock::since(expiry, now)).max(SECOND)))
}

/// When the refresh task fetches without a caller. `None` if it never does.
pub(crate) fn next_fetch(state: &State, now: SystemTime) -> Option<SystemTime> {
    if state.forced {
        return Some(now);
    }
    match (&state.failure, &state.validity) {
        // The clock was set back since the failure. Fetch now, because the retry delay could last for hours.
        (Some(failure), _) if now < failure.at => Some(now),
        (Some(failure), _) => Some(failure.retry_at),
        (None, Some(validity)) => validity.refresh_at,
        (None, None) => Some(now),
    }
}
