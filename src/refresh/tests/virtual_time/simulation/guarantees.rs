//! The guarantees that are checked at each call.

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_smithy_async::time::TimeSource as _;
use tokio::time::Instant;

use super::super::bench::secs;
use super::Tally;
use super::phase::{Fault, Phase};
use super::world::World;
use crate::error::Error;
use crate::refresh::cache::Entry;
use crate::refresh::shared::Shared;
use crate::refresh::state::Refusal;

/// The longest time from the end of a fault to new credentials: an attempt that still hangs, the longest retry delay,
/// the shortest gap, and a response.
const RECOVERY: Duration = secs(10 + 60 + 1 + 1);
/// The gap before the refresh of a cold start, the refresh itself, and the time after which an overdue task is
/// replaced.
const LONGEST_WAIT: Duration = secs(1 + 20 + 2 + 2);
/// The number of attempts at the beginning of an outage, when the retry delays are short: those of a cold start, those
/// before the expiry (each after at least an eighth of the validity that is left, but at least a second), and the first
/// ones after it.
const FIRST_ATTEMPTS: u64 = 60 + 60 + 20;

impl World {
    /// A caller waits for a limited time. It does not wait if the credentials are usable, except for a late refresh task.
    pub(super) fn check_wait(&self, before: &Entry, now: SystemTime, phase: Phase, began: Instant, waited: Duration) {
        // After a stall or a jump of the clock during a refresh, the provider repeats the attempt. Callers wait for
        // both attempts.
        let interruptions = self.interruptions.lock().unwrap();
        let again = interruptions.iter().filter(|&&at| at + LONGEST_WAIT >= began).count();
        let longest = LONGEST_WAIT * u32::try_from(1 + again).unwrap();
        self.check(waited <= longest, format_args!("a caller waited {waited:?}"));
        if self.phase().number != phase.number || !before.state().is_usable(now) {
            return;
        }
        let mandatory = before.state().validity.unwrap().mandatory_at.unwrap();
        let untried = before.state().last_attempt.is_none_or(|at| at < mandatory);
        // tokio rounds timers up to a millisecond.
        let allowed = if now >= mandatory && untried { Duration::from_millis(1001) } else { Duration::ZERO };
        self.check(waited <= allowed, format_args!("a caller waited {waited:?} although the credentials were usable"));
    }

    /// The result is as good as the state of the source allows.
    pub(super) fn check_result(
        &self,
        before: &Entry,
        called: SystemTime,
        phase: Phase,
        result: &Result<Credentials, Error>,
        ttl: Option<Duration>,
        tally: &mut Tally,
    ) {
        let now = self.clock.now();
        let usable_before = before.state().is_usable(called);
        self.check(!usable_before || ttl.is_some() || result.is_ok(), "an error although the credentials were usable");
        if let Ok(credentials) = result {
            let expiry = credentials.expiry().unwrap();
            self.check(
                ttl.is_none_or(|ttl| expiry > now + ttl),
                "the credentials are valid for a shorter time than requested",
            );
            let refused = self.refused.lock().unwrap().contains(credentials.access_key_id());
            self.check(!refused, "a service has refused these credentials, and the source has not returned them again");
            if expiry <= now {
                tally.served_expired += 1;
                let entry = self.shared().cache.load_full();
                let may_serve = self.serve_expired && entry.error().is_some_and(Error::is_transient);
                self.check(may_serve, "expired credentials without a recoverable failure");
            }
        }
        let steady = called.duration_since(phase.steady_since).unwrap_or_default();
        if let (Ok(credentials), true) = (result, phase.is_healthy() && steady >= RECOVERY) {
            // A difference of less than 30 s between the clocks is ignored, and `Date` has a resolution of one second.
            let expiry = self.server_expiry(credentials);
            let late = expiry.and_then(|expiry| self.server_now().duration_since(expiry).ok()).unwrap_or_default();
            self.check(
                late <= secs(31),
                format_args!("the credentials expired {late:?} ago on the clock of the server"),
            );
        }
        if phase.is_healthy() && steady >= RECOVERY && ttl.is_none() {
            let fresh = result.as_ref().is_ok_and(|credentials| credentials.expiry().unwrap() > now);
            self.check(
                fresh,
                format_args!(
                    "not refreshed {steady:?} after the last fault, called at {called:?}: {result:?}, before: {before:#?}"
                ),
            );
        }
        self.check_end_of_outage(before, called, phase);
        // Without credentials, or with refused ones, only a call causes a refresh.
        let is_scheduled = before.current.is_some() && before.state().refusal == Refusal::None;
        let expiry = before.state().validity.and_then(|validity| validity.expiry).filter(|&expiry| expiry <= called);
        if let (true, true, Some(expiry)) = (phase.is_healthy(), is_scheduled, expiry) {
            let healthy_before = expiry.duration_since(phase.steady_since).unwrap_or_default();
            self.check(
                healthy_before < secs(30),
                format_args!(
                    "expired although the source worked for {healthy_before:?}, called at {called:?}: {before:#?}"
                ),
            );
        }
    }

    /// After a fault the provider becomes ready without another call.
    pub(super) fn check_ready(&self) {
        let (phase, now) = (self.phase(), self.clock.now());
        let steady = now.duration_since(phase.steady_since).unwrap_or_default();
        let refused = self.shared().cache.load().state().refusal != Refusal::None;
        if phase.is_healthy() && *self.called.lock().unwrap() && steady >= RECOVERY && !refused {
            self.check(self.shared().status().is_ready(), format_args!("not ready {steady:?} after the last fault"));
        }
    }

    /// While the credentials are valid, the end of an outage is noticed after at most ⅜ of the validity that was left,
    /// and after at most ten minutes.
    fn check_end_of_outage(&self, before: &Entry, called: SystemTime, phase: Phase) {
        let Some(expiry) = before.state().validity.and_then(|validity| validity.expiry) else { return };
        let refused = before.state().refusal != Refusal::None;
        if !phase.is_healthy() || before.error().is_none() || called >= expiry || refused {
            return;
        }
        let left = expiry.duration_since(phase.steady_since).unwrap_or_default();
        let healthy = called.duration_since(phase.steady_since).unwrap_or_default();
        // Added to it: an attempt that still hangs, the gap, a response, and the sleep before a jump of the clock is
        // noticed.
        let allowed = left.mul_f64(0.375).clamp(secs(1), secs(600)) + secs(10 + 1 + 1 + 20);
        self.check(
            healthy <= allowed,
            format_args!("the end of an outage was not noticed within {healthy:?}: {before:#?}"),
        );
    }

    pub(super) fn check_status(&self, shared: &Shared) {
        let (status, entry) = (shared.status(), shared.cache.load_full());
        let now = self.clock.now();
        self.check(status.is_ready() == entry.state().is_usable(now), "the readiness in the status is wrong");
        if entry.state().in_progress.is_none() && entry.refreshes_ended > 0 {
            self.check(
                status.last_error.is_some() == *self.last_failed.lock().unwrap(),
                "the error in the status is wrong",
            );
            let seen = shared.changes.borrow().clone();
            self.check(seen.refreshes == status.refreshes, "subscribers have not seen a refresh");
            self.check(seen.consecutive_failures == status.consecutive_failures, "subscribers have not seen a failure");
            self.check_events(&entry);
        }
    }

    /// Each refresh is logged once, at the right level.
    fn check_events(&self, entry: &Entry) {
        let successes = self.events.successes.load(Relaxed);
        self.check(
            successes == entry.refreshes,
            format_args!("{successes} success events, {} successful refreshes", entry.refreshes),
        );
        let failures = self.events.failures.load(Relaxed);
        self.check(failures == entry.refreshes_ended - entry.refreshes, format_args!("{failures} failure events"));
        if let Some(failure) = entry.state().failure {
            let expired_too = self.serve_expired && entry.state().refusal == Refusal::None;
            let can_serve = entry.current.is_some() && (entry.state().is_usable(failure.at) || expired_too);
            let is_warning = failure.verdict.serves_expired && can_serve;
            self.check(
                self.events.last_was_warning.load(Relaxed) == is_warning,
                "the last failure was logged at the wrong level",
            );
        }
    }

    /// The number of attempts in a phase is limited, regardless of the calls.
    pub(super) fn check_attempts(&self, phase: Phase, lasted: Duration, attempts: u64, tally: &Tally) {
        let seconds = lasted.as_secs();
        // New credentials are due after a quarter of their lifetime at the earliest, for example with a lifetime of 20
        // min and a window of 15 min.
        let refreshes = 4 * seconds / phase.lifetime.as_secs() + 1;
        // A call for a minimum validity causes at most two refreshes. After each invalidation the retry delays start
        // again.
        let caused_by_calls = 2 * tally.valid_for_calls + 8 * tally.invalidations;
        let allowed = match phase.fault {
            // With a wrong `Date`, the credentials seem to be valid for a shorter time, or to have expired.
            Fault::None if !phase.is_healthy() => seconds,
            Fault::None => refreshes,
            // A lifetime of 12 h takes up to 13 refreshes, each of which returns the same credentials with less
            // validity left. After a refusal, the source is called again every ten minutes until the credentials
            // expire.
            Fault::SameAgain => {
                13 * (refreshes + 1) + tally.invalidations * (10 + phase.lifetime.as_secs().min(seconds) / 120)
            }
            // At its ceiling, the backoff is 15.5 s on average.
            Fault::Hangs | Fault::IssuesExpired => seconds / 8 + FIRST_ATTEMPTS,
            Fault::Fails(_) => seconds / 8 + FIRST_ATTEMPTS,
        };
        let allowed = allowed + caused_by_calls + 6;
        self.check(attempts <= allowed, format_args!("{attempts} attempts in {lasted:?}, {allowed} are allowed"));
    }
}
