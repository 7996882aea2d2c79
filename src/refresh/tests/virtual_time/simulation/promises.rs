//! The promises, as a caller can hold the provider to them at any ask.

use super::world::{Fault, Phase, World};
use super::*;
use crate::refresh::cache::Entry;
use crate::refresh::state::Refusal;

/// After the end of a fault: an attempt that still hangs, the longest backoff, the smallest gap, and an answer.
const RECOVERY: Duration = secs(10 + 60 + 1 + 1);
/// A cold flight, the gap before it, and the grace before a dead driver is replaced.
const LONGEST_WAIT: Duration = secs(1 + 20 + 2 + 2);
/// The first attempts of an outage: those of a patient cold start; or, while credentials last, each after an eighth of
/// what is left at the least, one a second at the end; then those of a backoff that is still short.
const OUTAGE_BEGINS: u64 = 60 + 60 + 20;

impl World {
    /// Rules 2 and 3.
    pub(super) fn check_wait(&self, before: &Entry, now: SystemTime, phase: Phase, asked: Instant, waited: Duration) {
        // A stall or a jump of the clock during a refresh makes the provider repeat it. Later callers wait for both attempts.
        let interruptions = self.interruptions.lock().unwrap();
        let again = interruptions.iter().filter(|&&at| at + LONGEST_WAIT >= asked).count();
        let longest = LONGEST_WAIT * u32::try_from(1 + again).unwrap();
        self.check(waited <= longest, format_args!("a caller waited {waited:?}"));
        if self.phase().number != phase.number || !before.state().is_usable(now) {
            return;
        }
        let mandatory = before.state().validity.unwrap().mandatory_at.unwrap();
        let untried = before.state().last_attempt.is_none_or(|at| at < mandatory);
        // The timers of tokio are rounded up to a millisecond.
        let allowed = if now >= mandatory && untried { Duration::from_millis(1001) } else { Duration::ZERO };
        self.check(waited <= allowed, format_args!("a caller waited {waited:?} with usable credentials at hand"));
    }

    /// Rules 4 and 5.
    pub(super) fn check_answer(
        &self,
        before: &Entry,
        asked: SystemTime,
        phase: Phase,
        answer: &Result<Credentials, Error>,
        ttl: Option<Duration>,
        tally: &mut Tally,
    ) {
        let now = self.clock.now();
        let usable_before = before.state().is_usable(asked);
        self.check(!usable_before || ttl.is_some() || answer.is_ok(), "an error in spite of usable credentials");
        if let Ok(credentials) = answer {
            let expiry = credentials.expiry().unwrap();
            self.check(ttl.is_none_or(|ttl| expiry > now + ttl), "credentials that do not last as long as was asked");
            let refused = self.refused.lock().unwrap().contains(credentials.access_key_id());
            self.check(
                !refused,
                "credentials that a service has refused, and that the source has not handed out again",
            );
            if expiry <= now {
                tally.served_expired += 1;
                let entry = self.shared().cache.load_full();
                let papered = self.serve_expired && entry.error().is_some_and(Error::is_transient);
                self.check(papered, "expired credentials without a recoverable failure");
            }
        }
        let steady = asked.duration_since(phase.steady_since).unwrap_or_default();
        if let (Ok(credentials), true) = (answer, phase.is_healthy() && steady >= RECOVERY) {
            // Clocks that differ by less than 30 s are taken for the same, and `Date` has whole seconds.
            let end = self.end(credentials);
            let late = end.and_then(|end| self.server_now().duration_since(end).ok()).unwrap_or_default();
            self.check(late <= secs(31), format_args!("credentials that ended {late:?} ago on the server's clock"));
        }
        if phase.is_healthy() && steady >= RECOVERY && ttl.is_none() {
            let fresh = answer.as_ref().is_ok_and(|credentials| credentials.expiry().unwrap() > now);
            self.check(
                fresh,
                format_args!(
                    "nothing fresh {steady:?} after the last fault, asked {asked:?}: {answer:?}, before: {before:#?}"
                ),
            );
        }
        self.check_found_in_window(before, asked, phase);
        // Never asked for before, or refused by a service, they are renewed at an ask.
        let driven = before.current.is_some() && before.state().refusal == Refusal::None;
        let expiry = before.state().validity.and_then(|validity| validity.expiry).filter(|&expiry| expiry <= asked);
        if let (true, true, Some(expiry)) = (phase.is_healthy(), driven, expiry) {
            let healthy_before = expiry.duration_since(phase.steady_since).unwrap_or_default();
            self.check(
                healthy_before < secs(30),
                format_args!("expired after {healthy_before:?} of a healthy source, asked {asked:?}: {before:#?}"),
            );
        }
    }

    /// After a fault the provider becomes ready without another request.
    pub(super) fn check_ready(&self) {
        let (phase, now) = (self.phase(), self.clock.now());
        let steady = now.duration_since(phase.steady_since).unwrap_or_default();
        let refused = self.shared().cache.load().state().refusal != Refusal::None;
        if phase.is_healthy() && *self.asked.lock().unwrap() && steady >= RECOVERY && !refused {
            self.check(self.shared().status().is_ready(), format_args!("not ready {steady:?} after the last fault"));
        }
    }

    /// Rule 5: while credentials last, the end of an outage is found after ⅜ of what was left, ten minutes at the most.
    fn check_found_in_window(&self, before: &Entry, asked: SystemTime, phase: Phase) {
        let Some(expiry) = before.state().validity.and_then(|validity| validity.expiry) else { return };
        let refused = before.state().refusal != Refusal::None;
        if !phase.is_healthy() || before.error().is_none() || asked >= expiry || refused {
            return;
        }
        let left = expiry.duration_since(phase.steady_since).unwrap_or_default();
        let healthy = asked.duration_since(phase.steady_since).unwrap_or_default();
        // And an attempt that still hangs, the gap, an answer, and the sleep of a driver whose clock has jumped.
        let allowed = left.mul_f64(0.375).clamp(secs(1), secs(600)) + secs(10 + 1 + 1 + 20);
        self.check(healthy <= allowed, format_args!("an outage over for {healthy:?} is not found over: {before:#?}"));
    }

    pub(super) fn check_status(&self, shared: &Shared) {
        let (status, entry) = (shared.status(), shared.cache.load_full());
        let now = self.clock.now();
        self.check(status.is_ready() == entry.state().is_usable(now), "the status is wrong about readiness");
        if entry.state().in_progress.is_none() && entry.refreshes_ended > 0 {
            self.check(
                status.last_error.is_some() == *self.last_failed.lock().unwrap(),
                "the status is wrong about errors",
            );
            let seen = shared.changes.borrow().clone();
            self.check(seen.refreshes == status.refreshes, "subscribers have not heard of a refresh");
            self.check(
                seen.consecutive_failures == status.consecutive_failures,
                "subscribers have not heard of a failure",
            );
            self.check_events(&entry);
        }
    }

    /// One event for every flight, as loud as what it means.
    fn check_events(&self, entry: &Entry) {
        let successes = self.told.successes.load(Relaxed);
        self.check(
            successes == entry.refreshes,
            format_args!("{successes} events of success, {} refreshes", entry.refreshes),
        );
        let failures = self.told.failures.load(Relaxed);
        self.check(failures == entry.refreshes_ended - entry.refreshes, format_args!("{failures} events of failure"));
        if let Some(failure) = entry.state().failure {
            let expired_too = self.serve_expired && entry.state().refusal == Refusal::None;
            let something_to_serve = entry.current.is_some() && (entry.state().is_usable(failure.at) || expired_too);
            let harmless = failure.verdict.serves_expired && something_to_serve;
            self.check(self.told.only_warned.load(Relaxed) == harmless, "the last failure was told at a wrong level");
        }
    }

    /// Rule 5: what a phase may cost the source, whatever its callers do.
    pub(super) fn check_attempts(&self, phase: Phase, lasted: Duration, attempts: u64, theirs: &Tally) {
        let seconds = lasted.as_secs();
        // Fresh credentials are due after a quarter of their life at the earliest (20 min, of which 15 are the window).
        let lives = 4 * seconds / phase.lifetime.as_secs() + 1;
        // Each demand is two flights at most; after each rejection an outage is new.
        let asked_for = 2 * theirs.demands + 8 * theirs.rejections;
        let allowed = match phase.fault {
            // Credentials seem to last for less than they do, or to have ended.
            Fault::None if !phase.is_healthy() => seconds,
            Fault::None => lives,
            // The agent's own renewal takes up to 13 shares of 12 h.
            // What a service has refused is asked for again every ten minutes, for as long as it lasts.
            Fault::SameAgain => {
                13 * (lives + 1) + theirs.rejections * (10 + phase.lifetime.as_secs().min(seconds) / 120)
            }
            // At the ceiling of the backoff it is 15.5 s on the average.
            Fault::Hangs | Fault::IssuesExpired => seconds / 8 + OUTAGE_BEGINS,
            Fault::Fails(_) => seconds / 8 + OUTAGE_BEGINS,
        };
        let allowed = allowed + asked_for + 6;
        self.check(attempts <= allowed, format_args!("{attempts} attempts in {lasted:?}, {allowed} are allowed"));
    }
}
