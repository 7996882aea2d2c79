//! When a failed attempt is repeated.

use std::time::{Duration, SystemTime};

use crate::clock;
use crate::error::verdict::{Delay, Verdict};
use crate::refresh::state::{Failure, State, Validity};

const SECOND: Duration = Duration::from_secs(1);

/// No two attempts start closer together, whatever clocks and callers do; only a cold start may.
pub(crate) const MIN_GAP: Duration = SECOND;
/// While credentials last, a failed refresh is retried after at least a second (not to storm) and at most ten minutes
/// (so that an hour-long window sees some ten attempts).
pub(super) const RETRY_MAX: Duration = Duration::from_mins(10);
/// Backoff ceiling after expiry: what an operator who has just repaired something will wait for.
pub(super) const BACKOFF_MAX: Duration = Duration::from_secs(30);
/// Cold start: the agent may be seconds behind the pod on a new node, so the first retries are quick.
pub(super) const COLD_RETRY_FIRST: Duration = Duration::from_millis(100);
pub(super) const COLD_RETRY_MAX: Duration = Duration::from_secs(2);
/// After a refusal, with nothing usable left, the first retry comes after 1 to 5 s: a trust policy or an association takes
/// seconds to become effective. The pause doubles up to 12 to 60 s, which is how long a correction may take to be noticed.
pub(super) const HOLD_FIRST: Duration = Duration::from_secs(5);
pub(super) const HOLD_MAX: Duration = Duration::from_mins(1);

impl Failure {
    /// The failure of an attempt that ended now, and for how long the source is left alone after it.
    pub(crate) fn new(state: &State, now: SystemTime, verdict: Verdict, random: f64) -> Self {
        let (consecutive, without_credentials) =
            state.failure.map_or((0, 0), |f| (f.consecutive, f.without_credentials));
        let consecutive = consecutive.saturating_add(1);
        let usable = state.is_usable(now);
        let without_credentials = if usable { 0 } else { without_credentials.saturating_add(1) };
        let retry_at = match state.validity {
            Some(validity) if usable => retry_while_usable(&validity, now, random),
            _ if verdict.delay == Delay::Backoff => clock::after(now, backoff(without_credentials, random)),
            _ => clock::after(now, doubling(HOLD_FIRST, HOLD_MAX, without_credentials, random)),
        };
        Self { at: now, retry_at, verdict, consecutive, without_credentials }
    }

    /// The source has handed out the credentials again, valid as in `validity`, that a service has refused.
    pub(crate) fn returned_again(
        state: &State,
        validity: &Validity,
        now: SystemTime,
        verdict: Verdict,
        random: f64,
    ) -> Self {
        let consecutive = state.failure.map_or(0, |failure| failure.consecutive).saturating_add(1);
        let retry_at = clock::after(now, doubling(HOLD_FIRST, RETRY_MAX, consecutive, random));
        let retry_at = retry_at.min(retry_while_usable(validity, now, random));
        Self { at: now, retry_at, verdict, consecutive, without_credentials: 0 }
    }
}

/// A random share, ¼ ± ⅛, of the validity that is left: a handful of attempts in a short window, some ten in an hour,
/// and one always lands before expiry. The beginning of the mandatory window is never slept through.
pub(super) fn retry_while_usable(validity: &Validity, now: SystemTime, random: f64) -> SystemTime {
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
pub(super) fn backoff(failures: u32, random: f64) -> Duration {
    let ceiling = SECOND.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1))).min(BACKOFF_MAX);
    MIN_GAP.saturating_add(ceiling.saturating_sub(MIN_GAP).mul_f64(random))
}

/// A random time between a fifth of a ceiling and the whole of it. The ceiling doubles with every failure.
pub(super) fn doubling(first: Duration, longest: Duration, failures: u32, random: f64) -> Duration {
    let ceiling = first.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1))).min(longest);
    ceiling.mul_f64(0.2 + 0.8 * random)
}

/// The pause before retry number `retry` (from 0) of a cold start: full jitter, 100 ms doubling to 2 s.
pub(crate) fn cold_retry(retry: u32, random: f64) -> Duration {
    COLD_RETRY_FIRST.saturating_mul(2_u32.saturating_pow(retry)).min(COLD_RETRY_MAX).mul_f64(random)
}
