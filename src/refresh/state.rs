//! The state on which all decisions are based: the validity of the current credentials, the last failure, and the
//! refresh in progress.

use std::time::{Duration, SystemTime};

use crate::clock;
use crate::error::verdict::Verdict;

/// How late the refresh task can be in the mandatory window before a caller waits for it. A task that runs is late by
/// milliseconds. A task that is later than this was suspended or lost its runtime.
pub(super) const TASK_LATE: Duration = Duration::from_secs(1);

/// The settings of a builder that affect the schedule.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Policy {
    /// Replaces the table of advisory windows.
    pub(crate) advisory_window: Option<Duration>,
    /// The time limit for all attempts of a cold start.
    pub(crate) startup_timeout: Duration,
    /// Whether expired credentials are served after recoverable failures.
    pub(crate) serve_expired: bool,
}

impl Policy {
    /// Whether callers get the current credentials, valid or expired.
    pub(crate) fn serves(&self, state: &State, now: SystemTime) -> bool {
        state.is_usable(now) || self.may_serve_expired(state)
    }

    /// Whether expired credentials can be served after the last failure. Credentials that a service has refused are not
    /// served again.
    pub(crate) fn may_serve_expired(&self, state: &State) -> bool {
        self.serve_expired
            && state.validity.is_some()
            && state.refusal == Refusal::None
            && state.failure.is_some_and(|failure| failure.verdict.serves_expired)
    }
}

/// Everything on which decisions are based, except the clock. All times are wall-clock times.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct State {
    pub(crate) validity: Option<Validity>,
    /// Whether a service has refused these credentials.
    pub(crate) refusal: Refusal,
    /// The last failed refresh, if no refresh has succeeded since.
    pub(crate) failure: Option<Failure>,
    /// The refresh in progress: one attempt, or all attempts of a cold start.
    pub(crate) in_progress: Option<InProgress>,
    /// When the last attempt began.
    pub(crate) last_attempt: Option<SystemTime>,
    /// The refresh task has ended, for example with its runtime. The next caller must start another one.
    pub(crate) task_ended: bool,
    /// A refresh is required regardless of the schedule: after a refusal, after a jump of the clock, or for a caller that
    /// needs a longer validity.
    pub(crate) forced: bool,
}

/// Whether a service has refused the current credentials.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Refusal {
    #[default]
    None,
    /// They were refused, and are not served any more.
    Refused,
    /// They were refused, but the source has returned them again. It has no others, so they are served until they
    /// expire.
    ReturnedAgain,
}

/// The times of one set of credentials. The three optional times are `None` if the credentials never expire.
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
    /// The end of the retry delay. Before it, a caller does not cause an attempt.
    pub(crate) retry_at: SystemTime,
    /// How the error is treated.
    pub(crate) verdict: Verdict,
    /// The number of failures since the last success.
    pub(crate) consecutive: u32,
    /// The number of failures without usable credentials.
    pub(crate) without_credentials: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InProgress {
    pub(crate) began: SystemTime,
    /// The time by which the refresh ends if the task is running.
    pub(crate) deadline: SystemTime,
}

impl Failure {
    /// Whether the retry delay is in progress. If `now` is before the failure, the clock was set back, and the delay
    /// has no effect.
    pub(crate) fn is_backing_off(&self, now: SystemTime) -> bool {
        self.at <= now && now < self.retry_at
    }
}

impl State {
    /// The validity of the current credentials, unless a service has refused them. Comparing the expiry would not be
    /// enough to exclude refused credentials, because it is in the future again after the clock was set back.
    pub(super) fn not_refused(&self) -> Option<Validity> {
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

    /// Whether an attempt is due at `now`. If it is, a caller wakes the refresh task.
    pub(crate) fn is_due(&self, now: SystemTime) -> bool {
        if self.forced {
            return true;
        }
        match (&self.failure, &self.validity) {
            (Some(failure), _) => !failure.is_backing_off(now),
            (None, Some(validity)) => validity.refresh_at.is_some_and(|at| now >= at),
            (None, None) => true,
        }
    }

    /// Whether the source can be called for a caller, which is not the case during a retry delay.
    pub(crate) fn may_be_called(&self, now: SystemTime) -> bool {
        self.failure.is_none_or(|failure| !failure.is_backing_off(now))
    }

    pub(crate) fn is_in_progress(&self, now: SystemTime) -> bool {
        self.in_progress.is_some_and(|refresh| refresh.began <= now && now <= refresh.deadline)
    }

    /// Whether a fetch that succeeds now probably coincides with those of the other pods of a fleet, because of a
    /// deployment or the end of an outage. Always `false` with a configured window, which is never widened.
    pub(super) fn coincides_with_fleet(&self, policy: &Policy) -> bool {
        policy.advisory_window.is_none() && (self.validity.is_none() || self.failure.is_some())
    }

    /// Whether an attempt in the mandatory window is overdue. During a retry delay no attempt is due, for example after
    /// an attempt that began before the window and failed in it.
    pub(super) fn is_task_late(&self, now: SystemTime) -> bool {
        let Some(mandatory_at) = self.validity.and_then(|validity| validity.mandatory_at) else { return false };
        let tried = self.last_attempt.is_some_and(|at| at >= mandatory_at);
        let due_at = self.failure.map_or(mandatory_at, |failure| failure.retry_at.max(mandatory_at));
        !tried && now >= clock::after(due_at, TASK_LATE)
    }
}
