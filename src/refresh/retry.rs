//! Delays between a failed attempt and the next one.

use std::time::{Duration, SystemTime};

use crate::clock;
use crate::error::verdict::{Delay, Verdict};
use crate::refresh::state::{Failure, State, Validity};

const SECOND: Duration = Duration::from_secs(1);

/// The shortest time between the starts of two attempts, regardless of clocks and callers. Retries of a cold start are
/// exempt.
pub(crate) const MIN_GAP: Duration = SECOND;
/// The longest retry delay while the credentials are valid. With it, an outage of an hour sees about ten attempts.
pub(super) const RETRY_MAX: Duration = Duration::from_mins(10);
/// The longest backoff without valid credentials. An operator waits this long at most after a repair.
pub(super) const BACKOFF_MAX: Duration = Duration::from_secs(30);
/// The first retry delay of a cold start. It is short, because on a new node the agent can start seconds after the pod.
pub(super) const COLD_RETRY_FIRST: Duration = Duration::from_millis(100);
pub(super) const COLD_RETRY_MAX: Duration = Duration::from_secs(2);
/// The longest first retry delay after a permanent error without valid credentials. The delay is 1 to 5 s, because a
/// trust policy or an association takes seconds to become effective. It doubles up to 12 to 60 s, so that a correction
/// is noticed within a minute.
pub(super) const HOLD_FIRST: Duration = Duration::from_secs(5);
pub(super) const HOLD_MAX: Duration = Duration::from_mins(1);

impl Failure {
    /// The failure of an attempt that ended at `now`, with the time of the next attempt.
    pub(crate) fn new(state: &State, now: SystemTime, verdict: Verdict, random: f64) -> Self {
        let (consecutive, without_credentials) =
            state.failure.map_or((0, 0), |f| (f.consecutive, f.without_credentials));
        let consecutive = consecutive.saturating_add(1);
        let usable = state.is_usable(now);
        let without_credentials = if usable { 0 } else { without_credentials.saturating_add(1) };
        let retry_at = match state.validity {
            Some(validity) if usable => retry_while_usable(&validity, now, random),
            _ => clock::after(now, without_usable(verdict.delay, without_credentials, random)),
        };
        Self { at: now, retry_at, verdict, consecutive, without_credentials }
    }

    /// The failure of an attempt that returned the credentials again that a service has refused. `validity` is their
    /// validity.
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

/// The delay before the next attempt if there are no valid credentials.
fn without_usable(delay: Delay, failures: u32, random: f64) -> Duration {
    match delay {
        Delay::Backoff => backoff(failures, random),
        Delay::Hold => doubling(HOLD_FIRST, HOLD_MAX, failures, random),
        Delay::Soon => doubling(HOLD_FIRST, HOLD_FIRST, failures, random),
    }
}

/// The time of the next attempt while the credentials are valid: after a random share, ⅛ to ⅜, of the validity that is
/// left, but between 1 s and 10 min. This gives a few attempts in a short window and about ten in an hour, and always
/// one before the expiry. A delay that would extend into the mandatory window ends at its beginning.
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

/// A random delay between [`MIN_GAP`] and a ceiling. The ceiling doubles from 1 s to 30 s.
pub(super) fn backoff(failures: u32, random: f64) -> Duration {
    let ceiling = SECOND.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1))).min(BACKOFF_MAX);
    MIN_GAP.saturating_add(ceiling.saturating_sub(MIN_GAP).mul_f64(random))
}

/// A random delay between a fifth of a ceiling and the whole ceiling. The ceiling doubles with each failure.
pub(super) fn doubling(first: Duration, longest: Duration, failures: u32, random: f64) -> Duration {
    let ceiling = first.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1))).min(longest);
    ceiling.mul_f64(0.2 + 0.8 * random)
}

/// The delay before retry number `retry` (from 0) of a cold start. It is random, up to a ceiling that doubles from 100 ms
/// to 2 s.
pub(crate) fn cold_retry(retry: u32, random: f64) -> Duration {
    COLD_RETRY_FIRST.saturating_mul(2_u32.saturating_pow(retry)).min(COLD_RETRY_MAX).mul_f64(random)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Otherwise a role of a chain would recover later than its parent by a backoff of its own.
    #[test]
    fn retry_delay_of_a_role_whose_parent_failed_stays_within_5_s() {
        for failures in [1, 2, 10, 1000] {
            let (shortest, longest) =
                (without_usable(Delay::Soon, failures, 0.0), without_usable(Delay::Soon, failures, 1.0));
            assert_eq!((shortest, longest), (SECOND, HOLD_FIRST), "{failures}");
        }
        assert_eq!(without_usable(Delay::Hold, 10, 1.0), HOLD_MAX);
        assert_eq!(without_usable(Delay::Backoff, 10, 1.0), BACKOFF_MAX);
    }
}
