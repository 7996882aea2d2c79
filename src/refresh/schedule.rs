//! When to fetch and what to answer: pure functions of a [`State`], the wall clock and a random number.
//!
//! The life of one set of credentials, on the wall clock:
//!
//! ```text
//! fetched ─────────────┬──── advisory window ────┬─ mandatory window ─┬─ expired ─►
//!                      │   refresh_at            │ mandatory_at       │ expiry
//!  served              │  ▲ the driver fetches;  │ one more attempt,  │ served on only after
//!                      │  │ callers are served   │ callers are served │ recoverable failures
//! ```
//!
//! The windows are those of the AWS SDKs' 2026 refresh rules. `refresh_at` is uniform in the first half of the advisory
//! window. That alone would let a fleet that started together come back together for many hours (`examples/fleet`), so
//! after a cold start and after an outage, when everybody fetches at about the same time, it is uniform over the most of
//! the credentials' life.

use std::time::{Duration, SystemTime};

use crate::clock;
use crate::refresh::state::{Policy, State, TASK_LATE, Validity};
use crate::refresh::validity::half;

const SECOND: Duration = Duration::from_secs(1);

/// With something to fall back on a caller waits this long at most: longer than a healthy source takes, short enough to
/// be a hiccup and not an outage. In the mandatory window only if the driver is late; after expiry while an attempt to
/// end an outage is under way.
pub(super) const BRIEF_WAIT: Duration = SECOND;
/// What a caller gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// The credentials at hand.
    Serve,
    /// The same, and the driver should be woken: it ought to have refreshed by now.
    ServeAndWake,
    /// Wake the driver, wait for a [`brief_wait`] at most, then take what there is.
    WaitBriefly,
    /// Wait for the flight that is under way, or for a new one.
    Wait,
    /// The expired credentials: the source fails in a way that should pass.
    ServeExpired,
    /// The last error, at once.
    Fail,
}

/// What a caller gets now.
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
    // Nobody is there to end the rest of a driver that died: the next one begins with an attempt.
    if failure.is_backing_off(now) && !state.task_ended {
        return if policy.may_serve_expired(state) { Decision::ServeExpired } else { Decision::Fail };
    }
    // The next attempt of the same outage: it may end it, or hang. After a suspension it is no longer the same outage.
    let same_outage = |at| failure.at <= at && at < clock::after(failure.retry_at, TASK_LATE);
    if policy.may_serve_expired(state) && (same_outage(now) || state.in_progress.is_some_and(|f| same_outage(f.began)))
    {
        Decision::WaitBriefly
    } else {
        Decision::Wait
    }
}

/// The moment before which [`decide`] says [`Decision::Serve`], whatever the time: so that a request need not weigh all the
/// rest. `None`: ask it.
pub(crate) fn serves_until(state: &State) -> Option<SystemTime> {
    let Validity { expiry, refresh_at, .. } = state.not_refused()?;
    let undisturbed = state.failure.is_none() && !state.task_ended && !state.forced;
    [expiry, refresh_at].into_iter().flatten().min().filter(|_| undisturbed)
}

/// How long a caller waits with something to fall back on. While that is usable no longer than half of what is left of
/// it, in whole milliseconds as timers have them, or there might be nothing any more to fall back on.
pub(crate) fn brief_wait(state: &State, now: SystemTime) -> Duration {
    let expiry = state.validity.and_then(|validity| validity.expiry).filter(|&expiry| expiry > now);
    let Some(left) = expiry.map(|expiry| half(clock::since(expiry, now))) else { return BRIEF_WAIT };
    BRIEF_WAIT.min(Duration::from_millis(u64::try_from(left.as_millis()).unwrap_or(u64::MAX)))
}

/// How long an attempt may take: while credentials last, no longer than leaves time for another one before they expire. One
/// that hangs must not take the last of them with it, when the source may be well again.
pub(crate) fn attempt_limit(state: &State, now: SystemTime, longest: Duration) -> Duration {
    let expiry = state.validity.and_then(|validity| validity.expiry).filter(|&expiry| expiry > now);
    expiry.map_or(longest, |expiry| longest.min(half(clock::since(expiry, now)).max(SECOND)))
}

/// When the driver should fetch without being asked. `None`: never.
pub(crate) fn next_fetch(state: &State, now: SystemTime) -> Option<SystemTime> {
    if state.forced {
        return Some(now);
    }
    match (&state.failure, &state.validity) {
        // A clock that was set back must not leave the driver resting for hours, nor come upon the same rest again.
        (Some(failure), _) if now < failure.at => Some(now),
        (Some(failure), _) => Some(failure.retry_at),
        (None, Some(validity)) => validity.refresh_at,
        (None, None) => Some(now),
    }
}
