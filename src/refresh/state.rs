//! What decisions depend on: the times of the current credentials, the last failure and the refresh in progress.

use std::time::{Duration, SystemTime};

use crate::clock;
use crate::error::verdict::Verdict;

/// How late the driver may be in the mandatory window before a caller waits for it. A driver that runs is milliseconds
/// late; one that is later was suspended or lost its runtime.
pub(super) const TASK_LATE: Duration = Duration::from_secs(1);

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
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct State {
    pub(crate) validity: Option<Validity>,
    /// Whether a service has refused these credentials.
    pub(crate) refusal: Refusal,
    /// The last failed attempt, if nothing succeeded since.
    pub(crate) failure: Option<Failure>,
    /// The running attempt, or at a cold start the whole series of them.
    pub(crate) in_progress: Option<InProgress>,
    /// When the last attempt began.
    pub(crate) last_attempt: Option<SystemTime>,
    /// The driver's runtime has ended: the next caller must start another one.
    pub(crate) task_ended: bool,
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
    ReturnedAgain,
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
    pub(crate) without_credentials: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InProgress {
    pub(crate) began: SystemTime,
    /// By when it has ended, unless the driver is dead.
    pub(crate) deadline: SystemTime,
}

impl Failure {
    /// Whether the next attempt is delayed. Before the failure it is not: then the clock was set back.
    pub(crate) fn is_backing_off(&self, now: SystemTime) -> bool {
        self.at <= now && now < self.retry_at
    }
}

impl State {
    /// The validity of the current credentials, unless a service has refused them. Their expiry is not enough to exclude those:
    /// it is in the future again when the clock is set back.
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

    /// Whether an attempt should be made by now, if a caller wants one.
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

    /// Whether the source may be asked on a caller's demand: not while it rests after a failure.
    pub(crate) fn may_be_called(&self, now: SystemTime) -> bool {
        self.failure.is_none_or(|failure| !failure.is_backing_off(now))
    }

    pub(crate) fn is_in_progress(&self, now: SystemTime) -> bool {
        self.in_progress.is_some_and(|flight| flight.began <= now && now <= flight.deadline)
    }

    /// Whether a fetch that succeeds now does so when the rest of a fleet does: at a deployment, at the end of an outage.
    /// Who has chosen a window of their own is not refreshed before it.
    pub(super) fn coincides_with_fleet(&self, policy: &Policy) -> bool {
        policy.advisory_window.is_none() && (self.validity.is_none() || self.failure.is_some())
    }

    /// In the mandatory window without an attempt in it, though one was due. None is while the source rests, as after
    /// an attempt that began before the window and failed in it.
    pub(super) fn is_task_late(&self, now: SystemTime) -> bool {
        let Some(mandatory_at) = self.validity.and_then(|validity| validity.mandatory_at) else { return false };
        let tried = self.last_attempt.is_some_and(|at| at >= mandatory_at);
        let due_at = self.failure.map_or(mandatory_at, |failure| failure.retry_at.max(mandatory_at));
        !tried && now >= clock::after(due_at, TASK_LATE)
    }
}
