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
use crate::error::verdict::{Delay, Verdict};

const SECOND: Duration = Duration::from_secs(1);

/// The AWS SDKs' mandatory window. A shorter one for short-lived credentials: half of their advisory window.
const MANDATORY_WINDOW: Duration = Duration::from_mins(1);
/// From which share of their life credentials are refreshed that a whole fleet has fetched together. To be spread over
/// more than half of the interval between two refreshes keeps the peak below twice the mean from then on.
const SPREAD_FROM: f64 = 0.25;
/// With something to fall back on a caller waits this long at most: longer than a healthy source takes, short enough to
/// be a hiccup and not an outage. In the mandatory window only if the driver is late; after expiry while an attempt to
/// end an outage is under way.
const BRIEF_WAIT: Duration = SECOND;
/// How late the driver may be in the mandatory window before a caller waits for it. A driver that runs is milliseconds
/// late; one that is later was suspended or lost its runtime.
const DRIVER_LATE: Duration = SECOND;
/// No two attempts start closer together, whatever clocks and callers do; only a cold start may.
pub(crate) const MIN_GAP: Duration = SECOND;
/// While credentials last, a failed refresh is retried after at least a second (not to storm) and at most ten minutes
/// (so that an hour-long window sees some ten attempts).
const RETRY_MAX: Duration = Duration::from_mins(10);
/// Backoff ceiling after expiry: what an operator who has just repaired something will wait for.
const BACKOFF_MAX: Duration = Duration::from_secs(30);
/// Cold start: the agent may be seconds behind the pod on a new node, so the first retries are quick.
const COLD_RETRY_FIRST: Duration = Duration::from_millis(100);
const COLD_RETRY_MAX: Duration = Duration::from_secs(2);
/// After a refusal, with nothing usable left, the first retry comes after 1 to 5 s: a trust policy or an association takes
/// seconds to become effective. The pause doubles up to 12 to 60 s, which is how long a correction may take to be noticed.
const HOLD_FIRST: Duration = Duration::from_secs(5);
const HOLD_MAX: Duration = Duration::from_mins(1);

/// The parts of the behaviour that a builder can set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Policy {
    /// Overrides the table of advisory windows.
    pub(crate) advisory_window: Option<Duration>,
    /// The budget of a cold start.
    pub(crate) startup_timeout: Duration,
    /// Whether expired credentials are served after recoverable failures.
    pub(crate) serve_expired: bool,
}

impl Policy {
    /// Whether callers get the current credentials, expired or not.
    pub(crate) fn serves(&self, state: &State, now: SystemTime) -> bool {
        state.is_usable(now) || self.may_serve_expired(state)
    }

    /// Whether the last failure lets expired credentials be served. Those that a service has refused are not served again.
    pub(crate) fn may_serve_expired(&self, state: &State) -> bool {
        self.serve_expired
            && state.validity.is_some()
            && state.refusal == Refusal::None
            && state.failure.is_some_and(|failure| failure.verdict.serves_expired)
    }
}

/// All that decisions depend on, besides the clock. Times are wall times.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    pub(crate) validity: Option<Validity>,
    /// Whether a service has refused these credentials.
    pub(crate) refusal: Refusal,
    /// The last failed attempt, if nothing succeeded since.
    pub(crate) failure: Option<Failure>,
    /// The running attempt, or at a cold start the whole series of them.
    pub(crate) flight: Option<Flight>,
    /// When the last attempt began.
    pub(crate) last_attempt: Option<SystemTime>,
    /// The driver's runtime has ended: the next caller must start another one.
    pub(crate) orphaned: bool,
    /// A caller needs other credentials than these, whatever the times say.
    pub(crate) forced: bool,
}

/// Whether a service has refused the current credentials.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Refusal {
    #[default]
    None,
    /// They are not served any more.
    Refused,
    /// The source has handed the same ones out again. It has no others, so they are served until they expire.
    HandedOutAgain,
}

/// The times of one set of credentials. `None` in all three: they never expire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Validity {
    pub(crate) fetched_at: SystemTime,
    pub(crate) expiry: Option<SystemTime>,
    pub(crate) refresh_at: Option<SystemTime>,
    pub(crate) mandatory_at: Option<SystemTime>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) at: SystemTime,
    /// Before it no attempt is made on a caller's behalf.
    pub(crate) retry_at: SystemTime,
    /// How it is treated.
    pub(crate) verdict: Verdict,
    /// Failures since the last success.
    pub(crate) consecutive: u32,
    /// Failures since there was nothing usable left.
    pub(crate) empty_handed: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flight {
    pub(crate) began: SystemTime,
    /// By when it has ended, unless the driver is dead.
    pub(crate) deadline: SystemTime,
}

/// What a caller gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// The credentials at hand.
    Serve,
    /// The same, and the driver should be woken: it ought to have refreshed by now.
    ServeAndNudge,
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
        return if state.orphaned {
            Decision::ServeAndNudge
        } else if !state.is_due(now) || state.is_in_flight(now) {
            Decision::Serve
        } else if state.is_driver_late(now) {
            Decision::WaitBriefly
        } else {
            Decision::ServeAndNudge
        };
    }
    let Some(failure) = state.failure else { return Decision::Wait };
    // Nobody is there to end the rest of a driver that died: the next one begins with an attempt.
    if failure.is_resting(now) && !state.orphaned {
        return if policy.may_serve_expired(state) { Decision::ServeExpired } else { Decision::Fail };
    }
    // The next attempt of the same outage: it may end it, or hang. After a suspension it is no longer the same outage.
    let same_outage = |at| failure.at <= at && at < clock::after(failure.retry_at, DRIVER_LATE);
    if policy.may_serve_expired(state) && (same_outage(now) || state.flight.is_some_and(|f| same_outage(f.began))) {
        Decision::WaitBriefly
    } else {
        Decision::Wait
    }
}

/// The moment before which [`decide`] says [`Decision::Serve`], whatever the time: so that a request need not weigh all the
/// rest. `None`: ask it.
pub(crate) fn serves_until(state: &State) -> Option<SystemTime> {
    let Validity { expiry, refresh_at, .. } = state.not_refused()?;
    let undisturbed = state.failure.is_none() && !state.orphaned && !state.forced;
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

impl State {
    /// The validity of the current credentials, unless a service has refused them. Their expiry is not enough to exclude those:
    /// it is in the future again when the clock is set back.
    fn not_refused(&self) -> Option<Validity> {
        self.validity.filter(|_| self.refusal != Refusal::Refused)
    }

    pub(crate) fn is_usable(&self, now: SystemTime) -> bool {
        self.not_refused().is_some_and(|validity| validity.expiry.is_none_or(|expiry| now < expiry))
    }

    /// Whether the credentials stay usable for longer than `ttl`.
    pub(crate) fn is_usable_for(&self, now: SystemTime, ttl: Duration) -> bool {
        let outlasts = |expiry: SystemTime| expiry.duration_since(now).is_ok_and(|left| left > ttl);
        self.not_refused().is_some_and(|validity| validity.expiry.is_none_or(outlasts))
    }

    /// Whether an attempt should be made by now, if a caller wants one.
    pub(crate) fn is_due(&self, now: SystemTime) -> bool {
        if self.forced {
            return true;
        }
        match (&self.failure, &self.validity) {
            (Some(failure), _) => !failure.is_resting(now),
            (None, Some(validity)) => validity.refresh_at.is_some_and(|at| now >= at),
            (None, None) => true,
        }
    }

    /// Whether the source may be asked on a caller's demand: not while it rests after a failure.
    pub(crate) fn may_be_asked(&self, now: SystemTime) -> bool {
        self.failure.is_none_or(|failure| !failure.is_resting(now))
    }

    pub(crate) fn is_in_flight(&self, now: SystemTime) -> bool {
        self.flight.is_some_and(|flight| flight.began <= now && now <= flight.deadline)
    }

    /// A new driver takes over: from one that died or hung in a flight, or that died while the source rested. What the
    /// source does by now is worth an attempt.
    pub(crate) fn take_over(&mut self, now: SystemTime) {
        self.flight = None;
        if std::mem::take(&mut self.orphaned)
            && let Some(failure) = &mut self.failure
        {
            failure.retry_at = failure.retry_at.min(now);
        }
    }

    /// Whether a fetch that succeeds now does so when the rest of a fleet does: at a deployment, at the end of an outage.
    /// Who has chosen a window of their own is not refreshed before it.
    fn is_one_of_many(&self, policy: &Policy) -> bool {
        policy.advisory_window.is_none() && (self.validity.is_none() || self.failure.is_some())
    }

    /// In the mandatory window without an attempt in it, though one was due. None is while the source rests, as after
    /// an attempt that began before the window and failed in it.
    fn is_driver_late(&self, now: SystemTime) -> bool {
        let Some(mandatory_at) = self.validity.and_then(|validity| validity.mandatory_at) else { return false };
        let tried = self.last_attempt.is_some_and(|at| at >= mandatory_at);
        let due_at = self.failure.map_or(mandatory_at, |failure| failure.retry_at.max(mandatory_at));
        !tried && now >= clock::after(due_at, DRIVER_LATE)
    }
}

impl Validity {
    /// The same, but all of it earlier.
    pub(crate) fn earlier(self, by: Duration) -> Self {
        let earlier = |at| clock::before(at, by);
        Self {
            fetched_at: earlier(self.fetched_at),
            expiry: self.expiry.map(earlier),
            refresh_at: self.refresh_at.map(earlier),
            mandatory_at: self.mandatory_at.map(earlier),
        }
    }

    /// The times of credentials fetched now, by who was in the state `before`. Recomputed at every success: an agent hands
    /// the same credentials out again and again, each time with less of their life left.
    pub(crate) fn new(
        policy: &Policy,
        before: &State,
        now: SystemTime,
        expiry: Option<SystemTime>,
        random: f64,
    ) -> Self {
        let window = expiry.map(|expiry| advisory_window(policy, clock::since(expiry, now)));
        let before_expiry = |early: Duration| expiry.and_then(|expiry| expiry.checked_sub(early));
        Self {
            fetched_at: now,
            expiry,
            refresh_at: window.and_then(|window| {
                let lifetime = clock::since(expiry?, now);
                let first = if before.is_one_of_many(policy) {
                    lifetime.mul_f64(SPREAD_FROM)
                } else {
                    lifetime.saturating_sub(window)
                };
                let last = lifetime.saturating_sub(half(window));
                now.checked_add(first.saturating_add(last.saturating_sub(first).mul_f64(random)))
            }),
            mandatory_at: window.and_then(|window| before_expiry(MANDATORY_WINDOW.min(half(window)))),
        }
    }
}

/// The AWS SDKs' table by the lifetime at fetch, or the configured window; that one never more than half of the
/// lifetime, or fresh credentials would be due at once.
fn advisory_window(policy: &Policy, lifetime: Duration) -> Duration {
    let minutes = Duration::from_mins;
    match policy.advisory_window {
        Some(configured) => configured.min(half(lifetime)),
        None if lifetime <= minutes(10) => half(lifetime),
        None if lifetime <= minutes(20) => minutes(5),
        None if lifetime < minutes(90) => minutes(15),
        None => minutes(60),
    }
}

fn half(duration: Duration) -> Duration {
    duration.checked_div(2).unwrap_or_default()
}

impl Failure {
    /// The failure of an attempt that ended now, and for how long the source is left alone after it.
    pub(crate) fn new(state: &State, now: SystemTime, verdict: Verdict, random: f64) -> Self {
        let (consecutive, empty_handed) = state.failure.map_or((0, 0), |f| (f.consecutive, f.empty_handed));
        let consecutive = consecutive.saturating_add(1);
        let usable = state.is_usable(now);
        let empty_handed = if usable { 0 } else { empty_handed.saturating_add(1) };
        let retry_at = match state.validity {
            Some(validity) if usable => retry_while_usable(&validity, now, random),
            _ if verdict.delay == Delay::Backoff => clock::after(now, backoff(empty_handed, random)),
            _ => clock::after(now, doubling(HOLD_FIRST, HOLD_MAX, empty_handed, random)),
        };
        Self { at: now, retry_at, verdict, consecutive, empty_handed }
    }

    /// The source has handed out the credentials again, valid as in `validity`, that a service has refused.
    pub(crate) fn handed_out_again(
        state: &State,
        validity: &Validity,
        now: SystemTime,
        verdict: Verdict,
        random: f64,
    ) -> Self {
        let consecutive = state.failure.map_or(0, |failure| failure.consecutive).saturating_add(1);
        let retry_at = clock::after(now, doubling(HOLD_FIRST, RETRY_MAX, consecutive, random));
        let retry_at = retry_at.min(retry_while_usable(validity, now, random));
        Self { at: now, retry_at, verdict, consecutive, empty_handed: 0 }
    }

    /// Whether the source is left alone. Not before the failure either: then the clock was set back.
    fn is_resting(&self, now: SystemTime) -> bool {
        self.at <= now && now < self.retry_at
    }
}

/// A random share, ¼ ± ⅛, of the validity that is left: a handful of attempts in a short window, some ten in an hour,
/// and one always lands before expiry. The beginning of the mandatory window is never slept through.
fn retry_while_usable(validity: &Validity, now: SystemTime, random: f64) -> SystemTime {
    let Some(expiry) = validity.expiry else { return clock::after(now, RETRY_MAX) };
    let wait = clock::since(expiry, now).mul_f64(0.125 + 0.25 * random).clamp(SECOND, RETRY_MAX);
    match validity.mandatory_at {
        Some(mandatory_at) if now < mandatory_at => {
            clock::after(now, wait).min(clock::after(now, SECOND).max(mandatory_at))
        }
        _ => clock::after(now, wait),
    }
}

/// Full jitter between the smallest gap and a ceiling that doubles from 1 s to 30 s.
fn backoff(failures: u32, random: f64) -> Duration {
    let ceiling = SECOND.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1))).min(BACKOFF_MAX);
    MIN_GAP.saturating_add(ceiling.saturating_sub(MIN_GAP).mul_f64(random))
}

/// A random time between a fifth of a ceiling and the whole of it. The ceiling doubles with every failure.
fn doubling(first: Duration, longest: Duration, failures: u32, random: f64) -> Duration {
    let ceiling = first.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1))).min(longest);
    ceiling.mul_f64(0.2 + 0.8 * random)
}

/// The pause before retry number `retry` (from 0) of a cold start: full jitter, 100 ms doubling to 2 s.
pub(crate) fn cold_retry(retry: u32, random: f64) -> Duration {
    COLD_RETRY_FIRST.saturating_mul(2_u32.saturating_pow(retry)).min(COLD_RETRY_MAX).mul_f64(random)
}

#[cfg(test)]
mod tests;
